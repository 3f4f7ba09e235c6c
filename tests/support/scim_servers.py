"""Independent SCIM servers, each in a process of its own on a free port of loopback.

A test takes an empty one from a pool that starts each when first asked for one::

    @pytest.fixture(scope="session")
    def peers() -> Iterator[Peers]:
        with Peers() as peers:
            yield peers

    @pytest.fixture(params=PEERS)
    def server(request: pytest.FixtureRequest, peers: Peers) -> Peer:
        return peers.empty(request.param)

Nothing waits or guesses: the parent opens the listening socket, so that the first request waits
in its queue until the server takes it, and is refused when the server ends instead.
"""

import http.client
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from socket import create_server
from typing import Any, Self

import aiohttp
import pytest

TESTS = Path(__file__).parents[1]
SCIMMY = TESTS / "peers" / "scimmy"
TOKEN = "token-of-the-tests"
MEDIA = "application/scim+json"
#: Large, as scimmy goes through all of its users for each page.
PAGE = 5000

#: What the servers are started with; all know users, enterprise users and groups.
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "scim2-server": (sys.executable, "-m", "peers.scim2_server.serve"),
    "django-scim2": (sys.executable, "-m", "peers.django_scim.serve"),
    "scimmy": ("node", str(SCIMMY / "server.mjs")),
}
#: Their names, for ``pytest.mark.parametrize``.
PEERS = tuple(COMMANDS)
#: Those that keep KnowBe4's own extension; django-scim2 drops every extension without a word.
KEEP_KMSAT = ("scim2-server", "scimmy")
#: Below which the SCIM endpoints are.
ROOTS = {"scim2-server": "/v2", "django-scim2": "/scim/v2", "scimmy": "/scim/v2"}


@dataclass(frozen=True)
class Peer:
    """A server that runs.

    Attributes:
        name: One of ``PEERS``.
        origin: Scheme, host and port of the server itself.
        tenant_url: Where its endpoints are; ``by`` makes it a proxy's.
        token: The bearer token that it lets in.
        stop: Ends it for good; it may be called twice.
        pid: Its process.
    """

    name: str
    origin: str
    tenant_url: str
    token: str = field(repr=False)
    stop: Callable[[], None] = field(repr=False)
    pid: int

    def by(self, proxy: str) -> "Peer":
        """The same server, its endpoints asked by way of a proxy's origin."""
        return replace(self, tenant_url=proxy + ROOTS[self.name])

    def reset(self) -> None:
        """Empty it. Takes milliseconds; of a request still under way the outcome is open."""
        status = ask(self, "POST", "/reset")
        assert status == 204, f"{self.name} answered {status} to a reset"


def missing(name: str) -> str | None:
    """Why the server cannot be started on this machine."""
    if name != "scimmy":
        return None
    if shutil.which("node") is None:
        return "Node is not installed: scimmy cannot be started"
    if not (SCIMMY / "node_modules").is_dir():
        return "scimmy is not installed: `make test` does it where npm is"
    return None


def start(name: str, *, token: str = TOKEN, switches: Mapping[str, str] | None = None) -> Peer:
    """Start a server and wait until it answers.

    Args:
        name: One of ``PEERS``.
        token: The bearer token that it shall let in.
        switches: Of scimmy: ``IGNORE_FILTER`` and ``DELETE_ARCHIVES``, to be ``"1"``.

    Raises:
        RuntimeError: It ended instead; the message holds what it said.
    """
    with ExitStack() as begun:
        folder = begun.enter_context(tempfile.TemporaryDirectory(prefix="kb4-peer-"))
        said = begun.enter_context(tempfile.TemporaryFile())
        with create_server(("127.0.0.1", 0), backlog=1024) as listening:
            listening.set_inheritable(True)
            process = subprocess.Popen(  # noqa: S603  # a command of ours
                COMMANDS[name],
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=said,
                cwd=folder,
                pass_fds=[listening.fileno()],
                env={
                    **os.environ,
                    **(switches or {}),
                    "PYTHONPATH": str(TESTS),
                    "PEER_FD": str(listening.fileno()),
                    "PEER_TOKEN": token,
                    "PEER_FOLDER": folder,
                },
            )
            begun.callback(end, process)
            port = listening.getsockname()[1]
        # Now the socket is the server's alone, and the end of the server is its end.
        origin = f"http://127.0.0.1:{port}"
        peer = Peer(name, origin, origin + ROOTS[name], token, lambda: None, process.pid)
        try:
            status: object = ask(peer, "GET", f"{ROOTS[name]}/Users")
        except (OSError, http.client.HTTPException) as error:
            status = repr(error)
        if status != 200:
            end(process)
            said.seek(0)
            words = said.read().decode(errors="replace")
            msg = f"{name} did not start, but answered {status}. It said:\n{words}"
            raise RuntimeError(msg)
        return replace(peer, stop=begun.pop_all().close)


def end(process: "subprocess.Popen[bytes]") -> None:
    """It keeps nothing that is worth an orderly end."""
    process.kill()
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def ask(peer: Peer, method: str, path: str) -> int:
    """The status of one request on a connection of its own."""
    connection = http.client.HTTPConnection(peer.origin.removeprefix("http://"), timeout=30)
    try:
        connection.request(method, path, headers={"Authorization": f"Bearer {peer.token}"})
        return connection.getresponse().status
    finally:
        connection.close()


@contextmanager
def peer(
    name: str, *, token: str = TOKEN, switches: Mapping[str, str] | None = None
) -> Iterator[Peer]:
    """A server for as long as the context lasts; the test is skipped where it is not installed."""
    reason = missing(name)
    if reason is not None:
        pytest.skip(reason)
    started = start(name, token=token, switches=switches)
    try:
        yield started
    finally:
        started.stop()


class Peers:
    """Servers that are started once and emptied for each test. A context manager."""

    def __init__(self) -> None:
        self.running: dict[object, Peer] = {}
        self.contexts = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.running.clear()
        self.contexts.close()

    def empty(self, name: str, **switches: str) -> Peer:
        """The server of that name, with those switches, without users and groups."""
        key = (name, *sorted(switches.items()))
        if key not in self.running:
            self.running[key] = self.contexts.enter_context(peer(name, switches=switches))
        else:
            self.running[key].reset()
        return self.running[key]


def session(peer: Peer) -> aiohttp.ClientSession:
    """A session with the server's token; paths are added to the tenant URL by ``call``."""
    return aiohttp.ClientSession(
        headers={"Authorization": f"Bearer {peer.token}", "Accept": MEDIA},
        cookie_jar=aiohttp.DummyCookieJar(),
    )


@dataclass(frozen=True)
class Answer:
    """An answer, its body decoded where it is JSON."""

    status: int
    body: Any
    headers: Mapping[str, str]


async def call(
    http: aiohttp.ClientSession,
    peer: Peer,
    method: str,
    path: str,
    body: object = None,
    **query: str | int,
) -> Answer:
    """One request with plain aiohttp: ``await call(http, peer, "POST", "/Users", {...})``."""
    async with http.request(
        method,
        peer.tenant_url + path,
        params=query,
        json=body,
        headers={} if body is None else {"Content-Type": MEDIA},
        allow_redirects=False,
    ) as response:
        text = await response.text()
        is_json = "json" in response.headers.get("Content-Type", "") and text
        found = await response.json(content_type=None) if is_json else text
        return Answer(response.status, found, response.headers)


async def every_row(peer: Peer, path: str, size: int) -> list[dict[str, Any]]:
    """All resources, in pages of a size, each once.

    The walk advances by what it was given, and ends at the total, at an empty page or at one
    that holds nothing new.

    Raises:
        AssertionError: The server's total is not what it showed.
    """
    rows: dict[str, dict[str, Any]] = {}
    index, total = 1, 0
    async with session(peer) as http:
        while True:
            answer = await call(http, peer, "GET", path, startIndex=index, count=size)
            assert answer.status == 200, answer
            total = answer.body["totalResults"]
            page = answer.body.get("Resources") or []
            new = {str(row["id"]): row for row in page if str(row["id"]) not in rows}
            rows |= new
            index += len(page)
            if not new or len(rows) >= total:
                break
    assert len(rows) == total, f"{peer.name} showed {len(rows)} of {total}: {path}"
    return list(rows.values())


async def all_users(peer: Peer, size: int = PAGE) -> list[dict[str, Any]]:
    """What the server holds, without the client under test."""
    return await every_row(peer, "/Users", size)


async def all_groups(peer: Peer, size: int = PAGE) -> list[dict[str, Any]]:
    """The groups, with their members."""
    return await every_row(peer, "/Groups", size)


async def count_users(peer: Peer) -> int:
    """How many users the server holds, each counted."""
    return len(await all_users(peer))
