"""Whatever answers, is lost or is never sent: no window at the server holds too many arrivals."""

import heapq
from bisect import bisect_left

from hypothesis import given, settings
from hypothesis import strategies as st

from kb4_async.options import Window
from kb4_async.protocol.windows import WindowStack

# Eighths are exact in binary, so that brute force and arithmetic see the same edges.
eighths = st.integers(0, 64).map(lambda n: n / 8)
stacks = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 40)), min_size=1, max_size=3).map(
    lambda pairs: tuple({Window(n, w / 8) for n, w in pairs})
)
#: How a request ends, the wait before it, how long it takes, where in its span it arrives.
request = st.tuples(
    st.sampled_from(["answered", "answered", "unanswered", "unsent"]),
    eighths,
    eighths,
    st.sampled_from([0.0, 0.25, 0.5, 1.0]),
)
MAX_LAG = 3.0


def most_in_a_window(arrivals: list[float], seconds: float) -> int:
    """The most arrivals in any span [t, t + seconds), by trying each that begins with one."""
    times = sorted(arrivals)
    return max(
        (bisect_left(times, t + seconds) - i for i, t in enumerate(times)),
        default=0,
    )


@settings(deadline=None, max_examples=400)
@given(stacks, st.lists(request, max_size=40), st.data())
def test_no_window_ever_holds_more_arrivals_than_it_allows(
    windows: tuple[Window, ...],
    requests: list[tuple[str, float, float, float]],
    data: st.DataObject,
) -> None:
    change = data.draw(
        st.none() | st.tuples(st.integers(0, 40), stacks), "limits of another client"
    )
    held = set(windows)
    stack = WindowStack(windows)
    now = 0.0
    arrivals: list[float] = []
    since: dict[Window, int] = dict.fromkeys(windows, 0)
    ends: list[tuple[float, int, str]] = []

    def settle(until: float) -> None:
        while ends and ends[0][0] <= until:
            end, _, how = heapq.heappop(ends)
            if how == "unsent":
                stack.give_back()
            else:
                stack.stamp(end if how == "answered" else end + MAX_LAG)

    for number, (how, gap, length, where) in enumerate(requests):
        now += gap
        settle(now)
        if change is not None and change[0] == number:
            # A client opens: its windows are held besides.
            added = {window for window in change[1] if window not in held}
            held |= added
            since |= dict.fromkeys(added, len(arrivals))
            stack.hold(held)
        steps = 0
        while (wait := stack.wait(now)) != 0.0:
            now = ends[0][0] if wait is None else now + wait
            settle(now)
            steps += 1
            assert steps < 1000, "waiting never ends"
        stack.take()
        end = now + length
        heapq.heappush(ends, (end, number, how))
        if how != "unsent":
            latest = end if how == "answered" else end + MAX_LAG
            arrivals.append(now + where * (latest - now))
            for window in held:
                # A window that began later answers for what was granted since.
                own = arrivals[since[window] :]
                assert most_in_a_window(own, window.seconds) <= window.requests


@settings(deadline=None, max_examples=200)
@given(stacks, st.lists(st.tuples(st.booleans(), eighths), min_size=1, max_size=40))
def test_no_wait_is_longer_than_the_windows_need(
    windows: tuple[Window, ...], requests: list[tuple[bool, float]]
) -> None:
    """Answers at once: whoever waits as told leaves at the first moment brute force allows."""
    stack = WindowStack(windows)
    now = 0.0
    sent: list[float] = []
    for unsent, gap in requests:
        now += gap
        first = now
        # Full means that the n-th last request is younger than the window.
        for window in windows:
            if len(sent) >= window.requests:
                first = max(first, sent[-window.requests] + window.seconds)
        while (wait := stack.wait(now)) != 0.0:
            assert wait is not None
            now += wait
        assert now == first
        stack.take()
        if unsent:
            stack.give_back()
        else:
            stack.stamp(now)
            sent.append(now)
