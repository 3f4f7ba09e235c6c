"""What an export wrote, read back from its own lines: each record to the listing it came from."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb4_async.errors import SinkError
from kb4_async.export.recall import (
    Recollection,
    needed_units,
    page_of,
    read_lines,
    recall,
)
from kb4_async.export.units import Progress, Unit, pass_key, scope_key
from kb4_async.protocol import codec
from kb4_async.protocol.drift import EXACT_KEYS
from kb4_async.protocol.endpoints import (
    MAX_PER_PAGE,
    MEMBERS,
    PHISHING_CAMPAIGNS,
    STORE_PURCHASES,
    USERS,
    Endpoint,
)
from kb4_async.protocol.token import Identity, Place, write_token

FIRST, SECOND = pass_key(0), pass_key(1)
#: Which listing wrote how many records, one after another: as two passes and several runs do.
orders = st.lists(st.tuples(st.sampled_from([FIRST, SECOND]), st.integers(1, 1200)), max_size=5)
BEHIND = {"rows": 1500, "number": 4, "size": 500}


def token(**changes: object) -> str:
    place = Place(**{**BEHIND, "edges": [(1, 1500)], "edges_known": 1, **changes})  # type: ignore[arg-type]
    return write_token(Identity("users", {}, {}, 500), place)


def keys_of(progress: Progress) -> list[tuple[str, int]]:
    """The listing and the key of each record in the file; keys are its places."""
    owners = [key for key, rows in progress.order for _ in range(rows)]
    return [(owner, number) for number, owner in enumerate(owners)]


def write(path: Path, keys: list[tuple[str, int]]) -> Path:
    path.write_bytes(b"".join(b'{"campaign_id":%d}\n' % key for _, key in keys))
    return path


# -- pages of lines -------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_lines_become_a_page_of_the_same_bytes(end: bytes) -> None:
    lines = [b'{"id": 1}', b'{"id":2,"a":"\\n"}']
    page = page_of(USERS, [line + end for line in lines])
    assert page.json_lines() == b"".join(line + b"\n" for line in lines)
    assert b"\n" not in page.content.array, "nothing need be looked for within the records"
    assert [user["id"] for user in page.items] == [1, 2]
    assert (len(page), page.resource, page.attempts) == (2, "users", 0)


def test_a_page_of_children_completes_them_by_their_scope() -> None:
    page = page_of(MEMBERS, [b'{"id":1}', b'{"id":2,"group_id":9}'], scope={"group_id": 7})
    assert page.json_lines() == b'{"id":1,"group_id":7}\n{"id":2,"group_id":9}\n'


def test_no_lines_are_a_page_without_records() -> None:
    page = page_of(USERS, [])
    assert (len(page), page.items, page.json_lines()) == (0, [], b"")


@pytest.mark.parametrize("rows", [0, 1, MAX_PER_PAGE, MAX_PER_PAGE + 1, 2 * MAX_PER_PAGE])
def test_a_file_is_read_in_pages(tmp_path: Path, rows: int) -> None:
    lines = [b'{"id":%d}\n' % number for number in range(rows)]
    (tmp_path / "a").write_bytes(b"".join(lines))
    chunks = list(read_lines(tmp_path / "a"))
    assert [line for chunk in chunks for line in chunk] == lines
    assert [len(chunk) for chunk in chunks[:-1]] == [MAX_PER_PAGE] * (-(-rows // MAX_PER_PAGE) - 1)
    assert all(chunks)


def test_a_file_that_is_gone_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"users\.jsonl cannot be read .*--fresh"):
        next(read_lines(tmp_path / "users.jsonl"))


# -- which listing each record came from ----------------------------------------------------------


@given(orders)
def test_every_record_comes_back_once_with_the_listing_that_wrote_it(
    tmp_path_factory: pytest.TempPathFactory, each: list[tuple[str, int]]
) -> None:
    progress = Progress("phishing_campaigns")
    for key, rows in each:
        progress.extend(key, rows)
    written = keys_of(progress)
    path = write(tmp_path_factory.mktemp("recall") / "a.jsonl", written)
    found = []
    for page in recall(path, PHISHING_CAMPAIGNS, progress):
        key = pass_key(PHISHING_CAMPAIGNS.passes.index(dict(page.identity.query)))
        found += [(key, record["campaign_id"]) for record in page.items]
        assert 0 < len(page) <= MAX_PER_PAGE
    assert found == written


def test_records_of_many_parents_come_back_as_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "members.jsonl"
    path.write_bytes(b'{"id":1,"group_id":7}\n{"id":1,"group_id":8}\n')
    (page,) = recall(path, MEMBERS, Progress("members"))
    assert [bytes(record) for record in page.raw] == path.read_bytes().splitlines()
    assert (page.scope, len(page)) == ({}, 2)


# -- whose records have to be known ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "needed"),
    [
        (Unit(FIRST), False),
        (Unit(FIRST, rows=3, token=token()), True),
        (Unit(FIRST, rows=3, token=token(), end="short_page"), False),
        (Unit(FIRST, rows=EXACT_KEYS, token=token()), True),
        (Unit(FIRST, rows=EXACT_KEYS + 1, token=token()), False),
        (Unit(FIRST, rows=EXACT_KEYS + 1, token=token(edges_known=0)), True),
        (Unit(FIRST, rows=EXACT_KEYS + 1, token=token(blind=True)), True),
        (Unit(FIRST, rows=EXACT_KEYS + 1), True),
        (Unit(FIRST, rows=EXACT_KEYS + 1, token=token(), end="short_page", again=True), True),
    ],
)
def test_the_records_of_a_listing_are_needed_where_its_token_does_not_tell_them(
    unit: Unit, needed: bool
) -> None:
    assert needed_units(Progress("users", units={FIRST: unit}), USERS) == [unit] * needed


@pytest.mark.parametrize("end", [None, "short_page"])
def test_the_second_pass_leaves_out_what_the_first_wrote(end: str | None) -> None:
    first = Unit(FIRST, rows=EXACT_KEYS + 1, token=token(), end=end)
    second = Unit(SECOND, rows=EXACT_KEYS + 1, token=token(), end=end)
    units = {FIRST: first, SECOND: second}
    assert needed_units(Progress("phishing_campaigns", units=units), PHISHING_CAMPAIGNS) == [first]
    assert needed_units(Progress("users", units=units), USERS) == []


# -- their keys -----------------------------------------------------------------------------------


def recollected(
    endpoint: Endpoint, progress: Progress, path: Path, units: list[Unit]
) -> dict[str, tuple[set[codec.Key], int]]:
    recollection = Recollection(units, endpoint)
    for page in recall(path, endpoint, progress):
        recollection.add(page)
    return {key: (set(known.keys), known.rows) for key, known in recollection.known().items()}


@given(orders, st.sets(st.sampled_from([FIRST, SECOND])))
def test_each_pass_is_told_the_keys_it_wrote_and_no_others(
    tmp_path_factory: pytest.TempPathFactory, each: list[tuple[str, int]], wanted: set[str]
) -> None:
    progress = Progress("phishing_campaigns")
    for key, rows in each:
        progress.extend(key, rows)
        progress.unit(key).rows += rows
    written = keys_of(progress)
    path = write(tmp_path_factory.mktemp("recall") / "a.jsonl", written)
    units = [unit for unit in progress.units.values() if unit.key in wanted]
    assert recollected(PHISHING_CAMPAIGNS, progress, path, units) == {
        unit.key: ({number for key, number in written if key == unit.key}, unit.rows)
        for unit in units
    }


@given(st.lists(st.tuples(st.integers(0, 3) | st.sampled_from("ab"), st.integers(0, 30))))
def test_each_parent_is_told_the_keys_of_its_own_children(
    tmp_path_factory: pytest.TempPathFactory, children: list[tuple[int | str, int]]
) -> None:
    path = tmp_path_factory.mktemp("recall") / "members.jsonl"
    records = [{"id": key, "group_id": parent} for parent, key in children]
    path.write_bytes(b"".join(codec.encode(record) + b"\n" for record in records))
    progress = Progress("members")
    for parent, _ in children:
        progress.unit(scope_key({"group_id": parent})).rows += 1
    units = [unit for unit in progress.units.values() if unit.scope["group_id"] != 0]
    assert recollected(MEMBERS, progress, path, units) == {
        unit.key: ({key for parent, key in children if parent == unit.scope["group_id"]}, unit.rows)
        for unit in units
    }


def test_a_key_is_known_by_its_old_spelling_and_a_record_without_one_by_none(
    tmp_path: Path,
) -> None:
    path = tmp_path / "store_purchases.jsonl"
    path.write_bytes(
        b'{"store_purchased_id":1}\n{"store_purchase_id":"2"}\n{"name":"x"}\n'
        b'{"store_purchase_id":"b","store_purchased_id":4}\n'
    )
    unit = Unit(FIRST, rows=4)
    progress = Progress("store_purchases", units={FIRST: unit}, order=[(FIRST, 4)])
    found = recollected(STORE_PURCHASES, progress, path, [unit])
    assert found == {FIRST: ({1, 2, "b"}, 4)}
