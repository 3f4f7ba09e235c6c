"""Whatever a server shows of cursors: it never breaks a listing, and never leads away."""

from urllib.parse import quote, urlencode

from hypothesis import example, given, settings
from hypothesis import strategies as st

from kb4_async.errors import IncompleteListingError
from kb4_async.protocol.cursors import (
    HEADERS,
    Cursor,
    cursor_query,
    is_text,
    next_links,
    shown_cursor,
)
from kb4_async.protocol.token import Identity, Place, read_token, write_token

URL = "https://us.api.knowbe4.com/v1/users"
many = settings(deadline=None, max_examples=400)

#: Text that is nearly a Link header finds more than text that is nothing.
PIECES = [
    *("<", ">", ";", ",", "=", '"', "\\", " ", "\t", "rel", "next", "prev", 'rel="next"'),
    *("?cursor=a", "?page=2", URL, "//", "https://", ":99999", "[", "]", "@", "%", "&", "\u00e9"),
]
nearly = st.lists(st.sampled_from(PIECES), max_size=20).map("".join)
texts = st.text(max_size=60) | nearly
#: Headers that come over the wire may hold bytes that are no UTF-8.
wild = texts | st.text(st.characters(), max_size=20)
headers = st.dictionaries(st.sampled_from([*HEADERS, "link"]), wild, max_size=3)
givens = st.none() | st.booleans() | st.integers() | texts | st.lists(texts) | st.floats()
names = st.text("abcdefghijklmnop_", min_size=1, max_size=8)
filters = st.dictionaries(names, st.text(max_size=8), max_size=3)


@many
@given(givens, headers)
@example(None, {"link": "<https://[::1]x?cursor=a>; rel=next"})
@example(None, {"link": "<https://us.api.knowbe4.com:-1?cursor=a>; rel=next"})
@example(None, {"link": "<https://\u2100.example?cursor=a>; rel=next"})
@example(None, {"link": f"<{URL}?{'cursor=' * 2000}>; rel=next"})
def test_no_header_and_no_envelope_breaks_the_reading_of_cursors(
    given_: object, sent: dict[str, str]
) -> None:
    found = shown_cursor(given_, sent, URL)
    if isinstance(found, IncompleteListingError):
        assert found.reason == "no_proof"
    elif found is not None:
        assert found.value != ""
        assert found.link == (found.value not in {str(given_), *sent.values()})
        query = cursor_query(found, {"status": "active"}, 500)
        assert "page" not in query
        assert {"status", "per_page"} <= query.keys()


@many
@given(texts.filter(lambda text: ">" not in text), st.sampled_from(["next", '"next"', "NEXT"]))
def test_a_link_is_found_whatever_its_target(target: str, relation: str) -> None:
    header = f'<{target}>; title="x"; rel={relation}, <?cursor=z>; rel=next'
    assert list(next_links(header)) == [target, "?cursor=z"]


@many
@given(
    st.sampled_from(["https", "http", "ftp"]),
    st.sampled_from(["us.api.knowbe4.com", "eu.api.knowbe4.com", "127.0.0.1", "kb4.example"]),
    st.sampled_from(["", ":443", ":80", ":8080"]),
    st.text(min_size=1, max_size=10),
)
def test_a_link_is_followed_on_its_own_origin_alone(
    scheme: str, host: str, port: str, cursor: str
) -> None:
    target = f"{scheme}://{host}{port}/v1/users?cursor={quote(cursor, safe='')}"
    same = (scheme, host) == ("https", "us.api.knowbe4.com") and port in {"", ":443"}
    found = shown_cursor(None, {"link": f"<{target}>; rel=next"}, URL)
    assert isinstance(found, Cursor) == same
    assert isinstance(found, IncompleteListingError) != same
    if isinstance(found, Cursor):
        assert cursor_query(found, {}, 500) == {"per_page": "500", "cursor": cursor}


@many
@given(texts, st.booleans(), filters, st.integers(1, 500))
def test_a_page_number_is_never_asked_beside_a_cursor_and_no_filter_is_lost(
    value: str, link: bool, chosen: dict[str, str], per_page: int
) -> None:
    chosen.pop("page", None)  # no filter has that name: tests/unit/test_endpoints.py
    query = cursor_query(Cursor(value, link=link), chosen, per_page)
    assert "page" not in query
    assert query.keys() >= chosen.keys() | {"per_page"}
    if not link:
        assert query == {**chosen, "per_page": str(per_page), "cursor": value}


@many
@given(st.text(min_size=1, max_size=20), filters, st.booleans(), st.integers(1, 9))
def test_a_links_filters_are_asked_once_each(
    cursor: str, chosen: dict[str, str], repeats: bool, page: int
) -> None:
    own = {name: value for name, value in chosen.items() if repeats}
    link = urlencode({**own, "page": str(page), "cursor": cursor})
    found = shown_cursor(None, {"link": f"<{URL}?{link}>; rel=next"}, URL)
    assert isinstance(found, Cursor)
    query = cursor_query(found, chosen, 500)
    assert query == {**chosen, "per_page": "500", "cursor": cursor}


def test_a_cursor_that_is_no_text_is_an_error_before_it_is_sent() -> None:
    link = {"link": '<?cursor=\ud800>; rel="next"'}
    assert isinstance(shown_cursor("\ud800", {}, URL), IncompleteListingError)
    assert isinstance(shown_cursor(None, link, URL), IncompleteListingError)


@many
@given(wild.filter(bool).filter(is_text), st.booleans())
def test_a_cursor_of_any_text_comes_back_from_a_token(value: str, link: bool) -> None:
    identity = Identity("users", {}, {}, 500)
    place = Place(number=2, mode="cursor", anchor=Cursor(value, link=link), edges=[])
    assert read_token(write_token(identity, place), identity) == place
