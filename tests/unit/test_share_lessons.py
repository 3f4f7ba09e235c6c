"""What processes of one machine tell each other of a key: pauses, lessons, the next run."""

import asyncio

import pytest
from support.limiting import now, spawn
from support.sharing import Machine, Process, heard, lent, refuse

from kb4_async.events import KeyPaused, LimitChanged
from kb4_async.options import Window
from kb4_async.protocol.sharing import LOAN_SECONDS
from kb4_async.testing.limits import Gate, Limit, published_limits

pytestmark = pytest.mark.usefixtures("fast")


# -- pauses ------------------------------------------------------------------------------------


def test_a_pause_of_one_process_pauses_the_others(machine: Machine) -> None:
    async def main() -> None:
        one_, other = machine.process("100/60s"), machine.process("100/60s")
        await other.use(1)
        until = await refuse(one_, 40.0)
        work = spawn(other.use(1))
        await asyncio.sleep(30.0)
        assert other.limiter.status().paused_for == pytest.approx(10.0, abs=1.0)
        (told,) = [event for event in other.events if isinstance(event, KeyPaused)]
        assert (told.path, told.retry_after) == ("", None)
        await work
        assert now() >= until

    machine.run(main())


def test_after_a_pause_one_process_probes_and_its_answer_opens_the_key_for_all(
    machine: Machine,
) -> None:
    async def main() -> None:
        processes = [machine.process() for _ in range(3)]
        for process in processes:
            await process.use(1)
        until = await refuse(processes[0], 20.0)
        sent: list[Process] = []

        async def work(process: Process) -> None:
            permit = await process.limiter.acquire()
            sent.append(process)
            await asyncio.sleep(5.0)
            process.limiter.answered(permit)

        tasks = [spawn(work(process)) for process in processes for _ in range(5)]
        await asyncio.sleep(until + 4.5 - now())
        assert len(sent) == 1
        await asyncio.sleep(3.0)
        assert len(sent) == 15
        await asyncio.wait(tasks)

    machine.run(main())


@pytest.mark.usefixtures("slow_start")
def test_loans_from_before_a_pause_make_no_second_probe(machine: Machine) -> None:
    async def main() -> None:
        processes = [machine.process(), machine.process()]
        tasks: list[asyncio.Task[None]] = []
        probes: list[Process] = []

        async def work(process: Process) -> None:
            permit = await process.limiter.acquire()
            if permit.probe:
                probes.append(process)
                await asyncio.sleep(3.0)
            process.limiter.answered(permit)

        refused = await processes[0].limiter.acquire()
        tasks = [spawn(work(process)) for process in processes for _ in range(40)]
        for process in processes:
            await lent(process)
        processes[0].limiter.refused(refused, 10.0, path="users")
        await asyncio.sleep(12.0)
        assert len(probes) == 1
        await asyncio.wait(tasks)

    machine.run(main())


def test_when_the_probing_process_is_killed_another_one_probes(machine: Machine) -> None:
    async def main() -> None:
        killed, other = machine.process(), machine.process()
        await other.use(1)
        until = await refuse(killed, 20.0)
        await asyncio.sleep(until - now())
        await killed.limiter.acquire()
        await asyncio.sleep(0.5)
        killed.kill()
        work = spawn(other.use(2))
        await asyncio.sleep(LOAN_SECONDS - 2.0)
        assert not work.done()
        await asyncio.sleep(4.0)
        assert work.done()

    machine.run(main())


# -- lessons -----------------------------------------------------------------------------------


def test_what_one_process_learned_the_others_hold_too(machine: Machine) -> None:
    async def main() -> None:
        taught, other = machine.process(), machine.process()
        await other.use(1)
        await taught.use(120, takes=0.01)
        await refuse(taught)
        await heard()
        await other.use(1)
        for process in (taught, other):
            held = {each.window: each.why for each in process.limiter.status().held}
            assert held[Window(50, 60.0)].startswith("learned from a refusal at ")
            assert Window(4, 1.0) in held

    machine.run(main())


def test_the_next_run_begins_with_what_the_last_one_learned_and_sent(machine: Machine) -> None:
    async def main() -> None:
        first = machine.process()
        await first.use(30, takes=0.01)
        await refuse(first)
        await first.use(5)
        await first.end()
        ended = now()

        second = machine.process()
        await second.use(14)
        assert now() - ended < 15.0
        permit = await second.limiter.acquire()  # the 51st of its minute
        assert permit.granted >= ended + 45.0
        assert {each.window for each in second.limiter.status().held} == {
            Window(4, 1.0),
            Window(50, 60.0),
        }

    machine.run(main())


def test_a_run_that_begins_with_a_learned_limit_says_so(machine: Machine) -> None:
    async def main() -> None:
        first = machine.process()
        await refuse(first)
        await first.use(1)
        await first.end()
        second = machine.process()
        await second.use(1)
        (told,) = [event for event in second.events if isinstance(event, LimitChanged)]
        assert told.window == Window(50, 60.0)
        assert told.why.startswith("learned from a refusal at ")

    machine.run(main())


class Server:
    """Counts as KnowBe4 publishes it, locks out, and tells nothing."""

    def __init__(self, *limits: Limit) -> None:
        self.gate = Gate(limits)
        self.refused = 0
        self.served: list[float] = []

    async def serve(self, process: Process, count: int) -> None:
        """Make requests until so many were answered well."""
        for _ in range(count):
            while True:
                permit = await process.limiter.acquire()
                await asyncio.sleep(0.1)
                arrived = now()
                refusal = self.gate.arrive(arrived)
                await asyncio.sleep(0.1)
                if refusal is None:
                    break
                self.refused += 1
                process.limiter.refused(permit, None, path="users")
            process.limiter.answered(permit)
            self.served.append(arrived)


async def serve(server: Server, process: Process, count: int) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(server.serve(process, count // 8))


@pytest.mark.usefixtures("slow_start")
def test_a_second_run_has_no_incident(machine: Machine) -> None:
    async def main() -> None:
        server, first = Server(*published_limits(500)), machine.process()
        await serve(server, first, 240)
        assert 1 <= first.limiter.status().pauses <= 3
        await first.end()
        refused, begun = server.refused, now()

        second = machine.process()
        await serve(server, second, 240)
        assert server.refused == refused
        assert now() - begun <= 240 / 50 * 60.0 / 0.85
        await second.end()

    machine.run(main())
