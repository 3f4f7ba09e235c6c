"""The proxy that loses answers: what the client sees, what the server did, what the log says."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
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
from support.scim_plain import (
    LostError,
    created,
    group,
    no_second_try,
    patch,
    user,
)
from support.scim_servers import (
    MEDIA,
    PEERS,
    TOKEN,
    Answer,
    Peer,
    Peers,
    all_groups,
    call,
    count_users,
)


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
