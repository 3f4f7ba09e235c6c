import random
from collections.abc import Callable

import pytest
from support.paging_server import PagingServer, Reading, read

from kb4_async.errors import IncompleteListingError
from kb4_async.protocol.asks import Verify
from kb4_async.protocol.codec import Key
from kb4_async.protocol.drift import KeyIndex
from kb4_async.protocol.ends import PAGE_CAP
from kb4_async.protocol.paging import NumberedListing
from kb4_async.protocol.reader import Setup
from kb4_async.protocol.token import Place


def keys(rows: int) -> list[Key]:
    """Ascending, with gaps."""
    return list(range(7, 7 + 3 * rows, 3))


def requests(result: Reading) -> list[int]:
    return [ask.number for ask in result.asks]


# -- requests (semantics 1) ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "most", "end"),
    [
        (0, 1, "empty_page"),
        (1, 2, "empty_page"),
        (499, 2, "empty_page"),
        (500, 2, "empty_page"),
        (501, 3, "short_page"),
        (1000, 6, "empty_page"),
        (20_000, 47, "empty_page"),
    ],
)
@pytest.mark.parametrize("ahead", [1, 16])
def test_a_listing_costs_no_more_requests_than_promised(
    rows: int, most: int, end: str, ahead: int
) -> None:
    result = read(PagingServer(keys(rows)), ahead=ahead)
    assert (result.keys, result.end) == (keys(rows), end)
    assert len(result.asks) <= most


@pytest.mark.parametrize("rows", [0, 1, 499, 500, 501, 1000, 20_000])
def test_with_a_count_the_pages_are_all_that_is_asked(rows: int) -> None:
    result = read(PagingServer(keys(rows)), count=rows)
    assert (result.keys, result.end) == (keys(rows), "count_met")
    # Page 1 even for none.
    assert requests(result) == list(range(1, max(1, -(-rows // 500)) + 1))


@pytest.mark.parametrize("rows", [501, 1000, 20_000])
def test_without_looks_only_the_search_is_paid(rows: int) -> None:
    looked = read(PagingServer(keys(rows)))
    blind = read(PagingServer(keys(rows)), verify="none")
    looks = [ask for ask in looked.asks if ask.purpose == "look"]
    assert blind.keys == keys(rows)
    assert len(blind.asks) == len(looked.asks) - len(looks)
    assert [ask.number for ask in looks] == {501: [1], 1000: [1, 2], 20_000: [40, 1]}[rows]


@pytest.mark.parametrize("rows", [0, 1, 500])
def test_a_listing_of_one_page_is_not_looked_at_again(rows: int) -> None:
    assert all(ask.purpose != "look" for ask in read(PagingServer(keys(rows))).asks)


@pytest.mark.parametrize("rows", [0, 1, 500, 501, 1000, 5000])
def test_verify_full_reads_everything_twice(rows: int) -> None:
    server = PagingServer(keys(rows))
    result = read(server, verify="full")
    assert result.proven
    assert result.keys == keys(rows)
    for page in range(1, -(-rows // 500) + 1):
        assert server.asked.count(page) >= 2


def test_page_1_is_asked_alone() -> None:
    asks = NumberedListing(Setup(per_page=500)).asks(16)
    assert [ask.number for ask in asks] == [1]


def test_certain_pages_are_fetched_while_the_end_is_searched_but_for_one_below_a_probe() -> None:
    machine = NumberedListing(Setup(per_page=2))
    probes = (1, 2, 4, 8)
    for page in probes:
        (ask,) = [ask for ask in machine.asks(16) if ask.purpose == "probe"]
        assert ask.number == page
        machine.saw(ask, [page * 10, page * 10 + 1])
    first, *others = machine.asks(16)
    assert (first.number, first.purpose) == (16, "probe")
    assert [ask.number for ask in others if ask.number not in probes] == [3, 5, 6]
    machine.saw(first, [])
    for page in (10, 9):
        machine.saw(machine.asks(16)[0], [] if page == 10 else [90])
    assert {3, 5, 6, 7} <= {ask.number for ask in machine.asks(16)}, "the end is known"


@pytest.mark.parametrize("ahead", [1, 2, 16])
def test_no_more_pages_than_asked_for_are_fetched_ahead(ahead: int) -> None:
    machine = NumberedListing(Setup(per_page=5, count=1000))
    assert [ask.number for ask in machine.asks(ahead)] == list(range(1, ahead + 1))


def test_how_many_requests_are_left_is_known_once_the_end_is() -> None:
    machine = NumberedListing(Setup(per_page=5, count=12))
    assert machine.requests_left() == 3
    assert NumberedListing(Setup(per_page=5)).requests_left() is None
    assert read(PagingServer(keys(12)), per_page=5).machine.requests_left() == 0


# -- counts (semantics 1) -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "rows"),
    [(1, 0), (10, 9), (10, 3), (10, 0), (500, 7), (20, 12), (4, 5), (12, 20), (1, 9)],
)
def test_a_count_that_is_wrong_proves_nothing_and_the_end_is_found(count: int, rows: int) -> None:
    result = read(PagingServer(keys(rows)), per_page=5, count=count)
    assert result.keys == keys(rows)
    assert result.end in {"short_page", "empty_page"}


def test_a_count_is_met_by_distinct_records_alone() -> None:
    # Ten rows, but one of them twice: nine records are no ten.
    rows: list[Key] = [1, 2, 3, 4, 5, 5, 6, 7, 8, 9]
    result = read(PagingServer(rows), per_page=5, count=10)
    assert sorted(k for k in result.keys if isinstance(k, int)) == list(range(1, 10))
    assert result.end != "count_met"


# -- max_items ----------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [1, 4, 5, 6, 10, 23, 24, 25, 100])
@pytest.mark.parametrize("rows", [0, 3, 5, 24, 25, 60])
@pytest.mark.parametrize("count", [False, True])
def test_max_items_delivers_so_many_and_asks_no_more_pages_than_hold_them(
    wanted: int, rows: int, count: bool
) -> None:
    result = read(
        PagingServer(keys(rows)), per_page=5, max_items=wanted, count=rows if count else None
    )
    assert result.keys == keys(rows)[:wanted]
    assert result.proven
    assert len(result.asks) <= -(-wanted // 5)
    assert all(ask.purpose != "look" for ask in result.asks)
    if wanted < rows:
        assert result.end == "max_items"


@pytest.mark.parametrize("wanted", [5, 7, 10])
def test_max_items_counts_what_was_delivered_before_the_resume(wanted: int) -> None:
    whole = read(PagingServer(keys(30)), per_page=5, max_items=wanted)
    part = read(PagingServer(keys(30)), per_page=5, max_items=wanted, kill_after=1)
    rest = read(PagingServer(keys(30)), per_page=5, max_items=wanted, place=part.places[-1])
    assert part.keys + rest.keys == whole.keys == keys(wanted)


# -- servers that page in their own way ---------------------------------------------------------


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 4, 6, 7, 30, 31])
@pytest.mark.parametrize("count", [False, True])
def test_a_server_that_caps_pages_is_read_whole(rows: int, count: bool) -> None:
    server = PagingServer(keys(rows), cap=3)
    result = read(server, per_page=10, count=rows if count else None)
    assert result.keys == keys(rows)
    assert result.proven
    if rows > 3:
        assert {ask.per_page for ask in result.asks} == {10, 3}
        assert result.asks[-1].per_page == 3


@pytest.mark.parametrize("kill_after", [1, 2, 3])
@pytest.mark.parametrize("text", [False, True], ids=["ascending", "text"])
def test_a_server_that_caps_pages_is_resumed_without_loss_or_doubles(
    kill_after: int, text: bool
) -> None:
    rows: list[Key] = [f"k{n:03}" for n in range(20)] if text else keys(20)
    part = read(PagingServer(rows, cap=3), per_page=10, kill_after=kill_after)
    rest = read(PagingServer(rows, cap=3), per_page=10, place=part.places[-1])
    assert part.keys + rest.keys == rows
    assert rest.proven


@pytest.mark.parametrize("rows", [5, 6, 23, 100])
def test_a_server_that_ignores_the_page_is_found_out_after_two_requests(rows: int) -> None:
    server = PagingServer(keys(rows), ignore=True)
    result = read(server, per_page=5)
    assert result.end == "page_repeated"
    assert result.keys == keys(5)
    assert len(server.asked) == 2


def test_a_server_that_ignores_the_page_is_found_out_in_spite_of_a_count() -> None:
    result = read(PagingServer(keys(23), ignore=True), per_page=5, count=23)
    assert result.end == "page_repeated"
    assert result.keys == keys(5)


@pytest.mark.parametrize("rows", [1, 5, 6, 10, 23, 25, 100, 101])
@pytest.mark.parametrize("ahead", [1, 16])
def test_a_server_that_repeats_its_last_page_is_read_up_to_the_repeat(
    rows: int, ahead: int
) -> None:
    result = read(PagingServer(keys(rows), clamp=True), per_page=5, ahead=ahead)
    assert result.keys == keys(rows)
    assert result.end in {"page_repeated", "short_page"}
    # A short page behind a full one is a proof; all else is none here.
    assert (result.end == "short_page") <= (rows % 5 != 0)


def test_the_silent_limit_of_training_campaigns_is_no_end() -> None:
    result = read(PagingServer(keys(10)), server_limit=10)
    assert (result.end, result.keys) == ("server_limit", keys(10))


@pytest.mark.parametrize("rows", [0, 9, 11, 25])
def test_other_numbers_of_rows_are_no_silent_limit(rows: int) -> None:
    result = read(PagingServer(keys(rows)), server_limit=10)
    assert (result.end, result.keys) == ("empty_page", keys(rows))


@pytest.mark.parametrize("rows", [11, 25])
def test_a_server_that_caps_pages_at_its_limit_is_read_whole(rows: int) -> None:
    result = read(PagingServer(keys(rows), cap=10), server_limit=10)
    assert result.proven
    assert result.keys == keys(rows)


def test_a_server_without_end_is_given_up() -> None:
    machine = NumberedListing(Setup(per_page=1))

    def follow() -> None:
        for _ in range(100):
            ask = machine.asks(1)[0]
            machine.saw(ask, [ask.number])

    with pytest.raises(IncompleteListingError) as caught:
        follow()
    assert caught.value.reason == "page_cap"


def test_a_listing_below_the_page_cap_is_not_given_up() -> None:
    pages = PAGE_CAP // 2 + 1000
    machine = NumberedListing(Setup(per_page=1))
    for _ in range(100):
        ask = machine.asks(1)[0]
        if ask.purpose != "probe":
            break
        machine.saw(ask, [ask.number] if ask.number <= pages else [])
    assert machine.search.end == pages


# -- failing pages ------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", range(1, 10))
@pytest.mark.parametrize("seed", range(5))
def test_a_page_that_cannot_be_had_ends_the_listing_behind_the_pages_below(
    failing: int, seed: int
) -> None:
    rows = keys(33)  # seven pages of five
    server = PagingServer(rows, failing=frozenset({failing}))
    result = read(server, per_page=5, chance=random.Random(seed))
    if failing <= 7:
        assert result.end == "lost"
        assert result.keys == rows[: 5 * (failing - 1)]
    else:
        # A page beyond the end is needed for nothing: page 7 is short.
        assert result.end == "short_page"
        assert result.keys == rows


@pytest.mark.parametrize("seed", range(20))
def test_nothing_above_a_failed_page_is_asked_once_it_failed(seed: int) -> None:
    server = PagingServer(keys(200), failing=frozenset({3}))
    read(server, per_page=5, ahead=16, chance=random.Random(seed))
    after = server.asked[server.asked.index(3) + 1 :]
    assert all(page < 3 for page in after)


# -- resuming (semantics 3 and 4) ---------------------------------------------------------------


@pytest.mark.parametrize("rows", [0, 1, 4, 5, 6, 10, 23, 40])
@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize(
    ("verify", "text"),
    [("tail", False), ("full", False), ("none", False), ("tail", True), ("none", True)],
)
def test_every_token_leads_to_what_follows_it(
    rows: int, counted: bool, verify: Verify, text: bool
) -> None:
    served: list[Key] = [f"k{n:03}" for n in range(rows)] if text else keys(rows)
    count = rows if counted else None
    whole = read(PagingServer(served), per_page=5, count=count, verify=verify)
    assert whole.keys == served
    for place in whole.places:
        rest = read(PagingServer(served), per_page=5, count=count, verify=verify, place=place)
        assert served[: place.rows] + rest.keys == served
        assert rest.proven


@pytest.mark.parametrize("rows", [1, 5, 6, 23])
def test_a_resumed_second_reading_of_keys_that_no_token_holds_is_no_unrest(rows: int) -> None:
    # Which text keys were delivered is not in a token, so verify="full" may be beyond proof here.
    # But nothing moved, and never_quiet means that rows moved in three passes (semantics 3).
    served: list[Key] = [f"k{n:03}" for n in range(rows)]
    whole = read(PagingServer(served), per_page=5, verify="full")
    assert whole.proven
    for place in whole.places:
        rest = read(PagingServer(served), per_page=5, verify="full", place=place)
        delivered = served[: place.rows] + rest.keys
        assert len(delivered) == len(set(delivered))
        assert rest.end != "never_quiet"


def test_the_done_token_costs_no_request() -> None:
    whole = read(PagingServer(keys(12)), per_page=5)
    server = PagingServer(keys(12))
    again = read(server, per_page=5, place=whole.places[-1])
    assert (again.end, again.keys, server.asked) == (whole.end, [], [])


def test_resuming_asks_the_page_before_once_more() -> None:
    part = read(PagingServer(keys(23)), per_page=5, kill_after=2)
    server = PagingServer(keys(23))
    rest = read(server, per_page=5, place=part.places[-1])
    assert (rest.asks[0].number, rest.asks[0].purpose) == (2, "anchor")
    assert server.asked.count(1) == 0
    assert server.asked.count(2) == 1


CHANGES: dict[str, Callable[[list[Key]], None]] = {
    "the first is deleted": lambda rows: rows.remove(rows[0]),
    "the second is deleted": lambda rows: rows.remove(rows[1]),
    "the third is deleted": lambda rows: rows.remove(rows[2]),
    "the fourth is deleted": lambda rows: rows.remove(rows[3]),
    "the last delivered is deleted": lambda rows: rows.remove(rows[4]),
    "the next is deleted": lambda rows: rows.remove(rows[5]),
    "one comes first": lambda rows: rows.insert(0, 1),
    "one comes in between": lambda rows: rows.insert(3, 15),
    "one comes last": lambda rows: rows.append(9999),
    "a page goes": lambda rows: rows.__delitem__(slice(0, 5)),
    "a page comes": lambda rows: rows.__setitem__(slice(0, 0), [1, 2, 3, 4, 5]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("rows", [6, 10, 23])
def test_what_moved_while_nobody_read_is_noticed_on_resuming(
    change: Callable[[list[Key]], None], rows: int
) -> None:
    served = keys(rows)
    part = read(PagingServer(served), per_page=5, kill_after=1)
    before = set(served)
    change(served)
    rest = read(PagingServer(served), per_page=5, place=part.places[-1])
    delivered = part.keys + rest.keys
    assert rest.proven
    assert (before & set(served)) <= set(delivered)
    assert len(delivered) == len(set(delivered))


@pytest.mark.parametrize("order", ["text", "descending"])
def test_a_record_that_moves_after_the_resume_is_not_doubled_where_keys_do_not_ascend(
    order: str,
) -> None:
    served: list[Key] = (
        [f"k{n:03}" for n in range(20)] if order == "text" else list(range(20, 0, -1))
    )
    part = read(PagingServer(served), per_page=5, kill_after=2)

    def insert_first() -> None:
        if len(server.asked) == 1:  # the page before was asked once more, and had not moved
            served.insert(0, "new" if order == "text" else 21)

    server = PagingServer(served, change=insert_first)
    rest = read(server, per_page=5, place=part.places[-1])
    delivered = part.keys + rest.keys
    assert len(delivered) == len(set(delivered))


def test_what_was_delivered_before_two_resumes_is_not_delivered_again() -> None:
    # The first page does not ascend, so its keys are not in the token; the later ones do.
    served: list[Key] = [5, 4, 3, 2, 1, *range(10, 40)]
    first = read(PagingServer(served), per_page=5, kill_after=1)
    second = read(PagingServer(served), per_page=5, kill_after=1, place=first.places[-1])
    served.remove(3)
    third = read(PagingServer(served), per_page=5, place=second.places[-1])
    delivered = first.keys + second.keys + third.keys
    assert len(delivered) == len(set(delivered))


# -- drift (semantics 3) ------------------------------------------------------------------------


def moving(served: list[Key], when: int, change: Callable[[list[Key]], None]) -> PagingServer:
    """A server whose rows change once, before a request."""

    def once() -> None:
        if len(server.asked) == when:
            change(served)

    server = PagingServer(served, change=once)
    return server


def test_a_record_that_slips_below_while_we_read_is_found_in_a_second_reading() -> None:
    served = keys(23)
    everything = list(served)
    result = read(moving(served, 5, lambda rows: rows.remove(rows[0])), per_page=5, ahead=1)
    assert len(served) == 22
    assert result.proven
    assert set(result.keys) == set(everything)
    assert len(result.keys) == 23
    assert result.machine.reading == 2


def test_appended_rows_are_no_move() -> None:
    served = keys(23)
    result = read(moving(served, 5, lambda rows: rows.append(9999)), per_page=5, ahead=1)
    assert len(served) == 24
    assert result.proven
    assert result.machine.reading == 1
    assert result.keys[:23] == keys(23)


def test_rows_that_never_rest_end_in_never_quiet() -> None:
    served = keys(60)

    def shift() -> None:
        served.pop(0)
        served.append(int(str(served[-1])) + 3)

    result = read(PagingServer(served, change=shift), per_page=5)
    assert result.end == "never_quiet"
    assert len(result.keys) == len(set(result.keys))


def test_verify_none_looks_at_nothing() -> None:
    served = keys(23)
    result = read(
        moving(served, 5, lambda rows: rows.remove(rows[0])), per_page=5, ahead=1, verify="none"
    )
    assert len(served) == 22
    assert all(ask.purpose in {"page", "probe"} for ask in result.asks)


def test_verify_full_finds_changes_that_cancel_out() -> None:
    served = keys(23)

    def swap(rows: list[Key]) -> None:
        # One on a page that was read goes, one comes on page 3: the pages above stay as they were,
        # and a record slips from page 3 to page 2.
        rows.pop(0)
        rows.insert(14, 50)

    result = read(moving(served, 5, swap), per_page=5, ahead=1, verify="full")
    assert 50 in served
    assert result.proven
    assert set(served) <= set(result.keys)


def test_answers_of_an_earlier_turn_are_void() -> None:
    machine = NumberedListing(Setup(per_page=10))
    (first,) = machine.asks(16)
    machine.saw(first, [1, 2, 3])
    second = machine.asks(16)[0]
    machine.saw(second, [4, 5, 6])
    assert machine.size == 3, "the server caps pages"
    assert machine.saw(second, [4, 5, 6]) is False
    assert [ask.number for ask in machine.asks(16)] == [1]


# -- which records were delivered ---------------------------------------------------------------


def test_records_without_a_key_are_all_delivered() -> None:
    rows: list[Key] = [None] * 12
    result = read(PagingServer(rows), per_page=5)
    assert result.keys == rows
    assert result.proven


@pytest.mark.parametrize("seed", range(5))
def test_keys_in_any_order_are_each_delivered_once(seed: int) -> None:
    chance = random.Random(seed)
    served: list[Key] = [*range(40), *(f"k{n}" for n in range(10))]
    chance.shuffle(served)
    everything = set(served)
    result = read(moving(served, 9, lambda rows: rows.remove(rows[0])), per_page=5)
    assert len(result.keys) == len(set(result.keys))
    assert everything - set(result.keys) == set()


def test_while_keys_ascend_two_keys_a_page_are_kept() -> None:
    index = KeyIndex()
    for page in range(200):
        batch: list[Key] = list(range(page * 500, page * 500 + 500))
        assert index.fresh(batch) is None
        index.add(batch)
    assert len(index.edges) == 200
    assert index.exact is None
    assert index.knows(0, again=True)
    assert index.knows(99_999, again=True)
    assert not index.knows(100_000, again=True)


def test_a_place_does_not_change_when_reading_goes_on() -> None:
    machine = NumberedListing(Setup(per_page=2, count=6))
    places: list[Place] = []
    for batch in ([1, 2], [3, 4]):
        machine.take(batch)
        places.append(machine.place())
    known = places[0]._replace(edges=tuple(places[0].edges[: places[0].edges_known]))
    assert known.edges == ((1, 2),)
    assert known.number == 2


def test_keys_that_stop_ascending_after_many_records_lose_none() -> None:
    """Active users in order, then archived ones in order: inside older pages' edges, yet new."""
    rows = [*range(2, 80_001, 2), *range(1, 10_000, 2)]

    result = read(PagingServer(rows), per_page=500)

    assert result.proven
    assert result.keys == rows


def test_keys_that_stop_ascending_after_a_resume_lose_none() -> None:
    rows = [*range(2, 401, 2), *range(1, 200, 2)]
    first = read(PagingServer(rows), per_page=20, kill_after=2)

    second = read(PagingServer(rows), per_page=20, place=first.places[-1])

    assert second.proven
    assert first.keys + second.keys == rows


def test_a_page_that_fills_after_it_was_read_empty_is_read_again() -> None:
    """A count claimed a third page; it was empty when its turn came, and is not at the look."""
    machine = NumberedListing(Setup(per_page=3, count=7))
    for keys in ([10, 20, 30], [40, 50, 60], []):
        machine.take(keys)
    behind = next(ask for ask in machine.asks(1) if ask.number == 3)

    machine.saw(behind, [70])
    (last,) = machine.asks(1)
    assert last.number == 2
    machine.saw(last, [40, 50, 60])

    assert [ask.number for ask in machine.asks(1)] == [3]
