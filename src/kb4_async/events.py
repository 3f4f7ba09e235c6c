"""What an observer (``on_event=``) is told: small frozen values, never a record or a credential."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


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
    """A 429 pauses the key, for all clients on it, for ``seconds``; then one probe is sent."""

    path: str
    seconds: float
    retry_after: float | None


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


@dataclass(frozen=True, slots=True)
class ExportStarted(Event):
    """An export begins to write.

    Attributes:
        destination: The folder.
        replaces: The folder holds an earlier, incomplete export, which is begun again.
    """

    destination: str
    replaces: bool


@dataclass(frozen=True, slots=True)
class ExportProgress(Event):
    """Where one resource of an export stands.

    Attributes:
        resource: Name of the export's resource.
        state: ``running``, then ``complete`` or ``incomplete``.
        rows: Records written so far.
        pages: Pages written so far.
        requests: Attempts made for it so far.
        requests_left: Requests still to come as far as known, or None.
        detail: Why, where the state is ``incomplete``.
    """

    resource: str
    state: str
    rows: int = 0
    pages: int = 0
    requests: int = 0
    requests_left: int | None = None
    detail: str = ""


Observer = Callable[[Event], None]
