"""One machine with a ledger, and processes on one key: key states on the virtual clock."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.limiting import one

from kb4_async.events import Event
from kb4_async.options import Limits
from kb4_async.protocol.sharing import SharedKey
from kb4_async.runtime import share
from kb4_async.runtime.keystate import KeyState
from kb4_async.runtime.ledger import Ledger
from kb4_async.runtime.limiter import Limiter
from kb4_async.runtime.share import BEAT, Share, join_ledger
from kb4_async.testing import VirtualClockEventLoop

ORIGIN, FINGERPRINT = "https://us.api.knowbe4.com", "f1n9e4"


class Process:
    """What one process knows of the key, and its one client."""

    def __init__(self, book: Ledger, clock: "Machine", limits: Limits) -> None:
        self.events: list[Event] = []
        self.state = KeyState(wall=clock.time)
        join_ledger(self.state, book, ORIGIN, FINGERPRINT)
        self.book = book
        self.limiter = Limiter(self.state, limits, observer=self.events.append, chance=lambda: 0.0)

    @property
    def share(self) -> Share:
        assert self.state.share is not None
        return self.state.share

    async def use(self, count: int, takes: float = 0.1) -> None:
        """Make so many requests, one after another."""
        for _ in range(count):
            await one(self.limiter, takes=takes)

    async def end(self) -> None:
        self.limiter.close()
        await self.limiter.settle()

    def kill(self) -> None:
        """It says nothing any more."""
        self.state.share = None


class Machine:
    """A time of day that goes with the virtual clock until it is set, a ledger, and processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.began = 1_790_000_000.0
        self.loop: asyncio.AbstractEventLoop | None = None
        self.reader = Ledger(path)
        self.books = [self.reader]

    def time(self) -> float:
        assert self.loop is not None
        return self.began + self.loop.time()

    def process(self, *limits: str, max_lag: float = 30.0) -> Process:
        self.books.append(Ledger(self.path))
        return Process(self.books[-1], self, Limits.of(*limits, max_lag=max_lag))

    def page(self) -> SharedKey:
        """What the ledger says now."""
        with self.reader.page(ORIGIN, FINGERPRINT) as page:
            return page

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=VirtualClockEventLoop) as runner:
            self.loop = runner.get_loop()
            runner.run(main)


async def refuse(process: Process, retry_after: float | None = None) -> float:
    """A request of the process is refused; when its pause ends."""
    process.limiter.refused(await process.limiter.acquire(), retry_after, path="users")
    return process.state.gate.until


async def heard() -> None:
    """Let the ledger's thread do what it was given, and the next beats come."""
    await asyncio.sleep(2 * BEAT)


async def lent(process: Process) -> None:
    """Wait until something was lent that is not used yet."""
    async with asyncio.timeout(5.0):
        while process.share.leased == 0:  # noqa: ASYNC110  # a loan has no event
            await asyncio.sleep(0.05)


@contextmanager
def machine_at(path: Path) -> Iterator[Machine]:
    """A machine whose time of day the ledger's users read, and which lets go of its files."""
    machine = Machine(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(share, "time", machine)
        yield machine
    for book in machine.books:
        book.close()
