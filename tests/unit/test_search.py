import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kb4_async.protocol.ends import PAGE_CAP
from kb4_async.protocol.search import Search

PER_PAGE = 5


def find(rows: int, search: Search | None = None) -> tuple[Search, list[int]]:
    """Follow the probes over a listing that does not move."""
    search = search or Search(PER_PAGE)
    asked: list[int] = []
    while (page := search.probe()) is not None:
        asked.append(page)
        assert len(asked) < 200, "no end"
        here = max(0, min(PER_PAGE, rows - (page - 1) * PER_PAGE))
        assert search.saw(page, here), "nothing moved, so nothing contradicts"
    return search, asked


@settings(deadline=None)
@given(st.integers(0, 300_000))
def test_the_end_is_found_wherever_it_is(rows: int) -> None:
    search, asked = find(rows)
    pages = -(-rows // PER_PAGE)
    assert search.end == pages
    assert len(asked) == len(set(asked))
    assert asked[0] == 1
    # Empty answers are the whole cost: the first beyond the end, then a few that narrow the gap.
    empty = [page for page in asked if page > pages]
    assert len(empty) <= 2 + 2 * pages.bit_length()


@pytest.mark.parametrize(
    ("rows", "end", "reason"),
    [
        (0, 0, "empty_page"),
        (1, 1, "empty_page"),
        (5, 1, "empty_page"),
        (6, 2, "short_page"),
        (10, 2, "empty_page"),
        (44, 9, "short_page"),
        (45, 9, "empty_page"),
    ],
)
def test_the_end_has_a_reason(rows: int, end: int, reason: str) -> None:
    search, _ = find(rows)
    assert (search.end, search.reason) == (end, reason)


def test_probes_double_until_one_is_empty_and_then_narrow_the_gap() -> None:
    _, asked = find(40 * PER_PAGE)
    assert asked[:7] == [1, 2, 4, 8, 16, 32, 64]
    # The first quarter of what lies between 32 and 64.
    assert asked[7] == 40
    assert asked[-1] == 41


def test_a_short_page_proves_nothing_before_a_full_one_was_seen() -> None:
    search = Search(PER_PAGE)
    search.saw(1, 3)
    assert search.reason is None
    assert search.probe() == 2
    search.saw(2, 0)
    assert search.reason == "empty_page"


def test_nothing_is_asked_once_the_end_is_known() -> None:
    search, _ = find(44)
    assert search.probe() is None
    assert not search.blocked


def test_a_full_page_seen_before_makes_a_short_page_the_end() -> None:
    search = Search(PER_PAGE, lo=3, full_seen=True)
    search.saw(4, 2)
    assert (search.end, search.reason) == (4, "short_page")


@pytest.mark.parametrize("cap", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("rows", [3, 5, 12, 1000])
def test_no_page_above_the_cap_is_asked(cap: int, rows: int) -> None:
    _, asked = find(rows, Search(PER_PAGE, cap=cap))
    assert max(asked) <= cap


def test_the_end_of_the_reading_before_is_asked_first() -> None:
    search, asked = find(40 * PER_PAGE, Search(PER_PAGE, full_seen=True, hints=[40, 41, 39]))
    assert asked == [40, 41]
    assert search.end == 40


def test_hints_that_are_wrong_are_passed_over() -> None:
    search, asked = find(12, Search(PER_PAGE, full_seen=True, hints=[40, 41, 39]))
    assert search.end == 3
    assert asked[0] == 40


@pytest.mark.parametrize("rows", [0, 2])
def test_a_short_or_empty_page_below_a_known_one_sets_the_bound(rows: int) -> None:
    # Semantics 1: drift, never an end; the newer answer sets the bound.
    search = Search(PER_PAGE)
    for page in (1, 2, 4, 8):
        assert search.saw(page, PER_PAGE)
    assert not search.saw(3, rows)
    assert search.end in {2, 3}
    assert search.end == (3 if rows else 2)


def test_rows_beyond_a_page_known_to_be_empty_move_the_end_up() -> None:
    search = Search(PER_PAGE)
    for page in (1, 2, 4):
        search.saw(page, PER_PAGE)
    search.saw(8, 0)
    assert not search.saw(9, 3)
    assert search.lo == 9
    assert search.hi is None


def test_full_pages_below_the_highest_are_no_news() -> None:
    search = Search(PER_PAGE)
    for page in (1, 2, 4, 8):
        search.saw(page, PER_PAGE)
    assert search.saw(3, PER_PAGE)
    assert search.lo == 8


def test_a_page_that_could_not_be_had_bounds_the_search() -> None:
    search = Search(PER_PAGE)
    for page in (1, 2, 4):
        search.saw(page, PER_PAGE)
    search.lost(8)
    asked = []
    while (page_ := search.probe()) is not None:
        asked.append(page_)
        assert page_ < 8
        search.saw(page_, PER_PAGE)
    assert asked == [5, 6, 7]
    assert search.blocked
    assert search.end is None


def test_an_end_below_a_page_that_could_not_be_had_is_still_found() -> None:
    search = Search(PER_PAGE)
    for page in (1, 2, 4):
        search.saw(page, PER_PAGE)
    search.lost(8)
    search.saw(5, PER_PAGE)
    search.saw(6, 1)
    assert (search.end, search.blocked) == (6, False)


@pytest.mark.parametrize("lost", [2, 3, 5, 7])
def test_nothing_at_or_above_a_page_that_could_not_be_had_is_asked(lost: int) -> None:
    # A certain page failed while higher ones were seen: its error will end the listing.
    search = Search(PER_PAGE)
    for page in (1, 2, 4, 8):
        search.saw(page, PER_PAGE)
    search.lost(lost)
    probe = search.probe()
    assert probe is None or probe < lost


def test_of_several_lost_pages_the_lowest_bounds() -> None:
    search = Search(PER_PAGE, lo=1)
    search.lost(8)
    search.lost(5)
    search.lost(7)
    assert search.failed == 5


def test_a_stopped_search_asks_nothing() -> None:
    assert Search(PER_PAGE, lo=4, stopped=True).probe() is None


def test_the_search_goes_up_to_the_page_cap() -> None:
    pages = PAGE_CAP - 7
    search, asked = find(pages * PER_PAGE)
    assert search.end == pages
    assert max(asked) <= PAGE_CAP
