"""The example that writes new hires, as a person runs it: in a process, against the simulator."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from kb4_async.testing import Account, Fault, Simulator, generate_account

ROOT = Path(__file__).parents[2]
HEADER = "Employee ID,Work Email,First Name,Job Title,Shoe Size\n"
HIRES = f"{HEADER}9001,ann@example.com,Ann,Chemist,38\n9002,bob@example.com,Bob,,44\n"


@pytest.fixture
def account() -> Account:
    return generate_account(users=60, groups=2)


async def run(sim: Simulator, file: Path, *options: str) -> tuple[int | None, str]:
    """Run the example; its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "examples.scim_new_hires", str(file), *options),
        cwd=ROOT,
        env={
            **{name: text for name, text in os.environ.items() if not name.startswith("KB4_")},
            "KB4_TENANT_URL": sim.tenant_url,
            "KB4_SCIM_TOKEN": sim.scim_token,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode, out.decode()


def written(sim: Simulator) -> int:
    return len([entry for entry in sim.log if entry.method != "GET"])


async def test_plans_applies_and_has_nothing_left_to_do(sim: Simulator, tmp_path: Path) -> None:
    file = tmp_path / "hr.csv"
    file.write_text(HIRES, encoding="utf-8")

    code, said = await run(sim, file)
    assert (code, written(sim)) == (6, 0), said
    assert "create_user ann@example.com" in said
    assert "columns not used: Shoe Size" in said

    code, said = await run(sim, file, "--apply")
    assert (code, written(sim)) == (0, 2), said
    assert said.splitlines()[-1] == "2 created"
    hires = {user["email"]: user for user in sim.account.users if user["email"] is not None}
    assert hires["ann@example.com"]["job_title"] == "Chemist"

    sim.log.clear()
    for options in ((), ("--apply",)):
        code, said = await run(sim, file, *options)
        assert (code, written(sim)) == (0, 0), said


async def test_says_what_was_left_out_and_writes_the_rest(sim: Simulator, tmp_path: Path) -> None:
    file = tmp_path / "hr.csv"
    file.write_text(f"{HIRES}9003,carol at x,Carol,,\n", encoding="utf-8")

    code, said = await run(sim, file, "--apply")

    assert (code, written(sim)) == (3, 2), said
    assert "left out: line 4 (carol at x)" in said


async def test_writes_nothing_that_the_guard_refuses(sim: Simulator, tmp_path: Path) -> None:
    file = tmp_path / "hr.csv"
    rows = [f"{number},new.{number}@example.com,New,," for number in range(101)]
    file.write_text(HEADER + "\n".join(rows), encoding="utf-8")

    code, said = await run(sim, file, "--apply")

    assert (code, written(sim)) == (5, 0), said
    assert "refused: users to create or reactivate: 101, and 100 are allowed" in said


async def test_says_where_it_stopped(sim: Simulator, tmp_path: Path) -> None:
    file = tmp_path / "hr.csv"
    file.write_text(HIRES, encoding="utf-8")
    sim.faults.add(Fault.status(403), path="scim/v2/Users", method="POST", times=None)

    code, said = await run(sim, file, "--apply")

    assert code == 3, said
    assert "stopped after " in said
    assert "failed ann@example.com" in said
