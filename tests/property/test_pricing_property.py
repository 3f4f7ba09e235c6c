"""The arithmetic of plans, against simulations that go through every request."""

import heapq
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.paging_server import PagingServer, read

from kb4_async.options import Window
from kb4_async.protocol.asks import Verify
from kb4_async.protocol.codec import Key
from kb4_async.protocol.pricing import duration, listing_requests
from kb4_async.protocol.windows import WindowStack

many = settings(deadline=None, max_examples=400)
#: Eighths add up without rounding, so that both sides may compare exactly.
eighths = st.integers(0, 40).map(lambda n: n / 8)
limits = st.lists(
    st.builds(Window, st.integers(1, 12), st.integers(1, 80).map(lambda n: n / 8)), max_size=4
)
verifies: st.SearchStrategy[Verify] = st.sampled_from(["tail", "full", "none"])


def simulate(requests: int, windows: list[Window], latency: float, concurrency: int) -> float:
    """When the last answer comes, by the limiter's own windows: one request after another."""
    stack = WindowStack(tuple(windows) or (Window(requests + 1, 1.0),))
    flying: list[float] = []
    now = last = 0.0
    for _ in range(requests):
        while True:
            while flying and flying[0] <= now:
                stack.stamp(heapq.heappop(flying))
            wait = stack.wait(now)
            if wait == 0.0 and len(flying) < concurrency:
                break
            moments = flying[:1] + ([now + wait] if wait else [])
            now = min(moment for moment in moments if moment > now)
        stack.take()
        last = now + latency
        heapq.heappush(flying, last)
    return last


@many
@given(st.integers(0, 200), limits, eighths, st.integers(1, 8))
def test_a_duration_is_what_the_limiter_would_take(
    requests: int, windows: list[Window], latency: float, concurrency: int
) -> None:
    found = duration(requests, windows, latency, concurrency)

    assert found.seconds == pytest.approx(simulate(requests, windows, latency, concurrency))


@many
@given(st.integers(1, 10_000), limits, eighths, st.integers(1, 8))
def test_what_binds_alone_takes_its_share_of_the_time(
    requests: int, windows: list[Window], latency: float, concurrency: int
) -> None:
    found = duration(requests, windows, latency, concurrency)

    if found.binds is None:
        alone = duration(requests, [], latency, concurrency)
    else:
        assert found.binds in windows
        alone = duration(requests, [found.binds], latency, requests)
    assert alone.seconds <= found.seconds * (1 + 1e-9)
    assert alone.seconds >= found.seconds / (len(windows) + 1) * (1 - 1e-9)


@many
@given(st.integers(0, 3000), limits, eighths, st.integers(1, 8), st.integers(1, 500))
def test_more_requests_take_no_less_time_and_more_limits_neither(
    requests: int, windows: list[Window], latency: float, concurrency: int, more: int
) -> None:
    seconds = duration(requests, windows, latency, concurrency).seconds

    assert duration(requests + more, windows, latency, concurrency).seconds >= seconds
    assert duration(requests, windows[1:], latency, concurrency).seconds <= seconds + 1e-9


@many
@given(
    st.integers(0, 120),
    st.integers(2, 7),
    st.sampled_from([1, 2, 16]),
    st.integers(0, 2**32).map(random.Random),
    verifies,
    st.booleans(),
)
def test_a_listing_costs_what_reading_it_takes_whatever_is_answered_first(
    rows: int, per_page: int, ahead: int, chance: random.Random, verify: Verify, counted: bool
) -> None:
    keys: list[Key] = list(range(rows))
    result = read(
        PagingServer(keys),
        per_page=per_page,
        ahead=ahead,
        chance=chance,
        verify=verify,
        count=rows if counted else None,
    )

    assert result.keys == keys
    assert listing_requests(rows, per_page=per_page, counted=counted, verify=verify) == len(
        result.asks
    )


@many
@given(st.integers(0, 120), st.integers(1, 6), st.integers(1, 4), verifies)
def test_a_listing_in_smaller_pages_than_asked_for_costs_what_reading_it_takes(
    rows: int, cap: int, more: int, verify: Verify
) -> None:
    keys: list[Key] = list(range(rows))
    result = read(PagingServer(keys, cap=cap), per_page=cap + more, verify=verify)

    assert listing_requests(rows, per_page=cap + more, served=cap, verify=verify) == len(
        result.asks
    )
