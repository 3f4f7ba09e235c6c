"""What a doctor found: the checks that every client has in common."""

from __future__ import annotations

import email.utils
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from kb4_async.errors import KB4Error
from kb4_async.events import RateStatus
from kb4_async.protocol.verdict import rate_headers

State = Literal["ok", "warning", "failed"]

#: A clock further off than this makes dates of exports misleading and certificates fail.
MAX_SKEW = 60.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: Of ``diagnose``: ``key``, ``address``, ``account``, ``users``, ``limits``, ``used``,
            ``ledger`` or ``clock``; of ``diagnose_scim`` ``token``, ``groups``, ``filter`` and
            ``offers`` instead of ``key`` and ``account``.
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
        """Whether real work can be done."""
        return self.error is None


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
