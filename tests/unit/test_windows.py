import pytest

from kb4_async.options import CAP, Window
from kb4_async.protocol.windows import TRIM_AT, WindowStack

PAIR = Window(2, 10.0)
HOUR = Window(100, 3600.0)


def stack(*windows: Window) -> WindowStack:
    return WindowStack(windows or (PAIR,))


def test_as_many_as_the_window_holds_leave_at_once() -> None:
    windows = stack()
    assert windows.wait(0.0) == 0.0
    windows.take()
    assert windows.wait(0.0) == 0.0
    windows.take()
    assert windows.wait(0.0) is None


def test_while_all_are_in_flight_only_an_answer_can_tell_the_wait() -> None:
    windows = stack()
    windows.take()
    windows.take()
    assert windows.wait(1e6) is None
    windows.stamp(1e6)
    assert windows.wait(1e6) == 10.0


def test_a_slot_is_free_one_window_after_the_latest_arrival() -> None:
    windows = stack()
    windows.take()
    windows.take()
    windows.stamp(3.0)
    windows.stamp(5.0)
    assert windows.wait(5.0) == 8.0
    assert windows.wait(12.5) == 0.5
    assert windows.wait(13.0) == 0.0


def test_an_arrival_that_may_be_late_keeps_its_slot_though_others_came_after_it() -> None:
    windows = stack()
    windows.take()
    windows.take()
    windows.stamp(100.0)
    windows.stamp(1.0)
    assert windows.wait(11.0) == 0.0
    windows.take()
    windows.stamp(12.0)
    assert windows.wait(12.0) == 10.0
    assert windows.wait(22.0) == 0.0
    windows.take()
    assert windows.wait(100.0) == 10.0


def test_what_was_never_sent_returns_its_slot_at_once() -> None:
    windows = stack()
    windows.take()
    windows.take()
    windows.give_back()
    assert windows.wait(0.0) == 0.0


def test_of_several_windows_the_fullest_decides() -> None:
    windows = stack(Window(1, 1.0), Window(3, 60.0))
    for now in (0.0, 1.0, 2.0):
        assert windows.wait(now) == 0.0
        windows.take()
        windows.stamp(now)
    assert windows.wait(2.5) == 57.5
    assert windows.wait(60.0) == 0.0


def test_what_no_window_can_see_is_forgotten() -> None:
    windows = stack()
    for step in range(20_000):
        now = step * 10.0
        windows.trim(now)
        assert windows.wait(now) == 0.0
        windows.take()
        windows.stamp(now)
        assert len(windows.stamps) <= TRIM_AT


@pytest.mark.parametrize("seconds", [1.0, 59.0, 61.0, 3600.0])
def test_a_window_that_is_held_from_now_on_knows_what_was_sent_before(seconds: float) -> None:
    windows = WindowStack((CAP,))
    for _ in range(3):
        windows.take()
    windows.stamp(100.0)
    windows.stamp(100.5)
    later = Window(3, seconds)
    windows.hold({CAP, later})
    # Two came at 100 and 100.5, one is in flight.
    assert windows.wait(100.5) == pytest.approx(seconds - 0.5)
    windows.stamp(100.75)
    assert windows.wait(100.5 + seconds) == 0.0


def test_a_shorter_limit_that_ends_and_begins_again_forgets_nothing() -> None:
    windows = WindowStack((CAP,))
    windows.hold({CAP, PAIR})
    windows.take()
    windows.take()
    windows.stamp(0.0)
    windows.stamp(0.0)
    windows.hold({CAP})
    assert windows.wait(1.0) == 0.0
    windows.hold({CAP, PAIR})
    assert windows.wait(1.0) == 9.0


def test_a_longer_limit_that_ends_and_begins_again_forgets_nothing() -> None:
    windows = WindowStack((CAP,))
    two_an_hour = Window(2, 3600.0)
    windows.hold({CAP, two_an_hour})
    for _ in range(2):
        windows.take()
        windows.stamp(0.0)
    windows.hold({CAP})
    windows.hold({CAP, two_an_hour})
    assert windows.wait(100.0) == 3500.0


def test_a_longer_limit_that_ended_is_held_no_more() -> None:
    # Its client closed: what was sent stays counted, but only the cap is in force.
    windows = WindowStack((CAP,))
    two_an_hour = Window(2, 3600.0)
    windows.hold({CAP, two_an_hour})
    for _ in range(2):
        windows.take()
        windows.stamp(0.0)
    windows.hold({CAP})
    assert windows.wait(100.0) == 0.0


def test_what_is_remembered_of_a_limit_that_ended_does_not_grow_without_end() -> None:
    windows = stack(CAP, HOUR)
    windows.hold({CAP})
    for second in range(20_000):
        now = float(second)
        windows.trim(now)
        assert windows.wait(now) == 0.0
        windows.take()
        windows.stamp(now)
    # One float a request of the last hour, which is as long as anything is remembered, twice.
    assert len(windows.stamps) <= 2 * 3601


def test_slots_that_others_took_are_counted_in_every_window() -> None:
    windows = stack(Window(3, 10.0), Window(100, 60.0))
    windows.take()
    windows.stamp(0.0)
    windows.add(1.0, 2)
    assert windows.free(1.0) == 0
    assert windows.wait(1.0) == 9.0
    assert windows.used(60.0, 1.0) == 3


def test_a_tighter_limit_below_what_is_in_flight_waits_for_answers() -> None:
    windows = WindowStack((CAP,))
    for _ in range(5):
        windows.take()
    windows.hold({CAP, PAIR})
    assert windows.wait(0.0) is None
    now = 0.0
    for _ in range(5):
        windows.stamp(now)
    for _ in range(10):
        wait = windows.wait(now)
        assert wait is not None
        now += wait
    assert now == 10.0
