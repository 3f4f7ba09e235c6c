import dataclasses
import math
import warnings

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
