"""``export_account`` over sockets: every record exactly as served, every gap named."""

import asyncio
import errno
import json
import stat
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from kb4_async import (
    AuthenticationError,
    ConfigurationError,
    Event,
    ExportProgress,
    ExportReport,
    ReportingClient,
    Retry,
    export_account,
)
from kb4_async.sinks import Dataset, JsonLinesSink, Position
from kb4_async.testing import Account, Fault, Simulator, generate_account

QUICK = Retry(base=0.002, ceiling=0.01)
KEYS = {
    "users": "id",
    "groups": "id",
    "enrollments": "enrollment_id",
    "training_campaigns": "campaign_id",
    "phishing_campaigns": "campaign_id",
    "security_tests": "pst_id",
    "store_purchases": "store_purchase_id",
    "policies": "policy_id",
}


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    text = (folder / f"{name}.jsonl").read_bytes()
    assert not text or text.endswith(b"\n")
    return [json.loads(line) for line in text.split(b"\n")[:-1]]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    return found


def keys(records: Iterable[Any], key: str) -> list[Any]:
    return sorted(record[key] for record in records)


def served(account: Account, name: str) -> list[Any]:
    """Everything of a resource, what only its callback listing serves included."""
    callback = {
        "phishing_campaigns": "callback_campaigns",
        "security_tests": "callback_security_tests",
    }
    records = list(getattr(account, name))
    return records + list(getattr(account, callback[name])) if name in callback else records


async def export(sim: Simulator, folder: Path, **options: Any) -> ExportReport:
    async with ReportingClient(sim.api_key, base_url=sim.base_url, retry=QUICK) as kb:
        return await export_account(kb, folder, **options)


async def test_every_record_once_and_as_served(
    sim: Simulator, account: Account, tmp_path: Path
) -> None:
    report = await export(sim, tmp_path / "out")

    assert report.complete
    for name, key in KEYS.items():
        assert keys(lines(tmp_path / "out", name), key) == keys(served(account, name), key)
    by_id = {user["id"]: user for user in account.users}
    assert all(line == by_id[line["id"]] for line in lines(tmp_path / "out", "users"))
    members = Counter((m["group_id"], m["id"]) for m in lines(tmp_path / "out", "members"))
    expected = {(g["id"], m["id"]) for g in account.groups for m in account.members[g["id"]]}
    assert set(members) == expected
    assert set(members.values()) <= {1}
    assert lines(tmp_path / "out", "account") == [account.account]


async def test_the_manifest_says_what_was_done_and_agrees_with_the_files(
    sim: Simulator, account: Account, tmp_path: Path
) -> None:
    report = await export(sim, tmp_path)

    found = manifest(tmp_path)
    assert found["complete"] is True
    assert found["account"]["name"] == account.account["name"]
    assert found["totals"]["requests"] == len(sim.log) == report.requests
    for name, entry in found["resources"].items():
        path = tmp_path / entry["file"]
        assert entry["rows"] == len(lines(tmp_path, name))
        assert entry["bytes"] == path.stat().st_size
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "manifest.json").stat().st_mode) == 0o600
    assert sim.api_key not in (tmp_path / "manifest.json").read_text()


async def test_requests_are_the_fewest(sim: Simulator, account: Account, tmp_path: Path) -> None:
    await export(sim, tmp_path)

    pages = sum(-(-group["member_count"] // 500) for group in account.groups)
    assert len(sim.requests("groups/*/members")) == pages
    assert len(sim.requests("account")) == 1
    # 1,150 users: pages 1, 2 and 4 (empty), 3 (short, which proves the end), 3 again.
    assert [entry.query["page"] for entry in sim.requests("users")][:2] == ["1", "2"]
    assert len(sim.requests("users")) == 5


async def test_derived_members_cost_no_request_and_are_the_same(
    sim: Simulator, account: Account, tmp_path: Path
) -> None:
    await export(sim, tmp_path / "fetched")
    sim.log.clear()
    report = await export(sim, tmp_path / "derived", members="derived")

    def pairs(folder: str) -> list[tuple[int, int]]:
        return sorted((m["group_id"], m["id"]) for m in lines(tmp_path / folder, "members"))

    assert report.complete
    assert pairs("derived") == pairs("fetched")
    assert sim.requests("groups/*/members") == []


async def test_derived_members_fetch_the_groups_whose_count_differs(tmp_path: Path) -> None:
    account = generate_account(users=300, groups=6, enrollments=10)
    wrong = next(g for g in account.groups if g["member_count"] > 1)
    async with Simulator(account) as sim:
        listed = [dict(group) for group in account.groups]
        for group in listed:
            if group["id"] == wrong["id"]:
                group["member_count"] -= 1
        body = json.dumps(listed).encode()
        sim.faults.add(Fault.status(200, body=body), path="groups", page=1)
        report = await export(sim, tmp_path, members="derived")
        fetched = {entry.path.split("/")[-2] for entry in sim.requests("groups/*/members")}

    assert fetched == {str(wrong["id"])}
    assert report.complete
    assert report.resources["members"].rows == sum(g["member_count"] for g in account.groups)


async def test_a_group_that_hides_members_is_named(tmp_path: Path) -> None:
    account = generate_account(users=50, groups=4, enrollments=0)
    liar = next(g for g in account.groups if g["member_count"] > 2)
    async with Simulator(account) as sim:
        some = json.dumps([dict(m) for m in account.members[liar["id"]]][:-1]).encode()
        sim.faults.add(
            Fault.status(200, body=some), path=f"groups/{liar['id']}/members", page=1, times=None
        )
        report = await export(sim, tmp_path)

    gap = report.resources["members"].gaps[0]
    assert not report.complete
    assert (gap.scope, gap.error) == ({"group_id": liar["id"]}, "CountMismatch")


async def test_one_forbidden_group_does_not_stop_the_rest(
    sim: Simulator, account: Account, tmp_path: Path
) -> None:
    banned = next(g["id"] for g in account.groups if g["member_count"])
    sim.faults.add(Fault.status(403), path=f"groups/{banned}/members", times=None)

    report = await export(sim, tmp_path)

    assert not report.complete
    assert [gap.scope for gap in report.resources["members"].gaps] == [{"group_id": banned}]
    assert report.resources["members"].gaps[0].error == "PermissionDeniedError"
    assert [n for n, r in report.resources.items() if not r.complete] == ["members"]
    expected = sum(g["member_count"] for g in account.groups if g["id"] != banned)
    assert len(lines(tmp_path, "members")) == expected
    assert manifest(tmp_path)["complete"] is False


async def test_a_failing_resource_is_named_and_the_rest_goes_on(
    sim: Simulator, tmp_path: Path
) -> None:
    sim.faults.add(Fault.status(500), path="training/enrollments", times=None)

    report = await export(sim, tmp_path)

    assert {n for n, r in report.resources.items() if not r.complete} == {"enrollments"}
    assert report.resources["enrollments"].gaps[0].error == "ServerError"


async def test_members_are_incomplete_when_their_groups_are(sim: Simulator, tmp_path: Path) -> None:
    sim.faults.add(Fault.status(403), path="groups", times=None)

    report = await export(sim, tmp_path)

    assert not report.resources["groups"].complete
    assert not report.resources["members"].complete


async def test_faults_on_the_way_cost_nothing_but_requests(
    sim: Simulator, account: Account, tmp_path: Path
) -> None:
    kinds = (
        Fault.status(503),
        Fault.html(502),
        Fault.reset(),
        Fault.reset_in_body(),
        Fault.truncate(),
        Fault.truncate(content_length=True),
        Fault.invalid_json(),
    )
    for kind in kinds:
        sim.faults.add(kind, probability=0.05, times=None)

    async with ReportingClient(
        sim.api_key, base_url=sim.base_url, retry=Retry(max_attempts=12, base=0.001, ceiling=0.01)
    ) as kb:
        report = await export_account(kb, tmp_path)

    assert report.complete
    for name, key in KEYS.items():
        assert keys(lines(tmp_path, name), key) == keys(served(account, name), key)
    assert report.requests == len(sim.log)


async def test_an_empty_account_is_complete(tmp_path: Path) -> None:
    empty = generate_account(
        users=0, groups=0, enrollments=0, training_campaigns=0, phishing_campaigns=0
    )
    async with Simulator(empty) as sim:
        report = await export(sim, tmp_path)

    assert report.complete
    assert report.rows == 1
    assert (tmp_path / "users.jsonl").read_bytes() == b""


async def test_ids_of_any_length_and_pretty_printed_bodies_keep_their_digits(
    tmp_path: Path,
) -> None:
    account = generate_account(users=40, groups=3, enrollments=60, extreme_ids=True)
    async with Simulator(account, style="pretty") as sim:
        report = await export(sim, tmp_path)

    assert report.complete
    assert max(user["id"] for user in lines(tmp_path, "users")) > 2**64
    assert keys(lines(tmp_path, "users"), "id") == keys(account.users, "id")


class TestDestination:
    async def test_a_wrong_key_touches_nothing(self, sim: Simulator, tmp_path: Path) -> None:
        async with ReportingClient("wrong", base_url=sim.base_url) as kb:
            with pytest.raises(AuthenticationError, match="another region"):
                await export_account(kb, tmp_path / "out")

        assert not (tmp_path / "out").exists()
        assert len(sim.log) == 1

    async def test_another_accounts_export_is_refused_untouched(
        self, sim: Simulator, tmp_path: Path
    ) -> None:
        await export(sim, tmp_path, resources=["account", "groups"])
        text = (tmp_path / "manifest.json").read_text().replace("Example, Inc", "Other, Inc")
        (tmp_path / "manifest.json").write_text(text)
        before = contents(tmp_path)

        with pytest.raises(ConfigurationError, match="another account: its name is 'Other, Inc'"):
            await export(sim, tmp_path, fresh=True)

        assert contents(tmp_path) == before

    async def test_a_complete_export_is_replaced_only_when_asked(
        self, sim: Simulator, tmp_path: Path
    ) -> None:
        await export(sim, tmp_path, resources=["groups"])
        with pytest.raises(ConfigurationError, match="holds a complete export"):
            await export(sim, tmp_path, resources=["groups"])

        assert (await export(sim, tmp_path, resources=["groups"], fresh=True)).complete

    async def test_files_of_somebody_else_are_refused(self, sim: Simulator, tmp_path: Path) -> None:
        (tmp_path / "users.jsonl").write_text("precious")

        with pytest.raises(ConfigurationError, match=r"users\.jsonl but no manifest"):
            await export(sim, tmp_path)

        assert (tmp_path / "users.jsonl").read_text() == "precious"
        assert len(sim.log) == 0

    async def test_a_file_is_no_destination(self, sim: Simulator, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")

        with pytest.raises(ConfigurationError, match="is a file"):
            await export(sim, tmp_path / "file" / "out")

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"resources": ["users", "nope"]}, "'nope' is not a resource: choose from account"),
            ({"resources": []}, "No resource was chosen"),
            ({"members": "guessed"}, "'fetched' or 'derived'"),
            ({"resources": ["members"], "members": "derived"}, "made of users and groups"),
        ],
    )
    async def test_a_choice_that_cannot_be_made_is_told_before_any_request(
        self, sim: Simulator, tmp_path: Path, options: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=said):
            await export(sim, tmp_path, **options)

        assert len(sim.log) == 0


class Full(JsonLinesSink):
    """A disk that is full after some bytes of users."""

    def write(self, page: Any) -> None:
        if self.path.name == "users.jsonl" and self.rows >= 500:
            raise self.failed(OSError(errno.ENOSPC, "No space left on device"))
        super().write(page)


class Broken(JsonLinesSink):
    """A sink with a defect of its own."""

    def open(self, dataset: Dataset, position: Position | None) -> None:
        if dataset.name == "groups":
            msg = "a defect"
            raise KeyError(msg)
        super().open(dataset, position)


class TestSinks:
    async def test_a_full_disk_is_one_sentence_and_loses_nothing_committed(
        self, sim: Simulator, tmp_path: Path
    ) -> None:
        report = await export(sim, tmp_path, sink=lambda: Full(tmp_path))

        users = report.resources["users"]
        assert not users.complete
        assert users.gaps[0].error == "SinkError"
        assert "No space left on device" in users.gaps[0].message
        assert len(lines(tmp_path, "users")) == 500
        assert report.resources["enrollments"].complete

    async def test_a_sink_with_a_defect_ends_its_own_dataset_only(
        self, sim: Simulator, tmp_path: Path
    ) -> None:
        report = await export(sim, tmp_path, sink=lambda: Broken(tmp_path))

        assert report.resources["groups"].gaps[0].error == "SinkError"
        assert "KeyError" in report.resources["groups"].gaps[0].message
        assert report.resources["users"].complete


class TestLeaving:
    @pytest.mark.parametrize("after", [1, 2, 5, 9, 14, 20])
    async def test_cancelling_leaves_whole_lines_and_an_honest_manifest(
        self, account: Account, tmp_path: Path, after: int
    ) -> None:
        seen = 0
        task: asyncio.Task[ExportReport] | None = None

        def count(event: Event) -> None:
            nonlocal seen
            seen += isinstance(event, ExportProgress)
            if seen == after and task is not None:
                task.cancel()

        async with Simulator(account, latency=0.002) as sim:
            work = export(sim, tmp_path, on_event=count)
            task = asyncio.get_running_loop().create_task(work, name="the export")
            with suppress(asyncio.CancelledError):
                await task

        found = manifest(tmp_path)
        assert task.cancelled()
        assert found["complete"] is False
        assert found["finished"] is not None
        for name, entry in found["resources"].items():
            if "file" in entry:
                assert len(lines(tmp_path, name)) == entry["rows"]
                assert (tmp_path / entry["file"]).stat().st_size == entry["bytes"]
            if not entry["complete"]:
                assert entry["gaps"][0]["error"] == "Interrupted"

    async def test_running_again_after_an_interruption_completes(
        self, sim: Simulator, account: Account, tmp_path: Path
    ) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await export(sim, tmp_path)

        report = await export(sim, tmp_path)

        assert report.complete
        assert keys(lines(tmp_path, "users"), "id") == keys(account.users, "id")

    async def test_progress_is_told_and_a_watcher_with_a_defect_stops_nothing(
        self, sim: Simulator, tmp_path: Path
    ) -> None:
        told: list[ExportProgress] = []

        def watch(event: Event) -> None:
            if isinstance(event, ExportProgress):
                told.append(event)
            raise ZeroDivisionError

        report = await export(sim, tmp_path, on_event=watch)

        assert report.complete
        last = {event.resource: event for event in told}
        assert {event.state for event in last.values()} == {"complete"}
        assert {n: e.rows for n, e in last.items()} == {
            n: r.rows for n, r in report.resources.items()
        }


class TestOddAnswers:
    """What a server may serve that nobody documented: named, and the rest exported."""

    async def exported(self, folder: Path, path: str, body: Any, **options: Any) -> ExportReport:
        account = generate_account(users=30, groups=3, enrollments=5)
        async with Simulator(account) as sim:
            served = body if isinstance(body, bytes) else json.dumps(body).encode()
            sim.faults.add(Fault.status(200, body=served), path=path, page=1, times=None)
            return await export(sim, folder, **options)

    @pytest.mark.parametrize("count", ["2", "x", [], {}, -5, None, 1.5, True, 10**30, 5_000])
    @pytest.mark.parametrize("members", ["fetched", "derived"])
    async def test_a_count_that_is_none_stops_nothing(
        self, tmp_path: Path, count: Any, members: str
    ) -> None:
        account = generate_account(users=30, groups=3, enrollments=5)
        groups = [dict(group) for group in account.groups]
        groups[0]["member_count"] = count
        async with Simulator(account) as sim:
            body = json.dumps(groups).encode()
            sim.faults.add(Fault.status(200, body=body), path="groups", page=1, times=None)
            report = await export(sim, tmp_path, members=members)
            asked = len(sim.requests("groups/*/members"))

        others = {n: r.complete for n, r in report.resources.items() if n != "members"}
        assert set(others.values()) == {True}
        assert report.resources["members"].rows == sum(g["member_count"] for g in account.groups)
        assert asked <= 25

    @pytest.mark.parametrize("group_id", [None, "", ".", "..", [1], {}, True, 1.5])
    async def test_a_group_without_an_id_is_named_and_the_others_are_read(
        self, tmp_path: Path, group_id: Any
    ) -> None:
        account = generate_account(users=30, groups=3, enrollments=5)
        groups = [dict(group) for group in account.groups]
        groups[0]["id"] = group_id
        async with Simulator(account) as sim:
            body = json.dumps(groups).encode()
            sim.faults.add(Fault.status(200, body=body), path="groups", page=1, times=None)
            report = await export(sim, tmp_path)

        members = report.resources["members"]
        assert [gap.error for gap in members.gaps] == ["ParentWithoutId"]
        assert members.rows == sum(g["member_count"] for g in list(account.groups)[1:])

    @pytest.mark.parametrize("groups", [5, [[1]], [{"id": 1}], None, "no", [None, True]])
    async def test_users_with_odd_groups_do_not_stop_deriving(
        self, tmp_path: Path, groups: Any
    ) -> None:
        report = await self.exported(
            tmp_path, "users", [{"id": 1, "groups": groups}], members="derived"
        )

        assert report.resources["users"].rows == 1
        assert report.complete

    async def test_an_error_served_as_an_answer_is_no_record(self, tmp_path: Path) -> None:
        report = await self.exported(tmp_path, "users", {"error": "maintenance"})

        assert report.resources["users"].gaps[0].error == "DecodeError"
        assert report.resources["users"].rows == 0

    async def test_two_exports_into_one_folder_are_told_apart(
        self, sim: Simulator, tmp_path: Path
    ) -> None:
        loop = asyncio.get_running_loop()
        both = [loop.create_task(export(sim, tmp_path), name="an export") for _ in range(2)]
        await asyncio.wait(both)

        errors = [task.exception() for task in both]
        refused = [error for error in errors if error is not None]
        assert len(refused) == 1
        with pytest.raises(ConfigurationError, match=r"Another export writes|complete export"):
            raise refused[0]
        assert len(lines(tmp_path, "users")) == 1150
        assert not (tmp_path / ".kb4.lock").exists()


class Stopping(JsonLinesSink):
    """A sink whose defect is an exhausted iterator."""

    def write(self, page: Any) -> None:
        next(iter(()))


async def test_a_sink_that_raises_stop_iteration_hangs_nothing(
    sim: Simulator, tmp_path: Path
) -> None:
    async with asyncio.timeout(20):
        report = await export(sim, tmp_path, sink=lambda: Stopping(tmp_path))

    assert {gap.error for r in report.resources.values() for gap in r.gaps} == {"SinkError"}


async def test_files_from_before_lose_their_open_modes(sim: Simulator, tmp_path: Path) -> None:
    await export(sim, tmp_path, resources=["groups"])
    (tmp_path / "groups.jsonl").chmod(0o644)

    await export(sim, tmp_path, resources=["groups"], fresh=True)

    assert stat.S_IMODE((tmp_path / "groups.jsonl").stat().st_mode) == 0o600
