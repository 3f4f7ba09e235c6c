"""Which way a listing is paged, when it changes, and what is learned of that."""

from collections.abc import Mapping
from typing import Any, Literal

import pytest
from support.paging_server import CursorServer, PagingServer, Reading, Reply, read

from kb4_async.errors import APIError, IncompleteListingError, ServerError
from kb4_async.options import Paging
from kb4_async.protocol.codec import Key
from kb4_async.protocol.cursor_paging import CursorListing
from kb4_async.protocol.cursors import Cursor
from kb4_async.protocol.habits import Habits
from kb4_async.protocol.modes import begin, changed
from kb4_async.protocol.one_answer import OneAnswer
from kb4_async.protocol.paging import NumberedListing
from kb4_async.protocol.reader import Reader, Setup, is_refusal
from kb4_async.protocol.token import Place

Shape = Literal["envelope", "header", "link"]
SHAPES: tuple[Shape, ...] = ("envelope", "header", "link")
REFUSED = [400, 405, 410, 422]
OTHER = [401, 403, 404, 429, 500, 503]


def keys(rows: int) -> list[Key]:
    """Ascending, with gaps."""
    return list(range(7, 7 + 3 * rows, 3))


def texts(rows: int) -> list[Key]:
    return [f"k{n:03}" for n in range(rows)]


def auto(server: PagingServer, **options: Any) -> Reading:
    options = {"per_page": 5, "paging": "auto", "users": CursorServer([1, 2]), **options}
    return read(server, **options)


def ways(result: Reading) -> str:
    """How each request was made: by number or by cursor."""
    return "".join("n" if ask.cursor is None else "c" for ask in result.asks)


def learned(mode: Literal["number", "cursor"]) -> Habits:
    """What a client knows that has read this listing before."""
    habits = Habits()
    server = CursorServer(keys(23), announce=True)
    assert read(server, per_page=5, paging=mode, habits=habits).proven
    assert read(PagingServer(keys(23)), per_page=5, habits=habits).proven or mode == "cursor"
    return habits


# -- how to begin ---------------------------------------------------------------------------------

AT_3 = Place(number=3, size=5, rows=10)
BY_CURSOR = Place(number=3, mode="cursor", anchor=Cursor("a"), size=5, rows=10)


@pytest.mark.parametrize(
    ("paging", "known", "place", "kind"),
    [
        ("auto", None, None, NumberedListing),
        ("auto", "number", None, NumberedListing),
        ("auto", "cursor", None, CursorListing),
        ("number", None, None, NumberedListing),
        ("number", "cursor", None, NumberedListing),
        ("cursor", None, None, CursorListing),
        ("cursor", "number", None, CursorListing),
        # A place says itself how it was paged.
        ("auto", "cursor", AT_3, NumberedListing),
        ("cursor", "cursor", AT_3, NumberedListing),
        ("auto", "number", BY_CURSOR, CursorListing),
        ("number", "number", BY_CURSOR, CursorListing),
        # Unless it is at the beginning.
        ("cursor", None, Place(size=5), CursorListing),
        ("number", None, Place(mode="cursor", size=5), NumberedListing),
        ("cursor", None, Place(size=5, rows=9, moved=True, edges=[(1, 9)]), CursorListing),
    ],
)
def test_a_listing_begins_as_told_as_learned_or_as_it_was_left(
    paging: Paging,
    known: Literal["number", "cursor"] | None,
    place: Place | None,
    kind: type[Reader],
) -> None:
    habits = Habits()
    if known is not None:
        habits.modes["users"] = known
    if place is not None and place.moved:
        place = Place(size=5, rows=9, moved=True, edges=[(1, 9)], edges_known=1)
    setup = Setup(per_page=5, resource="users", habits=habits, auto=paging == "auto")
    assert type(begin(setup, paging, "pages", place)) is kind


@pytest.mark.parametrize("paging", ["auto", "number", "cursor"])
@pytest.mark.parametrize("place", [None, Place(size=5)])
def test_one_answer_is_no_matter_of_paging(paging: Paging, place: Place | None) -> None:
    assert type(begin(Setup(per_page=5), paging, "one_answer", place)) is OneAnswer


def test_what_one_endpoint_showed_is_not_known_of_another() -> None:
    setup = Setup(per_page=5, resource="enrollments", habits=learned("cursor"), auto=True)
    assert type(begin(setup, "auto", "pages", None)) is NumberedListing


def test_a_listing_that_does_not_change_stays_itself() -> None:
    machine = NumberedListing(Setup(per_page=5))
    assert changed(machine) is machine


# -- from numbers to cursors ----------------------------------------------------------------------


@pytest.mark.parametrize("rows", [6, 10, 11, 23])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [False, True])
def test_a_cursor_on_page_1_is_followed_and_page_1_is_kept(
    rows: int, shape: Shape, count: bool
) -> None:
    server = CursorServer(keys(rows), announce=True, shape=shape)
    habits = Habits()
    result = auto(server, count=rows if count else None, habits=habits)
    assert result.keys == keys(rows)
    assert result.end == ("count_met" if count else "cursor_absent")
    assert ways(result) == "n" + "c" * (-(-rows // 5) - 1), "no request is wasted"
    again = auto(CursorServer(keys(rows), shape=shape), habits=habits)
    assert ways(again) == "c" * -(-rows // 5), "and the next listing begins with cursors"


@pytest.mark.parametrize("status", REFUSED)
@pytest.mark.parametrize("rows", [0, 1, 5, 6, 23])
@pytest.mark.parametrize("count", [False, True])
def test_a_refused_page_1_means_cursors(status: int, rows: int, count: bool) -> None:
    server = CursorServer(keys(rows), refuse_pages=status)
    result = auto(server, count=rows if count else None)
    assert result.keys == keys(rows)
    assert result.proven
    assert ways(result)[:2] == "nc"
    assert "n" not in ways(result)[1:]


@pytest.mark.parametrize("status", OTHER)
def test_a_page_1_that_fails_otherwise_is_an_error(status: int) -> None:
    result = auto(CursorServer(keys(23), refuse_pages=status))
    assert (result.end, result.keys, ways(result)) == ("lost", [], "n")
    assert isinstance(result.error, APIError)
    assert result.error.status == status


@pytest.mark.parametrize("rows", [5, 6, 23])
@pytest.mark.parametrize("count", [False, True])
@pytest.mark.parametrize("text", [False, True], ids=["ascending", "text"])
def test_a_page_2_that_begins_like_page_1_means_cursors(rows: int, count: bool, text: bool) -> None:
    served = texts(rows) if text else keys(rows)
    server = CursorServer(served, ignore=True)
    result = auto(server, count=rows if count and rows > 5 else None)
    assert result.proven
    assert result.keys == served
    assert ways(result).startswith("nnc")
    assert ways(result).count("n") == 2


def test_a_later_page_that_is_refused_is_an_error_and_no_change() -> None:
    class Tired(CursorServer):
        def reply(self, query: Mapping[str, str]) -> Reply:
            if query.get("page") not in {None, "1"}:
                raise APIError("no more", status=400)
            return super().reply(query)

    result = auto(Tired(keys(23)))
    assert (result.end, result.keys) == ("lost", keys(5))
    assert "c" not in ways(result)


# -- both fail ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pages", "cursors"), [(400, 422), (422, 400), (410, 405)])
def test_if_both_ways_are_refused_the_first_refusal_is_raised(pages: int, cursors: int) -> None:
    result = auto(CursorServer(keys(23), refuse_pages=pages, refuse_cursors=cursors))
    assert (result.end, result.keys) == ("lost", [])
    assert isinstance(result.error, APIError)
    assert result.error.status == pages


@pytest.mark.parametrize("cursors", ["refused", "ignored"])
@pytest.mark.parametrize("rows", [5, 6, 23])
def test_if_pages_are_ignored_and_cursors_are_no_better_pages_repeated(
    cursors: str, rows: int
) -> None:
    refuse = 400 if cursors == "refused" else 0
    server = CursorServer(keys(rows), ignore=True, style="none", refuse_cursors=refuse)
    result = auto(server)
    assert result.end == "page_repeated"
    assert result.keys == keys(5)
    assert isinstance(result.error, IncompleteListingError)


def test_what_fails_otherwise_behind_a_change_is_told_itself() -> None:
    class Down(CursorServer):
        def reply(self, query: Mapping[str, str]) -> Reply:
            if "cursor" in query:
                raise ServerError("down", status=503)
            return super().reply(query)

    result = auto(Down(keys(23), refuse_pages=400))
    assert isinstance(result.error, ServerError)
    assert result.error.status == 503


@pytest.mark.parametrize(("status", "refusal"), [(s, s in REFUSED) for s in REFUSED + OTHER])
def test_a_refusal_is_an_answer_of_one_of_four_statuses(status: int, refusal: bool) -> None:
    assert is_refusal(APIError("no", status=status)) is refusal
    assert is_refusal(IncompleteListingError("no", reason="no_proof")) is False


# -- from cursors to numbers ----------------------------------------------------------------------


@pytest.mark.parametrize("status", REFUSED)
@pytest.mark.parametrize("rows", [0, 1, 5, 23])
def test_cursors_that_were_learned_wrongly_and_are_refused_mean_numbers(
    status: int, rows: int
) -> None:
    result = auto(CursorServer(keys(rows), refuse_cursors=status), habits=learned("cursor"))
    assert result.keys == keys(rows)
    assert result.proven
    assert "n" in ways(result)
    assert "c" not in ways(result).lstrip("c")


def test_what_was_learned_wrongly_is_learned_anew() -> None:
    habits = learned("cursor")
    auto(CursorServer(keys(23), refuse_cursors=400), habits=habits)
    again = auto(CursorServer(keys(23), refuse_cursors=400), habits=habits)
    assert again.keys == keys(23)
    assert "c" not in ways(again)


def test_a_place_of_cursors_on_a_server_that_ignores_them_goes_on_by_number() -> None:
    part = read(CursorServer(keys(4)), per_page=5, paging="cursor", users=CursorServer([1, 2]))
    place = part.places[1]
    assert (place.mode, place.number) == ("cursor", 2)
    rest = auto(CursorServer(keys(4), style="none"), place=place)
    assert rest.proven
    assert rest.keys == []
    assert rest.asks[-1].cursor is None


# -- never changing -------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [5, 6, 23])
def test_paging_by_number_follows_no_cursor(rows: int) -> None:
    server = CursorServer(keys(rows), announce=True)
    result = auto(server, paging="number", habits=learned("cursor"))
    assert result.keys == keys(rows)
    assert "c" not in ways(result)


def test_paging_by_number_is_not_changed_by_a_refusal() -> None:
    result = auto(CursorServer(keys(23), refuse_pages=400), paging="number")
    assert (result.end, ways(result)) == ("lost", "n")
    result = auto(CursorServer(keys(23), ignore=True), paging="number")
    assert (result.end, ways(result), result.keys) == ("page_repeated", "nn", keys(5))


def test_paging_by_cursor_is_not_changed_by_a_refusal() -> None:
    result = auto(CursorServer(keys(23), refuse_cursors=400), paging="cursor")
    assert result.end == "lost"
    assert set(ways(result)) == {"c"}
    result = auto(CursorServer(keys(23), style="none"), paging="cursor")
    assert result.end == "no_proof"
    assert set(ways(result)) == {"c"}


def test_paging_by_number_passes_a_link_elsewhere_by() -> None:
    class Away(PagingServer):
        def reply(self, query: Mapping[str, str]) -> Reply:
            reply = super().reply(query)
            return Reply(reply.keys, headers={"link": "<https://x.example/?cursor=a>; rel=next"})

    told = auto(Away(keys(23)), paging="number")
    assert (told.keys, told.end) == (keys(23), "short_page")
    result = auto(Away(keys(23)))
    assert (result.keys, result.end) == (keys(5), "no_proof")
    assert "x.example" in str(result.error)


# -- what was delivered before --------------------------------------------------------------------


@pytest.mark.parametrize("text", [False, True], ids=["ascending", "text"])
@pytest.mark.parametrize("count", [None, 23])
def test_what_was_delivered_before_a_change_is_not_delivered_again(
    text: bool, count: int | None
) -> None:
    served = texts(23) if text else keys(23)
    result = auto(CursorServer(served, ignore=True), slow=False, count=count)
    assert result.keys == served


@pytest.mark.parametrize("cursors", [400, 0])
@pytest.mark.parametrize("text", [False, True], ids=["ascending", "text"])
def test_nor_after_a_resume_where_the_change_led_nowhere(cursors: int, text: bool) -> None:
    served = texts(23) if text else keys(23)
    style: Literal["key", "none"] = "key" if cursors else "none"
    server = CursorServer(served, ignore=True, style=style, refuse_cursors=cursors)
    result = auto(server)
    assert (result.keys, result.end) == (served[:5], "page_repeated")
    rest = auto(CursorServer(served), place=result.places[-1])
    delivered = result.keys + rest.keys
    assert len(delivered) == len(set(delivered))
    if not text:
        assert delivered == served


@pytest.mark.parametrize("text", [False, True], ids=["ascending", "text"])
@pytest.mark.parametrize("rows", [10, 20, 23])
def test_nor_after_a_resume_in_the_midst_of_the_other_way(rows: int, text: bool) -> None:
    # A server that repeats its last page: some pages come by number, then all by cursor.
    served = texts(rows) if text else keys(rows)
    whole = auto(CursorServer(served, clamp=True))
    assert (whole.keys, whole.proven) == (served, True)
    for taken in range(1, 2 * rows // 5):
        part = auto(CursorServer(served, clamp=True), kill_after=taken)
        rest = auto(CursorServer(served, clamp=True), place=part.places[-1])
        delivered = part.keys + rest.keys
        assert len(delivered) == len(set(delivered))
        if not text:
            assert delivered == served
