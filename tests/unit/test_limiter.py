import asyncio
import functools
import gc
import itertools
import random
import threading
import time

import pytest
from support.limiting import cancel, holds, limiter_of, now, one, spawn, steps, warm

from kb4_async.errors import RateLimitError
from kb4_async.options import Limits, Window
from kb4_async.protocol.windows import TRIM_AT
from kb4_async.runtime import keystate, spacing
from kb4_async.runtime.keystate import KeyState, key_state
from kb4_async.runtime.limiter import Limiter
from kb4_async.runtime.permit import Permit
from kb4_async.runtime.turnstile import Rank
from kb4_async.testing import run_virtual

# -- windows -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "limits",
    [("5/1s",), ("10/7s", "40/60s"), ("4/1s", "50/60s"), ("30/6s", "45/20s", "100/90s")],
    ids=" ".join,
)
def test_no_window_at_the_server_ever_holds_more_than_its_limit(
    limits: tuple[str, ...], seed: int
) -> None:
    """The server reads a request at any moment of its flight, a lost one up to max_lag later."""
    chance = random.Random(seed)
    max_lag = 3.0
    arrivals: list[float] = []

    async def request(limiter: Limiter) -> None:
        await asyncio.sleep(chance.expovariate(1.0))
        permit = await limiter.acquire(chance.choice(list(Rank)))
        fate = chance.random()
        if fate < 0.05:
            limiter.unsent(permit)
            return
        there, back = chance.choice([0.0, 2.0]) * chance.random(), chance.random()
        arrivals.append(now() + there)
        if fate < 0.15:  # cancelled or cut off at some moment of its way there
            left = there * chance.random()
            arrivals[-1] = now() + min(there, left + max_lag)
            await asyncio.sleep(left)
            limiter.unanswered(permit)
        else:
            await asyncio.sleep(there + back)
            limiter.answered(permit)

    async def main() -> None:
        limiter = limiter_of(KeyState(), *limits, max_lag=max_lag)
        async with asyncio.TaskGroup() as group:
            for _ in range(250):
                group.create_task(request(limiter))

    run_virtual(main())
    assert len(arrivals) > 200
    for limit in limits:
        window = Window.parse(limit)
        assert holds(arrivals, window.requests, window.seconds)


def test_the_window_check_itself_can_fail() -> None:
    assert holds([0.0, 1.0, 2.0], 2, 2.0)
    assert not holds([0.0, 1.0, 1.9], 2, 2.0)


def test_the_cap_of_1000_a_minute_holds_without_any_limits_given() -> None:
    async def main() -> list[float]:
        limiter = limiter_of(KeyState())
        await warm(limiter)
        times: list[float] = []
        async with asyncio.TaskGroup() as group:
            for _ in range(1500):
                group.create_task(one(limiter, told=lambda _: times.append(now())))
        return times

    times = run_virtual(main())
    assert len(times) == 1500
    assert holds(times, 1000, 60.0)
    assert times[-1] - times[0] < 65.0  # one window later: the cap is also used


def test_an_unanswered_request_occupies_its_slot_for_max_lag_longer() -> None:
    async def main() -> tuple[float, float]:
        limiter = limiter_of(KeyState(), "1/10s", max_lag=7.0)
        await warm(limiter)
        limiter.unanswered(await limiter.acquire())
        lost = now()
        limiter.answered(await limiter.acquire(), arrived=False)
        proxied = now()
        await limiter.acquire()
        return proxied - lost, now() - proxied

    assert run_virtual(main()) == pytest.approx((17.0, 17.0), abs=1e-3)


def test_what_was_never_sent_gives_its_permit_back() -> None:
    async def main() -> float:
        limiter = limiter_of(KeyState(), "1/10s")
        await warm(limiter)
        begun = now()
        for _ in range(5):
            limiter.unsent(await limiter.acquire())
        return now() - begun

    assert run_virtual(main()) < 1.0


def test_bursts_are_allowed_once_the_slow_start_is_over() -> None:
    async def main() -> float:
        limiter = limiter_of(KeyState())
        await warm(limiter)
        begun = now()
        async with asyncio.TaskGroup() as group:
            for _ in range(1000):
                group.create_task(one(limiter, takes=0.3))
        return now() - begun

    assert run_virtual(main()) < 3.0  # paced evenly it would take a minute


def test_first_contact_starts_at_four_a_second_and_doubles() -> None:
    async def main() -> list[float]:
        limiter = limiter_of(KeyState())
        times: list[float] = []
        async with asyncio.TaskGroup() as group:
            for _ in range(200):
                group.create_task(one(limiter, told=lambda _: times.append(now())))
        return times

    times = run_virtual(main())
    for second in range(5):
        count = sum(second <= moment - times[0] < second + 1 for moment in times)
        assert 4 * 2**second - 2 <= count <= 4 * 2**second + 1


# -- order -------------------------------------------------------------------------------------


async def order_of(ranks: list[Rank], limit: str = "1/6s") -> list[tuple[Rank, int]]:
    """Who is served when, of waiters that stood in line in this order."""
    limiter = limiter_of(KeyState(), limit)
    await warm(limiter)
    holding = await limiter.acquire()
    served: list[tuple[Rank, int]] = []

    def note(entry: tuple[Rank, int], _: Permit) -> None:
        served.append(entry)

    async with asyncio.TaskGroup() as group:
        for place, rank in enumerate(ranks):
            told = functools.partial(note, (rank, place))
            group.create_task(one(limiter, rank, told=told))
            await asyncio.sleep(0)
        await steps()
        limiter.answered(holding)
    return served


@pytest.mark.parametrize("rank", list(Rank))
def test_within_a_class_the_first_to_come_is_the_first_served(rank: Rank) -> None:
    served = run_virtual(order_of([rank] * 30))
    assert served == [(rank, place) for place in range(30)]


def test_the_more_urgent_class_is_served_first() -> None:
    ranks = [*reversed(Rank), *reversed(Rank)]
    served = run_virtual(order_of(ranks))
    assert [rank for rank, _ in served] == sorted(ranks)


@pytest.mark.parametrize(
    ("high", "low"),
    [
        (Rank.INTERACTIVE, Rank.PAGES),
        (Rank.INTERACTIVE, Rank.CHECKS),
        (Rank.PROBES, Rank.PAGES),
        (Rank.PAGES, Rank.CHECKS),
    ],
)
def test_a_lower_class_is_served_at_each_eighth_grant(high: Rank, low: Rank) -> None:
    served = [rank for rank, _ in run_virtual(order_of([low] * 4 + [high] * 40))]
    places = [place for place, rank in enumerate(served, 1) if rank is low]
    assert places == [8, 16, 24, 32]


def test_two_lower_classes_starve_neither_each_other_nor_the_first() -> None:
    ranks = [Rank.CHECKS] * 5 + [Rank.PAGES] * 5 + [Rank.INTERACTIVE] * 60
    served = [rank for rank, _ in run_virtual(order_of(ranks))]
    for low in (Rank.PAGES, Rank.CHECKS):
        places = [0] + [place for place, rank in enumerate(served, 1) if rank is low]
        assert len(places) == 6
        assert max(b - a for a, b in itertools.pairwise(places)) <= 9


# -- cancelling --------------------------------------------------------------------------------


def test_a_thousand_cancelled_waiters_charge_nothing_and_hold_nobody_up() -> None:
    async def main() -> None:
        state = KeyState()
        limiter = limiter_of(state, "1/10s")
        await warm(limiter)
        holding = await limiter.acquire()
        granted = state.granted
        crowd = [spawn(limiter.acquire(random.choice(list(Rank)))) for _ in range(1000)]
        last = spawn(limiter.acquire(Rank.CHECKS))
        await steps()
        await cancel(*crowd)
        assert all(task.cancelled() for task in crowd)
        assert not last.done()
        assert state.granted == granted
        assert sum(map(len, limiter.turnstile.queues.values())) == 1
        begun = now()
        limiter.answered(holding)
        limiter.answered(await last)
        assert now() - begun == pytest.approx(10.0, abs=1e-3)
        assert state.windows.in_flight == 0

    run_virtual(main())


def test_when_the_first_in_line_is_cancelled_the_next_looks_in_the_same_step() -> None:
    async def main() -> None:
        limiter = limiter_of(KeyState(), "1/10s")
        await warm(limiter)
        limiter.answered(await limiter.acquire())
        begun = now()
        first, second = spawn(limiter.acquire()), spawn(limiter.acquire())
        await steps()
        first.cancel()
        await asyncio.sleep(0)
        waiting = limiter.turnstile.queues[Rank.PAGES][0]
        assert waiting.wake is None or waiting.wake.done()
        await second
        assert now() - begun == pytest.approx(10.0, abs=1e-3)

    run_virtual(main())


def test_a_waiter_cancelled_when_already_woken_passes_its_turn_on() -> None:
    async def main() -> None:
        state = KeyState()
        limiter = limiter_of(state, "1/10s")
        await warm(limiter)
        holding = await limiter.acquire()
        first, second = spawn(limiter.acquire()), spawn(limiter.acquire())
        await steps()
        begun = now()
        limiter.unsent(holding)  # a slot is free, and first is woken
        first.cancel()  # before it ran
        await steps()
        assert first.cancelled()
        await second
        assert now() - begun < 1e-3
        assert state.windows.in_flight == 1

    run_virtual(main())


@pytest.mark.parametrize("step", range(12))
def test_cancelling_at_any_step_of_a_grant_charges_nothing_or_is_too_late(step: int) -> None:
    async def main() -> None:
        state = KeyState()
        limiter = limiter_of(state, "2/10s")
        granted: list[Permit] = []

        async def take() -> None:
            granted.append(await limiter.acquire())

        task, other = spawn(take()), spawn(take())
        await steps(step)
        task.cancel()
        await asyncio.sleep(1.0)
        assert other.done()
        assert state.granted == len(granted)
        assert state.windows.in_flight == len(granted)
        assert limiter.turnstile.first() is None

    run_virtual(main())


def test_cancelling_a_launch_lets_the_next_one_launch() -> None:
    async def main() -> None:
        limiter = limiter_of(KeyState())
        limiter.answered(await limiter.acquire())
        first, second = spawn(limiter.acquire()), spawn(limiter.acquire())
        await asyncio.sleep(0.1)  # the slow start keeps first for 0.25 s
        assert limiter.turnstile.launching is not None
        await cancel(first)
        async with asyncio.timeout(5.0):
            await second

    run_virtual(main())


# -- who shares what ---------------------------------------------------------------------------


def test_two_clients_of_a_key_share_its_windows() -> None:
    async def main() -> list[float]:
        times: list[float] = []
        limiters = [
            limiter_of(key_state("https://x", "key"), "3/10s"),
            limiter_of(key_state("https://x", "key"), "3/10s"),
        ]
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                work = one(limiters[number % 2], told=lambda _: times.append(now()))
                group.create_task(work)
        return times

    assert holds(run_virtual(main()), 3, 10.0)


def test_keys_and_origins_do_not_share() -> None:
    state = key_state("https://x", "key")
    assert key_state("https://x", "key") is state
    assert key_state("https://x", "other") is not state
    assert key_state("https://y", "key") is not state


def test_a_client_closed_and_reopened_forgets_nothing() -> None:
    async def main() -> float:
        state = KeyState()
        limiter = limiter_of(state, "3/50s")
        await warm(limiter)
        begun = now()
        for _ in range(3):
            limiter.answered(await limiter.acquire())
        limiter.close()
        limiter.close()
        again = limiter_of(state, "3/50s")
        await again.acquire()
        return now() - begun

    assert run_virtual(main()) > 50.0


def test_a_pause_outlives_the_client_that_met_it() -> None:
    async def main() -> float:
        state = KeyState()
        limiter = limiter_of(state)
        limiter.refused(await limiter.acquire(), 20.0)
        begun = now()
        limiter.close()
        permit = await limiter_of(state).acquire()
        assert permit.probe
        return now() - begun

    assert run_virtual(main()) >= 20.0


def test_the_tightest_of_several_open_clients_holds_for_all() -> None:
    async def main() -> None:
        state = KeyState()
        wide, tight = limiter_of(state, "6/10s"), limiter_of(state, "2/10s")
        await warm(wide)
        times: list[float] = []
        for _ in range(6):
            await one(wide, told=lambda _: times.append(now()))
        assert holds(times, 2, 10.0)
        tight.close()
        await asyncio.sleep(20.0)
        times.clear()
        for _ in range(12):
            await one(wide, told=lambda _: times.append(now()))
        assert holds(times, 6, 10.0)
        assert not holds(times, 2, 10.0)

    run_virtual(main())


def test_a_closed_clients_long_window_binds_no_longer() -> None:
    async def main() -> float:
        state = KeyState()
        limiter_of(state, "1/1h").close()
        limiter = limiter_of(state)
        begun = now()
        for _ in range(3):
            limiter.answered(await limiter.acquire())
        return now() - begun

    assert run_virtual(main()) < 60.0


def test_a_long_window_reopened_remembers_what_was_sent() -> None:
    async def main() -> float:
        state = KeyState()
        limiter = limiter_of(state, "1/1h")
        begun = now()
        limiter.answered(await limiter.acquire())
        limiter.close()
        await limiter_of(state, "1/1h").acquire()
        return now() - begun

    assert run_virtual(main()) >= 3600.0


def test_two_loops_in_two_threads_share_one_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keystate, "SLOW_START", 1e6)
    monkeypatch.setattr(spacing, "SHORT_WINDOW", 0.0)
    state = KeyState()
    times: list[float] = []
    errors: list[BaseException] = []
    start = threading.Barrier(2)

    async def main() -> None:
        limiter = Limiter(state, Limits.of("30/0.4s"))
        start.wait()
        async with asyncio.TaskGroup() as group:
            for _ in range(60):
                group.create_task(
                    one(limiter, told=lambda _: times.append(time.monotonic()), takes=0.001)
                )

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:  # told to the test
            errors.append(error)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    assert errors == []
    assert len(times) == 120
    assert holds(times, 30, 0.4)


def test_an_answer_in_one_loop_wakes_the_waiter_of_another() -> None:
    state = KeyState()
    limits = Limits.of("1/0.01s")
    answer, sent = asyncio.Event(), threading.Event()
    holding: list[asyncio.AbstractEventLoop] = []

    async def hold() -> None:
        limiter = Limiter(state, limits)
        permit = await limiter.acquire()
        holding.append(asyncio.get_running_loop())
        sent.set()
        await answer.wait()
        limiter.answered(permit)

    async def wait() -> None:
        limiter = Limiter(state, limits)
        waiting = spawn(limiter.acquire())
        await steps()
        assert limiter.turnstile.first() is not None
        assert not waiting.done()
        holding[0].call_soon_threadsafe(answer.set)
        async with asyncio.timeout(10.0):
            limiter.answered(await waiting)

    holder = threading.Thread(target=asyncio.run, args=(hold(),), daemon=True)
    holder.start()
    assert sent.wait(10.0)
    asyncio.run(wait())
    holder.join(10.0)


def test_a_loop_that_ended_is_let_go() -> None:
    state = KeyState()

    async def main() -> None:
        limiter = limiter_of(state)
        limiter.answered(await limiter.acquire())
        limiter.close()

    for _ in range(5):
        run_virtual(main())
    gc.collect()
    assert len(state.turnstiles) <= 1


# -- pauses ------------------------------------------------------------------------------------


def test_one_pause_an_incident_however_many_refusals() -> None:
    async def main() -> None:
        limiter = limiter_of(KeyState())
        await warm(limiter)
        permits = [await limiter.acquire() for _ in range(20)]
        pauses = [limiter.refused(permit, None) for permit in permits]
        assert pauses == [2.0] + [None] * 19

    run_virtual(main())


def test_nobody_sends_during_a_pause_and_exactly_one_probes_after_it() -> None:
    async def main() -> None:
        state = KeyState()
        limiters = [limiter_of(state), limiter_of(state)]
        await warm(limiters[0])
        refused = await limiters[0].acquire()
        permits: list[Permit] = []
        tasks = [
            spawn(one(limiters[number % 2], told=permits.append, takes=5.0)) for number in range(40)
        ]
        limiters[0].refused(refused, None)
        begun = now()
        await asyncio.sleep(1.999)
        assert permits == []
        await asyncio.sleep(4.9)
        assert [permit.probe for permit in permits] == [True]
        assert permits[0].granted - begun >= 2.0
        for task in tasks:
            await task
        assert [permit.probe for permit in permits] == [True] + [False] * 39
        assert permits[1].granted >= permits[0].granted + 5.0

    run_virtual(main())


def test_a_probe_refused_doubles_the_pause_up_to_300_seconds() -> None:
    async def main() -> list[float | None]:
        limiter = limiter_of(KeyState(), max_pause=1e9)
        pauses = [limiter.refused(await limiter.acquire(), None)]
        for _ in range(9):
            begun = now()
            permit = await limiter.acquire()
            assert permit.probe
            assert now() - begun >= (pauses[-1] or 0.0)
            pauses.append(limiter.refused(permit, None))
        return pauses

    assert run_virtual(main()) == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0]


def test_jitter_only_lengthens_a_pause() -> None:
    async def main() -> None:
        for chance in (0.0, 0.5, 1.0):
            always = functools.partial(float, chance)
            limiter = Limiter(KeyState(), Limits(), chance=always)
            own = limiter.refused(await limiter.acquire(), None)
            other = Limiter(KeyState(), Limits(), chance=always)
            asked = other.refused(await other.acquire(), 100.0)
            assert own is not None
            assert asked is not None
            assert 2.0 <= own <= 3.0
            assert 100.0 <= asked <= 110.0

    run_virtual(main())


@pytest.mark.parametrize("seconds", [0.5, 7.0, 900.0])
def test_nothing_leaves_before_retry_after(seconds: float) -> None:
    async def main() -> float:
        limiter = limiter_of(KeyState())
        limiter.refused(await limiter.acquire(), seconds)
        begun = now()
        await limiter.acquire()
        return now() - begun

    assert run_virtual(main()) >= seconds


def test_the_longest_retry_after_of_an_incident_is_obeyed() -> None:
    async def main() -> float:
        limiter = limiter_of(KeyState())
        await warm(limiter)
        first, second = await limiter.acquire(), await limiter.acquire()
        begun = now()
        limiter.refused(first, 1.0)
        assert limiter.refused(second, 60.0) is None
        await limiter.acquire()
        return now() - begun

    assert run_virtual(main()) >= 60.0


def test_an_answer_to_a_request_sent_before_the_pause_does_not_open_the_gate() -> None:
    async def main() -> None:
        limiter = limiter_of(KeyState())
        await warm(limiter)
        first, second = await limiter.acquire(), await limiter.acquire()
        limiter.refused(first, 30.0)
        begun = now()
        limiter.answered(second)
        permit = await limiter.acquire()
        assert permit.probe
        assert now() - begun >= 30.0

    run_virtual(main())


def test_a_late_refusal_of_a_request_sent_before_the_pause_begins_no_new_one() -> None:
    async def main() -> None:
        limiter = limiter_of(KeyState())
        await warm(limiter)
        first, late = await limiter.acquire(), await limiter.acquire()
        limiter.refused(first, None)
        limiter.answered(await limiter.acquire())  # the probe: open again
        assert limiter.refused(late, None) is None
        begun = now()
        await limiter.acquire()
        assert now() - begun < 1.0

    run_virtual(main())


def test_after_a_pause_the_slow_start_begins_again() -> None:
    async def main() -> None:
        limiter = limiter_of(KeyState())
        await warm(limiter)
        limiter.refused(await limiter.acquire(), None)
        limiter.answered(await limiter.acquire())
        times: list[float] = []
        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(one(limiter, told=lambda _: times.append(now())))
        assert sum(moment - times[0] < 1.0 for moment in times) <= 5

    run_virtual(main())


async def waiting_behind_a_pause() -> tuple[Limiter, list[asyncio.Task[Permit]], float]:
    """Three in line behind a pause of 10 s."""
    limiter = limiter_of(KeyState())
    await warm(limiter)
    refused = await limiter.acquire()
    waiters = [spawn(limiter.acquire()) for _ in range(3)]
    limiter.refused(refused, 10.0)
    await steps()
    return limiter, waiters, now()


def test_a_probe_cancelled_while_waiting_makes_the_next_in_line_the_probe() -> None:
    async def main() -> None:
        _, waiters, begun = await waiting_behind_a_pause()
        await asyncio.sleep(5.0)
        await cancel(waiters[0])
        permit = await waiters[1]
        assert permit.probe
        assert now() - begun == pytest.approx(10.0, abs=0.5)
        await steps()
        assert not waiters[2].done()
        await cancel(waiters[2])

    run_virtual(main())


def test_a_probe_cancelled_in_flight_makes_the_next_one_probe_at_once() -> None:
    async def main() -> None:
        limiter, waiters, _ = await waiting_behind_a_pause()
        probe = await waiters[0]
        await asyncio.sleep(3.0)
        limiter.unanswered(probe)
        begun = now()
        permit = await waiters[1]
        assert permit.probe
        assert now() - begun < 1.0
        assert not waiters[2].done()
        limiter.answered(permit)
        assert not (await waiters[2]).probe

    run_virtual(main())


def test_a_lost_probe_with_nobody_waiting_is_taken_over_by_the_next_newcomer() -> None:
    async def main() -> None:
        limiter, waiters, _ = await waiting_behind_a_pause()
        await cancel(*waiters)
        await asyncio.sleep(20.0)
        probe = await limiter.acquire()
        assert probe.probe
        limiter.unanswered(probe)
        await asyncio.sleep(1.0)
        assert (await limiter.acquire()).probe

    run_virtual(main())


@pytest.mark.parametrize("sent", [True, False])
def test_a_probe_lost_in_transport_hands_over_after_one_backoff_step(sent: bool) -> None:
    async def main() -> None:
        limiter, waiters, _ = await waiting_behind_a_pause()
        probe = await waiters[0]
        (limiter.unanswered if sent else limiter.unsent)(probe, hand_over=4.0)
        begun = now()
        assert (await waiters[1]).probe
        assert now() - begun == pytest.approx(4.0, abs=0.5)
        assert not waiters[2].done()
        await cancel(waiters[2])

    run_virtual(main())


def test_a_pause_that_begins_during_a_launch_strands_nobody() -> None:
    """A more urgent newcomer stands first when the launch of another ends in a pause."""

    async def main() -> None:
        limiter = limiter_of(KeyState())
        in_flight = await limiter.acquire()
        launching = spawn(limiter.acquire(Rank.PAGES))
        await asyncio.sleep(0.1)
        assert limiter.turnstile.launching is not None
        urgent = spawn(limiter.acquire(Rank.INTERACTIVE))
        await steps()
        limiter.refused(in_flight, 5.0)
        async with asyncio.timeout(100.0):
            limiter.answered(await urgent)
            limiter.answered(await launching)

    run_virtual(main())


# -- pauses that are too long ------------------------------------------------------------------


def test_a_pause_beyond_max_pause_is_told_at_once_to_all_waiters() -> None:
    async def main() -> None:
        limiter = limiter_of(KeyState(), max_pause=60.0)
        await warm(limiter)
        permit = await limiter.acquire()
        limiter.refused(permit, 10.0)
        waiters = [spawn(limiter.acquire(rank)) for rank in list(Rank) * 3]
        await asyncio.sleep(1.0)
        assert not any(task.done() for task in waiters)
        probe = await next(asyncio.as_completed(waiters))
        begun = now()
        limiter.refused(probe, 61.0)
        for task in waiters:
            if task.done() and task.exception() is None:
                continue
            with pytest.raises(RateLimitError) as caught:
                await task
            assert caught.value.retry_after == pytest.approx(61.0, abs=0.1)
        with pytest.raises(RateLimitError):
            await limiter.acquire()
        assert now() - begun < 1e-3

    run_virtual(main())


def test_a_pause_of_just_max_pause_is_waited_for() -> None:
    async def main() -> None:
        limiter = limiter_of(KeyState(), max_pause=60.0)
        limiter.refused(await limiter.acquire(), 60.0)
        assert (await limiter.acquire()).probe

    run_virtual(main())


def test_each_client_has_its_own_patience() -> None:
    async def main() -> None:
        state = KeyState()
        hasty, patient = limiter_of(state, max_pause=60.0), limiter_of(state, max_pause=600.0)
        hasty.refused(await hasty.acquire(), 100.0)
        waiters = [spawn(patient.acquire()), spawn(hasty.acquire())]
        with pytest.raises(RateLimitError):
            await waiters[1]
        assert (await waiters[0]).probe

    run_virtual(main())


def test_when_a_too_long_pause_is_over_the_next_request_probes() -> None:
    async def main() -> None:
        limiter = limiter_of(KeyState(), max_pause=60.0)
        limiter.refused(await limiter.acquire(), 3600.0)
        with pytest.raises(RateLimitError):
            await limiter.acquire()
        await asyncio.sleep(4000.0)
        permit = await limiter.acquire()
        assert permit.probe
        limiter.answered(permit)
        assert not (await limiter.acquire()).probe

    run_virtual(main())


# -- memory ------------------------------------------------------------------------------------


def test_a_hundred_thousand_grants_keep_nothing() -> None:
    async def main() -> tuple[int, int]:
        asyncio.get_running_loop().set_debug(enabled=False)
        state = KeyState()
        limiter = limiter_of(state, "50/60s")
        await warm(limiter)

        async def use(count: int) -> int:
            for _ in range(count):
                limiter.answered(await limiter.acquire())
            gc.collect()
            return len(gc.get_objects())

        before = await use(1_000)
        after = await use(99_000)
        assert state.granted == 100_001
        assert len(state.windows.stamps) <= TRIM_AT
        assert state.windows.in_flight == 0
        assert limiter.turnstile.first() is None
        return before, after

    before, after = run_virtual(main())
    assert after - before < 100
