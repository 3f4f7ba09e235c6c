import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from support.iterating import drain
from support.options import QUICK

from kb4_async import (
    APIError,
    APITimeoutError,
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    DecodeError,
    KB4Error,
    ReportingClient,
    Retry,
    ServerError,
    Timeout,
    TransportError,
)
from kb4_async.runtime import keystate
from kb4_async.testing import Fault, Simulator

ONCE = Retry(max_attempts=1)


def client(sim: Simulator, **options: Any) -> ReportingClient:
    return ReportingClient(sim.api_key, base_url=sim.base_url, **({"retry": QUICK} | options))


def granted() -> int:
    """Permits that were granted for the one key of the test."""
    (state,) = keystate.registry.values()
    return state.granted


def in_flight() -> int:
    (state,) = keystate.registry.values()
    return state.windows.in_flight


FAULTS = {
    "reset before headers": (Fault.reset(), TransportError),
    "reset in the body": (Fault.reset_in_body(), TransportError),
    "truncated": (Fault.truncate(), TransportError),
    "shorter than its content-length": (Fault.truncate(content_length=True), TransportError),
    "invalid JSON": (Fault.invalid_json(), DecodeError),
    "HTML with 200": (Fault.html(200), DecodeError),
    "HTML with 503": (Fault.html(503), ServerError),
    "500": (Fault.status(500), ServerError),
    "502": (Fault.status(502), ServerError),
    "504": (Fault.status(504), ServerError),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("page", [1, 2, 3])
async def test_a_listing_gets_over_a_fault_on_any_page(
    name: str, page: int, sim: Simulator, kb: ReportingClient
) -> None:
    rule = sim.faults.add(FAULTS[name][0], page=page, times=2)
    users = await kb.users.list().collect()
    assert users == list(sim.account.users)
    assert rule.played == 2
    assert granted() == len(sim.log)
    assert in_flight() == 0


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_that_stays_ends_in_its_error_after_all_attempts(
    name: str, sim: Simulator, kb: ReportingClient
) -> None:
    fault, kind = FAULTS[name]
    sim.faults.add(fault, times=None)
    with pytest.raises(kind) as caught:
        await kb.account.get()
    assert type(caught.value) is kind
    assert len(sim.log) == QUICK.max_attempts == granted()
    assert in_flight() == 0


async def test_gzip_is_read_and_slow_answers_are_waited_for(
    sim: Simulator, kb: ReportingClient
) -> None:
    sim.faults.add(Fault.gzip(), page=1)
    sim.faults.add(Fault.slow(0.1), page=2)
    sim.faults.add(Fault.slow(0.1, in_body=True), page=3)
    assert await kb.users.list(verify="none").collect() == list(sim.account.users)
    assert [entry.fault for entry in sim.log] == ["gzip", "slow", None, "slow"]


@pytest.mark.parametrize(
    ("fault", "times"),
    [
        (Fault.hang(), Timeout(read=0.1)),
        (Fault.hang(), Timeout(total=0.1)),
        (Fault.slow(30.0, in_body=True), Timeout(read=0.1)),
        (Fault.slow(30.0, in_body=True), Timeout(total=0.1)),
    ],
    ids=repr,
)
async def test_a_server_that_hangs_times_out_and_is_asked_again(
    fault: Fault, times: Timeout, sim: Simulator
) -> None:
    async with client(sim, timeout=times) as kb:
        sim.faults.add(fault, times=2)
        assert await kb.account.get() == sim.account.account
        assert len(sim.log) == 3 == granted()
        sim.faults.add(fault, times=None)
        with pytest.raises(APITimeoutError) as caught:
            await kb.account.get()
        assert isinstance(caught.value, TimeoutError)
    assert len(sim.log) == 3 + QUICK.max_attempts == granted()


async def test_a_connection_refused_takes_no_permit(sim: Simulator) -> None:
    await sim.stop()
    async with client(sim, retry=Retry(max_attempts=3, base=0.001)) as kb:
        with pytest.raises(TransportError):
            await kb.account.get()
    (state,) = keystate.registry.values()
    assert (state.windows.in_flight, state.windows.stamps) == (0, [])


# -- redirects and other hosts -----------------------------------------------------------------


@pytest.fixture
async def elsewhere() -> AsyncIterator[tuple[str, list[web.BaseRequest]]]:
    """Another host, and whatever reaches it."""
    seen: list[web.BaseRequest] = []

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(request)
        return web.Response()

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", seen
    await runner.cleanup()


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_the_key_goes_nowhere_else(
    code: int,
    sim: Simulator,
    kb: ReportingClient,
    elsewhere: tuple[str, list[web.BaseRequest]],
) -> None:
    origin, seen = elsewhere
    sim.faults.add(Fault.redirect(f"{origin}/v1/users", code), times=None)
    with pytest.raises(APIError) as caught:
        await kb.users.list().collect()
    assert caught.value.status == code
    assert origin in str(caught.value)
    assert seen == []
    assert len(sim.log) == 1


# -- aiohttp's own sending ---------------------------------------------------------------------


async def test_aiohttp_alone_sends_again_when_a_kept_connection_was_closed(sim: Simulator) -> None:
    """What the next test proves prevented does happen without us."""
    sim.faults.add(Fault.reset(), after=1)
    headers = {"Authorization": f"Bearer {sim.api_key}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for _ in range(2):
            async with session.get(f"{sim.base_url}/account") as response:
                await response.read()
    assert len(sim.log) == 3


async def test_a_request_on_a_kept_connection_that_breaks_is_sent_once_a_permit(
    sim: Simulator,
) -> None:
    async with client(sim, retry=ONCE) as kb:
        await kb.account.get()
        sim.faults.add(Fault.reset())
        with pytest.raises(TransportError):
            await kb.account.get()
        assert len(sim.log) == 2 == granted()
        assert len({entry.connection for entry in sim.log}) == 1
        await kb.account.get()
        assert len(sim.log) == 3 == granted()


@pytest.mark.parametrize("fault", [Fault.hang_up(), Fault.reset()], ids=lambda fault: fault.kind)
async def test_every_arrival_has_a_permit_whatever_becomes_of_connections(
    fault: Fault, sim: Simulator
) -> None:
    async with client(sim, retry=Retry(max_attempts=30, base=0.002, ceiling=0.01)) as kb:
        sim.faults.add(fault, times=None, probability=0.4)
        users = await kb.users.list(per_page=20).collect()
    assert [user["id"] for user in users] == [user["id"] for user in sim.account.users]
    assert sum(entry.fault is not None for entry in sim.log) > 10
    assert len(sim.log) <= granted()
    (state,) = keystate.registry.values()
    assert state.windows.in_flight == 0
    # Each arrival is in the books; a permit of something never sent came back.
    assert len(sim.log) <= len(state.windows.stamps) <= granted()


async def test_many_requests_at_once_open_no_more_connections_than_max_concurrency(
    sim: Simulator,
) -> None:
    sim.latency = 0.01
    async with client(sim, max_concurrency=4) as kb, asyncio.TaskGroup() as group:
        for _ in range(40):
            group.create_task(kb.account.get())
    assert sim.log.most_in_flight() == 4
    assert len({entry.connection for entry in sim.log}) <= 4


# -- a lent session ----------------------------------------------------------------------------


async def test_a_lent_session_is_used_and_never_closed(sim: Simulator) -> None:
    async with aiohttp.ClientSession() as session:
        async with client(sim, session=session) as kb:
            assert await kb.account.get() == sim.account.account
        assert not session.closed
        async with client(sim, session=session) as kb:
            assert await kb.account.get() == sim.account.account
    assert len({entry.connection for entry in sim.log}) == 1


async def test_a_lent_sessions_own_middlewares_do_not_run_on_our_requests(sim: Simulator) -> None:
    ran: list[str] = []

    async def theirs(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        ran.append(str(request.url))
        return await handler(request)

    async with aiohttp.ClientSession(middlewares=(theirs,)) as session:
        async with client(sim, session=session) as kb:
            await kb.account.get()
        assert ran == []
        async with session.get(f"{sim.base_url}/account"):
            assert len(ran) == 1


async def test_a_lent_sessions_own_settings_change_nothing(sim: Simulator) -> None:
    timeout = aiohttp.ClientTimeout(total=0.01)
    sim.latency = 0.1
    async with (
        aiohttp.ClientSession(raise_for_status=True, timeout=timeout) as session,
        client(sim, session=session) as kb,
    ):
        assert await kb.account.get() == sim.account.account
        sim.faults.add(Fault.status(404, body=b"{}"))
        with pytest.raises(APIError):
            await kb.users.get(1)


async def test_a_closed_session_cannot_be_lent(sim: Simulator) -> None:
    async with aiohttp.ClientSession() as session:
        pass
    with pytest.raises(ConfigurationError):
        await client(sim, session=session).__aenter__()


# -- credentials -------------------------------------------------------------------------------


async def test_a_wrong_key_is_told_after_one_request(sim: Simulator) -> None:
    async with ReportingClient("nobody-knows-this", base_url=sim.base_url) as kb:
        with pytest.raises(AuthenticationError) as caught:
            await kb.users.list().collect()
        assert "nobody-knows-this" not in str(caught.value)
    assert len(sim.log) == 1


async def test_a_key_revoked_under_way_ends_the_listing_without_retries(
    sim: Simulator, kb: ReportingClient
) -> None:
    users = aiter(kb.users.list(per_page=10, prefetch=2))
    await anext(users)
    sim.revoke(sim.api_key)
    got: list[object] = []
    with pytest.raises(AuthenticationError) as caught:
        await drain(users, got)
    assert len(got) < 1149
    assert caught.value.resume_token is not None
    refused = sim.requests(status=401)
    assert len({entry.page for entry in refused}) == len(refused)  # none was asked twice


# -- where and when a client can be used -------------------------------------------------------


async def test_after_close_every_call_raises(sim: Simulator) -> None:
    async with client(sim) as kb:
        await kb.account.get()
    await kb.close()
    with pytest.raises(ClientClosedError):
        await kb.account.get()
    with pytest.raises(ClientClosedError):
        await kb.users.list().collect()
    with pytest.raises(ClientClosedError):
        await kb.users.list().first_page()
    with pytest.raises(ClientClosedError):
        aiter(kb.users.list())
    with pytest.raises(ClientClosedError):
        kb.users.list().pages()
    with pytest.raises(ClientClosedError):
        await kb.groups.members_each([1]).collect()
    with pytest.raises(ClientClosedError):
        await kb.groups.derived_members().collect()
    with pytest.raises(ClientClosedError):
        await kb.__aenter__()
    assert len(sim.log) == 1
    assert issubclass(ClientClosedError, KB4Error)
    assert issubclass(ClientClosedError, RuntimeError)


async def test_a_client_used_from_another_loop_says_so(sim: Simulator, kb: ReportingClient) -> None:
    await kb.account.get()
    users = kb.users.list().pages()
    await anext(users)

    async def get() -> None:
        with pytest.raises(RuntimeError, match="event loop"):
            await kb.account.get()
        with pytest.raises(RuntimeError, match="event loop"):
            await kb.users.list().collect()
        with pytest.raises(RuntimeError, match="event loop"):
            await anext(users)

    await asyncio.to_thread(asyncio.run, get())
    await anext(users)
    assert await kb.account.get() == sim.account.account


async def test_nothing_is_sent_before_the_first_use(sim: Simulator) -> None:
    async with client(sim) as kb:
        kb.users.list()
        kb.groups.members_each()
    await ReportingClient(sim.api_key, base_url=sim.base_url).close()
    assert len(sim.log) == 0


@pytest.mark.parametrize("lent", [False, True])
async def test_a_get_under_way_when_the_client_closes_says_that_it_was_closed(
    lent: bool, sim: Simulator
) -> None:
    arrived = asyncio.Event()
    sim.on_request = lambda _: arrived.set()
    sim.faults.add(Fault.hang(), times=None)
    session = aiohttp.ClientSession() if lent else None
    kb = client(sim, session=session)
    under_way = asyncio.get_running_loop().create_task(kb.account.get())
    await arrived.wait()
    await kb.close()
    _, hanging = await asyncio.wait([under_way], timeout=2.0)
    under_way.cancel()
    await asyncio.wait([under_way])
    if session is not None:
        await session.close()
    assert not hanging
    with pytest.raises(ClientClosedError):
        await under_way
