"""The SCIM pages say what the code does: compared here, so that neither moves alone."""

import dataclasses
import inspect
import operator
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, get_args

import pytest
from support.documentation import PAGES, read, table

from kb4_async import (
    ChangeGuard,
    Limits,
    ScimClient,
    ScimUser,
    ScimWriter,
    read_groups,
    read_users,
)
from kb4_async.protocol.scim.groups import MemberRemoval
from kb4_async.protocol.scim.outcome import Result
from kb4_async.protocol.scim.schema import ENTERPRISE, KMSAT, USER_ATTRIBUTES
from kb4_async.protocol.scim.verifying import SHOWN_AS
from kb4_async.testing import Simulator, generate_account

PAGE = "docs/reference/scim.md"


def names(rows: list[list[str]]) -> list[str]:
    return [row[0].strip("`") for row in rows]


def arguments(function: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


def client() -> ScimClient:
    return ScimClient("token", tenant_url="http://127.0.0.1:8080/scim/v2")


def test_every_noun_and_method_that_is_named_exists() -> None:
    scim = client()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for path in re.findall(r"(?<![\w.])scim((?:\.(?!py\b|md\b)[a-z]\w*)+)", text):
            operator.attrgetter(path[1:])(scim)


def test_every_method_of_a_noun_is_in_the_table() -> None:
    scim = client()
    internal = {
        *("call", "read", "set_active"),
        *("change_members", "bring", "post", "ensure_one", "resolve", "find_or_create", "locate"),
    }
    rows = table(read(PAGE), "Noun")

    assert names(rows) == ["scim.users", "scim.groups"]
    for noun, methods in rows:
        value = operator.attrgetter(noun.strip("`").removeprefix("scim."))(scim)
        there = {name for name, _ in inspect.getmembers(value, inspect.ismethod) if name[0] != "_"}
        assert set(re.findall(r"`(\w+)\(", methods)) == there - internal


@pytest.mark.parametrize(
    ("page", "heading", "function"),
    [
        (PAGE, "## Client", ScimClient),
        (PAGE, "### plan", ScimWriter.plan),
        ("docs/reference/scim-input.md", "# SCIM input", read_users),
    ],
)
def test_arguments_are_those_of_the_code(
    page: str, heading: str, function: Callable[..., Any]
) -> None:
    _, _, text = read(page).partition(f"{heading}\n")

    assert names(table(text, "Argument")) == arguments(function)


def test_groups_are_read_with_the_same_arguments_but_one() -> None:
    assert arguments(read_groups) == [each for each in arguments(read_users) if each != "empty"]


def test_caps_are_those_of_the_guard() -> None:
    told = {row[0].strip("`"): float(row[2]) for row in table(read(PAGE), "Cap")}

    fields = {each.name: each.default for each in dataclasses.fields(ChangeGuard)}
    assert set(fields) - set(told) == {"protected", "allow_lookalikes"}
    assert told == {name: fields[name] for name in told}


def test_caps_of_the_command_are_those_of_the_guard() -> None:
    guard = ChangeGuard()
    rows = table(read("docs/reference/command.md"), "Guard")
    told = {
        name.strip("`-").replace("-", "_"): float(found[1])
        for name, text in rows
        if (found := re.search(r"\((\d+)\)$", text))
    }

    assert len(told) == 8
    assert told == {name: float(getattr(guard, name)) for name in told}


def test_results_are_those_of_outcomes() -> None:
    rows = table(read(PAGE), "`result`")

    assert names(rows) == list(get_args(Result))
    bad = {row[0].strip("`") for row in rows if row[2] == "3"}
    assert bad == {"failed", "unknown", "conflict"}


def test_fields_are_those_of_the_code() -> None:
    rows = {row[0].strip("`"): row for row in table(read(PAGE), "Field")}

    assert list(rows) == [each.field for each in USER_ATTRIBUTES]
    assert set(rows) <= {each.name for each in dataclasses.fields(ScimUser)}
    for attribute in USER_ATTRIBUTES:
        short = attribute.name.replace(f"{ENTERPRISE}:", "enterprise:")
        short = short.replace(f"{KMSAT}:", "kmsat:")
        _, scim, _, reported = rows[attribute.field]
        assert scim.strip("`") == short
        assert reported.strip("`") == {**SHOWN_AS, "active": "status"}.get(attribute.field, "")


@pytest.mark.usefixtures("fast")
async def test_calls_cost_what_the_page_says() -> None:
    account = generate_account(users=400, groups=3)
    told = {row[0]: row[1] for row in table(read(PAGE), "Call")}
    async with Simulator(account) as sim, sim_client(sim) as scim:
        async with sim_client(sim) as other:
            people = await other.users.list().collect()
        ids = [str(each.id) for each in people]
        ann = people[0].user_name
        made = await scim.groups.create("Costly")
        many, group = ids[:150], made.id

        async def cost(work: Callable[[], Awaitable[object]]) -> str:
            sim.log.clear()
            await work()
            return str(len(sim.log))

        async def more(than: str, work: Callable[[], Awaitable[object]]) -> str:
            return f"{int(await cost(work)) - int(told[than])} more"

        users = scim.users
        found = {
            "`scim.users.find(name)` of somebody who is there": await cost(lambda: users.find(ann)),
            "the first `scim.users.find(name)` of nobody": await cost(
                lambda: users.find("nobody@example.com")
            ),
            "any later `scim.users.find(name)` of nobody": await cost(
                lambda: users.find("nobody@example.com")
            ),
            "`scim.users.ensure(user)`, a create": await cost(
                lambda: users.ensure(ScimUser("new@example.com"))
            ),
            "`scim.users.ensure(user)`, nothing to do": await cost(
                lambda: users.ensure(ScimUser("new@example.com"))
            ),
            "the first `scim.users.update(id, ...)`": await cost(
                lambda: users.update(ids[0], title="One")
            ),
            "any later `scim.users.update(id, ...)`": await cost(
                lambda: users.update(ids[0], title="Two")
            ),
            "the same by `userName`": await more(
                "any later `scim.users.update(id, ...)`", lambda: users.update(ann, title="Three")
            ),
            "`scim.users.deactivate(id)`": await cost(
                lambda: users.deactivate(next(e for e in people if e.active is True))
            ),
            "`scim.users.replace(id, user)`": await cost(
                lambda: users.replace(ids[0], ScimUser(ann))
            ),
            "`scim.groups.ensure(name)` of a group that is there": await cost(
                lambda: scim.groups.ensure("Costly")
            ),
            "`scim.groups.add_members(id, members)`, 150 new ones": await cost(
                lambda: scim.groups.add_members(group, many)
            ),
            "`scim.groups.remove_members(id, members)`, 60 of them": await cost(
                lambda: scim.groups.remove_members(group, many[:60])
            ),
        }
        async with sim_client(sim) as fresh:
            users = fresh.users
            found["the first `scim.users.ensure(user)` that changes a field"] = await cost(
                lambda: users.ensure(ScimUser(ann, title="Four"))
            )
            found["any later `scim.users.ensure(user)` that changes a field"] = await cost(
                lambda: users.ensure(ScimUser(ann, title="Five"))
            )
            found["`scim.users.ensure(user)` that only archives"] = await cost(
                lambda: users.ensure(ScimUser(ann, active=False))
            )
        async with sim_client(sim, member_removal="value") as by_value:
            first, later = [
                int(await cost(partial(by_value.groups.remove_members, group, some)))
                for some in (many[60:90], many[90:120])
            ]
            name = 'the first removal of a client with `member_removal="value"`'
            found[name] = f"{first - later} more"

    assert found == {name: requests for name, requests in told.items() if name in found}
    assert set(told) - set(found) == {"`scim.users.list()`"}  # the next test


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize(("users", "requests"), [(250, 3), (200, 3)])
async def test_a_list_costs_what_the_page_says(users: int, requests: int) -> None:
    async with Simulator(generate_account(users=0, groups=0)) as sim, sim_client(sim) as scim:
        for number in range(users):
            await scim.users.create(ScimUser(f"user.{number}@example.com"))
        sim.log.clear()
        assert len(await scim.users.list().collect()) == users
        assert len(sim.log) == requests


def sim_client(sim: Simulator, member_removal: MemberRemoval = "filter") -> ScimClient:
    return ScimClient(
        sim.scim_token,
        tenant_url=sim.tenant_url,
        limits=Limits.of("1000/60s"),
        member_removal=member_removal,
    )
