"""Listings read by number: counts asked again, endpoints that may not page, and who waits."""

import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from support.paging_server import PagingServer, Reading, Reply, read

from kb4_async.options import Paging
from kb4_async.protocol.asks import Verify
from kb4_async.protocol.codec import Key
from kb4_async.protocol.endpoints import PAGE_SIZES
from kb4_async.protocol.paging import NumberedListing
from kb4_async.protocol.reader import Setup


def keys(rows: int) -> list[Key]:
    """Ascending, with gaps."""
    return list(range(7, 7 + 3 * rows, 3))


def dates(rows: int) -> list[Key]:
    """Text, as the keys of histories are."""
    return [f"d{n:05}" for n in range(rows)]


def moving(served: list[Key], when: int, change: Callable[[list[Key]], None]) -> PagingServer:
    """A server whose rows change once, before a request."""

    def once() -> None:
        if len(server.asked) == when:
            change(served)

    server = PagingServer(served, change=once)
    return server


# -- a count that is asked again ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "again", "expected"),
    [(30, 30, 30), (30, None, 30), (30, 23, 23), (24, 23, 23), (30, 40, 40)],
)
def test_fewer_than_the_count_has_it_asked_once_more(
    count: int, again: int | None, expected: int
) -> None:
    asked: list[int] = []

    def recount() -> int | None:
        asked.append(1)
        return again

    result = read(PagingServer(keys(23)), per_page=5, count=count, recount=recount)
    assert (result.keys, result.end) == (keys(23), "short_page")
    assert len(asked) == 1
    assert result.machine.expected == expected
    # A count that changed says that rows moved, so that everything is read again.
    assert result.machine.reading == (1 if again in {count, None} else 2)


@pytest.mark.parametrize(
    ("count", "rows", "end"),
    [(23, 23, "count_met"), (20, 20, "count_met"), (22, 23, "short_page"), (3, 23, "short_page")],
)
def test_as_many_as_the_count_or_more_has_nothing_asked_again(
    count: int, rows: int, end: str
) -> None:
    def never() -> int | None:
        raise AssertionError

    result = read(PagingServer(keys(rows)), per_page=5, count=count, recount=never)
    assert (result.keys, result.end) == (keys(rows), end)


def test_a_full_last_page_that_meets_the_count_is_believed() -> None:
    # Semantics 1: "a full last page included". Whoever counts too few by whole pages hides them.
    result = read(PagingServer(keys(23)), per_page=5, count=20)
    assert (result.keys, result.end, len(result.asks)) == (keys(20), "count_met", 4)


def test_a_record_that_slipped_below_a_counted_listing_is_found() -> None:
    served = keys(23)
    server = moving(served, 2, lambda rows: rows.remove(rows[0]))
    result = read(server, per_page=5, count=23, recount=lambda: len(served))
    assert set(result.keys) == set(keys(23))
    assert len(result.keys) == 23
    assert result.machine.reading == 2
    assert result.machine.expected == 22


@pytest.mark.parametrize("rows", [0, 3])
def test_a_single_page_is_a_snapshot_that_is_not_read_again(rows: int) -> None:
    result = read(PagingServer(keys(rows)), per_page=5, count=6, recount=lambda: rows)
    assert result.keys == keys(rows)
    assert result.machine.reading == 1


def test_while_the_count_is_asked_nothing_else_is() -> None:
    machine = NumberedListing(Setup(per_page=3, count=9, recount=True))
    for batch in ([10, 20, 30], [40, 50, 60], [70, 80]):
        machine.take(batch)
    while (ask := machine.asks(16)[0]).purpose != "count":
        machine.saw(ask, [])
    assert machine.asks(16) == [ask]
    machine.recounted(9)
    assert all(ask.purpose != "count" for ask in machine.asks(16))


@pytest.mark.parametrize("rows", [5, 6, 23, 25])
@pytest.mark.parametrize("count", [False, True])
def test_verify_full_reads_everything_twice_whether_counted_or_not(rows: int, count: bool) -> None:
    server = PagingServer(keys(rows))
    result = read(server, per_page=5, verify="full", count=rows if count else None)
    assert result.keys == keys(rows)
    assert result.proven
    for page in range(1, -(-rows // 5) + 1):
        assert server.asked.count(page) >= 2


# -- endpoints that may serve everything at once --------------------------------------------------


class Whole(PagingServer):
    """Serves everything at once, whatever is asked."""

    def reply(self, query: Mapping[str, str]) -> Reply:
        self.queries.append(dict(query))
        self.asked.append(int(query.get("page", "1")))
        return Reply(list(self.rows))


def unsure(server: PagingServer, **options: Any) -> Reading:
    return read(server, **{"kind": "unsure", **options})


PAGINGS: tuple[Paging, ...] = ("auto", "number")


@pytest.mark.parametrize("rows", [1, 12, 99, 101, 365, 499, 501, 730, 2000])
@pytest.mark.parametrize("paging", PAGINGS)
@pytest.mark.parametrize("verify", ["tail", "none", "full"])
def test_everything_at_once_ends_the_listing(rows: int, paging: Paging, verify: Verify) -> None:
    server = Whole(dates(rows))
    result = unsure(server, paging=paging, verify=verify)
    assert (result.keys, result.end) == (dates(rows), "short_page")
    # More than was asked for is no page at all; fewer, and again on page 2, can only be everything.
    assert verify == "full" or len(server.asked) == (1 if rows > 500 else 2)


@pytest.mark.parametrize("rows", [0, 1, 12, 365, 499, 500, 501, 730, 1000, 1200])
@pytest.mark.parametrize("paging", PAGINGS)
def test_pages_are_read_as_pages_where_the_server_has_them(rows: int, paging: Paging) -> None:
    result = unsure(PagingServer(dates(rows)), paging=paging)
    assert result.keys == dates(rows)
    assert result.end in {"short_page", "empty_page"}


@pytest.mark.parametrize("rows", sorted(PAGE_SIZES))
def test_an_answer_as_long_as_a_page_that_repeats_is_no_proof(rows: int) -> None:
    result = unsure(Whole(dates(rows)), paging="number")
    assert (result.keys, result.end) == (dates(rows), "page_repeated")


@pytest.mark.parametrize("rows", [1, 12, 365])
def test_no_other_endpoint_ends_with_a_page_that_repeats(rows: int) -> None:
    result = read(Whole(dates(rows)), paging="number")
    assert (result.keys, result.end) == (dates(rows), "page_repeated")


@pytest.mark.parametrize("rows", [0, 1, 12, 365, 499, 501, 730, 1200])
@pytest.mark.parametrize("paging", PAGINGS)
@pytest.mark.parametrize("server", [Whole, PagingServer])
def test_every_token_of_such_a_listing_leads_to_what_follows_it(
    rows: int, paging: Paging, server: type[PagingServer]
) -> None:
    whole = unsure(server(dates(rows)), paging=paging)
    for place in whole.places:
        again = server(dates(rows))
        rest = unsure(again, paging=paging, place=place)
        assert dates(rows)[: place.rows] + rest.keys == dates(rows)
        assert rest.proven
        if server is Whole:
            assert len(again.asked) <= 2


# -- who waits while the end is looked for --------------------------------------------------------


def probing(pages: int, size: int, **options: Any) -> NumberedListing:
    """A listing of which pages 1, 2, 4, ... were probed up to a page, all full."""
    machine = NumberedListing(Setup(per_page=size, **options))
    while machine.search.lo < pages:
        ask = next(ask for ask in machine.asks(16) if ask.purpose == "probe")
        machine.saw(ask, [ask.number * 100 + row for row in range(size)])
    return machine


def waiting(machine: NumberedListing, ahead: int = 64) -> set[int]:
    """Certain pages that are not asked for."""
    asked = {ask.number for ask in machine.asks(ahead)}
    return set(range(1, machine.search.lo + 1)) - asked


@pytest.mark.parametrize("pages", [4, 8, 16, 32])
def test_the_page_below_the_highest_kept_probe_waits_until_the_end_is_known(pages: int) -> None:
    machine = probing(pages, 2)
    assert waiting(machine) == {pages - 1}
    while machine.search.end is None:
        machine.saw(machine.asks(64)[0], [])
        assert waiting(machine) in ({pages - 1}, set())
    assert waiting(machine) == set()


def test_below_probes_that_are_neighbours_their_common_neighbour_waits() -> None:
    machine = probing(2, 2)
    # Page 1 and 2 are kept themselves, and nothing is below them.
    assert waiting(machine) == set()
    machine = probing(4, 2)
    machine.saw(machine.asks(64)[0], [])  # page 8
    five = machine.asks(64)[0]
    machine.saw(five, [500, 501])
    assert five.number == 5
    assert waiting(machine) == {3}


def test_nobody_waits_where_nothing_is_looked_at_or_everything_is_counted() -> None:
    assert waiting(probing(8, 2, verify="none")) == set()
    counted = NumberedListing(Setup(per_page=2, count=20))
    assert {ask.number for ask in counted.asks(64)} == set(range(1, 11))


def test_nobody_waits_for_a_probe_that_cannot_be_had() -> None:
    machine = probing(4, 2)
    probe = machine.asks(64)[0]
    machine.lost(probe)
    machine.lost(machine.ask(5))
    assert machine.search.probe() is None
    assert waiting(machine) == set()


@pytest.mark.parametrize("seed", range(10))
def test_a_page_that_waits_is_asked_after_a_higher_probe_came(seed: int) -> None:
    server = PagingServer(keys(200))
    read(server, per_page=5, chance=random.Random(seed), late=True, slow=True)
    when = server.asked.index
    for probe in (4, 8, 16):
        assert when(probe - 1) > when(2 * probe)
    assert when(31) > when(40)
    assert when(39) > when(41), "the first empty page"


def test_a_listing_is_delivered_while_its_end_is_looked_for() -> None:
    machine = probing(32, 2)
    for number in range(1, 31):
        assert machine.position == number
        machine.take([number * 100, number * 100 + 1])
    assert machine.search.end is None
    asked = {ask.number for ask in machine.asks(64)}
    assert asked == {64, 32}, "and page 32, a probe, is there already"


# -- looks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("pages", [2, 4, 40])
def test_looks_may_be_answered_in_any_order_whatever_comes_behind_the_end(
    seed: int, pages: int
) -> None:
    chance = random.Random(seed)
    served = keys(5 * pages)

    def append() -> None:
        if chance.random() < 0.1:
            served.append(7 + 3 * len(served))

    server = PagingServer(served, change=append)
    result = read(server, per_page=5, chance=chance, late=True, slow=True)
    assert result.proven
    # Appended rows are no move: those that were seen come behind the others, in order.
    assert result.keys == keys(len(result.keys))
    assert len(result.keys) >= 5 * pages


# -- resuming while pages are passed again --------------------------------------------------------


@pytest.mark.parametrize("taken", [2, 3])
def test_a_record_that_slips_while_pages_are_passed_again_is_not_doubled_by_a_resume(
    taken: int,
) -> None:
    # Page 1 came, page 2 showed that pages are capped at 3, and before page 1 is asked anew one
    # record comes first: the third of those delivered is now the first of page 2.
    served = keys(20)

    def once() -> None:
        if len(server.asked) == 2:
            served.insert(0, 1)

    server = PagingServer(served, cap=3, change=once)
    part = read(server, per_page=6, kill_after=taken)
    assert part.keys[:4] == [*keys(3), 1]
    rest = read(PagingServer(served, cap=3), per_page=6, place=part.places[-1])
    delivered = part.keys + rest.keys
    assert len(delivered) == len(set(delivered))
    assert set(delivered) == set(served)
    assert rest.proven
