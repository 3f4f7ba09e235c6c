"""``diagnose``: what ``kb4 doctor`` prints; tells the usual causes of trouble apart."""

from __future__ import annotations

from datetime import UTC, datetime

from kb4_async.errors import KB4Error, RateLimitError
from kb4_async.protocol import codec
from kb4_async.protocol.credential import Secret, read_claims
from kb4_async.protocol.request import Request
from kb4_async.reporting.client import ReportingClient
from kb4_async.runtime.diagnosis import Check, Diagnosis, inspect_clock, inspect_limits
from kb4_async.runtime.engine import Fetched, Tally
from kb4_async.runtime.turnstile import Rank

CONSOLES = (
    "training.knowbe4.com is us, eu.knowbe4.com is eu, ca.knowbe4.com is ca, uk.knowbe4.com is uk, "
    "de.knowbe4.com is de"
)


async def diagnose(kb: ReportingClient) -> Diagnosis:
    """Look at key, region, access, limits, use, ledger and clock. Two requests.

    Never raises for what it finds: the diagnosis holds it.
    """
    kb.source.check()
    engine = kb.source.engine
    wall = datetime.now(UTC)
    checks = [inspect_key(engine.transport.secret, wall), inspect_address(kb)]
    tally = Tally()
    try:
        account = await engine.fetch(
            Request("GET", "account"), codec.read_one, rank=Rank.INTERACTIVE, tally=tally
        )
    except KB4Error as error:
        advice = "" if isinstance(error, RateLimitError) else f"Which region? {CONSOLES}."
        checks.append(Check("account", "failed", str(error), advice))
        checks.extend(inspect_limits(kb.rate_status(), None))
        return Diagnosis(tuple(checks), error)
    checks.append(inspect_account(account, tally.took))
    problem: KB4Error | None = None
    try:
        first = await kb.users.list(per_page=1).first_page()
        checks.append(inspect_users(len(first)))
    except KB4Error as error:
        problem = error
        checks.append(Check("users", "failed", str(error), "See the message."))
    checks.extend(inspect_limits(kb.rate_status(), account.headers))
    checks.append(inspect_clock(account.headers, datetime.now(UTC)))
    return Diagnosis(tuple(checks), problem)


def inspect_key(secret: Secret, now: datetime) -> Check:
    """Look at the key without sending it. Reporting keys have been seen to be JSON Web Tokens."""
    claims = read_claims(secret.text)
    detail = f"{len(secret.text)} characters, fingerprint {secret.fingerprint}"
    expires = claims.get("exp")
    if isinstance(expires, int | float) and expires < now.timestamp():
        ended = datetime.fromtimestamp(expires, UTC).isoformat(timespec="minutes")
        return Check("key", "warning", f"{detail}, expired {ended}", "Create a new key.")
    return Check("key", "ok", detail)


def inspect_address(kb: ReportingClient) -> Check:
    """Say where requests go."""
    region = kb.address.region
    where = f"region {region}" if region else "a base URL of your own"
    return Check("address", "ok", f"{kb.address.base_url} ({where})")


def inspect_account(account: Fetched[bytes], took: float) -> Check:
    """Say whose account it is."""
    record = codec.items_of(account.value)[0]
    parts = [str(record.get("name")), f"type {record.get('type')}"]
    if record.get("number_of_seats") is not None:
        parts.append(f"{record['number_of_seats']} seats")
    return Check("account", "ok", f"{', '.join(parts)}; answered in {took * 1000:.0f} ms")


def inspect_users(found: int) -> Check:
    """Tell an account without users: it can be a wrong region, or an anonymized account."""
    if found:
        return Check("users", "ok", "readable")
    return Check(
        "users",
        "warning",
        "no users",
        f"An empty account can be the wrong one, another region, or anonymized. {CONSOLES}.",
    )
