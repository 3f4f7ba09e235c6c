"""``diagnose_scim``: what ``kb4 scim doctor`` prints; tells the usual causes of trouble apart."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from kb4_async.errors import AuthenticationError, KB4Error, PermissionDeniedError
from kb4_async.protocol.request import Request
from kb4_async.protocol.scim.answers import ListAnswer, read_list
from kb4_async.runtime.diagnosis import Check, Diagnosis, inspect_clock, inspect_limits
from kb4_async.runtime.turnstile import Rank
from kb4_async.scim.client import ScimClient
from kb4_async.scim.lookup import Trust
from kb4_async.scim.wire import Wire

WHERE = "the console shows the Tenant URL and the token under Account Settings > User Provisioning"

#: What the server's filter is good for, and what follows.
FILTERS: dict[Trust, tuple[str, str]] = {
    "works": ("works, whatever the letter case", ""),
    "exact": (
        "finds the exact spelling alone",
        "A user is looked for in the whole list before it is created.",
    ),
    "broken": (
        "does not work",
        "A user is looked for in the whole list before it is created.",
    ),
    "unknown": ("not known, for there is no user to try it on", ""),
}


async def diagnose_scim(scim: ScimClient) -> Diagnosis:
    """Look at token, Tenant URL, users, groups, filter, limits and clock. Writes nothing.

    At most six requests. Never raises for what it finds: the diagnosis holds it.
    """
    scim.source.check()
    engine = scim.source.engine
    secret = engine.transport.secret
    checks = [
        Check("token", "ok", f"{len(secret.text)} characters, fingerprint {secret.fingerprint}"),
        inspect_address(scim),
    ]
    wire = Wire(engine)
    query = {"startIndex": "1", "count": "1"}
    try:
        first = await engine.fetch(
            Request("GET", "Users", query), read_list, rank=Rank.INTERACTIVE, tally=wire.tally
        )
    except KB4Error as error:
        advice = ""
        if not isinstance(error, AuthenticationError | PermissionDeniedError):
            advice = f"Is the Tenant URL right? {WHERE}."
        checks.append(Check("users", "failed", str(error), advice))
        checks.extend(inspect_limits(scim.rate_status(), None))
        return Diagnosis(tuple(checks), error)
    checks.append(inspect_list("users", first.value))
    problem: KB4Error | None = None
    try:
        groups = await wire.read("Groups", read_list, {**query, "excludedAttributes": "members"})
        checks.append(inspect_list("groups", groups))
        await scim.users.directory.learn(wire)
        checks.append(inspect_filter(scim.users.directory.trust))
    except KB4Error as error:
        problem = error
        checks.append(Check("groups", "failed", str(error), "See the message."))
    checks.append(inspect_offers(await scim.users.updater.provider_config(wire)))
    checks.extend(inspect_limits(scim.rate_status(), first.headers))
    checks.append(inspect_clock(first.headers, datetime.now(UTC)))
    return Diagnosis(tuple(checks), problem)


def inspect_address(scim: ScimClient) -> Check:
    """Say where requests go, and that nobody said so."""
    if scim.default_address:
        return Check(
            "address",
            "warning",
            f"{scim.address.base_url} (that of US accounts)",
            f"Set KB4_TENANT_URL (tenant_url=): {WHERE}.",
        )
    return Check("address", "ok", scim.address.base_url)


def inspect_list(name: str, answer: ListAnswer) -> Check:
    """Say how many there are."""
    if answer.total is None:
        return Check(name, "warning", "readable, but the server does not say how many there are")
    advice = ""
    if answer.total == 0 and name == "users":
        advice = (
            "No user is known to SCIM. Once SCIM is live, KnowBe4 archives everybody it was not "
            "sent: send everybody first, in Test Mode."
        )
    return Check(name, "warning" if advice else "ok", f"{answer.total:,} readable", advice)


def inspect_filter(trust: Trust) -> Check:
    """Say what the server's filter is good for."""
    detail, advice = FILTERS[trust]
    return Check("filter", "warning" if advice else "ok", f"userName eq: {detail}", advice)


def inspect_offers(config: dict[str, Any]) -> Check:
    """Say what the server says it can do."""
    if not config:
        return Check("offers", "ok", "no ServiceProviderConfig; none is needed")
    said = [
        name
        for name, value in config.items()
        if isinstance(value, dict) and value.get("supported") is True
    ]
    return Check("offers", "ok", f"ServiceProviderConfig: {', '.join(said) or 'nothing special'}")
