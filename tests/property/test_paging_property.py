"""However rows move while a listing is read: nothing twice, and no end without a proof."""

import random

from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.moving import Rows, chances, changes
from support.paging_server import PROVEN, UNPROVEN, PagingServer, Reading, read

from kb4_async.protocol.asks import Verify
from kb4_async.protocol.codec import Key
from kb4_async.protocol.paging import NumberedListing
from kb4_async.protocol.reader import Reader

many = settings(deadline=None, max_examples=400)
sizes = st.integers(3, 7)
aheads = st.sampled_from([1, 2, 4, 16])
lengths = st.integers(0, 60)
verifies: st.SearchStrategy[Verify] = st.sampled_from(["tail", "tail", "full", "none"])
plans = st.dictionaries(st.integers(0, 30), changes, max_size=5)

#: Rows inserted while pages are kept: those pages hold rows that were pushed up from lower ones.
PUSHED_UP = {4: ("insert", 0.0), 5: ("insert", 0.0), 6: ("insert", 0.0), 7: ("insert", 0.5)}


def server_of(rows: Rows, plan: dict[int, tuple[str, float]]) -> PagingServer:
    """A server whose rows change before the requests of the plan."""

    def change() -> None:
        if len(server.asked) in plan:
            rows.change(*plan[len(server.asked)])

    server = PagingServer(rows.keys, change=change)
    return server


def check(result: Reading) -> None:
    """What holds however a listing ends."""
    assert len(result.keys) == len(set(result.keys)), "a doubled key"
    assert result.end in PROVEN | UNPROVEN


@many
@given(lengths, sizes, aheads, chances, plans, verifies, st.none() | st.integers(0, 60))
def test_nothing_is_doubled_and_every_end_is_proven_or_named(
    length: int,
    per_page: int,
    ahead: int,
    chance: random.Random,
    plan: dict[int, tuple[str, float]],
    verify: Verify,
    count: int | None,
) -> None:
    rows = Rows.of(length)
    result = read(
        server_of(rows, plan),
        per_page=per_page,
        ahead=ahead,
        chance=chance,
        verify=verify,
        count=count,
    )
    check(result)


@many
@given(lengths, sizes, aheads, chances, st.booleans(), st.booleans())
def test_when_nothing_moves_every_record_comes_once_in_order_for_few_requests(
    length: int, per_page: int, ahead: int, chance: random.Random, text: bool, counted: bool
) -> None:
    keys: list[Key] = [f"k{n:03}" if text else n for n in range(length)]
    result = read(
        PagingServer(keys),
        per_page=per_page,
        ahead=ahead,
        chance=chance,
        count=length if counted else None,
    )
    assert result.keys == keys
    assert result.proven
    assert result.machine.reading == 1
    pages = -(-length // per_page)
    if counted:
        assert len(result.asks) == max(1, pages)
    else:
        # Each page once, two looks, and the empty probes: one beyond, then those of the narrowing.
        assert len(result.asks) <= pages + 2 + 2 + 2 * pages.bit_length()


@many
@given(st.integers(1, 80), sizes, aheads, chances, changes, st.integers(0, 40))
def test_one_change_after_the_end_is_known_loses_nothing(
    length: int,
    per_page: int,
    ahead: int,
    chance: random.Random,
    change: tuple[str, float],
    later: int,
) -> None:
    rows = Rows.of(length)
    wait = [later]

    def when_the_end_is_known(machine: Reader) -> None:
        assert isinstance(machine, NumberedListing)
        if machine.search.end is not None and wait[0] >= 0:
            wait[0] -= 1
            if wait[0] < 0:
                rows.change(*change)

    result = read(
        PagingServer(rows.keys),
        per_page=per_page,
        ahead=ahead,
        chance=chance,
        on_ask=when_the_end_is_known,
    )
    check(result)
    if result.proven:
        assert rows.kept <= set(result.keys)


@many
@given(lengths, sizes, aheads, chances, st.sets(st.integers(1, 25), min_size=1, max_size=4))
def test_pages_that_cannot_be_had_leave_exactly_the_pages_below(
    length: int, per_page: int, ahead: int, chance: random.Random, failing: set[int]
) -> None:
    keys: list[Key] = list(range(length))
    result = read(
        PagingServer(keys, failing=frozenset(failing)),
        per_page=per_page,
        ahead=ahead,
        chance=chance,
    )
    pages = -(-length // per_page)
    first = min(failing)
    if first <= pages:
        assert result.end == "lost"
        assert result.keys == keys[: (first - 1) * per_page]
    else:
        assert result.keys == keys
        # The page behind the last is the only other one that a proof can need.
        assert result.proven or pages + 1 in failing


@many
@given(lengths, sizes, aheads, chances, st.lists(st.integers(1, 6), max_size=4), st.booleans())
def test_killed_and_resumed_any_number_of_times_nothing_is_lost_or_doubled(
    length: int,
    per_page: int,
    ahead: int,
    chance: random.Random,
    kills: list[int],
    text: bool,
) -> None:
    keys: list[Key] = [f"k{n:03}" if text else n for n in range(length)]
    delivered: list[Key] = []
    place = None
    ends: list[str] = []
    for kill_after in [*kills, None]:
        result = read(
            PagingServer(keys),
            per_page=per_page,
            ahead=ahead,
            chance=chance,
            kill_after=kill_after,
            place=place,
        )
        delivered += result.keys
        place = result.places[-1]
        ends.append(result.end)
    assert delivered == keys
    assert ends[-1] in PROVEN


@many
@given(st.integers(1, 60), sizes, aheads, chances, st.integers(1, 12), changes)
def test_rows_that_move_between_a_kill_and_the_resume_are_neither_lost_nor_doubled(
    length: int,
    per_page: int,
    ahead: int,
    chance: random.Random,
    kill_after: int,
    change: tuple[str, float],
) -> None:
    rows = Rows.of(length)
    first = read(
        PagingServer(rows.keys),
        per_page=per_page,
        ahead=ahead,
        chance=chance,
        kill_after=kill_after,
    )
    rows.change(*change)
    second = read(
        PagingServer(rows.keys),
        per_page=per_page,
        ahead=ahead,
        chance=chance,
        place=first.places[-1],
    )
    delivered = first.keys + second.keys
    assert len(delivered) == len(set(delivered)), "a doubled key"
    assert second.proven
    assert rows.kept <= set(delivered)


@many
@example(27, 3, random.Random(0), {}, 1, PUSHED_UP)
@given(lengths, sizes, chances, plans, st.integers(1, 12), plans)
def test_rows_that_move_all_the_time_are_never_doubled_by_a_resume(
    length: int,
    per_page: int,
    chance: random.Random,
    plan: dict[int, tuple[str, float]],
    kill_after: int,
    later: dict[int, tuple[str, float]],
) -> None:
    rows = Rows.of(length)
    first = read(server_of(rows, plan), per_page=per_page, chance=chance, kill_after=kill_after)
    second = read(server_of(rows, later), per_page=per_page, chance=chance, place=first.places[-1])
    delivered = first.keys + second.keys
    assert len(delivered) == len(set(delivered)), "a doubled key"
    assert second.end in PROVEN | UNPROVEN
