import dataclasses
import math
import warnings
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb4_async.errors import ConfigurationError
from kb4_async.options import CAP, DAY, ClientOptions, Limits, Paging, Retry, Timeout, Window


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("50/60s", Window(50, 60.0)),
        ("4/1s", Window(4, 1.0)),
        ("100/2m", Window(100, 120.0)),
        ("2000/24h", Window(2000, 86400.0)),
        ("2000/1d", Window(2000, 86400.0)),
        ("3/0.5d", Window(3, 43200.0)),
        ("1/0.5s", Window(1, 0.5)),
        (" 4 / 1 s ", Window(4, 1.0)),
    ],
)
def test_a_window_is_read_as_written_on_the_command_line(text: str, window: Window) -> None:
    assert Window.parse(text) == window


@pytest.mark.parametrize(
    "text",
    [
        "",
        "50",
        "50/60",
        "/60s",
        "50/s",
        "0/60s",
        "50/0s",
        "-1/60s",
        "1.5/60s",
        "50/60y",
        "50/60s x",
        "50/60S",
        "fifty a minute",
        "50 60s",
        "50//60s",
        "50/60s/2",
        "50/60s, 4/1s",
        "50/+60s",
        "+50/60s",
        "50/1e2s",
        "50/.5s",
        "50/60.s",
        "5 0/60s",
        "0x10/60s",
        "1_000/60s",
        "nan/60s",
        "50/nans",
        "50/infs",
        "50/60s\0",
        "1000000000/60s",
        "50/1234567890s",
        "9" * 5000 + "/1s",
    ],
)
def test_a_window_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        Window.parse(text)


@pytest.mark.parametrize(("requests", "seconds"), [(0, 1.0), (-1, 1.0), (1, 0.0), (1, math.nan)])
def test_a_window_that_admits_nothing_or_everything_is_refused(
    requests: int, seconds: float
) -> None:
    with pytest.raises(ConfigurationError, match="at least 1 request"):
        Window(requests, seconds)


@pytest.mark.parametrize(
    "seconds", [math.inf, -math.inf, math.nan, -1.0, math.nextafter(DAY, math.inf), 2 * DAY]
)
def test_a_window_longer_than_a_day_or_of_no_length_is_refused(seconds: float) -> None:
    with pytest.raises(ConfigurationError, match="at most a day"):
        Window(1, seconds)


@pytest.mark.parametrize("text", ["1/2d", "1/25h", "1/1441m", "1/86401s", "1/1.000001d"])
def test_a_text_longer_than_a_day_is_refused_as_such(text: str) -> None:
    with pytest.raises(ConfigurationError, match="at most a day"):
        Window.parse(text)


@pytest.mark.parametrize("text", ["50", "0/60s", "50/60y"])
def test_a_text_that_is_no_window_is_named_in_the_error(text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        Window.parse(text)


@given(st.text())
def test_any_text_is_a_window_or_refused(text: str) -> None:
    try:
        window = Window.parse(text)
    except ConfigurationError:
        return
    assert window.requests >= 1
    assert 0 < window.seconds <= DAY


@given(
    st.integers(1, 10**9 - 1),
    st.sampled_from([("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86400.0)]),
    st.integers(1, 86400),
)
def test_a_window_is_as_long_as_its_unit_says(
    requests: int, unit: tuple[str, float], number: int
) -> None:
    letter, seconds = unit
    number = min(number, int(DAY // seconds))
    assert Window.parse(f"{requests}/{number}{letter}") == Window(requests, number * seconds)


@given(st.integers(1, 10**9 - 1), st.integers(1, 86400) | st.sampled_from([0.5, 0.25, 1.5]))
def test_what_a_window_prints_is_read_as_the_same_window(requests: int, seconds: float) -> None:
    window = Window(requests, float(seconds))
    assert Window.parse(str(window)) == window


@pytest.mark.parametrize("text", ["5/12345.678s", "5/86399.99s", "5/59.9999999s", "5/0.00001s"])
def test_what_a_window_of_an_odd_length_prints_is_read_as_the_same_window(text: str) -> None:
    window = Window.parse(text)
    assert Window.parse(str(window)) == window


@pytest.mark.parametrize(
    ("window", "text"),
    [
        (Window(50, 60.0), "50/60s"),
        (Window(1, 0.5), "1/0.5s"),
        (Window(2000, DAY), "2000/1d"),
        (CAP, "1000/60s"),
    ],
)
def test_a_window_prints_as_it_is_written(window: Window, text: str) -> None:
    assert str(window) == text


def test_the_cap_is_a_thousand_requests_in_any_minute() -> None:
    assert Window(1000, 60.0) == CAP
    assert Limits().stack == (CAP,)


def test_the_published_limits_are_four_a_second_fifty_a_minute_and_the_seats_a_day() -> None:
    limits = Limits.published(licensed_users=500)
    assert limits.windows == (Window(4, 1.0), Window(50, 60.0), Window(2500, 86400.0))
    assert limits.stack == (Window(4, 1.0), Window(50, 60.0), CAP)
    assert limits.quota == Window(2500, 86400.0)
    assert limits == Limits.of("4/1s", "50/60s", "2500/1d")


@pytest.mark.parametrize(("seats", "a_day"), [(0, 2000), (1, 2001), (10**6, 1_002_000)])
def test_each_licensed_user_is_one_request_a_day_more(seats: int, a_day: int) -> None:
    assert Limits.published(licensed_users=seats).windows[-1] == Window(a_day, 86400.0)


def test_the_published_limits_take_a_lag_of_their_own() -> None:
    assert Limits.published(licensed_users=1).max_lag == 30.0
    assert Limits.published(licensed_users=1, max_lag=5.0).max_lag == 5.0


@pytest.mark.parametrize("text", ["published:500", " published:500 "])
def test_the_published_limits_are_read_as_written_on_the_command_line(text: str) -> None:
    assert Limits.of(text) == Limits.published(licensed_users=500)
    both = Limits.of("1/1s", text)
    assert both.windows == (Window(1, 1.0), *Limits.published(licensed_users=500).windows)


@pytest.mark.parametrize(
    "text",
    ["published", "published:", "published:many", "published:-1", "published:٣", "published: 5"],
)
def test_published_limits_without_a_number_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="written as in 'published:500', not "):
        Limits.of(text)


def test_fewer_than_no_licensed_users_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="0 or more, not -1"):
        Limits.published(licensed_users=-1)


@pytest.mark.parametrize("paging", ["auto", "number", "cursor"])
def test_a_listing_is_paged_as_told(paging: Paging) -> None:
    assert ClientOptions(paging=paging).paging == paging
    assert ClientOptions().paging == "auto"


@pytest.mark.parametrize("paging", ["", "page", "Auto", "cursors", None, True, 1])
def test_a_way_of_paging_that_is_none_is_refused_and_the_ways_named(paging: Paging) -> None:
    with pytest.raises(ConfigurationError, match="'auto', 'number' or 'cursor'"):
        ClientOptions(paging=paging)


windows = st.builds(Window, st.integers(1, 10**6), st.floats(0.01, DAY))


@given(st.lists(windows, max_size=6))
def test_no_choice_of_windows_lifts_the_cap(chosen: list[Window]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        stack = Limits(tuple(chosen)).stack
    assert CAP in stack
    for each in stack:
        assert each.requests <= 1000 * math.ceil(each.seconds / 60.0)
    within = {
        w for w in chosen if w.requests <= 1000 * math.ceil(w.seconds / 60) and w.seconds < DAY
    }
    assert within <= set(stack)
    assert len(stack) == len(set(stack))
    assert [w.seconds for w in stack] == sorted(w.seconds for w in stack)


def test_limits_are_read_from_several_texts() -> None:
    limits = Limits.of("50/60s", "4/1s", max_lag=5.0)
    assert limits.stack == (Window(4, 1.0), Window(50, 60.0), CAP)
    assert limits.max_lag == 5.0


def test_limits_that_are_nonsense_are_refused_with_the_text_that_is() -> None:
    with pytest.raises(ConfigurationError, match="4 a second"):
        Limits.of("50/60s", "4 a second")


@pytest.mark.parametrize("make", [lambda: Limits(max_lag=0.0), lambda: Limits.of(max_lag=0.0)])
def test_a_lag_of_nothing_is_allowed(make: Callable[[], Limits]) -> None:
    assert make().max_lag == 0.0


@pytest.mark.parametrize("lag", [-1.0, -5e-324, math.inf, -math.inf, math.nan])
def test_a_lag_that_is_no_number_of_seconds_is_refused_wherever_it_is_given(lag: float) -> None:
    with pytest.raises(ConfigurationError, match="max_lag"):
        Limits(max_lag=lag)
    with pytest.raises(ConfigurationError, match="max_lag"):
        Limits.of("50/60s", max_lag=lag)
    with pytest.raises(ConfigurationError, match="max_lag"):
        Limits.published(licensed_users=1, max_lag=lag)


def test_only_a_window_of_a_day_is_a_quota() -> None:
    assert Limits().quota is None
    assert Limits.of("50/60s", "2000/23h").quota is None
    assert Limits.of("50/60s", "2000/24h").quota == Window(2000, DAY)


def test_of_several_quotas_the_tightest_holds_and_none_is_a_sliding_window() -> None:
    limits = Limits.of("2000/1d", "500/24h", "50/60s", "900/1440m")
    assert limits.quota == Window(500, DAY)
    assert limits.stack == (Window(50, 60.0), CAP)


# What is asked for, and what the cap holds of it: a thousand for each minute begun.
ABOVE = [
    ("2000/60s", "1000/60s"),
    ("1001/1s", "1000/1s"),
    ("2001/61s", "2000/61s"),
    ("70000/1h", "60000/3600s"),
    ("1440001/1d", "1440000/1d"),
]


@pytest.mark.parametrize(("asked", "held"), ABOVE)
def test_a_limit_above_the_cap_is_lowered_with_a_warning_that_names_both(
    asked: str, held: str
) -> None:
    above = Window.parse(asked)
    with pytest.warns(UserWarning, match="above the cap") as caught:
        limits = Limits((above,))
    assert limits.windows == (Window.parse(held),)
    (warning,) = caught
    for part in (str(above), str(CAP), str(limits.windows[0].requests)):
        assert part in str(warning.message)


def test_each_limit_above_the_cap_is_warned_of_and_the_others_stay() -> None:
    with pytest.warns(UserWarning, match="above the cap") as caught:
        limits = Limits.of("2000/60s", "4/1s", "5000/2m")
    assert limits.windows == (Window(1000, 60.0), Window(4, 1.0), Window(2000, 120.0))
    first, second = (str(warning.message) for warning in caught)
    assert "2000/60s" in first
    assert "5000/120s" in second


def test_a_limit_at_the_cap_warns_of_nothing() -> None:
    # Warnings are errors here.
    assert Limits.of("1000/60s", "1000/1s", "2000/61s", "1440000/1d").windows[0] == CAP


@pytest.mark.parametrize(
    "make",
    [
        lambda: Limits((Window(2000, 60.0),)),
        lambda: Limits.of("2000/60s"),
        lambda: Limits.of("published:2000000"),
        lambda: Limits.published(licensed_users=2_000_000),
    ],
    ids=["Limits", "Limits.of", "Limits.of published", "Limits.published"],
)
def test_a_warning_points_at_who_asked_for_too_much(make: Callable[[], Limits]) -> None:
    with pytest.warns(UserWarning, match="above the cap") as caught:
        make()
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize(
    "arguments",
    [{"max_attempts": 0}, {"max_elapsed": -1.0}, {"base": -0.1}, {"ceiling": -1.0}],
)
def test_a_retry_that_never_sends_is_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        Retry(**arguments)  # type: ignore[arg-type]  # one is an integer


@pytest.mark.parametrize("name", ["connect", "read", "total"])
@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_a_timeout_that_every_request_misses_is_refused(name: str, seconds: float) -> None:
    with pytest.raises(ConfigurationError):
        Timeout(**{name: seconds})


@pytest.mark.parametrize("arguments", [{"max_concurrency": 0}, {"max_pause": -1.0}])
def test_a_client_that_never_sends_is_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        ClientOptions(**arguments)  # type: ignore[arg-type]  # one is an integer


def test_the_defaults_are_those_of_the_semantics() -> None:
    options = ClientOptions()
    assert (options.max_concurrency, options.max_pause) == (32, 1800)
    assert (options.retry.max_attempts, options.retry.max_elapsed) == (6, 300)
    timeout = options.timeout
    assert (timeout.connect, timeout.read, timeout.total) == (10, 60, 300)
    assert options.limits.max_lag == 30


@pytest.mark.parametrize("option", [Window(1, 1.0), Limits(), Retry(), Timeout(), ClientOptions()])
def test_options_are_frozen(option: Window | Limits | Retry | Timeout | ClientOptions) -> None:
    name = dataclasses.fields(option)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(option, name, None)
