"""Days that an export takes under a quota, against one that is gone through day by day."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb4_async.protocol.pricing import RESUMING, quota_days

requests = st.integers(1, 5_000)
quotas = st.integers(RESUMING + 1, 400)
#: Probes that listings keep: more than any quota here, in the worst case.
probes = st.lists(st.integers(0, 600), max_size=12).map(lambda kept: sorted(kept, reverse=True))


def gone_through(left: int, quota: int, kept: list[int]) -> int:
    """Spend each day's quota; a morning adds what was asked before and is asked again."""
    waiting = list(kept)
    day = 1
    while (left := left - quota) > 0:
        left += RESUMING + (waiting.pop(0) if waiting else 0)
        day += 1
    return day


@given(requests, quotas, probes)
def test_each_day_but_the_first_asks_some_things_again(
    needed: int, quota: int, kept: list[int]
) -> None:
    assert quota_days(needed, quota, kept) == gone_through(needed, quota, kept)


@given(requests, quotas, probes, st.integers(0, 500))
def test_more_requests_take_no_fewer_days_and_a_larger_quota_no_more(
    needed: int, quota: int, kept: list[int], more: int
) -> None:
    days = quota_days(needed, quota, kept)
    assert quota_days(needed + more, quota, kept) >= days
    assert quota_days(needed, quota + more, kept) <= days
    assert quota_days(needed, quota) <= days


@given(requests, st.integers(1, RESUMING))
def test_a_quota_that_resuming_eats_up_takes_the_days_of_the_requests_alone(
    needed: int, quota: int
) -> None:
    assert quota_days(needed, quota, [9, 9]) == -(-needed // quota)


@pytest.mark.parametrize(
    ("needed", "quota", "kept", "days"),
    [
        (10, 10, (5,), 1),
        (11, 10, (), 2),
        (18, 10, (), 2),
        (19, 10, (), 3),
        (15, 10, (3,), 2),
        (16, 10, (3,), 3),
        # Only listings that were cut off: the second night's second listing, not all of them.
        (20, 10, (3, 2, 2, 2), 3),
        (10_000, 2_000, (8, 4), 6),
    ],
)
def test_days_of_an_export(needed: int, quota: int, kept: tuple[int, ...], days: int) -> None:
    assert quota_days(needed, quota, kept) == days
