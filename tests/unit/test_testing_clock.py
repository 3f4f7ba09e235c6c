import asyncio
import threading

import pytest
from aiolimiter import AsyncLimiter

from kb4_async.testing import VirtualClockEventLoop, run_virtual


async def times_of(delays: list[float]) -> list[float]:
    loop = asyncio.get_running_loop()
    begin = loop.time()

    async def nap(delay: float) -> float:
        await asyncio.sleep(delay)
        return loop.time() - begin

    return await asyncio.gather(*(nap(delay) for delay in delays))


def test_a_day_passes_at_once_and_alike_each_time() -> None:
    delays = [86_400.0, 0.1, 3.5, 0.0]
    first, again = run_virtual(times_of(delays)), run_virtual(times_of(delays))
    assert first == again
    assert first == pytest.approx(delays, abs=1e-6)


def test_timeouts_come_in_order() -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.sleep(6)
        async with asyncio.timeout(6):
            await asyncio.sleep(5)

    run_virtual(main())


def test_aiolimiter_does_not_spin() -> None:
    async def main() -> float:
        limiter = AsyncLimiter(3, 7)

        async def take() -> float:
            async with limiter:
                return asyncio.get_running_loop().time()

        begin = asyncio.get_running_loop().time()
        taken = await asyncio.gather(*(take() for _ in range(10)))
        return max(taken) - begin

    assert run_virtual(main()) == pytest.approx(7 * 7 / 3, abs=0.01)


def test_each_pass_of_the_loop_takes_a_moment() -> None:
    async def main() -> bool:
        before = asyncio.get_running_loop().time()
        await asyncio.sleep(0)
        return before < asyncio.get_running_loop().time() < before + 1e-6

    assert run_virtual(main())


def test_the_clock_stands_still_while_a_thread_works() -> None:
    async def main() -> tuple[bool, list[str]]:
        loop = asyncio.get_running_loop()
        gate = threading.Event()
        early: list[str] = []
        loop.call_later(3600, early.append, "late timer")
        loop.call_later(0, gate.set)
        done = await asyncio.to_thread(gate.wait)
        return done, early

    assert run_virtual(main()) == (True, [])


def test_real_sockets_are_served() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    async def main() -> bytes:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
            writer.write(b"hello\n")
            answer = await reader.readline()
            writer.close()
            await writer.wait_closed()
        return answer

    assert run_virtual(main()) == b"hello\n"


def test_a_world_in_which_nothing_can_happen_is_told() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    loop = VirtualClockEventLoop(stuck_after=0.01)
    try:
        task = loop.create_task(main())
        with pytest.raises(RuntimeError, match="no timer"):
            loop.run_until_complete(task)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)
    finally:
        loop.close()
