import math
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kb4_async.testing import published_limits
from kb4_async.testing.limits import Gate, Limit, LimitKind, Refusal

# A busy machine is no defect.
unhurried = settings(deadline=None)
# Eighths are exact in binary, so that brute force and counters see the same edges.
steps = st.lists(st.integers(0, 40).map(lambda eighths: eighths / 8), max_size=120)
caps = st.integers(1, 6)
lengths = st.integers(1, 64).map(lambda eighths: eighths / 8)


def times(gaps: Iterable[float]) -> Iterator[float]:
    now = 100.0
    for gap in gaps:
        now += gap
        yield now


@unhurried
@given(steps, caps, lengths)
def test_sliding_admits_exactly_what_brute_force_admits(
    gaps: list[float], cap: int, length: float
) -> None:
    gate = Gate([Limit(cap, length)])
    admitted: list[float] = []
    for now in times(gaps):
        room = sum(now - length < stamp <= now for stamp in admitted) < cap
        assert (gate.arrive(now) is None) == room
        if room:
            admitted.append(now)


@unhurried
@given(steps, caps, lengths)
def test_sliding_that_counts_refusals_needs_quiet(
    gaps: list[float], cap: int, length: float
) -> None:
    gate = Gate([Limit(cap, length, count_refused=True)])
    arrived: list[float] = []
    for now in times(gaps):
        room = sum(now - length < stamp <= now for stamp in arrived) < cap
        assert (gate.arrive(now) is None) == room
        arrived.append(now)


@unhurried
@given(steps, caps, lengths, lengths)
def test_fixed_windows_count_from_their_phase(
    gaps: list[float], cap: int, length: float, phase: float
) -> None:
    gate = Gate([Limit(cap, length, "fixed", phase=phase)])
    used: dict[int, int] = {}
    for now in times(gaps):
        window = math.floor((now - phase) / length)
        room = used.get(window, 0) < cap
        assert (gate.arrive(now) is None) == room
        used[window] = used.get(window, 0) + room


@unhurried
@given(steps, caps, lengths)
def test_anchored_windows_begin_with_a_request(gaps: list[float], cap: int, length: float) -> None:
    gate = Gate([Limit(cap, length, "anchored")])
    begin, used = -math.inf, 0
    for now in times(gaps):
        if now >= begin + length:
            begin, used = now, 0
        assert (gate.arrive(now) is None) == (used < cap)
        used += 1


@unhurried
@given(steps, caps, lengths)
def test_a_bucket_admits_its_burst_and_its_rate_in_any_stretch(
    gaps: list[float], cap: int, length: float
) -> None:
    gate = Gate([Limit(cap, length, "bucket")])
    admitted = [now for now in times(gaps) if gate.arrive(now) is None]
    for first, begin in enumerate(admitted):
        for last, end in enumerate(admitted[first:], first):
            assert last - first + 1 <= cap + (end - begin) * cap / length + 1e-6


@unhurried
@given(steps, caps, lengths, st.sampled_from(["sliding", "fixed", "anchored", "bucket"]))
def test_who_waits_as_told_is_admitted(
    gaps: list[float], cap: int, length: float, kind: LimitKind
) -> None:
    gate = Gate([Limit(cap, length, kind), Limit(cap + 1, length * 2)])
    now = 100.0
    for gap in gaps:
        now += gap
        refusal = gate.arrive(now)
        if refusal is not None:
            assert refusal.retry_after > 0
            now += refusal.retry_after + 1e-6
            assert gate.arrive(now) is None


@unhurried
@given(steps, caps, lengths)
def test_a_stack_admits_only_what_all_admit(gaps: list[float], cap: int, length: float) -> None:
    limits = [Limit(cap, length), Limit(2 * cap, 3 * length)]
    gate = Gate(limits)
    admitted = [now for now in times(gaps) if gate.arrive(now) is None]
    for limit in limits:
        for now in admitted:
            assert sum(now - limit.seconds < stamp <= now for stamp in admitted) <= limit.count


def wait(refusal: Refusal | None) -> float:
    assert refusal is not None
    return refusal.retry_after


def test_a_refusal_locks_the_key_out() -> None:
    gate = Gate([Limit(1, 1.0, lockout=300.0)])
    assert gate.arrive(0.0) is None
    assert wait(gate.arrive(0.5)) == 300.0
    assert wait(gate.arrive(200.0)) == 100.5
    assert gate.arrive(300.4) is not None
    assert gate.arrive(300.5) is None


def test_what_remains_is_told_for_the_limit_nearest_to_a_minute() -> None:
    gate = Gate([Limit(10, 60.0), Limit(3, 1.0, "bucket")])
    assert gate.remaining(0.0) == (10, 10)
    gate.arrive(0.0)
    assert gate.remaining(0.0) == (10, 9)
    assert Gate([]).remaining(0.0) is None


def test_a_limit_of_nothing_refuses_all() -> None:
    kinds: tuple[LimitKind, ...] = ("sliding", "fixed", "anchored", "bucket")
    for kind in kinds:
        assert wait(Gate([Limit(0, 1.0, kind)]).arrive(5.0)) == math.inf


def admitted(gate: Gate, begin: float, count: int, gap: float) -> int:
    return sum(gate.arrive(begin + number * gap) is None for number in range(count))


def test_published_limits_allow_four_a_second() -> None:
    gate = Gate(published_limits(100))
    assert admitted(gate, 0.0, 4, 0.01) == 4
    assert 0.9 < wait(gate.arrive(0.05)) <= 1.0
    assert gate.arrive(1.0) is None


def test_published_limits_lock_out_for_five_minutes_after_fifty_in_a_minute() -> None:
    gate = Gate(published_limits(100))
    assert admitted(gate, 0.0, 50, 0.5) == 50
    assert wait(gate.arrive(25.0)) == 300.0
    assert wait(gate.arrive(100.0)) == 225.0
    assert gate.arrive(324.9) is not None
    assert gate.arrive(325.0) is None


@pytest.mark.parametrize("users", [0, 345])
def test_a_published_day_begins_with_its_first_request(users: int) -> None:
    gate, first, day, each = Gate(published_limits(users)), 5_000.0, 86_400.0, 2_000 + users
    assert gate.arrive(first) is None
    assert admitted(gate, first + 80_000.0, each - 1, 2.0) == each - 1
    spent = first + 80_000.0 + 2.0 * each
    assert wait(gate.arrive(spent)) == first + day - spent
    assert gate.arrive(first + day - 0.1) is not None
    # All of it is there again then, and the next day begins with the next request.
    assert admitted(gate, first + day + 10.0, each, 2.0) == each
    assert wait(gate.arrive(first + day + 20_000.0)) == day + 10.0 - 20_000.0
