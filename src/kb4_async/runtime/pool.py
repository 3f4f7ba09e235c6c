"""The client's bound on pages in memory, shared by all its listings."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count


class Place:
    """One page's place in the pool; giving it back twice does nothing."""

    __slots__ = ("pool",)

    def __init__(self, pool: PagePool) -> None:
        self.pool: PagePool | None = pool

    def give_back(self) -> None:
        """Free the place and let whoever waits look."""
        pool, self.pool = self.pool, None
        if pool is not None:
            pool.freed()


class PagePool:
    """Counts pages that were asked ahead of their turn and not delivered yet.

    A listing's head page and kept probes are outside it, so that no listing ever waits for another
    to be consumed. Who came first is served first: an account's long listings begin before those of
    single groups or tests do, and would end last if they had to share with each of them.
    """

    def __init__(self, size: int) -> None:
        self.free = size
        self.numbers = count()
        #: Listings to tell when a place becomes free, by their number.
        self.waiting: dict[int, Callable[[], None]] = {}

    def join(self) -> int:
        """Return the number of a listing that begins."""
        return next(self.numbers)

    def take(self, listing: int, pump: Callable[[], None]) -> Place | None:
        """Take a place, or be told by ``pump`` when one is free."""
        if self.free > 0:
            self.free -= 1
            return Place(self)
        self.waiting[listing] = pump
        return None

    def freed(self) -> None:
        """A place is free: let whoever waits look, the oldest first, until it is taken."""
        self.free += 1
        while self.free > 0 and self.waiting:
            self.waiting.pop(min(self.waiting))()

    def forget(self, listing: int) -> None:
        """A listing has ended: tell it no more."""
        self.waiting.pop(listing, None)
