from collections.abc import Mapping

import pytest

from kb4_async.errors import IncompleteListingError
from kb4_async.protocol.asks import Ask, edges_of
from kb4_async.protocol.cursors import FIRST, Cursor, cursor_query, link_cursor, shown_cursor

URL = "https://us.api.knowbe4.com/v1/training/enrollments"


def shown(
    given: object = None, url: str = URL, **headers: str
) -> Cursor | IncompleteListingError | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return shown_cursor(given, named, url)


def linked(header: str, url: str = URL) -> Cursor | IncompleteListingError | None:
    return shown(url=url, link=header)


# -- where a cursor is shown ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("abc", "abc"),
        ("0", "0"),
        ("false", "false"),
        (" ", " "),
        (7, "7"),
        (-1, "-1"),
        (2**70, str(2**70)),
        ("a&page=2", "a&page=2"),
        ("\u00e9", "\u00e9"),
    ],
)
def test_an_envelopes_cursor_is_text_or_an_integer(given: object, value: str) -> None:
    assert shown(given) == Cursor(value)


@pytest.mark.parametrize("given", [None, "", False, True, [], {}, {"cursor": "a"}, ["a"]])
def test_nothing_empty_and_nothing_else_in_an_envelope_is_a_cursor(given: object) -> None:
    assert shown(given) is None


@pytest.mark.parametrize("name", ["x-next-cursor", "next-cursor", "x-cursor-next"])
def test_each_of_three_headers_is_a_cursor_unless_it_is_empty(name: str) -> None:
    assert shown_cursor(None, {name: "abc"}, URL) == Cursor("abc")
    assert shown_cursor(None, {name: ""}, URL) is None


@pytest.mark.parametrize("name", ["x-cursor", "x-prev-cursor", "cursor", "x-total-count"])
def test_no_other_header_is_one(name: str) -> None:
    assert shown_cursor(None, {name: "abc"}, URL) is None


@pytest.mark.parametrize(
    ("given", "headers", "value"),
    [
        ("a", {"x-next-cursor": "b", "link": "<?cursor=c>; rel=next"}, "a"),
        (None, {"x-next-cursor": "b", "link": "<?cursor=c>; rel=next"}, "b"),
        ("", {"next-cursor": "b"}, "b"),
        (False, {"x-next-cursor": "", "x-cursor-next": "b"}, "b"),
        ("", {"x-next-cursor": "", "link": "<?cursor=c>; rel=next"}, "cursor=c"),
    ],
)
def test_the_first_form_that_holds_something_counts(
    given: object, headers: Mapping[str, str], value: str
) -> None:
    found = shown_cursor(given, headers, URL)
    assert isinstance(found, Cursor)
    assert found.value == value
    assert found.link == value.startswith("cursor=")


# -- Link headers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        f'<{URL}?cursor=abc>; rel="next"',
        f"<{URL}?cursor=abc>; rel=next",
        f"<{URL}?cursor=abc>;rel=next",
        f"<{URL}?cursor=abc>  ;  rel = next",
        f'<{URL}?cursor=abc>; REL="NEXT"',
        f'<{URL}?cursor=abc>; rel="prefetch next"',
        f'<{URL}?cursor=abc>; title="more"; rel="next"',
        f'<{URL}?cursor=abc>; title="a, b"; rel="next"; type="text/html"',
        f'<{URL}?cursor=abc>; crossorigin; rel="next"',
        f'<{URL}?page=1>; rel="prev", <{URL}?cursor=abc>; rel="next"',
        f'<{URL}?cursor=x>; rel="first",<{URL}?cursor=abc>; rel=next,<{URL}?cursor=z>; rel=last',
        f'<{URL}?cursor=a,b>; rel="self", <{URL}?cursor=abc>; rel="next"',
        f'<{URL}?cursor=abc>; rel="next", <{URL}?cursor=second>; rel="next"',
        "<?cursor=abc>; rel=next",
        "<enrollments?cursor=abc>; rel=next",
        "</v1/training/enrollments?cursor=abc>; rel=next",
        "<//us.api.knowbe4.com/v1/training/enrollments?cursor=abc>; rel=next",
        f"<{URL}?cursor=abc#top>; rel=next",
    ],
)
def test_the_link_of_the_relation_next_is_found_however_it_is_written(header: str) -> None:
    assert linked(header) == Cursor("cursor=abc", link=True)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "next",
        "<>",
        f"<{URL}?cursor=abc>",
        f'<{URL}?cursor=abc>; rel="prev"',
        f'<{URL}?cursor=abc>; rel="nextpage"',
        f"<{URL}?cursor=abc>; rev=next",
        f'<{URL}?cursor=abc>; title="next"',
        f"{URL}?cursor=abc; rel=next",
        f"<{URL}?cursor=abc; rel=next",
        f'<{URL}?cursor=abc>; rel="prev"; rel="next"',  # RFC 8288: the first counts
        f"<{URL}>; rel=next",
        f"<{URL}?>; rel=next",
        "<#top>; rel=next",
    ],
)
def test_other_links_and_broken_ones_are_no_cursor(header: str) -> None:
    assert linked(header) is None


def test_a_link_whose_title_looks_like_a_relation_is_not_followed() -> None:
    assert linked(f'<{URL}?cursor=abc>; title="a; rel=next"; rel="prev"') is None


def test_a_link_whose_title_holds_an_escaped_quotation_mark_is_followed() -> None:
    found = linked(rf'<{URL}?cursor=abc>; title="\"more\""; rel="next"')
    assert found == Cursor("cursor=abc", link=True)


@pytest.mark.parametrize("query", ["page=2", "page=2&per_page=500", "per_page=500&page=2&a=b"])
@pytest.mark.parametrize("host", ["", "https://us.api.knowbe4.com", "https://elsewhere.example"])
def test_a_link_to_a_page_number_is_no_cursor_wherever_it_leads(query: str, host: str) -> None:
    assert linked(f"<{host}/v1/training/enrollments?{query}>; rel=next") is None


@pytest.mark.parametrize("query", ["cursor=a&page=2", "after=a", "per_page=500", "cursor=", "a"])
def test_a_links_whole_query_is_kept(query: str) -> None:
    assert linked(f"<{URL}?{query}>; rel=next") == Cursor(query, link=True)


@pytest.mark.parametrize(
    ("target", "where"),
    [
        ("https://elsewhere.example/v1/training/enrollments?cursor=a", "elsewhere.example"),
        ("https://eu.api.knowbe4.com/v1/training/enrollments?cursor=a", "eu.api.knowbe4.com"),
        ("https://us.api.knowbe4.com.elsewhere.example/v1?cursor=a", "elsewhere.example"),
        ("https://us.api.knowbe4.com@elsewhere.example/v1?cursor=a", "elsewhere.example"),
        ("https://us.api.knowbe4.com:8443/v1?cursor=a", "us.api.knowbe4.com"),
        ("http://us.api.knowbe4.com/v1?cursor=a", "http://us.api.knowbe4.com"),
        ("ftp://us.api.knowbe4.com/v1?cursor=a", "ftp"),
        ("//elsewhere.example/v1?cursor=a", "elsewhere.example"),
        ("https://us.api.knowbe4.com:port/v1?cursor=a", "cannot be read"),
        ("https://us.api.knowbe4.com:99999/v1?cursor=a", "cannot be read"),
        ("https://[::1/v1?cursor=a", "cannot be read"),
    ],
)
def test_a_link_that_leaves_the_origin_is_an_error_and_never_a_cursor(
    target: str, where: str
) -> None:
    error = linked(f"<{target}>; rel=next")
    assert isinstance(error, IncompleteListingError)
    assert error.reason == "no_proof"
    assert where in str(error)
    assert "cursor=a" not in str(error), "a cursor may hold anything"


@pytest.mark.parametrize(
    ("url", "target"),
    [
        (URL, "https://us.api.knowbe4.com:443/v1/training/enrollments?cursor=a"),
        (URL, "HTTPS://US.API.KNOWBE4.COM/v1/training/enrollments?cursor=a"),
        (URL, "https://somebody@us.api.knowbe4.com/v1/training/enrollments?cursor=a"),
        ("https://kb4.example:443/v1/users", "https://kb4.example/v1/users?cursor=a"),
        ("http://127.0.0.1:80/v1/users", "http://127.0.0.1/v1/users?cursor=a"),
        ("http://127.0.0.1/v1/users", "http://127.0.0.1:80/v1/users?cursor=a"),
        ("http://127.0.0.1:8080/v1/users", "http://127.0.0.1:8080/v1/users?cursor=a"),
        ("http://[::1]:8080/v1/users", "http://[::1]:8080/v1/users?cursor=a"),
        (URL, "/elsewhere/on/the/origin?cursor=a"),
        (URL, "https:///elsewhere/on/the/origin?cursor=a"),
    ],
)
def test_a_port_that_is_the_schemes_own_is_no_other_origin(url: str, target: str) -> None:
    assert link_cursor(target, url) == Cursor("cursor=a", link=True)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://127.0.0.1:8080/v1/users", "http://127.0.0.1/v1/users?cursor=a"),
        ("http://127.0.0.1:8080/v1/users", "http://localhost:8080/v1/users?cursor=a"),
        ("http://127.0.0.1:443/v1/users", "https://127.0.0.1/v1/users?cursor=a"),
    ],
)
def test_another_port_is_another_origin(url: str, target: str) -> None:
    assert isinstance(link_cursor(target, url), IncompleteListingError)


# -- asking for a cursor --------------------------------------------------------------------------

FILTERS = {"status": "active", "group_id": "7"}


@pytest.mark.parametrize("value", ["true", "abc", "page=2", "a&b=c", "\u00e9 +%"])
def test_a_cursor_is_asked_with_the_filters_and_a_size(value: str) -> None:
    query = cursor_query(Cursor(value), FILTERS, 500)
    assert query == {**FILTERS, "per_page": "500", "cursor": value}


@pytest.mark.parametrize(
    ("link", "query"),
    [
        ("cursor=a", {**FILTERS, "per_page": "500", "cursor": "a"}),
        ("cursor=a&page=2", {**FILTERS, "per_page": "500", "cursor": "a"}),
        ("cursor=a%26b%20c%2B", {**FILTERS, "per_page": "500", "cursor": "a&b c+"}),
        ("cursor=a&per_page=100", {**FILTERS, "per_page": "100", "cursor": "a"}),
        ("status=active&cursor=a&x=", {**FILTERS, "per_page": "500", "cursor": "a", "x": ""}),
        ("after=9", {**FILTERS, "per_page": "500", "after": "9"}),
    ],
)
def test_a_link_is_asked_with_its_own_query_and_the_filters_it_left_out(
    link: str, query: dict[str, str]
) -> None:
    assert cursor_query(Cursor(link, link=True), FILTERS, 500) == query


def test_the_first_cursor_is_true() -> None:
    assert cursor_query(FIRST, {}, 500) == {"per_page": "500", "cursor": "true"}


def test_asking_changes_no_filter() -> None:
    filters = dict(FILTERS)
    cursor_query(Cursor("cursor=a&status=archived", link=True), filters, 500)
    cursor_query(Cursor("a"), filters, 500)
    assert filters == FILTERS


# -- what a listing asks --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ask", "query"),
    [
        (Ask(3, 500, "page", 1), {"page": "3", "per_page": "500"}),
        (Ask(3, 500, "page", 1, cursor=Cursor("a")), {"per_page": "500", "cursor": "a"}),
        (Ask(1, 500, "page", 1, named=False), {"per_page": "500"}),
    ],
)
def test_an_ask_names_a_page_a_cursor_or_neither(ask: Ask, query: dict[str, str]) -> None:
    assert ask.query({}) == query
    assert ask.query(FILTERS) == {**FILTERS, **query}


@pytest.mark.parametrize(
    ("keys", "edges"),
    [([], None), ([None, 1], None), ([7], (7, 7, 1)), (["a", None, "b"], ("a", "b", 3))],
)
def test_a_page_is_told_by_its_first_and_last_key_and_its_rows(
    keys: list[int | str | None], edges: object
) -> None:
    assert edges_of(keys) == edges
