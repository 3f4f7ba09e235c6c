"""Listings read by cursor, where nothing moves: every record once, few requests, a named end."""

import random
from typing import Any, Literal

import pytest
from support.paging_server import CursorServer, PagingServer, Reading, Reply, read

from kb4_async.errors import APIError, IncompleteListingError
from kb4_async.protocol.asks import Ask, Verify
from kb4_async.protocol.codec import Key
from kb4_async.protocol.cursor_paging import CursorListing
from kb4_async.protocol.cursors import FIRST, Cursor
from kb4_async.protocol.habits import Habits
from kb4_async.protocol.reader import Setup
from kb4_async.protocol.token import Place

Shape = Literal["envelope", "header", "link"]
Style = Literal["key", "offset"]
SHAPES: tuple[Shape, ...] = ("envelope", "header", "link")
STYLES: tuple[Style, ...] = ("key", "offset")


def keys(rows: int) -> list[Key]:
    """Ascending, with gaps."""
    return list(range(7, 7 + 3 * rows, 3))


def texts(rows: int) -> list[Key]:
    return [f"k{n:03}" for n in range(rows)]


def by_cursor(server: PagingServer, **options: Any) -> Reading:
    return read(server, **{"per_page": 5, "paging": "cursor", **options})


def learned() -> Habits:
    """What a client knows that has read this listing by cursor before."""
    habits = Habits()
    assert by_cursor(CursorServer(keys(11)), habits=habits).end == "cursor_absent"
    return habits


def purposes(result: Reading) -> list[str]:
    return [ask.purpose for ask in result.asks]


# -- every record once, for one request a page ----------------------------------------------------


@pytest.mark.parametrize("rows", [6, 10, 11, 23, 60])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("slow", [False, True])
def test_a_listing_costs_its_pages_and_no_request_more(
    rows: int, shape: Shape, style: Style, slow: bool
) -> None:
    server = CursorServer(keys(rows), shape=shape, style=style)
    result = by_cursor(server, slow=slow)
    assert (result.keys, result.end) == (keys(rows), "cursor_absent")
    assert len(result.asks) == -(-rows // 5)
    assert server.queries[0]["cursor"] == "true"
    assert len({query["cursor"] for query in server.queries}) == len(server.queries)


@pytest.mark.parametrize("rows", [2, 3, 5])
def test_one_page_without_a_cursor_costs_one_request_more_that_proves_it(rows: int) -> None:
    server = CursorServer(keys(rows))
    result = by_cursor(server)
    assert (result.keys, result.end) == (keys(rows), "cursor_absent")
    assert purposes(result) == ["probe", "proof"]
    assert server.queries[1]["cursor"] == "true"
    assert int(server.queries[1]["per_page"]) < rows


@pytest.mark.parametrize("rows", [0, 1, 2, 5])
def test_one_page_costs_one_request_where_cursors_were_seen(rows: int) -> None:
    result = by_cursor(CursorServer(keys(rows)), habits=learned())
    assert (result.keys, result.end) == (keys(rows), "cursor_absent")
    assert len(result.asks) == 1


def test_an_empty_listing_costs_one_request() -> None:
    result = by_cursor(CursorServer([]))
    assert (result.keys, result.end, len(result.asks)) == ([], "empty_page", 1)


@pytest.mark.parametrize("end", [None, "", False])
@pytest.mark.parametrize("rows", [0, 1, 5, 6, 23])
def test_however_an_envelope_says_that_nothing_follows_the_listing_ends(
    end: object, rows: int
) -> None:
    result = by_cursor(CursorServer(keys(rows), end=end), users=CursorServer(keys(2)))
    assert result.proven
    assert result.keys == keys(rows)


@pytest.mark.parametrize("rows", [5, 10, 25])
@pytest.mark.parametrize("shape", SHAPES)
def test_an_empty_page_behind_the_last_ends_the_listing(rows: int, shape: Shape) -> None:
    result = by_cursor(CursorServer(keys(rows), trailing=True, shape=shape))
    assert (result.keys, result.end) == (keys(rows), "cursor_absent")
    assert len(result.asks) == rows // 5 + 1


@pytest.mark.parametrize("gaps", [{5}, {10}, {5, 10, 20}, set(range(60))])
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("slow", [False, True])
def test_an_empty_page_with_a_cursor_goes_on(gaps: set[int], style: Style, slow: bool) -> None:
    server = CursorServer(keys(23), gaps=frozenset(gaps), style=style)
    result = by_cursor(server, slow=slow)
    assert (result.keys, result.end) == (keys(23), "cursor_absent")
    assert len(result.asks) == 5 + len(gaps & {5, 10, 15, 20})


def test_an_empty_first_page_with_a_cursor_goes_on() -> None:
    class Late(CursorServer):
        def place_of(self, cursor: str) -> int:
            return 0 if cursor == "gap row 0" else super().place_of(cursor)

        def reply(self, query: Any) -> Reply:
            if query.get("cursor") == "true":
                self.asked.append(0)
                return self.shown([], "row 0")
            return super().reply(query)

    result = by_cursor(Late(keys(7), style="offset"))
    assert (result.keys, result.end) == (keys(7), "cursor_absent")


@pytest.mark.parametrize("cap", [1, 2, 3])
def test_a_server_that_caps_pages_is_read_whole(cap: int) -> None:
    server = CursorServer(keys(10), cap=cap)
    result = by_cursor(server)
    assert (result.keys, result.end) == (keys(10), "cursor_absent")
    assert len(server.queries) == -(-10 // cap)


@pytest.mark.parametrize("served", [[None] * 12, ["b", "a", *range(10)], list(range(12, 0, -1))])
@pytest.mark.parametrize("style", ["offset"])
def test_records_whose_keys_do_not_ascend_come_once_each(served: list[Key], style: Style) -> None:
    result = by_cursor(CursorServer(served, style=style))
    assert (result.keys, result.end) == (served, "cursor_absent")
    assert len(result.asks) == 3


# -- how much at once -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("ahead", [1, 2, 16])
def test_one_request_is_under_way_and_no_more_pages_wait_than_asked_for(
    seed: int, ahead: int
) -> None:
    server = CursorServer(keys(60), gaps=frozenset({10, 30}))
    result = by_cursor(server, ahead=ahead, chance=random.Random(seed), late=True, slow=True)
    assert result.keys == keys(60)
    assert result.most_asked == 1
    assert result.most_held <= ahead


def test_a_consumer_that_takes_nothing_has_so_many_pages_fetched() -> None:
    machine = CursorListing(Setup(per_page=5))
    for number in range(1, 4):
        (ask,) = machine.asks(3)
        assert ask.number == number
        machine.saw(ask, [number], Cursor(f"c{number}"))
    assert machine.asks(3) == []
    assert machine.asks(4) != []
    machine.take([1])
    assert [ask.number for ask in machine.asks(3)] == [4]


def test_only_the_page_that_is_waited_for_moves_the_listing_on() -> None:
    machine = CursorListing(Setup(per_page=5))
    (first,) = machine.asks(16)
    assert machine.saw(first, [1], Cursor("a"))
    (second,) = machine.asks(16)
    assert machine.saw(first._replace(cursor=Cursor("x")), [1], Cursor("b"))
    assert machine.asks(16) == [second]
    assert machine.saw(second._replace(turn=7), [2], None) is False


@pytest.mark.parametrize("wanted", [1, 4, 5, 6, 10, 12, 23, 100])
@pytest.mark.parametrize("rows", [5, 12, 23])
@pytest.mark.parametrize("announce", [False, True])
def test_max_items_asks_no_more_pages_than_hold_them(
    wanted: int, rows: int, announce: bool
) -> None:
    # The consumer takes a page when it likes, and the fetcher does not wait for that.
    result = read(
        CursorServer(keys(rows), announce=announce),
        per_page=5,
        paging="auto" if announce else "cursor",
        max_items=wanted,
        slow=True,
    )
    assert result.keys == keys(rows)[:wanted]
    assert result.proven
    proof = wanted > rows and rows <= 5
    assert len(result.asks) <= -(-wanted // 5) + proof
    if wanted < rows:
        assert result.end == "max_items"


# -- ends without a proof -------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 2, 5, 23])
def test_a_server_that_shows_no_cursor_ever_proves_nothing(rows: int) -> None:
    result = by_cursor(CursorServer(keys(rows), style="none"), users=CursorServer(keys(1)))
    assert (result.keys, result.end) == (keys(rows)[:5], "no_proof")
    assert len(result.asks) == 2


@pytest.mark.parametrize(("people", "end"), [(2, "cursor_absent"), (1, "no_proof")])
def test_a_single_row_is_proven_by_asking_for_one_of_several_users(people: int, end: str) -> None:
    users = CursorServer(keys(people), shape="header")
    habits = Habits()
    result = by_cursor(CursorServer([7], shape="header"), users=users, habits=habits)
    assert (result.keys, result.end) == ([7], end)
    assert [ask.elsewhere for ask in result.asks] == [False, True]
    assert users.queries == [{"per_page": "1", "cursor": "true"}], "none of the listing's filters"
    again = by_cursor(CursorServer([7], shape="header"), users=users, habits=habits)
    assert len(again.asks) == (1 if people > 1 else 2), "what was seen once is known"


def test_two_rows_are_not_proven_by_what_other_endpoints_show() -> None:
    habits = Habits()
    shape: Shape = "header"
    by_cursor(
        CursorServer([7], shape=shape), users=CursorServer([1, 2], shape=shape), habits=habits
    )
    result = by_cursor(CursorServer([7, 8], style="none"), habits=habits)
    assert (result.keys, result.end) == ([7, 8], "no_proof")


@pytest.mark.parametrize("count", [5, 4, 6])
def test_a_count_that_is_met_needs_no_cursor(count: int) -> None:
    result = by_cursor(CursorServer(keys(5), style="none"), count=count)
    assert result.keys == keys(5)
    assert result.end == ("count_met" if count == 5 else "no_proof")


@pytest.mark.parametrize("enough", ["count", "max_items"])
def test_a_record_listed_twice_counts_once(enough: str) -> None:
    # Five rows, one of them twice: four records are no five, and no cursor was ever shown.
    result = by_cursor(CursorServer([1, 2, 2, 3, 4], style="none"), **{enough: 5})
    assert (result.keys, result.end) == ([1, 2, 3, 4], "no_proof")


@pytest.mark.parametrize("first", ["true", "key 19", "key 34"])
def test_a_cursor_that_was_given_before_is_an_error_behind_the_pages_that_came(first: str) -> None:
    class Circle(CursorServer):
        def shown(self, keys: list[Key], cursor: str | None) -> Reply:
            return super().shown(keys, first if cursor == "key 49" else cursor)

    result = by_cursor(Circle(keys(40)), slow=True)
    assert result.end == "cursor_repeated"
    assert result.keys == keys(15)


def test_a_page_that_repeats_another_is_an_error_whatever_its_cursor() -> None:
    class Stuck(CursorServer):
        def place_of(self, cursor: str) -> int:
            return 0

        def shown(self, keys: list[Key], cursor: str | None) -> Reply:
            return super().shown(keys, f"row {len(self.asked)}")

    result = by_cursor(Stuck(keys(40)), ahead=1)
    assert (result.end, result.keys) == ("page_repeated", keys(5))
    assert len(result.asks) <= 3


def test_a_link_elsewhere_is_the_error_behind_the_pages_that_came() -> None:
    class Away(CursorServer):
        def shown(self, keys: list[Key], cursor: str | None) -> Reply:
            if cursor == "key 34":
                link = "<https://elsewhere.example/v1/users?cursor=a>; rel=next"
                return Reply(keys, headers={"link": link})
            return super().shown(keys, cursor)

    result = by_cursor(Away(keys(40), shape="link"), slow=True)
    assert (result.end, result.keys) == ("no_proof", keys(10))
    assert "elsewhere.example" in str(result.error)


def test_a_server_without_end_is_given_up() -> None:
    class Endless(CursorServer):
        def reply(self, query: Any) -> Reply:
            self.asked.append(0)
            return self.shown([], f"row {len(self.asked)}")

    machine = CursorListing(Setup(per_page=1))
    server = Endless([])
    with pytest.raises(IncompleteListingError) as caught:  # noqa: PT012  # it raises at some point
        for _ in range(200_000):
            (ask,) = machine.asks(1)
            reply = server.reply(ask.query({}))
            machine.saw(ask, reply.keys, Cursor(str(reply.given)))
            machine.take(reply.keys)
    assert caught.value.reason == "page_cap"


@pytest.mark.parametrize("rows", [10, 9, 11])
def test_the_silent_limit_is_no_end(rows: int) -> None:
    result = by_cursor(CursorServer(keys(rows)), server_limit=10)
    assert result.keys == keys(rows)
    assert result.end == ("server_limit" if rows == 10 else "cursor_absent")


# -- failing pages --------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", [1, 2, 4])
@pytest.mark.parametrize("status", [500, 403, 400])
def test_a_page_that_cannot_be_had_ends_the_listing_behind_the_pages_below(
    failing: int, status: int
) -> None:
    class Broken(CursorServer):
        def reply(self, query: Any) -> Reply:
            if len(self.asked) >= failing - 1:
                self.asked.append(0)
                raise APIError("no", status=status)
            return super().reply(query)

    result = by_cursor(Broken(keys(23)), slow=True)
    assert (result.end, result.keys) == ("lost", keys(5 * (failing - 1)))
    assert isinstance(result.error, APIError)
    assert result.error.status == status
    rest = by_cursor(CursorServer(keys(23)), place=result.places[-1])
    assert result.keys + rest.keys == keys(23)


# -- verify ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("verify", ["tail", "none"])
def test_nothing_is_looked_at_twice_unless_told(verify: Verify) -> None:
    result = by_cursor(CursorServer(keys(23)), verify=verify)
    assert purposes(result) == ["probe", "page", "page", "page", "page"]


@pytest.mark.parametrize("rows", [1, 5, 6, 23])
@pytest.mark.parametrize("count", [False, True])
def test_verify_full_reads_everything_twice(rows: int, count: bool) -> None:
    server = CursorServer(keys(rows))
    users = CursorServer(keys(2))
    result = by_cursor(server, verify="full", count=rows if count else None, users=users)
    assert result.keys == keys(rows)
    assert result.end == ("count_met" if count else "cursor_absent")
    pages = -(-rows // 5)
    assert len([ask for ask in result.asks if ask.keep]) == 2 * pages
    assert result.machine.reading == 2


def test_verify_full_reads_nothing_twice_where_there_is_nothing() -> None:
    assert len(by_cursor(CursorServer([]), verify="full").asks) == 1


# -- what is left ---------------------------------------------------------------------------------


def test_how_many_requests_are_left_is_known_by_a_count_or_at_the_end() -> None:
    setup = Setup(per_page=5, count=12)
    machine = CursorListing(setup)
    assert machine.requests_left() == 3
    (ask,) = machine.asks(1)
    machine.saw(ask, [1, 2, 3, 4, 5], Cursor("a"))
    assert machine.requests_left() == 2
    assert CursorListing(Setup(per_page=5)).requests_left() is None
    assert by_cursor(CursorServer(keys(23))).machine.requests_left() == 0


def test_a_place_that_is_done_asks_nothing() -> None:
    whole = by_cursor(CursorServer(keys(12)))
    server = CursorServer(keys(12))
    again = by_cursor(server, place=whole.places[-1])
    assert (again.end, again.keys, server.queries) == ("cursor_absent", [], [])
    machine = CursorListing(Setup(per_page=5), Place(end_reason="cursor_absent", moved=True))
    assert machine.asks(1) == []
    assert machine.ask(1) == Ask(1, 5, "page", 1, cursor=FIRST)
