"""A listing that is killed while it is read again goes on there: nothing is lost or doubled.

Rows move between the runs alone, and once each time: a run asks the page before its place again,
which tells of one change, while two may cancel out.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.moving import Rows, chances, changes
from support.paging_server import PROVEN, CursorServer, PagingServer, Reading, read

from kb4_async.protocol.asks import Verify
from kb4_async.protocol.codec import Key
from kb4_async.protocol.reader import Reader
from kb4_async.protocol.token import Place

#: Pages that a run takes, which of its places the next one begins at (a kill finds some pages
#: uncommitted), and what happens to the rows meanwhile.
Night = tuple[int, float, tuple[str, float] | None]
Way = Literal["number", "cursor"]

many = settings(deadline=None, max_examples=250)
lengths = st.integers(10, 60)
sizes = st.integers(2, 7)
ways: st.SearchStrategy[Way] = st.sampled_from(["number", "cursor"])
verifies: st.SearchStrategy[Verify] = st.sampled_from(["tail", "full"])
nights = st.lists(st.tuples(st.integers(1, 8), st.floats(0, 1), st.none() | changes), max_size=5)

ORDERS: dict[str, Callable[[Key], Key]] = {
    "ascending": lambda key: key,
    "descending": lambda key: -int(str(key)),
    "text": lambda key: f"k{key:06}",
}


@dataclass
class Runs:
    """Runs that read one listing, each from a place that the one before left.

    Attributes:
        spelled: What the server makes of a key.
        recalled: Each run is told what those before delivered.
    """

    rows: Rows
    per_page: int
    way: Way
    chance: random.Random
    spelled: Callable[[Key], Key] = ORDERS["ascending"]
    recalled: bool = False
    verify: Verify = "tail"
    place: Place | None = None
    delivered: list[Key] = field(default_factory=list)

    def read(self, kill_after: int | None = None, back: float = 0.0) -> Reading:
        """One run; what it delivered behind the place it left is lost with it."""
        result = read(
            CursorServer([self.spelled(key) for key in self.rows.keys], style="offset"),
            users=CursorServer([1, 2]),
            per_page=self.per_page,
            chance=self.chance,
            paging=self.way,
            kill_after=kill_after,
            place=self.place,
            known=frozenset(self.delivered) if self.recalled else None,
            verify=self.verify,
        )
        self.delivered += result.keys
        if result.end == "killed":
            # The place before the first page is one that nothing was asked about yet.
            places = result.places[1:]
            self.place = places[-1 - int(back * (len(places) - 1))]
            self.delivered = self.delivered[: self.place.rows]
        return result

    def go_through(self, plan: list[Night]) -> Reading:
        """Deliver a page, let its first row go, so that all is read again, and go on as planned."""
        self.read(1)
        self.rows.change("delete", 0.0)
        for kill_after, back, change in plan:
            result = self.read(kill_after, back)
            if result.end != "killed":
                return result
            if change is not None:
                self.rows.change(*change)
        return self.read()

    def check(self, result: Reading) -> None:
        """Every row that existed throughout was delivered exactly once, and no other twice."""
        assert result.end in PROVEN
        assert len(self.delivered) == len(set(self.delivered)), "a doubled key"
        assert {self.spelled(key) for key in self.rows.kept} <= set(self.delivered), "a lost key"


@many
@given(lengths, sizes, ways, chances, verifies, nights)
def test_what_existed_throughout_is_delivered_exactly_once_over_any_number_of_kills(
    length: int, per_page: int, way: Way, chance: random.Random, verify: Verify, plan: list[Night]
) -> None:
    runs = Runs(Rows.of(length), per_page, way, chance, verify=verify)
    runs.check(runs.go_through(plan))


@many
@given(lengths, sizes, ways, chances, verifies, nights, st.sampled_from([*ORDERS.values()]))
def test_with_what_was_delivered_at_hand_keys_need_not_ascend_for_that(
    length: int,
    per_page: int,
    way: Way,
    chance: random.Random,
    verify: Verify,
    plan: list[Night],
    spelled: Callable[[Key], Key],
) -> None:
    runs = Runs(Rows.of(length), per_page, way, chance, spelled, recalled=True, verify=verify)
    runs.check(runs.go_through(plan))


@many
@given(lengths, sizes, ways, chances, st.integers(1, 40), st.integers(1, 40))
def test_a_second_reading_of_keys_that_no_token_holds_is_refused_rather_than_doubled(
    length: int, per_page: int, way: Way, chance: random.Random, first: int, second: int
) -> None:
    runs = Runs(Rows.of(length), per_page, way, chance, ORDERS["text"], verify="full")
    result = runs.read(first)
    for kill_after in (second, None):
        if result.end == "killed":
            result = runs.read(kill_after)
    assert len(runs.delivered) == len(set(runs.delivered)), "a doubled key"
    assert result.end in PROVEN | {"no_proof"}
    if result.end in PROVEN:
        assert {runs.spelled(key) for key in runs.rows.kept} == set(runs.delivered)


@many
@given(st.integers(11, 60), sizes, ways, chances, st.integers(1, 60))
def test_a_second_reading_costs_its_pages_once_wherever_it_is_killed(
    length: int, per_page: int, way: Way, chance: random.Random, kill_after: int
) -> None:
    runs = Runs(Rows.of(length), per_page, way, chance)
    runs.read(1)
    runs.rows.change("delete", 0.0)
    if runs.read(kill_after).end != "killed":
        return
    assert runs.place is not None
    assert (runs.place.rereading, runs.place.number) == (True, kill_after + 1)
    last = runs.read()
    assert last.asks[0].purpose == "anchor"
    assert min(ask.number for ask in last.asks if ask.purpose != "look") == kill_after
    assert last.machine.reading == 2


@pytest.mark.parametrize("kill_after", [1, 2, 3, 4])
def test_the_page_before_that_moved_again_begins_a_third_reading(kill_after: int) -> None:
    runs = Runs(Rows.of(25), 5, "number", random.Random(1))
    runs.read(1)
    runs.rows.change("delete", 0.0)
    runs.read(kill_after)
    runs.rows.change("delete", 0.0)
    result = runs.read()
    assert result.machine.reading == 3
    runs.check(result)


@pytest.mark.parametrize("way", ["number", "cursor"])
def test_a_place_of_a_second_reading_stays_as_it_is_when_that_fills_a_gap(way: Way) -> None:
    runs = Runs(Rows.of(25), 5, way, random.Random(1))
    runs.read(2)
    runs.rows.keys.insert(5, 55)  # between the pages delivered
    runs.read(2, back=1.0)
    runs.check(runs.read())
    assert 55 in runs.delivered


@pytest.mark.parametrize("way", ["number", "cursor"])
def test_a_second_reading_that_moved_is_not_gone_on_with(way: Way) -> None:
    rows = Rows.of(40)
    first = read(CursorServer(rows.keys, style="offset"), per_page=5, paging=way, kill_after=1)
    rows.change("delete", 0.0)

    def move(machine: Reader) -> None:
        """A row comes, which is noticed, then two go, which alone would not be."""
        for kind in moves.pop(machine.position, []):
            rows.change(kind, 0.0)

    moves = {3: ["insert"], 4: ["delete", "delete"]}
    second = read(
        CursorServer(rows.keys, style="offset"),
        per_page=5,
        paging=way,
        ahead=1,
        kill_after=5,
        place=first.places[-1],
        on_ask=move,
    )
    assert not moves
    assert (second.places[-1].rereading, second.places[-1].moved) == (False, True)
    third = read(
        CursorServer(rows.keys, style="offset"), per_page=5, paging=way, place=second.places[-1]
    )
    delivered = first.keys + second.keys + third.keys
    assert third.proven
    assert len(delivered) == len(set(delivered))
    assert rows.kept <= set(delivered)


@pytest.mark.parametrize("text", [False, True], ids=["ascending", "text"])
def test_a_listing_that_is_told_what_was_delivered_leaves_it_out_of_a_first_reading(
    text: bool,
) -> None:
    served: list[Key] = [f"k{n:02}" if text else n for n in range(23)]
    delivered = served[3:9]
    place = Place(size=5, rows=len(delivered))
    result = read(PagingServer(served), per_page=5, place=place, known=frozenset(delivered))
    assert result.proven
    assert result.keys == [key for key in served if key not in delivered]
