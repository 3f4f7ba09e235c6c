"""The page fetchers of one iteration: concurrent, ordered, bounded.

A stream owns the state machine of one iteration and the tasks that fetch for it. The tasks know the
stream, and the stream never knows its iterator, so an iterator that is dropped is collected at once
and takes the tasks with it.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Generic, TypeVar

from kb4_async.errors import (
    AuthenticationError,
    ClientClosedError,
    DecodeError,
    KB4Error,
    RateLimitError,
)
from kb4_async.events import ListingRepaired
from kb4_async.protocol import token
from kb4_async.protocol.asks import Ask
from kb4_async.protocol.cursors import shown_cursor
from kb4_async.protocol.modes import changed
from kb4_async.protocol.page import Page
from kb4_async.runtime.assembly import (
    Form,
    Held,
    Received,
    make_last_page,
    make_page,
    open_page,
    read_page,
    release,
)
from kb4_async.runtime.engine import Fetched, Tally
from kb4_async.runtime.handover import Handover
from kb4_async.runtime.pool import Place
from kb4_async.runtime.scope import cancel
from kb4_async.runtime.source import Source, Spec
from kb4_async.runtime.turnstile import Rank

R = TypeVar("R")

#: Errors that every other page would meet too: nothing more is asked after one of them.
FINAL = (AuthenticationError, RateLimitError, ClientClosedError)

#: What is delivered.
FETCHING = frozenset({"page", "probe"})

#: What only compares, and so may wait for pages.
CHECKING = frozenset({"look", "count", "proof"})


log = logging.getLogger("kb4_async")


class PageStream(Handover, Generic[R]):
    """One iteration of a listing.

    Args:
        source: The client.
        spec: The listing.
        form: ``items`` decodes a page when its turn comes, ``raw`` only splits it.
        rank: Class of its requests.
        tally: Counts its requests.
    """

    def __init__(
        self,
        source: Source,
        spec: Spec,
        *,
        form: Form = "items",
        rank: Rank = Rank.PAGES,
        tally: Tally | None = None,
    ) -> None:
        source.check()
        super().__init__()
        self.source = source
        self.spec = spec
        self.form = form
        self.rank = rank
        self.machine = spec.machine(source.habits, source.paging)
        self.turn, self.reading = self.machine.turn, self.machine.reading
        self.moves = self.machine.delivery.moves
        self.number = source.pool.join()
        self.held: dict[int, Held] = {}
        self.tasks: dict[Ask, asyncio.Task[None]] = {}
        self.page_errors: dict[int, KB4Error] = {}
        self.ended = False
        self.tally = tally or Tally()

    # -- the consumer's side ----------------------------------------------------------------------

    def requests_left(self) -> int | None:
        """Requests still to come: exact once the end is known, None before."""
        return self.machine.requests_left()

    async def next(self) -> Page[R]:
        """Return the next page, in order; the last one has no items.

        Cancelling the wait takes nothing: the next call returns the same page.

        Raises:
            StopAsyncIteration: The last page was returned, or the stream was closed.
            KB4Error: Why the listing ended early; the same each time, with ``resume_token``.
        """
        self.check_loop()
        while True:
            page = self.take()
            if page is not None:
                return page
            await self.news()

    def take(self) -> Page[R] | None:
        """Take the next page if it is there. Does not wait."""
        if self.stopped or self.ended:
            raise StopAsyncIteration
        try:
            self.source.check()
            if self.machine.position in self.held or self.error is None:
                return self.take_page()
        except Exception as error:
            self.fail(error)
        if self.error is None:
            return None
        self.drop()
        if isinstance(self.error, KB4Error) and self.error.resume_token is None:
            self.error.resume_token = token.write_token(self.spec.identity, self.machine.place())
        raise self.error

    def take_page(self) -> Page[R] | None:
        """Deliver pages that are there until one brings something new."""
        while (machine := self.machine).end_reason is None:
            number = machine.position
            held = self.held.pop(number, None)
            if held is None:
                if number in self.page_errors and machine.stuck_at(number):
                    error = self.page_errors[number]
                    if self.tasks and isinstance(error, RateLimitError):
                        return None  # what is under way has been paid for, and may tell the end
                    raise error
                self.pump()
                machine = self.machine
                if machine.end_reason is None and machine.position not in self.held:
                    return None
                continue  # pumping began another reading, or found the end
            try:
                content, keys = open_page(held, self.spec.endpoint, self.form)
            except DecodeError as error:
                # The frame was whole but the inside is not JSON: a failed attempt like others.
                release(held)
                if held.attempts >= self.source.engine.retry.max_attempts:
                    self.source.engine.describe(error, held.array, held.request_id)
                    raise
                again = machine.ask(number)
                self.launch(again, None, attempt=held.attempts + 1, strict=True)
                return None
            before = machine.place()
            content.keep = machine.take(keys)
            release(held)
            self.pump_safely()  # an error is raised in its turn, behind this page
            content.rows = len(keys) if content.keep is None else len(content.keep)
            if content.rows:
                return make_page(self.spec, number, content, held, (before, self.machine.place()))
        self.ended = True
        self.shut()
        return make_last_page(self.spec, self.machine)

    # -- the fetchers' side -----------------------------------------------------------------------

    def pump(self) -> None:
        """Start whatever may be under way now and is not."""
        if self.stopped or self.error is not None or self.source.closed:
            return
        asks = self.decide()
        machine = self.machine
        self.notice_turn()
        for ask in asks:
            if ask in self.tasks or (ask.keep and ask.number in self.held):
                continue
            if ask.purpose in FETCHING and ask.number in self.page_errors:
                continue  # its error is raised in its turn
            urgent = ask.purpose != "page" or ask.number == machine.position
            place = None if urgent else self.source.pool.take(self.number, self.pump_safely)
            if not urgent and place is None:
                break
            self.launch(ask, place)

    def decide(self) -> list[Ask]:
        """What may be under way, once the machine has settled how to page."""
        while True:
            self.machine = changed(self.machine)
            asks = self.machine.asks(self.spec.prefetch)
            if self.machine.change is None:
                return asks

    def pump_safely(self) -> None:
        """Pump for somebody who must not see this listing's errors now."""
        try:
            self.pump()
        except KB4Error as error:
            self.fail(error)

    def notice_turn(self) -> None:
        """If the listing was begun again, drop what belongs to the turn before."""
        machine = self.machine
        if machine.turn == self.turn:
            return
        self.turn = machine.turn
        self.page_errors.clear()
        for ask, task in self.tasks.items():
            if ask.turn != machine.turn:
                task.cancel()
        self.drop()
        if machine.reading == self.reading:
            return
        self.reading = machine.reading
        log.info("%s: reading %d of the listing", self.spec.path, self.reading)
        if machine.delivery.moves > self.moves:  # and not only because all is read twice
            self.moves = machine.delivery.moves
            self.tally.repairs += 1
            event = ListingRepaired(self.spec.endpoint.resource, self.spec.scope, self.reading)
            self.source.engine.notify(event)

    def launch(
        self, ask: Ask, place: Place | None, *, attempt: int = 1, strict: bool = False
    ) -> None:
        """Start the task that fetches a page."""
        work = self.fetch(ask, place, attempt=attempt, strict=strict)
        task = self.source.scope.spawn(work, f"kb4 {self.spec.path} page {ask.number}")
        self.tasks[ask] = task

        def ended(_: asyncio.Task[None]) -> None:
            if self.tasks.get(ask) is task:
                del self.tasks[ask]
            held = self.held.get(ask.number)
            # Here and not in the task, for one that is cancelled at once never begins.
            if place is not None and (held is None or held.place is not place):
                place.give_back()
            self.wake()

        task.add_done_callback(ended)

    async def fetch(self, ask: Ask, place: Place | None, *, attempt: int, strict: bool) -> None:
        """Fetch one page and take in what came."""
        rank = self.rank
        if ask.purpose in CHECKING:
            rank = max(rank, Rank.CHECKS)
        elif ask.purpose == "probe":
            rank = min(rank, Rank.PROBES)
        fetch = partial(self.source.engine.fetch, rank=rank, attempt=attempt, tally=self.tally)
        try:
            if ask.purpose == "count" and self.spec.recount is not None:
                recount = self.spec.recount
                self.counted(ask, (await fetch(recount.request, recount.read)).value)
                return
            # Pages are decoded when their turn comes (that is kinder to the CPU's caches and to
            # memory); what is needed at once, or was unreadable before, is read whole now.
            whole = (strict or ask.purpose != "page") and not ask.elsewhere
            read = partial(read_page, endpoint=self.spec.endpoint, whole=whole)
            fetched = await fetch(self.spec.request(ask), read)
        except KB4Error as error:
            self.failed(ask, error)
        except Exception as error:  # a defect: it must reach the consumer, not vanish in a task
            self.fail(error)
        else:
            self.arrived(ask, fetched, place)

    def arrived(self, ask: Ask, fetched: Fetched[Received], place: Place | None) -> None:
        """Take in a page, and hold it if its turn is to come."""
        self.tasks.pop(ask, None)
        if self.stopped or self.error is not None or ask.turn != self.machine.turn:
            return
        received = fetched.value
        url = f"{self.source.engine.transport.base_url}/{self.spec.path}"
        try:
            shown = shown_cursor(received.cursor, fetched.headers, url)
            if self.machine.saw(ask, received.keys, shown):
                self.held[ask.number] = Held(
                    received.array, received.keys, fetched.request_id, fetched.attempts, place
                )
            self.pump()
        except Exception as error:  # also a defect must reach the consumer
            self.fail(error)
        self.wake()

    def counted(self, ask: Ask, count: int | None) -> None:
        """Take in the parent's count."""
        self.tasks.pop(ask, None)
        if self.stopped or self.error is not None or ask.turn != self.machine.turn:
            return
        try:
            self.machine.recounted(count)
            self.pump()
        except Exception as error:
            self.fail(error)
        self.wake()

    def failed(self, ask: Ask, error: KB4Error) -> None:
        """A page could not be had: what is below it is still delivered, then the error."""
        self.tasks.pop(ask, None)
        if self.stopped or self.error is not None or ask.turn != self.machine.turn:
            return
        try:
            refused = not isinstance(error, FINAL) and self.machine.refused(ask, error)
        except KB4Error as other:  # paging the other way, what was delivered could not be told
            self.fail(other)
            return
        if not refused:
            waits = isinstance(error, RateLimitError)
            if (isinstance(error, FINAL) and not waits) or ask.purpose not in FETCHING:
                self.fail(error)
                return
            self.machine.lost(ask)
            self.page_errors[ask.number] = self.machine.blame(ask, error)
            for other_ask, task in list(self.tasks.items()):
                if other_ask.number > ask.number and not waits:
                    task.cancel()
        self.pump_safely()
        self.wake()

    # -- ending -----------------------------------------------------------------------------------

    def fail(self, error: BaseException) -> None:
        """End with an error; pages that are there and in order are delivered before it."""
        if self.error is None and not self.stopped:
            self.error = error
            self.cancel_fetchers()

    def cancel_fetchers(self) -> None:
        """Cancel every fetcher and start no more."""
        for task in self.tasks.values():
            task.cancel()
        self.source.pool.forget(self.number)
        self.wake()

    def shut(self) -> None:
        """Cancel every fetcher and forget every page."""
        self.cancel_fetchers()
        self.drop()

    def drop(self) -> None:
        """Forget pages that are held."""
        while self.held:
            release(self.held.popitem()[1])

    async def aclose(self) -> None:
        """The consumer left; returns when every fetcher has ended."""
        self.stop()
        await cancel(list(self.tasks.values()))
