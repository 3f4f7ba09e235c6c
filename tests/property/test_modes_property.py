"""Whatever a server makes of page numbers and cursors: nothing twice, no end without a proof."""

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.paging_server import PROVEN, UNPROVEN, CursorServer, Reading, read

from kb4_async.options import Paging
from kb4_async.protocol.asks import Verify
from kb4_async.protocol.codec import Key
from kb4_async.protocol.habits import Habits
from kb4_async.protocol.reader import REFUSED

many = settings(deadline=None, max_examples=300)
sizes = st.integers(2, 7)
lengths = st.integers(0, 40)
aheads = st.sampled_from([1, 2, 16])
chances = st.integers(0, 2**32).map(random.Random)
pagings: st.SearchStrategy[Paging] = st.sampled_from(["auto", "auto", "number", "cursor"])
verifies: st.SearchStrategy[Verify] = st.sampled_from(["tail", "full", "none"])
statuses = st.sampled_from([0, 0, 0, *sorted(REFUSED), 403, 500])
#: What servers do, and what they should not.
manners = st.fixed_dictionaries(
    {
        "style": st.sampled_from(["key", "offset", "none"]),
        "shape": st.sampled_from(["envelope", "header", "link"]),
        "announce": st.booleans(),
        "ignore": st.booleans(),
        "clamp": st.booleans(),
        "cap": st.none() | st.integers(1, 5),
        "refuse_pages": statuses,
        "refuse_cursors": statuses,
    }
)


def check(result: Reading, keys: list[Key]) -> None:
    """What holds however a listing ends, if nothing moves."""
    assert result.end in PROVEN | UNPROVEN | {"lost"}
    assert result.keys == keys[: len(result.keys)], "in order, and nothing twice"
    if result.proven:
        assert result.keys == keys
    assert (result.error is None) == result.proven


def never_both(server: CursorServer) -> None:
    """No request names a page and a cursor."""
    assert all(("page" in query) != ("cursor" in query) for query in server.queries)


@many
@given(lengths, sizes, aheads, chances, manners, pagings, verifies, st.booleans(), st.booleans())
def test_every_end_is_proven_or_named_whatever_the_server_does(
    length: int,
    per_page: int,
    ahead: int,
    chance: random.Random,
    manner: dict[str, Any],
    paging: Paging,
    verify: Verify,
    text: bool,
    counted: bool,
) -> None:
    keys: list[Key] = [f"k{n:03}" if text else n for n in range(length)]
    server, users = CursorServer(keys, **manner), CursorServer([1, 2], style=manner["style"])
    habits = Habits()
    for _ in range(2):  # what was learned changes the requests, never the records
        result = read(
            server,
            per_page=per_page,
            ahead=ahead,
            chance=chance,
            paging=paging,
            verify=verify,
            count=length if counted else None,
            habits=habits,
            users=users,
            late=True,
            slow=True,
        )
        check(result, keys)
        never_both(server)
        if paging != "auto":
            named = {"number": "page", "cursor": "cursor"}[paging]
            assert all(named in query for query in server.queries)


@many
@given(lengths, sizes, chances, manners)
def test_a_server_of_which_one_way_works_is_read_whole(
    length: int, per_page: int, chance: random.Random, manner: dict[str, Any]
) -> None:
    keys: list[Key] = list(range(length))
    numbers = not (manner["ignore"] or manner["clamp"] or manner["refuse_pages"])
    cursors = manner["style"] != "none" and not manner["refuse_cursors"]
    if manner["announce"] and not cursors:
        return  # it leads astray
    server = CursorServer(keys, **manner)
    if {manner["refuse_pages"], manner["refuse_cursors"]} & {403, 500}:
        return  # what it says is no reason to try the other way
    result = read(
        server,
        per_page=per_page,
        chance=chance,
        paging="auto",
        users=CursorServer([1, 2], style=manner["style"]),
    )
    if numbers or cursors:
        assert result.proven
        assert result.keys == keys


@many
@given(
    lengths,
    sizes,
    chances,
    manners,
    manners,
    st.lists(st.integers(0, 5), max_size=3),
    st.booleans(),
)
def test_killed_or_failed_and_resumed_on_whatever_server_nothing_is_doubled(
    length: int,
    per_page: int,
    chance: random.Random,
    manner: dict[str, Any],
    later: dict[str, Any],
    kills: list[int],
    text: bool,
) -> None:
    keys: list[Key] = [f"k{n:03}" if text else n for n in range(length)]
    later = {**later, "cap": manner["cap"]}
    delivered: list[Key] = []
    place = None
    end = ""
    for kill_after, how in zip([*kills, None], [manner] * len(kills) + [later], strict=True):
        result = read(
            CursorServer(keys, **how),
            per_page=per_page,
            chance=chance,
            paging="auto",
            kill_after=kill_after,
            place=place,
            users=CursorServer([1, 2], style=how["style"]),
            slow=True,
        )
        delivered += result.keys
        place = result.places[-1] if result.places else place
        end = result.end
        assert len(delivered) == len(set(delivered)), "a doubled key"
    if end in PROVEN:
        assert sorted(delivered, key=keys.index) == keys
