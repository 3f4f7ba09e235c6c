import pytest

from kb4_async.options import DAY
from kb4_async.protocol.quota import Quota

HOUR = 3600.0


def spent(*answers: float) -> Quota:
    """A quota of which a request was answered at once at each of these moments."""
    quota = Quota()
    for moment in answers:
        quota.spend(moment, moment)
    return quota


def test_before_the_first_request_everything_is_left() -> None:
    assert Quota().left(5, 0, 0.0) == 5
    assert Quota().left(5, 0, 1e9) == 5


def test_where_nobody_was_told_of_a_quota_nothing_bounds_the_requests() -> None:
    assert Quota().left(None, 0, 0.0) is None
    assert spent(0.0, 1.0, 2.0).left(None, 1000, 3.0) is None


def test_what_is_in_flight_is_taken_already() -> None:
    quota = spent(0.0, 1.0)
    assert quota.left(5, 0, 2.0) == 3
    assert quota.left(5, 2, 2.0) == 1
    assert quota.left(5, 3, 2.0) == 0
    assert quota.left(5, 4, 2.0) == 0


def test_a_lower_limit_than_what_was_spent_leaves_nothing() -> None:
    assert spent(0.0, 1.0, 2.0).left(2, 0, 3.0) == 0


def test_the_day_ends_a_day_after_its_first_request_had_arrived_at_the_latest() -> None:
    quota = Quota()
    quota.spend(100.0, 130.0)
    quota.spend(101.0, 102.0)
    assert quota.left(2, 0, 200.0) == 0
    assert quota.resets(200.0) == 130.0 + DAY
    assert quota.left(2, 0, 129.0 + DAY) == 0
    assert quota.left(2, 0, 130.0 + DAY) == 2


def test_later_requests_do_not_put_off_the_end_of_the_day() -> None:
    quota = spent(0.0, 1.0, HOUR, 23 * HOUR, DAY - 1.0)
    assert quota.resets(DAY - 0.5) == DAY
    assert quota.left(5, 0, DAY - 0.5) == 0
    assert quota.left(5, 0, DAY) == 5


def test_the_next_day_begins_with_its_own_first_request_not_where_the_last_ended() -> None:
    quota = spent(0.0)
    assert quota.left(2, 0, 40 * HOUR) == 2
    quota.spend(40 * HOUR, 40 * HOUR)
    quota.spend(41 * HOUR, 41 * HOUR)
    assert quota.left(2, 0, 2 * DAY) == 0
    assert quota.resets(2 * DAY) == 40 * HOUR + DAY


def test_a_month_of_silence_leaves_everything() -> None:
    quota = spent(0.0, 1.0, 2.0)
    assert quota.left(3, 0, 30 * DAY) == 3


def test_a_request_that_ends_after_the_day_it_was_granted_in_counts_but_opens_no_day() -> None:
    # It may have arrived before the end, so the server's next day may begin much later.
    quota = spent(0.0)
    assert quota.left(3, 1, DAY) == 2
    quota.spend(DAY - 10.0, DAY + 10.0)
    assert quota.left(3, 0, DAY + 10.0) == 2
    quota.spend(DAY + 5 * HOUR, DAY + 5 * HOUR)
    assert quota.left(3, 0, DAY + 6 * HOUR) == 1
    quota.spend(DAY + 7 * HOUR, DAY + 7 * HOUR)
    assert quota.resets(DAY + 8 * HOUR) == 2 * DAY + 5 * HOUR


def test_a_request_granted_at_the_very_end_of_a_day_opens_the_next() -> None:
    quota = spent(0.0)
    quota.spend(DAY, DAY + 1.0)
    assert quota.left(1, 0, DAY + 2.0) == 0
    assert quota.resets(DAY + 2.0) == 2 * DAY + 1.0


def test_what_may_have_come_after_the_servers_day_ended_counts_in_the_next() -> None:
    # The first took 100 s and arrived at once, so the server's day ended 100 s before ours.
    quota = Quota()
    quota.spend(0.0, 100.0)
    quota.spend(DAY + 50.0, DAY + 50.0)
    quota.spend(DAY + 51.0, DAY + 51.0)
    assert quota.left(3, 0, DAY + 100.0) == 1


def test_requests_of_a_day_that_is_long_over_do_not_spend_another() -> None:
    # Ten were allowed when they were granted, and two are now.
    quota = spent(0.0)
    assert quota.left(10, 3, DAY) == 7
    for _ in range(3):
        quota.spend(DAY - 1.0, DAY + 1.0)
    assert quota.left(2, 0, 10 * DAY) == 2


def test_nothing_is_left_until_the_moment_the_server_names() -> None:
    quota = spent(0.0)
    quota.exhausted(5 * HOUR)
    assert quota.left(100, 0, HOUR) == 0
    assert quota.resets(HOUR) == 5 * HOUR
    assert quota.left(100, 0, 5 * HOUR - 1.0) == 0
    assert quota.left(100, 0, 5 * HOUR) == 99


def test_the_servers_word_holds_where_nobody_was_told_of_a_quota() -> None:
    quota = Quota()
    quota.exhausted(HOUR)
    assert quota.left(None, 0, 0.0) == 0
    assert quota.left(None, 0, HOUR) is None


def test_the_servers_word_outlives_the_end_of_the_day() -> None:
    quota = spent(0.0, 1.0)
    quota.exhausted(DAY + HOUR)
    assert quota.left(2, 0, DAY + 1.0) == 0
    assert quota.resets(DAY + 1.0) == DAY + HOUR
    assert quota.left(2, 0, DAY + HOUR) == 2


def test_after_the_moment_the_server_named_our_own_count_still_holds() -> None:
    quota = spent(0.0, 1.0)
    quota.exhausted(HOUR)
    assert quota.left(2, 0, HOUR) == 0
    assert quota.resets(HOUR) == DAY


@pytest.mark.parametrize("now", [0.0, 1e6])
def test_a_quota_that_is_spent_by_requests_in_flight_alone_resets_within_a_day_and_no_sooner(
    now: float,
) -> None:
    quota = Quota()
    assert quota.left(2, 2, now) == 0
    assert quota.resets(now) == now + DAY
