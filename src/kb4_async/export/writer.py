"""Between the event loop and the sinks: one worker thread, never two calls at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic
from typing import Any, TypeVar

from kb4_async.errors import KB4Error, SinkError
from kb4_async.export.checkpoint import Checkpoint
from kb4_async.export.resources import dataset
from kb4_async.export.units import Progress, Unit
from kb4_async.protocol.page import Page
from kb4_async.sinks import Sink, SinkFactory

T = TypeVar("T")

#: An export commits as often as costs a twentieth of its time, for what a kill finds uncommitted is
#: asked again; what is left over, every other second.
COMMIT_SHARE = 20
COMMIT_SECONDS = 2.0


class Worker:
    """The export's worker thread, and when it commits next."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kb4-sink")
        self.next_commit = 0.0
        self.writers: list[DatasetWriter] = []

    @contextmanager
    def committing(self) -> Iterator[None]:
        """Take the time that a commit takes; in the thread."""
        began = monotonic()
        yield
        self.next_commit = monotonic() + COMMIT_SHARE * (monotonic() - began)

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
    """One dataset's sinks and what is kept of how far they are, used from the event loop.

    Pages are committed sinks first, then checkpoint: what a kill leaves behind the last checkpoint
    is cut off, or overwritten by key, when the sinks are opened again.

    Args:
        worker: The thread all sinks share.
        factories: Make the sinks. The last is the spool: JSON lines that a later run reads.
        progress: How far the dataset is.
        checkpoint: Where that is kept.
        facts: Facts of the export, kept with it.
    """

    def __init__(
        self,
        worker: Worker,
        factories: Sequence[SinkFactory],
        progress: Progress,
        checkpoint: Checkpoint,
        facts: Callable[[], Mapping[str, object]],
    ) -> None:
        self.worker = worker
        self.factories = factories
        self.progress = progress
        self.checkpoint = checkpoint
        self.facts = facts
        self.sinks: list[Sink] = []
        self.uncommitted = 0
        #: One sink took a page that another did not: they agree only about what is committed.
        self.torn = False
        self.failure: Exception | None = None
        worker.writers.append(self)

    async def open(self) -> None:
        """Open the sinks where the last checkpoint left them.

        Raises:
            SinkError: The destination failed.
        """
        progress = self.progress

        def call() -> None:
            if progress.cut_off:
                progress.begin_anew()
                self.checkpoint.forget(progress)
            if not progress.positions:
                progress.positions = [None] * len(self.factories)
            kept = progress.positions[-1]
            if progress.rows != (kept["rows"] if kept else 0):
                msg = (
                    f"{self.checkpoint.path} contradicts itself about {progress.name}: start over "
                    "with --fresh (fresh=True)."
                )
                raise SinkError(msg)
            for factory, position in zip(self.factories, progress.positions, strict=True):
                sink = factory()
                sink.open(dataset(progress.name), position)
                self.sinks.append(sink)

        await self.guarded(call)

    async def write(self, page: Page[Any], unit: Unit) -> None:
        """Write a page of a unit, and commit from time to time.

        Raises:
            SinkError: The destination failed.
        """

        def call() -> None:
            self.torn = len(self.sinks) > 1
            for sink in self.sinks:
                sink.write(page)
            self.torn = False
            self.progress.wrote(unit, page)
            self.count()

        await self.guarded(call)

    async def end(self, unit: Unit, reason: str, *, counted: int | None, again: bool) -> None:
        """Note what proved a unit's end.

        Args:
            unit: The unit.
            reason: What proved its end.
            counted: What the server counts, where it does.
            again: The next run has to read it all the same.

        Raises:
            SinkError: The destination failed.
        """

        def call() -> None:
            unit.end, unit.counted, unit.again = reason, counted, again
            self.progress.changed.add(unit.key)
            self.count()

        await self.guarded(call)

    async def stopped(self, unit: Unit, token: str) -> None:
        """Note where a unit goes on that ended early, with everything before that written.

        Its last page's own token does not tell what was learned of pages behind it.

        Raises:
            SinkError: The destination failed.
        """

        def call() -> None:
            unit.token, unit.behind = token, None
            self.progress.changed.add(unit.key)
            self.uncommitted += 1

        await self.guarded(call)

    async def reread(self, units: Sequence[Unit]) -> None:
        """Note that the next run has to read units from their beginning.

        Raises:
            SinkError: The destination failed.
        """

        def call() -> None:
            for unit in units:
                unit.again = True
                self.progress.changed.add(unit.key)
                self.uncommitted += 1

        await self.guarded(call)

    async def commit(self) -> None:
        """Commit what is not committed yet.

        Raises:
            SinkError: The destination failed.
        """
        if self.uncommitted:
            await self.guarded(self.commit_now)

    async def close(self, *, complete: bool) -> None:
        """Commit what is whole and release the destination.

        Raises:
            SinkError: The destination failed.
        """

        def call() -> None:
            try:
                self.commit_now()
            finally:
                sinks, self.sinks = self.sinks, []
                for sink in sinks:
                    sink.close(complete)

        await self.guarded(call)

    # -- in the worker thread ---------------------------------------------------------------------

    def count(self) -> None:
        """One thing more is not committed. When it is time, every dataset is."""
        self.uncommitted += 1
        if monotonic() < self.worker.next_commit:
            return
        with self.worker.committing():
            for writer in self.worker.writers:
                try:
                    if writer.uncommitted:
                        writer.commit_now()
                except Exception as error:  # raised to whoever it belongs to
                    writer.failure = error

    def commit_now(self) -> None:
        """Sinks first, then the checkpoint."""
        if not self.sinks or self.torn:
            return
        self.progress.positions = [sink.commit() or {} for sink in self.sinks]
        self.checkpoint.record(self.progress, self.facts())
        self.uncommitted = 0

    async def guarded(self, call: Callable[[], None]) -> None:
        """Run a call; whatever a sink raises becomes a ``SinkError``."""
        try:
            await self.worker.run(call)
            if self.failure is not None:
                error, self.failure = self.failure, None
                raise error
        except KB4Error:
            raise
        except Exception as error:
            msg = (
                f"The sink of {self.progress.name} failed ({type(error).__name__}: {error}): mend "
                "the destination, then run again."
            )
            raise SinkError(msg) from error
