"""Servers that enforce their limits, and servers that fall ill."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from support.options import QUICK

from kb4_async import Limits, RateLimitError, ReportingClient, Retry, Window
from kb4_async.events import Event, KeyPaused
from kb4_async.protocol import backoff, learning
from kb4_async.runtime import keystate, spacing
from kb4_async.testing import Account, Fault, Limit, Simulator, generate_account
from kb4_async.testing.limits import LimitKind

PATIENT = Retry(max_attempts=40, base=0.002, ceiling=0.02)


@pytest.fixture(scope="module")
def account() -> Account:
    return generate_account(users=500, groups=6, enrollments=0)


@pytest.fixture
def scaled_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is scaled down deserves pauses and lessons that are: a hundred times."""
    monkeypatch.setattr(backoff, "FIRST_PAUSE", 0.1)
    monkeypatch.setattr(learning, "SECOND", Window(4, 0.01))
    monkeypatch.setattr(learning, "MINUTE", Window(50, 0.6))
    monkeypatch.setattr(learning, "HEADERS_EXPLAIN", 1.2)


@asynccontextmanager
async def serving(
    account: Account, *limits: Limit, options: dict[str, Any], **server: Any
) -> AsyncIterator[tuple[Simulator, ReportingClient]]:
    async with (
        Simulator(account, limits=limits, **server) as sim,
        ReportingClient(sim.api_key, base_url=sim.base_url, **({"retry": QUICK} | options)) as kb,
    ):
        yield sim, kb


def ids(records: Any) -> list[int]:
    return [record["id"] for record in records]


# -- limits that are known ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sliding", "fixed", "bucket"])
@pytest.mark.parametrize("bursts", [True, False], ids=["in bursts", "evenly"])
async def test_a_known_limit_is_never_broken_at_the_server(
    kind: LimitKind, bursts: bool, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    if bursts:  # windows this short are spread evenly otherwise, and test nothing but spacing
        monkeypatch.setattr(spacing, "SHORT_WINDOW", 0.0)
    options = {"limits": Limits.of("50/0.5s"), "max_concurrency": 24}
    server = {"latency": 0.02, "jitter": 0.05}
    async with serving(account, Limit(50, 0.5, kind), options=options, **server) as (sim, kb):
        async with asyncio.TaskGroup() as group:
            users = group.create_task(kb.users.list(per_page=10).collect())
            group.create_task(kb.users.list(per_page=10, status="active").collect())
        assert ids(users.result()) == ids(account.users)
    assert len(sim.log) > 100
    assert sim.requests(status=429) == []
    assert sim.log.worst_window(0.5) <= 50


async def test_several_clients_of_a_key_keep_its_limit_together(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spacing, "SHORT_WINDOW", 0.0)
    limits = Limits.of("50/0.5s")
    async with Simulator(account, limits=[Limit(50, 0.5)], latency=0.01, jitter=0.05) as sim:

        async def read() -> None:
            async with ReportingClient(sim.api_key, base_url=sim.base_url, limits=limits) as kb:
                assert ids(await kb.users.list(per_page=20).collect()) == ids(account.users)

        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(read())
        await read()  # a client opened later
    assert sim.requests(status=429) == []
    assert sim.log.worst_window(0.5) <= 50


async def test_lost_requests_count_against_the_limit(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spacing, "SHORT_WINDOW", 0.0)
    options = {"limits": Limits.of("30/0.5s", max_lag=0.2), "retry": PATIENT}
    async with serving(account, Limit(30, 0.5), options=options, latency=0.01) as (sim, kb):
        sim.faults.add(Fault.reset(), times=None, probability=0.2)
        sim.faults.add(Fault.hang_up(), times=None, probability=0.2)
        assert ids(await kb.users.list(per_page=10).collect()) == ids(account.users)
    assert sim.requests(status=429) == []
    assert sim.log.worst_window(0.5) <= 30


# -- limits that are not -----------------------------------------------------------------------


def probes_stand_alone(sim: Simulator) -> bool:
    """After a refusal nothing arrives before one request was answered, and well.

    What was sent before the refusal came back may still arrive: as many as fly at once.
    """
    closed_at: float | None = None
    for entry in sim.log:
        if closed_at is not None and entry.arrived > closed_at:
            flying = [
                other
                for other in sim.log
                if other is not entry
                and other.arrived > closed_at
                and other.arrived < entry.arrived
                and (other.answered is None or other.answered > entry.arrived)
            ]
            if flying:
                return False
            closed_at = None
        if entry.status == 429:
            assert entry.answered is not None
            closed_at = entry.answered + 0.05  # the client has read it by then; pauses are longer
    return True


@pytest.mark.usefixtures("scaled_down")
@pytest.mark.parametrize("kind", ["sliding", "fixed", "bucket"])
async def test_a_server_stricter_than_the_client_is_read_whole_with_few_refusals(
    kind: LimitKind, account: Account
) -> None:
    events: list[Event] = []
    options = {"on_event": events.append, "max_concurrency": 8}
    async with serving(account, Limit(20, 0.4, kind), options=options, latency=0.01) as (sim, kb):
        assert ids(await kb.users.list(per_page=10).collect()) == ids(account.users)
    refused = sim.requests(status=429)
    pauses = [event for event in events if isinstance(event, KeyPaused)]
    assert refused
    assert len(refused) <= 8 * len(pauses)  # at most what flew at once, an incident
    assert len(refused) <= len(sim.log) / 2
    assert probes_stand_alone(sim)


@pytest.mark.usefixtures("scaled_down")
async def test_in_a_pause_nothing_arrives_and_then_one_probe_alone(account: Account) -> None:
    options = {"max_concurrency": 8}
    async with serving(account, options=options, latency=0.05) as (sim, kb):
        refusals = sim.faults.add(Fault.rate_limit(), after=10, times=4)
        assert ids(await kb.users.list(per_page=10).collect()) == ids(account.users)
    assert refusals.played == 4
    last = max(entry.number for entry in sim.log if entry.status == 429)
    answered = sim.log[last].answered
    assert answered is not None
    probe = next(entry for entry in sim.log[last + 1 :] if entry.arrived > answered)
    assert probe.answered is not None
    between = [entry for entry in sim.log if probe.arrived < entry.arrived < probe.answered]
    assert between == []


async def test_retry_after_is_obeyed_by_all(account: Account) -> None:
    async with serving(account, options={"max_concurrency": 8}, latency=0.01) as (sim, kb):
        sim.faults.add(Fault.rate_limit(1), after=5)
        assert ids(await kb.users.list(per_page=25).collect()) == ids(account.users)
    (refused,) = sim.requests(status=429)
    assert refused.answered is not None
    later = [entry.arrived for entry in sim.log if entry.arrived > refused.answered + 0.05]
    assert min(later) - refused.answered >= 1.0


@pytest.mark.usefixtures("scaled_down")
@pytest.mark.parametrize("form", [True, "date"])
async def test_a_limit_that_says_when_to_come_again_is_met_once_an_incident(
    form: Any, account: Account
) -> None:
    """The simulator says whole seconds, so this takes some."""
    options = {"max_concurrency": 8}
    limit = Limit(30, 1.0, "fixed")
    async with serving(account, limit, options=options, retry_after=form) as (sim, kb):
        assert ids(await kb.users.list(per_page=10).collect()) == ids(account.users)
    assert 1 <= len(sim.requests(status=429)) <= 8 * (len(sim.log) // 30)


async def test_a_retry_after_beyond_max_pause_ends_every_listing_at_once(account: Account) -> None:
    options = {"max_pause": 60.0}
    async with serving(account, options=options, latency=0.01) as (sim, kb):
        sim.faults.add(Fault.rate_limit(3600), after=5, times=None)
        async with asyncio.timeout(10.0):
            results = [
                asyncio.get_running_loop().create_task(kb.users.list(per_page=10).collect())
                for _ in range(4)
            ]
            await asyncio.wait(results)
    for task in results:
        error = task.exception()
        assert isinstance(error, RateLimitError)
        assert error.resume_token is not None
        assert error.retry_after is not None
        assert error.retry_after > 3500


@pytest.mark.usefixtures("scaled_down")
async def test_a_storm_of_one_client_pauses_the_others_of_its_key(account: Account) -> None:
    async with Simulator(account, latency=0.01) as sim:
        one = ReportingClient(sim.api_key, base_url=sim.base_url)
        other = ReportingClient(sim.api_key, base_url=sim.base_url)
        async with one, other:
            await other.account.get()
            sim.faults.add(Fault.rate_limit(1))
            under_way = asyncio.get_running_loop().create_task(one.account.get())
            while not sim.requests(status=429):  # noqa: ASYNC110  # the log has no event
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.05)
            await other.account.get()
            await under_way
        (refused,) = sim.requests(status=429)
        assert refused.answered is not None
        later = [entry.arrived for entry in sim.log[refused.number + 1 :]]
        assert len(later) == 2
        assert min(later) - refused.answered >= 1.0


# -- illness -----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [500, 502, 503, 504])
async def test_a_storm_of_server_errors_is_survived(code: int, account: Account) -> None:
    async with serving(account, options={"retry": PATIENT}, latency=0.002) as (sim, kb):
        sim.faults.add(Fault.status(code), times=None, probability=0.5)
        assert ids(await kb.users.list(per_page=10).collect()) == ids(account.users)
        (state,) = keystate.registry.values()
        assert state.granted == len(sim.log)
    assert len(sim.requests(status=code)) > 20


@pytest.mark.usefixtures("scaled_down")
@pytest.mark.parametrize("seed", range(2))
async def test_everything_at_once(seed: int, account: Account) -> None:
    """Every fault there is, by chance; the records are complete, and no arrival was unbooked."""
    # What is lost holds its slot for max_lag, which is scaled down with the rest.
    options = {"retry": PATIENT, "max_concurrency": 8, "limits": Limits(max_lag=0.3)}
    async with serving(
        account, options=options, latency=0.001, jitter=0.01, seed=seed, chunked=bool(seed % 2)
    ) as (sim, kb):
        for fault in (
            Fault.status(500),
            Fault.html(503),
            Fault.reset(),
            Fault.reset_in_body(),
            Fault.truncate(),
            Fault.truncate(content_length=True),
            Fault.invalid_json(),
            Fault.gzip(),
            Fault.slow(0.02),
            Fault.slow(0.02, in_body=True),
            Fault.hang_up(),
        ):
            sim.faults.add(fault, times=None, probability=0.05)
        sim.faults.add(Fault.rate_limit(), times=4, probability=0.05)
        async with asyncio.TaskGroup() as group:
            users = group.create_task(kb.users.list(per_page=10).collect())
            members = group.create_task(kb.groups.members_each(per_page=10).collect())
        assert ids(users.result()) == ids(account.users)
        expected = sorted((g, user["id"]) for g, rows in account.members.items() for user in rows)
        assert sorted((each["group_id"], each["id"]) for each in members.result()) == expected
        (state,) = keystate.registry.values()
        assert len(sim.log) <= state.granted
        assert state.windows.in_flight == 0
        assert kb.source.pool.free == 8
