"""``state.sqlite``: what was recorded is there whole after any death, and nothing else is."""

import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pages import page

from kb4_async.errors import ConfigurationError, SinkError
from kb4_async.export import checkpoint
from kb4_async.export.checkpoint import (
    FILE_NAME,
    SCHEMA_VERSION,
    Checkpoint,
    ForeignStateError,
    read_facts,
    read_state,
    state_path,
)
from kb4_async.export.units import Progress

FACTS: dict[str, Any] = {"account": {"name": "Example"}, "parameters": {"resources": ["users"]}}


def created(folder: Path) -> Checkpoint:
    state = Checkpoint(folder)
    state.create(FACTS)
    return state


def progress_of(rows: int, name: str = "users") -> Progress:
    progress = Progress(name, positions=[{"rows": rows}])
    progress.wrote(progress.unit("0"), page(b"[]", rows=rows))
    return progress


def run_sql(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(state_path(folder))) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def refuse(table: str, folder: Path) -> None:
    """Let the disk refuse one more row of a table."""
    run_sql(folder, f"CREATE TRIGGER t BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT,'x'); END")


# -- what is recorded is there --------------------------------------------------------------------


def test_a_new_state_says_what_it_is_of_and_holds_nothing_yet(tmp_path: Path) -> None:
    created(tmp_path).close()
    assert read_facts(tmp_path) == FACTS
    assert read_state(tmp_path) == {}
    assert stat.S_IMODE(state_path(tmp_path).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_a_new_state_takes_the_place_of_whatever_is_there(tmp_path: Path) -> None:
    state_path(tmp_path).write_bytes(b"garbage" * 900)
    (tmp_path / f"{FILE_NAME}-journal").write_bytes(b"of a run that was killed")
    state = created(tmp_path)
    state.record(progress_of(5), {})
    state.create({"account": {}, "parameters": {"resources": ["groups"]}})
    state.close()
    assert read_facts(tmp_path) == {"account": {}, "parameters": {"resources": ["groups"]}}
    assert read_state(tmp_path) == {}


def test_a_state_is_removed_with_what_sqlite_keeps_beside_it(tmp_path: Path) -> None:
    state = created(tmp_path)
    (tmp_path / f"{FILE_NAME}-journal").touch()
    for _ in range(2):
        state.remove()
        assert list(tmp_path.iterdir()) == []


def test_facts_are_replaced_one_by_one(tmp_path: Path) -> None:
    state = created(tmp_path)
    state.note({"runs": [1]})
    state.record(progress_of(5), {"runs": [1, 2], "sizes": {"users": 100}})
    state.close()
    assert read_facts(tmp_path) == {**FACTS, "runs": [1, 2], "sizes": {"users": 100}}


def test_only_what_changed_is_written(tmp_path: Path) -> None:
    state, progress = created(tmp_path), progress_of(5)
    progress.wrote(progress.unit("1"), page(b"[]", rows=7))
    state.record(progress, {})
    assert progress.changed == set()
    progress.units["0"].rows = 6
    progress.units["1"].rows = 8
    progress.changed.add("1")
    state.record(progress, {})
    state.close()
    found = read_state(tmp_path)["users"]
    assert (found.units["0"].rows, found.units["1"].rows) == (5, 8)


def test_a_dataset_that_is_begun_anew_leaves_the_others(tmp_path: Path) -> None:
    state, users, groups = created(tmp_path), progress_of(5), progress_of(3, "groups")
    state.record(users, {})
    state.record(groups, {})
    users.begin_anew()
    state.forget(users)
    state.close()
    found = read_state(tmp_path)
    assert found["users"] == Progress("users", positions=[None])
    assert found["groups"].rows == 3


def test_units_that_were_forgotten_do_not_come_back_with_what_is_recorded_next(
    tmp_path: Path,
) -> None:
    state, progress = created(tmp_path), progress_of(5)
    progress.begin_anew()
    assert progress.changed == {"0"}
    state.record(progress, {})
    state.close()
    assert read_state(tmp_path)["users"].units == {}


names = st.sampled_from(["users", "groups"])
#: A page of so many records is written, a dataset is recorded or begun anew, or the run dies.
steps = st.lists(
    st.tuples(st.just("write"), names, st.sampled_from("01"), st.integers(1, 500))
    | st.tuples(st.sampled_from(["record", "forget", "die"]), names),
    max_size=25,
)


@settings(deadline=None, max_examples=50)
@given(steps)
def test_whenever_a_run_dies_the_next_finds_what_was_recorded_last(
    tmp_path_factory: pytest.TempPathFactory, each: list[tuple[Any, ...]]
) -> None:
    state = created(tmp_path_factory.mktemp("state"))
    held: dict[str, Progress] = {}
    recorded: dict[str, Progress] = {}
    for step, name, *rest in [*each, ("die", "")]:
        if step == "die":
            state.close()  # which writes nothing
            state.resume()
            held = state.load()
            assert held == recorded
            continue
        progress = held.setdefault(name, Progress(name, positions=[None]))
        if step == "write":
            key, rows = rest
            progress.wrote(progress.unit(key), page(b"[]", rows=rows))
            continue
        if step == "record":
            state.record(progress, {})
        else:
            progress.begin_anew()
            state.forget(progress)
        recorded[name] = deepcopy(progress)
        recorded[name].changed.clear()
    state.close()


# -- what is not written leaves what was ----------------------------------------------------------


@pytest.mark.parametrize("table", ["export", "dataset", "unit"])
def test_what_cannot_be_written_whole_is_not_written_at_all(tmp_path: Path, table: str) -> None:
    state, progress = created(tmp_path), progress_of(5)
    state.record(progress, {"runs": 1})
    refuse(table, tmp_path)
    progress.wrote(progress.unit("0"), page(b"[]", rows=7))
    with pytest.raises(SinkError, match=r"cannot be written .*run the same command again"):
        state.record(progress, {"runs": 2})
    assert progress.changed == {"0"}, "it is still to be committed"
    assert read_facts(tmp_path) == {**FACTS, "runs": 1}
    assert read_state(tmp_path)["users"].rows == 5

    run_sql(tmp_path, "DROP TRIGGER t")
    state.record(progress, {"runs": 2})
    state.close()
    assert read_facts(tmp_path) == {**FACTS, "runs": 2}
    assert read_state(tmp_path)["users"].rows == 12


def test_a_dataset_that_cannot_be_begun_anew_is_as_it_was(tmp_path: Path) -> None:
    state, progress = created(tmp_path), progress_of(5)
    state.record(progress, {})
    refuse("dataset", tmp_path)
    progress.begin_anew()
    with pytest.raises(SinkError):
        state.forget(progress)
    state.close()
    assert read_state(tmp_path)["users"].rows == 5


@pytest.mark.parametrize(
    "call",
    [
        lambda state: state.record(progress_of(5), {}),
        lambda state: state.forget(progress_of(5)),
        lambda state: state.note({"runs": 1}),
        lambda state: state.load(),
    ],
    ids=["record", "forget", "note", "load"],
)
def test_a_state_that_is_closed_writes_and_reads_nothing(
    tmp_path: Path, call: Callable[[Checkpoint], object]
) -> None:
    state = created(tmp_path)
    state.close()
    state.close()
    with pytest.raises(SinkError, match="not open"):
        call(state)


def test_a_folder_that_is_gone_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"state\.sqlite cannot be written \(No such file"):
        Checkpoint(tmp_path / "gone").create(FACTS)


# -- whoever looks at it --------------------------------------------------------------------------


def test_no_state_and_one_that_was_never_written_are_none(tmp_path: Path) -> None:
    assert read_facts(tmp_path) is None
    state_path(tmp_path).touch()
    assert read_facts(tmp_path) is None
    assert read_facts(tmp_path / "gone") is None


@pytest.mark.parametrize("look", [read_facts, read_state, lambda p: Checkpoint(p).resume()])
@pytest.mark.parametrize(
    ("statement", "kind", "said"),
    [
        ("PRAGMA application_id = 7", ForeignStateError, "another program's file"),
        (f"PRAGMA user_version = {SCHEMA_VERSION + 1}", ConfigurationError, "of another version"),
        ("PRAGMA user_version = 0", ConfigurationError, "of another version"),
    ],
)
def test_a_state_that_is_not_of_this_version_is_refused_and_left_as_it_is(
    tmp_path: Path,
    look: Callable[[Path], object],
    statement: str,
    kind: type[ConfigurationError],
    said: str,
) -> None:
    created(tmp_path).close()
    run_sql(tmp_path, statement)
    before = state_path(tmp_path).read_bytes()
    with pytest.raises(kind, match=said) as caught:
        look(tmp_path)
    assert type(caught.value) is kind
    assert state_path(tmp_path).read_bytes() == before


def test_looking_for_a_state_makes_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read now"):
        read_state(tmp_path)
    with pytest.raises(SinkError):
        Checkpoint(tmp_path).resume()
    assert list(tmp_path.iterdir()) == []


def test_an_older_state_is_upgraded_step_by_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = created(tmp_path)
    state.record(progress_of(5), {})
    state.close()
    note = "INSERT INTO export VALUES ('{0}', '[{1}]')"
    upgrades = {SCHEMA_VERSION + n: note.format(f"step{n}", n) for n in (0, 1)}
    monkeypatch.setattr(checkpoint, "UPGRADES", upgrades)
    monkeypatch.setattr(checkpoint, "SCHEMA_VERSION", SCHEMA_VERSION + 2)
    for _ in range(2):
        assert read_facts(tmp_path) == {**FACTS, "step0": [0], "step1": [1]}
    assert read_state(tmp_path)["users"].rows == 5


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE export",
        "DELETE FROM export WHERE name = 'account'",
        "UPDATE export SET value = '[]' WHERE name = 'parameters'",
        "UPDATE export SET value = '{'",
    ],
)
def test_facts_that_nobody_here_wrote_cannot_be_gone_on_with(
    tmp_path: Path, statement: str
) -> None:
    created(tmp_path).close()
    run_sql(tmp_path, statement)
    with pytest.raises(ConfigurationError, match=r"cannot be read .* cannot be gone on with"):
        read_facts(tmp_path)


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE unit",
        "UPDATE unit SET value = '[]'",
        "UPDATE unit SET value = '{\"later\": 1}'",
        "UPDATE unit SET value = 'x'",
        "UPDATE dataset SET value = '{}'",
        "UPDATE dataset SET value = '7'",
    ],
)
def test_datasets_that_nobody_here_wrote_cannot_be_gone_on_with(
    tmp_path: Path, statement: str
) -> None:
    state = created(tmp_path)
    state.record(progress_of(5), {})
    run_sql(tmp_path, statement)
    for look in (state.load, lambda: read_state(tmp_path)):
        with pytest.raises(ConfigurationError, match=r"cannot be read .* cannot be gone on with"):
            look()
    state.close()


def test_a_state_that_somebody_holds_is_told_from_one_that_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    created(tmp_path).close()
    monkeypatch.setattr(checkpoint, "PATIENCE", 0.0)
    with closing(sqlite3.connect(state_path(tmp_path), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ConfigurationError, match=r"cannot be read now .*locked"):
            read_facts(tmp_path)
    assert read_facts(tmp_path) == FACTS
