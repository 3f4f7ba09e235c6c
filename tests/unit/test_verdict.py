import math
import time
from collections.abc import Iterator
from email.utils import format_datetime, formatdate
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kb4_async.errors import (
    APIError,
    AuthenticationError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)
from kb4_async.protocol.verdict import (
    MAYBE_UNREAD,
    NOTHING_TOLD,
    Action,
    RateHeaders,
    Refusal,
    judge,
    leading_number,
    rate_headers,
    retry_after,
)

NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT
STATUSES = range(100, 600)


def refusal(status: int, **more: Any) -> Refusal:
    return Refusal(status, "GET users at https://h.example/v1", "No.", "r-1", **more)


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_has_one_verdict(status: int) -> None:
    action = judge(status)
    if status == 200:
        assert action is Action.ACCEPT
    elif status == 429:
        assert action is Action.PAUSE
    elif status in {500, 502, 503, 504}:
        assert action is Action.RETRY
    else:
        # 401, 403, 404, redirects and anything unknown: never again (design 5, Retry).
        assert action is Action.FAIL


@pytest.mark.parametrize("status", [status for status in STATUSES if status != 200])
def test_every_refusal_has_an_error_that_says_what_to_know(status: int) -> None:
    error = refusal(status).error()
    assert isinstance(error, APIError)
    assert (error.status, error.request_id, error.excerpt) == (status, "r-1", "No.")
    for part in (str(status), "GET users at https://h.example/v1", "No.", "r-1"):
        assert part in str(error)


@pytest.mark.parametrize(
    ("status", "kind", "hint"),
    [
        (401, AuthenticationError, "region"),
        (403, PermissionDeniedError, "plan"),
        (404, NotFoundError, "/v1"),
        (429, RateLimitError, "too many"),
        (500, ServerError, "later"),
        (599, ServerError, "later"),
        (302, APIError, "redirect"),
        (400, APIError, "not document"),
        (204, APIError, "not document"),
        (101, APIError, "not document"),
    ],
)
def test_a_status_has_its_error_and_a_hint(status: int, kind: type[APIError], hint: str) -> None:
    error = refusal(status).error()
    assert type(error) is kind
    assert hint in str(error)


def test_a_redirect_names_its_target() -> None:
    assert "https://other.example/" in str(refusal(301, location="https://other.example/").error())


def test_a_refusal_without_words_or_id_claims_none() -> None:
    text = str(Refusal(500, "GET users", "", None).error())
    assert "said" not in text
    assert "request id" not in text


def test_what_a_proxy_answers_may_not_have_been_read() -> None:
    assert {502, 503, 504} == MAYBE_UNREAD  # semantics 6, Answered


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 120 ", 120.0),
        ("1.5", 1.5),
        (formatdate(NOW + 60, usegmt=True), 60.0),
        (formatdate(NOW - 60, usegmt=True), 0.0),
        ("Sun, 06 Nov 1994 08:50:37 +0000", 60.0),
        ("Sun, 06 Nov 1994 09:50:37 +0100", 60.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float) -> None:
    assert retry_after({"retry-after": text}, NOW) == seconds


@pytest.mark.parametrize(
    "text", ["", "soon", "-5", "1,5", "1.2.3", ".", "1e3", "0x10", "\u0661", "nan", "inf", "60s"]
)
def test_a_retry_after_that_makes_no_sense_is_none(text: str) -> None:
    assert retry_after({"retry-after": text}, NOW) is None


def test_without_the_header_there_is_none() -> None:
    assert retry_after({"Date": "Sun, 06 Nov 1994 08:49:37 GMT"}, NOW) is None


@pytest.fixture
def far_from_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose clock shows another time than the server's."""
    if not hasattr(time, "tzset"):
        pytest.skip("this system's zone cannot be set")
    monkeypatch.setenv("TZ", "XXX+05")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_from_greenwich")
@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:50:37 GMT",
        "Sunday, 06-Nov-94 08:50:37 GMT",
        "Sun Nov  6 08:50:37 1994",
        "Sun, 06 Nov 1994 08:50:37 -0000",
    ],
)
def test_every_form_of_an_http_date_is_universal_time(text: str) -> None:
    # RFC 9110 5.6.7: three forms are read, and all of them are UTC.
    assert retry_after({"retry-after": text}, NOW) == 60.0


@given(
    st.text()
    | st.from_regex(r"[0-9]{1,500}(\.[0-9]*)?", fullmatch=True)
    | st.datetimes().map(format_datetime)
)
@example("9" * 400)
@example("Mon, 01 Jan 0001 00:00:00 -0000")
def test_whatever_the_server_sends_is_a_time_or_none(text: str) -> None:
    seconds = retry_after({"retry-after": text}, NOW)
    assert seconds is None or (seconds >= 0.0 and math.isfinite(seconds))


LIMIT, REMAINING = "x-ratelimit-limit", "x-ratelimit-remaining"


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({LIMIT: "50", REMAINING: "49"}, RateHeaders(50, 49)),
        ({LIMIT: "50"}, RateHeaders(50, None)),
        ({REMAINING: "7"}, RateHeaders(None, 7)),
        ({LIMIT: "50", REMAINING: "0"}, RateHeaders(50, 0)),
        ({LIMIT: "50;w=60", REMAINING: "49;w=60"}, RateHeaders(50, 49)),
        ({LIMIT: "50, 50;w=60", REMAINING: " 3 "}, RateHeaders(50, 3)),
        ({LIMIT: "nonsense", REMAINING: "3"}, RateHeaders(None, 3)),
        ({LIMIT: "50", REMAINING: "-1"}, RateHeaders(50, None)),
        ({LIMIT: "", REMAINING: ""}, NOTHING_TOLD),
        ({LIMIT: "2147483648000", REMAINING: "9" * 5000}, NOTHING_TOLD),
    ],
)
def test_the_rate_headers_are_read_each_for_itself(
    headers: dict[str, str], told: RateHeaders
) -> None:
    assert rate_headers(headers) == told


@pytest.mark.parametrize("text", ["0", " 0 ", "0;w=60", "000", "0, 0;w=60"])
def test_a_limit_of_nothing_is_not_believed_but_nothing_remaining_is(text: str) -> None:
    assert rate_headers({LIMIT: text, REMAINING: text}) == RateHeaders(None, 0)


@pytest.mark.parametrize(
    "headers", [{}, {"retry-after": "5"}, {"ratelimit-limit": "50"}, {"X-RateLimit-Limit": "50"}]
)
def test_without_the_rate_headers_nothing_is_told(headers: dict[str, str]) -> None:
    # Names come in lower case: the transport sees to it.
    assert rate_headers(headers) is NOTHING_TOLD


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("50", 50),
        (" 50\t", 50),
        ("0", 0),
        ("007", 7),
        ("50;w=60", 50),
        ("50 ; w=60", 50),
        ("50;", 50),
        ("50,", 50),
        ("50, 50;w=60", 50),
        ("100, 50;w=60, 2000;w=86400", 100),
        ("999999999", 999_999_999),
    ],
)
def test_a_rate_header_begins_with_its_number(text: str, number: int) -> None:
    assert leading_number(text) == number


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        " ",
        "-1",
        "-50;w=60",
        "+50",
        "50.5",
        "50.0",
        "5e1",
        "0x32",
        "50/60s",
        "50 per minute",
        "50w",
        "1 000",
        "1_000",
        "unlimited",
        "limit=50",
        "w=60;50",
        ";50",
        ",50",
        "nan",
        "inf",
        "1000000000",
        "9" * 5000,
        "\u0665\u0660",
        "\uff15\uff10",
        "5\u0660",
        "\u00b2",
        "\u00a050",
        "50\u00a0",
    ],
)
def test_a_rate_header_that_makes_no_sense_is_none(text: str | None) -> None:
    assert leading_number(text) is None


@given(st.text() | st.from_regex(r"\s*[0-9]{1,12}\s*[;,]?.*"))
@example("50\n")
def test_whatever_a_rate_header_holds_is_a_number_of_requests_or_none(text: str) -> None:
    number = leading_number(text)
    assert number is None or 0 <= number < 10**9
    told = rate_headers({LIMIT: text, REMAINING: text})
    assert told.limit is None or told.limit >= 1
    assert told.remaining == number
