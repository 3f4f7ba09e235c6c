"""What an observer (``on_event=``) is told: small frozen values, never a record or a credential."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from kb4_async.options import Window

#: Well before the end of the year 9999, the last one a calendar has, in any time zone.
LAST_SECOND = 253_400_000_000.0


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events."""


@dataclass(frozen=True, slots=True)
class RequestFinished(Event):
    """One attempt ended.

    Attributes:
        method: HTTP method.
        path: Path below the base URL, without the query.
        attempt: 1 for the first.
        status: HTTP status, or None where no answer came.
        seconds: From the grant of its permit to the end of its body.
        request_id: The server's ``X-Request-Id``, where one came.
    """

    method: str
    path: str
    attempt: int
    status: int | None
    seconds: float
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class RetryScheduled(Event):
    """An attempt failed and will be made again after ``delay`` seconds."""

    path: str
    attempt: int
    delay: float
    reason: str


@dataclass(frozen=True, slots=True)
class KeyPaused(Event):
    """A 429 pauses the key, for all clients on it; then one probe is sent.

    Attributes:
        path: What was refused; empty where another process met the refusal.
        seconds: Length of the pause.
        retry_after: What the server asked for, in seconds; None where it asked for nothing.
    """

    path: str
    seconds: float
    retry_after: float | None


@dataclass(frozen=True, slots=True)
class LimitChanged(Event):
    """What a key is held to changed: lowered by the server, or raised again after quiet minutes.

    Attributes:
        window: The limit of a minute from now on; a second's share of it is held too.
        why: ``learned from a refusal at 14:02``, for example.
    """

    window: Window
    why: str

    def __str__(self) -> str:
        return f"{words(self.window)}, {self.why}"


@dataclass(frozen=True, slots=True)
class LedgerUnavailable(Event):
    """The ledger cannot be used. Until it can, the key is held to 4 requests a second and 50 a
    minute. Told once.

    Attributes:
        path: The ledger's file; empty where no place for it was found.
        reason: What is wrong, and what to do.
    """

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class HeldLimit:
    """One limit that a key is held to.

    Attributes:
        window: The limit.
        why: Where it comes from.
    """

    window: Window
    why: str

    def __str__(self) -> str:
        return f"{words(self.window)}, {self.why}"


@dataclass(frozen=True, slots=True)
class RateStatus:
    """How a key stands, for all clients of it in this process.

    Attributes:
        held: The limits in force, the shortest time first.
        granted: Requests that this process let through since it began.
        in_flight: Those of them that are under way.
        waiting: Requests that wait for a permit.
        pauses: Pauses that 429s began in that time.
        paused_for: Seconds that the present pause still lasts; 0 without one.
        used_today: Requests of the key's day, with those of other processes if there is a ledger.
        day_ends: UTC time, ISO 8601, at which that day ends, 24 hours after its first request; None
            before that.
        ledger: The ledger's file; None without one.
        trouble: Why the ledger cannot be used; None where it can.
    """

    held: tuple[HeldLimit, ...]
    granted: int
    in_flight: int
    waiting: int
    pauses: int
    paused_for: float
    used_today: int
    day_ends: str | None
    ledger: str | None
    trouble: str | None


def words(window: Window) -> str:
    """A limit in words: ``48 requests a minute``."""
    units = {1.0: "a second", 60.0: "a minute", 3600.0: "an hour", 86_400.0: "a day"}
    time = units.get(window.seconds, f"in {window.seconds:g} s")
    return f"{window.requests:,} request{'' if window.requests == 1 else 's'} {time}"


@dataclass(frozen=True, slots=True)
class ListingRepaired(Event):
    """Rows moved while a listing was read; it is read again, and each key is kept once.

    Attributes:
        resource: The listing, for example ``users``.
        scope: The parent's key, for example ``{"group_id": 789}``; empty without a parent.
        reading: Number of the reading that begins now, 2 or more.
    """

    resource: str
    scope: Mapping[str, object]
    reading: int


def clock_time(moment: float, now: float) -> str:
    """A time of day, with its date unless it is today's."""
    then, today = calendar(moment).astimezone(), calendar(now).astimezone().date()
    return then.strftime("%H:%M" if then.date() == today else "%Y-%m-%d %H:%M")


def calendar(moment: float) -> datetime:
    """Seconds since the epoch as a date in UTC, the nearest that a calendar has."""
    return datetime.fromtimestamp(min(max(moment, 0.0), LAST_SECOND), UTC)


Observer = Callable[[Event], None]
