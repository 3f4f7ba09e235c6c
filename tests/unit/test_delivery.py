"""What was delivered: told by keys, cut by ``max_items``, and known again after a resume."""

from collections.abc import Sequence

import pytest

from kb4_async.errors import APIError, IncompleteListingError
from kb4_async.protocol.asks import Ask
from kb4_async.protocol.codec import Key
from kb4_async.protocol.cursor_paging import CursorListing
from kb4_async.protocol.delivery import Delivery
from kb4_async.protocol.ends import READINGS
from kb4_async.protocol.paging import NumberedListing
from kb4_async.protocol.reader import Reader, Setup
from kb4_async.protocol.token import Place

EDGES = [(1, 10), (20, 30)]
NOBODY: frozenset[Key] = frozenset()


def resumed(*, rows: int = 20, cut: int = 0, max_items: int | None = None) -> Delivery:
    place = Place(number=3, rows=rows, edges=EDGES, edges_known=2, cut=cut)
    return Delivery(place, max_items)


def chosen(
    delivery: Delivery, keys: Sequence[Key], neighbours: frozenset[Key] = NOBODY
) -> list[Key]:
    keep = delivery.choose(keys, neighbours)
    return list(keys) if keep is None else [keys[index] for index in keep]


@pytest.mark.parametrize(
    ("keys", "fresh"),
    [
        ([1, 2, 3], [1, 2, 3]),
        (["b", "a"], ["b", "a"]),
        ([1, 1, 2], [1, 2]),
        ([None, None], [None, None]),
        ([], []),
        ([2**70, 2**70 + 1], [2**70, 2**70 + 1]),
        ([3, "3", 3], [3, "3"]),
    ],
)
def test_every_record_of_a_first_page_is_delivered_once(keys: list[Key], fresh: list[Key]) -> None:
    delivery = Delivery(Place(), None)
    assert chosen(delivery, keys) == fresh
    assert delivery.rows == len(fresh)
    assert chosen(delivery, keys) == [key for key in fresh if key is None]


def test_a_record_of_the_page_before_is_not_delivered_again() -> None:
    delivery = resumed()
    assert chosen(delivery, [28, 40, 41], frozenset({28, 29})) == [40, 41]


def test_in_a_first_reading_a_key_inside_older_edges_may_be_new() -> None:
    assert chosen(resumed(), [25, 40]) == [25, 40], "keys may just not ascend"
    delivery = resumed()
    delivery.begin_again(3)
    assert chosen(delivery, [5, 15, 25, 40]) == [15, 40]


@pytest.mark.parametrize(("wanted", "fresh", "cut"), [(1, 1, 1), (3, 3, 3), (4, 4, 0), (5, 4, 0)])
def test_max_items_cuts_a_page_and_says_where(wanted: int, fresh: int, cut: int) -> None:
    delivery = Delivery(Place(), wanted)
    assert chosen(delivery, [1, 2, 3, 4]) == [1, 2, 3, 4][:fresh]
    assert delivery.cut == cut
    assert delivery.full == (wanted <= 4)


def test_where_a_page_was_cut_counts_the_rows_that_were_left_out_before() -> None:
    delivery = Delivery(Place(), 5)
    delivery.choose([1, 2, 3], NOBODY)
    assert chosen(delivery, [2, 3, 4, 5, 6]) == [4, 5]
    assert delivery.cut == 4


@pytest.mark.parametrize(("cut", "rest"), [(1, [22, 24]), (2, [24]), (3, [])])
def test_the_rest_of_a_page_that_was_cut_is_told_by_place_where_keys_do_not_ascend(
    cut: int, rest: list[Key]
) -> None:
    delivery = Delivery(Place(number=1, rows=cut, cut=cut), None)
    texts = [f"k{key}" for key in (20, 22, 24)]
    assert chosen(delivery, texts) == [f"k{key}" for key in rest]
    assert delivery.rows == 3


def test_the_rest_of_a_page_that_was_cut_is_told_by_keys_where_they_ascend() -> None:
    # One that was delivered went, and one came behind: the place would be wrong by one.
    delivery = resumed(cut=3)
    assert chosen(delivery, [20, 30, 31, 40]) == [31, 40]


def test_what_was_delivered_is_known_again_by_edges_or_from_the_only_page() -> None:
    assert resumed().repeatable
    texts = Delivery(Place(number=2, rows=3), None)
    assert not texts.repeatable
    with pytest.raises(IncompleteListingError) as caught:
        texts.begin_again(2)
    assert caught.value.reason == "no_proof"
    assert texts.turn == 1
    assert texts.anchored(["a", "b", "c"], ("a", "c", 3)) is False
    assert texts.repeatable
    texts.begin_again(2)
    assert chosen(texts, ["a", "b", "c", "d"]) == ["d"]


def test_one_page_of_several_is_not_everything() -> None:
    texts = Delivery(Place(number=3, rows=6), None)
    texts.anchored(["d", "e", "f"], ("d", "f", 3))
    assert not texts.repeatable


def test_what_was_appended_to_the_page_before_is_still_to_be_delivered() -> None:
    delivery = Delivery(Place(number=2, rows=2, edges=[(1, 2)], edges_known=1), None)
    assert delivery.anchored([1, 2, 7], (1, 2, 2)) is True
    assert chosen(delivery, [1, 2, 7]) == [7]


def test_readings_are_given_up_after_so_many_that_moved() -> None:
    delivery = Delivery(Place(), None)
    for reading in range(2, READINGS + 1):
        delivery.read_again(9, moved=True)
        assert (delivery.reading, delivery.turn) == (reading, reading)
    with pytest.raises(IncompleteListingError) as caught:
        delivery.read_again(9, moved=True)
    assert caught.value.reason == "never_quiet"


def test_readings_in_which_nothing_moved_are_not_counted() -> None:
    delivery = Delivery(Place(), None)
    for _ in range(2 * READINGS):
        delivery.read_again(9, moved=False)
    assert delivery.moves == 0


def test_edges_of_a_later_reading_are_a_copy() -> None:
    delivery = Delivery(Place(), None)
    delivery.choose([1, 2], NOBODY)
    growing, copy = delivery.edges(again=False), delivery.edges(again=True)
    delivery.choose([5, 6], NOBODY)
    assert (list(growing), list(copy)) == ([(1, 2), (5, 6)], [(1, 2)])


# -- what every reader shares ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", [NumberedListing, CursorListing])
@pytest.mark.parametrize(
    ("first", "number", "status", "blamed"),
    [(400, 1, 422, 400), (400, 1, 500, 500), (400, 3, 422, 422), (None, 1, 422, 422)],
)
def test_the_first_refusal_is_told_where_the_other_way_is_refused_too(
    kind: type[NumberedListing | CursorListing],
    first: int | None,
    number: int,
    status: int,
    blamed: int,
) -> None:
    reader: Reader = kind(Setup(per_page=5))
    reader.first_error = None if first is None else APIError("first", status=first)
    error = reader.blame(Ask(number, 5, "probe", 1), APIError("second", status=status))
    assert isinstance(error, APIError)
    assert error.status == blamed


@pytest.mark.parametrize("kind", [NumberedListing, CursorListing])
def test_a_listing_that_ended_has_a_place_that_asks_nothing(
    kind: type[NumberedListing | CursorListing],
) -> None:
    reader: Reader = kind(Setup(per_page=5), Place(rows=9, end_reason="short_page", size=5))
    assert reader.done() == Place(rows=9, end_reason="short_page", size=5)
    assert (reader.asks(16), reader.requests_left(), reader.rows) == ([], 0, 9)
