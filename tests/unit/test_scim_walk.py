"""Walking lists of servers that cap, repeat, lie, and change meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kb4_async.protocol.scim.walk import BLIND, PASSES, Walk

many = settings(deadline=None, max_examples=300)


@dataclass
class Server:
    """A list of rows.

    Attributes:
        rows: Ids; an empty one cannot be read.
        cap: Most rows of a page.
        repeats: Behind the last row the first page comes again.
        total: What ``totalResults`` says of all rows and of the page's.
        changes: What happens before the request of that number.
        seen_by: Is shown the rows at each request.
    """

    rows: list[str]
    cap: int = 1000
    repeats: bool = False
    total: Callable[[int, int], int | None] = lambda rows, page: rows
    changes: dict[int, Callable[[list[str]], None]] = field(default_factory=dict)
    seen_by: Callable[[list[str]], None] = lambda rows: None
    asked: int = 0

    def page(self, start: int, count: int) -> tuple[list[str], int | None]:
        if self.asked in self.changes:
            self.changes[self.asked](self.rows)
        self.asked += 1
        self.seen_by(self.rows)
        size = min(count, self.cap)
        found = self.rows[start - 1 : start - 1 + size]
        if not found and self.repeats:
            found = self.rows[:size]
        return found, self.total(len(self.rows), len(found))


def walk(server: Server, count: int = 10, most: int = 1000) -> tuple[list[str], int, Walk]:
    """Walk a list; what came, how many of it could not be read, and how it ended."""
    machine = Walk(count)
    came: list[str] = []
    unread = 0
    for _ in range(most):
        ids, total = server.page(machine.start, count)
        for place in machine.take(ids, total):
            came += [ids[place]] if ids[place] else []
            unread += not ids[place]
        if machine.state != "asking":
            return came, unread, machine
    raise AssertionError("it never ended")


def ids(number: int) -> list[str]:
    return [f"u{n}" for n in range(number)]


def true(rows: int, page: int) -> int | None:
    return rows


def page_only(rows: int, page: int) -> int | None:
    return page


def missing(rows: int, page: int) -> int | None:
    return None


totals = st.sampled_from([true, page_only, missing, lambda r, p: r + 2, lambda r, p: 3])
#: Rows, some of them without an id that could be read, or with another's.
lists = st.lists(st.sampled_from(["", "", *ids(40)]), max_size=40)


@many
@given(
    lists,
    st.integers(1, 12),
    st.integers(1, 12),
    st.booleans(),
    totals,
    st.dictionaries(st.integers(0, 30), st.tuples(st.booleans(), st.integers(0, 40)), max_size=6),
)
def test_every_walk_ends_and_delivers_no_id_twice(
    rows: list[str],
    cap: int,
    count: int,
    repeats: bool,
    total: Callable[[int, int], int | None],
    plan: dict[int, tuple[bool, int]],
) -> None:
    server = Server(list(rows), cap, repeats, total, moves(plan))
    most = PASSES * (len(rows) + len(plan) + BLIND + 3)
    came, unread, machine = walk(server, count, most)
    assert len(came) == len(set(came))
    assert unread <= machine.start + len(rows) + len(plan) + BLIND * min(cap, count)


def moves(plan: dict[int, tuple[bool, int]]) -> dict[int, Callable[[list[str]], None]]:
    """One row that comes or goes before each request of the plan."""

    def move(insert: bool, place: int, number: int) -> Callable[[list[str]], None]:
        def change(rows: list[str]) -> None:
            place_ = min(place, len(rows))
            rows[place_ : place_ + (not insert)] = [f"new{number}"] if insert else []

        return change

    return {number: move(*each, number) for number, each in plan.items()}


@many
@given(
    st.integers(0, 45),
    st.sets(st.integers(0, 44), max_size=6),
    st.integers(1, 12),
    st.integers(1, 12),
    st.booleans(),
    st.dictionaries(st.integers(1, 20), st.tuples(st.booleans(), st.integers(0, 45)), max_size=6),
)
def test_complete_is_said_only_where_every_row_that_stayed_was_delivered(
    length: int,
    odd: set[int],
    cap: int,
    count: int,
    repeats: bool,
    plan: dict[int, tuple[bool, int]],
) -> None:
    rows = ["" if n in odd and not plan else each for n, each in enumerate(ids(length))]
    server = Server(list(rows), cap, repeats, true, moves(plan))
    stayed = set(rows)
    server.seen_by = stayed.intersection_update
    came, unread, machine = walk(server, count)
    if machine.state == "complete":
        assert stayed - {""} <= set(came)
        assert len(came) == len(set(came))
        if not plan:
            assert unread == rows.count("")
    if not plan and not odd:
        assert machine.state == "complete"
        assert came == rows


@many
@given(st.integers(0, 45), st.integers(1, 12), st.booleans(), st.sampled_from([page_only, missing]))
def test_without_a_number_to_trust_a_quiet_list_is_read_to_its_end(
    length: int, count: int, repeats: bool, total: Callable[[int, int], int | None]
) -> None:
    came, _, machine = walk(Server(ids(length), repeats=repeats, total=total), count)
    assert came == ids(length)
    assert machine.state == "complete"
    assert machine.passed == 1


@many
@given(st.integers(0, 30), st.integers(1, 9), st.integers(1, 12), st.integers(1, 12), st.booleans())
def test_a_server_that_shows_fewer_than_it_says_is_no_proof(
    shown: int, hidden: int, cap: int, count: int, repeats: bool
) -> None:
    server = Server(ids(shown), cap, repeats, lambda rows, page: shown + hidden)
    came, _, machine = walk(server, count)
    assert came == ids(shown)
    assert machine.state == "no_proof"
    assert machine.passed == PASSES


@pytest.mark.parametrize(
    ("rows", "requests"), [(0, 1), (1, 1), (9, 1), (10, 2), (19, 2), (20, 3), (25, 3)]
)
def test_a_truthful_server_is_asked_no_more_than_documented(rows: int, requests: int) -> None:
    server = Server(ids(rows))
    assert walk(server)[2].state == "complete"
    assert server.asked == requests


def test_twelve_said_and_ten_shown_is_no_proof() -> None:
    server = Server(ids(10), total=lambda rows, page: 12)
    came, _, machine = walk(server, 100)
    assert (came, machine.state) == (ids(10), "no_proof")


def test_a_row_that_slipped_to_a_page_read_before_is_fetched_by_another_pass() -> None:
    server = Server(ids(25), changes={1: lambda rows: rows.__delitem__(0)})
    came, _, machine = walk(server)
    assert "u10" in came
    assert machine.state == "complete"
    assert machine.passed == 2


def test_many_rows_deleted_between_pages_are_not_taken_for_a_pages_number() -> None:
    def empty(rows: list[str]) -> None:
        del rows[:10]

    came, _, machine = walk(Server(ids(15), changes={1: empty}))
    assert set(came) == set(ids(15))
    assert machine.state == "complete"


def test_a_list_that_never_rests_is_said_to() -> None:
    changes = {number: lambda rows: rows.__delitem__(0) for number in range(1, 40)}
    assert walk(Server(ids(60), changes=changes))[2].state == "never_quiet"


def test_a_row_twice_in_a_page_is_delivered_once() -> None:
    came, _, machine = walk(Server(["a", "a", "b"], total=missing))
    assert came == ["a", "b"]
    assert machine.state == "complete"


@pytest.mark.parametrize("total", [true, missing])
def test_a_page_of_which_nothing_can_be_read_does_not_hide_what_follows(
    total: Callable[[int, int], int | None],
) -> None:
    rows = [*ids(10), *[""] * 10, "last"]
    came, unread, machine = walk(Server(rows, total=total))
    assert came == [*ids(10), "last"]
    assert unread == 10
    assert machine.state == "complete"


def test_a_first_page_repeated_with_an_unreadable_row_is_counted_once() -> None:
    rows = ["", *ids(19)]
    came, unread, machine = walk(Server(rows, repeats=True))
    assert (came, unread, machine.state) == (ids(19), 1, "complete")


def test_pages_without_end_of_which_nothing_can_be_read_are_no_proof() -> None:
    server = Server([""] * 10, repeats=True, total=missing)
    came, _, machine = walk(server)
    assert (came, machine.state) == ([], "no_proof")
    assert server.asked == PASSES * (BLIND + 1)
