"""What processes of one machine may send on one key: windows, loans, the daily quota, forks."""

import asyncio
import os
import random
import signal
import sqlite3
import threading
import warnings
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from support.limiting import cancel, holds, now, one, spawn
from support.sharing import FINGERPRINT, ORIGIN, Machine, Process, heard, lent, refuse

from kb4_async.errors import QuotaExhaustedError
from kb4_async.options import DAY, Limits
from kb4_async.protocol.sharing import LOAN_SECONDS, MAX_LAG, SharedKey
from kb4_async.runtime import keystate, ledger, limiter
from kb4_async.runtime.keystate import ELSEWHERE
from kb4_async.runtime.ledger import Ledger
from kb4_async.runtime.limiter import Limiter
from kb4_async.runtime.share import TRY_AGAIN, worker

pytestmark = pytest.mark.usefixtures("fast")


# -- windows -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(2))
def test_a_window_holds_for_all_processes_together(seed: int, machine: Machine) -> None:
    chance, arrivals = random.Random(seed), list[float]()

    async def work(process: Process) -> None:
        for _ in range(12):
            permit = await process.limiter.acquire()
            if chance.random() < 0.1:
                process.limiter.unsent(permit)
                continue
            await asyncio.sleep(chance.random())
            if chance.random() < 0.1:  # given up, but the server reads it later
                process.limiter.unanswered(permit)
                arrivals.append(now() + 5.0 * chance.random())
                continue
            arrivals.append(now())
            await asyncio.sleep(chance.random())
            process.limiter.answered(permit)

    async def main() -> None:
        processes = [machine.process("30/10s", "90/60s", max_lag=5.0) for _ in range(3)]
        async with asyncio.TaskGroup() as group:
            for process in processes:
                for _ in range(8):
                    group.create_task(work(process))
        for process in processes:
            await process.end()
        assert machine.page().holders == {}

    machine.run(main())
    assert len(arrivals) > 200
    assert holds(arrivals, 30, 10.0)
    assert holds(arrivals, 90, 60.0)
    assert not holds(arrivals, 60, 30.0)  # the windows are used


def test_processes_that_want_more_than_there_is_share_it(machine: Machine) -> None:
    async def main() -> None:
        processes = [machine.process("60/60s") for _ in range(3)]
        tasks = [spawn(each.use(1000)) for each in processes for _ in range(20)]
        await asyncio.sleep(300.0)
        await cancel(*tasks)
        granted = [each.state.granted for each in processes]
        assert sum(granted) >= 0.95 * 300
        assert min(granted) >= 0.8 * 100

    machine.run(main())


def test_the_tightest_limit_that_any_process_was_told_holds_for_all(machine: Machine) -> None:
    async def main() -> None:
        strict, free = machine.process("10/20s"), machine.process()
        work = spawn(strict.use(1000))
        await heard()
        begun = now()
        await free.use(20)
        assert now() - begun > 35.0
        assert ELSEWHERE in {each.why for each in free.limiter.status().held}
        await cancel(work)
        await strict.end()
        await heard()
        begun = now()
        await free.use(100)  # nobody wants it held any more
        assert now() - begun < 15.0

    machine.run(main())


def test_what_a_killed_process_held_counts_as_sent(machine: Machine) -> None:
    async def main() -> None:
        killed, other = machine.process("20/60s"), machine.process("20/60s")
        for _ in range(12):
            await killed.limiter.acquire()
        killed.kill()
        begun = now()
        await other.use(8)
        assert now() - begun < 5.0
        await other.use(8)  # a minute later
        assert now() - begun < 65.0
        permit = await other.limiter.acquire()
        # It may have died just before its loan ended, with all of them on their way.
        assert permit.granted - begun > LOAN_SECONDS + MAX_LAG + 60.0 - 0.001
        other.limiter.answered(permit)
        await other.end()
        assert machine.page().quota.used == 12 + 17

    machine.run(main())


def test_a_window_longer_than_a_minute_is_remembered_by_the_next_run(machine: Machine) -> None:
    async def main() -> None:
        first = machine.process("100/1h")
        await first.use(50)
        await asyncio.sleep(300.0)
        await first.use(50)
        await first.end()
        ended = now()
        await machine.process("100/1h").use(1)
        assert now() - ended > 3200.0

    machine.run(main())


def test_a_ledger_that_is_locked_for_a_while_misses_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "PATIENCE", 0.01)

    async def main() -> None:
        processes = [machine.process("300/60s") for _ in range(2)]
        tasks = [spawn(process.use(90)) for process in processes]
        await heard()
        with closing(sqlite3.connect(machine.path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            await heard()
            assert all(each.limiter.status().trouble is not None for each in processes)
        await asyncio.wait(tasks)
        await asyncio.sleep(TRY_AGAIN)
        assert all(each.limiter.status().trouble is None for each in processes)
        for process in processes:
            await process.end()
        assert machine.page().quota.used == 180

    machine.run(main())


@pytest.mark.parametrize("jump", [-7200.0, -30.0, -0.9, 0.9, 30.0, 7200.0])
def test_windows_hold_while_the_clock_is_set(jump: float, machine: Machine) -> None:
    granted: list[float] = []

    async def work(process: Process) -> None:
        for _ in range(50):
            granted.append((await one(process.limiter, takes=0.01)).granted)

    async def main() -> None:
        processes = [machine.process("20/30s") for _ in range(2)]
        async with asyncio.TaskGroup() as group:
            for process in processes:
                group.create_task(work(process))
            await asyncio.sleep(40.0)
            machine.began += jump

    machine.run(main())
    assert holds(granted, 20, 30.0)
    assert granted[-1] - granted[0] < 170.0


# -- loans -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("slow_start")
def test_what_was_lent_and_is_not_needed_is_given_back(machine: Machine) -> None:
    async def main() -> None:
        process = machine.process("320/60s", "1000/1d")
        tasks = [spawn(process.use(1, takes=0.0)) for _ in range(20)]
        await lent(process)
        await cancel(*tasks)
        await heard()
        page = machine.page()
        assert [holder.held for holder in page.holders.values()] == [0]
        assert page.quota.used == process.state.granted < 20

    machine.run(main())


@pytest.mark.usefixtures("slow_start")
def test_a_loan_that_has_expired_is_not_used(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter, "BEAT", 3600.0)  # as in a process that was stopped

    async def main() -> None:
        stopped, other = machine.process("160/60s"), machine.process("160/60s")
        tasks = [spawn(stopped.limiter.acquire()) for _ in range(20)]
        await lent(stopped)
        await cancel(*tasks)
        await asyncio.sleep(LOAN_SECONDS)
        others = [spawn(other.use(100)) for _ in range(100)]  # all that there is
        await asyncio.sleep(10.0)
        await cancel(*others)
        begun = now()
        await stopped.use(1)
        assert now() - begun > 30.0

    machine.run(main())


def test_cancelling_who_waits_for_the_ledger_loses_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go = threading.Event(), threading.Event()
    exchange = SharedKey.exchange

    def slow(*args: Any) -> Any:
        asked.set()
        assert go.wait(10.0)
        return exchange(*args)

    monkeypatch.setattr(SharedKey, "exchange", slow)

    async def main() -> None:
        process = machine.process("320/60s", "1000/1d")
        tasks = [spawn(process.use(1)) for _ in range(20)]
        await asyncio.to_thread(asked.wait, 10.0)
        await cancel(*tasks)
        go.set()
        await asyncio.get_running_loop().run_in_executor(worker(), int)  # the exchange is done
        await heard()
        assert [holder.held for holder in machine.page().holders.values()] == [0]
        other = machine.process("320/60s", "1000/1d")
        await asyncio.sleep(LOAN_SECONDS)
        await other.use(1)
        await other.end()
        assert machine.page().quota.used == 1

    machine.run(main())


# -- the daily quota ---------------------------------------------------------------------------


def test_the_daily_quota_is_spent_together_and_ends_all_at_the_same_time(machine: Machine) -> None:
    async def main() -> None:
        processes = [machine.process("20/1d") for _ in range(2)]
        resets: list[str | None] = []

        async def work(process: Process) -> None:
            with pytest.raises(QuotaExhaustedError, match="quota of 20 requests") as caught:
                await process.use(1000)
            resets.append(caught.value.resets_at)

        async with asyncio.TaskGroup() as group:
            for process in processes:
                group.create_task(work(process))
        next_run = machine.process("20/1d")
        await work(next_run)
        assert [each.state.granted for each in (*processes, next_run)] == [10, 10, 0]
        assert len(set(resets)) == 1
        for process in (*processes, next_run):
            await process.end()
        await asyncio.sleep(DAY)
        await machine.process("20/1d").use(5)

    machine.run(main())


@pytest.mark.usefixtures("slow_start")
def test_a_burst_spends_the_quota_to_the_last_request(machine: Machine) -> None:
    async def main() -> None:
        process = machine.process("20/1d")
        tasks = [spawn(process.use(1)) for _ in range(40)]
        done, _ = await asyncio.wait(tasks)
        assert {type(task.exception()) for task in done} == {QuotaExhaustedError, type(None)}
        assert process.state.granted == 20

    machine.run(main())


def test_the_servers_word_that_the_quota_is_spent_is_taken_by_all(machine: Machine) -> None:
    async def main() -> None:
        told, other = machine.process("2000/1d"), machine.process("2000/1d")
        await other.use(1)
        await refuse(told, 8 * 3600.0)
        resets: list[str | None] = []
        processes = (told, other, machine.process("2000/1d"))
        for process in processes:
            await heard()
            with pytest.raises(QuotaExhaustedError) as caught:
                await process.use(1)
            resets.append(caught.value.resets_at)
        assert len(set(resets)) == 1
        for process in processes:
            await process.end()
        await asyncio.sleep(8 * 3600.0)
        await machine.process("2000/1d").use(5)

    machine.run(main())


# -- fork --------------------------------------------------------------------------------------


def in_child(work: Callable[[], None]) -> str:
    """Do it in a forked child; what went wrong there."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        # From 3.12 on: there is the ledger's thread, which a child does not have.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(20)
            work()
        except BaseException as error:
            os.write(writer, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    return said or ("" if status == 0 else f"status {status}")


@pytest.mark.usefixtures("slow_start")
def test_a_forked_child_has_no_loans_and_its_own_name_and_connection(machine: Machine) -> None:
    async def main() -> None:
        parent = machine.process("320/60s")
        keystate.registry[ORIGIN, FINGERPRINT] = parent.state
        tasks = [spawn(parent.use(1)) for _ in range(20)]
        await lent(parent)
        mine = parent.share
        who, book, leased = mine.who, mine.ledger, mine.leased

        async def use() -> None:
            child = Limiter(parent.state, Limits())
            await one(child)
            assert mine.who in machine.page().holders
            child.close()
            await child.settle()

        def check() -> None:
            assert (mine.leased, mine.spent) == (0, [])
            assert mine.who != who
            assert mine.who.startswith(f"{os.getpid()}-")
            assert mine.ledger is not book
            assert mine.ledger.connection is None
            machine.reader = Ledger(machine.path)
            machine.run(use())

        assert in_child(check) == ""
        assert (mine.who, mine.leased) == (who, leased)
        await asyncio.wait(tasks)
        await parent.end()
        assert machine.page().quota.used == 21

    machine.run(main())
