"""The writer: order, stops, ends, conflicts, guards, and an account that always gets there."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.scim_clients import WRITES, applied, client_of, people, person, tally

from kb4_async import (
    APIError,
    AuthenticationError,
    ChangeGuard,
    ChangeGuardError,
    ClientClosedError,
    ConfigurationError,
    KB4Error,
    PermissionDeniedError,
    Retry,
    ScimOutcome,
    ScimPlan,
    ScimUser,
    ScimWriter,
    ServerError,
    load_plan,
    save_plan,
)
from kb4_async.protocol import backoff, learning
from kb4_async.testing import Account, Fault, LoggedRequest, ScimRules, Simulator, generate_account

pytestmark = pytest.mark.usefixtures("scaled_up")

THERE = 60
FREE = ChangeGuard(
    max_deactivation_percent=None, max_creation_percent=None, max_member_removal_percent=None
)
AT_ONCE = 4


@asynccontextmanager
async def serving(
    users: int = THERE, guard: ChangeGuard = FREE, **options: Any
) -> AsyncIterator[tuple[Simulator, ScimWriter]]:
    account = generate_account(users=users, groups=3, enrollments=0)
    given: dict[str, Any] = {"max_concurrency": AT_ONCE, "retry": Retry(base=0.002, ceiling=0.01)}
    async with (
        Simulator(account, limits=()) as sim,
        client_of(sim, **(given | options)) as scim,
    ):
        yield sim, ScimWriter(scim, guard=guard)


def active(account: Account) -> list[str]:
    """The names of all who are."""
    return [str(user["email"]) for user in account.users if user["status"] == "active"]


def archived(account: Account) -> set[str]:
    return {str(user["email"]) for user in account.users if user["status"] == "archived"}


def wanted(account: Account) -> tuple[list[ScimUser], list[dict[str, Any]]]:
    """Ten to create, ten to update, two groups with members, five to deactivate."""
    names = active(account)
    changed = [ScimUser(name, title=f"T {name}") for name in names[5:15]]
    users = [*changed, *map(ScimUser, names[15:]), *people(10, title="N")]
    everybody = [user.user_name for user in users]
    groups = [
        {"displayName": "G1", "members": everybody[:30]},
        {"displayName": "G2", "members": everybody[20:]},
    ]
    return users, groups


async def planned(writer: ScimWriter, sim: Simulator) -> ScimPlan:
    users, groups = wanted(sim.account)
    plan = await writer.plan(users, groups, missing="deactivate")
    assert (plan.count("create_user"), plan.count("update_user")) == (10, 10)
    assert (plan.count("create_group"), plan.count("deactivate_user")) == (2, 5)
    return plan


def state(account: Account) -> dict[str, Any]:
    """What counts of an account, by names."""
    groups = {group["id"]: group["name"] for group in account.groups}
    users = {
        user["email"]: (
            user["status"],
            user["job_title"],
            user["first_name"],
            sorted(groups[each] for each in user["groups"]),
        )
        for user in account.users
    }
    assert len(users) == len(account.users)
    return {"users": users, "groups": sorted(groups.values())}


def writes(sim: Simulator, since: int = 0) -> list[LoggedRequest]:
    return [entry for entry in sim.log[since:] if entry.method in WRITES]


# -- order and stops ---------------------------------------------------------------------------


def kind(entry: LoggedRequest) -> str:
    where = "groups" if "/Groups" in f"/{entry.path}" else "users"
    return f"{entry.method} {where}"


async def test_the_order_of_writes() -> None:
    async with serving() as (sim, writer):
        plan = await planned(writer, sim)
        first = len(sim.log)
        outcomes = await applied(writer, plan)
        assert tally(outcomes) == {"created": 12, "updated": 12, "deactivated": 5}
        done = [kind(entry) for entry in writes(sim, first)]
        assert sorted(done[:20]) == ["POST users"] * 10 + ["PUT users"] * 10
        assert done[20:22] == ["POST groups"] * 2
        assert set(done[22:-5]) == {"PATCH groups"}
        assert done[-5:] == ["PATCH users"] * 5


@pytest.mark.parametrize("after", [1, 7, 25])
@pytest.mark.parametrize("status", [401, 403])
async def test_a_token_that_is_revoked_ends_it_at_once(status: int, after: int) -> None:
    error = AuthenticationError if status == 401 else PermissionDeniedError
    async with serving() as (sim, writer):
        plan = await planned(writer, sim)
        ended: list[int] = []

        def end(_: LoggedRequest) -> None:
            if len(writes(sim)) == after and not ended:
                ended.append(len(sim.log))
                if status == 401:
                    sim.revoke(sim.scim_token)
                else:
                    sim.scim_rules = ScimRules(sso=False)

        sim.on_answer = end
        outcomes, stopped = await until_stopped(writer, plan)
        assert isinstance(stopped, error)
        assert len(sim.log) - ended[0] <= AT_ONCE
        assert all(found.ok or isinstance(found.error, error) for found in outcomes)
        assert len(writes(sim)) <= after + AT_ONCE
        sim.scim_rules = ScimRules()
        sim.scim_token = "another"
        sim.keys.add(sim.scim_token, None, (), sim.scim_desk.service_of(sim.account))
        async with client_of(sim) as scim:
            again = ScimWriter(scim, guard=FREE)
            assert [found for found in await applied(again, plan) if not found.ok] == []
        assert (await writer_state(plan)) == state(sim.account)


async def until_stopped(
    writer: ScimWriter, plan: ScimPlan
) -> tuple[list[ScimOutcome], KB4Error | None]:
    """The outcomes, and what ended the writing."""
    outcomes = []
    try:
        async for found in writer.apply(plan):
            outcomes.append(found)
    except KB4Error as error:
        return outcomes, error
    return outcomes, None


async def writer_state(plan: ScimPlan) -> dict[str, Any]:
    """The state of an account to which nothing but good happened."""
    async with serving() as (sim, writer):
        outcomes = await applied(writer, replace(plan, tenant_url=sim.tenant_url))
        assert [found for found in outcomes if not found.ok] == []
        return state(sim.account)


@pytest.mark.parametrize("after", [1, 7])
async def test_a_redirect_ends_it_at_once(after: int) -> None:
    async with serving() as (sim, writer):
        plan = await planned(writer, sim)
        first = len(sim.log)
        moved = Fault.status(302, headers={"location": "https://x.example/"}, applied=False)
        sim.faults.add(moved, after=after, times=None)
        outcomes, stopped = await until_stopped(writer, plan)
        assert isinstance(stopped, APIError)
        assert stopped.wrong_address
        assert len(sim.log) - first <= after + AT_ONCE
        assert all(found.ok or found.result == "failed" for found in outcomes)
        sim.faults.clear()
        assert [found for found in await applied(writer, plan) if not found.ok] == []
        assert await writer_state(plan) == state(sim.account)


async def test_a_server_that_fails_is_left_alone() -> None:
    async with serving(retry=Retry(max_attempts=2, base=0.001)) as (sim, writer):
        writer.stop_after = 3
        plan = await planned(writer, sim)
        broken = sim.faults.add(Fault.status(500, applied=False), method="POST", times=None)
        first = len(sim.log)
        outcomes, stopped = await until_stopped(writer, plan)
        assert isinstance(stopped, ServerError)
        assert "apply the plan again" in str(stopped)
        assert {found.result for found in outcomes if found.error} == {"unknown"}
        # Two attempts for each of those under way.
        assert 6 <= broken.played <= 2 * (3 + AT_ONCE)
        assert len(sim.log) - first < 60
        sim.faults.clear()
        assert [found for found in await applied(writer, plan) if not found.ok] == []
        assert await writer_state(plan) == state(sim.account)


async def test_a_pause_loses_and_doubles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(learning, "HEADERS_EXPLAIN", 0.0)
    async with serving() as (sim, writer):
        plan = await planned(writer, sim)
        sim.faults.add(Fault.rate_limit(1), method="POST", after=5)
        refused = sim.faults.add(Fault.rate_limit(1), method="PATCH", after=2)
        outcomes = await applied(writer, plan)
        assert refused.played == 1
        assert tally(outcomes) == {"created": 12, "updated": 12, "deactivated": 5}
        assert await writer_state(plan) == state(sim.account)


# -- leaving -----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["break", "aclose", "cancel", "close"])
async def test_leaving_stops_the_writing(way: str) -> None:
    async with serving() as (sim, writer):
        plan, desired = await planned(writer, sim), wanted(sim.account)
        sim.latency = 0.005  # so that there is something in flight when it is left
        consumed: list[str] = []

        async def consume() -> None:
            iterator = writer.apply(plan)
            async for found in iterator:
                consumed.append(found.name)
                if len(consumed) < 6:
                    continue
                if way == "break":
                    return
                if way == "aclose":
                    await iterator.aclose()
                    await iterator.aclose()
                elif way == "cancel":
                    raise asyncio.CancelledError
                elif way == "close":
                    await writer.scim.close()

        if way == "close":
            with pytest.raises(ClientClosedError):
                await consume()
        else:
            with suppress(asyncio.CancelledError):
                await consume()
        arrived = len(sim.log)
        assert len(writes(sim)) <= 6 + 2 * AT_ONCE
        while any(entry.answered is None and not entry.cancelled for entry in sim.log):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        for _ in range(20):  # what would go on has its chance
            await asyncio.sleep(0.001)
        assert len(sim.log) <= arrived + AT_ONCE
        async with client_of(sim) as scim:
            again = ScimWriter(scim, guard=FREE)
            assert [found for found in await applied(again, plan) if not found.ok] == []
            assert (await again.plan(*desired)).steps == ()
        assert await writer_state(plan) == state(sim.account)


@pytest.mark.parametrize("seed", range(25))
async def test_killed_anywhere_and_applied_again(seed: int) -> None:
    """Killed at random requests, before or after the server did them, until it gets through."""
    chance = random.Random(seed)
    async with serving() as (sim, writer):
        plan = await planned(writer, sim)
        kills, runs = 4, 0
        while True:
            runs += 1
            left = chance.randrange(1, 60) if runs <= kills else None
            hook = chance.choice(["on_request", "on_answer"])
            task = asyncio.current_task()
            assert task is not None

            def kill(_: LoggedRequest, task: asyncio.Task[Any] = task) -> None:
                nonlocal left
                if left is not None:
                    left -= 1
                    if left == 0:
                        task.cancel()

            setattr(sim, hook, kill)
            try:
                async with client_of(sim, max_concurrency=AT_ONCE) as scim:
                    outcomes = await applied(ScimWriter(scim, guard=FREE), plan)
            except asyncio.CancelledError:
                task.uncancel()
                continue
            finally:
                sim.on_request = sim.on_answer = None
            break
        assert runs > 1
        assert [found for found in outcomes if not found.ok] == []
        assert state(sim.account) == await writer_state(plan)
        last = len(writes(sim))
        assert set(tally(await applied(writer, plan))) == {"unchanged"}
        assert len(writes(sim)) == last


# -- plans -------------------------------------------------------------------------------------


async def test_what_changed_since_the_plan_is_a_conflict() -> None:
    async with serving() as (sim, writer):
        names = active(sim.account)
        plan = await planned(writer, sim)
        moved = {names[0]: {"email": "new@example.com"}, names[5]: {"job_title": "Other"}}
        ids = {str(user["email"]): user["id"] for user in sim.account.users}
        for name, fields in moved.items():
            sim.account.users.update(ids[name], **fields)
        sim.account.users.delete(ids[names[6]])
        await writer.scim.users.create(person(0, title="Other"))
        outcomes = await applied(writer, plan)
        conflicts = {found.name for found in outcomes if not found.ok}
        # Its group names the one who is gone, too; that is told, or repaired by nobody.
        assert {names[0], "new@example.com"} & conflicts
        assert {names[5], names[6], person(0).user_name} <= conflicts
        users = {str(user["email"]): user for user in sim.account.users}
        assert users["new@example.com"]["status"] == "active"
        assert users[names[5]]["job_title"] == "Other"
        assert users[person(0).user_name]["job_title"] == "Other"
        assert names[6] not in users


async def test_plan_files(tmp_path: Path) -> None:
    async with serving() as (sim, writer):
        plan = await planned(writer, sim)
        path = tmp_path / "plan.json"
        save_plan(plan, path)
        assert path.stat().st_mode & 0o777 == 0o600
        assert load_plan(path) == plan
        assert sim.scim_token not in path.read_text()
        first = len(sim.log)
        edited = json.loads(path.read_text())
        edited["plan"]["steps"][0]["name"] = "ceo@example.com"
        (tmp_path / "edited.json").write_text(json.dumps(edited))
        with pytest.raises(ConfigurationError, match="changed after it was made"):
            load_plan(tmp_path / "edited.json")
        (tmp_path / "half.json").write_bytes(path.read_bytes()[:-100])
        with pytest.raises(ConfigurationError, match="plan"):
            load_plan(tmp_path / "half.json")
        now = datetime.now(UTC)
        cases: list[tuple[dict[str, Any], type[KB4Error], str]] = [
            ({"tenant_url": "https://x.example/scim/v2"}, ConfigurationError, "plan again"),
            ({"created": (now - timedelta(days=2)).isoformat()}, ChangeGuardError, "old"),
            ({"created": (now + timedelta(hours=1)).isoformat()}, ChangeGuardError, "future"),
            ({"created": "yesterday"}, ChangeGuardError, "when"),
        ]
        for moved, error, words in cases:
            with pytest.raises(error, match=words):
                writer.apply(replace(plan, **moved))
        assert len(sim.log) == first
        assert [found for found in await applied(writer, load_plan(path)) if not found.ok] == []
