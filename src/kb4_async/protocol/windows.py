"""Window arithmetic: how many requests may leave so that no window at the server holds too many.

The server counts a request at some moment between its sending and its answer. A slot is therefore
taken from the grant until the answer + w (any window of length w that holds the arrival has passed
by then). A request that ended unanswered may still arrive until its end + ``max_lag``, so its slot
is taken until end + ``max_lag`` + w. Assumption: delivery within ``max_lag``.

One sorted list of these latest possible arrivals serves every window: of a window (n, w) with m
requests in flight, a slot is free once the (n - m)-th newest of them is w old.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable
from typing import Self

from kb4_async.options import Window

#: The list is looked through for what has passed when it has grown to this, or doubled.
TRIM_AT = 2048


class WindowStack:
    """Several windows held at once.

    Memory: one float a request within the longest window that was ever held.

    Args:
        windows: The windows held first.

    Attributes:
        held: The windows that bind now.
        in_flight: Requests granted and not yet accounted for.
        stamps: Latest possible arrivals of the others, sorted; late deliveries lie ahead.
        span: Seconds for which they are remembered: a window held again forgets nothing.
    """

    __slots__ = ("held", "in_flight", "span", "stamps", "trim_at")

    def __init__(self, windows: Iterable[Window]) -> None:
        self.in_flight = 0
        self.stamps: list[float] = []
        self.span = 0.0
        self.trim_at = TRIM_AT
        self.hold(windows)

    def copy(self) -> Self:
        """The same again, to go its own way."""
        other = type(self)(self.held)
        other.in_flight, other.stamps = self.in_flight, list(self.stamps)
        return other

    def hold(self, windows: Iterable[Window]) -> None:
        """Hold exactly these windows from now on, without forgetting what was sent before."""
        self.held = frozenset(windows)
        self.span = max(self.span, *(window.seconds for window in self.held))

    def wait(self, now: float, count: int = 1) -> float | None:
        """Seconds until every window has that many free slots as far as stamps tell; 0 if all have
        them now.

        None means that a window is full of requests in flight: only an answer can free a slot.
        """
        longest = 0.0
        for window in self.held:
            room = window.requests - self.in_flight - count + 1
            if room <= 0:
                return None
            if room <= len(self.stamps):
                longest = max(longest, self.stamps[-room] + window.seconds - now)
        return longest

    def used(self, seconds: float, now: float) -> int:
        """Slots that a window of this length would find taken."""
        return self.in_flight + len(self.stamps) - bisect_right(self.stamps, now - seconds)

    def free(self, now: float) -> int:
        """Requests that may leave at once."""
        return max(0, min(w.requests - self.used(w.seconds, now) for w in self.held))

    def take(self) -> None:
        """Occupy a slot in every window; only after ``wait`` returned 0."""
        self.in_flight += 1

    def stamp(self, latest_arrival: float) -> None:
        """A request cannot arrive after this moment: its slots are free one window later each."""
        self.in_flight -= 1
        self.add(latest_arrival)

    def give_back(self) -> None:
        """A request was certainly never sent."""
        self.in_flight -= 1

    def add(self, latest_arrival: float, count: int = 1) -> None:
        """Count requests that took no slot here before."""
        for _ in range(count):
            insort(self.stamps, latest_arrival)

    def trim(self, now: float) -> None:
        """Forget what no window can see any more."""
        if len(self.stamps) >= self.trim_at:
            del self.stamps[: bisect_right(self.stamps, now - self.span)]
            self.trim_at = max(TRIM_AT, 2 * len(self.stamps))
