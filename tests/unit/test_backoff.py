import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb4_async.protocol.backoff import backoff, pause

chances = st.floats(0.0, 1.0)
asked = st.floats(0.0, 1e6)


@pytest.mark.parametrize(
    ("attempt", "bound"), [(1, 0.5), (2, 1.0), (3, 2.0), (6, 16.0), (7, 30.0), (5000, 30.0)]
)
def test_the_bound_doubles_up_to_the_ceiling(attempt: int, bound: float) -> None:
    assert backoff(attempt, 1.0, base=0.5, ceiling=30.0) == bound
    assert backoff(attempt, 0.0, base=0.5, ceiling=30.0) == 0.0


@given(st.integers(1, 10**9), chances, st.floats(0.0, 100.0), st.floats(0.0, 1000.0))
def test_jitter_is_full(attempt: int, chance: float, base: float, ceiling: float) -> None:
    bound = backoff(attempt, 1.0, base=base, ceiling=ceiling)
    assert 0.0 <= bound <= ceiling
    assert backoff(attempt, chance, base=base, ceiling=ceiling) == pytest.approx(chance * bound)


@pytest.mark.parametrize(
    ("step", "seconds"), [(0, 2), (1, 4), (2, 8), (3, 16), (6, 128), (7, 256), (8, 300), (900, 300)]
)
def test_pauses_double_from_two_seconds_to_three_hundred(step: int, seconds: float) -> None:
    assert pause(step, 0.0, None) == seconds


@given(st.integers(0, 100), chances)
def test_a_pauses_jitter_only_lengthens(step: int, chance: float) -> None:
    own = pause(step, 0.0, None)
    assert own <= pause(step, chance, None) <= 1.25 * own


@given(st.integers(0, 100), chances, asked)
def test_what_the_server_asks_for_is_obeyed(step: int, chance: float, seconds: float) -> None:
    length = pause(step, chance, seconds)
    assert seconds <= length <= max(seconds, 5.0) + 1.0
    if seconds >= 5.0:  # its word counts, however often it refused before
        assert length == pause(0, chance, seconds)


def test_a_server_that_asks_for_nothing_and_refuses_again_is_not_hammered() -> None:
    assert [pause(step, 0.0, 0.0) for step in range(5)] == [0.0, 2.0, 4.0, 5.0, 5.0]
