"""kill -9 at random moments: the result is that of an undisturbed export, and cheap."""

import json
import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest
from support.killing import Standing, contents, is_complete, kill_until_complete, run_child

from kb4_async import export_status
from kb4_async.testing import PagingRules, Simulator, delete_row, generate_account, insert_row

#: Answers take some milliseconds, so that kills meet requests in flight.
LATENCY = 0.003
ROOM: dict[str, Any] = {"users": 4_200, "groups": 14, "enrollments": 3_300}
#: Kills of each kind at least; more of them in the environment's KB4_KILLS.
KILLS = int(os.environ.get("KB4_KILLS", "10"))


def served(**rules: Any) -> Simulator:
    return Simulator(generate_account(**ROOM), latency=LATENCY, limits=(), **rules)


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    return found


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix != ".jsonl"}


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("options", "rules", "bounded"),
    [
        ({}, None, True),
        ({"members": "derived"}, None, True),
        ({"resources": ["members", "recipients", "derived_members"]}, None, True),
        # What is read a second time, or by cursor, cannot be told here from what was read before.
        ({"verify": "full"}, None, False),
        ({}, PagingRules(numbers="refused", cursors="envelope"), False),
    ],
    ids=["number", "derived", "children", "full", "cursor"],
)
async def test_killed_again_and_again(
    tmp_path: Path, options: dict[str, Any], rules: PagingRules | None, bounded: bool
) -> None:
    chance = random.Random(str(options))
    kills = 0
    async with served(**({} if rules is None else {"paging": rules})) as sim:
        code, log = await run_child(sim, tmp_path / "whole", options, None, chance)
        assert code == 0
        while kills < KILLS:
            folder = tmp_path / f"killed-{kills}"
            told = await kill_until_complete(sim, folder, options, chance)
            kills += told.kills
            assert contents(folder) == contents(tmp_path / "whole")
            assert told.forbidden == []
            assert not bounded or told.requests <= len(log) + told.allowed
            assert told.late or names(folder) == {"manifest.json"}
            check_manifest(manifest(folder), manifest(tmp_path / "whole"))


def check_manifest(found: dict[str, Any], whole: dict[str, Any]) -> None:
    assert found["complete"]
    assert found["runs"][-1]["finished"] is not None
    assert {run["finished"] for run in found["runs"][:-1]} <= {None}
    for name, entry in found["resources"].items():
        for what in ("rows", "end_reasons", "bytes", "gaps", "differences", "expected"):
            assert entry[what] == whole["resources"][name][what]


@pytest.mark.timeout(240)
async def test_killed_while_the_account_moves(tmp_path: Path) -> None:
    """Whatever was there throughout is there once, wherever rows come and go between the runs."""
    chance = random.Random(11)

    def between(sim: Simulator) -> None:
        for rows in ("users", "enrollments", "groups"):
            length = len(getattr(sim.account, rows))
            kind = chance.choice(["delete", "insert", "both", "none"])
            if kind in {"delete", "both"} and length > 5:
                delete_row(rows, chance.randrange(length))(sim.account)
            if kind in {"insert", "both"}:
                insert_row(rows, "end")(sim.account)

    async with served() as sim:
        before = {name: list(getattr(sim.account, name)) for name in ("users", "enrollments")}
        kills = 0
        while kills < KILLS:
            folder = tmp_path / str(kills)
            told = await kill_until_complete(sim, folder, {}, chance, between)
            kills += told.kills
            assert told.forbidden == [] or all("groups" in line for line in told.forbidden)
            for name, key in (("users", "id"), ("enrollments", "enrollment_id")):
                there = {row[key] for row in before[name]} & {
                    row[key] for row in getattr(sim.account, name)
                }
                found = [
                    json.loads(line)[key]
                    for line in (folder / f"{name}.jsonl").read_bytes().splitlines()
                ]
                assert there <= set(found)
                assert len(found) == len(set(found))
            before = {name: list(getattr(sim.account, name)) for name in before}


async def test_killed_in_its_last_steps(tmp_path: Path) -> None:
    """With the last request, or while it finishes: complete, or gone on with."""
    chance = random.Random(13)
    async with served() as sim:
        _, log = await run_child(sim, tmp_path / "whole", {}, None, chance)
        for kill in range(KILLS // 2):
            folder = tmp_path / str(kill)
            code, _ = await run_child(sim, folder, {}, len(log), chance, within=0.12)
            if not is_complete(folder):
                assert code == -signal.SIGKILL
                code, _ = await run_child(sim, folder, {}, None, chance)
                assert code == 0
            assert code == -signal.SIGKILL or names(folder) == {"manifest.json"}
            assert contents(folder) == contents(tmp_path / "whole")
            check_manifest(manifest(folder), manifest(tmp_path / "whole"))


async def test_status_tells_where_a_killed_export_stands(tmp_path: Path) -> None:
    chance = random.Random(3)
    async with served() as sim:
        await run_child(sim, tmp_path, {}, 60, chance)
        status = await export_status(tmp_path)
        standing = Standing.of(tmp_path)
        await run_child(sim, tmp_path, {}, None, chance)
        after = await export_status(tmp_path)

    assert (status.complete, status.running) == (False, False)
    assert len(status.runs) == 1
    assert status.runs[0].finished is None
    assert sum(each.ended for each in status.resources.values()) == len(standing.closed)
    assert status.rows > 0
    assert after.complete
    assert [run.finished is None for run in after.runs] == [True, False]
