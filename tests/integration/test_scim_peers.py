"""Other people's SCIM servers: that they run, and answer what was recorded of them.

Where they differ the difference is named, since it is what a client has to live with.
"""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from support.scim_plain import (
    ENTERPRISE,
    KMSAT,
    USER,
    by_peer,
    created,
    group,
    no_second_try,
    patch,
    user,
)
from support.scim_servers import (
    KEEP_KMSAT,
    PEERS,
    TESTS,
    TOKEN,
    Peer,
    Peers,
    all_groups,
    all_users,
    call,
    count_users,
    missing,
    peer,
    session,
    start,
)


@pytest.fixture(params=PEERS)
def server(request: pytest.FixtureRequest, peers: Peers) -> Peer:
    """Each of the servers, empty."""
    return peers.empty(request.param)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A session with the token that all of them let in, and that sends nothing twice."""
    async with aiohttp.ClientSession(
        headers={"Authorization": f"Bearer {TOKEN}"}, middlewares=(no_second_try,)
    ) as http:
        yield http


class TestServers:
    async def test_each_lets_in_its_token_alone(
        self, server: Peer, http: aiohttp.ClientSession
    ) -> None:
        right = await call(http, server, "GET", "/Users")
        assert (right.status, right.body["totalResults"]) == (200, 0)
        async with aiohttp.ClientSession() as stranger:
            assert (await call(stranger, server, "GET", "/Users")).status == 401
            stranger.headers["Authorization"] = "Bearer of another"
            assert (await call(stranger, server, "POST", "/Users", user("a@x.com"))).status == 401
        assert await count_users(server) == 0

    async def test_each_is_empty_for_each_test(self, server: Peer, peers: Peers) -> None:
        async with session(server) as http:
            await created(http, server, "/Users", user("a@x.com"))
            await created(http, server, "/Groups", group("A"))
        assert await count_users(server) == 1
        assert peers.empty(server.name) is server
        assert await count_users(server) == 0
        assert await all_groups(server) == []

    async def test_a_user_comes_back_as_sent(
        self, server: Peer, http: aiohttp.ClientSession
    ) -> None:
        sent = user(
            "jdoe@example.com",
            schemas=[USER, ENTERPRISE, KMSAT],
            **{
                ENTERPRISE: {"employeeNumber": "1001", "department": "Engineering"},
                KMSAT: {"customField1": "x", "customDate1": "2026-01-02T03:04:05Z"},
            },
        )
        id_ = await created(http, server, "/Users", sent)
        (found,) = await all_users(server)
        assert found == (await call(http, server, "GET", f"/Users/{id_}")).body
        assert found["userName"] == "jdoe@example.com"
        assert found["name"]["familyName"] == "Doe"
        assert found["active"] is True
        kept = server.name in KEEP_KMSAT
        assert found.get(ENTERPRISE, {}).get("department") == ("Engineering" if kept else None)
        assert found.get(KMSAT, {}).get("customField1") == ("x" if kept else None)
        date = by_peer(server, "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z", None)
        assert found.get(KMSAT, {}).get("customDate1") == date

    async def test_a_taken_user_name(self, server: Peer, http: aiohttp.ClientSession) -> None:
        await created(http, server, "/Users", user("jdoe@example.com"))
        again = await call(http, server, "POST", "/Users", user("jdoe@example.com"))
        assert again.status == 409
        assert again.body.get("scimType") == by_peer(server, "uniqueness", "uniqueness", None)
        other_case = await call(http, server, "POST", "/Users", user("JDoe@Example.com"))
        assert other_case.status == by_peer(server, 409, 409, 201)
        query = {"filter": 'userName eq "jdoe@example.com"'}
        found = await call(http, server, "GET", "/Users", **query)
        assert found.body["totalResults"] == by_peer(server, 1, 1, 2)

    async def test_of_many_at_once_one_is_created(
        self, server: Peer, http: aiohttp.ClientSession
    ) -> None:
        async with asyncio.TaskGroup() as racing:
            tries = [
                racing.create_task(call(http, server, "POST", "/Users", user("a@x.com")))
                for _ in range(6)
            ]
        assert sorted(each.result().status for each in tries) == [201, 409, 409, 409, 409, 409]
        assert await count_users(server) == 1

    async def test_filters(self, server: Peer, http: aiohttp.ClientSession) -> None:
        for name in ("ann+tag@x.com", "bob@x.com"):
            await created(http, server, "/Users", user(name, externalId=f"of {name}"))
        await created(http, server, "/Groups", group("Engineering"))

        async def total(path: str, filter_: str) -> int:
            answer = await call(http, server, "GET", path, filter=filter_)
            assert answer.status == 200, answer
            return int(answer.body["totalResults"])

        assert await total("/Users", 'userName eq "ann+tag@x.com"') == 1
        assert await total("/Users", 'userName eq "nobody@x.com"') == 0
        assert await total("/Users", 'externalId eq "of bob@x.com"') == by_peer(server, 1, 1, 0)
        found = await total("/Groups", 'displayName eq "Engineering"')
        assert found == by_peer(server, 1, 1, 0)
        quoted = await call(http, server, "GET", "/Users", filter=r'userName eq "o\"brien"')
        assert quoted.status == by_peer(server, 200, 400, 400)

    async def test_pages(self, server: Peer, http: aiohttp.ClientSession) -> None:
        names = {f"u{number:02}@x.com" for number in range(25)}
        for name in sorted(names):
            await created(http, server, "/Users", user(name))
        for size in (7, 25, 100):
            assert {row["userName"] for row in await all_users(server, size)} == names
        beyond = await call(http, server, "GET", "/Users", startIndex=1000, count=2)
        assert len(beyond.body["Resources"]) == by_peer(server, 0, 2, 0)

    async def test_active_is_patched(self, server: Peer, http: aiohttp.ClientSession) -> None:
        path = "/Users/" + await created(http, server, "/Users", user("a@x.com"))
        body = patch(op="replace", path="active", value=False)
        answer = await call(http, server, "PATCH", path, body)
        assert answer.status == by_peer(server, 204, 200, 200)
        assert (await call(http, server, "GET", path)).body["active"] is False
        bare = await call(http, server, "PATCH", path, {"active": True})
        assert bare.status == 400
        assert (await call(http, server, "GET", path)).body["active"] is False

    async def test_put_drops_what_it_does_not_name(
        self, server: Peer, http: aiohttp.ClientSession
    ) -> None:
        path = "/Users/" + await created(http, server, "/Users", user("a@x.com", title="CEO"))
        bare = {"schemas": [USER], "userName": "a@x.com"}
        assert (await call(http, server, "PUT", path, bare)).status == 200
        found = (await call(http, server, "GET", path)).body
        assert "title" not in found
        emails = by_peer(server, None, None, [{"value": "a@x.com", "primary": True}])
        assert found.get("emails") == emails

    async def test_deleted_is_gone(self, server: Peer, http: aiohttp.ClientSession) -> None:
        path = "/Users/" + await created(http, server, "/Users", user("a@x.com"))
        assert (await call(http, server, "DELETE", path)).status == 204
        assert (await call(http, server, "GET", path)).status == 404
        assert (await call(http, server, "DELETE", path)).status == 404
        await created(http, server, "/Users", user("a@x.com"))


class TestMembers:
    async def members(self, server: Peer) -> list[str]:
        (found,) = await all_groups(server)
        return sorted(str(member["value"]) for member in found.get("members") or [])

    async def test_added(self, server: Peer, http: aiohttp.ClientSession) -> None:
        ids = [await created(http, server, "/Users", user(f"{name}@x.com")) for name in "abc"]
        path = "/Groups/" + await created(http, server, "/Groups", group("G"))
        add = patch(op="add", path="members", value=[{"value": id_} for id_ in ids])
        answer = await call(http, server, "PATCH", path, add)
        assert answer.status == by_peer(server, 204, 200, 200)
        assert await self.members(server) == sorted(ids)
        await call(http, server, "PATCH", path, add)
        assert await self.members(server) == sorted(by_peer(server, ids, ids * 2, ids))

    @pytest.mark.parametrize("form", ["filter", "value", "empty"])
    async def test_forms_of_removal(
        self, server: Peer, http: aiohttp.ClientSession, form: str
    ) -> None:
        ids = [await created(http, server, "/Users", user(f"{name}@x.com")) for name in "ab"]
        path = "/Groups/" + await created(http, server, "/Groups", group("G"))
        add = patch(op="add", path="members", value=[{"value": id_} for id_ in ids])
        await call(http, server, "PATCH", path, add)
        removals = {
            "filter": patch(op="remove", path=f'members[value eq "{ids[0]}"]'),
            "value": patch(op="remove", path="members", value=[{"value": ids[0]}]),
            "empty": patch(op="remove", path="members"),
        }
        statuses = {
            "filter": (204, 200, 501),
            "value": (400, 200, 200),
            "empty": (204, 200, 200),
        }
        one, none = [ids[1]], list[str]()
        left = {
            "filter": (one, one, ids),
            "value": (ids, one, one),
            "empty": (none, none, ids),  # django-scim2 says 200, and removes nobody
        }
        answer = await call(http, server, "PATCH", path, removals[form])
        assert answer.status == by_peer(server, *statuses[form])
        assert await self.members(server) == sorted(by_peer(server, *left[form]))

    async def test_of_a_new_group(self, server: Peer, http: aiohttp.ClientSession) -> None:
        id_ = await created(http, server, "/Users", user("a@x.com"))
        body = {**group("G"), "members": [{"value": id_}]}
        await created(http, server, "/Groups", body)
        assert await self.members(server) == by_peer(server, [id_], [id_], [])


class TestScimmySwitches:
    async def test_every_filter_matches_everyone(
        self, peers: Peers, http: aiohttp.ClientSession
    ) -> None:
        server = peers.empty("scimmy", IGNORE_FILTER="1")
        for name in ("a@x.com", "b@x.com"):
            await created(http, server, "/Users", user(name))
        answer = await call(http, server, "GET", "/Users", filter='userName eq "b@x.com"')
        assert [row["userName"] for row in answer.body["Resources"]] == ["a@x.com", "b@x.com"]

    async def test_delete_archives(self, peers: Peers, http: aiohttp.ClientSession) -> None:
        server = peers.empty("scimmy", DELETE_ARCHIVES="1")
        path = "/Users/" + await created(http, server, "/Users", user("a@x.com"))
        assert (await call(http, server, "DELETE", path)).status == 204
        answer = await call(http, server, "GET", path)
        assert (answer.status, answer.body["active"]) == (200, False)
        assert (await call(http, server, "POST", "/Users", user("a@x.com"))).status == 409


#: A test run that starts a server, says where, and waits to be killed.
PARENT = """
import sys
from support.scim_servers import start
server = start(sys.argv[1])
print(server.origin, flush=True)
sys.stdin.read()
"""


class TestProcesses:
    def test_a_server_that_cannot_start_says_why(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("support.scim_servers.TESTS", "/nowhere")
        with pytest.raises(RuntimeError, match=r"(?s)scim2-server did not start.*No module named"):
            start("scim2-server")

    def test_stopped_is_gone(self) -> None:
        with peer("django-scim2", token="another") as server:
            assert server.token == "another"
            server.reset()
            server.stop()
            with pytest.raises(ConnectionRefusedError):
                server.reset()

    def test_skipped_where_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("support.scim_servers.SCIMMY", Path("/nowhere"))
        assert missing("scim2-server") is None
        with pytest.raises(pytest.skip.Exception, match="scimm"), peer("scimmy"):
            pass

    @pytest.mark.parametrize("name", PEERS)
    def test_a_server_ends_with_its_parent(self, name: str, tmp_path: Path) -> None:
        """However the parent ends: no server outlives a test run that is killed."""
        if missing(name):
            pytest.skip(str(missing(name)))
        parent = subprocess.Popen(  # noqa: S603  # a command of ours
            [sys.executable, "-c", PARENT, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(TESTS), "TMPDIR": str(tmp_path)},
        )
        with parent:
            assert parent.stdout is not None
            origin = parent.stdout.readline().decode().strip()
            host, port = origin.removeprefix("http://").split(":")
            with socket.create_connection((host, int(port)), timeout=30) as connection:
                parent.kill()
                with contextlib.suppress(ConnectionResetError):
                    assert connection.recv(1) == b""
