"""The client's bound on pages in memory, shared by all its listings."""

from __future__ import annotations

from collections.abc import Callable


class PagePool:
    """Counts pages that were asked ahead of their turn and not delivered yet.

    A listing's head page and kept probes are outside it, so that no listing ever waits for another
    to be consumed.
    """

    def __init__(self, size: int) -> None:
        self.free = size
        #: Listings to tell when a place becomes free, in the order they asked.
        self.waiting: dict[Callable[[], None], None] = {}

    def take(self, pump: Callable[[], None]) -> bool:
        """Take a place, or be told by ``pump`` when one is free."""
        if self.free > 0:
            self.free -= 1
            return True
        self.waiting[pump] = None
        return False

    def give_back(self) -> None:
        """Free a place and let whoever waits look, longest first, until it is taken."""
        self.free += 1
        while self.free > 0 and self.waiting:
            pump = next(iter(self.waiting))
            del self.waiting[pump]
            pump()

    def forget(self, pump: Callable[[], None]) -> None:
        """A listing has ended: tell it no more."""
        self.waiting.pop(pump, None)
