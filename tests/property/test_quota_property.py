"""Whatever the delays: no day of a server that counts from its first arrival holds too many."""

import heapq
from collections.abc import Iterable

from hypothesis import example, given, settings
from hypothesis import strategies as st

from kb4_async.options import DAY
from kb4_async.protocol.quota import Quota

MAX_LAG = 30
# Whole seconds, so that brute force and arithmetic see the same edges.
lengths = st.sampled_from([0, 0, 300]) | st.integers(0, 300)
#: How a request ends, how long it takes, where in its span it arrives.
request = st.tuples(
    st.sampled_from(["answered", "answered", "answered", "lost", "unanswered", "unsent"]),
    lengths,
    st.sampled_from([0.0, 0.0, 0.5, 1.0]),
)
#: Seconds of silence, then requests of one kind, and how many of them.
burst = st.tuples(st.sampled_from([0, 0, 1, 100, 100, 36_000]), request, st.sampled_from([1, 1, 3]))
#: Then silence until about the end of the client's day, or of the server's, if not for hours.
silence = st.tuples(
    st.sampled_from(["client", "server", "hours"]),
    st.sampled_from([-100, -1, 0, 1, 50]) | st.integers(-400, 400),
)
#: Seconds beyond its day's end for which the server says that nothing is left.
word = st.none() | st.none() | lengths
limits = st.sampled_from([3, 2, 4, 1])
lives = st.lists(
    st.tuples(st.lists(burst, min_size=1, max_size=4), word, silence), min_size=1, max_size=4
)
Life = list[tuple[list[tuple[int, tuple[str, int, float], int]], int | None, tuple[str, int]]]


def days(arrivals: Iterable[float]) -> list[tuple[float, int]]:
    """When each of the server's days began, and how many arrived in it."""
    found: list[tuple[float, int]] = []
    for moment in sorted(arrivals):
        if found and moment < found[-1][0] + DAY:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((moment, 1))
    return found


class Client:
    """It grants only while something is left, and sends at once."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.quota = Quota()
        self.now = 0.0
        self.arrivals: list[float] = []
        self.forbidden = float("-inf")
        self.ends: list[tuple[float, int, str, float]] = []

    def settle(self, until: float) -> None:
        while self.ends and self.ends[0][0] <= until:
            end, _, how, granted = heapq.heappop(self.ends)
            if how != "unsent":
                answered = how == "answered"
                self.quota.spend(granted, end if answered else end + MAX_LAG, answered=answered)

    def go(self, seconds: float) -> None:
        self.now += seconds
        self.settle(self.now)

    def be_silent(self, until: str, seconds: int) -> None:
        moment = self.now + 10 * abs(seconds)
        if until == "client" and self.quota.ends is not None:
            moment = self.quota.ends + seconds
        elif until == "server" and self.arrivals:
            moment = days(self.arrivals)[-1][0] + DAY + seconds
        self.go(max(0.0, moment - self.now))

    def left(self) -> int:
        left = self.quota.left(self.limit, len(self.ends), self.now)
        assert left is not None
        return left

    def wait(self) -> None:
        """Wait as told until something is left."""
        for _ in range(100):
            if self.left():
                return
            reset = self.quota.resets(self.now)
            assert reset > self.now
            self.now = min(self.ends[0][0], reset) if self.ends else reset
            self.settle(self.now)
        msg = "waiting never ends"
        raise AssertionError(msg)

    def send(self, how: str, length: int, where: float) -> None:
        assert self.now >= self.forbidden
        end = self.now + length
        heapq.heappush(self.ends, (end, len(self.arrivals) + len(self.ends), how, self.now))
        if how not in {"lost", "unsent"}:
            latest = end if how == "answered" else end + MAX_LAG
            self.arrivals.append(self.now + where * (latest - self.now))

    def hear_it_is_spent(self, extra: int) -> None:
        """Others spent it too. The server tells the end of its day, or somewhat more."""
        running = days(moment for moment in self.arrivals if moment <= self.now)
        if running and self.now < running[-1][0] + DAY:
            self.forbidden = running[-1][0] + DAY + extra
            self.quota.exhausted(self.forbidden)


QUICK, SLOW, LOST = ("answered", 0, 0.0), ("answered", 300, 0.0), ("lost", 0, 0.0)


@settings(deadline=None, max_examples=300)
@given(limits, lives)
# The server's day ended before the client's, which saw its first request answered late.
@example(2, [([(0, SLOW, 1)], None, ("server", 50)), ([(0, QUICK, 3)], None, ("hours", 0))])
# The first request was answered after one that was sent later.
@example(
    3,
    [
        ([(0, SLOW, 1), (100, QUICK, 1)], None, ("server", 50)),
        ([(0, QUICK, 4)], None, ("hours", 0)),
    ],
)
# The first request never came to the server, whose day therefore began hours later.
@example(
    2,
    [
        ([(0, LOST, 1), (36_000, QUICK, 1)], None, ("client", 0)),
        ([(0, QUICK, 2)], None, ("hours", 0)),
    ],
)
# An unanswered one was forgotten while another, which had arrived on its day, was on its way.
@example(
    3,
    [
        (
            [
                (0, ("unanswered", 0, 0.0), 1),
                (86_280, SLOW, 1),
                (200, ("answered", 300, 0.5), 2),
                (0, QUICK, 3),
            ],
            None,
            ("hours", 0),
        )
    ],
)
# One was granted before the day's end and came after it.
@example(
    2,
    [
        ([(0, QUICK, 1)], None, ("client", -1)),
        ([(0, ("answered", 300, 0.5), 1), (1, QUICK, 2)], None, ("hours", 0)),
    ],
)
def test_no_day_of_the_server_ever_holds_more_than_the_quota(limit: int, life: Life) -> None:
    client = Client(limit)
    for bursts, extra, silence in life:
        for gap, what, times in bursts:
            client.go(gap)
            for _ in range(times):
                client.wait()
                client.send(*what)
        if extra is not None:
            client.hear_it_is_spent(extra)
        client.be_silent(*silence)
    assert max((held for _, held in days(client.arrivals)), default=0) <= limit


@settings(deadline=None, max_examples=200)
@given(limits, lives)
def test_where_answers_come_at_once_the_count_is_the_servers_own(limit: int, life: Life) -> None:
    client = Client(limit)
    for bursts, _, silence in life:
        for gap, _, times in bursts:
            client.go(gap)
            for _ in range(times):
                known = days(client.arrivals)
                running = bool(known) and client.now < known[-1][0] + DAY
                held = known[-1][1] if running else 0
                assert client.left() == limit - held
                if held < limit:
                    client.send(*QUICK)
                    client.settle(client.now)
                else:
                    assert client.quota.resets(client.now) == known[-1][0] + DAY
        client.be_silent(*silence)


@settings(deadline=None, max_examples=200)
@given(limits, lives)
def test_once_all_is_accounted_for_a_day_and_a_lag_later_all_is_left(
    limit: int, life: Life
) -> None:
    client = Client(limit)
    for bursts, extra, silence in life:
        for gap, what, times in bursts:
            client.go(gap)
            for _ in range(min(times, client.left())):
                client.send(*what)
        if extra is not None:
            client.hear_it_is_spent(extra)
        client.be_silent(*silence)
    client.settle(float("inf"))
    client.now = max(client.now + 300 + MAX_LAG + DAY, client.forbidden)
    assert client.left() == limit
