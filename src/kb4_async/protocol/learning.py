"""What refusals teach about a limit that the server does not tell. Pure; times of one clock.

A first refusal without an explanation makes the key fall to what KnowBe4 publishes. Refused there
too, it halves. Each minute that was used to the full without a refusal doubles the level again, up
to just under the lowest level that was refused. What lies beyond is tried rarely: the more a
refusal cost, the later.
"""

from __future__ import annotations

from dataclasses import dataclass

from kb4_async.options import CAP_REQUESTS, CAP_SECONDS, PUBLISHED, Window

SECOND, MINUTE = PUBLISHED
#: A refusal further apart than this from the one before is explained by what its headers say.
HEADERS_EXPLAIN = 120.0
#: Seconds until a refused level is tried again: at least, and times the pause that it cost.
PATIENCE, COST = 300.0, 100.0
#: The same where the level is what KnowBe4 publishes: that is most likely the truth.
PUBLISHED_PATIENCE = 3600.0
LONGEST_PATIENCE = 7 * 86_400.0


def under(refused: int) -> int:
    """Just under a level that was refused: 4 % below, which is what lags and windows blur."""
    return max(1, refused - max(1, refused // 25))


@dataclass(slots=True)
class Lesson:
    """What is known of a key's limit.

    Attributes:
        level: Requests a minute that are held.
        good: The highest level that was borne out; one above it is being tried.
        ceiling: The lowest level that was refused; None where it is unknown.
        since: When the level was set, or the key was opened after a pause.
        refused: When the newest refusal came.
        retry_at: When the ceiling may be tried.
        patience: Seconds from a refusal until then.
        tries: Times that it was tried in vain, each of which doubles the patience.
        falls: Refusals on the way up to it: from the second on the way is halved.
        used: The level was used to the full since it was set.
    """

    level: int
    good: int
    ceiling: int | None
    since: float
    refused: float
    retry_at: float
    patience: float
    tries: int = 0
    falls: int = 0
    used: bool = False

    def __post_init__(self) -> None:
        """Refuse what would stop the key for ever."""
        if self.level < 1:
            msg = f"a level is at least 1, not {self.level}"
            raise ValueError(msg)

    @classmethod
    def first(cls, nth: int, now: float, *, told: bool) -> Lesson:
        """The first refusal.

        Args:
            nth: Which of its minute's requests was refused.
            now: The present time.
            told: The server's headers tell a limit, but it refuses below it.
        """
        if nth <= MINUTE.requests:
            # The minute cannot be what was meant, unless it allows less than is published.
            level, ceiling, patience = MINUTE.requests, MINUTE.requests + 1, PUBLISHED_PATIENCE
        else:
            floor = max(MINUTE.requests, nth // 2) if told else MINUTE.requests
            level, ceiling, patience = min(floor, under(nth)), nth, PATIENCE
        return cls(level, level, ceiling, now, now, now + patience, patience)

    def refuse(self, nth: int, now: float) -> None:
        """Another refusal, of another moment."""
        old = self.level
        lowest = old if self.ceiling is None else self.ceiling
        if old > self.good:
            self.level = self.good
        else:
            self.level = self.good = max(1, old // 2)
        if self.ceiling is not None and old >= self.ceiling:
            self.tries += 1
        else:
            self.falls += 1
        self.ceiling = max(self.level + 1, min(lowest, old, nth))
        self.since = self.refused = now
        self.used = False
        self.schedule(0.0)

    def refuse_too(self, nth: int) -> None:
        """A refusal of the same moment: the lowest of them tells most."""
        if self.ceiling is not None and nth > MINUTE.requests:
            self.ceiling = max(self.level + 1, min(self.ceiling, nth))

    def opened(self, now: float, paused: float) -> None:
        """The pause is over: what it cost decides when the ceiling is tried again."""
        self.since, self.used = now, False
        self.schedule(paused)

    def schedule(self, paused: float) -> None:
        """Set when the ceiling may be tried."""
        seconds = max(self.patience, COST * paused) * 2.0 ** min(self.tries, 20)
        self.retry_at = self.refused + min(seconds, LONGEST_PATIENCE)

    def climb(self, now: float) -> bool:
        """Go up one step if a quiet minute bore out the level; whether it did."""
        if not self.used or now - self.since < MINUTE.seconds:
            return False
        old, self.good, self.since, self.used = self.level, self.level, now, False
        if self.ceiling is not None and old >= self.ceiling:
            self.ceiling, self.tries, self.falls = None, 0, 0
        top = self.top()
        if old < top:
            self.level = min(2 * old, top)
        elif now >= self.retry_at:
            self.level = min(old + max(1, old // 4), CAP_REQUESTS)
        return self.level != old

    def top(self) -> int:
        """The highest level to climb to without trying what was refused."""
        if self.ceiling is None:
            return CAP_REQUESTS
        if self.falls < 2:
            return under(self.ceiling)
        # Windows that are not sliding refuse at other counts each time: come nearer by halves.
        half = self.good + (self.ceiling - self.good) // 2
        return half if half - self.good >= self.ceiling - under(self.ceiling) else self.good

    @property
    def windows(self) -> tuple[Window, Window]:
        """What is held: the level, and a second's share of it.

        Below what KnowBe4 publishes the second shrinks with the minute; above it stays at what is
        published for as long as that lets the minute be used in two thirds of it.
        """
        share = -(-self.level * SECOND.requests // MINUTE.requests)
        enough = -(-self.level * SECOND.requests * 5 // (MINUTE.requests * 16))
        second = max(min(SECOND.requests, share), enough)
        return Window(second, SECOND.seconds), Window(self.level, MINUTE.seconds)

    def shift(self, seconds: float) -> None:
        """Move to a clock that reads this much more."""
        self.since += seconds
        self.refused += seconds
        self.retry_at += seconds


@dataclass(slots=True)
class Learned:
    """What a server told and taught of a key's limit.

    Attributes:
        lesson: What refusals taught; None where nothing is known beyond the cap.
        told: Requests a minute as the server's headers say; None without them.
        explained: When a refusal was last explained by what the server said with it.
    """

    lesson: Lesson | None = None
    told: int | None = None
    explained: float = float("-inf")

    def refused(self, place: int, now: float, *, told: bool, explained: bool) -> bool:
        """A refusal of a new moment.

        What the server says of its limit, or of when to come again, is obeyed. Refused again soon
        nevertheless, the key learns as if nothing had been said.

        Args:
            place: Which of its minute's requests was refused.
            now: The present time.
            told: The server's headers tell a limit.
            explained: They do, or say when to come again.

        Returns:
            Whether it taught something.
        """
        if explained:
            before, self.explained = self.explained, now
            if now - before > HEADERS_EXPLAIN:
                return False
        if self.lesson is None:
            self.lesson = Lesson.first(place, now, told=told)
        else:
            self.lesson.refuse(place, now)
        return True

    def refused_too(self, place: int) -> None:
        """A refusal of the same moment."""
        if self.lesson is not None:
            self.lesson.refuse_too(place)

    def granted(self, place: int, now: float) -> bool:
        """A request was let through as one of so many of its minute; whether the level changed."""
        lesson = self.lesson
        if lesson is None:
            return False
        lesson.used |= place >= lesson.level
        climbed = lesson.climb(now)
        if lesson.good >= CAP_REQUESTS:
            self.lesson = None  # a minute bore out the cap itself: it teaches nothing any more
            return True
        return climbed

    def opened(self, now: float, paused: float) -> None:
        """A pause is over."""
        if now - paused <= self.explained:
            # Of a long pause that was explained, what counts is when it ended.
            self.explained = now
        if self.lesson is not None:
            self.lesson.opened(now, paused)

    @property
    def told_window(self) -> Window | None:
        """What the headers say, as far as it is below the cap."""
        if self.told is None or self.told >= CAP_REQUESTS:
            return None
        return Window(self.told, CAP_SECONDS)
