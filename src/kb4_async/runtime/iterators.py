"""What a consumer iterates: objects, not generators.

A generator whose ``anext`` was cancelled or timed out raises ``StopAsyncIteration`` afterwards,
which would turn a partial listing into a complete one. These take nothing until they return, so
the next
``anext`` delivers the same record; and when one is dropped, its fetchers end at once.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from typing import Generic, Protocol, Self, TypeVar

from kb4_async.protocol.page import Page
from kb4_async.runtime.handover import ChildFailure

R = TypeVar("R")


class Pages(Protocol[R]):
    """Where an iterator takes pages: a listing's stream, or several merged."""

    @property
    def failures(self) -> Sequence[ChildFailure]:
        """Child listings that failed and were passed over."""
        ...

    def requests_left(self) -> int | None:
        """Requests still to come as far as known."""
        ...

    async def next(self) -> Page[R]:
        """Return the next page or raise ``StopAsyncIteration``."""
        ...

    async def aclose(self) -> None:
        """End every fetcher and wait for that."""
        ...

    def abandon(self) -> None:
        """End every fetcher, from wherever the iterator was dropped."""
        ...


class Leaving(Generic[R]):
    """The shared half of both iterators: ending the fetchers, whichever way the consumer leaves."""

    def __init__(self, stream: Pages[R]) -> None:
        self.stream = stream
        # The stream must not know the iterator, or it would never be collected.
        self.dropped = weakref.finalize(self, stream.abandon)
        self.dropped.atexit = False

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    @property
    def failures(self) -> Sequence[ChildFailure]:
        """Child listings that failed so far under ``on_error="skip"``."""
        return self.stream.failures

    def requests_left(self) -> int | None:
        """Requests still to come: exact once the end is known, None before."""
        return self.stream.requests_left()

    async def aclose(self) -> None:
        """Stop fetching; returns when every fetcher has ended. May be called again."""
        await self.stream.aclose()


class PageIterator(Leaving[R]):
    """Iterates pages in order. The last page has no items and tells why the listing ended."""

    async def __anext__(self) -> Page[R]:
        """Return the next page."""
        return await self.stream.next()


class RecordIterator(Leaving[R]):
    """Iterates records in order."""

    def __init__(self, stream: Pages[R]) -> None:
        super().__init__(stream)
        self.records: Iterator[R] = iter(())
        self.waiting = False

    async def __anext__(self) -> R:
        """Return the next record.

        Raises:
            RuntimeError: Another task waits here already: let workers share ``pages()`` instead.
        """
        for record in self.records:
            return record
        if self.waiting:
            msg = "Another task waits for this iterator's next record: share pages() instead."
            raise RuntimeError(msg)
        self.waiting = True
        try:
            while True:
                # An exhausted iterator has let go of its page: its memory is used again while hot.
                self.records = iter((await self.stream.next()).items)
                for record in self.records:
                    return record
        finally:
            self.waiting = False

    async def aclose(self) -> None:
        """Stop fetching; returns when every fetcher has ended. Nothing more is delivered."""
        self.records = iter(())
        await super().aclose()
