"""Many listings of one kind side by side: the members of every group."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing
from typing import Any, Generic, Literal, TypeVar

from kb4_async.errors import IncompleteListingError, KB4Error, RateLimitError
from kb4_async.protocol.page import Page
from kb4_async.runtime.assembly import Form
from kb4_async.runtime.engine import Tally
from kb4_async.runtime.handover import ChildFailure, Handover
from kb4_async.runtime.iterators import PageIterator, RecordIterator
from kb4_async.runtime.listing import Listing
from kb4_async.runtime.scope import cancel
from kb4_async.runtime.source import Source
from kb4_async.runtime.stream import FINAL

R = TypeVar("R")

OnError = Literal["raise", "skip"]

#: Makes the child listings of one iteration, as their parents become known.
Children = Callable[[], AsyncGenerator[Listing[R], None]]

#: Child listings open at once: enough to hide latency, each with a page or two in memory.
OPEN_CHILDREN = 16


class MergedStream(Handover, Generic[R]):
    """Pages of many child listings, in whatever order they come; each child's own in order.

    Args:
        source: The client.
        children: The child listings.
        form: What the consumer wants of a page.
        on_error: ``raise`` ends with the first child's error, ``skip`` notes it and goes on.
        tally: Counts the children's requests.
    """

    def __init__(
        self,
        source: Source,
        children: AsyncGenerator[Listing[R], None],
        *,
        form: Form,
        on_error: OnError,
        tally: Tally | None,
    ) -> None:
        source.check()
        super().__init__()
        self.source = source
        self.children = children
        self.form = form
        self.on_error = on_error
        self.tally = tally
        self.failed: list[ChildFailure] = []
        #: The key may not be used for now. What is under way has been paid for: it is waited for.
        self.spent: RateLimitError | None = None
        self.ready: deque[tuple[Page[R], asyncio.Event]] = deque()
        self.places = asyncio.Semaphore(OPEN_CHILDREN)
        self.moved = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()
        self.opening = self.spawn(self.open_children(), "kb4 children")

    @property
    def failures(self) -> Sequence[ChildFailure]:
        """Child listings that failed and were passed over."""
        return tuple(self.failed)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start a task of this stream; the consumer looks whether it was the last to end."""
        task = self.source.scope.spawn(work, name)
        self.tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self.tasks.discard(task)
            if task.cancelled() and not self.stopped and self.error is None:
                # Nobody of ours cancelled it: partial must not end like complete.
                message = "A task of this listing was cancelled from outside: it is incomplete."
                self.error = IncompleteListingError(message, reason="no_proof")
                self.cancel_tasks()
            self.moved.set()
            self.wake()

        task.add_done_callback(ended)
        return task

    async def open_children(self) -> None:
        """Open child listings, some at a time, as their parents become known."""
        try:
            async with aclosing(self.children) as children:
                async for child in children:
                    await self.places.acquire()
                    if self.spent is not None:
                        return
                    task = self.spawn(self.follow(child), f"kb4 {child.spec.path}")
                    # It goes ahead alone until it is known how the server pages: learned once.
                    while not (task.done() or self.source.knows_paging(child.spec)):
                        self.moved.clear()
                        await self.moved.wait()
        except Exception as error:  # the parents' error is the consumer's
            self.fail(error)

    async def follow(self, child: Listing[R]) -> None:
        """Hand a child's pages over, one at a time."""
        try:
            async with aclosing(child.pages(form=self.form, tally=self.tally)) as pages:
                async for page in pages:
                    taken = asyncio.Event()
                    self.ready.append((page, taken))
                    self.moved.set()
                    self.wake()
                    # The next page is decoded only when this one was taken: memory stays bounded.
                    await taken.wait()
        except KB4Error as error:
            if isinstance(error, RateLimitError):
                self.spent = error
                self.failed.append(ChildFailure(child.spec.scope, error))
            elif self.on_error == "raise" or isinstance(error, FINAL):
                self.fail(error)
            else:
                self.failed.append(ChildFailure(child.spec.scope, error))
        except Exception as error:  # a defect must reach the consumer, not vanish in a task
            self.fail(error)
        finally:
            self.moved.set()
            self.places.release()

    async def next(self) -> Page[R]:
        """Return the next page of any child; each child ends with a page without items.

        Raises:
            StopAsyncIteration: Every child ended, or the stream was closed.
            KB4Error: Why it ended early.
        """
        self.check_loop()
        while True:
            if self.stopped:
                raise StopAsyncIteration
            self.source.check()
            if self.ready:
                page, taken = self.ready.popleft()
                taken.set()
                return page
            if self.error is not None:
                raise self.error
            if not self.tasks:
                raise self.spent or StopAsyncIteration
            await self.news()

    def fail(self, error: BaseException) -> None:
        """End with an error, after the pages that are there."""
        if self.error is None:
            self.error = error
            self.cancel_tasks()

    def cancel_tasks(self) -> None:
        """End every child but the one that is telling us to."""
        for task in self.tasks:
            if task is not asyncio.current_task(self.loop):
                task.cancel()
        self.wake()

    def shut(self) -> None:
        """Cancel every child and forget every page."""
        self.ready.clear()
        self.cancel_tasks()

    async def aclose(self) -> None:
        """The consumer left; returns when every task has ended."""
        self.stop()
        await cancel(self.tasks)


class FanOut(Generic[R]):
    """The listings of many parents as one; each iteration starts afresh.

    Records of different parents come in any order, those of one parent in order. Each page's
    ``scope`` names its parent, and each parent ends with a page without items. There is no resume
    token for the whole; each page's token belongs to its own listing.

    Memory: as for a ``Listing``, with up to 16 open at a time.

    Args:
        source: The client.
        children: Makes the child listings.
        on_error: ``raise`` or ``skip``; what was skipped is in the iterator's ``failures``.
    """

    def __init__(self, source: Source, children: Children[R], on_error: OnError) -> None:
        self.source = source
        self.children = children
        self.on_error = on_error

    def __aiter__(self) -> RecordIterator[R]:
        """Iterate records.

        Raises:
            KB4Error: The first error of any listing, unless skipped.
        """
        return RecordIterator(self.open_stream("items"))

    def pages(self, *, form: Form = "items", tally: Tally | None = None) -> PageIterator[R]:
        """Iterate pages.

        Args:
            form: As for a ``Listing``.
            tally: Counts the requests of this iteration.

        Raises:
            KB4Error: As in iterating records.
        """
        return PageIterator(self.open_stream(form, tally))

    def open_stream(self, form: Form, tally: Tally | None = None) -> MergedStream[R]:
        """Begin an iteration."""
        return MergedStream(
            self.source, self.children(), form=form, on_error=self.on_error, tally=tally
        )

    async def collect(self) -> list[R]:
        """Fetch everything into a list; about 3 kB a user."""
        async with aclosing(aiter(self)) as records:
            return [record async for record in records]
