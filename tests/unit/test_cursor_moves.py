"""Listings read by cursor that are resumed, or whose rows move: nothing lost, nothing doubled."""

from collections.abc import Callable
from typing import Any, Literal

import pytest
from support.paging_server import CursorServer, PagingServer, Reading, read

from kb4_async.errors import APIError
from kb4_async.options import Paging
from kb4_async.protocol.asks import Verify
from kb4_async.protocol.codec import Key
from kb4_async.protocol.cursor_paging import CursorListing
from kb4_async.protocol.cursors import Cursor
from kb4_async.protocol.reader import Setup

Style = Literal["key", "offset"]
STYLES: tuple[Style, ...] = ("key", "offset")


def keys(rows: int) -> list[Key]:
    """Ascending, with gaps."""
    return list(range(7, 7 + 3 * rows, 3))


def texts(rows: int) -> list[Key]:
    return [f"k{n:03}" for n in range(rows)]


def number(key: Key) -> int:
    assert isinstance(key, int)
    return key


def by_cursor(server: PagingServer, **options: Any) -> Reading:
    options = {"per_page": 5, "paging": "cursor", "users": CursorServer([1, 2]), **options}
    return read(server, **options)


# -- resuming -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [0, 1, 4, 5, 6, 10, 23])
@pytest.mark.parametrize(
    ("verify", "text"),
    [("tail", False), ("full", False), ("none", False), ("tail", True), ("none", True)],
)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize("cap", [None, 2])
def test_every_token_leads_to_what_follows_it(
    rows: int, verify: Verify, text: bool, style: Style, counted: bool, cap: int | None
) -> None:
    served = texts(rows) if text else keys(rows)
    options = {"verify": verify, "count": rows if counted else None}
    whole = by_cursor(CursorServer(served, style=style, cap=cap), **options)
    assert whole.keys == served
    for place in whole.places:
        rest = by_cursor(CursorServer(served, style=style, cap=cap), place=place, **options)
        assert served[: place.rows] + rest.keys == served
        assert rest.proven


@pytest.mark.parametrize("gaps", [{5}, {10}, {20}, {5, 10, 15, 20}])
@pytest.mark.parametrize("text", [False, True], ids=["ascending", "text"])
def test_every_token_beside_an_empty_page_leads_to_what_follows_it(
    gaps: set[int], text: bool
) -> None:
    served = texts(23) if text else keys(23)
    whole = by_cursor(CursorServer(served, gaps=frozenset(gaps)))
    for place in whole.places:
        rest = by_cursor(CursorServer(served, gaps=frozenset(gaps)), place=place)
        assert served[: place.rows] + rest.keys == served
        assert rest.proven


@pytest.mark.parametrize("place", [0, 3, 9])
def test_rows_that_come_while_a_listing_rests_on_an_empty_page_double_none(place: int) -> None:
    served = keys(23)
    gaps = frozenset({10})
    part = by_cursor(CursorServer(served, style="offset", gaps=gaps), kill_after=3)
    assert part.keys == keys(10), "the third page was empty"
    served.insert(place, 7 + 3 * place - 1)
    rest = by_cursor(CursorServer(served, style="offset", gaps=gaps), place=part.places[-1])
    delivered = part.keys + rest.keys
    assert len(delivered) == len(set(delivered))
    assert set(keys(23)) <= set(delivered)


@pytest.mark.parametrize("trailing", [False, True])
@pytest.mark.parametrize("rows", [10, 23])
def test_resuming_asks_the_page_before_once_more_and_nothing_below(
    rows: int, trailing: bool
) -> None:
    place = by_cursor(CursorServer(keys(rows), trailing=trailing)).places[2]
    server = CursorServer(keys(rows), trailing=trailing)
    rest = by_cursor(server, place=place)
    assert rest.keys == keys(rows)[10:]
    assert (rest.asks[0].number, rest.asks[0].purpose) == (2, "anchor")
    assert server.queries[0]["cursor"] == "key 19"
    below = [query for query in server.queries[1:] if query["cursor"] in {"true", "key 19"}]
    # Where nothing shows a cursor any more, page 1 is asked once to prove that the server has them.
    assert len(below) == (rows == 10 and not trailing)


def test_resuming_twice_on_one_page_delivers_it_once() -> None:
    served = texts(30)
    first = by_cursor(CursorServer(served), kill_after=2)
    second = by_cursor(CursorServer(served), place=first.places[-1], kill_after=0)
    third = by_cursor(CursorServer(served), place=second.places[-1], kill_after=1)
    fourth = by_cursor(CursorServer(served), place=third.places[-1])
    assert first.keys + second.keys + third.keys + fourth.keys == served


CHANGES: dict[str, Callable[[list[Key]], None]] = {
    "the first is deleted": lambda rows: rows.remove(rows[0]),
    "the second is deleted": lambda rows: rows.remove(rows[1]),
    "the fourth is deleted": lambda rows: rows.remove(rows[3]),
    "the last delivered is deleted": lambda rows: rows.remove(rows[4]),
    "the next is deleted": lambda rows: rows.remove(rows[5]),
    "the last is deleted": lambda rows: rows.remove(rows[-1]),
    "one comes first": lambda rows: rows.insert(0, 1),
    "one comes in between": lambda rows: rows.insert(3, 15),
    "one comes next": lambda rows: rows.insert(5, 20),
    "one comes last": lambda rows: rows.append(9999),
    "a page goes": lambda rows: rows.__delitem__(slice(0, 5)),
    "a page comes": lambda rows: rows.__setitem__(slice(0, 0), [1, 2, 3, 4, 5]),
    "all goes": lambda rows: rows.clear(),
    "all that was delivered goes and more comes": lambda rows: rows.__setitem__(
        slice(0, 5), [1, 2, 8, 9, 12, 14]
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("rows", [6, 10, 23])
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("cap", [None, 3])
@pytest.mark.parametrize("taken", [1, 2])
def test_what_moved_while_nobody_read_is_noticed_on_resuming(
    change: Callable[[list[Key]], None], rows: int, style: Style, cap: int | None, taken: int
) -> None:
    served = keys(rows)
    part = by_cursor(CursorServer(served, style=style, cap=cap), kill_after=taken)
    before = set(served)
    change(served)
    rest = by_cursor(CursorServer(served, style=style, cap=cap), place=part.places[-1])
    delivered = part.keys + rest.keys
    assert rest.proven
    assert len(delivered) == len(set(delivered))
    lost = (before & set(served)) - set(delivered)
    # Offsets hide a deletion below the page before: nobody looks there again.
    assert not lost or (style == "offset" and taken == 2 and len(served) < rows)


@pytest.mark.parametrize("status", [400, 410, 422])
@pytest.mark.parametrize("text", [False, True], ids=["ascending", "text"])
def test_a_cursor_that_the_server_forgot_begins_the_listing_again(status: int, text: bool) -> None:
    served = texts(23) if text else keys(23)
    part = by_cursor(CursorServer(served), kill_after=2)

    class Forgetful(CursorServer):
        def reply(self, query: Any) -> Any:
            if query["cursor"] == part.asks[1].query({})["cursor"] and len(self.asked) == 0:
                self.asked.append(0)
                raise APIError("gone", status=status)
            return super().reply(query)

    rest = by_cursor(Forgetful(served), place=part.places[-1])
    if text:
        # Which text keys were delivered is in no token: then nothing can be told apart.
        assert (rest.end, rest.keys) == ("no_proof", [])
    else:
        assert part.keys + rest.keys == served
        assert rest.proven


@pytest.mark.parametrize("status", [500, 403, 404])
def test_a_page_before_that_cannot_be_had_is_no_forgotten_cursor(status: int) -> None:
    part = by_cursor(CursorServer(keys(23)), kill_after=2)

    class Broken(CursorServer):
        def reply(self, query: Any) -> Any:
            raise APIError("no", status=status)

    rest = by_cursor(Broken(keys(23)), place=part.places[-1])
    assert (rest.end, rest.keys, len(rest.asks)) == ("lost", [], 1)
    again = by_cursor(CursorServer(keys(23)), place=rest.places[-1])
    assert part.keys + again.keys == keys(23)


# -- max_items ------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [1, 3, 5, 7, 12, 23, 30])
@pytest.mark.parametrize("text", [False, True], ids=["ascending", "text"])
@pytest.mark.parametrize("cap", [None, 3])
def test_a_page_cut_by_max_items_is_gone_on_with_where_it_was_cut(
    wanted: int, text: bool, cap: int | None
) -> None:
    served = texts(23) if text else keys(23)
    part = by_cursor(CursorServer(served, cap=cap), max_items=wanted)
    assert part.keys == served[:wanted]
    for place in part.places[:-1]:  # the last is that of a listing that ended
        rest = by_cursor(CursorServer(served, cap=cap), place=place)
        assert served[: place.rows] + rest.keys == served
        assert rest.proven


@pytest.mark.parametrize("steps", [[1, 2, 3, 4, 5, 6, 7], [3, 11, 12], [5, 10], [4, 6, 22]])
@pytest.mark.parametrize("text", [False, True], ids=["ascending", "text"])
def test_a_listing_cut_again_and_again_loses_and_doubles_nothing(
    steps: list[int], text: bool
) -> None:
    served = texts(23) if text else keys(23)
    delivered: list[Key] = []
    place = None
    for step in [*steps, None]:
        part = by_cursor(CursorServer(served), max_items=step, place=place)
        delivered += part.keys
        assert part.proven
        place = part.places[-2]
        assert step is None or delivered == served[:step]
    assert delivered == served


def test_max_items_counts_what_was_delivered_before_the_resume() -> None:
    part = by_cursor(CursorServer(keys(30)), max_items=12, kill_after=1)
    rest = by_cursor(CursorServer(keys(30)), max_items=12, place=part.places[-1])
    assert part.keys + rest.keys == keys(12)
    assert rest.end == "max_items"


@pytest.mark.parametrize("paging", ["number", "cursor"])
@pytest.mark.parametrize("wanted", [1, 3, 7, 12])
@pytest.mark.parametrize("text", [False, True], ids=["ascending", "text"])
def test_a_listing_that_is_left_before_it_went_on_is_where_it_was(
    paging: Paging, wanted: int, text: bool
) -> None:
    served = texts(23) if text else keys(23)
    part = read(CursorServer(served), per_page=5, max_items=wanted, paging=paging)
    place = part.places[-2]
    for _ in range(3):
        left = read(CursorServer(served), per_page=5, paging=paging, place=place, kill_after=0)
        place = left.places[-1]
    rest = read(CursorServer(served), per_page=5, paging=paging, place=place)
    assert part.keys + rest.keys == served


@pytest.mark.parametrize("paging", ["number", "cursor"])
@pytest.mark.parametrize("new", [[8], [8, 9], [8, 9, 11], [8, 9, 11, 12, 14]])
def test_rows_that_come_within_the_page_that_was_cut_double_none(
    paging: Paging, new: list[Key]
) -> None:
    served = keys(23)
    part = read(CursorServer(served), per_page=5, max_items=4, paging=paging)
    served[1:1] = new
    served.sort(key=number)
    rest = read(CursorServer(served), per_page=5, paging=paging, place=part.places[-2])
    delivered = part.keys + rest.keys
    assert len(delivered) == len(set(delivered))
    assert set(keys(23)) <= set(delivered)
    assert rest.proven


# -- rows that move while they are read -----------------------------------------------------------


def moving(
    served: list[Key], when: int, change: Callable[[list[Key]], None], style: Style
) -> CursorServer:
    """A server whose rows change once, before a request."""

    def once() -> None:
        if len(server.asked) == when:
            change(served)

    server = CursorServer(served, style=style, change=once)
    return server


def delete_first(rows: list[Key]) -> None:
    rows.remove(rows[0])


def insert_first(rows: list[Key]) -> None:
    rows.insert(0, 1)


@pytest.mark.parametrize("when", range(1, 6))
def test_a_record_that_comes_first_is_no_move_for_cursors_of_keys(when: int) -> None:
    served = keys(23)
    result = by_cursor(moving(served, when, insert_first, "key"))
    assert (result.keys, result.end) == (keys(23), "cursor_absent")
    assert result.machine.reading == 1


@pytest.mark.parametrize("when", range(1, 5))
def test_a_record_that_pushes_others_on_is_a_move_for_cursors_of_offsets(when: int) -> None:
    served = keys(23)
    result = by_cursor(moving(served, when, insert_first, "offset"))
    assert result.machine.reading == 2
    assert result.proven
    assert sorted(result.keys, key=number) == [1, *keys(23)]


@pytest.mark.parametrize("when", range(1, 5))
def test_verify_full_finds_what_a_deletion_hid_behind_an_offset(when: int) -> None:
    served = keys(23)
    blind = by_cursor(moving(list(served), when, delete_first, "offset"))
    assert set(served) - set(blind.keys) == {served[5 * when]}, "this is what escapes"
    result = by_cursor(moving(list(served), when, delete_first, "offset"), verify="full")
    assert result.proven
    assert set(result.keys) == set(served)
    assert len(result.keys) == 23


def test_rows_that_never_rest_end_in_never_quiet() -> None:
    served = keys(60)

    def shift() -> None:
        served.insert(0, -len(served))

    result = by_cursor(CursorServer(served, style="offset", change=shift))
    assert result.end == "never_quiet"
    assert len(result.keys) == len(set(result.keys))
    assert set(keys(60)) <= set(result.keys)


def test_cursors_that_give_their_own_record_again_end_after_a_second_reading() -> None:
    class Including(CursorServer):
        def place_of(self, cursor: str) -> int:
            return max(0, super().place_of(cursor) - 1)

    result = by_cursor(Including(keys(23)))
    assert (result.keys, result.end) == (keys(23), "cursor_absent")
    assert result.machine.reading == 2


# -- counts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "rows"), [(10, 9), (10, 3), (30, 23), (5, 6), (20, 23)])
def test_a_count_that_is_wrong_proves_nothing(count: int, rows: int) -> None:
    result = by_cursor(CursorServer(keys(rows)), count=count)
    assert (result.keys, result.end) == (keys(rows), "cursor_absent")
    assert result.machine.expected == count


@pytest.mark.parametrize("again", [30, None])
def test_fewer_than_the_count_has_it_asked_again_and_unchanged_it_ends(again: int | None) -> None:
    asked: list[int] = []

    def recount() -> int | None:
        asked.append(1)
        return again

    result = by_cursor(CursorServer(keys(23)), count=30, recount=recount)
    assert (result.keys, result.end, len(asked)) == (keys(23), "cursor_absent", 1)
    assert result.machine.reading == 1
    assert result.machine.expected == 30


def test_fewer_than_a_count_that_changed_has_the_listing_read_again() -> None:
    served = keys(23)
    server = moving(served, 2, delete_first, "offset")
    result = by_cursor(server, count=23, recount=lambda: len(served))
    assert set(result.keys) == set(keys(23)), "the one that slipped is found"
    assert result.machine.reading == 2
    assert result.machine.expected == 22
    assert result.proven


@pytest.mark.parametrize("count", [23, 20])
def test_as_many_as_the_count_or_more_has_nothing_asked_again(count: int) -> None:
    def never() -> int | None:
        raise AssertionError

    result = by_cursor(CursorServer(keys(23)), count=count, recount=never)
    assert result.keys == keys(23)
    assert result.end == ("count_met" if count == 23 else "cursor_absent")


def test_a_single_page_is_a_snapshot_that_is_not_read_again() -> None:
    result = by_cursor(CursorServer(keys(4)), count=5, recount=lambda: 4)
    assert (result.keys, result.machine.reading) == (keys(4), 1)


def test_a_page_that_cannot_be_had_is_where_the_listing_stands() -> None:
    machine = CursorListing(Setup(per_page=5))
    (ask,) = machine.asks(16)
    machine.saw(ask, [1], Cursor("a"))
    (ask,) = machine.asks(16)
    machine.lost(ask)
    assert machine.asks(16) == []
    assert not machine.stuck_at(1), "page 1 is there"
    machine.take([1])
    assert machine.stuck_at(2)
