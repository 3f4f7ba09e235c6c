"""The turnstile: who is next among a key's waiters in one event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum

from kb4_async.runtime.spacing import Spacing


class Rank(IntEnum):
    """Classes of requests, most urgent first.

    Probes, which look for a listing's end, go one after another: each behind all the pages that may
    be fetched meanwhile, they would know the end last, and until it is known rows that move can
    escape.
    """

    INTERACTIVE = 0
    PROBES = 1
    PAGES = 2
    CHECKS = 3


#: A class that waits is served at least at each eighth grant.
PATIENCE = 8


@dataclass(eq=False, slots=True)
class Waiter:
    """One request in line."""

    rank: Rank
    #: Done when the waiter should look again.
    wake: asyncio.Future[None] | None = None

    def nudge(self) -> None:
        """Let it look again."""
        if self.wake is not None and not self.wake.done():
            self.wake.set_result(None)


class Turnstile:
    """Who is next among a key's waiters in one event loop: FIFO within a class, none starved."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.spacing = Spacing()
        self.queues: dict[Rank, deque[Waiter]] = {rank: deque() for rank in Rank}
        self.skipped: dict[Rank, int] = dict.fromkeys(Rank, 0)
        #: The waiter that is being launched: nobody overtakes it any more.
        self.launching: Waiter | None = None

    def first(self) -> Waiter | None:
        """The waiter whose turn it is."""
        if self.launching is not None:
            return self.launching
        chosen: Waiter | None = None
        for rank, queue in self.queues.items():
            if queue:
                if self.skipped[rank] >= PATIENCE - 1:
                    return queue[0]
                chosen = chosen or queue[0]
        return chosen

    def leave(self, waiter: Waiter, *, granted: bool) -> None:
        """Give up the place, served or not, and let the next one look in the same step."""
        if self.launching is waiter:
            self.launching = None
        self.queues[waiter.rank].remove(waiter)
        if granted:
            for rank, queue in self.queues.items():
                self.skipped[rank] = self.skipped[rank] + 1 if queue and rank != waiter.rank else 0
        self.nudge_first()

    async def wait(self, waiter: Waiter, delay: float | None) -> None:
        """Wait until nudged, or for some seconds at most."""
        waiter.wake = self.loop.create_future()
        timer = None if delay is None else self.loop.call_later(delay, waiter.nudge)
        try:
            await waiter.wake
        finally:
            waiter.wake = None
            if timer is not None:
                timer.cancel()

    def nudge_first(self) -> None:
        """Let the first in line look again."""
        waiter = self.first()
        if waiter is not None:
            waiter.nudge()

    def nudge_all(self) -> None:
        """Let everyone in line look again."""
        for queue in self.queues.values():
            for waiter in queue:
                waiter.nudge()

    def look_again(self, *, everyone: bool) -> None:
        """Nudge the first or everyone, from any thread."""
        nudge = self.nudge_all if everyone else self.nudge_first
        try:
            running: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is self.loop:
            nudge()
        else:
            with suppress(RuntimeError):  # the loop has closed, and its waiters with it
                self.loop.call_soon_threadsafe(nudge)
