"""What SCIM writes is what the Reporting API shows, except in Test Mode."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from support.scim_clients import applied, client_of, person

from kb4_async import ChangeGuard, ReportingClient, ScimPlan, ScimUser, ScimWriter
from kb4_async.testing import ScimRules, Simulator, generate_account

pytestmark = pytest.mark.usefixtures("scaled_up")


@asynccontextmanager
async def both(
    rules: ScimRules | None = None,
) -> AsyncIterator[tuple[ReportingClient, ScimWriter]]:
    account = generate_account(users=200, groups=3, enrollments=0)
    async with (
        Simulator(account, scim=rules, limits=()) as sim,
        ReportingClient(sim.api_key, base_url=sim.base_url, ledger=False) as kb,
        client_of(sim) as scim,
    ):
        yield kb, ScimWriter(scim, guard=ChangeGuard(max_deactivation_percent=None))


async def status_of(kb: ReportingClient, name: str) -> str | None:
    """What the Reporting API says of a user; None where it knows none."""
    found = [user["status"] async for user in kb.users.list() if user["email"] == name]
    return str(found[0]) if found else None


async def test_the_reporting_api_shows_every_write() -> None:
    async with both() as (kb, writer):
        scim, name = writer.scim, person(1).user_name
        await scim.users.ensure(person(1, title="T", department="D"))
        (user,) = [user async for user in kb.users.list() if user["email"] == name]
        assert (user["status"], user["job_title"], user["department"]) == ("active", "T", "D")
        await scim.users.update(name, title="U")
        (user,) = [user async for user in kb.users.list() if user["email"] == name]
        assert (user["job_title"], user["department"]) == ("U", "D")
        await scim.users.deactivate(name)
        assert await status_of(kb, name) == "archived"
        assert (await scim.users.ensure(person(1), reactivate=True)).result == "reactivated"
        assert await status_of(kb, name) == "active"
        await scim.groups.ensure({"displayName": "G", "members": [name]})
        (group,) = [group async for group in kb.groups.list() if group["name"] == "G"]
        members = [each["email"] async for each in kb.groups.members(group["id"])]
        assert members == [name]
        await scim.groups.ensure({"displayName": "G", "members": []})
        assert [each async for each in kb.groups.members(group["id"])] == []


async def plan_for(kb: ReportingClient, writer: ScimWriter) -> ScimPlan:
    """One of each kind."""
    there = [user async for user in kb.users.list(status="active")]
    names = [str(user["email"]) for user in there]
    gone = str((await kb.users.list(status="archived").collect())[0]["email"])
    users = [*map(ScimUser, names[2:]), person(1, title="T"), ScimUser(gone, active=True)]
    users[0] = ScimUser(names[2], title="New")
    plan = await writer.plan(
        users, [{"displayName": "G", "members": names[2:]}], missing="deactivate", reactivate=True
    )
    assert Counter(step.operation for step in plan.steps) == {
        "create_user": 1,
        "update_user": 1,
        "reactivate_user": 1,
        "deactivate_user": 2,
        "create_group": 1,
        "change_members": 1,
    }
    return plan


async def test_the_writer_verifies_in_the_reporting_api() -> None:
    async with both() as (kb, writer):
        plan = await plan_for(kb, writer)
        early = await writer.verify(plan, kb.users.list())
        assert (early.complete, early.confirmed, len(early.pending)) == (False, 0, 5)
        assert [found for found in await applied(writer, plan) if not found.ok] == []
        verified = await writer.verify(plan, kb.users.list())
        assert (verified.complete, verified.confirmed, verified.advice) == (True, 5, "")


async def test_in_test_mode_everything_is_accepted_and_pending() -> None:
    async with both(ScimRules(test_mode=True)) as (kb, writer):
        plan = await plan_for(kb, writer)
        before = [dict(user) async for user in kb.users.list()]
        outcomes = await applied(writer, plan)
        users = [found for found in outcomes if found.kind == "user"]
        assert [found for found in users if not found.ok] == []
        (members,) = [found for found in outcomes if found.kind == "members"]
        assert not members.ok
        assert [dict(user) async for user in kb.users.list()] == before
        verified = await writer.verify(plan, kb.users.list())
        assert (verified.confirmed, len(verified.pending)) == (0, 5)
        assert "Test Mode" in verified.advice
