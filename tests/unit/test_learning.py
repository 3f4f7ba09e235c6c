import pytest

from kb4_async.options import Window
from kb4_async.protocol.learning import Learned, Lesson

HOUR = 3600.0
WEEK = 7 * 86_400.0


def refused_at(nth: int, now: float = 0.0, paused: float = 0.0) -> Lesson:
    """What is known after a first refusal and its pause."""
    lesson = Lesson.first(nth, now, told=False)
    lesson.opened(now + paused, paused)
    return lesson


def quiet_minute(lesson: Lesson, now: float) -> float:
    """A minute that is used to the full; when it is over, and the lesson has been told so."""
    lesson.used = True
    lesson.climb(now + 60.0)
    return now + 60.0


def full_minute(learned: Learned, now: float) -> float:
    """A minute that is used to the full; when the first request after it has been granted."""
    if learned.lesson is not None:
        learned.granted(learned.lesson.level, now)
    learned.granted(1, now + 60.0)
    return now + 60.0


def climbed(lesson: Lesson, now: float, minutes: int = 20) -> list[int]:
    """The levels held in the minutes that follow, each used and quiet, without repeats."""
    levels = [lesson.level]
    for _ in range(minutes):
        now = quiet_minute(lesson, now)
        if lesson.level != levels[-1]:
            levels.append(lesson.level)
    return levels


@pytest.mark.parametrize("nth", [*range(1, 120), 499, 500, 999, 1000])
def test_wherever_the_first_refusal_comes_the_published_profile_is_held(nth: int) -> None:
    lesson = refused_at(nth)
    assert lesson.windows == (Window(4, 1.0), Window(lesson.level, 60.0))
    if nth == 51:
        # Held at the published minute, the 51st may be refused again.
        assert lesson.level == 49
    else:
        assert lesson.level == 50


@pytest.mark.parametrize(
    ("nth", "level"), [(10, 50), (51, 49), (60, 50), (99, 50), (101, 50), (400, 200), (1000, 500)]
)
def test_a_server_that_tells_more_than_it_keeps_is_held_to_half_of_what_it_refused(
    nth: int, level: int
) -> None:
    assert Lesson.first(nth, 0.0, told=True).level == level


def test_refused_again_at_its_level_it_halves_down_to_one_a_minute() -> None:
    lesson = refused_at(5)
    levels = []
    for incident in range(1, 8):
        lesson.refuse(lesson.level, incident * 100.0)
        levels.append(lesson.level)
    assert levels == [25, 12, 6, 3, 1, 1, 1]
    assert lesson.windows == (Window(1, 1.0), Window(1, 60.0))


@pytest.mark.parametrize(
    ("level", "second"),
    [(1, 1), (12, 1), (13, 2), (25, 2), (50, 4), (160, 4), (400, 10), (999, 25)],
)
def test_a_second_has_its_share_of_the_minute_and_four_for_as_long_as_they_do(
    level: int, second: int
) -> None:
    lesson = refused_at(5)
    lesson.level = level
    assert lesson.windows == (Window(second, 1.0), Window(level, 60.0))


def test_a_full_quiet_minute_doubles_the_level() -> None:
    lesson = refused_at(400)
    lesson.used = True
    assert lesson.climb(60.0)
    assert lesson.level == 100
    assert lesson.good == 50, "100 is only being tried"


def test_less_than_a_full_minute_proves_nothing() -> None:
    lesson = refused_at(400)
    lesson.used = True
    assert not lesson.climb(59.9)
    assert lesson.level == 50
    assert lesson.climb(60.0)


def test_a_minute_that_was_not_used_to_the_full_proves_nothing() -> None:
    lesson = refused_at(400)
    assert not lesson.climb(1e6)
    assert lesson.level == 50


def test_each_step_needs_a_minute_of_its_own() -> None:
    lesson = refused_at(400)
    lesson.used = True
    assert lesson.climb(60.0)
    assert not lesson.climb(1e6), "not used since"
    lesson.used = True
    lesson.since = 60.0
    assert not lesson.climb(119.0)
    assert lesson.climb(120.0)
    assert lesson.level == 200


def test_the_quiet_minute_begins_when_the_pause_is_over() -> None:
    lesson = Lesson.first(400, 0.0, told=False)
    lesson.used = True
    lesson.opened(300.0, 300.0)
    assert not lesson.climb(301.0)
    lesson.used = True
    assert not lesson.climb(359.0)
    assert lesson.climb(360.0)


@pytest.mark.parametrize(
    ("nth", "levels"),
    [
        (52, [50]),
        (60, [50, 58]),
        (101, [50, 97]),
        (250, [50, 100, 200, 240]),
        (700, [50, 100, 200, 400, 672]),
        (1000, [50, 100, 200, 400, 800, 960]),
    ],
)
def test_it_climbs_step_by_step_and_stops_just_under_what_was_refused(
    nth: int, levels: list[int]
) -> None:
    lesson = refused_at(nth, paused=10.0)
    # A pause of ten seconds is waited for longer than these minutes take.
    assert climbed(lesson, 10.0, minutes=16) == levels
    assert lesson.ceiling == nth


def test_refused_while_it_climbs_it_falls_back_to_what_was_borne_out() -> None:
    lesson = refused_at(400)
    now = quiet_minute(lesson, 0.0)
    now = quiet_minute(lesson, now)
    assert lesson.level == 200
    lesson.refuse(151, now + 5.0)
    assert (lesson.level, lesson.good, lesson.ceiling) == (100, 100, 151)
    lesson.opened(now + 10.0, 5.0)
    assert climbed(lesson, now + 10.0, minutes=4) == [100, 145]


def test_what_lies_beyond_is_tried_after_its_time_a_quarter_more() -> None:
    lesson = refused_at(400, paused=1.0)
    assert climbed(lesson, 1.0, minutes=4) == [50, 100, 200, 384]
    assert lesson.retry_at == 300.0
    lesson.since, lesson.used = 200.0, True
    assert not lesson.climb(299.0)
    lesson.since, lesson.used = 200.0, True
    assert lesson.climb(300.0)
    assert (lesson.level, lesson.good, lesson.ceiling) == (480, 384, 400)


@pytest.mark.parametrize(
    ("nth", "paused", "patience"),
    [
        (400, 0.0, 300.0),
        (400, 2.0, 300.0),
        (400, 30.0, 3000.0),
        (400, 300.0, 30_000.0),
        # As KnowBe4 publishes it: that is most likely the truth.
        (5, 0.0, HOUR),
        (50, 30.0, HOUR),
        (50, 300.0, 30_000.0),
        (400, WEEK, WEEK),
    ],
)
def test_the_more_a_refusal_cost_the_later_it_is_tried_again(
    nth: int, paused: float, patience: float
) -> None:
    assert refused_at(nth, 1000.0, paused).retry_at == 1000.0 + patience


def test_each_vain_try_doubles_the_patience_up_to_a_week() -> None:
    lesson = refused_at(400, paused=2.0)
    now, waits = 0.0, []
    climbed(lesson, 2.0, minutes=4)
    for _ in range(16):
        now = max(now + 60.0, lesson.retry_at)
        quiet_minute(lesson, now)
        assert lesson.level == 480
        now += 90.0
        lesson.refuse(400, now)
        lesson.opened(now + 2.0, 2.0)
        assert lesson.level == 384, "nothing was lost by trying"
        waits.append(lesson.retry_at - now)
    assert waits[:5] == [600.0, 1200.0, 2400.0, 4800.0, 9600.0]
    assert waits[-1] == WEEK
    assert waits == sorted(waits)


def test_a_limit_that_was_restored_is_found_and_climbed_back_to_the_cap() -> None:
    learned = Learned(refused_at(60))
    now, levels = 0.0, [50]
    for _ in range(30):
        now = full_minute(learned, now)
        if learned.lesson is not None and learned.lesson.level != levels[-1]:
            levels.append(learned.lesson.level)
    assert learned.lesson is None, "nothing is held beyond the cap"
    assert levels[:6] == [50, 58, 72, 144, 288, 576]


def test_a_try_that_was_borne_out_forgets_the_ceiling_and_the_vain_tries() -> None:
    lesson = refused_at(400)
    lesson.tries = 5
    lesson.level, lesson.good = 480, 384
    quiet_minute(lesson, 0.0)
    assert (lesson.ceiling, lesson.tries) == (None, 0)
    assert lesson.level == 960


@pytest.mark.parametrize("good", [800, 801, 850, 960, 999])
def test_a_try_never_goes_above_the_cap(good: int) -> None:
    lesson = refused_at(1000)
    lesson.level = lesson.good = good
    quiet_minute(lesson, 1e6)
    assert good < lesson.level <= 1000


def test_the_cap_itself_is_not_believed_before_a_minute_bore_it_out() -> None:
    lesson = refused_at(1000)
    lesson.level = lesson.good = 960
    learned = Learned(lesson)
    now = full_minute(learned, 1e6)
    # What was learned is needed still: 960 is to be held when the cap is refused again.
    assert learned.refused(1000, now + 30.0, told=False, explained=False)
    assert learned.lesson is not None
    assert (learned.lesson.level, learned.lesson.tries) == (960, 1)


def test_of_several_refusals_of_one_moment_the_lowest_is_the_ceiling() -> None:
    lesson = Lesson.first(120, 0.0, told=False)
    for nth in (130, 90, 100):
        lesson.refuse_too(nth)
    assert lesson.ceiling == 90
    assert lesson.level == 50


@pytest.mark.parametrize("nth", [1, 20, 50])
def test_a_refusal_of_the_same_moment_below_the_published_minute_tells_nothing(nth: int) -> None:
    lesson = Lesson.first(120, 0.0, told=False)
    lesson.refuse_too(nth)
    assert lesson.ceiling == 120


def test_the_ceiling_stays_above_the_level_that_is_held() -> None:
    lesson = Lesson.first(400, 0.0, told=True)
    assert lesson.level == 200
    lesson.refuse_too(150)
    assert lesson.ceiling == 201
    lesson.refuse(20, 100.0)
    assert (lesson.level, lesson.ceiling) == (100, 101)


def test_the_last_request_that_a_level_allows_marks_it_as_used() -> None:
    learned = Learned(refused_at(400))
    assert not learned.granted(49, 70.0)
    assert not learned.granted(1, 140.0), "49 do not bear out 50"
    assert learned.granted(50, 150.0)
    assert learned.lesson is not None
    assert learned.lesson.level == 100


def test_while_nothing_is_known_nothing_changes() -> None:
    learned = Learned()
    assert not learned.granted(1000, 0.0)
    learned.refused_too(10)
    learned.opened(100.0, 50.0)
    assert learned == Learned()


def test_a_refusal_that_is_explained_teaches_nothing_unless_another_follows_soon() -> None:
    learned = Learned(told=100)
    assert not learned.refused(80, 0.0, told=True, explained=True)
    assert not learned.refused(80, 121.0, told=True, explained=True)
    assert learned.lesson is None
    assert learned.refused(80, 241.0, told=True, explained=True)
    assert learned.lesson is not None
    assert learned.lesson.level == 50


def test_a_refusal_without_a_word_teaches_at_once() -> None:
    learned = Learned()
    assert not learned.refused(300, 0.0, told=False, explained=True)
    assert learned.refused(300, 500.0, told=False, explained=False)
    assert learned.lesson is not None
    assert learned.lesson.ceiling == 300


@pytest.mark.parametrize(
    ("told", "window"),
    [(None, None), (1, Window(1, 60.0)), (999, Window(999, 60.0)), (1000, None), (10**8, None)],
)
def test_what_the_server_tells_is_held_as_far_as_it_is_below_the_cap(
    told: int | None, window: Window | None
) -> None:
    assert Learned(told=told).told_window == window


def test_on_another_clock_it_is_the_same_lesson() -> None:
    here, there = refused_at(400, 100.0, 2.0), refused_at(400, 100.0, 2.0)
    there.shift(1e6)
    for lesson, now in ((here, 102.0), (there, 102.0 + 1e6)):
        assert climbed(lesson, now, minutes=3) == [50, 100, 200, 384]
    assert there.retry_at == here.retry_at + 1e6
    assert there.refused == here.refused + 1e6
    assert there.since == here.since + 1e6
