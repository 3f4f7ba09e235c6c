"""Exports that go on: over days of quota, from what is on disk, refused where that is another's."""

import asyncio
import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from support.killing import contents
from support.options import QUICK

from kb4_async import (
    CheckpointMismatchError,
    ConfigurationError,
    Event,
    ExportProgress,
    ExportReport,
    ExportWaiting,
    Limits,
    QuotaExhaustedError,
    ReportingClient,
    SinkError,
    export_account,
    export_status,
    plan_export,
)
from kb4_async.export import checkpoint, runner
from kb4_async.protocol.pricing import quota_days
from kb4_async.protocol.quota import Quota
from kb4_async.runtime import keystate
from kb4_async.sinks import JsonLinesSink
from kb4_async.testing import Account, Fault, Simulator, delete_row, generate_account

SMALL: dict[str, Any] = {"users": 1_150, "groups": 12, "enrollments": 1_300}


async def export(sim: Simulator, folder: Path, limits: str = "", **options: Any) -> ExportReport:
    held = Limits.of(*limits.split())
    async with ReportingClient(sim.api_key, base_url=sim.base_url, retry=QUICK, limits=held) as kb:
        return await export_account(kb, folder, **options)


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    return found


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def interrupted(sim: Simulator, folder: Path, after: int, **options: Any) -> None:
    """Export, and cancel it after so many pages."""
    seen = 0
    task: asyncio.Task[ExportReport] | None = None

    def count(event: Event) -> None:
        nonlocal seen
        seen += isinstance(event, ExportProgress)
        if seen == after and task is not None:
            task.cancel()

    work = export(sim, folder, on_event=count, **options)
    task = asyncio.get_running_loop().create_task(work, name="the export")
    with suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()


CHILDREN = {"members", "recipients"}


def kept_probes(listings: list[int]) -> list[int]:
    """How many probes each listing keeps while its end is looked for, most first."""
    return sorted((-(-rows // 500)).bit_length() for rows in listings)[::-1]


def begin_day() -> None:
    """Give every key another day's quota, as if its day had passed."""
    for state in keystate.registry.values():
        state.quota = Quota()


@pytest.mark.timeout(180)  # a dozen exports each
class TestQuota:
    @pytest.mark.parametrize(
        "account",
        [
            {"users": 8_200, "groups": 40, "enrollments": 13_300},
            {"users": 1_200, "groups": 150, "enrollments": 3_000},
        ],
        ids=["long listings", "many groups"],
    )
    async def test_a_tenth_of_what_is_needed_a_day(
        self, account: dict[str, Any], tmp_path: Path
    ) -> None:
        """Each new day is a key of which nothing is known any more."""
        async with Simulator(generate_account(**account), limits=()) as sim:
            await export(sim, tmp_path / "whole")
            quota = -(-manifest(tmp_path / "whole")["totals"]["requests"] // 10)
            limit = f"{quota}/1d"
            async with ReportingClient(sim.api_key, base_url=sim.base_url) as kb:
                plan = await plan_export(kb)
            listings = [e.rows or 0 for n, e in plan.resources.items() if n not in CHILDREN]
            days = quota_days(plan.requests, quota, kept_probes(listings))
            runs = 0
            complete = False
            while not complete:
                begin_day()
                sim.log.clear()
                report = await export(sim, tmp_path / "days", limit)
                complete, runs = report.complete, runs + 1
                assert len(sim.log) <= quota
                assert complete == (report.resume_at is None)
                assert runs <= days

        assert contents(tmp_path / "days") == contents(tmp_path / "whole")
        assert len(manifest(tmp_path / "days")["runs"]) == runs

    async def test_waiting_sleeps_through_it(
        self, sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)
            begin_day()

        monkeypatch.setattr(runner, "sleep", sleep)
        told: list[Event] = []
        report = await export(sim, tmp_path, "30/1d", wait=True, on_event=told.append)

        assert report.complete
        waits = [event for event in told if isinstance(event, ExportWaiting)]
        assert len(waits) == len(slept) == len(report.runs) - 1
        assert all(86_000 < seconds <= 86_401 for seconds in slept)

    async def test_a_quota_that_lets_nothing_through_is_not_waited_for(
        self, sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def sleep(seconds: float) -> None:
            begin_day()

        monkeypatch.setattr(runner, "sleep", sleep)
        report = await export(sim, tmp_path, "1/1d", wait=True)

        assert not report.complete
        assert report.resume_at is not None

    async def test_spent_before_the_first_answer_it_touches_nothing(
        self, sim: Simulator, tmp_path: Path
    ) -> None:
        await export(sim, tmp_path / "other", "1/1d")
        with pytest.raises(QuotaExhaustedError):
            await export(sim, tmp_path / "out", "1/1d")
        assert not (tmp_path / "out").exists()

    async def test_a_second_reading_longer_than_a_day(self, tmp_path: Path) -> None:
        """Rows that moved on the first day are looked for on those that follow, page by page."""
        account = generate_account(users=8_000, groups=0, enrollments=0)
        options: dict[str, Any] = {"resources": ["users"]}
        async with Simulator(account, limits=()) as sim:
            report = await export(sim, tmp_path, "12/1d", **options)
            delete_row("users", 3)(account)
            for _ in range(7):
                begin_day()
                report = await export(sim, tmp_path, "12/1d", **options)
                if report.complete:
                    break

        assert report.complete
        ids = [json.loads(line)["id"] for line in read(tmp_path, "users")]
        assert len(ids) == len(set(ids))
        assert {user["id"] for user in account.users} <= set(ids)


class TestReuse:
    """What cannot have changed since an earlier export costs no request."""

    @staticmethod
    def closed() -> Account:
        account = generate_account(
            users=300, groups=3, enrollments=40, tests_a_campaign=2, recipients_a_test=120
        )
        for test in list(account.security_tests):
            account.security_tests.update(test["pst_id"], status="Closed")
        return account

    async def test_closed_tests_are_carried_over(self, tmp_path: Path) -> None:
        account = self.closed()
        async with Simulator(account, limits=()) as sim:
            await export(sim, tmp_path / "first")
            changed = list(account.security_tests)[1]["pst_id"]
            account.security_tests.update(changed, reported_count=77)
            sim.log.clear()
            report = await export(sim, tmp_path / "second", reuse=tmp_path / "first")
            asked = {entry.path for entry in sim.requests("*/recipients")}
            keep_asking = {
                f"phishing/security_tests/{test['pst_id']}/recipients"
                for test in (*account.security_tests, *account.callback_security_tests)
                if test["pst_id"] == changed or test["status"] != "Closed"
            }

        assert report.complete
        assert asked <= keep_asking
        assert f"phishing/security_tests/{changed}/recipients" in asked
        assert (
            contents(tmp_path / "second")["recipients"]
            == (contents(tmp_path / "first")["recipients"])
        )
        entry = manifest(tmp_path / "second")["resources"]["recipients"]
        assert entry["reused"]["export"]["id"] == manifest(tmp_path / "first")["id"]
        assert {"pst_id": changed} not in entry["reused"]["scopes"]
        assert entry["end_reasons"]["reused"] == len(entry["reused"]["scopes"])

    async def test_the_plan_prices_it(self, tmp_path: Path) -> None:
        async with Simulator(self.closed(), limits=()) as sim:
            await export(sim, tmp_path / "first")
            async with ReportingClient(sim.api_key, base_url=sim.base_url) as kb:
                plain = await plan_export(kb)
                plan = await plan_export(kb, reuse=tmp_path / "first")
            sim.log.clear()
            await export(sim, tmp_path / "second", reuse=tmp_path / "first")

        assert plan.requests < plain.requests
        assert plan.requests == len(sim.log)
        assert "carried over" in plan.resources["recipients"].basis

    async def test_the_destination_itself_is_refused(self, tmp_path: Path) -> None:
        async with Simulator(self.closed(), limits=()) as sim:
            await export(sim, tmp_path / "out")
            (tmp_path / "link").symlink_to(tmp_path / "out")
            before = contents(tmp_path / "out")
            for name in ("out", "link", "out/../out"):
                with pytest.raises(ConfigurationError, match="the destination itself"):
                    await export(sim, tmp_path / "out", fresh=True, reuse=tmp_path / name)
        assert contents(tmp_path / "out") == before

    async def test_what_changes_while_it_is_reused_is_not_believed(self, tmp_path: Path) -> None:
        account = self.closed()
        async with Simulator(account, limits=()) as sim:
            await export(sim, tmp_path / "first")

            def cut(event: Event) -> None:
                if isinstance(event, ExportProgress) and event.resource == "account":
                    (tmp_path / "first" / "recipients.jsonl").write_bytes(b"")

            options: dict[str, Any] = {"reuse": tmp_path / "first"}
            report = await export(sim, tmp_path / "out", on_event=cut, **options)
            assert report.resources["recipients"].gaps[0].error == "SinkError"
            with pytest.raises(ConfigurationError, match="is not what its manifest says"):
                await export(sim, tmp_path / "out", **options)
            assert (await export(sim, tmp_path / "out")).complete
        assert sum(contents(tmp_path / "out")["recipients"].values()) == report_rows(account)

    @pytest.mark.parametrize(
        ("spoil", "said"),
        [
            (shutil.rmtree, "holds no export"),
            (lambda folder: edit(folder, b'"complete": true', b'"complete": false'), "complete"),
            (lambda folder: edit(folder, b"Example, Inc", b"Other, Inc"), "its name is 'Other"),
        ],
    )
    async def test_what_cannot_be_reused_is_told_before_anything_is_touched(
        self, tmp_path: Path, spoil: Callable[[Path], object], said: str
    ) -> None:
        async with Simulator(self.closed(), limits=()) as sim:
            await export(sim, tmp_path / "first")
            spoil(tmp_path / "first")
            with pytest.raises(ConfigurationError, match=said):
                await export(sim, tmp_path / "out", reuse=tmp_path / "first")
        assert not (tmp_path / "out").exists()


def report_rows(account: Account) -> int:
    return sum(len(each) for each in account.recipients.values())


def edit(folder: Path, old: bytes, new: bytes) -> None:
    path = folder / "manifest.json"
    path.write_bytes(path.read_bytes().replace(old, new))


def read(folder: Path, name: str) -> list[bytes]:
    return (folder / f"{name}.jsonl").read_bytes().splitlines()


class TestGoingOn:
    @pytest.mark.parametrize("after", [1, 4, 9, 15, 22])
    async def test_after_a_cancellation(self, account: Account, tmp_path: Path, after: int) -> None:
        async with Simulator(account, latency=0.002, limits=()) as sim:
            await export(sim, tmp_path / "whole")
            await interrupted(sim, tmp_path / "parts", after)
            stopped = await export_status(tmp_path / "parts")
            sim.log.clear()
            report = await export(sim, tmp_path / "parts")

        assert report.complete
        assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
        assert len(sim.log) < manifest(tmp_path / "whole")["totals"]["requests"] + 2
        assert stopped.runs[0].finished is not None
        assert not (tmp_path / "parts" / "state.sqlite").exists()

    async def test_only_what_is_unproven_is_asked_again(
        self, sim: Simulator, account: Account, tmp_path: Path
    ) -> None:
        banned = next(g["id"] for g in account.groups if g["member_count"])
        rule = sim.faults.add(Fault.status(403), path=f"groups/{banned}/members", times=None)
        first = await export(sim, tmp_path)
        assert [gap.scope for gap in first.resources["members"].gaps] == [{"group_id": banned}]
        sim.faults.rules.remove(rule)
        sim.log.clear()
        again = await export(sim, tmp_path)

        assert again.complete
        assert {entry.path for entry in sim.log} == {"account", f"groups/{banned}/members"}
        assert again.requests == first.requests + len(sim.log)

    async def test_a_group_deleted_meanwhile_is_no_gap(self, tmp_path: Path) -> None:
        account = generate_account(**SMALL)
        gone = next(g["id"] for g in account.groups if g["member_count"])
        async with Simulator(account) as sim:
            sim.faults.add(Fault.status(403), path="groups/*/members", times=None)
            await export(sim, tmp_path)
            sim.faults.clear()
            place = [group["id"] for group in account.groups].index(gone)
            delete_row("groups", place)(account)
            report = await export(sim, tmp_path)

        assert report.complete
        assert report.resources["members"].end_reasons["parent_deleted"] == 1

    async def test_a_group_that_hid_members_is_read_again(self, tmp_path: Path) -> None:
        account = generate_account(users=50, groups=4, enrollments=0)
        liar = next(g for g in account.groups if g["member_count"] > 2)
        async with Simulator(account) as sim:
            every = [dict(member) for member in account.members[liar["id"]]]
            hidden = json.dumps(every[1:]).encode()
            path = f"groups/{liar['id']}/members"
            rule = sim.faults.add(Fault.status(200, body=hidden), path=path, page=1, times=None)
            first = await export(sim, tmp_path)
            sim.faults.rules.remove(rule)
            sim.log.clear()
            again = await export(sim, tmp_path)
            asked = {entry.path for entry in sim.log}

        assert first.resources["members"].gaps[0].error == "CountMismatch"
        assert again.complete
        assert asked == {"account", path}
        ids = [json.loads(line)["id"] for line in lines_of(tmp_path, "members", liar["id"])]
        assert sorted(ids) == sorted(member["id"] for member in every)

    async def test_a_sink_of_ones_own_goes_on_at_its_position(
        self, account: Account, tmp_path: Path
    ) -> None:
        (tmp_path / "there").mkdir()
        options: dict[str, Any] = {"sink": lambda: JsonLinesSink(tmp_path / "there")}
        async with Simulator(account, latency=0.002, limits=()) as sim:
            await export(sim, tmp_path / "whole")
            await interrupted(sim, tmp_path / "here", 12, **options)
            assert (tmp_path / "here" / ".spool").is_dir()
            report = await export(sim, tmp_path / "here", **options)

        assert report.complete
        assert contents(tmp_path / "there") == contents(tmp_path / "whole")
        assert names(tmp_path / "here") == {"manifest.json"}

    async def test_fresh_starts_over(self, account: Account, tmp_path: Path) -> None:
        async with Simulator(account, latency=0.002, limits=()) as sim:
            await interrupted(sim, tmp_path, 12)
            sim.log.clear()
            report = await export(sim, tmp_path, fresh=True, resources=["users", "groups"])

        assert report.complete
        assert len(sim.requests("users")) == 5
        assert names(tmp_path) == {"users.jsonl", "groups.jsonl", "manifest.json"}


def lines_of(folder: Path, name: str, group: int) -> list[bytes]:
    lines = (folder / f"{name}.jsonl").read_bytes().splitlines()
    return [line for line in lines if json.loads(line)["group_id"] == group]


class TestRefused:
    @pytest.fixture(autouse=True)
    async def export_that_stopped(self, account: Account, tmp_path: Path) -> Any:
        self.folder = tmp_path / "out"
        async with Simulator(account, latency=0.002, limits=()) as sim:
            self.sim = sim
            await interrupted(sim, self.folder, 12)
            self.before = {p.name: p.read_bytes() for p in self.folder.iterdir()}
            sim.log.clear()
            yield

    def check_untouched(self) -> None:
        assert {p.name: p.read_bytes() for p in self.folder.iterdir()} == self.before

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"resources": ["users"]}, "whose resources is account users .*, here it is users"),
            ({"members": "derived"}, "whose members is 'fetched', here it is 'derived'"),
            ({"verify": "none"}, "whose verify is 'tail', here it is 'none'"),
        ],
    )
    async def test_another_choice_is_named(self, options: dict[str, Any], said: str) -> None:
        with pytest.raises(CheckpointMismatchError, match=said):
            await export(self.sim, self.folder, **options)
        self.check_untouched()
        assert len(self.sim.log) == 0

    async def test_another_account(self) -> None:
        path = self.folder / "state.sqlite"
        run_sql(path, "UPDATE export SET value = replace(value, 'Example, Inc', 'Other')")
        before = path.read_bytes()

        with pytest.raises(ConfigurationError, match="another account: its name is 'Other'"):
            await export(self.sim, self.folder)
        assert path.read_bytes() == before
        assert {entry.path for entry in self.sim.log} == {"account"}

    @pytest.mark.parametrize(
        ("spoil", "said"),
        [
            (lambda p: p.unlink(), "but not its state.sqlite"),
            (lambda p: p.write_bytes(b"x" * 5000), "cannot be read"),
            (lambda p: p.write_bytes(p.read_bytes()[:3000]), "cannot be read|is not a state"),
            (lambda p: run_sql(p, "PRAGMA user_version = 9"), "another version .9."),
            (lambda p: run_sql(p, "DROP TABLE export"), "cannot be read"),
        ],
        ids=["deleted", "garbage", "cut", "newer", "without a table"],
    )
    async def test_a_state_that_cannot_be_gone_on_with(
        self, spoil: Callable[[Path], object], said: str
    ) -> None:
        spoil(self.folder / "state.sqlite")
        with pytest.raises(ConfigurationError, match=said) as caught:
            await export(self.sim, self.folder)
        assert "fresh" in str(caught.value)
        assert len(self.sim.log) == 0

        assert (await export(self.sim, self.folder, fresh=True)).complete

    async def test_another_programs_file_is_never_replaced(self) -> None:
        path = self.folder / "state.sqlite"
        run_sql(path, "PRAGMA application_id = 7")
        before = path.read_bytes()
        for fresh in (False, True):
            with pytest.raises(ConfigurationError, match="another program's file"):
                await export(self.sim, self.folder, fresh=fresh)
        assert path.read_bytes() == before

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE export SET value = '[1]' WHERE name = 'runs'",
            "UPDATE export SET value = '7' WHERE name = 'sizes'",
            "DELETE FROM export WHERE name = 'started'",
            "UPDATE dataset SET value = '{}' WHERE name = 'account'",
            "UPDATE export SET value = '[]' WHERE name = 'account'",
        ],
    )
    async def test_a_state_edited_by_hand_is_one_sentence(self, statement: str) -> None:
        run_sql(self.folder / "state.sqlite", statement)
        with pytest.raises(ConfigurationError, match=r"state\.sqlite cannot be read"):
            await export(self.sim, self.folder)
        assert (await export(self.sim, self.folder, fresh=True)).complete

    async def test_units_that_were_emptied_by_hand_are_noticed(self) -> None:
        run_sql(self.folder / "state.sqlite", "UPDATE unit SET value = '{}'")
        report = await export(self.sim, self.folder)
        assert not report.complete
        messages = [gap.message for each in report.resources.values() for gap in each.gaps]
        assert any("contradicts itself" in message for message in messages)

    async def test_a_manifest_that_is_garbage_hinders_nobody(self) -> None:
        (self.folder / "manifest.json").write_bytes(b"garbage")
        assert (await export(self.sim, self.folder)).complete

    async def test_another_server_is_refused_though_no_account_was_seen(
        self, account: Account
    ) -> None:
        path = self.folder / "state.sqlite"
        other = '{"name":null,"domains":null,"origin":"http://127.0.0.1:1"}'
        run_sql(path, "UPDATE export SET value = ? WHERE name = 'account'", other)
        with pytest.raises(ConfigurationError, match=r"its origin is 'http://127\.0\.0\.1:1'"):
            await export(self.sim, self.folder)

    async def test_a_file_that_was_changed_is_not_added_to(self) -> None:
        path = self.folder / "account.jsonl"
        path.write_bytes(path.read_bytes().replace(b"Example", b"Elpmaxe"))
        report = await export(self.sim, self.folder)

        assert not report.complete
        assert "is not what the checkpoint says" in report.resources["account"].gaps[0].message

    async def test_an_older_state_is_upgraded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(checkpoint, "SCHEMA_VERSION", 2)
        monkeypatch.setattr(checkpoint, "UPGRADES", {1: "CREATE TABLE more (name TEXT)"})
        assert (await export(self.sim, self.folder)).complete


def run_sql(path: Path, text: str, *values: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(text, values)
        connection.commit()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    made = mount and subprocess.run(  # noqa: S603
        [mount, "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    if not made or made.returncode:
        pytest.skip("this user may not mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S603, S607


def enlarge(disk: Path) -> None:
    command = [shutil.which("mount") or "mount", "-o", "remount,size=64m", str(disk)]
    subprocess.run(command, check=True)  # noqa: S603


class TestDisk:
    @pytest.mark.parametrize("filled", [0, 300_000, 900_000, 1_500_000, 1_900_000])
    async def test_full_at_some_moment_then_with_room_again(
        self, account: Account, small_disk: Path, tmp_path: Path, filled: int
    ) -> None:
        stone = small_disk / "stone"
        stone.write_bytes(b"x" * filled)
        folder = small_disk / "out"
        async with Simulator(account, limits=()) as sim:
            await export(sim, tmp_path / "whole")
            with suppress(SinkError, ConfigurationError):
                report = await export(sim, folder)
                assert not report.complete
                messages = [g.message for r in report.resources.values() for g in r.gaps]
                assert any("No space left" in m or "full" in m for m in messages)
            stone.unlink(missing_ok=True)
            enlarge(small_disk)
            report = await export(sim, folder)

        assert report.complete
        assert contents(folder) == contents(tmp_path / "whole")

    async def test_a_destination_that_vanished(self, sim: Simulator, tmp_path: Path) -> None:
        def remove(event: Event) -> None:
            if isinstance(event, ExportProgress) and event.resource == "users":
                shutil.rmtree(tmp_path / "out", ignore_errors=True)

        with pytest.raises(SinkError, match="was removed or replaced while it was written"):
            await export(sim, tmp_path / "out", on_event=remove)
        assert not (tmp_path / "out").exists()
