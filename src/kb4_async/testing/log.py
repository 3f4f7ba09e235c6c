"""What a simulated server saw, for tests to judge by."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, overload


@dataclass(slots=True, eq=False)
class LoggedRequest:
    """One request: the first fields are known at its arrival, the rest when it was answered.

    Attributes:
        number: its place in the log, from 0.
        arrived: time of arrival on the simulator's clock.
        method: the HTTP method.
        path: the path behind `/v1/`, or the whole path if it lies elsewhere; SCIM's begins with
            `scim/v2/`.
        query: the query parameters.
        headers: the request's headers with lower-case names, without the credential.
        key: a fingerprint of the key, "" if none was sent; never the key.
        connection: the client's port, which tells connections apart.
        key_ok: whether the key opens an account here.
        fault: the kind of the fault that was played, if any.
        status: the status sent, None while (or if never) answered.
        answered: time when the answer was written, None if the connection was cut before.
        size: bytes of the body sent.
        request_id: the x-request-id sent.
        rows: records in the answer, None if the answer is not a list.
        cancelled: whether the client went away first.
        body: the JSON value sent, None where none (or no JSON) was.
    """

    number: int
    arrived: float
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    key: str
    connection: int
    key_ok: bool = False
    fault: str | None = None
    status: int | None = None
    answered: float | None = None
    size: int = 0
    request_id: str | None = None
    rows: int | None = None
    cancelled: bool = False
    body: Any = field(default=None, repr=False)

    @property
    def page(self) -> int | None:
        """Return the page asked for, None where none (or no number) was named."""
        text = self.query.get("page", "")
        return int(text) if text.isascii() and text.isdigit() else None

    @property
    def cursor(self) -> str | None:
        """Return the cursor asked for, None where none was named."""
        return self.query.get("cursor")

    @property
    def line(self) -> str:
        """Return the request as a line of an access log."""
        query = "&".join(f"{name}={value}" for name, value in self.query.items())
        target = f"{self.path}?{query}" if query else self.path
        if self.answered is None:
            return f"{self.method} {target} {self.fault or 'unanswered'}"
        milliseconds = (self.answered - self.arrived) * 1000
        fault = f" ({self.fault})" if self.fault else ""
        return f"{self.method} {target} {self.status} {self.size} B {milliseconds:.0f} ms{fault}"

    def is_at(self, path: str) -> bool:
        """Say whether the path is, or ends with, these segments (`*` stands for anything)."""
        wanted = path.strip("/")
        return fnmatchcase(self.path, wanted) or fnmatchcase(self.path, f"*/{wanted}")


class RequestLog(Sequence[LoggedRequest]):
    """All requests in order of arrival."""

    def __init__(self) -> None:
        """Start empty."""
        self.entries: list[LoggedRequest] = []

    def __len__(self) -> int:
        """Return the number of requests."""
        return len(self.entries)

    @overload
    def __getitem__(self, index: int) -> LoggedRequest: ...
    @overload
    def __getitem__(self, index: slice) -> list[LoggedRequest]: ...
    def __getitem__(self, index: int | slice) -> LoggedRequest | list[LoggedRequest]:
        """Return the request, or the requests, at that place."""
        return self.entries[index]

    def __iter__(self) -> Iterator[LoggedRequest]:
        """Return the requests in order of arrival."""
        return iter(self.entries)

    def add(self, entry: LoggedRequest) -> None:
        """Take in one more request."""
        self.entries.append(entry)

    def clear(self) -> None:
        """Forget everything."""
        self.entries.clear()

    def requests(
        self,
        path: str | None = None,
        *,
        status: int | None = None,
        key: str | None = None,
        method: str | None = None,
        where: Callable[[LoggedRequest], bool] | None = None,
    ) -> list[LoggedRequest]:
        """Return the requests that fit everything named."""
        return [
            entry
            for entry in self.entries
            if (path is None or entry.is_at(path))
            and (status is None or entry.status == status)
            and (key is None or entry.key == key)
            and (method is None or entry.method == method)
            and (where is None or where(entry))
        ]

    def worst_window(
        self, seconds: float, *, path: str | None = None, key: str | None = None
    ) -> int:
        """Return the most arrivals in any window of that length, for one key at a time.

        A window holds its end but not its start, as the simulator's sliding limit counts. Refused
        requests count too: they arrived.
        """
        worst = 0
        recent: dict[str, deque[float]] = {}
        for entry in self.requests(path, key=key):
            window = recent.setdefault(entry.key, deque())
            while window and window[0] + seconds <= entry.arrived:
                window.popleft()
            window.append(entry.arrived)
            worst = max(worst, len(window))
        return worst

    def most_in_flight(self) -> int:
        """Return the most requests that were unanswered at one time."""
        changes: list[tuple[float, int]] = []
        for entry in self.entries:
            changes.append((entry.arrived, 1))
            if entry.answered is not None:
                changes.append((entry.answered, -1))
        flying = worst = 0
        for _, change in sorted(changes):
            flying += change
            worst = max(worst, flying)
        return worst
