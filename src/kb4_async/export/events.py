"""What an observer is told of exports."""

from __future__ import annotations

from dataclasses import dataclass

from kb4_async.events import Event


@dataclass(frozen=True, slots=True)
class ExportStarted(Event):
    """An export begins to write.

    Attributes:
        destination: The folder.
        replaces: The folder holds an earlier export, which is begun again.
        resumes: The folder holds an unfinished export, which goes on.
    """

    destination: str
    replaces: bool
    resumes: bool = False


@dataclass(frozen=True, slots=True)
class ExportWaiting(Event):
    """An export's daily quota is spent; it sleeps, and goes on when the quota is free again.

    Attributes:
        destination: The folder.
        until: UTC, ISO 8601.
    """

    destination: str
    until: str


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


@dataclass(frozen=True, slots=True)
class AccountEvent(Event):
    """Something happened to one of several accounts that are exported side by side.

    Attributes:
        account: The account's name.
        event: What happened: any event of its client or of its export, and at last
            ``AccountFinished``.
    """

    account: str
    event: Event


@dataclass(frozen=True, slots=True)
class AccountFinished(Event):
    """The export of one of several accounts has ended; always within an ``AccountEvent``.

    Attributes:
        state: ``complete``, ``incomplete``, ``kept`` (its folder held a complete export already) or
            ``failed`` (an error ended it).
        rows: Records written.
        requests: Attempts made, as far as its report knows; 0 where an error ended it.
        detail: Why, unless the state is ``complete``.
    """

    state: str
    rows: int = 0
    requests: int = 0
    detail: str = ""
