"""The rigs of the SCIM tests themselves: other people's servers, and the proxy that loses answers.

What the servers answer is what was recorded of them; where they differ the difference is named,
since it is what a client has to live with.
"""

import asyncio
import contextlib
import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support.losing_proxy import (
    Action,
    LosingProxy,
    Script,
    every,
    matching,
    nth,
    share,
    slow_after,
)
from support.scim_servers import (
    KEEP_KMSAT,
    MEDIA,
    PEERS,
    TESTS,
    TOKEN,
    Answer,
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

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
KMSAT = "urn:ietf:params:scim:schemas:extension:knowbe4:kmsat:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@pytest.fixture(scope="module")
def peers() -> Iterator[Peers]:
    with Peers() as peers:
        yield peers


@pytest.fixture(params=PEERS)
def server(request: pytest.FixtureRequest, peers: Peers) -> Peer:
    """Each of the servers, empty."""
    return peers.empty(request.param)


@pytest.fixture
def one(peers: Peers) -> Peer:
    """The quickest of them to answer, that needs nothing but Python."""
    return peers.empty("scim2-server")


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A session with the token that all of them let in, and that sends nothing twice."""
    async with aiohttp.ClientSession(
        headers={"Authorization": f"Bearer {TOKEN}"}, middlewares=(no_second_try,)
    ) as http:
        yield http


class LostError(Exception):
    """The connection ended without an answer."""


async def no_second_try(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except aiohttp.ServerDisconnectedError as error:
        raise LostError from error


def user(name: str, **more: object) -> dict[str, object]:
    return {
        "schemas": [USER],
        "userName": name,
        "name": {"givenName": "Jane", "familyName": "Doe"},
        "emails": [{"value": name.lower(), "type": "work", "primary": True}],
        "active": True,
        **more,
    }


def group(name: str) -> dict[str, object]:
    return {"schemas": [GROUP], "displayName": name}


def patch(**operation: object) -> dict[str, object]:
    return {"schemas": [PATCH], "Operations": [operation]}


async def created(
    http: aiohttp.ClientSession, server: Peer, path: str, body: dict[str, object]
) -> str:
    answer = await call(http, server, "POST", path, body)
    assert answer.status == 201, answer
    return str(answer.body["id"])


def by_peer(server: Peer, scim2_server: Any, scimmy: Any, django_scim2: Any) -> Any:
    """What was recorded of it, in the order of the columns of the record."""
    recorded = {"scim2-server": scim2_server, "scimmy": scimmy, "django-scim2": django_scim2}
    return recorded[server.name]


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


def origin_of(server: asyncio.Server) -> str:
    return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


class TestProxy:
    """What the client sees, what the server did, and what the log says of both."""

    async def test_hands_everything_on(self, server: Peer, http: aiohttp.ClientSession) -> None:
        async with LosingProxy(server.origin) as proxy:
            assert proxy.url(server.tenant_url) == server.by(proxy.origin).tenant_url
            server = server.by(proxy.origin)
            id_ = await created(http, server, "/Users", user("ann+tag@x.com"))
            query = {"filter": 'userName eq "ann+tag@x.com"'}
            found = await call(http, server, "GET", "/Users", **query)
            assert [str(row["id"]) for row in found.body["Resources"]] == [id_]
            assert found.body["Resources"][0]["meta"]["location"].startswith(proxy.origin)
            deleted = await call(http, server, "DELETE", f"/Users/{id_}")
            assert (deleted.status, deleted.body) == (204, "")
            assert [(each.method, each.action, each.status) for each in proxy.log] == [
                ("POST", "pass", 201),
                ("GET", "pass", 200),
                ("DELETE", "pass", 204),
            ]
            assert b"ann+tag@x.com" in proxy.log[0].body
            assert "filter=userName+eq+%22ann%2Btag@x.com%22" in proxy.log[1].path
            assert found.headers["Content-Type"].startswith("application/scim+json")

    @pytest.mark.parametrize(
        ("action", "done"),
        [
            ("lose_before", 0),
            ("lose_after", 1),
            ("cut_after", 1),
            ("502_before", 0),
            ("502_after", 1),
        ],
    )
    async def test_a_lost_post(
        self, server: Peer, http: aiohttp.ClientSession, action: Any, done: int
    ) -> None:
        async with LosingProxy(server.origin, nth(1, {"POST"}, action)) as proxy:
            losing = server.by(proxy.origin)
            if action.startswith("502"):
                answer = await call(http, losing, "POST", "/Users", user("a@x.com"))
                assert (answer.status, answer.headers["Content-Type"]) == (502, "text/html")
            else:
                lost = aiohttp.ClientPayloadError if action == "cut_after" else LostError
                with pytest.raises(lost):
                    await call(http, losing, "POST", "/Users", user("a@x.com"))
            assert await count_users(server) == done
            again = await call(http, losing, "POST", "/Users", user("a@x.com"))
            assert again.status == (409 if done else 201)
            assert await count_users(server) == 1
            assert [(each.action, each.status) for each in proxy.log] == [
                (action, 201 if done else None),
                ("pass", again.status),
            ]
            assert proxy.count(action) == 1

    async def test_a_group_lost_and_sent_again_is_two(
        self, server: Peer, http: aiohttp.ClientSession
    ) -> None:
        async with LosingProxy(server.origin, nth(1, {"POST"}, "lose_after", "/Groups")) as proxy:
            losing = server.by(proxy.origin)
            await created(http, losing, "/Users", user("a@x.com"))
            with pytest.raises(LostError):
                await call(http, losing, "POST", "/Groups", group("G"))
            await created(http, losing, "/Groups", group("G"))
        assert [found["displayName"] for found in await all_groups(server)] == ["G", "G"]

    async def test_every_third_patch(self, one: Peer, http: aiohttp.ClientSession) -> None:
        path = "/Users/" + await created(http, one, "/Users", user("a@x.com"))
        async with LosingProxy(one.origin, every(3, {"PATCH"}, "502_after")) as proxy:
            losing, statuses = one.by(proxy.origin), []
            for number in range(7):
                body = patch(op="replace", path="title", value=str(number))
                statuses.append((await call(http, losing, "PATCH", path, body)).status)
                found = await call(http, losing, "GET", path)
                assert found.body["title"] == str(number)
        assert statuses == [204, 204, 502, 204, 204, 502, 204]

    async def test_slow(self, one: Peer, http: aiohttp.ClientSession) -> None:
        """The client gives up; the server has done it; the proxy ends without waiting."""
        async with LosingProxy(one.origin, nth(1, {"POST"}, slow_after(3600))) as proxy:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await call(http, one.by(proxy.origin), "POST", "/Users", user("a@x.com"))
            await proxy.quiet()
            assert [(each.action, each.status) for each in proxy.log] == [("slow_after", 201)]
        assert await count_users(one) == 1

    async def test_ends_while_an_answer_waits(self, one: Peer, http: aiohttp.ClientSession) -> None:
        slow = every(1, {"POST"}, slow_after(3600))
        async with asyncio.TaskGroup() as asking, LosingProxy(one.origin, slow) as proxy:
            post = call(http, one.by(proxy.origin), "POST", "/Users", user("a@x.com"))
            waiting = asking.create_task(unanswered(post))
            while await count_users(one) == 0:
                pass
        assert waiting.result() is True

    async def test_slow_answers_come(self, one: Peer, http: aiohttp.ClientSession) -> None:
        async with LosingProxy(one.origin, every(1, {"POST"}, slow_after(0.01))) as proxy:
            await created(http, one.by(proxy.origin), "/Users", user("a@x.com"))

    async def test_a_share_under_load(self, server: Peer, http: aiohttp.ClientSession) -> None:
        """Exact: what the log says was carried out is what the server holds."""
        async with LosingProxy(server.origin, share(0.4, 7, {"POST"})) as proxy:
            losing = server.by(proxy.origin)
            names = iter(range(80))

            async def work() -> int:
                lost = 0
                for number in names:
                    post = call(http, losing, "POST", "/Users", user(f"u{number}@x.com"))
                    lost += await unanswered(post)
                return lost

            async with asyncio.TaskGroup() as working:
                workers = [working.create_task(work()) for _ in range(8)]
            lost = sum(each.result() for each in workers)
            before, after = proxy.count("lose_before"), proxy.count("lose_after")
            assert len(proxy.log) == 80
            assert lost == before + after
            assert min(before, after) > 8
            assert await count_users(server) == 80 - before

    async def test_sends_nothing_twice(self, http: aiohttp.ClientSession) -> None:
        """The server drops the connection of a PUT, which aiohttp by itself sends again."""
        heard: list[bytes] = []

        async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.append(await reader.readuntil(b"\r\n\r\n"))
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(drop, "127.0.0.1", 0)
        origin = origin_of(server)
        async with server, LosingProxy(origin) as proxy:
            for method in ("GET", "PUT", "DELETE"):
                async with http.request(method, proxy.origin + "/x?y=%2B+z") as response:
                    assert response.status == 502
            assert [head.split(b"\r\n")[0] for head in heard] == [
                b"GET /x?y=%2B+z HTTP/1.1",
                b"PUT /x?y=%2B+z HTTP/1.1",
                b"DELETE /x?y=%2B+z HTTP/1.1",
            ]
            assert {each.status for each in proxy.log} == {None}

    async def test_follows_no_redirect(self, http: aiohttp.ClientSession) -> None:
        async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(elsewhere, "127.0.0.1", 0)
        origin = origin_of(server)
        async with server, LosingProxy(origin) as proxy:
            asked = http.get(proxy.origin + "/x", allow_redirects=False)
            async with asked as response:
                assert (response.status, response.headers["Location"]) == (302, "/y")
            assert [each.path for each in proxy.log] == ["/x"]

    async def test_what_the_script_raises_is_raised(
        self, one: Peer, http: aiohttp.ClientSession
    ) -> None:
        def script(number: int, method: str, path: str) -> Any:
            raise LookupError(path)

        async def ask() -> None:
            async with LosingProxy(one.origin, script) as proxy:
                answer = await call(http, one.by(proxy.origin), "GET", "/Users")
                assert (answer.status, proxy.log) == (500, [])

        with pytest.raises(LookupError, match="/v2/Users"):
            await ask()

    async def test_cut_without_a_body(self, one: Peer, http: aiohttp.ClientSession) -> None:
        path = "/Users/" + await created(http, one, "/Users", user("a@x.com"))
        async with LosingProxy(one.origin, every(1, {"DELETE"}, "cut_after")) as proxy:
            with pytest.raises(LostError):
                await call(http, one.by(proxy.origin), "DELETE", path)
            assert [(each.action, each.status) for each in proxy.log] == [("cut_after", 204)]

    async def test_large_bodies(self, one: Peer, http: aiohttp.ClientSession) -> None:
        body = json.dumps(user("a@x.com", title="t" * 3_000_000)).encode()
        async with LosingProxy(one.origin) as proxy:
            url = one.by(proxy.origin).tenant_url + "/Users"
            headers = {"Content-Type": MEDIA}
            async with http.post(url, data=io.BytesIO(body), headers=headers) as response:
                assert response.status == 201
                assert len(await response.read()) > 3_000_000
            assert proxy.log[0].body == body

    async def test_one_connection_is_kept(self, one: Peer) -> None:
        """Answers between losses leave the client's connection open."""
        opened: list[object] = []
        trace = aiohttp.TraceConfig()

        async def count(*args: object) -> None:
            opened.append(args)

        trace.on_connection_create_end.append(count)
        async with (
            LosingProxy(one.origin, every(5, {"GET"}, "502_before")) as proxy,
            aiohttp.ClientSession(
                headers={"Authorization": f"Bearer {TOKEN}"}, trace_configs=[trace]
            ) as http,
        ):
            for _ in range(10):
                await call(http, one.by(proxy.origin), "GET", "/Users")
        assert len(opened) == 1


async def unanswered(asked: Any) -> bool:
    """Whether it was lost."""
    try:
        answer: Answer = await asked
    except (LostError, aiohttp.ClientOSError):
        return True
    assert answer.status == 201, answer
    return False


class TestScripts:
    def run(self, script: Script, requests: list[tuple[str, str]]) -> list[Any]:
        return [script(number, *each) for number, each in enumerate(requests, 1)]

    def test_a_share_is_the_same_for_the_same_seed(self) -> None:
        requests = [("POST", "/Users"), ("GET", "/Users")] * 500
        first = self.run(share(0.3, 1, {"POST"}), requests)
        assert first == self.run(share(0.3, 1, {"POST"}), requests)
        assert first != self.run(share(0.3, 2, {"POST"}), requests)
        assert set(first[1::2]) == {"pass"}
        assert 120 < 500 - first[::2].count("pass") < 180
        assert 50 < first.count("lose_before") < 100
        assert 50 < first.count("lose_after") < 100
        assert self.run(share(1.0, 1), requests).count("pass") == 0

    def test_matching_requests_alone_are_counted(self) -> None:
        requests = [("POST", "/Users"), ("POST", "/Groups"), ("GET", "/Users")] * 3
        lost = self.run(nth(2, {"POST"}, "lose_after", "/Groups"), requests)
        assert [number for number, each in enumerate(lost) if each != "pass"] == [4]
        odd = matching(lambda count: count % 2 == 1, {"GET"}, Action("502_after"), "")
        assert self.run(odd, requests).count(Action("502_after")) == 2
