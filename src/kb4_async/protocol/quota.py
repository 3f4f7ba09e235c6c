"""A daily quota, counted from the first request of its day as KnowBe4 publishes it."""

from __future__ import annotations

from dataclasses import dataclass

from kb4_async.options import DAY


@dataclass(slots=True)
class Quota:
    """Requests of the present day; times are of one clock, and above 0.

    The server's day begins when its first request arrives: after that was granted, and not after it
    was answered. So a day that is counted from that answer ends no earlier than the server's, and
    what arrives meanwhile may belong to the server's next day already: it counts in both.

    Attributes:
        used: Requests counted.
        begins: The earliest moment at which the server's day may have begun; None without requests.
        ends: When the day ends; None until a request was answered that was granted in it.
        before: When the day before had ended at the latest: what was granted earlier opens no day.
        late: Requests that may count in the next day too.
        lapse: When requests of no certain day are forgotten.
        spent_until: The server says that nothing is left until then.
    """

    used: int = 0
    begins: float | None = None
    ends: float | None = None
    before: float = 0.0
    late: int = 0
    lapse: float = 0.0
    spent_until: float = 0.0

    def roll(self, now: float) -> None:
        """Begin a new day if the present one has ended."""
        if self.ends is not None and now >= self.ends:
            self.before, self.ends = self.ends, None
            self.used, self.late = self.late, 0
            self.begins = self.begins + DAY if self.used and self.begins is not None else None
        if self.ends is None and self.used and now >= self.lapse:
            self.used, self.begins, self.before = 0, None, self.lapse

    def spend(self, granted: float, latest: float, *, answered: bool = True) -> None:
        """Count a request.

        Args:
            granted: When it was granted.
            latest: When it had arrived at the latest.
            answered: It certainly arrived. Otherwise it counts, but may have begun no day.
        """
        self.roll(granted)
        self.used += 1
        if self.begins is None or self.before <= granted < self.begins:
            self.begins = granted
        if self.ends is None and answered and granted >= self.before:
            self.ends = latest + DAY
        if self.ends is None or latest >= self.begins + DAY:
            self.late += self.ends is not None
            self.lapse = max(self.lapse, latest + DAY)

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
        if self.ends is not None:
            return self.ends
        return self.lapse if self.lapse > now else now + DAY
