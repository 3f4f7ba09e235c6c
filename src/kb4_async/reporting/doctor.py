"""``diagnose``: what ``kb4 doctor`` prints; tells the usual causes of trouble apart."""

from __future__ import annotations

import email.utils
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from kb4_async.errors import KB4Error, RateLimitError
from kb4_async.events import RateStatus
from kb4_async.protocol import codec
from kb4_async.protocol.credential import Secret, read_claims
from kb4_async.protocol.request import Request
from kb4_async.protocol.verdict import rate_headers
from kb4_async.reporting.client import ReportingClient
from kb4_async.runtime.engine import Fetched, Tally
from kb4_async.runtime.turnstile import Rank

State = Literal["ok", "warning", "failed"]

CONSOLES = (
    "training.knowbe4.com is us, eu.knowbe4.com is eu, ca.knowbe4.com is ca, uk.knowbe4.com is uk, "
    "de.knowbe4.com is de"
)
#: A clock further off than this makes dates of exports misleading and certificates fail.
MAX_SKEW = 60.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: ``key``, ``address``, ``account``, ``users``, ``limits``, ``used``, ``ledger`` or
            ``clock``.
        state: ``ok``, ``warning`` or ``failed``.
        detail: What was seen.
        advice: What to do; empty where all is well.
    """

    name: str
    state: State
    detail: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything that was looked at.

    Attributes:
        checks: In the order they were made.
        error: The error that a real run would meet, if there is one.
    """

    checks: tuple[Check, ...]
    error: KB4Error | None = None

    @property
    def healthy(self) -> bool:
        """Whether an export can run."""
        return self.error is None


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


def inspect_limits(status: RateStatus, headers: Mapping[str, str] | None) -> Iterator[Check]:
    """Say which limits hold and why, what was used, and what the server says of its own."""
    said = "; ".join(str(limit) for limit in status.held)
    if headers is not None:
        theirs = rate_headers(headers).limit
        said += f"; the server says {'nothing of its own' if theirs is None else f'{theirs:,}'}"
    if status.pauses:
        yield Check("limits", "warning", f"at most {said}; 429s paused the key meanwhile")
    else:
        yield Check("limits", "ok", f"at most {said}")
    ends = "" if status.day_ends is None else f", which ends at {status.day_ends}"
    yield Check("used", "ok", f"{status.used_today:,} requests in the key's day{ends}")
    if status.trouble is not None:
        yield Check("ledger", "warning", status.trouble)
    elif status.ledger is None:
        yield Check("ledger", "ok", "off: other programs that use the key are not known of")
    else:
        yield Check("ledger", "ok", status.ledger)


def inspect_clock(headers: Mapping[str, str], now: datetime) -> Check:
    """Compare this machine's clock with the server's ``Date``."""
    try:
        server = email.utils.parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return Check("clock", "warning", "the server sent no date", "")
    skew = (now - server).total_seconds()
    if abs(skew) > MAX_SKEW:
        return Check(
            "clock", "warning", f"{abs(skew):.0f} s off the server's", "Set this machine's clock."
        )
    return Check("clock", "ok", "agrees with the server's")
