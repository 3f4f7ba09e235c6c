"""Spacing of launches: the only file that knows aiolimiter.

aiolimiter's leaky bucket cannot hold a window alone (1,999 requests pass ``AsyncLimiter(1000, 60)``
in the worst minute), so the windows are ours (``protocol/windows.py``) and aiolimiter spaces what
they admit: one after another during the slow start, in small bursts afterwards, and never faster
than a short window's own rate.
"""

from __future__ import annotations

from collections.abc import Iterable

from aiolimiter import AsyncLimiter

from kb4_async.options import Window

#: A pace from which bursts of ``BURST`` are allowed.
FULL_PACE = 1024.0
BURST = 32
#: Windows up to this many seconds are spread evenly, for a burst would use them up at once.
SHORT_WINDOW = 5.0


class Spacing:
    """One loop's spacing of launches; belongs to the loop it is first used in."""

    __slots__ = ("bucket", "pace", "ready")

    def __init__(self) -> None:
        self.pace = 0.0
        self.ready = 0
        self.bucket = AsyncLimiter(1, 1.0)

    async def launch(self, pace: float, windows: Iterable[Window]) -> None:
        """Wait until the next launch is due.

        Args:
            pace: Requests a second that the slow start allows.
            windows: The windows in force.
        """
        for window in windows:
            if window.seconds <= SHORT_WINDOW:
                pace = min(pace, window.requests / window.seconds)
        pace = min(pace, FULL_PACE)
        if pace != self.pace:
            self.pace = pace
            # Burst-aware: a bucket of one spaces evenly; only at full pace may some leave at once.
            burst = BURST if pace >= FULL_PACE else 1
            self.bucket, self.ready = AsyncLimiter(burst, burst / pace), 0
        if not self.ready:
            # A whole burst at once: waiting a millisecond for each launch costs more than it.
            burst = int(self.bucket.max_rate)
            await self.bucket.acquire(burst)
            self.ready = burst
        self.ready -= 1
