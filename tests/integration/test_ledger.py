"""Real processes with one key and one ledger, and what the command says of them."""

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from kb4_async.protocol.credential import Secret
from kb4_async.protocol.quota import Quota
from kb4_async.protocol.sharing import Report
from kb4_async.runtime.ledger import Ledger
from kb4_async.testing import Account, Fault, Limit, Simulator, generate_account

COMPLETE, USAGE, QUOTA = 0, 2, 75

#: Without slow start, long pauses and the spreading of short windows, which have their own tests.
AT_ONCE = """
from kb4_async.protocol import backoff
from kb4_async.runtime import keystate, spacing
keystate.SLOW_START, spacing.SHORT_WINDOW, backoff.FIRST_PAUSE = 1e6, 0.0, 0.1
"""
COMMAND = f"{AT_ONCE}\nfrom kb4_async.cli import main; main()"
READER = f"""{AT_ONCE}
import asyncio, sys
from kb4_async import Limits, ReportingClient

async def main():
    address, ledger, size = sys.argv[1:]
    async with ReportingClient(
        base_url=address, ledger=ledger or None, limits=Limits.of("60/2s"), max_concurrency=8
    ) as kb:
        print(len(await kb.users.list(per_page=int(size)).collect()))

asyncio.run(main())
"""


async def start(script: str, *words: str, **environment: str) -> asyncio.subprocess.Process:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KB4_")}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "dev", "-W", "error", "-c", script, *words),
        env={**kept, "NO_COLOR": "1", "COLUMNS": "120", **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


# -- several processes -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def account() -> Account:
    """250 users are 50 pages of 5."""
    return generate_account(users=250, groups=0, enrollments=0)


async def reader(
    sim: Simulator, ledger: Path | str, per_page: int = 5
) -> asyncio.subprocess.Process:
    """A process that reads all users."""
    words = (sim.base_url, str(ledger), str(per_page))
    return await start(READER, *words, KB4_API_KEY=sim.api_key)


async def arrivals(sim: Simulator, count: int) -> None:
    """Wait until so many requests have arrived."""
    async with asyncio.timeout(30.0):
        while len(sim.log) < count:  # noqa: ASYNC110  # the log has no event
            await asyncio.sleep(0.01)


async def test_three_processes_keep_a_limit_together(account: Account, tmp_path: Path) -> None:
    limit = Limit(60, 2.0)
    async with Simulator(account, limits=[limit], latency=0.01, jitter=0.04) as sim:
        readers = [await reader(sim, tmp_path / "ledger") for _ in range(3)]
        for each in readers:
            assert await ended(each) == (0, "250\n", "")

    assert len(sim.log) > 150
    assert sim.requests(status=429) == []
    assert sim.log.worst_window(2.0) <= 60


async def test_without_the_ledger_they_would_not(account: Account) -> None:
    async with Simulator(account, limits=[Limit(60, 2.0)], latency=0.05) as sim:
        readers = [await reader(sim, "", per_page=1) for _ in range(3)]
        try:
            async with asyncio.timeout(30.0):
                while not sim.requests(status=429):  # noqa: ASYNC110  # the log has no event
                    await asyncio.sleep(0.01)
        finally:
            for each in readers:
                each.kill()
                await ended(each)


async def test_a_process_killed_and_started_again_breaks_no_limit(
    account: Account, tmp_path: Path
) -> None:
    async with Simulator(account, limits=[Limit(60, 2.0)], latency=0.01, jitter=0.04) as sim:
        readers = [await reader(sim, tmp_path / "ledger") for _ in range(3)]
        await arrivals(sim, 50)
        readers[0].kill()
        await ended(readers[0])
        readers[0] = await reader(sim, tmp_path / "ledger")
        for each in readers:
            assert await ended(each) == (0, "250\n", "")

    assert sim.requests(status=429) == []
    assert sim.log.worst_window(2.0) <= 60


# -- the command -------------------------------------------------------------------------------


@pytest.fixture
async def small() -> AsyncIterator[Simulator]:
    account = generate_account(users=40, groups=30, enrollments=30, training_campaigns=3)
    async with Simulator(account, latency=0.005) as sim:
        yield sim


@pytest.fixture
def env(small: Simulator, tmp_path: Path) -> dict[str, str]:
    return {
        "KB4_API_KEY": small.api_key,
        "KB4_BASE_URL": small.base_url,
        "KB4_LEDGER": str(tmp_path / "ledger.sqlite"),
    }


async def kb4(env: dict[str, str], *words: str) -> tuple[int | None, str, str]:
    return await ended(await start(COMMAND, *words, **env))


def contents(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir()}


async def test_a_spent_quota_is_75_and_what_was_written_before_is_kept(
    small: Simulator, env: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out"

    code, _, said = await kb4(env, "export", str(out), "--limits", "20/1d")

    assert code == QUOTA
    assert len(small.log) == 20
    assert (
        len(re.findall(r"^missing from .*: The daily quota of 20 requests", said, re.MULTILINE))
        == 1
    )
    (reset,) = set(re.findall(r"run again at (\S+) or later", said))
    manifest = json.loads((out / "manifest.json").read_bytes())
    assert manifest["complete"] is False
    gaps = [gap for entry in manifest["resources"].values() for gap in entry["gaps"]]
    spent = [gap for gap in gaps if gap["error"] == "QuotaExhaustedError"]
    assert all(reset in gap["message"] for gap in spent)
    # The tests were not asked for, so nobody knows whose recipients to ask for.
    (other,) = (gap for gap in gaps if gap not in spent)
    assert manifest["resources"]["recipients"]["gaps"] == [other]
    assert other["error"] == "ParentsIncomplete"
    for name, entry in manifest["resources"].items():
        assert len(entry["gaps"]) == (0 if entry["complete"] else 1)
        assert (out / f"{name}.jsonl").read_bytes().count(b"\n") == entry["rows"]
    assert manifest["resources"]["users"]["rows"] == 40
    assert (out / "members.jsonl").read_bytes() != b""  # some of the groups' members, not all

    before = contents(out)
    code, _, again = await kb4(env, "export", str(out), "--limits", "20/1d")

    assert (code, len(small.log)) == (QUOTA, 20)
    assert re.findall(r"run again at (\S+) or later", again) == [reset]
    assert again.count("\n") == 1
    assert contents(out) == before


async def test_published_limits_say_how_many_users_were_assumed(
    small: Simulator, env: dict[str, str], tmp_path: Path
) -> None:
    seats = small.account.account["number_of_seats"]

    words = ("export", str(tmp_path / "out"), "--resource", "groups", "--limits")
    _, _, asked = await kb4(env, *words, "published")
    code, _, told = await kb4(env, *words, "published:77", "--fresh")

    assert code == COMPLETE
    assert f"4/1s, 50/60s, {2000 + seats}/1d, assuming {seats} licensed users" in asked
    assert "number_of_seats" in asked
    assert "assuming" not in told


async def test_the_seats_are_asked_for_while_less_than_all_of_them_was_used(
    small: Simulator, env: dict[str, str]
) -> None:
    """An account of many seats has more left than the 2,000 that every account has."""
    small.account.account["number_of_seats"] = 5000
    loop = asyncio.get_running_loop()
    fingerprint = Secret(small.api_key).fingerprint
    with (
        closing(Ledger(Path(env["KB4_LEDGER"]))) as book,
        book.page(small.origin, fingerprint) as page,
    ):
        page.quota = Quota(used=2100, ends=time.time() + 3600.0)
        page.exchange(Report("before", 0), time.time(), loop.time())

    code, _, said = await kb4(env, "list", "groups", "--limits", "published")

    assert code == COMPLETE
    assert "7000/1d" in said


@pytest.mark.parametrize("limits", ["nonsense", "0/1s", "4/1s 50", "published:many"])
async def test_limits_that_are_none_are_2_in_one_sentence_before_any_request(
    limits: str, small: Simulator, env: dict[str, str], tmp_path: Path
) -> None:
    code, _, said = await kb4(env, "export", str(tmp_path / "out"), "--limits", limits)

    assert code == USAGE
    assert said.count("\n") == 1
    assert len(small.log) == 0
    assert not (tmp_path / "out").exists()
    assert contents(tmp_path) == {}  # and no ledger


async def test_a_limit_above_the_cap_is_lowered_with_a_warning(
    env: dict[str, str], tmp_path: Path
) -> None:
    words = ("export", str(tmp_path / "out"), "--resource", "groups")
    code, _, said = await kb4(env, *words, "--limits", "5000/60s")

    assert code == COMPLETE
    assert said.count("A limit of 5000/60s is above the cap of 1000/60s") == 1


async def test_an_unusable_ledger_is_told_and_the_export_goes_on_with_care(
    small: Simulator, env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    env["KB4_LEDGER"] = str(tmp_path / "file" / "ledger.sqlite")

    words = ("export", str(tmp_path / "out"), "--resource", "users", "--resource", "groups")
    code, _, said = await kb4(env, *words)

    assert code == COMPLETE
    assert said.count(env["KB4_LEDGER"]) == 1
    assert "50 a minute" in said
    assert small.log.worst_window(1.0) <= 4


async def test_doctor_shows_the_limits_the_day_and_the_ledger(
    small: Simulator, env: dict[str, str]
) -> None:
    small.faults.add(Fault.rate_limit())

    first = await kb4(env, "list", "groups")
    code, told, _ = await kb4(env, "doctor")
    off = await kb4({**env, "KB4_LEDGER": "off"}, "doctor")

    assert (first[0], code, off[0]) == (COMPLETE, COMPLETE, COMPLETE)
    checks = {line.split()[1]: line for line in told.splitlines()}
    assert "50 requests a minute, learned from a refusal at " in checks["limits"]
    assert f" {len(small.log) - 2} requests " in checks["used"]
    assert " ends at " in checks["used"]
    assert checks["ledger"].endswith(env["KB4_LEDGER"])
    assert "1,000 requests a minute, the cap" in off[1]
    assert re.search(r"^ok +ledger +off", off[1], re.MULTILINE)
