"""How far a dataset and its listings are: counted page by page, kept, and read back as it was."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pages import page

from kb4_async.export.units import (
    DERIVED,
    REUSED,
    Progress,
    Unit,
    is_token,
    pass_key,
    read_progress,
    scope_key,
)
from kb4_async.protocol import codec
from kb4_async.protocol.endpoints import MEMBERS
from kb4_async.protocol.token import Identity, Place, place_of, write_token

IDENTITY = Identity("users", {}, {}, 500)
PLACE = Place(number=4, size=500, rows=1500, edges=[(1, 1500)], edges_known=1)
TOKEN = write_token(IDENTITY, PLACE)

parents: st.SearchStrategy[int | str] = st.integers(0, 2**100) | st.text(max_size=8)
keys = st.sampled_from([pass_key(0), pass_key(1)]) | parents.map(
    lambda parent: scope_key({"group_id": parent})
)
#: What is written one after another: of which listing, and how many records.
writings = st.lists(st.tuples(keys, st.integers(0, 500)), max_size=20)
ends = st.sampled_from(["short_page", "empty_page", "count_met", "parent_deleted", DERIVED])


def written(each: list[tuple[str, int]]) -> Progress:
    progress = Progress("users")
    for key, rows in each:
        progress.wrote(progress.unit(key), page(b"[]", rows=rows))
    return progress


def kept(progress: Progress) -> Progress:
    """The same after it was kept and read again."""

    def stored(value: object) -> Any:
        return codec.decode(codec.encode(value))

    units = [(key, stored(unit.to_json())) for key, unit in progress.units.items()]
    return read_progress(progress.name, stored(progress.to_json()), units)


# -- keys -----------------------------------------------------------------------------------------


@given(st.dictionaries(st.text(max_size=8), parents, min_size=1, max_size=2))
def test_a_scope_is_told_by_its_key_and_no_pass_is_taken_for_one(scope: dict[str, Any]) -> None:
    unit = Unit(scope_key(scope))
    assert unit.of_parent
    assert unit.scope == scope
    assert scope_key(unit.scope) == unit.key


@pytest.mark.parametrize("key", [pass_key(0), pass_key(1), DERIVED, REUSED])
def test_a_datasets_own_listing_has_no_scope(key: str) -> None:
    assert not Unit(key).of_parent
    assert Unit(key).scope == {}


def test_a_unit_is_made_once() -> None:
    progress = Progress("users")
    assert progress.unit("0") is progress.unit("0")
    assert progress.unit("0") is not progress.unit("1")


# -- what was written -----------------------------------------------------------------------------


@given(writings)
def test_records_and_pages_are_counted_by_listing_and_in_all(each: list[tuple[str, int]]) -> None:
    progress = written(each)
    assert progress.rows == sum(rows for _, rows in each)
    assert progress.pages == len(each)
    for key, unit in progress.units.items():
        assert unit.rows == sum(rows for other, rows in each if other == key)
        assert unit.pages == sum(other == key for other, _ in each)
    assert progress.changed == {key for key, _ in each} == set(progress.units)


@given(writings)
def test_the_order_tells_whose_each_record_of_a_datasets_own_listings_is(
    each: list[tuple[str, int]],
) -> None:
    order = written(each).order
    own = [(key, rows) for key, rows in each if not key.startswith("{")]
    assert [key for key, rows in order for _ in range(rows)] == [
        key for key, rows in own for _ in range(rows)
    ]
    assert all(a[0] != b[0] for a, b in pairwise(order)), "no longer than needed"


def test_a_page_that_is_written_leaves_its_unit_open_behind_it() -> None:
    progress = Progress("members")
    unit = progress.unit(scope_key({"group_id": 7}))
    unit.end, unit.again, unit.token = "short_page", True, TOKEN
    each = page(b"[]", endpoint=MEMBERS, scope={"group_id": 7}, rows=3)
    progress.wrote(unit, each)
    assert unit.to_json() == {
        "rows": 3,
        "pages": 1,
        "end": None,
        "counted": None,
        "again": False,
        "token": each.next_token,
    }


def test_the_place_behind_a_page_is_written_as_a_token_once() -> None:
    unit = Unit("0", behind=(IDENTITY, PLACE))
    assert place_of(unit.to_json()["token"]) == PLACE
    unit.token = other = write_token(IDENTITY, PLACE._replace(number=9))
    assert unit.to_json()["token"] == other


@pytest.mark.parametrize(
    ("end", "again", "closed"),
    [
        (None, False, False),
        (None, True, False),
        ("short_page", True, False),
        (DERIVED, False, True),
    ],
)
def test_a_unit_is_closed_by_an_end_that_is_believed(
    end: str | None, again: bool, closed: bool
) -> None:
    assert Unit("0", end=end, again=again).closed == closed


def test_a_unit_goes_on_at_its_token_or_at_its_beginning() -> None:
    assert Unit("0").place() is None
    assert Unit("0", token=TOKEN).place() == PLACE
    assert Unit("0", token=TOKEN, again=True).place() is None


def test_beginning_anew_forgets_what_was_written_and_not_what_it_cost() -> None:
    progress = written([("0", 5), ("1", 7)])
    progress.positions, progress.origin = [{"rows": 12}, None], {"id": "x"}
    progress.requests, progress.repairs, progress.seconds = 9, 1, 2.5
    progress.begin_anew()
    assert progress == Progress(
        "users",
        positions=[None, None],
        requests=9,
        repairs=1,
        seconds=2.5,
        changed={"0", "1"},
    )
    assert progress.to_json()["order"] == []


# -- what is told of it ---------------------------------------------------------------------------


@pytest.mark.parametrize("marker", [DERIVED, REUSED])
def test_what_is_written_in_one_go_is_cut_off_until_its_marker_closes(marker: str) -> None:
    progress = written([("0", 5)])
    assert not progress.cut_off, "a listing that is open is gone on with"
    unit = progress.unit(marker)
    assert progress.cut_off
    unit.end, unit.again = marker, True
    assert progress.cut_off
    unit.again = False
    assert not progress.cut_off


def test_ends_are_counted_by_reason_without_markers() -> None:
    progress = Progress("members")
    for parent, end in enumerate(["short_page", DERIVED, "short_page", None]):
        progress.unit(scope_key({"group_id": parent})).end = end
    progress.unit(DERIVED).end = DERIVED
    assert progress.end_reasons == {"short_page": 2, DERIVED: 1}


@pytest.mark.parametrize(
    ("unit", "differs"),
    [
        (Unit("0", rows=3, end="short_page", counted=4), True),
        (Unit("0", rows=5, end="short_page", counted=4), True),
        (Unit("0", rows=4, end="short_page", counted=4), False),
        (Unit("0", rows=3, end="short_page"), False),
        (Unit("0", rows=3, end="short_page", counted=0), True),
        (Unit("0", rows=3, counted=4), False),
        (Unit("0", rows=3, end="short_page", counted=4, again=True), False),
    ],
)
def test_a_count_differs_only_from_a_listing_that_ended(unit: Unit, differs: bool) -> None:
    assert list(Progress("users", units={"0": unit}).differing()) == [unit] * differs


def test_what_was_carried_over_is_named_by_parent() -> None:
    progress = Progress("recipients")
    for parent, end in ((1, REUSED), (2, "short_page"), (3, REUSED)):
        unit = progress.unit(scope_key({"pst_id": parent}))
        unit.end, unit.rows = end, 10 * parent
    progress.unit(REUSED).end = REUSED
    assert progress.reused is None
    progress.origin = {"id": "earlier"}
    assert progress.reused == {
        "export": {"id": "earlier"},
        "rows": 40,
        "scopes": [{"pst_id": 1}, {"pst_id": 3}],
    }


# -- kept and read back ---------------------------------------------------------------------------


@settings(deadline=None)
@given(
    writings,
    st.dictionaries(keys, st.tuples(ends, st.none() | st.integers(0, 2**40), st.booleans())),
    st.lists(st.none() | st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5))),
    st.tuples(st.integers(0, 2**40), st.integers(0, 9), st.integers(0, 80).map(lambda n: n / 8)),
    st.none() | st.fixed_dictionaries({"rows": st.integers(0, 9)}),
)
def test_what_is_kept_is_read_back_as_it_was(
    each: list[tuple[str, int]],
    ended: dict[str, tuple[str, int | None, bool]],
    positions: list[Any],
    spent: tuple[int, int, float],
    report: dict[str, Any] | None,
) -> None:
    progress = written(each)
    progress.positions, progress.report, progress.origin = positions, report, report
    progress.requests, progress.repairs, progress.seconds = spent
    for key, (end, counted, again) in ended.items():
        unit = progress.unit(key)
        unit.end, unit.counted, unit.again = end, counted, again
    found = kept(progress)
    assert found.changed == set(), "nothing of it is to be committed"
    progress.changed = set()
    assert found == progress
    assert kept(found) == found


def test_what_is_written_goes_on_where_it_was_read_back() -> None:
    progress = kept(written([("0", 5), ("1", 7)]))
    progress.wrote(progress.unit("1"), page(b"[]", rows=2))
    assert progress.order == [("0", 5), ("1", 9)]
    assert (progress.rows, progress.pages, progress.changed) == (14, 3, {"1"})


@pytest.mark.parametrize("token", ["", "kb4.", "users", TOKEN[:-9], 7, ["kb4."]])
def test_a_token_that_cannot_be_gone_on_with_has_its_listing_read_again(token: Any) -> None:
    assert not is_token(token)
    units = [("0", {"rows": 5, "token": token}), ("1", {"rows": 7, "token": TOKEN})]
    progress = read_progress("users", Progress("users").to_json(), units)
    assert progress.units["0"].again
    assert progress.units["0"].place() is None
    assert not progress.units["1"].again
    assert progress.rows == 12, "what was written stays written"


def test_a_token_of_a_listing_that_ended_is_not_looked_at() -> None:
    unit = {"rows": 5, "end": "short_page", "token": "garbage"}
    progress = read_progress("users", Progress("users").to_json(), [("0", unit)])
    assert progress.units["0"].closed
    assert is_token(None)


@pytest.mark.parametrize(
    "changes",
    [{"positions": [7]}, {"positions": 7}, {"order": [5]}, {"later": 1}, {"units": {}}],
)
def test_what_nobody_here_kept_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        read_progress("users", {**Progress("users").to_json(), **changes}, [])
    with pytest.raises(TypeError):
        read_progress("users", Progress("users").to_json(), [("0", {"later": 1})])
