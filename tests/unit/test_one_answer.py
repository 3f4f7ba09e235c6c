"""A listing that comes in one answer: a user's risk history, keyed by dates."""

from collections.abc import Mapping
from typing import Any

import pytest
from support.paging_server import CursorServer, PagingServer, Reading, Reply, read

from kb4_async.errors import APIError
from kb4_async.protocol.codec import Key
from kb4_async.protocol.cursors import Cursor
from kb4_async.protocol.one_answer import OneAnswer
from kb4_async.protocol.reader import Setup
from kb4_async.protocol.token import Place

LIMIT = 1000


def dates(rows: int) -> list[Key]:
    """Text that ascends, as dates do."""
    return [f"d{n:05}" for n in range(rows)]


class Whole(PagingServer):
    """Serves everything at once, whatever is asked."""

    def reply(self, query: Mapping[str, str]) -> Reply:
        self.queries.append(dict(query))
        self.asked.append(1)
        return Reply(list(self.rows))


class Paged(CursorServer):
    """Serves a page, the first where none is named."""

    def reply(self, query: Mapping[str, str]) -> Reply:
        return super().reply(query if "cursor" in query else {"page": "1", **query})


def one(server: PagingServer, **options: Any) -> Reading:
    options = {"kind": "one_answer", "server_limit": LIMIT, "paging": "auto", **options}
    return read(server, **options)


# -- one answer -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "end"),
    [
        (0, "short_page"),
        (1, "short_page"),
        (99, "short_page"),
        (101, "short_page"),
        (499, "short_page"),
        (999, "short_page"),
        (1000, "server_limit"),
        (1001, "server_limit"),
        (1500, "server_limit"),
    ],
)
@pytest.mark.parametrize("slow", [False, True])
def test_fewer_rows_than_the_limit_are_everything(rows: int, end: str, slow: bool) -> None:
    server = Whole(dates(rows))
    result = one(server, slow=slow)
    assert (result.keys, result.end) == (dates(rows), end)
    assert len(result.asks) == 1
    assert "page" not in server.queries[0], "the endpoint is documented to have no pages"
    assert "cursor" not in server.queries[0]


@pytest.mark.parametrize("verify", ["tail", "full", "none"])
@pytest.mark.parametrize("paging", ["auto", "number", "cursor"])
def test_nothing_is_asked_twice_whatever_the_paging(verify: str, paging: str) -> None:
    result = one(Whole(dates(7)), verify=verify, paging=paging)
    assert (result.keys, result.end, len(result.asks)) == (dates(7), "short_page", 1)


def test_records_listed_twice_come_once_and_those_without_a_key_all() -> None:
    served: list[Key] = ["a", "b", "a", None, None]
    result = one(Whole(served))
    assert (result.keys, result.end) == (["a", "b", None, None], "short_page")


@pytest.mark.parametrize("status", [400, 404, 500])
def test_an_answer_that_cannot_be_had_is_the_error(status: int) -> None:
    class Broken(Whole):
        def reply(self, query: Mapping[str, str]) -> Reply:
            raise APIError("no", status=status)

    result = one(Broken(dates(7)))
    assert (result.end, result.keys, len(result.asks)) == ("lost", [], 1)
    rest = one(Whole(dates(7)), place=result.places[-1])
    assert (rest.keys, rest.end) == (dates(7), "short_page")


def test_one_request_is_left_until_the_answer_is_there() -> None:
    machine = OneAnswer(Setup(per_page=500, server_limit=LIMIT), Place(size=500))
    assert machine.requests_left() == 1
    (ask,) = machine.asks(16)
    assert machine.asks(16) == [ask], "it is asked for until it is taken"
    machine.saw(ask, None)
    machine.take(["a"])
    assert machine.requests_left() == 0
    assert machine.asks(16) == []


# -- max_items ------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [1, 6, 7, 8, 2000])
@pytest.mark.parametrize("rows", [7, 1200])
def test_max_items_takes_so_many_of_the_answer(wanted: int, rows: int) -> None:
    result = one(Whole(dates(rows)), max_items=wanted)
    assert result.keys == dates(rows)[:wanted]
    assert len(result.asks) == 1
    if wanted < rows:
        assert result.end == "max_items"
    elif wanted > rows:
        assert result.end == ("short_page" if rows < LIMIT else "server_limit")


@pytest.mark.parametrize("wanted", [1, 3, 7])
@pytest.mark.parametrize("rows", [7, 999])
def test_an_answer_cut_by_max_items_is_gone_on_with_where_it_was_cut(
    wanted: int, rows: int
) -> None:
    part = one(Whole(dates(rows)), max_items=wanted)
    for place in part.places[:-1]:  # the last is that of a listing that ended
        rest = one(Whole(dates(rows)), place=place)
        assert dates(rows)[: place.rows] + rest.keys == dates(rows)
        assert rest.end == "short_page", "nothing was cut off this time"


def test_max_items_that_takes_all_the_limit_allows_is_no_proof_for_who_goes_on() -> None:
    part = one(Whole(dates(LIMIT)), max_items=LIMIT)
    assert (part.keys, part.end) == (dates(LIMIT), "max_items")
    rest = one(Whole(dates(LIMIT)), place=part.places[-2])
    assert (rest.keys, rest.end) == ([], "server_limit")


# -- resuming -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [0, 1, 7, 999, 1000, 1001])
def test_every_token_leads_to_what_follows_it(rows: int) -> None:
    whole = one(Whole(dates(rows)))
    for place in whole.places:
        server = Whole(dates(rows))
        rest = one(server, place=place)
        assert dates(rows)[: place.rows] + rest.keys == dates(rows)
        assert rest.end == whole.end
        assert len(server.queries) == (place.end_reason is None)


@pytest.mark.parametrize("rows", [1, 7])
def test_the_token_behind_a_whole_answer_costs_nothing(rows: int) -> None:
    whole = one(Whole(dates(rows)))
    assert one(Whole([]), place=whole.places[1]).asks == []


# -- servers that page here after all -------------------------------------------------------------


@pytest.mark.parametrize("rows", [501, 900, 1000, 1200, 1500])
@pytest.mark.parametrize("announce", [False, True])
def test_a_page_that_is_full_or_shows_a_cursor_is_no_whole_answer(
    rows: int, announce: bool
) -> None:
    server = Paged(dates(rows), announce=announce)
    result = one(server)
    assert result.keys == dates(rows)
    assert result.end in ({"cursor_absent"} if announce else {"short_page", "empty_page"})


@pytest.mark.parametrize("rows", [100, 500])
@pytest.mark.parametrize("whole", [False, True])
def test_an_answer_as_long_as_a_page_is_found_to_be_everything(rows: int, whole: bool) -> None:
    server = Paged(dates(rows)) if not whole else PagingServer(dates(rows))
    result = one(server)
    assert (result.keys, result.end) == (dates(rows), "empty_page")


@pytest.mark.parametrize("rows", [100, 500, 501, 1000, 1200])
@pytest.mark.parametrize("announce", [False, True])
def test_every_token_of_a_history_in_pages_leads_to_what_follows_it(
    rows: int, announce: bool
) -> None:
    whole = one(Paged(dates(rows), announce=announce))
    assert whole.proven
    for place in whole.places:
        rest = one(Paged(dates(rows), announce=announce), place=place)
        assert dates(rows)[: place.rows] + rest.keys == dates(rows)
        assert rest.proven


def test_a_cursor_is_followed_from_the_answer_that_showed_it() -> None:
    machine = OneAnswer(Setup(per_page=500, server_limit=LIMIT), Place(size=500))
    (ask,) = machine.asks(16)
    assert machine.saw(ask, None, Cursor("a"))
    assert machine.change is not None
    assert machine.change.cursor == Cursor("a")
    assert machine.asks(16) == []
