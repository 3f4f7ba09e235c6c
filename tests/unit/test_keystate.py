import asyncio
import os

import pytest

from kb4_async import ReportingClient
from kb4_async.options import DAY, Window
from kb4_async.protocol.sharing import LOAN_SECONDS, Report, SharedKey
from kb4_async.runtime.keystate import KeyState


def test_refused_probes_bear_no_level_out() -> None:
    """In a long lockout a minute passes in which only probes leave; the window frees them all."""
    state = KeyState()
    for number in range(300):
        moment = number / 10
        state.answered(state.grant(moment), moment, moment)
    now = 30.0
    state.refused(state.grant(now), now, path="users", chance=0.0, retry_after=None)
    for _ in range(7):
        now = max(now, state.gate.until)
        now += state.wait(now) or 0.0
        probe = state.grant(now)
        assert probe.probe
        state.refused(probe, now, path="users", chance=0.0, retry_after=None)
    assert state.learned.lesson is not None
    assert (state.learned.lesson.level, state.learned.lesson.good) == (50, 50)


def test_what_a_killed_process_had_in_flight_may_have_begun_the_day_when_it_was_lent() -> None:
    page, quota = SharedKey(), (Window(3, DAY),)
    now = begun = 1e6
    page.exchange(Report("killed", 0, 1, quota), now, now)
    for _ in range(10):  # it lives on for a while, with the request still unanswered
        now += LOAN_SECONDS / 2
        page.exchange(Report("killed", 1, 0, quota), now, now)
    now += 2 * LOAN_SECONDS
    page.exchange(Report("other", 0, 1, quota), now, now)
    assert page.quota.begins == begun


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
async def test_a_client_that_a_fork_inherits_raises_and_what_was_in_flight_stays_counted() -> None:
    async with ReportingClient("key", base_url="http://127.0.0.1:9/v1") as kb:
        state = kb.source.engine.limiter.state
        await kb.source.engine.limiter.acquire()

        async def use() -> None:
            kb.source.check()

        child = os.fork()
        if child == 0:
            found = 1
            try:
                asyncio.run(use())
            except RuntimeError as error:
                in_flight = (state.windows.in_flight, len(state.windows.stamps))
                found = 0 if "process" in str(error) and in_flight == (0, 1) else 2
            finally:
                os._exit(found)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert state.windows.in_flight == 1
