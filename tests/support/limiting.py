"""A world for the limiter: waiters, a server that counts by brute force, and time that jumps."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from kb4_async.options import Limits
from kb4_async.runtime.keystate import KeyState
from kb4_async.runtime.limiter import Limiter
from kb4_async.runtime.permit import Permit
from kb4_async.runtime.turnstile import Rank

#: Longer than any slow start in these tests takes to reach full pace.
WARM = 100.0


def now() -> float:
    return asyncio.get_running_loop().time()


def spawn(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Start a task of the test's own."""
    return asyncio.get_running_loop().create_task(work)


async def steps(count: int = 10) -> None:
    """Let everything run that can run without time passing."""
    for _ in range(count):
        await asyncio.sleep(0)


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait for them."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task


def limiter_of(
    state: KeyState, *limits: str, max_lag: float = 30.0, max_pause: float = 1800.0
) -> Limiter:
    """A client's limiter without jitter."""
    return Limiter(
        state, Limits.of(*limits, max_lag=max_lag), max_pause=max_pause, chance=lambda: 0.0
    )


async def warm(limiter: Limiter) -> None:
    """Get past the slow start, so that only windows and pauses hold anybody up."""
    limiter.answered(await limiter.acquire())
    await asyncio.sleep(WARM)


async def one(
    limiter: Limiter,
    rank: Rank = Rank.PAGES,
    *,
    told: Callable[[Permit], object] = lambda _: None,
    takes: float = 0.0,
) -> Permit:
    """One request that is answered well after ``takes`` seconds."""
    permit = await limiter.acquire(rank)
    told(permit)
    if takes:
        await asyncio.sleep(takes)
    limiter.answered(permit)
    return permit


def holds(arrivals: Sequence[float], requests: int, seconds: float) -> bool:
    """Whether no window of that length, open at its start, holds more arrivals than allowed."""
    times = sorted(arrivals)
    return all(
        first + seconds <= later for first, later in zip(times, times[requests:], strict=False)
    )
