"""A server that shows less than it holds: in a list, of the state, of members. What is not shown is
neither blanked, nor believed to be as wanted, nor taken for a reason to bring somebody back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from support.scim_clients import WRITES, applied, client_of, members_of, tally

from kb4_async import CLEAR, ChangeGuard, ScimClient, ScimError, ScimUser, ScimWriter
from kb4_async.testing import Fault, ScimRules, Simulator, generate_account

pytestmark = pytest.mark.usefixtures("scaled_up")

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
KMSAT = "urn:ietf:params:scim:schemas:extension:knowbe4:kmsat:2.0:User"
NAME = "rich@example.com"
#: What everybody of these tests has; half of it is missing in the rows of a list.
RICH: dict[str, Any] = {
    "given_name": "Rich",
    "title": "CEO",
    "department": "Board",
    "custom_field_1": "keep",
    "work_phone": "+1 555",
    "mobile_phone": "+1 666",
}
ROWS_LACK = (ENTERPRISE, KMSAT, "phoneNumbers")
FREE = ChangeGuard(max_deactivation_percent=None)


@asynccontextmanager
async def showing(
    options: dict[str, Any] | None = None, **rules: Any
) -> AsyncIterator[tuple[Simulator, ScimClient, str]]:
    """A simulator and a client, and the id of somebody rich."""
    account = generate_account(users=10, groups=1, enrollments=0)
    async with (
        Simulator(account, scim=ScimRules(**rules), limits=()) as sim,
        client_of(sim, **(options or {})) as scim,
    ):
        made = await scim.users.create(ScimUser(NAME, **RICH))
        yield sim, scim, str(made.id)


def fields(sim: Simulator) -> dict[str, Any]:
    """What the account holds of the rich one, whatever SCIM shows."""
    (user,) = [user for user in sim.account.users if user["email"] == NAME]
    return {
        "given_name": user["first_name"],
        "title": user["job_title"],
        "department": user["department"],
        "custom_field_1": user["custom_field_1"],
        "work_phone": user["phone_number"],
        "mobile_phone": user["mobile_phone_number"],
        "status": user["status"],
    }


def lines(sim: Simulator, since: int = 0) -> list[str]:
    """Methods of the requests, without what is asked once of a server."""
    return [entry.method for entry in sim.log[since:] if "Config" not in entry.path]


def written(sim: Simulator) -> int:
    return sum(entry.method in WRITES for entry in sim.log)


# -- rows --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["put", "patch"])
@pytest.mark.parametrize("filters", ["work", "empty"])
@pytest.mark.parametrize("way", ["ensure", "update", "apply"])
async def test_what_a_row_lacks_is_not_blanked(way: str, filters: str, mode: Any) -> None:
    async with showing({"update_mode": mode}, rows_lack=ROWS_LACK, filters=filters) as (
        sim,
        scim,
        _,
    ):
        assert fields(sim) == RICH | {"status": "active"}
        new: dict[str, Any] = {"title": "CISO"}
        if way == "apply":
            writer = ScimWriter(scim, guard=FREE)
            plan = await writer.plan([ScimUser(NAME, **new, department="Board")])
            assert tally(await applied(writer, plan)) == {"updated": 1}
        else:
            new["mobile_phone"] = "+1 777"
            if way == "ensure":
                found = await scim.users.ensure(ScimUser(NAME, **new))
            else:
                found = await scim.users.update(NAME, **new)
            assert found.result == "updated"
        assert fields(sim) == RICH | new | {"status": "active"}


async def test_a_plan_that_saw_a_row_overwrites_nothing_that_it_did_not_see() -> None:
    async with showing(rows_lack=ROWS_LACK) as (sim, scim, _):
        writer = ScimWriter(scim, guard=FREE)
        plan = await writer.plan([ScimUser(NAME, department="Research")])
        (found,) = await applied(writer, plan)
        assert found.result == "conflict"
        assert "kb4 scim ensure" in found.detail
        assert fields(sim) == RICH | {"status": "active"}
        assert (await scim.users.ensure(ScimUser(NAME, department="Research"))).ok
        assert fields(sim)["department"] == "Research"


async def test_a_create_that_went_through_is_finished_on_the_whole_user() -> None:
    """Planned as new, made by somebody meanwhile: what is missing is added, nothing is blanked."""
    async with showing(rows_lack=ROWS_LACK) as (sim, scim, identity):
        writer = ScimWriter(scim, guard=FREE)
        await scim.users.update(identity, user_name="away@example.com")
        plan = await writer.plan([ScimUser(NAME, title="CEO", division="D")])
        assert plan.count("create_user") == 1
        await scim.users.update(identity, user_name=NAME)
        assert tally(await applied(writer, plan)) == {"updated": 1}
        assert fields(sim) == RICH | {"status": "active"}


async def test_what_is_as_wanted_in_a_row_costs_no_second_look() -> None:
    async with showing(rows_lack=ROWS_LACK) as (sim, scim, identity):
        steps: list[tuple[ScimUser, list[str], str]] = [
            (ScimUser(NAME, title="CEO", active=True), ["GET"], "unchanged"),
            (ScimUser(NAME, department="Board"), ["GET", "GET"], "unchanged"),
            (ScimUser(NAME, title="CISO"), ["GET", "GET", "PUT"], "updated"),
            (ScimUser(NAME, division=CLEAR), ["GET", "GET"], "unchanged"),
            (ScimUser(NAME, department=CLEAR), ["GET", "GET", "PUT"], "updated"),
            (ScimUser(NAME, active=False), ["GET", "PATCH"], "deactivated"),
        ]
        for wanted, asked, result in steps:
            first = len(sim.log)
            assert (await scim.users.ensure(wanted)).result == result
            assert lines(sim, first) == asked
        assert fields(sim)["department"] is None
        first = len(sim.log)
        assert (await scim.users.update(identity, title="CTO")).result == "updated"
        assert lines(sim, first) == ["GET", "PUT"]


async def test_what_differs_in_a_row_alone_is_no_conflict() -> None:
    async with showing(rows_lack=ROWS_LACK) as (sim, scim, _):
        count = written(sim)
        found = await scim.users.ensure(ScimUser(NAME, department="Board"), update=False)
        assert found.result == "unchanged"
        assert written(sim) == count


# -- active ------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["ensure", "update", "plan", "missing", "deactivate"])
@pytest.mark.parametrize("where", ["nowhere", "by id"])
async def test_a_leaver_is_archived_where_the_state_is_not_shown(way: str, where: str) -> None:
    rules: dict[str, Any] = (
        {"hide_active": True} if where == "nowhere" else {"rows_lack": ("active",)}
    )
    async with showing(**rules) as (sim, scim, _):
        writer = ScimWriter(scim, guard=ChangeGuard(max_deactivation_percent=None))
        if way == "ensure":
            found = await scim.users.ensure(ScimUser(NAME, active=False))
        elif way == "update":
            found = await scim.users.update(NAME, active=False)
        elif way == "deactivate":
            found = await scim.users.deactivate(NAME)
        else:
            names = [u.user_name async for u in scim.users.list() if u.user_name != NAME]
            wanted = [ScimUser(name) for name in names]
            if way == "plan":
                plan = await writer.plan([ScimUser(NAME, active=False)])
            else:
                plan = await writer.plan(wanted, missing="deactivate")
            assert [(step.operation, step.name) for step in plan.steps] == [
                ("deactivate_user", NAME)
            ]
            (found,) = await applied(writer, plan)
        assert found.result == "deactivated"
        assert found.unconfirmed == (("active",) if where == "nowhere" else ())
        assert fields(sim)["status"] == "archived"


@pytest.mark.parametrize("way", ["ensure", "plan"])
async def test_nobody_is_brought_back_unasked_where_the_state_is_not_shown(way: str) -> None:
    async with showing(hide_active=True) as (sim, scim, identity):
        await scim.users.deactivate(identity)
        writer = ScimWriter(scim, guard=FREE)
        same, more = ScimUser(NAME, active=True), ScimUser(NAME, active=True, title="CISO")
        count = written(sim)
        if way == "ensure":
            found = await scim.users.ensure(same)
            assert (found.result, "reactivate" in found.detail) == ("unchanged", True)
            assert written(sim) == count
            assert (await scim.users.ensure(more)).result == "updated"
        else:
            plan = await writer.plan([same])
            assert plan.steps == ()
            assert any("--reactivate" in note for note in plan.notes)
            plan = await writer.plan([more])
            assert tally(await applied(writer, plan)) == {"updated": 1}
        # A PUT of what is shown would have made the user active, too.
        assert fields(sim) == RICH | {"title": "CISO", "status": "archived"}
        if way == "ensure":
            found = await scim.users.ensure(same, reactivate=True)
        else:
            plan = await writer.plan([same], reactivate=True)
            assert plan.count("reactivate_user") == 1
            (found,) = await applied(writer, plan)
        assert found.result == "reactivated"
        assert fields(sim)["status"] == "active"


@pytest.mark.parametrize("answers", [200, 204])
async def test_who_is_brought_back_and_changed_stays_active_and_loses_nothing(answers: Any) -> None:
    async with showing(patch_answers=answers) as (sim, scim, identity):
        await scim.users.deactivate(identity)
        wanted = ScimUser(NAME, active=True, title="CISO")
        found = await scim.users.ensure(wanted, reactivate=True)
        assert found.result == "reactivated"
        assert fields(sim) == RICH | {"title": "CISO", "status": "active"}


# -- members -----------------------------------------------------------------------------------


async def test_members_that_a_list_shows_as_none_are_read() -> None:
    async with showing(excluded_members="empty") as (_, scim, _):
        users = [user async for user in scim.users.list()][:4]
        group = await scim.groups.create("G")
        await scim.groups.add_members(group, users)
        writer = ScimWriter(scim, guard=FREE)
        wanted = [{"displayName": "G", "members": [user.user_name for user in users[:2]]}]
        plan = await writer.plan(groups=wanted)
        (step,) = plan.steps
        assert [each.id for each in step.remove] == [str(user.id) for user in users[2:]]
        assert (plan.memberships_before, step.add) == (4, ())
        assert tally(await applied(writer, plan)) == {"updated": 1}
        assert await members_of(scim, group) == sorted(str(user.id) for user in users[:2])
        assert (await writer.plan(groups=wanted)).steps == ()


# -- a removal of one that removes everybody ---------------------------------------------------


@pytest.mark.parametrize("way", ["remove", "replace", "ensure", "apply"])
async def test_a_form_that_removes_everybody_is_tried_on_one_and_made_good(way: str) -> None:
    options = {"member_removal": "value"}
    async with showing(options, member_removal="clears") as (sim, scim, _):
        users = [user async for user in scim.users.list()]
        ids = [str(user.id) for user in users]
        group, other = await scim.groups.create("G"), await scim.groups.create("H")
        for each in (group, other):
            await scim.groups.add_members(each, ids[:8])
        names = [user.user_name for user in users[3:10]]
        count = written(sim)
        if way == "remove":
            found = await scim.groups.remove_members(group, ids[:3])
        elif way == "replace":
            found = await scim.groups.replace_members(group, ids[3:10])
        elif way == "ensure":
            found = await scim.groups.ensure({"displayName": "G", "members": names})
        else:
            writer = ScimWriter(scim, guard=FREE)
            plan = await writer.plan(groups=[{"displayName": "G", "members": names}])
            (found,) = await applied(writer, plan)
        assert found.result == "conflict"
        assert "--member-removal filter" in found.detail
        assert await members_of(scim, group) == sorted(ids[3:8])
        assert found.removed == tuple(ids[:3])
        assert written(sim) == count + 2  # one member removed, the others added
        # From now on it is known: no other group is emptied.
        with pytest.raises(ScimError, match="--member-removal filter"):
            await scim.groups.remove_members(other, ids[:3])
        assert await members_of(scim, other) == sorted(ids[:8])
        assert written(sim) == count + 2
        # Where nobody stays, and where nobody goes, the form does no harm.
        assert (await scim.groups.replace_members(other, ids[8:])).ok
        assert await members_of(scim, other) == sorted(ids[8:])


@pytest.mark.parametrize("fault", [Fault.lost_before(), Fault.status(503, applied=True)])
async def test_a_form_whose_trial_is_lost_is_looked_at_too(fault: Fault) -> None:
    async with showing({"member_removal": "value"}, member_removal="clears") as (sim, scim, _):
        ids = [str(user.id) async for user in scim.users.list()]
        group = await scim.groups.create("G")
        await scim.groups.add_members(group, ids)
        sim.faults.add(fault, method="PATCH")
        found = await scim.groups.remove_members(group, ids[:2])
        assert found.result == "conflict"
        assert await members_of(scim, group) == sorted(ids[2:])


async def test_a_group_that_cannot_be_filled_again_is_told_by_name() -> None:
    async with showing({"member_removal": "value"}, member_removal="clears") as (sim, scim, _):
        ids = [str(user.id) async for user in scim.users.list()]
        group = await scim.groups.create("G")
        await scim.groups.add_members(group, ids)
        sim.faults.add(Fault.status(400, applied=False), method="PATCH", after=1, times=None)
        found = await scim.groups.remove_members(group, ids[:2])
        assert found.result == "unknown"
        assert all(each in found.detail for each in ids[2:])


async def test_a_form_that_works_is_tried_once() -> None:
    async with showing({"member_removal": "value"}) as (sim, scim, _):
        ids = [str(user.id) async for user in scim.users.list()]
        group = await scim.groups.create("G")
        await scim.groups.add_members(group, ids)
        asked = []
        for gone in (ids[:3], ids[3:6]):
            first = len(sim.log)
            assert (await scim.groups.remove_members(group, gone)).removed == tuple(gone)
            asked.append(lines(sim, first))
        assert asked == [["GET", "PATCH", "GET", "PATCH", "GET"], ["GET", "PATCH", "GET"]]
        assert await members_of(scim, group) == sorted(ids[6:])
