"""Against a server that refuses without a word, the level comes to just under what it allows."""

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from kb4_async.options import CAP
from kb4_async.protocol.learning import Learned
from kb4_async.protocol.windows import WindowStack

DAY = 86_400.0
limits = st.integers(1, 999)
#: Seconds that a refusal costs: from a server that forgives at once to one that locks the key out.
costs = st.sampled_from([2.0, 20.0, 60.0, 300.0])


def least(limit: int) -> int:
    """Just under a limit, as far down as the level may rest: 4 % of the first that is refused."""
    refused = limit + 1
    return max(1, min(limit, refused - refused * 4 // 100))


@dataclass
class Run:
    """Time in whole minutes, each used to the full: sends what it may, and learns.

    Attributes:
        limit: What the server lets through in a minute; not known to the client.
        cost: Length of each pause.
        held: When each minute began, and how many requests it was allowed.
        refusals: When each came.
        served: Requests that were let through.
    """

    limit: int
    cost: float
    now: float = 0.0
    learned: Learned = field(default_factory=Learned)
    held: list[tuple[float, int]] = field(default_factory=list)
    refusals: list[float] = field(default_factory=list)
    served: int = 0

    def level(self) -> int:
        return CAP.requests if self.learned.lesson is None else self.learned.lesson.level

    def minute(self) -> None:
        """Begin a minute, which may change the level, and use it up."""
        self.learned.granted(1, self.now)
        level = self.level()
        self.held.append((self.now, level))
        assert 1 <= level <= CAP.requests
        if level <= self.limit:
            self.learned.granted(level, self.now + 30.0)
            self.served += level
            self.now += 60.0
            return
        self.served += self.limit
        self.now += 30.0
        self.refusals.append(self.now)
        self.learned.refused(self.limit + 1, self.now, told=False, explained=False)
        self.now += self.cost
        self.learned.opened(self.now, self.cost)

    def until(self, end: float) -> None:
        while self.now < end:
            self.minute()


@settings(deadline=None, max_examples=150)
@given(limits, costs)
@example(1, 2.0)
@example(50, 300.0)
@example(831, 2.0)
@example(832, 2.0)
@example(999, 2.0)
def test_the_level_comes_to_just_under_the_limit_and_refusals_become_rare(
    limit: int, cost: float
) -> None:
    run = Run(limit, cost)
    run.until(DAY)
    # At most six halvings from the published minute, or five doublings, and a few tries.
    settled = 20 * 60.0 + 10 * cost
    levels = [level for began, level in run.held if began >= settled]
    assert min(levels) >= least(limit)
    tried = [level for level in levels if level > limit]
    assert max(tried, default=0) <= max(limit + 1, limit * 1.25)
    # The first ones find the limit; each vain try doubles the time to the next.
    assert len(run.refusals) <= 10
    assert sum(moment >= 2 * 3600.0 for moment in run.refusals) <= 4
    gaps = [later - one for one, later in pairwise(run.refusals) if one >= settled]
    assert all(later >= 1.8 * one for one, later in pairwise(gaps))
    assert run.served >= 0.93 * limit * (DAY - cost * len(run.refusals) - settled) / 60.0


@settings(deadline=None, max_examples=100)
@given(limits, limits, costs)
@example(100, 50, 2.0)
@example(50, 999, 300.0)
@example(900, 450, 2.0)
def test_a_limit_that_changes_is_followed(before: int, after: int, cost: float) -> None:
    run = Run(before, cost)
    run.until(4 * 3600.0)
    run.limit = after
    run.until(run.now + 4 * 3600.0 if after < before else run.now + 3 * DAY)
    # The lowest refused level of before still counts where the limit was raised by a little.
    assert min(level for _, level in run.held[-60:]) >= min(least(after) - 1, 0.8 * after)
    assert sum(level > after for _, level in run.held[-60:]) <= 1


@settings(deadline=None, max_examples=100)
@given(limits, costs)
@example(900, 2.0)
def test_where_the_server_stops_refusing_nothing_is_held_in_the_end(
    limit: int, cost: float
) -> None:
    run = Run(limit, cost)
    run.until(3600.0)
    run.limit = CAP.requests
    refusals = len(run.refusals)
    run.until(run.now + 3 * DAY)
    assert run.learned.lesson is None
    assert len(run.refusals) == refusals


class Server:
    """Any 60 s hold ``limit`` that it lets through, by counting them; it may shut a key out."""

    def __init__(self, limit: int, lockout: float) -> None:
        self.limit = limit
        self.lockout = lockout
        self.locked_until = float("-inf")
        self.let_through: deque[float] = deque()

    def admits(self, now: float) -> bool:
        while self.let_through and self.let_through[0] <= now - 60.0:
            self.let_through.popleft()
        if now < self.locked_until:
            return False
        if len(self.let_through) < self.limit:
            self.let_through.append(now)
            return True
        self.locked_until = now + self.lockout
        return False


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 120), st.sampled_from([0.0, 0.0, 300.0]))
@example(1, 300.0)
@example(49, 0.0)
@example(50, 300.0)
@example(120, 300.0)
def test_request_by_request_it_comes_to_just_under_the_limit(limit: int, lockout: float) -> None:
    server, learned, stack = Server(limit, lockout), Learned(), WindowStack((CAP,))
    now, levels, refusals = 0.0, list[tuple[float, int]](), list[float]()

    def send() -> bool:
        stack.trim(now)
        stack.take()
        learned.granted(place := stack.used(60.0, now), now)
        stack.hold({CAP, *(learned.lesson.windows if learned.lesson is not None else ())})
        stack.stamp(now)
        if server.admits(now):
            return True
        if not paused:
            learned.refused(place, now, told=False, explained=False)
            refusals.append(now)
            assert learned.lesson is not None
            stack.hold({CAP, *learned.lesson.windows})
        return False

    while now < 4 * 3600.0:
        wait = stack.wait(now)
        assert wait is not None
        now += wait
        paused = False
        if not send():
            began, pause, paused = now, 2.0, True
            while True:
                now += max(pause, stack.wait(now + pause) or 0.0)
                if send():
                    break
                pause = min(300.0, 2 * pause)
            learned.opened(now, now - began)
        assert learned.lesson is not None or now < 60.0
        levels.append((now, 1000 if learned.lesson is None else learned.lesson.level))
    late = [level for moment, level in levels if moment > 2 * 3600.0]
    assert min(late) >= least(limit)
    assert max(late) <= max(limit + 1, limit * 1.25)
    assert len(refusals) <= 10
    assert sum(moment > 2 * 3600.0 for moment in refusals) <= 2


places = st.integers(1, 1000)
happening = st.tuples(
    st.sampled_from(["refused", "refused too", "opened", "granted", "granted", "granted"]),
    places,
    st.sampled_from([0.0, 1.0, 59.0, 60.0, 61.0, 400.0, 90_000.0]),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(happening, max_size=60), st.booleans())
def test_whatever_happens_the_level_stays_between_one_and_the_cap(
    todo: list[tuple[str, int, float]], told: bool
) -> None:
    learned, now, lowest = Learned(), 0.0, CAP.requests
    for what, place, gap in todo:
        now += gap
        lesson = learned.lesson
        before = CAP.requests if lesson is None else lesson.level
        if what == "refused":
            learned.refused(place, now, told=told, explained=False)
            assert learned.lesson is not None
            assert learned.lesson.level <= before
            assert learned.lesson.level < before or before == 1
        elif what == "refused too":
            learned.refused_too(place)
        elif what == "opened":
            learned.opened(now, gap)
        else:
            learned.granted(place, now)
        lesson = learned.lesson
        if lesson is None:
            continue
        lowest = min(lowest, lesson.level)
        assert 1 <= lesson.level <= CAP.requests
        assert 1 <= lesson.good <= lesson.level
        assert lesson.ceiling is None or lesson.ceiling > lesson.good
        assert lesson.refused <= lesson.retry_at <= lesson.refused + 7 * DAY
        second, minute = lesson.windows
        assert minute.requests == lesson.level
        assert second.requests * 40 >= lesson.level
