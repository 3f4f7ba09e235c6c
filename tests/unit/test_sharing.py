import json
from dataclasses import replace
from typing import Any

import pytest

from kb4_async.options import CAP, DAY, Window
from kb4_async.protocol.learning import Lesson
from kb4_async.protocol.sharing import (
    ASK_AGAIN,
    LOAN_SECONDS,
    MAX_LAG,
    Loan,
    Pause,
    Report,
    SharedKey,
)

NOW = 1_790_000_000.0
HOUR = 3600.0
TWO = Window(2, 10.0)
QUOTA = Window(5, DAY)


class Desk:
    """Where processes report and borrow; each finds what the one before left in writing."""

    def __init__(self) -> None:
        self.page = SharedKey()
        self.now = NOW
        self.machine = 500.0

    def later(self, seconds: float) -> None:
        self.now += seconds
        self.machine += seconds

    def ask(self, who: str, want: int = 1, *windows: Window, held: int = 0, **more: Any) -> Loan:
        report = Report(who, held, want, windows, **more)
        fields = json.loads(json.dumps(self.page.to_json()))
        self.page = SharedKey.from_json(fields, list(self.page.stamps))
        return self.page.exchange(report, self.now, self.machine)

    def lent(self, who: str, want: int = 1, *windows: Window, held: int = 0, **more: Any) -> int:
        return self.ask(who, want, *windows, held=held, **more).permits

    def answer(self, who: str, count: int, *windows: Window) -> Loan:
        """The process's requests were answered now, and it asks for no more."""
        spent = [(self.now, self.now, True)] * count
        return self.ask(who, 0, *windows, spent=spent)

    def beat(self, who: str, held: int, *windows: Window, seconds: float) -> None:
        """The process is heard of in time, for so long."""
        for _ in range(int(seconds // 10)):
            self.later(10.0)
            self.ask(who, 0, *windows, held=held)


def pause(desk: Desk, seconds: float, *, since: float = 0.0, step: int = 1) -> Pause:
    return Pause(desk.now - since, desk.now + seconds, step)


def lesson(level: int) -> Lesson:
    return replace(Lesson.first(400, NOW, told=False), level=level, good=level)


def test_processes_are_lent_what_the_cap_has_left() -> None:
    desk = Desk()
    assert desk.lent("a", 600) == 600
    assert desk.lent("b", 600) == 400
    loan = desk.ask("c", 600)
    assert (loan.permits, loan.wait) == (0, ASK_AGAIN)
    assert desk.lent("a", 0, held=100) == 0
    assert desk.lent("c", 600) == 500, "what was given back"


def test_who_wants_nothing_is_lent_nothing() -> None:
    desk = Desk()
    assert desk.lent("a", 0) == 0
    assert desk.lent("a", -3, held=3) == 0
    assert desk.page.holders["a"].held == 3


def test_what_was_answered_is_free_again_a_window_later() -> None:
    desk = Desk()
    desk.lent("a", 2, TWO)
    desk.later(3.0)
    desk.answer("a", 2, TWO)
    desk.later(2.0)
    loan = desk.ask("b", 2)
    assert loan.permits == 0
    assert 8.0 <= loan.wait <= 8.0 + ASK_AGAIN
    desk.later(8.0)
    assert desk.lent("b", 2) == 2


def test_the_tightest_of_all_living_processes_binds_each_and_each_is_told() -> None:
    desk = Desk()
    desk.ask("a", 0, TWO)
    loan = desk.ask("b", 5, Window(3, 10.0))
    assert loan.permits == 2
    assert loan.windows == (TWO,)
    assert desk.ask("a", 0, TWO).windows == (Window(3, 10.0),)


def test_the_limits_of_a_process_that_ended_bind_nobody() -> None:
    desk = Desk()
    desk.ask("a", 0, TWO)
    desk.ask("a", 0)
    assert desk.page.holders == {}
    assert desk.ask("b", 5).permits == 5


@pytest.mark.parametrize("late", [0.0, 1.0, 400.0])
def test_the_limits_of_a_process_that_is_heard_of_no_more_end_with_it(late: float) -> None:
    desk = Desk()
    desk.ask("a", 0, TWO)
    desk.later(LOAN_SECONDS - 0.125)
    assert desk.lent("b", 5) == 2
    desk.later(0.125 + late)
    assert desk.lent("b", 5, held=2) == 5


def test_what_a_killed_process_held_counts_as_sent_when_its_loan_expired_and_late() -> None:
    desk = Desk()
    desk.lent("b", 0, TWO)
    assert desk.lent("a", 2, TWO) == 2
    # The loan expires after 15 s, what was sent on it arrives 30 s later at the latest.
    desk.beat("b", 0, TWO, seconds=50.0)
    desk.later(LOAN_SECONDS + MAX_LAG + TWO.seconds - 50.0 - 0.125)
    assert desk.lent("b", 2, TWO) == 0
    desk.later(0.125)
    assert desk.lent("b", 2, TWO) == 2


def test_a_process_that_goes_on_reporting_keeps_what_it_holds() -> None:
    desk = Desk()
    assert desk.lent("a", 2, TWO) == 2
    desk.beat("a", 2, TWO, seconds=300.0)
    assert desk.page.stamps == []
    assert desk.lent("b", 1) == 0


@pytest.mark.parametrize("between", [False, True])
def test_a_long_limit_that_the_next_run_is_told_again_knows_what_this_one_sent(
    between: bool,
) -> None:
    desk, hourly = Desk(), Window(3, HOUR)
    assert desk.lent("a", 3, hourly) == 3
    desk.answer("a", 3, hourly)
    desk.ask("a", 0)
    desk.later(600.0)
    if between:
        desk.ask("another one", 1)
    loan = desk.ask("b", 3, hourly)
    assert loan.permits == 0
    assert HOUR - 601.0 <= loan.wait <= HOUR - 600.0 + ASK_AGAIN


def test_what_no_window_sees_any_more_is_forgotten_and_nothing_before() -> None:
    desk, long = Desk(), Window(2, 100.0)
    assert desk.lent("b", 2, long) == 2
    desk.answer("b", 2, long)
    desk.beat("b", 0, long, seconds=90.0)
    for seconds in (6.0, 3.875):
        desk.later(seconds)
        assert desk.lent("b", 1, long) == 0
    desk.later(0.125)
    assert desk.lent("b", 1, long) == 1
    for _ in range(200):
        desk.lent("a", 50)
        desk.answer("a", 50)
        desk.later(61.0)
    assert len(desk.page.stamps) <= 50


def test_a_quota_is_spent_together_and_what_is_lent_is_not_lent_again() -> None:
    desk = Desk()
    assert desk.lent("a", 3, QUOTA) == 3
    assert desk.lent("b", 3, QUOTA) == 2
    desk.answer("a", 3, QUOTA)
    desk.answer("b", 2, QUOTA)
    loan = desk.ask("c", 1, QUOTA)
    assert (loan.permits, loan.used, loan.resets) == (0, 5, desk.now + DAY)
    desk.later(DAY)
    assert desk.lent("c", 9, QUOTA) == 5


def test_a_quota_that_one_process_was_told_holds_for_all_while_it_lives() -> None:
    desk = Desk()
    desk.ask("a", 0, QUOTA)
    assert desk.lent("b", 9) == 5
    desk.ask("a", 0)
    assert desk.lent("b", 9, held=5) == 9


def test_what_a_killed_process_held_is_spent_but_begins_no_day() -> None:
    desk = Desk()
    assert desk.lent("a", 2, QUOTA) == 2
    desk.later(10 * HOUR)
    assert desk.lent("b", 9, QUOTA) == 3
    desk.answer("b", 3, QUOTA)
    # The server's day may have begun with the answered ones, ten hours after the others.
    desk.later(15 * HOUR)
    assert desk.lent("b", 9, QUOTA) <= 2
    desk.later(9 * HOUR + 1.0)
    assert desk.lent("c", 9, QUOTA) >= 3


def test_the_servers_word_that_the_quota_is_spent_is_taken_by_all_for_a_day_at_most() -> None:
    desk = Desk()
    desk.ask("a", 0, exhausted=desk.now + 30 * DAY)
    loan = desk.ask("b", 1)
    assert (loan.permits, loan.resets) == (0, desk.now + DAY)
    desk.later(DAY)
    assert desk.lent("b", 1) == 1


def test_during_a_pause_nobody_is_lent_anything_and_each_is_told_its_end() -> None:
    desk = Desk()
    desk.ask("a", 0, refused=pause(desk, 20.0))
    desk.later(5.0)
    for who in ("a", "b", "c"):
        loan = desk.ask(who, 5)
        assert (loan.permits, loan.wait) == (0, 15.0)
        assert loan.pause is not None
        assert loan.pause.until == desk.now + 15.0


def test_after_a_pause_one_process_is_lent_one_request_until_it_was_answered() -> None:
    desk = Desk()
    desk.ask("a", 0, refused=pause(desk, 20.0))
    desk.later(20.0)
    assert desk.lent("b", 5) == 1
    for who in ("a", "c"):
        assert desk.lent(who, 5) == 0
    assert desk.lent("b", 0, opened=True) == 0
    assert desk.page.pause is None
    assert desk.lent("a", 5) == 5


def test_a_refused_probe_pauses_all_again() -> None:
    desk = Desk()
    desk.ask("a", 0, refused=pause(desk, 20.0))
    desk.later(20.0)
    assert desk.lent("b", 5) == 1
    desk.ask("b", 0, refused=pause(desk, 40.0, since=20.0, step=2))
    desk.later(39.0)
    assert desk.lent("a", 1) == desk.lent("b", 1) == 0
    desk.later(1.0)
    assert desk.lent("a", 1) == 1
    assert desk.page.pause is not None
    assert desk.page.pause.step == 2
    assert desk.page.pause.since == desk.now - 60.0


def test_a_prober_that_is_heard_of_no_more_is_replaced() -> None:
    desk = Desk()
    desk.ask("a", 0, refused=pause(desk, 20.0))
    desk.later(20.0)
    assert desk.lent("b", 1) == 1
    desk.later(LOAN_SECONDS - 0.125)
    assert desk.lent("c", 1) == 0
    desk.later(0.125)
    assert desk.lent("c", 1) == 1
    assert desk.lent("a", 1) == 0
    # Its probe may be lost, and be followed by another of its own.
    assert desk.lent("c", 1) == 1


def test_of_several_pauses_the_longest_is_kept_and_the_first_beginning() -> None:
    desk = Desk()
    desk.ask("a", 0, refused=pause(desk, 60.0, since=8.0, step=3))
    desk.ask("b", 0, refused=pause(desk, 20.0, since=2.0, step=1))
    assert desk.page.pause == Pause(desk.now - 8.0, desk.now + 60.0, 3)


def test_no_pause_is_remembered_for_longer_than_a_day() -> None:
    desk = Desk()
    desk.ask("a", 0, refused=pause(desk, 30 * DAY))
    desk.later(DAY)
    assert desk.lent("b", 1) == 1


def test_a_pause_that_nobody_ended_is_forgotten_in_the_end() -> None:
    desk = Desk()
    desk.ask("a", 0, refused=pause(desk, 20.0))
    desk.later(DAY)
    assert desk.lent("b", 5) == 5


def test_what_one_process_learned_all_hold() -> None:
    desk = Desk()
    desk.ask("a", 0, lesson=lesson(3), taught=True)
    loan = desk.ask("b", 100)
    assert (loan.permits, loan.revision) == (1, 1)
    assert loan.lesson is not None
    assert loan.lesson.level == 3


@pytest.mark.parametrize(("first", "second"), [(20, 40), (40, 20)])
def test_of_two_lessons_that_knew_nothing_of_each_other_the_lower_holds(
    first: int, second: int
) -> None:
    desk = Desk()
    desk.ask("a", 0, lesson=lesson(first), taught=True)
    loan = desk.ask("b", 0, lesson=lesson(second), taught=True)
    assert loan.lesson is not None
    assert (loan.lesson.level, loan.revision) == (20, 2)


def test_who_knew_the_newest_lesson_may_raise_or_end_it() -> None:
    desk = Desk()
    desk.ask("a", 0, lesson=lesson(20), taught=True)
    loan = desk.ask("b", 0, lesson=lesson(40), taught=True, revision=1)
    assert loan.lesson is not None
    assert loan.lesson.level == 40
    assert desk.ask("a", 0, lesson=None, taught=True, revision=1).lesson is not None
    assert desk.ask("b", 0, lesson=None, taught=True, revision=3).lesson is None


def test_a_lesson_that_did_not_change_changes_nothing() -> None:
    desk = Desk()
    desk.ask("a", 0, lesson=lesson(20), taught=True)
    loan = desk.ask("b", 0, lesson=lesson(10), revision=1)
    assert loan.lesson is not None
    assert (loan.lesson.level, loan.revision) == (20, 1)


@pytest.mark.parametrize("hours", [-24.0, -1.0, 1.0, 24.0])
def test_a_clock_that_was_set_neither_frees_nor_locks_a_window(hours: float) -> None:
    desk = Desk()
    desk.lent("a", 2, TWO)
    desk.answer("a", 2, TWO)
    desk.now += hours * HOUR
    desk.later(9.0)
    assert desk.lent("a", 2, TWO) == 0
    desk.now += hours * HOUR
    desk.later(1.0)
    assert desk.lent("a", 2, TWO) == 2


@pytest.mark.parametrize("hours", [-24.0, 24.0])
def test_a_clock_that_was_set_neither_shortens_nor_lengthens_a_loan(hours: float) -> None:
    desk = Desk()
    desk.lent("b", 0, TWO)
    desk.lent("a", 2, TWO)
    desk.now += hours * HOUR
    desk.later(LOAN_SECONDS - 0.125)
    assert desk.lent("b", 1, TWO) == 0
    assert desk.page.holders["a"].held == 2
    desk.later(0.125)
    desk.ask("b", 0, TWO)
    assert "a" not in desk.page.holders


def test_a_clock_set_back_makes_no_pause_and_no_day_longer() -> None:
    desk = Desk()
    desk.lent("a", 5, QUOTA)
    desk.answer("a", 5, QUOTA)
    desk.ask("a", 0, QUOTA, refused=pause(desk, 20.0))
    desk.now -= 48 * HOUR
    desk.later(20.0)
    loan = desk.ask("a", 1, QUOTA)
    assert loan.resets == desk.now - 20.0 + DAY
    desk.later(DAY - 20.0)
    assert desk.lent("a", 1, QUOTA) == 1


def test_small_steps_of_a_clock_do_not_add_up() -> None:
    desk = Desk()
    desk.lent("a", 2, TWO)
    desk.answer("a", 2, TWO)
    for _ in range(9):
        desk.now += 0.75
        desk.later(1.0)
        assert desk.lent("a", 2, TWO) == 0
    desk.later(1.5)
    assert desk.lent("a", 2, TWO) == 2


@pytest.mark.parametrize(("passed", "lent"), [(-24 * HOUR, 0), (0.0, 0), (9.0, 0), (10.0, 2)])
def test_after_the_machine_was_restarted_a_window_waits_no_longer_than_it_is(
    passed: float, lent: int
) -> None:
    desk = Desk()
    desk.lent("a", 2, TWO)
    desk.answer("a", 2, TWO)
    desk.machine = 3.0
    desk.now += passed
    assert desk.lent("b", 2, TWO) == lent
    desk.later(10.0)
    assert desk.lent("c", 2, TWO) == 2 - lent


def test_the_cap_holds_whatever_the_processes_were_told() -> None:
    desk = Desk()
    assert desk.lent("a", 5000, Window(10**6, 1.0), Window(10**6, DAY)) == CAP.requests
