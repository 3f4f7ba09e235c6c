"""Section 5 of the semantics: every way to leave a listing, row by row."""

import asyncio
import gc
import math
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from types import TracebackType
from typing import Any, cast

import pytest
from support.iterating import drain
from support.limiting import spawn, steps
from support.options import QUICK

from kb4_async import (
    AuthenticationError,
    ClientClosedError,
    KB4Error,
    NotFoundError,
    Page,
    PermissionDeniedError,
    ReportingClient,
    ServerError,
)
from kb4_async.runtime import keystate
from kb4_async.runtime.iterators import PageIterator, RecordIterator
from kb4_async.testing import Account, Fault, Simulator, generate_account

LATENCY = 0.008


@pytest.fixture(scope="module")
def account() -> Account:
    """120 users are 12 pages of 10."""
    return generate_account(users=120, groups=8, enrollments=0)


@pytest.fixture
async def sim(account: Account) -> AsyncIterator[Simulator]:
    async with Simulator(account, latency=LATENCY, jitter=LATENCY) as sim:
        yield sim


def client(sim: Simulator, **options: Any) -> ReportingClient:
    return ReportingClient(sim.api_key, base_url=sim.base_url, **({"retry": QUICK} | options))


def tasks_of(kb: ReportingClient) -> list[asyncio.Task[None]]:
    """The client's tasks that have not ended."""
    return [task for task in kb.source.scope.tasks if not task.done()]


Open = Callable[[ReportingClient], Any]

KINDS: dict[str, Open] = {
    "records": lambda kb: aiter(kb.users.list(per_page=10, prefetch=4)),
    "pages": lambda kb: kb.users.list(per_page=10, prefetch=4).pages(),
    "members of each group": lambda kb: aiter(kb.groups.members_each(per_page=5)),
    "pages of each group": lambda kb: kb.groups.members_each(per_page=5).pages(),
    "derived members": lambda kb: aiter(kb.groups.derived_members()),
}
kinds = pytest.mark.parametrize("kind", KINDS)


def marks(taken: list[Any]) -> list[Any]:
    """What was taken, in a form that can be compared; fan-outs come in any order."""
    marks: list[Any] = []
    for each in taken:
        if isinstance(each, Page):
            marks.append((tuple(each.scope.values()), each.number, each.end_reason, len(each)))
        else:
            marks.append((each.get("group_id"), each["id"]))
    return marks


def ordered(kind: str, taken: list[Any]) -> list[Any]:
    return sorted(marks(taken), key=repr) if "group" in kind else marks(taken)


async def everything(sim: Simulator, kind: str) -> list[Any]:
    """What an undisturbed iteration brings."""
    async with client(sim) as kb:
        return [each async for each in KINDS[kind](kb)]


async def fetched_out(kb: ReportingClient) -> None:
    """Wait until nothing is being fetched any more, because nobody takes."""
    async with asyncio.timeout(20.0):
        while running := tasks_of(kb):
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            await steps()


async def is_idle(sim: Simulator) -> None:
    """Nothing is asked any more."""
    await asyncio.sleep(LATENCY)  # what was sent before may only now arrive
    before = len(sim.log)
    await asyncio.sleep(5 * LATENCY)
    assert len(sim.log) == before


# -- break -------------------------------------------------------------------------------------


@kinds
async def test_break_ends_the_fetching_at_once_and_the_client_goes_on(
    kind: str, sim: Simulator
) -> None:
    async with client(sim) as kb:
        async for _ in KINDS[kind](kb):
            break
        if "group" not in kind:  # a fan-out's children are told by its own tasks, a step later
            assert all(task.cancelling() for task in tasks_of(kb))
        await steps()
        assert tasks_of(kb) == []
        await is_idle(sim)
        again = [each async for each in KINDS[kind](kb)]
    assert ordered(kind, again) == ordered(kind, await everything(sim, kind))


async def test_break_after_each_page_leaves_no_task(sim: Simulator) -> None:
    sim.latency = sim.jitter = 0.0
    async with client(sim) as kb:
        for number in range(1, 13):
            async for page in kb.users.list(per_page=10, prefetch=3).pages():
                if page.number == number:
                    break
            await steps()
            assert tasks_of(kb) == []


async def test_leaving_gives_every_place_in_the_page_pool_back(sim: Simulator) -> None:
    """A place that is lost makes every later listing of the client slower."""
    sim.latency = sim.jitter = 0.0
    async with client(sim, max_concurrency=8) as kb:
        for number in (1, 2, 3, 4, 5):
            async for page in kb.users.list(per_page=10, prefetch=4).pages():
                if page.number == number:
                    break
            await steps()
        assert kb.source.pool.free == 8
        sim.latency = LATENCY
        sim.log.clear()
        await kb.users.list(per_page=10, prefetch=4).collect()
        assert sim.log.most_in_flight() >= 3


# -- aclosing ----------------------------------------------------------------------------------


@kinds
@pytest.mark.parametrize("taken", [0, 1, 3])
async def test_aclose_returns_when_every_task_has_ended_and_may_be_called_again(
    kind: str, taken: int, sim: Simulator
) -> None:
    async with client(sim) as kb:
        async with aclosing(KINDS[kind](kb)) as records:
            for _ in range(taken):
                await anext(records)
        assert tasks_of(kb) == []
        await records.aclose()
        await is_idle(sim)
        assert await anext(KINDS[kind](kb))


@kinds
async def test_after_aclose_there_is_nothing_more(kind: str, sim: Simulator) -> None:
    async with client(sim) as kb:
        records = KINDS[kind](kb)
        await anext(records)
        await records.aclose()
        for _ in range(2):
            with pytest.raises(StopAsyncIteration):
                await anext(records)


@kinds
async def test_aclose_ends_a_waiting_anext(kind: str, sim: Simulator) -> None:
    sim.faults.add(Fault.hang(), times=None)
    async with client(sim) as kb:
        records = KINDS[kind](kb)
        waiting = spawn(anext(records))
        await asyncio.sleep(LATENCY)
        await records.aclose()
        async with asyncio.timeout(5.0):
            with pytest.raises(StopAsyncIteration):
                await waiting


# -- an exception in the body ------------------------------------------------------------------


class OursError(Exception):
    pass


async def body(records: AsyncIterator[Any], error: Exception) -> None:
    """A consumer that fails at its first record."""
    async for _ in records:
        raise error


@kinds
async def test_an_exception_in_the_body_arrives_as_itself(kind: str, sim: Simulator) -> None:
    async with client(sim) as kb:
        error = OursError("of the body")
        with pytest.raises(OursError) as caught:
            await body(KINDS[kind](kb), error)
        assert caught.value is error
        assert error.__cause__ is None
        assert error.__context__ is None
        del caught
        error.__traceback__ = None
        await steps()
        assert tasks_of(kb) == []
        assert await anext(KINDS[kind](kb))


async def test_while_a_traceback_keeps_the_iterator_fetching_stops_after_prefetch_pages(
    sim: Simulator,
) -> None:
    async with client(sim) as kb:
        kept: TracebackType | None = None
        try:
            await body(kb.users.list(per_page=2, prefetch=5).pages(), OursError())
        except OursError as error:
            kept = error.__traceback__
        await fetched_out(kb)
        assert len(pages_kept(sim) - probes(60)) <= 1 + 5
        await is_idle(sim)
        del kept


def pages_kept(sim: Simulator) -> set[int | None]:
    """Pages with rows that were asked: whatever is not taken of them is in memory."""
    return {entry.page for entry in sim.log if entry.rows}


def probes(pages: int) -> set[int]:
    """Pages with rows that the search for the end asks: doubling, a first quarter, halving."""
    kept, low, high, share = set(), 1, None, 4
    while high != low + 1:
        probe = 2 * low if high is None else low + max(1, (high - low) // share)
        share = share if high is None else 2
        if probe > pages:
            high = probe
        else:
            low = probe
            kept.add(probe)
    return kept


# -- a wait that is cut short ------------------------------------------------------------------


@kinds
async def test_a_timeout_on_one_anext_takes_nothing(kind: str, sim: Simulator) -> None:
    expected = await everything(sim, kind)
    async with client(sim) as kb:
        records, timeouts = KINDS[kind](kb), 0
        taken: list[Any] = []
        while True:
            try:
                async with asyncio.timeout(LATENCY / 4):
                    taken.append(await anext(records))
            except TimeoutError:
                timeouts += 1
            except StopAsyncIteration:
                break
    assert timeouts > 0
    assert ordered(kind, taken) == ordered(kind, expected)


@kinds
async def test_a_cancelled_anext_takes_nothing(kind: str, sim: Simulator) -> None:
    expected = await everything(sim, kind)
    async with client(sim) as kb:
        records, cancelled = KINDS[kind](kb), 0
        taken: list[Any] = []
        while True:
            waiting = spawn(anext(records))
            await steps(1 + len(taken) % 4)
            waiting.cancel()
            try:
                taken.append(await waiting)
            except asyncio.CancelledError:
                cancelled += 1
                await asyncio.sleep(LATENCY / 4)
            except StopAsyncIteration:
                break
    assert cancelled > 0
    assert ordered(kind, taken) == ordered(kind, expected)


async def test_fetching_goes_on_while_the_consumer_was_only_cut_short(sim: Simulator) -> None:
    async with client(sim) as kb:
        pages = kb.users.list(per_page=10, prefetch=4).pages()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(LATENCY / 4):
                await anext(pages)
        asked = len(sim.log)
        await asyncio.sleep(10 * LATENCY)
        assert len(sim.log) > asked
        assert (await anext(pages)).number == 1


async def test_two_consumers_of_one_iterator_lose_nothing_or_are_told(sim: Simulator) -> None:
    async def take(records: AsyncIterator[Any], taken: list[int]) -> None:
        async for record in records:
            taken.append(record["id"])
            await asyncio.sleep(0)

    taken: list[int] = []
    async with client(sim) as kb:
        records = aiter(kb.users.list(per_page=10))
        told = False
        try:
            async with asyncio.timeout(10.0), asyncio.TaskGroup() as group:
                group.create_task(take(records, taken))
                group.create_task(take(records, taken))
        except* RuntimeError:
            told = True  # an async generator says that it is already running
    assert told or sorted(taken) == sorted(user["id"] for user in sim.account.users)


# -- the client is closed meanwhile ------------------------------------------------------------


@pytest.mark.parametrize("taken", [0, 1, 7, 10, 35, 119])
async def test_closing_the_client_is_told_with_a_token_that_gives_the_rest(
    taken: int, sim: Simulator
) -> None:
    expected = [user["id"] for user in sim.account.users]
    kb = client(sim)
    records = aiter(kb.users.list(per_page=10, prefetch=4))
    got = [(await anext(records))["id"] for _ in range(taken)]
    await kb.close()
    assert tasks_of(kb) == []
    left: list[Any] = []
    with pytest.raises(ClientClosedError) as caught:
        await drain(records, left)
    assert len(left) < 10  # of the page that is out already
    got += [user["id"] for user in left]
    for _ in range(2):
        with pytest.raises(ClientClosedError) as again:
            await anext(records)
        assert again.value.resume_token == caught.value.resume_token
    assert caught.value.resume_token is not None
    async with client(sim) as kb:
        rest = kb.users.list(per_page=10, start=caught.value.resume_token)
        got += [user["id"] async for user in rest]
    assert got == expected


@kinds
async def test_closing_the_client_wakes_a_waiting_consumer(kind: str, sim: Simulator) -> None:
    sim.faults.add(Fault.hang(), times=None)
    kb = client(sim)
    waiting = spawn(anext(KINDS[kind](kb)))
    await asyncio.sleep(LATENCY)
    await kb.close()
    assert tasks_of(kb) == []
    async with asyncio.timeout(5.0):
        with pytest.raises(ClientClosedError):
            await waiting


@kinds
async def test_an_iterator_of_a_closed_client_never_seems_to_end(kind: str, sim: Simulator) -> None:
    kb = client(sim)
    records = KINDS[kind](kb)
    await anext(records)
    await kb.close()
    with pytest.raises(ClientClosedError):
        await drain(records)
    with pytest.raises(ClientClosedError):
        await anext(records)


# -- a page that fails -------------------------------------------------------------------------


@pytest.mark.parametrize("page", [1, 2, 3, 4, 5, 8, 9, 11, 12])
@pytest.mark.parametrize(("code", "error"), [(403, PermissionDeniedError), (500, ServerError)])
async def test_a_page_that_fails_ends_the_listing_behind_the_pages_before_it(
    page: int, code: int, error: type[KB4Error], sim: Simulator
) -> None:
    sim.faults.add(Fault.status(code), page=page, times=None)
    async with client(sim) as kb:
        pages = kb.users.list(per_page=10, prefetch=4).pages()
        got: list[Any] = []
        with pytest.raises(error) as caught:
            await drain(pages, got)
        assert [each.number for each in got] == list(range(1, page))
        assert type(caught.value) is error
        with pytest.raises(error) as again:
            await anext(pages)
        assert again.value is caught.value
        await steps()
        assert tasks_of(kb) == []
        await is_idle(sim)
        token = caught.value.resume_token
        assert token is not None
        sim.faults.clear()
        got += [each async for each in kb.users.list(per_page=10, start=token).pages()]
    users = [user for each in got for user in each.items]
    assert users == list(sim.account.users)


async def test_several_failing_pages_end_in_the_error_of_the_first_of_them(sim: Simulator) -> None:
    sim.faults.add(Fault.status(403), page=5, times=None)
    sim.faults.add(Fault.status(404), page=3, times=None)
    sim.faults.add(Fault.status(500), page=8, times=None)
    async with client(sim) as kb:
        got: list[Any] = []
        with pytest.raises(NotFoundError):
            await drain(kb.users.list(per_page=10).pages(), got)
    assert [page.number for page in got] == [1, 2]


async def test_an_error_of_a_failed_listing_leaves_other_listings_alone(sim: Simulator) -> None:
    sim.faults.add(Fault.status(403), path="users", page=3, times=None)
    async with client(sim) as kb, asyncio.TaskGroup() as group:
        groups = group.create_task(kb.groups.members_each(per_page=5).collect())
        with pytest.raises(PermissionDeniedError):
            await kb.users.list(per_page=10).collect()
    assert len(groups.result()) == sum(len(rows) for rows in sim.account.members.values())


# -- a consumer that stops taking --------------------------------------------------------------


@pytest.mark.parametrize("prefetch", [1, 3, 8])
async def test_a_consumer_that_stops_taking_stops_the_fetching(
    prefetch: int, sim: Simulator
) -> None:
    expected = list(sim.account.users)
    async with client(sim) as kb:
        pages = kb.users.list(per_page=2, prefetch=prefetch).pages()
        got = [await anext(pages)]
        await fetched_out(kb)
        await is_idle(sim)
        assert len(pages_kept(sim) - probes(60)) <= 1 + prefetch
        assert pages_kept(sim) - probes(60) <= set(range(1, prefetch + 2))
        got += [page async for page in pages]
    assert [user for page in got for user in page.items] == expected


@pytest.mark.parametrize("pages", [12, 40, 60])
async def test_kept_probes_are_at_most_2_log2_of_the_pages(pages: int, sim: Simulator) -> None:
    async with client(sim) as kb:
        iterator = kb.users.list(per_page=120 // pages, prefetch=1).pages()
        await anext(iterator)
        await fetched_out(kb)
        await is_idle(sim)
        assert len(pages_kept(sim) - {1, 2}) <= 2 * math.log2(pages)


async def test_members_each_stops_fetching_too(sim: Simulator) -> None:
    prefetch = 2
    async with client(sim) as kb:
        groups = await kb.groups.list().collect()
        sim.log.clear()
        members = kb.groups.members_each(groups, per_page=1, prefetch=prefetch).pages()
        got = [await anext(members)]
        await asyncio.sleep(50 * LATENCY)  # the children's own tasks wait for the consumer
        await is_idle(sim)
        for group in groups:
            asked = sim.requests(f"groups/{group['id']}/members")
            # The head, its prefetch, and the page that waits to be taken or was taken.
            assert len(asked) <= prefetch + 2
        got += [page async for page in members]
    found = {
        cast("int", page.scope["group_id"]): page.end_reason for page in got if page.end_reason
    }
    assert found == {group["id"]: "count_met" for group in groups}
    assert sum(len(page) for page in got) == sum(len(rows) for rows in sim.account.members.values())


async def test_a_listing_that_nobody_reads_holds_no_other_up(sim: Simulator) -> None:
    sim.latency = sim.jitter = 0.001
    async with client(sim, max_concurrency=2) as kb:
        idle = [kb.users.list(per_page=2, prefetch=16).pages() for _ in range(3)]
        for pages in idle:
            await anext(pages)
        async with asyncio.timeout(20.0):
            assert len(await kb.users.list(per_page=10).collect()) == 120
            for pages in idle:
                assert sum([len(page) async for page in pages]) == 118


# -- children that fail ------------------------------------------------------------------------


def crowded(sim: Simulator) -> list[int]:
    """Groups with members."""
    return [number for number, rows in sim.account.members.items() if rows]


async def test_a_failing_child_ends_the_whole_with_its_error(sim: Simulator) -> None:
    bad = crowded(sim)[1]
    sim.faults.add(Fault.status(403), path=f"groups/{bad}/members", times=None)
    async with client(sim) as kb:
        members = aiter(kb.groups.members_each(per_page=5))
        with pytest.raises(PermissionDeniedError) as caught:
            await drain(members)
        with pytest.raises(PermissionDeniedError) as again:
            await anext(members)
        assert again.value is caught.value
        await steps()
        assert tasks_of(kb) == []
        await is_idle(sim)


async def test_a_child_may_be_skipped_and_is_named(sim: Simulator) -> None:
    bad = crowded(sim)[1]
    sim.faults.add(Fault.status(500), path=f"groups/{bad}/members", page=2, times=None)
    async with client(sim) as kb:
        iterator = aiter(kb.groups.members_each(on_error="skip", per_page=5))
        members = [member async for member in iterator]
        (failure,) = iterator.failures
    assert failure.scope == {"group_id": bad}
    assert isinstance(failure.error, ServerError)
    assert failure.error.resume_token is not None
    got: dict[int, int] = {}
    for member in members:
        got[member["group_id"]] = got.get(member["group_id"], 0) + 1
    expected = {number: len(sim.account.members[number]) for number in crowded(sim)}
    assert got == expected | {bad: 5}


async def test_what_every_child_would_meet_is_not_skipped(sim: Simulator) -> None:
    async with client(sim) as kb:
        groups = await kb.groups.list().collect()
        sim.revoke(sim.api_key)
        with pytest.raises(AuthenticationError):
            await kb.groups.members_each(groups, on_error="skip").collect()


@pytest.mark.parametrize("on_error", ["raise", "skip"])
async def test_an_error_of_the_parents_is_the_consumers(on_error: Any, sim: Simulator) -> None:
    sim.faults.add(Fault.status(403), path="groups", times=None)
    async with client(sim) as kb:
        with pytest.raises(PermissionDeniedError):
            await kb.groups.members_each(on_error=on_error).collect()


async def test_an_exception_of_the_parents_iterable_is_the_consumers(sim: Simulator) -> None:
    async def groups() -> AsyncIterator[int]:
        yield crowded(sim)[0]
        raise OursError

    async with client(sim) as kb:
        with pytest.raises(OursError):
            await kb.groups.members_each(groups()).collect()


# -- dropped elsewhere -------------------------------------------------------------------------


@kinds
async def test_an_iterator_dropped_in_another_thread_ends_its_tasks(
    kind: str, sim: Simulator
) -> None:
    async with client(sim) as kb:
        kept = [KINDS[kind](kb)]
        await anext(kept[0])
        await asyncio.to_thread(kept.clear)
        await steps()
        assert tasks_of(kb) == []
        await is_idle(sim)
        assert await anext(KINDS[kind](kb))


async def test_an_iterator_in_a_cycle_is_collected_in_another_thread(sim: Simulator) -> None:
    async with client(sim) as kb:
        cycle: list[Any] = [aiter(kb.users.list(per_page=10))]
        await anext(cycle[0])
        cycle.append(cycle)
        del cycle
        await asyncio.to_thread(gc.collect)
        await steps()
        assert tasks_of(kb) == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_iterator_dropped_after_its_loop_closed_does_no_harm(
    kind: str, account: Account
) -> None:
    kept: list[Any] = []

    async def main() -> None:
        async with Simulator(account) as sim, client(sim) as kb:
            kept.append(KINDS[kind](kb))
            await anext(kept[0])

    asyncio.run(main())
    kept.clear()
    gc.collect()


# -- at every moment ---------------------------------------------------------------------------


def in_order(kb: ReportingClient, size: int) -> None:
    """Nothing of what the client counts went astray."""
    assert tasks_of(kb) == []
    assert kb.source.pool.free == size
    assert kb.source.engine.slots._value == size
    for state in keystate.registry.values():
        assert state.windows.in_flight == 0
        for line in state.turnstiles.values():
            assert line.first() is None


SWEPT: dict[str, Open] = {
    "records": lambda kb: kb.users.list(per_page=15, prefetch=3).collect(),
    "members": lambda kb: kb.groups.members_each(per_page=20).collect(),
    "first page": lambda kb: kb.users.list().first_page(),
    "get": lambda kb: kb.account.get(),
}


@pytest.mark.parametrize("name", SWEPT)
async def test_cancelling_at_any_moment_leaves_nothing(name: str, sim: Simulator) -> None:
    sim.latency = sim.jitter = 0.0
    size = 4
    async with client(sim, max_concurrency=size) as kb, asyncio.timeout(30.0):
        await kb.account.get()
        moment, finished = 0, False
        while not finished:
            task = spawn(SWEPT[name](kb))
            await steps(moment)
            finished = task.done()
            task.cancel()
            await asyncio.wait([task])
            await steps(3)
            in_order(kb, size)
            moment += 1 + moment // 12
        assert moment > 5
        assert len(await kb.users.list(per_page=10).collect()) == 120


@pytest.mark.parametrize("name", ["records", "members"])
async def test_closing_the_client_at_any_moment_ends_everything_and_is_never_an_end(
    name: str, sim: Simulator
) -> None:
    # Hundreds of clients are closed here: neither side's cap of 1,000 a minute is what is tested.
    async with Simulator(sim.account, limits=()) as sim:
        await sweep_closing(name, sim)


async def sweep_closing(name: str, sim: Simulator) -> None:
    async with client(sim) as kb:
        expected = len(await SWEPT[name](kb))
    moment, finished = 0, False
    hanging: dict[int, int] = {}
    while not finished:
        keystate.registry.clear()
        kb = client(sim, max_concurrency=2)
        tasks = [spawn(SWEPT[name](kb)) for _ in range(3)]
        await steps(moment)
        finished = all(task.done() for task in tasks)
        await kb.close()
        left = [task for task in asyncio.all_tasks() if task.get_name().startswith("kb4")]
        assert left == [], f"closed after {moment} steps"
        await steps(50)  # nothing is left to wait for
        if not all(task.done() for task in tasks):
            hanging[moment] = sum(not task.done() for task in tasks)
            for task in tasks:
                task.cancel()
        await asyncio.wait(tasks)
        for task in tasks:
            error = None if task.cancelled() else task.exception()
            assert isinstance(error, ClientClosedError | None)
            if error is None and not task.cancelled():
                assert len(task.result()) == expected
        moment += 1 + moment // 12
    assert moment > 5
    assert hanging == {}, "consumers that hang, by the steps after which the client was closed"


@pytest.mark.parametrize("wanted", [PageIterator, RecordIterator])
async def test_aclose_at_any_moment_returns_with_every_task_ended(
    wanted: type[Any], sim: Simulator
) -> None:
    sim.latency = sim.jitter = 0.0
    async with client(sim, max_concurrency=4) as kb, asyncio.timeout(30.0):
        await kb.account.get()
        for moment in range(0, 150, 3):
            listing = kb.users.list(per_page=10, prefetch=3)
            records = listing.pages() if wanted is PageIterator else aiter(listing)
            waiting = spawn(anext(records))
            await steps(moment)
            await records.aclose()
            assert tasks_of(kb) == []
            _, hanging = await asyncio.wait([waiting], timeout=5.0)
            waiting.cancel()
            assert not hanging, f"closed after {moment} steps, the consumer hangs"
            assert isinstance(waiting.exception(), StopAsyncIteration | None)
        in_order(kb, 4)


async def test_partial_is_never_called_complete(sim: Simulator) -> None:
    """Whatever fails for good, the consumer meets an error or has everything."""
    sim.latency = sim.jitter = 0.0
    expected = list(sim.account.users)
    async with client(sim) as kb:
        for page in range(1, 20):
            for fault in (Fault.status(404), Fault.invalid_json(), Fault.truncate()):
                sim.faults.clear()
                sim.faults.add(fault, page=page, times=None)
                got: list[Any] = []
                try:
                    await drain(kb.users.list(per_page=10), got)
                except KB4Error:
                    assert got == expected[: len(got)]
                else:
                    assert got == expected
