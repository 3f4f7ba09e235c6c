"""The examples run as they stand, against the simulator over sockets."""

import asyncio
import contextlib
import importlib.util
import json
import sqlite3
import stat
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from kb4_async import KB4Error, ReportingClient, Retry
from kb4_async.testing import Account, Fault, Simulator, generate_account

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def address(sim: Simulator, fast: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``kb4 simulate`` tells people to set."""
    monkeypatch.setenv("KB4_BASE_URL", sim.base_url)
    monkeypatch.setenv("KB4_API_KEY", sim.api_key)
    monkeypatch.delenv("KB4_REGION", raising=False)


async def until_quiet(sim: Simulator) -> int:
    """Wait until no request has come for a while; return how many came in all."""
    seen = -1
    while seen != len(sim.log):
        seen = len(sim.log)
        await asyncio.sleep(0.1)
    return seen


def fetchers() -> list[str]:
    """Tasks of the library that fetch for a listing."""
    names = (task.get_name() for task in asyncio.all_tasks())
    return [name for name in names if name.startswith("kb4")]


async def fetching_ends() -> None:
    """Wait until nothing is fetched any more."""
    for _ in range(500):
        if not fetchers():
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"still there after 5 s: {fetchers()}")


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session


class TestFastAPI:
    @pytest.fixture
    async def url(self, address: None) -> AsyncIterator[str]:
        pytest.importorskip("fastapi")
        uvicorn = pytest.importorskip("uvicorn")
        app = example("fastapi_lifespan").app
        config = uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=2)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.005)
            assert not serving.done()
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        await serving
        assert fetchers() == []

    async def test_streams_every_user_as_ndjson(self, url: str, account: Account) -> None:
        async with browser() as http, http.get(f"{url}/users") as answer:
            assert answer.headers["content-type"] == "application/x-ndjson"
            users = [json.loads(line) async for line in answer.content]

        assert users == list(account.users)

    async def test_one_user_and_one_that_is_not_there(self, url: str, account: Account) -> None:
        user = account.users[3]
        async with browser() as http:
            async with http.get(f"{url}/users/{user['id']}") as answer:
                assert await answer.json() == user
            async with http.get(f"{url}/users/1") as answer:
                assert answer.status == 404

    async def test_an_error_before_the_first_byte_is_a_status(
        self, url: str, sim: Simulator
    ) -> None:
        sim.faults.add(Fault.status(403), path="users", times=None)

        async with browser() as http, http.get(f"{url}/users") as answer:
            assert answer.status == 502
            assert sim.api_key not in await answer.text()

    @pytest.mark.filterwarnings("ignore")
    async def test_an_error_after_it_never_looks_like_a_whole_answer(
        self, url: str, sim: Simulator
    ) -> None:
        sim.faults.add(Fault.status(403), path="users", page=3, times=None)

        async with browser() as http, http.get(f"{url}/users") as answer:
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()

        await fetching_ends()

    async def test_a_browser_that_leaves_ends_the_fetching(self, sim: Simulator, url: str) -> None:
        sim.add_account("many", generate_account(users=30_000, groups=0, enrollments=0))
        # The service's key opens the large account from now on: 60 pages, of which 16 are ahead.
        sim.holders[sim.api_key] = sim.holders["many"]
        async with browser() as http, http.get(f"{url}/users") as answer:
            await answer.content.readline()

        await fetching_ends()
        assert await until_quiet(sim) < 60


class TestAiohttp:
    @pytest.fixture
    async def url(self, address: None) -> AsyncIterator[str]:
        runner = web.AppRunner(example("aiohttp_cleanup_ctx").make_app())
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert runner.addresses
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        await runner.cleanup()
        assert fetchers() == []

    async def test_serves_a_group_and_its_members(self, url: str, account: Account) -> None:
        group = account.groups[0]
        async with browser() as http:
            async with http.get(f"{url}/groups/{group['id']}") as answer:
                assert await answer.json() == group
            async with http.get(f"{url}/groups/{group['id']}/members") as answer:
                members = [json.loads(line) async for line in answer.content]
            async with http.get(f"{url}/groups/1") as answer:
                assert answer.status == 404

        assert len(members) == group["member_count"]
        assert {member["group_id"] for member in members} == {group["id"]}

    async def test_a_browser_that_leaves_ends_the_fetching(self, sim: Simulator, url: str) -> None:
        account = generate_account(users=30_000, groups=2, enrollments=0)
        sim.add_account("many", account)
        sim.holders[sim.api_key] = sim.holders["many"]
        group = max(account.groups, key=lambda group: int(group["member_count"]))
        path = f"{url}/groups/{group['id']}/members"
        async with browser() as http, http.get(path) as answer:
            await answer.content.readline()

        await fetching_ends()
        assert await until_quiet(sim) < group["member_count"] / 500

    async def test_a_failing_service_is_a_502(self, url: str, sim: Simulator) -> None:
        sim.faults.add(Fault.status(403), times=None)

        async with browser() as http, http.get(f"{url}/groups/5") as answer:
            assert answer.status == 502


class TestIdentityJoin:
    async def test_reports_people_here_only_there_only_and_overdue(
        self, kb: ReportingClient, account: Account
    ) -> None:
        module = example("identity_join")
        active = [user for user in account.users if user["status"] == "active"]
        twins = Counter((user["email"] or "").casefold() for user in active)
        plain = [
            user
            for user in active
            if user["email"] and user["employee_number"] and twins[user["email"].casefold()] == 1
        ]
        late = {
            (row.get("user") or {}).get("id")
            for row in account.enrollments
            if row["status"] == "Past Due"
        }
        overdue = next(user for user in plain if user["id"] in late)
        on_time = next(user for user in plain if user["id"] not in late)
        by_mail, both = [user for user in plain[:4] if user not in (overdue, on_time)][:2]
        rows = [
            {"employee_number": overdue["employee_number"], "email": ""},
            {"employee_number": on_time["employee_number"], "email": None},
            {"employee_number": "", "email": by_mail["email"].swapcase() + " "},
            {"employee_number": "", "email": both["email"]},
            {"employee_number": "", "email": both["email"].upper()},
            {"employee_number": "no-such-number", "email": "nobody@example.test"},
        ]

        found = [each async for each in module.compare(kb, module.People(rows))]

        kinds = {each.get("id"): each["finding"] for each in found}
        assert kinds[overdue["id"]] == "overdue"
        assert on_time["id"] not in kinds
        assert kinds.get(by_mail["id"]) in {None, "overdue"}
        assert kinds[both["id"]] == "ambiguous"
        assert [each for each in found if each["finding"] == "only_hr"] == [
            {"finding": "only_hr", **rows[-1]}
        ]
        alone = [each for each in found if each["finding"] == "only_knowbe4"]
        assert len(alone) == len(active) - 4
        named = next(each for each in alone if each["groups"])
        assert set(named["groups"]) <= {group["name"] for group in account.groups}

    async def test_duplicate_addresses_and_nulls_match_nobody_by_accident(
        self, kb: ReportingClient, account: Account
    ) -> None:
        module = example("identity_join")
        pairs = Counter(
            user["email"].casefold()
            for user in account.users
            if user["email"] and user["status"] == "active"
        )
        shared = next(email for email, times in pairs.items() if times == 2)
        rows = [{"employee_number": None, "email": shared}, {"employee_number": "", "email": None}]

        found = [each async for each in module.compare(kb, module.People(rows))]

        ambiguous = [each["email"] for each in found if each["finding"] == "ambiguous"]
        assert [email.casefold() for email in ambiguous] == [shared]
        assert [each for each in found if each["finding"] == "only_hr"] == [
            {"finding": "only_hr", **rows[1]}
        ]

    async def test_runs_as_a_command(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        module = example("identity_join")
        file = tmp_path / "hr.csv"
        file.write_text("\ufeffemployee_number,email\n1,a@example.test\n", encoding="utf-8")

        await module.main(module.read_people(file))

        findings = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert findings[-1] == {
            "finding": "only_hr",
            "employee_number": "1",
            "email": "a@example.test",
        }


class TestWarehouse:
    async def test_loads_all_users_and_drops_those_that_are_gone(self, tmp_path: Path) -> None:
        account = generate_account(users=1100, groups=2, enrollments=0)
        path = tmp_path / "users.db"
        async with (
            Simulator(account) as sim,
            ReportingClient(sim.api_key, base_url=sim.base_url) as kb,
        ):
            await self.run(kb, path)
            account.delete_user(account.users[17]["id"])
            await self.run(kb, path)

        assert self.users(path) == {str(user["id"]): user for user in account.users}
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    async def test_goes_on_where_a_failed_load_stopped(
        self, sim: Simulator, account: Account, tmp_path: Path
    ) -> None:
        path = tmp_path / "users.db"
        sim.faults.add(Fault.status(403), path="users", page=3, times=None)
        async with ReportingClient(retry=Retry(max_attempts=1), base_url=sim.base_url) as kb:
            with pytest.raises(KB4Error):
                await self.run(kb, path)
            stored = len(self.users(path))
            sim.faults.clear()
            sim.log.clear()
            await self.run(kb, path)

        assert stored == 1000
        assert self.users(path) == {str(user["id"]): user for user in account.users}
        assert [entry.page for entry in sim.log if entry.page == 1] == []

    async def test_runs_as_a_command(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        await example("warehouse_pages").main(str(tmp_path / "users.db"))

        assert capsys.readouterr().out == "1150 users\n"

    async def run(self, kb: ReportingClient, path: Path) -> None:
        module = example("warehouse_pages")
        warehouse = module.Warehouse(str(path))
        with contextlib.closing(warehouse.database):
            await module.load_users(kb, warehouse)

    def users(self, path: Path) -> dict[str, Any]:
        with contextlib.closing(sqlite3.connect(path)) as database:
            rows = database.execute("SELECT id, record FROM users").fetchall()
        assert len(rows) == len(dict(rows))
        return {key: json.loads(record) for key, record in rows}


class TestCustomSink:
    async def test_exports_into_tables(
        self, account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = tmp_path / "out"
        code = await example("custom_sink").main(str(folder))

        assert code == 0
        assert "users: 1150 rows, complete" in capsys.readouterr().out
        path = folder / "account.db"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with contextlib.closing(sqlite3.connect(path)) as database:
            users = database.execute("SELECT record FROM users ORDER BY number").fetchall()
            parents = database.execute("SELECT DISTINCT parent FROM members").fetchall()
            states = dict(database.execute("SELECT name, complete FROM datasets").fetchall())
        assert [json.loads(record) for (record,) in users] == list(account.users)
        assert {int(group) for (group,) in parents} == {
            group["id"] for group in account.groups if group["member_count"]
        }
        assert set(states.values()) == {1}
        assert json.loads((folder / "manifest.json").read_bytes())["complete"]

    async def test_goes_on_behind_a_position_and_says_what_is_not_whole(
        self, kb: ReportingClient, sim: Simulator, tmp_path: Path
    ) -> None:
        module = example("custom_sink")
        sim.faults.add(Fault.status(403), path="training/enrollments", times=None)

        report = await module.export(kb, tmp_path)

        assert not report.complete
        with contextlib.closing(sqlite3.connect(tmp_path / "account.db")) as database:
            states = dict(database.execute("SELECT name, complete FROM datasets").fetchall())
        assert [name for name, complete in states.items() if not complete] == ["enrollments"]
        sink = module.SqliteSink(tmp_path / "account.db")
        sink.open(module.Dataset("users", "id"), {"rows": 7})
        count = sink.database.execute("SELECT count(*) FROM users").fetchone()
        sink.close(False)
        assert count == (7,)
