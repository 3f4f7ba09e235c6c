"""The limiter on its defaults, against servers that it knows nothing of.

Every number here is virtual time and a seeded chance, so it is the same in each run.
"""

import asyncio
import itertools
import math
from contextlib import closing

import pytest
from support.limiting import holds, now
from support.rate_server import (
    QUIET,
    RateServer,
    Road,
    World,
    clairvoyant_seconds,
    most_in_a_window,
    one_client,
    play,
)

from kb4_async.events import KeyPaused
from kb4_async.testing import Limit, published_limits
from kb4_async.testing.limits import LimitKind

CAP = 1000
LATENCIES = [0.02, 0.2, 0.8]
KINDS: tuple[LimitKind, ...] = ("sliding", "fixed", "bucket")


def cap(kind: LimitKind, phase: float = 0.0, count: int = CAP) -> Limit:
    """A server's limit for each minute."""
    return Limit(count, 60.0, kind, phase=phase)


# -- servers that allow the cap ----------------------------------------------------------------


@pytest.mark.parametrize("latency", LATENCIES)
@pytest.mark.parametrize(
    ("kind", "phase"),
    [("sliding", 0.0), ("bucket", 0.0), *(("fixed", phase) for phase in (0.0, 13.0, 30.0, 59.9))],
)
def test_a_server_that_allows_the_cap_refuses_nothing(
    kind: LimitKind, phase: float, latency: float
) -> None:
    world = one_client(cap(kind, phase), road=Road(latency), total=3000)
    assert world.done == 3000
    assert world.refused == 0
    assert world.events == []


@pytest.mark.parametrize("latency", LATENCIES)
@pytest.mark.parametrize("kind", ["sliding", "fixed"])
def test_three_thousand_requests_take_hardly_longer_than_a_clairvoyants(
    kind: LimitKind, latency: float
) -> None:
    """Where windows are fixed, the run begins with one: its phase is told by no answer."""
    road = Road(latency)
    world = World(RateServer(cap("sliding")), road)

    async def main() -> None:
        limiter = world.client()
        await world.warm_up(limiter)
        world.server.change(cap(kind, phase=now()))
        await world.work(limiter, total=3000)

    play(main())
    assert world.refused == 0
    best = clairvoyant_seconds(
        cap(kind, phase=world.began), road, total=3000, workers=32, began=world.began
    )
    assert 1.0 <= world.took / best <= 1.02


def test_the_clairvoyant_itself_keeps_to_the_windows() -> None:
    road = Road(0.2)
    burst = CAP / 32 * 0.2
    for limit in (cap("sliding"), cap("fixed", phase=17.0)):
        for total, expected in ((CAP, burst), (CAP + 1, 60.0), (2 * CAP + 1, 120.0)):
            seconds = clairvoyant_seconds(limit, road, total=total, workers=32, began=17.0)
            assert seconds == pytest.approx(expected, abs=1.0)


def test_the_phase_of_a_servers_windows_makes_no_difference() -> None:
    taken = {
        one_client(cap("fixed", phase), total=2500, warm=True).took for phase in (0.0, 20.0, 50.0)
    }
    assert len(taken) == 1


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_refused_where_answers_are_lost_and_requests_arrive_late(
    kind: LimitKind, seed: int
) -> None:
    road = Road(0.3, lost=0.05, unsent=0.03)
    world = one_client(cap(kind), road=road, total=2500, seed=seed)
    assert world.done == 2500
    assert sum(arrival.answered == math.inf for arrival in world.server.log) > 80
    assert world.refused == 0


@pytest.mark.parametrize("late", [30.0, 150.0])
def test_a_slot_of_a_lost_request_is_free_no_earlier_than_max_lag_demands(late: float) -> None:
    """What is later than ``max_lag`` is refused: so a slot that is free too early would be seen."""
    world = World(RateServer(cap("sliding")), Road(0.3, lost=0.3, late=late))

    async def main() -> None:
        limiter = world.client()
        loop = asyncio.get_running_loop()
        loop.call_later(15.0, setattr, world, "road", Road(0.3))
        await world.work(limiter, total=3000)

    play(main())
    assert (world.refused > 0) == (late > 30.0)


# -- servers that allow less and do not say so -------------------------------------------------

FOUR = Limit(4, 1.0)
FIFTY = Limit(50, 60.0, lockout=300.0)
LOCKING = {
    "as published": published_limits(5000),
    "the second locks out too": (Limit(4, 1.0, lockout=300.0), FIFTY),
    "only the minute": (FIFTY,),
    "refused requests count": (
        Limit(4, 1.0, count_refused=True),
        Limit(50, 60.0, lockout=300.0, count_refused=True),
    ),
    "no lockout": (FOUR, Limit(50, 60.0)),
    "windows are fixed": (
        Limit(4, 1.0, "fixed", phase=0.3),
        Limit(50, 60.0, "fixed", phase=7.0, lockout=300.0),
    ),
    "buckets": (Limit(4, 1.0, "bucket"), Limit(50, 60.0, "bucket", lockout=300.0)),
}


@pytest.mark.parametrize(
    ("name", "latency", "total"),
    [
        *((name, 0.2, total) for name in LOCKING for total in (500, 3000)),
        *(("as published", latency, total) for latency in (0.02, 0.8) for total in (500, 3000)),
        *((name, latency, 500) for name in LOCKING for latency in (0.02, 0.8)),
    ],
)
def test_published_limits_cost_few_incidents_and_are_then_used(
    name: str, latency: float, total: int
) -> None:
    world = one_client(*LOCKING[name], road=Road(latency), total=total)
    assert world.done == total
    assert len(world.incidents()) <= 3
    assert world.rate() >= 0.85 * 50


@pytest.mark.parametrize("total", [500, 3000])
@pytest.mark.parametrize("seconds_too", [False, True])
def test_a_lockout_that_each_refusal_extends_is_sat_out(*, seconds_too: bool, total: int) -> None:
    second = Limit(4, 1.0, lockout=300.0) if seconds_too else FOUR
    world = one_client(second, FIFTY, extending=True, total=total)
    assert world.done == total
    assert len(world.incidents()) <= 3
    assert world.rate() >= 0.85 * 50
    assert world.refused <= 15  # single requests ask whether it is over


def test_a_lockout_is_found_out_by_single_requests_at_growing_distances() -> None:
    world = one_client(Limit(4, 1.0, lockout=300.0), FIFTY, total=300)
    pauses = [event.seconds for _, event in world.events if isinstance(event, KeyPaused)]
    assert len(pauses) >= 8
    assert all(2.0 * 0.8 * a <= b for a, b in itertools.pairwise(pauses))
    (incident,) = world.incidents()
    refused = [each for each in world.server.log if not each.accepted]
    known = min(each.answered for each in refused)
    assert sum(each.sent > known for each in refused) == len(pauses) - 1
    assert incident[1] - incident[0] <= 300.0 + pauses[-1] + 1.0


@pytest.mark.parametrize("latency", [0.2, 0.8])
@pytest.mark.parametrize("seed", range(2))
def test_losses_on_the_way_earn_no_further_lockout(seed: int, latency: float) -> None:
    road = Road(latency, lost=0.05, unsent=0.02)
    world = one_client(*published_limits(5000), road=road, total=1000, seed=seed)
    assert world.done == 1000
    assert len(world.incidents()) <= 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("count", "settles"), [(5, 1000.0), (20, 600.0), (120, 300.0), (500, 400.0)]
)
def test_whatever_a_minute_allows_is_found_and_used(
    count: int, settles: float, kind: LimitKind
) -> None:
    world = one_client(cap(kind, count=count), seconds=settles + 600.0)
    assert len(world.incidents()) <= 6
    # What a bucket had saved lets it give more for a while.
    assert 0.85 * count <= world.rate(world.began + settles) <= 1.3 * count


@pytest.mark.parametrize("kind", KINDS)
def test_four_a_second_alone_is_kept_with_few_incidents(kind: LimitKind) -> None:
    world = one_client(Limit(4, 1.0, kind), seconds=7200.0)
    assert len(world.incidents()) <= 4
    assert world.rate() >= 0.85 * 50


@pytest.mark.parametrize("latency", LATENCIES[1:])
def test_several_refusals_of_one_moment_are_one_incident_and_one_lesson(latency: float) -> None:
    """All workers' requests are on their way when the first refusal is heard."""
    world = one_client(cap("sliding", count=300), road=Road(latency), total=400)
    assert world.refused >= 20
    assert len(world.incidents()) == 1
    assert sum(isinstance(event, KeyPaused) for _, event in world.events) == 1
    assert [level for _, level in world.levels()] == [50, 100]  # 100 after a quiet minute


@pytest.mark.parametrize("kind", KINDS)
def test_a_limit_halved_is_followed_down_and_when_restored_up_again(kind: LimitKind) -> None:
    world = World(RateServer(cap(kind)))
    halved, restored, patience = 120.0, 1320.0, 2700.0

    async def main() -> None:
        limiter = world.client()
        await world.warm_up(limiter)
        loop, begun = asyncio.get_running_loop(), now()
        loop.call_at(begun + halved, world.server.change, cap(kind, count=500))
        loop.call_at(begun + restored, world.server.change, cap(kind))
        working = loop.create_task(world.work(limiter, seconds=restored + patience))
        while not working.done():
            await asyncio.sleep(60.0)
            if now() > begun + restored and world.state.learned.lesson is None:
                world.stop_at = now() + 300.0
                await working

    play(main())
    begun = world.began
    assert world.rate(begun, begun + halved) >= 900
    assert world.rate(begun + 800.0, begun + restored) >= 375
    # Windows that are not sliding refuse at other counts each time.
    assert len(world.incidents()) <= {"sliding": 4, "fixed": 5, "bucket": 7}[kind]
    assert world.ended < begun + restored + patience
    assert world.rate(world.ended - 240.0) >= 900


# -- what the server says itself ---------------------------------------------------------------


@pytest.mark.parametrize("latency", LATENCIES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("warm", [True, False])
def test_a_limit_that_headers_tell_is_obeyed(
    kind: LimitKind, latency: float, *, warm: bool
) -> None:
    world = one_client(
        cap(kind, count=200), road=Road(latency), headers=True, seconds=300.0, warm=warm
    )
    assert world.refused == 0
    assert world.rate() >= 0.95 * 200
    assert [level for _, level in world.levels()] == [200]


@pytest.mark.parametrize("kind", KINDS)
def test_headers_never_raise_the_cap_nor_the_clients_own_limits(kind: LimitKind) -> None:
    world = World(RateServer(cap(kind, count=3000), headers=True))

    async def main() -> None:
        wide = world.client()
        await world.warm_up(wide)
        await world.work(wide, total=2100)
        assert most_in_a_window((each.at for each in world.server.log), 60.0) == CAP
        await asyncio.sleep(QUIET)
        world.server.log.clear()
        await world.work(world.client("100/60s"), total=300)
        assert most_in_a_window((each.at for each in world.server.log), 60.0) == 100

    play(main())
    assert world.events == []
    assert world.refused == 0


async def stubborn(world: World, total: int) -> None:
    """A client that holds the windows, and backs off each refused request by itself."""
    limiter = world.client()
    await world.warm_up(limiter)
    left, world.began = total, now()

    async def worker() -> None:
        nonlocal left
        while left > 0:
            left, tried = left - 1, 0
            while not await world.attempt(limiter, heed=False):
                await asyncio.sleep(min(60.0, 2.0**tried) * (0.5 + 0.5 * world.chance.random()))
                tried += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(32):
            group.create_task(worker())


def beside_another_program(kind: LimitKind, a_minute: float, *, learns: bool) -> World:
    """Three thousand requests of a key that another program uses too."""
    world = World(RateServer(cap(kind), headers=learns))

    async def main() -> None:
        neighbour = asyncio.get_running_loop().create_task(world.neighbour(a_minute))
        if learns:
            limiter = world.client()
            await world.warm_up(limiter)
            await world.work(limiter, total=3000)
        else:
            await stubborn(world, 3000)
        neighbour.cancel()

    play(main())
    return world


@pytest.mark.parametrize("a_minute", [300.0, 600.0])
@pytest.mark.parametrize("kind", KINDS)
def test_what_remains_beside_another_program_is_heeded_and_used(
    kind: LimitKind, a_minute: float
) -> None:
    heeding = beside_another_program(kind, a_minute, learns=True)
    stubborn_one = beside_another_program(kind, a_minute, learns=False)
    assert heeding.refused <= 0.02 * 3000
    assert heeding.refused <= 0.5 * stubborn_one.refused
    # What the other program leaves over is used.
    assert heeding.took <= 1.5 * 3000 / (CAP - a_minute) * 60.0


# -- several clients of one key ----------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_ten_clients_of_a_key_keep_its_cap_together(kind: LimitKind) -> None:
    world = World(RateServer(cap(kind)))

    async def main() -> None:
        limiters = [world.client() for _ in range(10)]
        await world.work(*limiters, total=2500, workers=40)

    play(main())
    assert world.done == 2500
    assert world.refused == 0
    assert world.took < 150.0  # three windows, as one client takes


@pytest.mark.parametrize("kind", KINDS)
def test_clients_that_close_and_reopen_all_the_time_keep_the_windows(kind: LimitKind) -> None:
    world = World(RateServer(Limit(4, 1.0, kind), cap(kind, count=50)))

    async def web_request() -> None:
        await asyncio.sleep(world.chance.random() * 100.0)
        with closing(world.client("4/1s", "50/60s")) as limiter:
            await world.request(limiter)
            if world.chance.random() < 0.5:
                await world.request(limiter)

    async def main() -> None:
        staying = [world.client("4/1s", "50/60s") for _ in range(5)]
        world.began = now()
        async with asyncio.TaskGroup() as group:
            for _ in range(200):
                group.create_task(web_request())
            for limiter in staying:
                group.create_task(world.request(limiter))

    play(main())
    arrivals = [each.at for each in world.server.log]
    assert len(arrivals) > 250
    assert world.refused == 0
    assert holds(arrivals, 4, 1.0)
    assert holds(arrivals, 50, 60.0)
    assert world.rate() >= 45


def test_a_client_per_web_request_learns_for_the_next_one() -> None:
    world = World(RateServer(*published_limits(5000)))

    async def main() -> None:
        world.began = now()
        for _ in range(60):
            async with asyncio.TaskGroup() as group:
                for _ in range(10):
                    group.create_task(in_a_client_of_its_own())

    async def in_a_client_of_its_own() -> None:
        with closing(world.client()) as limiter:
            await world.request(limiter)

    play(main())
    assert world.done == 600
    assert len(world.incidents()) <= 3
    assert world.rate() >= 0.85 * 50
