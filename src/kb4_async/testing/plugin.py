"""A pytest plugin for tests of code that is built on kb4_async.

It is never loaded by itself. Ask for it in the conftest.py at the root of your tests::

    pytest_plugins = ["kb4_async.testing.plugin"]

Fixtures: ``kb4_server``, a running simulator; ``kb4_client``, a client of it; ``virtual_clock``,
an event loop in which waiting takes no time. ``kb4_account``, ``kb4_server_options`` and
``kb4_client_options`` are there to be overridden.

The server runs in a thread with an event loop of its own. So it answers whoever asks (a test of
pytest-asyncio or anyio, a plain function, a subprocess), and it goes on answering while the test
blocks. Only in a test with ``virtual_clock`` it lives in the test's own event loop, for the two
have to share their time.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import os
import threading
import traceback
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest

from kb4_async import ClientClosedError, KB4Error, ReportingClient, Retry
from kb4_async.testing import Account, Simulator, VirtualClockEventLoop, generate_account

T = TypeVar("T")

#: As many attempts as ever, without the waiting.
QUICK = Retry(base=0.01, ceiling=0.05)
#: Requests shown of a test that failed.
SHOWN = 20
#: Seconds in which a task that was cancelled may end.
MOMENT = 0.1
YEAR = 366 * 86_400.0
#: Scopes that pytest-asyncio knows for the event loop of a test.
LOOP_SCOPES: tuple[Any, ...] = ("function", "class", "module", "package", "session")

numbers = count(1)
coroutine_test = pytest.StashKey[Callable[..., Coroutine[Any, Any, Any]]]()
reported_errors = pytest.StashKey[int]()


# The fixtures that are there to be overridden.


@pytest.fixture
def kb4_account() -> Account:
    """The account that kb4_server serves: small, but of more than one page. Override it at will."""
    return generate_account(users=600, groups=8, enrollments=700)


@pytest.fixture
def kb4_server_options() -> Mapping[str, Any]:
    """Keyword arguments for the `Simulator` of kb4_server. Override it at will."""
    return {}


@pytest.fixture
def kb4_client_options() -> Mapping[str, Any]:
    """Keyword arguments for the `ReportingClient` of kb4_client. Override it at will."""
    return {}


# The server.


class ThreadedSimulator(Simulator):
    """A simulator in the event loop of another thread; `start` and `stop` fit into any loop."""

    loop: asyncio.AbstractEventLoop

    async def start(self) -> None:
        """Listen, again on the same port after a stop."""
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(super().start(), self.loop))

    async def stop(self) -> None:
        """Cut off whoever waits, and close everything; nobody is served until the next start."""
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(super().stop(), self.loop))

    def call(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something in the other thread, and wait for it in this one."""
        asyncio.run_coroutine_threadsafe(work, self.loop).result()


@contextmanager
def background_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop in a thread; at the end its tasks are cancelled and the thread is over."""
    ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def live() -> None:
        leave = asyncio.Event()
        ready.set_result((asyncio.get_running_loop(), leave))
        await leave.wait()

    thread = threading.Thread(target=lambda: asyncio.run(live()), name="kb4_server", daemon=True)
    thread.start()
    loop, leave = ready.result()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(leave.set)
        thread.join()


@pytest.fixture
def kb4_server(
    request: pytest.FixtureRequest,
    kb4_account: Account,
    kb4_server_options: Mapping[str, Any],
) -> Iterator[Simulator]:
    """A running `Simulator` of kb4_account on a loopback port, with a key of its own.

    For as long as the test runs, `KB4_API_KEY` and `KB4_BASE_URL` lead to it, `KB4_SCIM_TOKEN` and
    `KB4_TENANT_URL` to its SCIM, and no other `KB4_*` variable is set. What a callback raises
    fails the test.
    """
    # What is known of a key outlives its clients, and a port comes back: no two tests share a key.
    number = next(numbers)
    keys = {"api_key": f"simulated-key-{number}", "scim_token": f"simulated-token-{number}"}
    options = {**keys, **kb4_server_options}
    call: Callable[[Coroutine[Any, Any, None]], None]
    with ExitStack() as stack:
        if "virtual_clock" in request.fixturenames:
            loop: VirtualClockEventLoop = request.getfixturevalue("virtual_clock")
            server = Simulator(kb4_account, **{"clock": loop.time, **options})
            call = loop.run_until_complete
        else:
            server = ThreadedSimulator(kb4_account, **options)
            server.loop = stack.enter_context(background_loop())
            call = server.call
        call(server.start())
        stack.callback(lambda: call(server.stop()))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name in [name for name in os.environ if name.startswith("KB4_")]:
            patch.delenv(name)
        patch.setenv("KB4_API_KEY", server.api_key)
        patch.setenv("KB4_BASE_URL", server.base_url)
        patch.setenv("KB4_SCIM_TOKEN", server.scim_token)
        patch.setenv("KB4_TENANT_URL", server.tenant_url)
        if isinstance(server, ThreadedSimulator):
            with ThreadPoolExecutor(1) as pool:  # this thread may be inside an event loop
                pool.submit(greet, server.api_key, server.base_url).result()
        yield server
    reported = request.node.stash.get(reported_errors, 0)
    if len(server.errors) > reported:
        raise server.errors[reported]


class EarlierLoop(asyncio.SelectorEventLoop):
    """An event loop that lives an hour ago."""

    def time(self) -> float:
        """Return the time of an hour ago."""
        return super().time() - 3600.0


def greet(api_key: str, base_url: str) -> None:
    """Let this process have met a key an hour ago, so that its slow start is long over.

    A key is met at 4 requests a second, twice as many each second: right for a service that others
    use too, a waste of seconds for a server that is there for one test. What is known of a key
    belongs to the process, so a client in an earlier time can do the meeting. It is lent a session
    that cannot connect: nothing reaches the server, and the request counts against no limit.
    """

    def refuse(_address: object) -> Any:  # noqa: ANN401 - it never returns
        raise ConnectionRefusedError

    async def meet() -> None:
        connector = aiohttp.TCPConnector(socket_factory=refuse)
        async with (
            aiohttp.ClientSession(connector=connector) as nowhere,
            ReportingClient(
                api_key, base_url=base_url, session=nowhere, retry=Retry(max_attempts=1)
            ) as kb,
        ):
            with suppress(KB4Error):
                await kb.account.get()

    with asyncio.Runner(loop_factory=EarlierLoop) as runner:
        runner.run(meet())


# The client.


@pytest.fixture
def kb4_client(
    request: pytest.FixtureRequest, kb4_server: Simulator, kb4_client_options: Mapping[str, Any]
) -> Iterator[ReportingClient]:
    """A `ReportingClient` of kb4_server, closed after the test.

    It tries again quickly and begins at full pace; with `virtual_clock`, where time costs nothing,
    it takes its time as it does in earnest. Tasks that are left behind it are an error.
    """
    options: dict[str, Any] = {"api_key": kb4_server.api_key, "base_url": kb4_server.base_url}
    name = loop_fixture(request)
    loop = None if name is None else request.getfixturevalue(name)
    before = set() if loop is None else asyncio.all_tasks(loop)
    session: aiohttp.ClientSession | None = None
    if isinstance(loop, VirtualClockEventLoop):
        options["session"] = session = loop.run_until_complete(patient_session())
    else:
        options["retry"] = QUICK
    client = ReportingClient(**{**options, **kb4_client_options})
    yield client
    if loop is not None:
        loop.run_until_complete(close(client, session, before))
    else:
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            runner.run(see_it_closed(client))


async def patient_session() -> aiohttp.ClientSession:
    """Make a session that does not look at its connections all the time.

    aiohttp closes what was idle for 15 s of real time. On a virtual clock those never pass, so it
    would look again every 15 s of each hour that is waited for, and a day would take half a minute.
    """
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=YEAR)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


def loop_fixture(request: pytest.FixtureRequest) -> str | None:
    """Return the fixture that gives the event loop of the test; None for a plain function.

    A client is closed in its event loop, and an async fixture keeps that loop open until then.
    There is one for each plugin that may run the test, chosen when the test is known.
    """
    if "virtual_clock" in request.fixturenames:
        return "virtual_clock"
    marker = request.node.get_closest_marker("asyncio")
    if marker is not None and request.config.pluginmanager.has_plugin("asyncio"):
        scope = marker.kwargs.get("loop_scope")
        return f"_kb4_loop_{scope or request.config.getini('asyncio_default_test_loop_scope')}"
    if "anyio_backend" in request.fixturenames:
        if request.getfixturevalue("anyio_backend_name") != "asyncio":
            message = "kb4_async needs asyncio: let the fixture anyio_backend return 'asyncio'."
            pytest.fail(message, pytrace=False)
        return "_kb4_loop_anyio"
    return None


def running_loop() -> Callable[[], Coroutine[Any, Any, asyncio.AbstractEventLoop]]:
    """Make a new fixture function, for pytest-asyncio leaves its mark on each."""

    async def loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    return loop


loop_of_anyio = pytest.fixture(running_loop(), name="_kb4_loop_anyio")

# In strict mode pytest-asyncio takes no fixtures but its own kind; each names the scope of its
# event loop, which has to be the test's.
if importlib.util.find_spec("pytest_asyncio") is not None:
    import pytest_asyncio

    for scope in LOOP_SCOPES:
        make = pytest_asyncio.fixture(loop_scope=scope, name=f"_kb4_loop_{scope}")
        globals()[f"loop_of_{scope}"] = make(running_loop())


async def close(
    client: ReportingClient,
    session: aiohttp.ClientSession | None,
    before: set[asyncio.Task[Any]],
) -> None:
    """Close a client and its session, and fail if tasks are left that were not there before."""
    await client.close()
    if session is not None:
        await session.close()
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    if left:
        await asyncio.wait(left, timeout=MOMENT)
    running = [task for task in left if not task.done()]
    if not running:
        return
    names = ", ".join(sorted(describe(task) for task in running))
    for task in running:
        task.cancel()
    await asyncio.wait(running, timeout=MOMENT)
    pytest.fail(
        f"Still running after the test: {names}. Cancel and await what a test starts before it "
        "ends; a fixture that owns tasks should request kb4_client, so that it ends first.",
        pytrace=False,
    )


def describe(task: asyncio.Task[Any]) -> str:
    """Return a task's name, its coroutine and the line where it waits."""
    name = getattr(task.get_coro(), "__qualname__", "?")
    stack = task.get_stack(limit=1)
    place = f" at {Path(stack[0].f_code.co_filename).name}:{stack[0].f_lineno}" if stack else ""
    return f"{task.get_name()} ({name}{place})"


async def see_it_closed(client: ReportingClient) -> None:
    """Fail unless a test that ran an event loop of its own closed the client there."""
    try:
        async with client:  # never used: opened and closed here
            pass
    except ClientClosedError:
        return
    except RuntimeError:  # it belongs to an event loop that is over
        pytest.fail(
            "kb4_client was not closed in the event loop it was used in. Use it in an async test, "
            "or begin with: async with kb4_client",
            pytrace=False,
        )


# The virtual clock.


@pytest.fixture
def virtual_clock() -> Iterator[VirtualClockEventLoop]:
    """The `VirtualClockEventLoop` that the (async) test runs on: an hour's waiting passes at once.

    Only what runs in this event loop shares its time: kb4_server and kb4_client do, but a thread,
    a subprocess or another host never answers before the clock jumps, so asking them times out.
    """
    loop = VirtualClockEventLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.get_loop()  # from here on it is the runner's to close
        yield loop


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, T, T]:
    """Run an async test that requests virtual_clock on it, whatever else would run it."""
    test = pyfuncitem.stash.get(coroutine_test, None)
    loop = pyfuncitem.funcargs.get("virtual_clock")
    if test is None or not isinstance(loop, VirtualClockEventLoop):
        return (yield)

    def run(**arguments: Any) -> None:  # noqa: ANN401 - fixtures are anything
        loop.run_until_complete(test(**arguments))

    # The plugins of pytest-asyncio and anyio leave a plain function alone.
    before, pyfuncitem.obj = pyfuncitem.obj, run
    try:
        return (yield)
    finally:
        pyfuncitem.obj = before


# What a server has to say about a test.


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, T, T]:
    """Fail a test for what a callback raised, and show the requests of one that failed."""
    if not isinstance(item, pytest.Function):
        return (yield)
    if inspect.iscoroutinefunction(item.obj):
        item.stash[coroutine_test] = item.obj  # before pytest-asyncio makes a function of it
    server = item.funcargs.get("kb4_server")
    if not isinstance(server, Simulator):
        return (yield)
    try:
        result = yield
        if isinstance(server, ThreadedSimulator):
            server.call(asyncio.sleep(0))  # the client may have its answer before on_answer is run
    except pytest.skip.Exception:
        raise
    except BaseException:
        item.add_report_section("call", "kb4_server", report(server))
        item.stash[reported_errors] = len(server.errors)
        raise
    item.stash[reported_errors] = len(server.errors)
    if server.errors:
        raise server.errors[0]
    return result


def report(server: Simulator) -> str:
    """Return the last requests, and what callbacks raised."""
    lines = [entry.line for entry in server.log[-SHOWN:]]
    if len(server.log) > SHOWN:
        lines.insert(0, f"... the last {SHOWN} of {len(server.log)} requests:")
    for error in server.errors:
        lines += ["raised by a callback, or in the simulator itself:"]
        lines += "".join(traceback.format_exception(error)).splitlines()
    return "\n".join(lines)
