"""The limits a simulated server enforces, decided by arrival times alone."""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

LimitKind: TypeAlias = Literal["sliding", "fixed", "anchored", "bucket"]
NEARLY_ONE = 1 - 1e-9
MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` requests in `seconds`.

    Attributes:
        count: the number of requests.
        seconds: the length of the window.
        kind: `sliding`: any window; `fixed`: windows one after another from `phase` on;
            `anchored`: a window begins with the first request after the last one ended;
            `bucket`: `count` tokens that come back evenly, `count` in `seconds`.
        phase: where fixed windows begin.
        count_refused: whether a refused request uses up the limit too.
        lockout: seconds for which everything is refused after a refusal.
    """

    count: int
    seconds: float
    kind: LimitKind = "sliding"
    phase: float = 0.0
    count_refused: bool = False
    lockout: float = 0.0


def published_limits(licensed_users: int) -> tuple[Limit, ...]:
    """Return what KnowBe4 publishes: 4 a second, 50 a minute, 2,000 a day and one more a user.

    Who passes the 50 is locked out for five minutes, and a day begins with its first request:
    the published words can be read so, and other readings are kinder.
    """
    return (
        Limit(4, 1.0),
        Limit(50, 60.0, lockout=300.0),
        Limit(2000 + licensed_users, 86_400.0, "anchored"),
    )


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why and for how long a request is refused."""

    limit: Limit
    retry_after: float


class SlidingCounter:
    """At most so many arrivals in any window that is open at its start."""

    def __init__(self, limit: Limit) -> None:
        """Start with nothing counted."""
        self.limit = limit
        self.arrivals: deque[float] = deque()

    def wait(self, now: float) -> float:
        """Return the seconds until there is room, 0 if there is room now."""
        while self.arrivals and self.arrivals[0] + self.limit.seconds <= now:
            self.arrivals.popleft()
        over = len(self.arrivals) - self.limit.count
        if over < 0:
            return 0.0
        return self.arrivals[over] + self.limit.seconds - now if self.limit.count else math.inf

    def take(self, now: float) -> None:
        """Count an arrival."""
        self.arrivals.append(now)

    def remaining(self, now: float) -> int:
        """Return how many more requests there is room for."""
        self.wait(now)
        return max(0, self.limit.count - len(self.arrivals))


class WindowCounter:
    """At most so many arrivals in each of a row of windows, fixed or begun by an arrival."""

    def __init__(self, limit: Limit) -> None:
        """Start with nothing counted."""
        self.limit = limit
        self.begin = -math.inf
        self.used = 0

    def roll(self, now: float) -> None:
        """Go on to the window that holds `now`."""
        if now < self.begin + self.limit.seconds:
            return
        if self.limit.kind == "anchored":
            self.begin = now
        else:
            windows = math.floor((now - self.limit.phase) / self.limit.seconds)
            self.begin = self.limit.phase + windows * self.limit.seconds
        self.used = 0

    def wait(self, now: float) -> float:
        """Return the seconds until there is room, 0 if there is room now."""
        self.roll(now)
        if self.used < self.limit.count:
            return 0.0
        return self.begin + self.limit.seconds - now if self.limit.count else math.inf

    def take(self, now: float) -> None:
        """Count an arrival."""
        self.roll(now)
        self.used += 1

    def remaining(self, now: float) -> int:
        """Return how many more requests there is room for."""
        self.roll(now)
        return max(0, self.limit.count - self.used)


class BucketCounter:
    """Tokens that come back evenly, never more than the limit's count."""

    def __init__(self, limit: Limit) -> None:
        """Start with a full bucket."""
        self.limit = limit
        self.tokens = float(limit.count)
        self.seen = -math.inf

    def refill(self, now: float) -> None:
        """Put in the tokens that came back since the last look."""
        if now > self.seen:
            grown = (now - self.seen) * self.limit.count / self.limit.seconds
            self.tokens = min(float(self.limit.count), self.tokens + grown)
            self.seen = now

    def wait(self, now: float) -> float:
        """Return the seconds until there is room, 0 if there is room now."""
        self.refill(now)
        if self.tokens >= NEARLY_ONE:
            return 0.0
        return (
            (1 - self.tokens) * self.limit.seconds / self.limit.count
            if self.limit.count
            else math.inf
        )

    def take(self, now: float) -> None:
        """Take a token; a refused request that counts leaves a debt of at most one bucket."""
        self.refill(now)
        self.tokens = max(self.tokens - 1, -float(self.limit.count))

    def remaining(self, now: float) -> int:
        """Return how many more requests there is room for."""
        self.refill(now)
        return max(0, math.floor(self.tokens + 1 - NEARLY_ONE))


Counter: TypeAlias = SlidingCounter | WindowCounter | BucketCounter


def counter_for(limit: Limit) -> Counter:
    """Return an empty counter of the limit's kind."""
    if limit.kind == "sliding":
        return SlidingCounter(limit)
    if limit.kind == "bucket":
        return BucketCounter(limit)
    return WindowCounter(limit)


class Gate:
    """The limits of one key, stacked: a request passes only if all of them have room."""

    def __init__(self, limits: Iterable[Limit]) -> None:
        """Start with nothing counted."""
        self.counters = [counter_for(limit) for limit in limits]
        self.locked_until = -math.inf
        self.locked_by: Limit | None = None

    def arrive(self, now: float) -> Refusal | None:
        """Count an arrival at `now`; say why if it is refused."""
        if self.locked_by is not None and now < self.locked_until:
            return self.refuse(self.locked_by, self.locked_until - now, now)
        waits = [(counter.wait(now), counter.limit) for counter in self.counters]
        wait, limit = max(waits, key=lambda pair: pair[0], default=(0.0, None))
        if limit is None or wait <= 0:
            for counter in self.counters:
                counter.take(now)
            return None
        locking = max((limit for wait, limit in waits if wait > 0), key=lambda limit: limit.lockout)
        if locking.lockout:
            self.locked_by, self.locked_until = locking, now + locking.lockout
            wait = max(wait, locking.lockout)
        return self.refuse(limit, wait, now)

    def refuse(self, limit: Limit, wait: float, now: float) -> Refusal:
        """Count the refused request where refused requests count."""
        for counter in self.counters:
            if counter.limit.count_refused:
                counter.take(now)
        return Refusal(limit, wait)

    def remaining(self, now: float) -> tuple[int, int] | None:
        """Return cap and what is left of the limit nearest to a minute, or None without limits.

        `X-RateLimit-Limit` is taken to speak of a minute: a second's or a day's would mislead.
        """
        if not self.counters:
            return None
        counter = min(self.counters, key=lambda each: abs(each.limit.seconds - MINUTE))
        return counter.limit.count, counter.remaining(now)
