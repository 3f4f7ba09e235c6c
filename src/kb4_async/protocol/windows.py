"""Window arithmetic: how many requests may leave so that no window at the server holds too many.

The server counts a request at some moment between its sending and its answer. A slot is therefore
taken from the grant until the answer + w (any window of length w that holds the arrival has passed
by then). A request that ended unanswered may still arrive until its end + ``max_lag``, so its slot
is taken until end + ``max_lag`` + w. Assumption: delivery within ``max_lag``.
"""

from __future__ import annotations

import heapq

from kb4_async.options import Window


class WindowLog:
    """The slots of one window.

    Memory: one float a request of the last ``seconds``, so at most ``requests`` of them.
    """

    __slots__ = ("in_flight", "releases", "window")

    def __init__(self, window: Window) -> None:
        self.window = window
        self.in_flight = 0
        #: Times at which stamped slots become free, as a heap: late deliveries are out of order.
        self.releases: list[float] = []

    def free(self, now: float) -> int:
        """Slots free at ``now``."""
        while self.releases and self.releases[0] <= now:
            heapq.heappop(self.releases)
        return self.window.requests - self.in_flight - len(self.releases)

    def next_release(self) -> float | None:
        """When the next stamped slot becomes free; None if only answers can free one."""
        return self.releases[0] if self.releases else None

    def take(self) -> None:
        """Occupy a slot for a request that is about to be sent."""
        self.in_flight += 1

    def stamp(self, latest_arrival: float) -> None:
        """The request cannot arrive after this moment: its slot is free one window later."""
        self.in_flight -= 1
        heapq.heappush(self.releases, latest_arrival + self.window.seconds)

    def give_back(self) -> None:
        """The request was certainly never sent."""
        self.in_flight -= 1


class WindowStack:
    """Several windows held at once.

    Args:
        windows: The windows held first.

    Attributes:
        held: The windows that bind now.
        logs: Their slots. The longest window's log is kept when it binds no longer, for it is the
            memory from which others begin.
    """

    __slots__ = ("held", "logs")

    def __init__(self, windows: tuple[Window, ...]) -> None:
        self.held = set(windows)
        self.logs = {window: WindowLog(window) for window in windows}

    def hold(self, windows: set[Window]) -> None:
        """Hold exactly these windows from now on, without forgetting what was sent before."""
        history = max(self.logs.values(), key=lambda log: log.window.seconds)
        for window in windows - self.logs.keys():
            log = WindowLog(window)
            log.in_flight = history.in_flight
            shift = window.seconds - history.window.seconds
            log.releases = [release + shift for release in history.releases]  # still a heap
            self.logs[window] = log
        self.held = windows
        longest = max(self.logs, key=lambda window: window.seconds)
        for window in self.logs.keys() - windows - {longest}:
            del self.logs[window]

    def wait(self, now: float) -> float | None:
        """Seconds until every window has a free slot as far as stamps tell; 0 if all have one now.

        None means that a window is full of requests in flight: only an answer can free a slot.
        """
        longest = 0.0
        for window, log in self.logs.items():
            # One that binds no longer is asked too: asking is what forgets.
            if log.free(now) > 0 or window not in self.held:
                continue
            release = log.next_release()
            if release is None:
                return None
            longest = max(longest, release - now)
        return longest

    def take(self) -> None:
        """Occupy a slot in every window; only after ``wait`` returned 0."""
        for log in self.logs.values():
            log.take()

    def stamp(self, latest_arrival: float) -> None:
        """Stamp a request in every window."""
        for log in self.logs.values():
            log.stamp(latest_arrival)

    def give_back(self) -> None:
        """Free a request's slot in every window."""
        for log in self.logs.values():
            log.give_back()
