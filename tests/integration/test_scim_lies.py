"""A server that differs from the others, or lies: nobody is doubled, no stranger is touched."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from support.scim_clients import (
    WRITES,
    applied,
    client_of,
    each_of,
    members_of,
    people,
    person,
    tally,
)

from kb4_async import (
    AmbiguousMatchError,
    ChangeGuard,
    IncompleteListingError,
    NotFoundError,
    PermissionDeniedError,
    ScimClient,
    ScimError,
    ScimUser,
    ScimWriter,
)
from kb4_async.testing import Account, Fault, ScimRules, Simulator, generate_account

pytestmark = pytest.mark.usefixtures("scaled_up")

#: What is public of neither KnowBe4 nor any other server may be so.
LIES: dict[str, dict[str, Any]] = {
    "none": {},
    "filters ignored": {"filters": "ignored"},
    "filters empty": {"filters": "empty"},
    "filters mind the case": {"filters": "case_exact"},
    "total is the page's": {"total": "page"},
    "total missing": {"total": "missing"},
    "first page behind the last": {"past_end": "first_page"},
    "first page for ever, no total": {"past_end": "first_page", "total": "missing"},
    "pages of 7": {"page_cap": 7},
    "pages of 7, without a total": {"page_cap": 7, "total": "missing"},
    "pages of 7, ignored filters": {"page_cap": 7, "filters": "ignored"},
    "numeric ids": {"numeric_ids": True},
    "no kmsat": {"hide_kmsat": True},
    "204": {"patch_answers": 204},
    "bare 409": {"conflict_scim_type": False},
    "names not unique": {"unique_users": False},
    "errors in HTML": {"error_style": "html"},
    "errors without body": {"error_style": "empty", "discovery": "html"},
    "no discovery": {"discovery": 404},
    "deleted are gone": {"after_delete": "not_found"},
    "members twice": {"duplicate_members": True},
    "at most 3 members a PATCH": {"max_members_per_patch": 3},
    "unique groups": {"unique_groups": True},
    "much of it": {
        "filters": "ignored",
        "page_cap": 7,
        "past_end": "first_page",
        "total": "missing",
        "numeric_ids": True,
        "patch_answers": 204,
        "conflict_scim_type": False,
        "error_style": "html",
        "duplicate_members": True,
        "max_members_per_patch": 3,
        "discovery": 501,
    },
}
THERE = 40
FREE = ChangeGuard(
    max_deactivation_percent=None, max_creation_percent=None, max_member_removal_percent=None
)


def small_account() -> Account:
    return generate_account(users=THERE, groups=3, enrollments=0)


@asynccontextmanager
async def lying(
    account: Account | None = None, **rules: Any
) -> AsyncIterator[tuple[Simulator, ScimClient]]:
    given = small_account() if account is None else account
    async with (
        Simulator(given, scim=ScimRules(**rules), limits=()) as sim,
        # A PUT cannot keep what the server does not show: for such a one there is the other mode.
        client_of(sim, update_mode="patch" if rules.get("hide_kmsat") else "put") as scim,
    ):
        yield sim, scim


def records(sim: Simulator) -> dict[int, dict[str, Any]]:
    """The users of the account by id, without the console's clocks."""
    return {user["id"]: dict(user) for user in sim.account.users}


def written(sim: Simulator) -> list[str]:
    return [f"{entry.method} {entry.path}" for entry in sim.log if entry.method in WRITES]


@pytest.mark.parametrize("rules", LIES.values(), ids=LIES)
async def test_the_client(rules: dict[str, Any]) -> None:
    async with lying(**rules) as (sim, scim):
        before = records(sim)
        listed = [user.user_name async for user in scim.users.list()]
        assert sorted(listed) == sorted(user["email"] for user in before.values())
        # Users.
        new = person(1, title="T", custom_field_1="C")
        results = [found.result for found in await each_of([new] * 4, scim.users.ensure, 2)]
        # Of what the server does not show nobody knows whether it holds: it is written again.
        again = "updated" if rules.get("hide_kmsat") else "unchanged"
        assert sorted(results) == sorted(["created", *[again] * 3])
        found = await scim.users.find("USER00001@Example.com")
        assert found is not None
        assert found.user_name == new.user_name
        assert await scim.users.find("nobody@example.com") is None
        with pytest.raises(NotFoundError):
            await scim.users.deactivate("nobody@example.com")
        with pytest.raises(NotFoundError):
            await scim.users.delete("nobody@example.com")
        assert (await scim.users.update(new.user_name, title="U")).result == "updated"
        assert (await scim.users.deactivate(new.user_name)).result == "deactivated"
        assert (await scim.users.deactivate(new.user_name)).result == "unchanged"
        found_archived = await scim.users.ensure(person(1))
        assert found_archived.result == "conflict"
        assert "reactivate" in found_archived.detail
        assert (await scim.users.reactivate(new.user_name)).result == "reactivated"
        # Groups.
        groups = [found.result for found in await each_of(["G"] * 4, scim.groups.ensure, 4)]
        assert sorted(groups) == ["created", *["unchanged"] * 3]
        ids = [str(user.id) async for user in scim.users.list()]
        group = await scim.groups.find("G")
        assert group is not None
        assert (await scim.groups.add_members(group, ids[:20])).ok
        assert (await scim.groups.replace_members(group, ids[10:30])).ok
        assert (await scim.groups.remove_members(group, ids[10:15])).ok
        assert await members_of(scim, group) == sorted(ids[15:30])
        await scim.users.delete(new.user_name)
        # Nobody else was written, but for the membership.
        after = records(sim)
        for user in before.values():
            assert {**after[user["id"]], "groups": user["groups"]} == user
        made = [user for key, user in after.items() if key not in before]
        assert [(user["email"], user["status"]) for user in made] == [(new.user_name, "archived")]
        assert made[0]["job_title"] == "U"
        assert made[0]["custom_field_1"] == "C"
        assert len(sim.log) < 60 + 12 * 9  # every look-up may read the whole list


@pytest.mark.parametrize("rules", LIES.values(), ids=LIES)
async def test_the_writer(rules: dict[str, Any]) -> None:
    """Two created, two updated, two deactivated, a group; then nothing more to do."""
    guard = ChangeGuard(max_deactivation_percent=None)
    async with lying(**rules) as (sim, scim):
        before = records(sim)
        names = [str(user["email"]) for user in before.values() if user["status"] == "active"]
        kept: list[ScimUser] = [ScimUser(name) for name in names[2:]]
        kept[0] = ScimUser(names[2], title="New", department="Other")
        kept[1] = ScimUser(names[3].upper(), title="New")
        users = [*kept, *people(2)]
        groups = [{"displayName": "G", "members": [*names[2:9], "user00001@example.com"]}]
        writer = ScimWriter(scim, guard=guard)
        plan = await writer.plan(users, groups, missing="deactivate")
        assert [(step.operation, step.name) for step in plan.steps] == [
            ("update_user", names[2]),
            ("update_user", names[3]),
            ("create_user", "user00000@example.com"),
            ("create_user", "user00001@example.com"),
            ("create_group", "G"),
            ("change_members", "G"),
            ("deactivate_user", names[0]),
            ("deactivate_user", names[1]),
        ]
        outcomes = await applied(writer, plan)
        assert [found for found in outcomes if not found.ok] == []
        assert tally(outcomes) == {"created": 3, "updated": 3, "deactivated": 2}
        count = len(written(sim))
        assert set(tally(await applied(writer, plan))) == {"unchanged"}
        second = await writer.plan(users, groups, missing="deactivate")
        assert second.steps == ()
        assert len(written(sim)) == count
        after = records(sim)
        changed = {user["email"] for key, user in after.items() if user != before.get(key)}
        assert changed == {*names[:9], *(each.user_name for each in people(2))}
        archived = {
            u["email"]
            for k, u in after.items()
            if u["status"] == "archived" and before[k]["status"] != "archived"
        }
        assert archived == set(names[:2])
        assert {user["job_title"] for user in after.values() if user["email"] in names[2:4]} == {
            "New"
        }


@pytest.mark.parametrize("filters", ["work", "ignored", "empty", "case_exact"])
@pytest.mark.parametrize("total", ["right", "page", "missing"])
async def test_users_that_are_shown_nowhere(filters: str, total: str) -> None:
    """It does not exist, and already exists: that ends after one list, and the same in a plan."""
    account = small_account()
    hidden = str(next(iter(account.users))["email"])
    async with lying(account, shows_others=False, filters=filters, total=total) as (sim, scim):
        before = records(sim)
        await scim.users.create(person(7))
        first = len(sim.log)
        found = await scim.users.ensure(ScimUser(hidden, title="T"))
        assert found.result == "conflict"
        assert "ADI" in found.detail
        sent = sim.log[first:]
        assert [entry.method for entry in sent].count("POST") == 1
        assert len(sent) <= 10
        writer = ScimWriter(scim, guard=ChangeGuard(max_creation_percent=None))
        plan = await writer.plan([ScimUser(hidden, title="T"), person(8), person(7)])
        first = len(sim.log)
        outcomes = {found.name: found.result for found in await applied(writer, plan)}
        assert outcomes == {hidden: "conflict", person(8).user_name: "created"}
        assert len(sim.log) - first <= 14
        after = records(sim)
        assert {key: after[key] for key in before} == before


async def test_without_sso_one_request_is_enough() -> None:
    async with lying(sso=False) as (sim, scim):
        with pytest.raises(PermissionDeniedError, match="SSO"):
            await scim.users.ensure(person(1))
        with pytest.raises(PermissionDeniedError, match="SSO"):
            await ScimWriter(scim).plan(people(3))
        assert len(sim.log) == 2


async def test_members_that_are_shown_in_part_are_a_conflict() -> None:
    async with lying(members_shown=5) as (sim, scim):
        ids = [str(user.id) async for user in scim.users.list()]
        group = await scim.groups.create("G")
        found = await scim.groups.add_members(group, ids[:12])
        assert (found.result, found.unconfirmed) == ("conflict", ("members",))
        (record,) = [each for each in sim.account.groups if each["name"] == "G"]
        assert record["member_count"] == 12
        found = await scim.groups.replace_members(group, ids[20:23])
        assert not found.ok or found.unconfirmed == ("members",) or found.result == "conflict"
        assert len(sim.log) < 25


@pytest.mark.parametrize("form", ["filter", "value"])
async def test_the_wrong_form_of_removal_says_which_is_right(form: Any) -> None:
    other = "value" if form == "filter" else "filter"
    async with lying(member_removal=form) as (sim, scim):
        ids = [str(user.id) async for user in scim.users.list()]
        group = await scim.groups.create("G")
        assert (await scim.groups.add_members(group, ids[:8])).ok
        first = len(sim.log)
        async with client_of(sim, member_removal=other) as wrong:
            with pytest.raises(ScimError, match="member_removal"):
                await wrong.groups.remove_members(group, ids[:4])
        assert len(sim.log) - first < 10
        async with client_of(sim, member_removal=form) as right:
            found = await right.groups.remove_members(group, ids[:4])
        assert found.removed == tuple(ids[:4])
        assert await members_of(scim, group) == sorted(ids[4:8])


@pytest.mark.parametrize("most", [1, 2, 3, 7, 64])
async def test_chunks_are_halved_until_the_server_takes_them(most: int) -> None:
    account = generate_account(users=150, groups=1, enrollments=0)
    async with lying(account, max_members_per_patch=most) as (sim, scim):
        ids = [str(user.id) async for user in scim.users.list()]
        group = await scim.groups.create("G")
        assert len((await scim.groups.add_members(group, ids)).added) == 150
        first = len(sim.log)
        assert len((await scim.groups.remove_members(group, ids[:100])).removed) == 100
        assert await members_of(scim, group) == sorted(ids[100:])
        assert len(sim.log) - first < 12 + 2 * 100 / most


@pytest.mark.parametrize("form", ["filter", "value"])
async def test_chunks_are_halved_where_they_are_too_large(form: Any) -> None:
    """413, which says nothing of how many would be taken."""
    account = generate_account(users=150, groups=1, enrollments=0)
    async with lying(account) as (sim, _), client_of(sim, member_removal=form) as scim:
        ids = [str(user.id) async for user in scim.users.list()]
        group = await scim.groups.create("G")
        large = sim.faults.add(
            Fault.status(413, applied=False),
            method="PATCH",
            where=lambda entry: len(json.dumps(entry.body)) > 1000,
            times=None,
        )
        assert len((await scim.groups.add_members(group, ids)).added) == 150
        assert len((await scim.groups.remove_members(group, ids[:100])).removed) == 100
        assert await members_of(scim, group) == sorted(ids[100:])
        assert 2 <= large.played < 30


async def test_two_of_one_name_are_left_alone() -> None:
    """A server that does not keep names unique holds two: nobody knows which is meant."""
    async with lying(unique_users=False) as (sim, scim):
        await scim.users.create(person(1))
        await scim.users.create(person(1))
        count = len(written(sim))
        with pytest.raises(AmbiguousMatchError):
            await scim.users.deactivate(person(1).user_name)
        found = await scim.users.ensure(person(1, title="T"))
        assert found.result == "conflict"
        plan = await ScimWriter(scim).plan([person(1, title="T")])
        assert plan.steps == ()
        assert any("make them one" in note for note in plan.notes)
        assert len(written(sim)) == count


@pytest.mark.parametrize("filters", ["work", "empty", "ignored"])
async def test_who_is_spelled_in_other_letters_is_somebody_else(filters: str) -> None:
    """The simulated server takes ß for ss, as many databases do."""
    async with lying(filters=filters) as (sim, scim):
        made = await scim.users.create(ScimUser("strasse@example.com", title="CEO"))
        before, count = records(sim), len(written(sim))
        assert await scim.users.find("straße@example.com") is None
        with pytest.raises(NotFoundError):
            await scim.users.deactivate("straße@example.com")
        plan = await ScimWriter(scim).plan([ScimUser("straße@example.com", active=False)])
        assert plan.steps == ()
        assert len(written(sim)) == count
        found = await scim.users.ensure(ScimUser("straße@example.com", title="Intern"))
        assert found.result == "conflict"  # the server says that it exists
        assert records(sim) == before
        same = await scim.users.ensure(ScimUser("STRASSE@example.com", title="CEO"))
        assert (same.result, same.id) == ("unchanged", made.id)


async def test_a_deleted_user_that_is_neither_shown_nor_free() -> None:
    async with lying(after_delete="not_found") as (sim, scim):
        await scim.users.create(person(1))
        await scim.users.delete(person(1).user_name)
        first = len(sim.log)
        found = await scim.users.ensure(person(1))
        assert found.result == "conflict"
        assert len(sim.log) - first <= 10


async def test_a_list_shorter_than_its_total_is_no_plan() -> None:
    """A server that loses users on the way shows a total that does not fit."""
    async with lying() as (sim, scim):
        row = {"id": "1", "userName": "a@example.com", "active": True}
        body = json.dumps({"totalResults": 50, "Resources": [row]}).encode()
        sim.faults.add(Fault.status(200, body=body), times=None)
        with pytest.raises(IncompleteListingError):
            await ScimWriter(scim).plan(people(2), missing="deactivate")
        assert len(sim.log) < 10
