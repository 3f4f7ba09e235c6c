from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb4_async.errors import ConfigurationError
from kb4_async.protocol.request import Request, Value, fill_path, query_text

MEMBERS = "groups/{group_id}/members"


@pytest.mark.parametrize(
    ("value", "segment"),
    [
        (789, "789"),
        (2**80, str(2**80)),
        ("789", "789"),
        ("a/b", "a%2Fb"),
        ("a?b", "a%3Fb"),
        ("a#b", "a%23b"),
        ("100%", "100%25"),
        ("%2F", "%252F"),
        ("a b", "a%20b"),
        ("../users", "..%2Fusers"),
        ("...", "..."),
        ("\U0001f600", "%F0%9F%98%80"),
    ],
)
def test_a_value_stays_one_segment(value: str | int, segment: str) -> None:
    assert fill_path(MEMBERS, {"group_id": value}) == f"groups/{segment}/members"


@given(st.text(min_size=1).filter(lambda text: text.strip() not in {"", ".", ".."}))
def test_any_text_stays_one_segment_and_is_read_back(text: str) -> None:
    path = fill_path(MEMBERS, {"group_id": text})
    parts = urlsplit(Request("GET", path).url("https://h.example/v1"))
    assert (parts.query, parts.fragment) == ("", "")
    segments = parts.path.split("/")
    assert segments[:3] == ["", "v1", "groups"]
    assert segments[4:] == ["members"]
    assert unquote(segments[3]) == text


@pytest.mark.parametrize("value", ["", " ", ".", "..", " .. ", "\n"])
def test_a_value_that_names_no_record_is_refused(value: str) -> None:
    with pytest.raises(ConfigurationError, match="group_id"):
        fill_path(MEMBERS, {"group_id": value})


@pytest.mark.parametrize("value", [True, None, 1.0, b"1", ["1"]])
def test_a_value_that_is_no_id_is_refused(value: object) -> None:
    with pytest.raises(ConfigurationError, match="integer or a string"):
        fill_path(MEMBERS, {"group_id": value})  # type: ignore[dict-item]


def test_a_path_without_places_is_itself() -> None:
    assert fill_path("training/campaigns", {}) == "training/campaigns"


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (False, "false"), (7, "7"), ("True", "True"), ("a", "a")]
)
def test_booleans_are_written_in_lower_case_and_all_else_as_it_is(value: Value, text: str) -> None:
    assert query_text(value) == text


def test_a_query_keeps_its_order_and_is_quoted() -> None:
    query = {"z": "1", "a": "x&y=z", "m": "\u00e9 +"}
    url = Request("GET", "users", query).url("https://h.example/kb4/v1")
    parts = urlsplit(url)
    assert parts.path == "/kb4/v1/users"
    assert parse_qsl(parts.query) == list(query.items())


def test_without_a_query_there_is_no_question_mark() -> None:
    assert Request("GET", "account").url("https://h.example/v1") == "https://h.example/v1/account"


def test_a_space_is_a_space_to_every_server() -> None:
    url = Request("GET", "Users", {"filter": 'userName eq "a+b@x"'}).url("https://h.example")
    assert url == "https://h.example/Users?filter=userName%20eq%20%22a%2Bb%40x%22"
