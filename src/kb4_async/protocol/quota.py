"""A daily quota, counted from the first request of its day as KnowBe4 publishes it."""

from __future__ import annotations

from dataclasses import dataclass

from kb4_async.options import DAY


@dataclass(slots=True)
class Quota:
    """Requests of the present day; times are of one clock.

    The server's day begins when the first request arrives, which is no later than its answer: a day
    that is counted from that answer ends no earlier than the server's.

    Attributes:
        used: Requests counted.
        ends: When the day ends; None until its first request was accounted for.
        before: When the day before ended. What was granted earlier may have arrived in it, so it
            counts, but opens no day.
        spent_until: The server says that nothing is left until then.
    """

    used: int = 0
    ends: float | None = None
    before: float = float("-inf")
    spent_until: float = float("-inf")

    def roll(self, now: float) -> None:
        """Begin a new day if the present one has ended."""
        if self.ends is not None and now >= self.ends:
            self.before = self.ends
            self.used, self.ends = 0, None

    def spend(self, granted: float, latest: float) -> None:
        """Count a request.

        Args:
            granted: When it was granted.
            latest: When it had arrived at the latest.
        """
        self.roll(granted)
        self.used += 1
        if self.ends is None and granted >= self.before:
            self.ends = latest + DAY

    def exhausted(self, until: float) -> None:
        """Take the server's word for when there is something left again."""
        self.spent_until = until

    def left(self, limit: int | None, in_flight: int, now: float) -> int | None:
        """Requests that may still be made; None if nothing bounds them."""
        if now < self.spent_until:
            return 0
        if limit is None:
            return None
        self.roll(now)
        return max(0, limit - self.used - in_flight)

    def resets(self, now: float) -> float:
        """When something is left again, once nothing is."""
        if now < self.spent_until:
            return self.spent_until
        return now + DAY if self.ends is None else self.ends
