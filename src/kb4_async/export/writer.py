"""Between the event loop and the sinks: one worker thread, never two calls at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from kb4_async.errors import KB4Error, SinkError
from kb4_async.export.resources import dataset
from kb4_async.protocol.page import Page
from kb4_async.sinks import Position, Sink, SinkFactory

T = TypeVar("T")

#: Pages between two commits of a dataset: what a kill can cost is asked again.
COMMIT_PAGES = 16


class Worker:
    """The export's worker thread."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kb4-sink")

    async def run(self, call: Callable[[], T]) -> T:
        """Run a call in the thread; once begun it ends, also when the caller is cancelled.

        Raises:
            CancelledError: After the call has ended.
        """

        def guarded() -> T:
            try:
                return call()
            except StopIteration as error:
                # A future cannot hold this one, and who waits for it would wait for ever.
                msg = "StopIteration was raised"
                raise RuntimeError(msg) from error

        future = asyncio.wrap_future(self.pool.submit(guarded))
        interrupted: asyncio.CancelledError | None = None
        while not future.done():
            try:
                await asyncio.shield(future)
            except asyncio.CancelledError as error:
                interrupted = error
            except Exception:  # noqa: S110  # raised below, by result()
                pass
        if interrupted is not None:
            future.exception()  # looked at, so that asyncio does not report it as lost
            raise interrupted
        return future.result()

    def close(self) -> None:
        """End the thread; every call has ended by then."""
        self.pool.shutdown(wait=True)


class DatasetWriter:
    """One dataset's sink, used from the event loop.

    Args:
        worker: The thread all sinks share.
        factory: Makes the sink.
        name: Name of the resource.
    """

    def __init__(self, worker: Worker, factory: SinkFactory, name: str) -> None:
        self.worker = worker
        self.factory = factory
        self.name = name
        self.sink: Sink | None = None
        self.position: Position = {}
        #: What the sink took; counted in its thread, for a caller may be cancelled.
        self.rows = self.pages = self.uncommitted = 0

    async def open(self) -> None:
        """Open the sink.

        Raises:
            SinkError: The destination failed.
        """

        def call() -> None:
            sink = self.factory()
            sink.open(dataset(self.name), None)
            self.sink = sink

        await self.guarded(call)

    async def write(self, page: Page[Any]) -> None:
        """Write a page, and commit from time to time.

        Raises:
            SinkError: The destination failed.
        """

        def call() -> None:
            assert self.sink is not None  # noqa: S101  # opened before
            self.sink.write(page)
            self.rows += len(page)
            self.pages += 1
            self.uncommitted += 1
            if self.uncommitted >= COMMIT_PAGES:
                self.commit()

        await self.guarded(call)

    async def close(self, *, complete: bool) -> None:
        """Commit what is whole and release the destination.

        Raises:
            SinkError: The destination failed.
        """

        def call() -> None:
            if self.sink is None:
                return
            sink = self.sink
            try:
                self.commit()
            finally:
                self.sink = None
                sink.close(complete)

        await self.guarded(call)

    def commit(self) -> None:
        """Commit, in the worker thread."""
        if self.sink is not None:
            self.position = self.sink.commit() or {}
            self.uncommitted = 0

    async def guarded(self, call: Callable[[], None]) -> None:
        """Run a call; whatever a sink raises becomes a ``SinkError``."""
        try:
            await self.worker.run(call)
        except KB4Error:
            raise
        except Exception as error:
            msg = (
                f"The sink of {self.name} failed ({type(error).__name__}: {error}): mend the "
                "destination, then run again."
            )
            raise SinkError(msg) from error
