"""Thousands of writes to servers of others, of which a fifth of the answers is lost."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from support.losing_proxy import LosingProxy, Name, every
from support.scim_clients import (
    LOSSES,
    MEMBER_FORMS,
    all_of,
    applied,
    blind,
    client,
    each_of,
    is_kept,
    members_of,
    mixture,
    people,
    tally,
    written,
)
from support.scim_servers import PEERS, Peer, Peers, all_groups, all_users, call, session

from kb4_async import ChangeGuard, ScimUser, ScimWriter
from kb4_async.protocol.scim.groups import MemberRemoval, add_patch

pytestmark = pytest.mark.usefixtures("scaled_up")

CORE_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
#: scimmy goes through all of its users for each request: 1,000 took it 86 s, the others 5 and 8.
USERS = {"scim2-server": 1000, "django-scim2": 1000, "scimmy": 200}
#: A plan is made of fewer where the server is slow: what it shows does not hang on their number.
PLANNED = {"scim2-server": 1000, "django-scim2": 300, "scimmy": 200}
#: No cap.
OPEN = ChangeGuard(
    max_creations=None,
    max_creation_percent=None,
    max_member_removals=None,
    max_member_removal_percent=None,
)


@pytest.fixture(params=PEERS)
def server(request: pytest.FixtureRequest, peers: Peers) -> Peer:
    return peers.empty(request.param)


def wanted_of(server: Peer, count: int) -> list[ScimUser]:
    more: dict[str, Any] = (
        {} if server.name == "django-scim2" else {"title": "T", "department": "D"}
    )
    return people(count, **more)


async def holds_exactly(server: Peer, users: list[ScimUser]) -> None:
    rows = {row["userName"]: row for row in await all_users(server)}
    assert len(rows) == len(users)
    assert [user.user_name for user in users if not is_kept(rows[user.user_name], user)] == []


async def test_ensure_of_many(server: Peer) -> None:
    users = wanted_of(server, USERS[server.name])
    async with LosingProxy(server.origin, mixture(0.2, 1)) as proxy:
        async with client(server.by(proxy.origin)) as scim:
            outcomes = await each_of(users, scim.users.ensure)
        assert [found for found in outcomes if not found.ok] == []
        assert tally(outcomes)["adopted"] > len(users) / 20
        await proxy.quiet()
        assert {name: proxy.count(name) > 10 for name in LOSSES} == dict.fromkeys(LOSSES, True)
        assert blind(proxy.log) == []
        await holds_exactly(server, users)
        first = len(proxy.log)
        async with client(server.by(proxy.origin)) as scim:
            outcomes = await each_of(users, scim.users.ensure)
        assert tally(outcomes) == {"unchanged": len(users)}
        assert written(proxy, first) == []


async def test_a_plan_of_many(server: Peer) -> None:
    users = wanted_of(server, PLANNED[server.name])
    async with LosingProxy(server.origin, mixture(0.2, 2)) as proxy:
        async with client(server.by(proxy.origin)) as scim:
            writer = ScimWriter(scim, guard=OPEN)
            plan = await writer.plan(users)
            assert plan.count("create_user") == len(plan.steps) == len(users)
            outcomes = await applied(writer, plan)
            assert [found for found in outcomes if not found.ok] == []
            assert sorted(found.name for found in outcomes) == sorted(u.user_name for u in users)
            await proxy.quiet()
            assert blind(proxy.log) == []
            await holds_exactly(server, users)
            first = len(proxy.log)
            assert tally(await applied(writer, plan)) == {"unchanged": len(users)}
            again = await writer.plan(users)
            assert again.changes_nothing
            assert await applied(writer, again) == []
        assert written(proxy, first) == []


# -- groups ------------------------------------------------------------------------------------


async def test_groups_are_made_once(server: Peer) -> None:
    names = [f"Group {number}" for number in range(50)]
    script = all_of(every(2, {"POST"}, "lose_after"), mixture(0.2, 3))
    async with LosingProxy(server.origin, script) as proxy:
        async with client(server.by(proxy.origin)) as scim:
            outcomes = await each_of(names, scim.groups.ensure)
        assert [found for found in outcomes if not found.ok] == []
        assert tally(outcomes)["adopted"] > 20
        await proxy.quiet()
        assert blind(proxy.log) == []
        assert sorted(row["displayName"] for row in await all_groups(server)) == sorted(names)
        first = len(proxy.log)
        async with client(server.by(proxy.origin)) as scim:
            again = await each_of(names, scim.groups.ensure)
        assert tally(again) == {"unchanged": len(names)}
        assert written(proxy, first) == []


async def ids_of(server: Peer, count: int) -> list[str]:
    """So many users, made without the client."""
    async with session(server) as http:

        async def make(number: int) -> str:
            body = {"schemas": [CORE_USER], "userName": f"m{number}@example.com"}
            answer = await call(http, server, "POST", "/Users", body)
            assert answer.status == 201
            return str(answer.body["id"])

        return await each_of(range(count), make)


async def members(server: Peer) -> list[str]:
    """Of the one group, as often as each is stored."""
    (found,) = await all_groups(server)
    return sorted(str(each["value"]) for each in found.get("members") or [])


@pytest.mark.parametrize(
    ("server", "form"),
    [(name, form) for name in PEERS for form in MEMBER_FORMS[name]],
    indirect=["server"],
)
async def test_a_large_group_with_every_third_patch_lost(server: Peer, form: MemberRemoval) -> None:
    """Lost before the server heard of it, after, and in the middle of the answer, by turns."""
    ids = await ids_of(server, 600)
    ways: Iterator[Name] = itertools.cycle(("lose_after", "lose_before", "cut_after"))
    third = every(3, {"PATCH"}, "lose_after")

    def script(number: int, method: str, path: str) -> Name:
        return "pass" if third(number, method, path) == "pass" else next(ways)

    async with LosingProxy(server.origin, script) as proxy:
        async with client(server.by(proxy.origin), member_removal=form) as scim:
            group = (await scim.groups.ensure("G")).id
            assert group is not None
            added = await scim.groups.add_members(group, ids[:500])
            assert (added.result, sorted(added.added)) == ("updated", sorted(ids[:500]))
            assert await members(server) == sorted(ids[:500])
            changed = await scim.groups.replace_members(group, ids[100:])
            assert (changed.result, set(changed.added)) == ("updated", set(ids[500:]))
            assert set(changed.removed) == set(ids[:100])
            assert await members(server) == sorted(ids[100:])
            removed = await scim.groups.remove_members(group, ids[500:])
            assert (removed.result, set(removed.removed)) == ("updated", set(ids[500:]))
            assert await members(server) == sorted(ids[100:500])
            first = len(proxy.log)
            assert (await scim.groups.replace_members(group, ids[100:500])).result == "unchanged"
            assert written(proxy, first) == []
        assert proxy.count("lose_after") > 0
        assert proxy.count("lose_before") > 0
        assert proxy.count("cut_after") > 0
        assert blind(proxy.log) == []


@pytest.mark.parametrize("form", MEMBER_FORMS["scimmy"])
async def test_members_that_scimmy_holds_twice(form: MemberRemoval, peers: Peers) -> None:
    server = peers.empty("scimmy")
    ids = await ids_of(server, 6)
    async with client(server, member_removal=form) as scim:
        group = await scim.groups.create("G")
        async with session(server) as http:
            for _ in range(2):
                body = add_patch(ids[:4])
                await call(http, server, "PATCH", f"/Groups/{group.id}", body)
        assert await members(server) == sorted(ids[:4] * 2)
        assert await members_of(scim, group) == sorted(ids[:4])
        assert (await scim.groups.add_members(group, ids[:4])).result == "unchanged"
        changed = await scim.groups.replace_members(group, ids[3:])
        assert (changed.added, changed.removed) == (tuple(ids[4:]), tuple(ids[:3]))
        assert await members(server) == sorted([ids[3], *ids[3:]])
