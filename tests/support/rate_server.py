"""A server with limits of its own, the road to it, and clients that know nothing of either.

The server decides by the moments of arrival alone and keeps its own log; a client under test hears
nothing but its answers. All of it runs on the virtual clock, so every number repeats.
"""

import asyncio
import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from support.limiting import now

from kb4_async.events import Event, LimitChanged
from kb4_async.options import Limits
from kb4_async.protocol.verdict import NOTHING_TOLD, RateHeaders
from kb4_async.runtime.keystate import KeyState
from kb4_async.runtime.limiter import Limiter
from kb4_async.testing import Limit, run_virtual
from kb4_async.testing.limits import Gate

T = TypeVar("T")

#: Longer than the slow start and every window of a minute.
QUIET = 200.0
#: What ``Limits`` assumes by default.
MAX_LAG = 30.0
#: Seconds until the next request probes after a probe was lost.
HAND_OVER = 1.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request at the server.

    Attributes:
        at: When it arrived.
        accepted: Whether it was not refused.
        sent: When it left; never for a request of another program.
        answered: When its answer came; never for one that was given up.
    """

    at: float
    accepted: bool
    sent: float = math.nan
    answered: float = math.inf

    @property
    def ours(self) -> bool:
        return not math.isnan(self.sent)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server says."""

    accepted: bool
    told: RateHeaders


class RateServer:
    """A key's limits at the server, and the log of what arrived.

    Args:
        limits: They are stacked.
        headers: Each answer tells the limit and what is left of it.
        extending: A refused request begins the lockout anew.
    """

    def __init__(self, *limits: Limit, headers: bool = False, extending: bool = False) -> None:
        self.limits = limits
        self.gate = Gate(limits)
        self.headers = headers
        self.extending = extending
        self.log: list[Arrival] = []

    def arrive(self, sent: float = math.nan, back: float = math.inf) -> Answer:
        """A request that left then arrives now, and its answer takes so long."""
        moment = now()
        refusal = self.gate.arrive(moment)
        self.log.append(Arrival(moment, refusal is None, sent, moment + back))
        locked_by = self.gate.locked_by
        if self.extending and refusal is not None and locked_by is not None:
            self.gate.locked_until = moment + locked_by.lockout
        left = self.gate.remaining(moment) if self.headers else None
        return Answer(refusal is None, NOTHING_TOLD if left is None else RateHeaders(*left))

    def change(self, *limits: Limit) -> None:
        """Have other limits from now on; what arrived before counts in them."""
        self.limits, self.gate = limits, Gate(limits)
        for arrival in self.log:
            if arrival.accepted:
                for counter in self.gate.counters:
                    counter.take(arrival.at)


@dataclass(frozen=True, slots=True)
class Road:
    """The way to the server and back.

    Attributes:
        latency: Seconds there and back, on average.
        jitter: Each way takes half of it, more or less by up to this part of it.
        lost: Part of the requests whose answer is not waited for.
        late: Seconds after the end of such a request within which it may still arrive.
        unsent: Part of the requests that never leave.
    """

    latency: float = 0.2
    jitter: float = 0.2
    lost: float = 0.0
    late: float = MAX_LAG
    unsent: float = 0.0

    def trip(self, chance: random.Random) -> tuple[float, float]:
        """How long the next request takes there and back."""
        low, high = 0.5 - self.jitter, 0.5 + self.jitter
        there, back = chance.uniform(low, high), chance.uniform(low, high)
        return there * self.latency, back * self.latency


@dataclass(slots=True)
class World:
    """A server, the road to it and one key, with every event that its clients heard.

    Attributes:
        began: When the requests that are counted began.
        ended: When the last of them was answered.
        stop_at: When no further ones begin.
        done: Requests that were answered well.
    """

    server: RateServer
    road: Road = field(default_factory=Road)
    seed: int = 1
    state: KeyState = field(default_factory=partial(KeyState, wall=lambda: 0.0))
    events: list[tuple[float, Event]] = field(default_factory=list)
    began: float = 0.0
    ended: float = 0.0
    done: int = 0
    stop_at: float = math.inf
    last_arrival: float = 0.0
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    # -- clients -------------------------------------------------------------------------------

    def client(self, *limits: str) -> Limiter:
        """A client of the key, on its defaults unless told otherwise."""
        return Limiter(
            self.state,
            Limits.of(*limits),
            observer=lambda event: self.events.append((now(), event)),
            chance=random.Random(self.seed).random,
        )

    async def attempt(self, limiter: Limiter, *, heed: bool = True) -> bool:
        """One attempt of a request; whether it was answered well.

        Args:
            limiter: Whose request.
            heed: Tell the limiter of a refusal, too.
        """
        permit = await limiter.acquire()
        there, back = self.road.trip(self.chance)
        fate = self.chance.random()
        if fate < self.road.unsent:
            await asyncio.sleep(there)
            limiter.unsent(permit, hand_over=HAND_OVER)
            return False
        if fate < self.road.unsent + self.road.lost:
            await self.lose(permit.granted, there + back)
            if self.chance.random() < 0.5:
                limiter.unanswered(permit, hand_over=HAND_OVER)
            else:  # a proxy gave up before the server did
                limiter.answered(permit, arrived=False)
            return False
        await asyncio.sleep(there)
        answer = self.server.arrive(permit.granted, back)
        await asyncio.sleep(back)
        if answer.accepted or not heed:
            limiter.answered(permit, told=answer.told)
        else:
            limiter.refused(permit, None, told=answer.told)
        return answer.accepted

    async def lose(self, sent: float, patience: float) -> None:
        """Wait in vain for a request that arrives meanwhile, later, or as late as it can."""
        late = self.road.late * self.chance.choice([0.0, self.chance.random(), 1.0])
        arrives = (
            now() + self.chance.random() * patience if late == 0.0 else now() + patience + late
        )
        self.last_arrival = max(self.last_arrival, arrives)
        asyncio.get_running_loop().call_at(arrives, self.server.arrive, sent)
        await asyncio.sleep(patience)

    async def request(self, limiter: Limiter) -> None:
        """One request, attempted until it is answered well."""
        while not await self.attempt(limiter):
            pass
        self.done += 1
        self.ended = now()

    async def work(
        self,
        *limiters: Limiter,
        total: float = math.inf,
        seconds: float = math.inf,
        workers: int = 32,
    ) -> None:
        """Make so many requests, or requests for so long, one after another in each worker."""
        self.began, begun = now(), 0
        self.stop_at = self.began + seconds

        async def worker(limiter: Limiter) -> None:
            nonlocal begun
            while begun < total and now() < self.stop_at:
                begun += 1
                await self.request(limiter)

        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                group.create_task(worker(limiters[number % len(limiters)]))
        # What is still on its way counts at the server too.
        await asyncio.sleep(max(0.0, self.last_arrival - now()) + 1e-6)

    async def warm_up(self, limiter: Limiter) -> None:
        """Get past the slow start, and let every window run empty."""
        await self.request(limiter)
        await asyncio.sleep(QUIET)

    async def neighbour(self, a_minute: float) -> None:
        """Another program on the key, which heeds nothing."""
        while True:
            await asyncio.sleep(self.chance.expovariate(a_minute / 60.0))
            self.server.arrive()

    # -- what came of it -----------------------------------------------------------------------

    @property
    def took(self) -> float:
        return self.ended - self.began

    @property
    def refused(self) -> int:
        """Requests of ours that the server refused."""
        return sum(each.ours and not each.accepted for each in self.server.log)

    def incidents(self) -> list[tuple[float, float]]:
        """When each incident began and ended, at the server.

        It begins with a refusal, and ends with the first accepted request that was sent when the
        client knew of it. What was sent before its answer came belongs to it: several refusals of
        one moment are one incident.
        """
        found: list[tuple[float, float]] = []
        first: Arrival | None = None
        over = -math.inf
        for each in self.server.log:
            if not each.ours or each.answered == math.inf:
                continue
            if first is None and not each.accepted and each.sent >= over:
                first = each
            elif first is not None and each.accepted and each.sent >= first.answered:
                found.append((first.at, each.at))
                first, over = None, each.answered
        return found if first is None else [*found, (first.at, self.ended)]

    def rate(self, since: float = -math.inf, until: float = math.inf) -> float:
        """Requests a minute that were accepted in a time, incidents aside."""
        since, until = max(since, self.began), min(until, self.ended)
        count = sum(
            each.ours and each.accepted and since <= each.at < until for each in self.server.log
        )
        paused = sum(
            max(0.0, min(end, until) - max(begin, since)) for begin, end in self.incidents()
        )
        return 60.0 * count / (until - since - paused)

    def levels(self) -> list[tuple[float, int]]:
        """What the key was held to, and when that began."""
        return [
            (moment, event.window.requests)
            for moment, event in self.events
            if isinstance(event, LimitChanged)
        ]


def play(work: Coroutine[Any, Any, T]) -> T:
    """Run on the virtual clock, without the costly debug mode of the event loop."""

    async def main() -> T:
        asyncio.get_running_loop().set_debug(enabled=False)
        return await work

    return run_virtual(main())


def one_client(
    *limits: Limit,
    road: Road | None = None,
    total: float = math.inf,
    seconds: float = math.inf,
    workers: int = 32,
    warm: bool = False,
    headers: bool = False,
    extending: bool = False,
    seed: int = 1,
) -> World:
    """One client on its defaults against such a server."""
    world = World(RateServer(*limits, headers=headers, extending=extending), road or Road(), seed)

    async def main() -> None:
        limiter = world.client()
        if warm:
            await world.warm_up(limiter)
        await world.work(limiter, total=total, seconds=seconds, workers=workers)

    play(main())
    return world


# -- the client that knows everything ----------------------------------------------------------


def next_in_sliding(limit: Limit) -> Callable[[float], float]:
    accepted: deque[float] = deque(maxlen=limit.count)

    def admit(ready: float) -> float:
        full = len(accepted) == limit.count
        moment = max(ready, accepted[0] + limit.seconds) if full else ready
        accepted.append(moment)
        return moment

    return admit


def next_in_fixed(limit: Limit) -> Callable[[float], float]:
    window, used = -1, 0

    def admit(ready: float) -> float:
        nonlocal window, used
        here = math.floor((ready - limit.phase) / limit.seconds)
        if here > window:
            window, used = here, 0
        elif used == limit.count:
            window, used = window + 1, 0
        used += 1
        return max(ready, limit.phase + window * limit.seconds)

    return admit


def clairvoyant_seconds(
    limit: Limit, road: Road, *, total: int, workers: int, began: float = 0.0, seed: int = 1
) -> float:
    """How long a client takes that sends so that each request arrives when there is room for it.

    It knows the server's windows and how long each request will travel; it shares no code with the
    limiter or the simulated server.
    """
    admit = (next_in_sliding if limit.kind == "sliding" else next_in_fixed)(limit)
    chance = random.Random(seed)
    # Who could arrive first goes first: arrivals then stay in order, however long each travels.
    ready: list[tuple[float, float]] = []
    for _ in range(min(workers, total)):
        there, back = road.trip(chance)
        heapq.heappush(ready, (began + there, back))
    last = began
    for begun in range(len(ready), total + len(ready)):
        arrives, back = heapq.heappop(ready)
        answered = admit(arrives) + back
        last = max(last, answered)
        if begun < total:
            there, back = road.trip(chance)
            heapq.heappush(ready, (answered + there, back))
    return last - began


def most_in_a_window(moments: Iterable[float], seconds: float) -> int:
    """The most arrivals in any window of that length, open at its start."""
    times: Sequence[float] = sorted(moments)
    most = first = 0
    for last, moment in enumerate(times):
        while times[first] + seconds <= moment:
            first += 1
        most = max(most, last - first + 1)
    return most
