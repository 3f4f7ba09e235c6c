"""What a listing needs of its client, and what it needs to know of itself."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from kb4_async.errors import ClientClosedError
from kb4_async.options import Paging
from kb4_async.protocol.asks import Ask, Verify
from kb4_async.protocol.codec import Key
from kb4_async.protocol.endpoints import PAGE_SIZES, USERS, Endpoint
from kb4_async.protocol.habits import Habits
from kb4_async.protocol.modes import begin
from kb4_async.protocol.reader import Reader, Setup
from kb4_async.protocol.request import Request
from kb4_async.protocol.token import Identity, Place, read_token
from kb4_async.runtime.engine import Engine
from kb4_async.runtime.pool import PagePool
from kb4_async.runtime.scope import Scope

T = TypeVar("T")


class Source:
    """A client, as its listings see it. It opens on first use, in the event loop it is used in.

    Args:
        build: Makes the engine, inside the running loop.
        max_concurrency: Bound on the client's pages in memory.
        paging: How listings are paged.

    Attributes:
        scope: Owns tasks.
        pool: Bounds pages in memory.
        habits: How the server pages, as far as was learned.
    """

    def __init__(
        self, build: Callable[[], Engine], max_concurrency: int, paging: Paging = "auto"
    ) -> None:
        self.build = build
        self.scope = Scope()
        self.pool = PagePool(max_concurrency)
        self.paging: Paging = paging
        self.habits = Habits()
        self.closed = False
        self.opened: Engine | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.process = os.getpid()

    def check(self) -> None:
        """Raise unless the client can be used here and now.

        Raises:
            ClientClosedError: It was closed.
            RuntimeError: It belongs to another event loop, or to the process that forked this one.
        """
        if self.closed:
            msg = (
                "The client is closed: open a new one, and go on from resume_token if there is one."
            )
            raise ClientClosedError(msg)
        loop = asyncio.get_running_loop()
        if self.loop is not loop or self.process != os.getpid():
            if self.loop is not None or self.process != os.getpid():
                msg = "This client belongs to another event loop or process: make a new one here."
                raise RuntimeError(msg)
            self.loop, self.opened = loop, self.build()

    def knows_paging(self, spec: Spec) -> bool:
        """Whether reading that listing can teach nothing more about how the server pages."""
        row, habits = spec.endpoint, self.habits
        if self.paging != "auto" or row.paging == "one_answer":
            return True
        mode = habits.modes.get(row.resource)
        one_page = spec.count is not None and spec.count <= spec.per_page
        return mode == "cursor" or (mode == "number" and (habits.numbers or one_page))

    @property
    def engine(self) -> Engine:
        """Makes requests; only after ``check``."""
        if self.opened is None:
            self.check()
        assert self.opened is not None  # noqa: S101  # check() opened it or raised
        return self.opened

    async def call(self, work: Callable[[], Awaitable[T]], name: str) -> T:
        """Do one thing for a caller who waits for it, in a task that ends with the client.

        Raises:
            ClientClosedError: The client was closed meanwhile.
        """
        results: list[T] = []

        async def run() -> None:
            results.append(await work())

        task = self.scope.spawn(run(), name)
        try:
            await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if self.closed and not (current and current.cancelling()):
                msg = "The client was closed before the answer came: open a new one and ask again."
                raise ClientClosedError(msg) from None
            raise
        return results[0]

    async def close(self) -> None:
        """Cancel what is under way, then close the connections. May be called again."""
        self.closed = True
        await self.scope.close()
        if self.opened is not None:
            limiter = self.opened.limiter
            limiter.close()
            await self.opened.transport.close()
            await limiter.settle()


class Recount(NamedTuple):
    """How a parent is asked again for the number of its children.

    Attributes:
        request: What is asked.
        read: Finds the count in the answer's body; None where it has none.
    """

    request: Request
    read: Callable[[bytes], int | None]


class Known(NamedTuple):
    """What an earlier run delivered of a listing, for whoever still has it.

    Attributes:
        keys: The records' keys.
        rows: How many records there are; some servers list one twice.
    """

    keys: frozenset[Key]
    rows: int


@dataclass(frozen=True, slots=True)
class Spec:
    """One listing: what is asked and how it is read.

    Attributes:
        endpoint: Row of the endpoint table.
        path: The endpoint's path, filled and quoted.
        query: Filters as sent.
        scope: The parent's key.
        per_page: Page size.
        max_items: Most records to deliver; None for all.
        prefetch: Pages fetched ahead of the consumer.
        verify: ``tail``, ``full`` or ``none``.
        count: Number of records as a parent's record gives it; None where unknown.
        recount: How to ask for ``count`` again.
        start: Resume token.
        known: What was delivered before ``start``, or, without one, what is not to be delivered
            again although everything is read.
    """

    endpoint: Endpoint
    path: str
    query: Mapping[str, str]
    scope: Mapping[str, object]
    per_page: int
    max_items: int | None
    prefetch: int
    verify: Verify
    count: int | None = None
    recount: Recount | None = None
    start: str | None = None
    known: Known | None = None

    @property
    def identity(self) -> Identity:
        """What a resume token of this listing belongs to."""
        return Identity(self.endpoint.resource, self.scope, self.query, self.per_page)

    def machine(self, habits: Habits, paging: Paging) -> Reader:
        """The state machine of one iteration.

        Args:
            habits: How the server pages, as far as is known.
            paging: How the client was told to page.

        Raises:
            CheckpointMismatchError: ``start`` belongs to another listing.
            ConfigurationError: ``start`` is no token.
        """
        row = self.endpoint
        setup = Setup(
            per_page=min(self.per_page, habits.sizes.get(row.resource, self.per_page)),
            count=self.count,
            recount=self.recount is not None,
            max_items=self.max_items,
            verify=self.verify,
            server_limit=row.limited(self.query),
            doubtful=PAGE_SIZES if row.paging == "unsure" else None,
            resource=row.resource,
            habits=habits,
            auto=paging == "auto",
            known=None if self.known is None else self.known.keys,
        )
        place = None
        if self.start is not None:
            place = read_token(self.start, self.identity)
        elif self.known is not None:
            place = Place(size=setup.per_page, rows=self.known.rows)
        return begin(setup, paging, row.paging, place)

    def request(self, ask: Ask) -> Request:
        """The request of one page."""
        if ask.elsewhere:
            return Request("GET", USERS.path, ask.query({}))
        return Request("GET", self.path, ask.query(self.query))
