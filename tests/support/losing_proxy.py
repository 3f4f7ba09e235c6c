"""A proxy that loses answers by a script, in the test's own event loop.

It stands before any HTTP server::

    async with LosingProxy(server.origin, every(3, {"PATCH"}, "lose_after")) as proxy:
        ...  # a client of proxy.url(server.tenant_url)
    assert [each.action for each in proxy.log] == ["pass", "pass", "lose_after"]

To its server it opens a new connection for each request, and it never sends one twice: what the
log says was forwarded reached the server once.
"""

import asyncio
import io
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

Name: TypeAlias = Literal[
    "pass", "lose_before", "lose_after", "cut_after", "502_before", "502_after", "slow_after"
]


@dataclass(frozen=True)
class Action:
    """What is done to one request.

    Attributes:
        name: ``pass`` hands the answer on. ``lose_before`` drops the connection before the server
            hears of the request, ``lose_after`` after it has carried it out; the client sees no
            difference. ``cut_after`` drops it in the middle of the answer's body, and is like
            ``lose_after`` where there is none. ``502_before`` and ``502_after`` answer 502 with
            HTML, likewise. ``slow_after`` hands the answer on, later.
        delay: Seconds before the answer, of ``slow_after``.
    """

    name: Name
    delay: float = 0.0

    @property
    def forwards(self) -> bool:
        """The server carries the request out."""
        return self.name not in {"lose_before", "502_before"}


#: Told the request's number, from 1 in the order of arrival, its method, and its path with the
#: query as the client sent it.
Script: TypeAlias = Callable[[int, str, str], Action | Name]

HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"

#: Headers of one connection, and those that say how long a body is (RFC 9110, 7.6.1).
HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
    }
)


@dataclass
class Exchange:
    """One request, as the proxy saw it.

    Attributes:
        path: With its query, as the client sent it.
        status: The server's; None where it did not hear of the request, or did not answer.
        answered: The server's body.
    """

    number: int
    method: str
    path: str
    body: bytes
    action: Name
    status: int | None = None
    answered: bytes = b""


class NotHandedOnError(Exception):
    """The server gave no whole answer."""


async def once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending an idempotent request again when the server drops it."""
    try:
        return await handler(request)
    except (aiohttp.ClientError, OSError) as error:
        raise NotHandedOnError(repr(error)) from error


class LosingProxy:
    """Stands before a server and loses what its script says. An async context manager.

    A server that gives no answer of its own shows as 502 with plain text, and as no status in
    the log.

    Args:
        target: Scheme, host and port of the server.
        script: What to do to each request; nothing where it is left out. It may be exchanged
            between requests.

    Attributes:
        log: The requests, in the order of their arrival.

    Raises:
        Exception: At the end, what the script raised.
    """

    def __init__(self, target: str, script: Script | None = None) -> None:
        self.target = target.rstrip("/")
        self.script: Script = script or clean
        self.log: list[Exchange] = []
        self.origin = ""
        self.broken: Exception | None = None
        self.handling: set[asyncio.Task[object]] = set()
        self.forwarding = 0
        self.idle = asyncio.Event()
        self.idle.set()

    async def __aenter__(self) -> Self:
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            auto_decompress=False,
            middlewares=(once,),
        )
        server = web.Server(self.handle, access_log=None, keepalive_timeout=600)
        self.runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.origin = f"http://127.0.0.1:{self.runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.handling:
            task.cancel()
        await self.runner.cleanup()
        await self.session.close()
        if self.broken is not None:
            raise self.broken

    def url(self, tenant_url: str) -> str:
        """The same address, by way of the proxy."""
        return self.origin + URL(tenant_url).raw_path_qs

    def count(self, action: Name) -> int:
        """How many requests that was done to."""
        return sum(each.action == action for each in self.log)

    async def quiet(self) -> None:
        """Wait until nothing is being forwarded: what clients gave up on has had its effect."""
        while self.forwarding:
            await self.idle.wait()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        self.handling.add(task)
        try:
            return await self.answer(request)
        finally:
            self.handling.discard(task)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        number = len(self.log) + 1
        try:
            chosen = self.script(number, request.method, request.raw_path)
        except Exception as error:
            self.broken = error
            raise
        action = Action(chosen) if isinstance(chosen, str) else chosen
        seen = Exchange(number, request.method, request.raw_path, b"", action.name)
        self.log.append(seen)
        seen.body = b"".join([part async for part in request.content.iter_any()])  # of any size
        headers: CIMultiDict[str] = CIMultiDict()
        if action.forwards:
            try:
                headers = await self.forward(request, seen)
            except NotHandedOnError as error:
                return web.Response(status=502, text=f"The server did not answer: {error}")
        if action.name in {"502_before", "502_after"}:
            return web.Response(status=502, body=HTML, content_type="text/html")
        cuts = action.name == "cut_after"
        if action.name in {"lose_before", "lose_after"} or (cuts and not seen.answered):
            return dropped(request)
        assert seen.status is not None
        if cuts:
            return await cut(request, web.StreamResponse(status=seen.status, headers=headers), seen)
        await asyncio.sleep(action.delay)
        return web.Response(status=seen.status, headers=headers, body=seen.answered or None)

    async def forward(self, request: web.BaseRequest, seen: Exchange) -> CIMultiDict[str]:
        """Have the server carry it out, once; return the answer's headers."""
        self.forwarding += 1
        self.idle.clear()
        try:
            async with self.session.request(
                seen.method,
                URL(self.target + seen.path, encoded=True),
                headers=end_to_end(request.headers),
                data=io.BytesIO(seen.body) if seen.body else None,  # bytes warn when large
                allow_redirects=False,
            ) as response:
                answered = await response.read()
                seen.status, seen.answered = response.status, answered
                return end_to_end(response.headers)
        except (aiohttp.ClientError, OSError) as error:  # within the body
            raise NotHandedOnError(repr(error)) from error
        finally:
            self.forwarding -= 1
            if not self.forwarding:
                self.idle.set()


def end_to_end(headers: "aiohttp.typedefs.LooseHeaders") -> CIMultiDict[str]:
    """Those that are not of one connection; ``Host`` stays, so that addresses lead back here."""
    kept: CIMultiDict[str] = CIMultiDict(headers)
    for name in HOP:
        kept.popall(name, None)
    return kept


def dropped(request: web.BaseRequest) -> web.Response:
    """Close the connection without a byte; what is returned is never written."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()


async def cut(
    request: web.BaseRequest, response: web.StreamResponse, seen: Exchange
) -> web.StreamResponse:
    """Send the head and half of the body, and close the connection."""
    response.content_length = len(seen.answered)
    await response.prepare(request)
    await response.write(seen.answered[: len(seen.answered) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


def clean(_: int, __: str, ___: str) -> Name:
    """Lose nothing."""
    return "pass"


def share(probability: float, seed: int, methods: Collection[str] | None = None) -> Script:
    """Lose so large a share of the requests, half of them before and half after.

    What becomes of the n-th request depends on the seed and n alone.

    Args:
        probability: From 0 to 1.
        seed: Another one loses others.
        methods: Those to lose; all where left out.
    """

    def script(number: int, method: str, _: str) -> Name:
        chance = random.Random(f"{seed} {number}")
        if (methods is not None and method not in methods) or chance.random() >= probability:
            return "pass"
        return "lose_before" if chance.random() < 0.5 else "lose_after"

    return script


def every(n: int, methods: Collection[str], action: Action | Name, path: str = "") -> Script:
    """Do it to every n-th request with one of the methods and ``path`` in its path."""
    return matching(lambda count: count % n == 0, methods, action, path)


def nth(n: int, methods: Collection[str], action: Action | Name, path: str = "") -> Script:
    """Do it to the n-th request with one of the methods and ``path`` in its path, and no other."""
    return matching(lambda count: count == n, methods, action, path)


def matching(
    chosen: Callable[[int], bool], methods: Collection[str], action: Action | Name, path: str
) -> Script:
    """Do it to those requests whose number among the matching ones is chosen."""
    count = 0

    def script(_: int, method: str, where: str) -> Action | Name:
        nonlocal count
        if method not in methods or path not in where:
            return "pass"
        count += 1
        return action if chosen(count) else "pass"

    return script


def slow_after(seconds: float) -> Action:
    """Hand the answer on so much later."""
    return Action("slow_after", seconds)
