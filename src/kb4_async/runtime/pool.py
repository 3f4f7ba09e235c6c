"""The client's bound on pages in memory, shared by all its listings."""

from __future__ import annotations

from collections.abc import Callable


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
    to be consumed.
    """

    def __init__(self, size: int) -> None:
        self.free = size
        #: Listings to tell when a place becomes free, in the order they asked.
        self.waiting: dict[Callable[[], None], None] = {}

    def take(self, pump: Callable[[], None]) -> Place | None:
        """Take a place, or be told by ``pump`` when one is free."""
        if self.free > 0:
            self.free -= 1
            return Place(self)
        self.waiting[pump] = None
        return None

    def freed(self) -> None:
        """A place is free: let whoever waits look, longest first, until it is taken."""
        self.free += 1
        while self.free > 0 and self.waiting:
            pump = next(iter(self.waiting))
            del self.waiting[pump]
            pump()

    def forget(self, pump: Callable[[], None]) -> None:
        """A listing has ended: tell it no more."""
        self.waiting.pop(pump, None)
