"""``python -m benchmarks.limiter``: what a grant of the limiter costs, in CPU, memory and time.

CPU is the process's own, with every answer coming at once. The clock jumps over waiting, but for
the rows of a real clock, in which the loop truly sleeps between launches. The event loop's part is
in it; a bare loop of the same tasks is shown beside it and subtracted nowhere. Rounds are
interleaved, and the median and the fastest are shown: the host is noisy.
"""

import asyncio
import gc
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from kb4_async.options import CAP_REQUESTS, Limits
from kb4_async.runtime import keystate, share
from kb4_async.runtime.keystate import KeyState
from kb4_async.runtime.ledger import Ledger
from kb4_async.runtime.limiter import Limiter
from kb4_async.runtime.share import Share, join_ledger
from kb4_async.testing import Limit, run_virtual

WAITERS = (1, 64, 1000)
ROUNDS = 5
GRANTS = 20_000
LEDGER_GRANTS = 4_000
#: Past the slow start, and with every window empty.
QUIET = 200.0
#: The windows are emptied by hand before they are full.
EMPTIED_AT = CAP_REQUESTS - 100
#: Virtual time of the loop is made the ledger's, or it would see a clock that is set all the time.
EPOCH = 1.7e9


async def warm(limiter: Limiter) -> None:
    """Get past the slow start."""
    limiter.answered(await limiter.acquire())
    await asyncio.sleep(QUIET)


async def crowd(waiters: int, grants: int, one: Callable[[], Awaitable[None]]) -> float:
    """CPU microseconds of each of so many grants to so many waiters."""
    asyncio.get_running_loop().set_debug(False)

    async def worker() -> None:
        for _ in range(grants // waiters):
            await one()

    gc.collect()
    begun = time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(waiters):
            group.create_task(worker())
    return (time.process_time() - begun) / (grants // waiters * waiters) * 1e6


async def bare(waiters: int) -> float:
    """The same tasks, which wait for nothing but their turn in the loop."""
    return await crowd(waiters, GRANTS, lambda: asyncio.sleep(0))


async def granting(waiters: int, *limits: str, emptied: bool) -> float:
    """Grants; where windows are not emptied by hand, they are waited for."""
    state = KeyState()
    limiter = Limiter(state, Limits.of(*limits))
    await warm(limiter)

    async def one() -> None:
        limiter.answered(await limiter.acquire())
        if emptied and len(state.windows.stamps) >= EMPTIED_AT:
            state.windows.stamps.clear()

    return await crowd(waiters, GRANTS, one)


async def truly_sleeping(waiters: int) -> float:
    """Grants to a fresh key, which may have its first thousand at once."""
    limiter = Limiter(KeyState(), Limits())

    async def one() -> None:
        limiter.answered(await limiter.acquire())

    return await crowd(min(waiters, EMPTIED_AT), EMPTIED_AT, one)


async def with_ledger(waiters: int) -> tuple[float, float]:
    """The same with a ledger, and how often its file is written for each grant."""
    loop, written, exchange = asyncio.get_running_loop(), 0, Share.exchange

    def counted(part: Share, state: KeyState, clock: Callable[[], float], *, ask: bool) -> None:
        nonlocal written
        written += 1
        exchange(part, state, clock, ask=ask)

    with tempfile.TemporaryDirectory() as folder:
        state = KeyState()
        ledger = Ledger(Path(folder) / "ledger.sqlite")
        join_ledger(state, ledger, "https://x", "benchmark")
        limiter = Limiter(state, Limits())

        async def one() -> None:
            limiter.answered(await limiter.acquire())

        wall = SimpleNamespace(time=lambda: EPOCH + loop.time())
        with patch.object(share, "time", wall), patch.object(Share, "exchange", counted):
            await warm(limiter)
            written = 0
            cost = await crowd(waiters, LEDGER_GRANTS, one)
            limiter.close()
            await asyncio.sleep(QUIET)  # its last reports
        ledger.close()
        return cost, written / LEDGER_GRANTS


async def memory(grants: int) -> tuple[float, float, int]:
    """KiB that a key holds after a thousand grants and after more, and the arrivals it knows."""
    asyncio.get_running_loop().set_debug(False)
    state = KeyState()
    limiter = Limiter(state, Limits())

    async def use(count: int) -> float:
        for _ in range(count):
            limiter.answered(await limiter.acquire())
        gc.collect()
        return tracemalloc.get_traced_memory()[0] / 1024

    tracemalloc.start()
    first = await use(5_000)
    then = await use(grants - 5_000)
    tracemalloc.stop()
    return first, then, len(state.windows.stamps)


def clairvoyance() -> None:
    """Print how much longer 3,000 requests take than a clairvoyant client's."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from support.rate_server import (  # noqa: PLC0415  # the tests' own server
        RateServer,
        Road,
        World,
        clairvoyant_seconds,
        play,
    )

    print(f"\n{'3,000 requests, 32 workers, 1,000 a minute':<44}{'s':>8}{'best':>8}{'ratio':>8}")
    kinds: tuple[tuple[Limit, str], ...] = (
        (Limit(CAP_REQUESTS, 60.0), "sliding"),
        (Limit(CAP_REQUESTS, 60.0, "fixed", phase=1.0), "fixed, begun with a window"),
    )
    for limit, name in kinds:
        for latency in (0.02, 0.2, 0.8):
            road = Road(latency)
            world = World(RateServer(Limit(CAP_REQUESTS, 60.0)), road)

            async def main(world: World = world) -> None:
                limiter = world.client()
                await world.warm_up(limiter)
                await world.work(limiter, total=3000)

            play(main())
            # The windows of the best client begin with its first request.
            best = clairvoyant_seconds(limit, road, total=3000, workers=32, began=limit.phase)
            what = f"{name}, {latency:.2f} s"
            print(f"{what:<44}{world.took:>8.1f}{best:>8.1f}{world.took / best:>8.4f}")


def show(what: str, rounds: list[float], more: str = "") -> None:
    """Print a row."""
    print(f"{what:<44}{statistics.median(rounds):>8.1f}{min(rounds):>8.1f}{more:>16}")


def main() -> None:
    """Measure and print."""
    variants: dict[str, Callable[[int], Awaitable[float]]] = {
        "bare event loop": bare,
        "windows free": lambda waiters: granting(waiters, emptied=True),
        "windows full": lambda waiters: granting(waiters, emptied=False),
        "4/1s and 50/60s full": lambda waiters: granting(waiters, "4/1s", "50/60s", emptied=False),
    }

    async def run(variant: Callable[[int], Awaitable[float]], waiters: int) -> float:
        return await variant(waiters)

    taken: dict[str, list[float]] = {
        f"{name}, {waiters:,} waiting": [] for name in variants for waiters in WAITERS
    }
    ledgers: dict[str, list[tuple[float, float]]] = {}
    for _ in range(ROUNDS):
        for waiters in WAITERS:
            for name, variant in variants.items():
                cost = run_virtual(run(variant, waiters))
                taken[f"{name}, {waiters:,} waiting"].append(cost)
            row = f"windows free, real clock, {waiters:,} waiting"
            with patch.object(keystate, "SLOW_START", 1e6):
                taken.setdefault(row, []).append(asyncio.run(truly_sleeping(waiters)))
            row = f"with a ledger, {waiters:,} waiting"
            ledgers.setdefault(row, []).append(run_virtual(with_ledger(waiters)))
    print(f"{'CPU microseconds a grant':<44}{'median':>8}{'fastest':>8}{'ledger writes':>16}")
    for row, costs in taken.items():
        show(row, costs)
    for row, pairs in ledgers.items():
        show(row, [cost for cost, _ in pairs], f"{pairs[0][1]:.2f} a grant")
    first, then, stamps = run_virtual(memory(100_000))
    print(
        f"\nKiB held after 5,000 grants {first:.0f}, after 100,000 {then:.0f} ({stamps} arrivals)"
    )
    clairvoyance()


if __name__ == "__main__":
    main()
