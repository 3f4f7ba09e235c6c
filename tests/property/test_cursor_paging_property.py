"""However a server shows cursors and rows move: nothing twice, and no end without a proof."""

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.moving import Rows, chances, changes
from support.paging_server import PROVEN, UNPROVEN, CursorServer, Reading, read

from kb4_async.protocol.asks import Verify
from kb4_async.protocol.codec import Key
from kb4_async.protocol.habits import Habits

many = settings(deadline=None, max_examples=300)
sizes = st.integers(2, 7)
aheads = st.sampled_from([1, 2, 16])
lengths = st.integers(0, 50)
verifies: st.SearchStrategy[Verify] = st.sampled_from(["tail", "full", "none"])
plans = st.dictionaries(st.integers(0, 25), changes, max_size=5)
#: How a server shows cursors.
manners = st.fixed_dictionaries(
    {
        "style": st.sampled_from(["key", "offset"]),
        "shape": st.sampled_from(["envelope", "header", "link"]),
        "end": st.sampled_from([None, "", False]),
        "trailing": st.booleans(),
        "cap": st.none() | st.integers(1, 4),
    }
)
gaps = st.frozensets(st.integers(0, 50), max_size=6)


def people() -> CursorServer:
    """Two users, who prove that the server shows cursors where a listing has one row."""
    return CursorServer([1, 2])


def by_cursor(server: CursorServer, **options: Any) -> Reading:
    return read(server, **{"paging": "cursor", "users": people(), **options})


def check(result: Reading) -> None:
    """What holds however a listing ends."""
    assert result.end in PROVEN | UNPROVEN
    assert result.most_asked <= 1


@many
@given(lengths, sizes, aheads, chances, manners, gaps, verifies, st.booleans(), st.booleans())
def test_when_nothing_moves_every_record_comes_once_in_order_for_one_request_a_page(
    length: int,
    per_page: int,
    ahead: int,
    chance: random.Random,
    manner: dict[str, Any],
    empty: frozenset[int],
    verify: Verify,
    text: bool,
    counted: bool,
) -> None:
    keys: list[Key] = [f"k{n:03}" if text else n for n in range(length)]
    server = CursorServer(keys, gaps=empty, **manner)
    result = by_cursor(
        server,
        per_page=per_page,
        ahead=ahead,
        chance=chance,
        verify=verify,
        count=length if counted else None,
        late=True,
        slow=True,
    )
    check(result)
    assert result.keys == keys
    assert result.proven
    assert result.most_held <= ahead
    assert all("page" not in query for query in server.queries)
    size = min(per_page, manner["cap"] or per_page)
    pages = max(1, -(-length // size)) + sum(place <= length for place in empty)
    readings = 2 if verify == "full" and length else 1
    # One more where full pages all show a cursor, and one for the proof where none ever came.
    assert len(result.asks) <= readings * (pages + manner["trailing"]) + 1


@many
@given(
    lengths, sizes, chances, manners, st.lists(st.integers(0, 6), max_size=4), st.booleans(), gaps
)
def test_killed_and_resumed_any_number_of_times_nothing_is_lost_or_doubled(
    length: int,
    per_page: int,
    chance: random.Random,
    manner: dict[str, Any],
    kills: list[int],
    text: bool,
    empty: frozenset[int],
) -> None:
    keys: list[Key] = [f"k{n:03}" if text else n for n in range(length)]
    delivered: list[Key] = []
    place = None
    end = ""
    for kill_after in [*kills, None]:
        result = by_cursor(
            CursorServer(keys, gaps=empty, **manner),
            per_page=per_page,
            chance=chance,
            kill_after=kill_after,
            place=place,
            habits=Habits(),
            slow=True,
        )
        delivered += result.keys
        place, end = result.places[-1], result.end
    assert delivered == keys
    assert end in PROVEN


@many
@given(lengths, sizes, chances, manners, st.lists(st.integers(1, 60), max_size=4), st.booleans())
def test_cut_by_max_items_any_number_of_times_nothing_is_lost_or_doubled(
    length: int,
    per_page: int,
    chance: random.Random,
    manner: dict[str, Any],
    steps: list[int],
    text: bool,
) -> None:
    keys: list[Key] = [f"k{n:03}" if text else n for n in range(length)]
    delivered: list[Key] = []
    place = None
    for wanted in [*sorted(steps), None]:
        result = by_cursor(
            CursorServer(keys, **manner),
            per_page=per_page,
            chance=chance,
            max_items=wanted,
            place=place,
        )
        assert result.proven
        delivered += result.keys
        assert delivered == keys[:wanted]
        if result.keys:  # otherwise no page is handed out that a token could be of
            place = result.places[-2]


@many
@given(lengths, sizes, aheads, chances, manners, plans, verifies, st.none() | lengths)
def test_however_rows_move_nothing_is_doubled_and_cursors_of_keys_lose_nothing(
    length: int,
    per_page: int,
    ahead: int,
    chance: random.Random,
    manner: dict[str, Any],
    plan: dict[int, tuple[str, float]],
    verify: Verify,
    count: int | None,
) -> None:
    rows = Rows.of(length)

    def change() -> None:
        if len(server.asked) in plan:
            rows.change(*plan[len(server.asked)])

    server = CursorServer(rows.keys, change=change, **manner)
    result = by_cursor(
        server,
        per_page=per_page,
        ahead=ahead,
        chance=chance,
        verify=verify,
        count=count,
        recount=lambda: len(rows.keys),
        late=True,
        slow=True,
    )
    check(result)
    assert len(result.keys) == len(set(result.keys)), "a doubled key"
    if manner["style"] == "key":
        assert result.end != "never_quiet"
        if result.proven:
            assert rows.kept <= set(result.keys)


@many
@given(lengths, sizes, chances, manners, st.integers(1, 12), st.lists(changes, max_size=3))
def test_rows_that_move_between_a_kill_and_the_resume_are_neither_doubled_nor_lost(
    length: int,
    per_page: int,
    chance: random.Random,
    manner: dict[str, Any],
    kill_after: int,
    moves: list[tuple[str, float]],
) -> None:
    rows = Rows.of(length)
    first = by_cursor(
        CursorServer(rows.keys, **manner),
        per_page=per_page,
        chance=chance,
        kill_after=kill_after,
        slow=True,
    )
    for move in moves:
        rows.change(*move)
    second = by_cursor(
        CursorServer(rows.keys, **manner),
        per_page=per_page,
        chance=chance,
        place=first.places[-1],
        slow=True,
    )
    delivered = first.keys + second.keys
    assert len(delivered) == len(set(delivered)), "a doubled key"
    check(second)
    if second.proven and manner["style"] == "key" and first.end == "killed":
        assert rows.kept <= set(delivered)
