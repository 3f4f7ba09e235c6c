"""What a consumer of users or groups iterates: objects that can be left at any time.

Objects and not generators, for the reason that ``runtime.iterators`` gives: a generator whose
``anext`` was cancelled would end, and what was read would pass for the whole.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Generator, Iterable, Iterator, Sequence
from typing import Any, Generic, Self, TypeVar

from kb4_async.protocol.scim.columns import Rejected
from kb4_async.scim.input_rows import Assembler

T = TypeVar("T")

#: Rows, or items, between two chances for others to run.
BATCH = 500


class Reader(Generic[T]):
    """A file that is read by one thread after another, and closed as soon as none reads.

    Args:
        batches: Reads it; closing it closes the file.
    """

    def __init__(self, batches: Generator[Sequence[T | Rejected], None, None]) -> None:
        self.batches = batches
        self.lock = threading.Lock()
        self.closed = False

    def take(self) -> Sequence[T | Rejected] | None:
        """Read some more; None at the end."""
        with self.lock:
            batch = None if self.closed else next(self.batches, None)
        if self.closed:  # meanwhile, by who could not wait
            self.close()
        return batch

    def close(self) -> None:
        """Close the file; if a thread reads just now it will, when it has read."""
        self.closed = True
        if self.lock.acquire(blocking=False):
            try:
                self.batches.close()
            finally:
                self.lock.release()


class Iteration(Generic[T]):
    """One reading, from the beginning. An error is raised again by whoever asks for more."""

    def __init__(self) -> None:
        self.found: deque[T | Rejected] = deque()
        self.failure: Exception | None = None
        self.ended = False

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> T | Rejected:
        """Return the next user or group, or what was left out in its place."""
        while not self.found:
            if self.failure is not None:
                raise self.failure
            if self.ended:
                raise StopAsyncIteration
            try:
                await self.more()
            except Exception as error:
                self.failure = error
                raise
        return self.found.popleft()

    async def more(self) -> None:
        """Find more, or the end."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Stop. May be called again; nothing more is given out."""
        self.ended = True
        self.failure = None
        self.found.clear()


class FileIteration(Iteration[T]):
    """Reads a file in threads, so that the event loop never waits for it."""

    def __init__(self, reader: Reader[T]) -> None:
        super().__init__()
        self.reader = reader
        self.reading: asyncio.Future[Sequence[T | Rejected] | None] | None = None
        # Whoever leaves the loop early drops this object, and closes nothing.
        self.dropped = weakref.finalize(self, reader.close)

    async def more(self) -> None:
        """Wait for the next batch. Who is cancelled here leaves it to who asks next."""
        if self.reading is None:
            loop = asyncio.get_running_loop()
            self.reading = loop.run_in_executor(None, self.reader.take)
            self.reading.add_done_callback(look_at)
        reading = self.reading
        await asyncio.wait({reading})
        if self.reading is not reading or self.ended:
            return  # another task has taken it, or closed the file
        self.reading = None
        batch = reading.result()
        if batch is None:
            self.ended = True
            self.dropped()
        else:
            self.found.extend(batch)

    async def aclose(self) -> None:
        """Stop, and return when the file is closed."""
        await super().aclose()
        self.dropped()
        if self.reading is not None:
            await asyncio.wait({self.reading})


def look_at(reading: asyncio.Future[Any]) -> None:
    """Look at an error that nobody waits for any more, so that asyncio does not report it."""
    if not reading.cancelled():
        reading.exception()


class ItemIteration(Iteration[T]):
    """Takes objects from an iterable, in the event loop: it may belong there."""

    def __init__(
        self, source: Iterable[object] | AsyncIterable[object], made: Assembler[T]
    ) -> None:
        super().__init__()
        self.made = made
        self.number = 0
        self.items: Iterator[object] | AsyncIterator[object] = (
            aiter(source) if isinstance(source, AsyncIterable) else iter(source)
        )

    async def more(self) -> None:
        """Take one object."""
        if self.number % BATCH == BATCH - 1:
            await asyncio.sleep(0)
        try:
            given = await self.next()
        except (StopIteration, StopAsyncIteration):
            self.ended = True
            self.found.extend(self.made.end())
            return
        self.number += 1
        self.found.extend(self.made.item(f"item {self.number}", given))

    async def next(self) -> object:
        """The next object.

        Raises:
            StopAsyncIteration: There is none.
        """
        if isinstance(self.items, AsyncIterator):
            return await anext(self.items)
        for item in self.items:
            return item
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Stop; a generator is closed."""
        await super().aclose()
        if isinstance(self.items, Generator):
            self.items.close()
        else:
            close = getattr(self.items, "aclose", None)
            if close is not None:
                await close()


def is_iterator(source: object) -> bool:
    """Whether something can be iterated but once."""
    return isinstance(source, Iterator | AsyncIterator)
