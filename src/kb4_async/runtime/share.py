"""A process's part of a key's page in the ledger: what it was lent, and what it must report.

Requests are lent a few at a time, so that the file is written once for many of them. Its work is
done in one thread of its own, never in an event loop.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from kb4_async.errors import ConfigurationError
from kb4_async.events import LAST_SECOND, KeyPaused, LedgerUnavailable
from kb4_async.options import CAP, DAY, Window
from kb4_async.protocol.sharing import LOAN_SECONDS, Loan, Pause, Report
from kb4_async.runtime.ledger import REMEDY, Ledger, LedgerError

if TYPE_CHECKING:
    from kb4_async.runtime.keystate import KeyState

log = logging.getLogger("kb4_async")

#: Most requests lent at a time, and the part of a window that they may be.
LENT, PART = 16, 16
#: Seconds between two reports while there is something to say.
BEAT = 1.0
#: The same while nothing happens: a few times before the process counts as dead.
IDLE_BEAT = LOAN_SECONDS / 3
#: Most requests remembered for a ledger that cannot be used.
MOST_UNSAID = 20_000
#: Seconds after which a ledger that could not be used is tried again.
TRY_AGAIN = 10.0
#: A loan is given up this much before it expires: nobody may send on one that is being buried.
MARGIN = 2.0


class Share:
    """What this process was lent of a key. Its attributes change under the key state's lock.

    Args:
        ledger: The file.
        origin: The key's address.
        fingerprint: The key's fingerprint; the key itself never comes here.

    Attributes:
        leased: Requests lent and not granted yet.
        usable_until: When the loan ends.
        ask_at: When the ledger may be asked again.
        spent: Requests to report: when each was granted, had arrived at the latest, and whether it
            was answered.
        resets: When the daily quota is free again; None while something is left.
        spent_limit: Requests a day that were spent then; None where the server said so.
        others: What other processes were told to hold.
        trouble: Why the ledger cannot be used; None where it can.
        beating: The event loop in which a report is due.
    """

    def __init__(self, ledger: Ledger, origin: str, fingerprint: str) -> None:
        self.ledger = ledger
        self.key = (origin, fingerprint)
        self.trouble: str | None = None
        self.revision = 0
        self.others: tuple[Window, ...] = ()
        self.used_today = 0
        self.day_ends: float | None = None
        self.begin()

    def begin(self) -> None:
        """Begin as a process of which the ledger knows nothing."""
        self.who = f"{os.getpid()}-{os.urandom(4).hex()}"
        self.mutex = threading.Lock()
        self.leased = 0
        self.usable_until = float("-inf")
        self.ask_at = float("-inf")
        self.spent: list[tuple[float, float, bool]] = []
        self.resets: float | None = None
        self.spent_limit: int | None = None
        self.beating: asyncio.AbstractEventLoop | None = None
        self.refused = self.opened = self.taught = False
        self.exhausted: float | None = None
        self.said = (False, False, False)

    def forked(self) -> None:
        """This is a child now: what the parent was lent stays the parent's."""
        self.ledger = self.ledger.again()
        self.begin()

    # -- in the event loop, under the state's lock ---------------------------------------------

    def ready(self, now: float) -> bool:
        """Whether a request may leave as far as the ledger is concerned."""
        return self.trouble is not None or (self.leased > 0 and now < self.usable_until)

    def wait(self, now: float) -> float:
        """Seconds until the ledger may be asked, or nothing needs to be."""
        return 0.0 if self.ready(now) else max(0.0, self.ask_at - now)

    def use(self) -> None:
        """A request was granted."""
        self.leased = max(0, self.leased - 1)

    def return_one(self) -> None:
        """A request was certainly never sent: it stays lent."""
        self.leased += 1

    def next_beat(self, state: KeyState) -> float | None:
        """Seconds until the next report; None if there will be nothing to say."""
        if not state.members and self.trouble is not None:
            return None
        if self.leased or self.spent or state.windows.in_flight or state.waiting():
            return BEAT if self.trouble is None else TRY_AGAIN
        # While a client is open, what it was told to hold is held by the other processes.
        return IDLE_BEAT if any(member.limits.windows for member in state.members) else None

    # -- in the ledger's thread ----------------------------------------------------------------

    def exchange(self, state: KeyState, clock: Callable[[], float], *, ask: bool) -> None:
        """Report what happened, and borrow if asked to.

        Args:
            state: The key's state.
            clock: The event loop's clock.
            ask: Requests wait. Otherwise what is lent and not needed is given back.
        """
        with self.mutex:
            try:
                with self.ledger.page(*self.key) as page:
                    with state.lock:
                        now, wall = clock(), time.time()  # noqa: TID251  # the ledger is in UTC
                        check_clock(wall)
                        report = self.report(state, now, wall - now, ask=ask)
                    loan = page.exchange(report, wall, now)
            except LedgerError as error:
                with state.lock:
                    self.fail(state, str(error))
            else:
                with state.lock:
                    self.take(state, report, loan, now, wall - now)
            if not state.members:
                # Opened again if more is to be said: of hundreds of keys, one after the other, each
                # would keep three files open.
                self.ledger.close()

    def report(self, state: KeyState, now: float, offset: float, *, ask: bool) -> Report:
        """What this process says; times become UTC by adding ``offset``."""
        if not ask or now >= self.usable_until:
            self.leased = 0
        gate = state.gate
        pause = None
        if self.refused and gate.since is not None:
            pause = Pause(gate.since + offset, gate.until + offset, gate.step)
        lesson = state.learned.lesson
        if lesson is not None:
            lesson = dataclasses.replace(lesson)
            lesson.shift(offset)
        windows = {window for member in state.members for window in member.limits.windows}
        if state.learned.told_window is not None:
            windows.add(state.learned.told_window)
        want = 0
        if ask:
            smallest = min(window.requests for window in state.windows.held)
            want = max(1, min(LENT, smallest // PART, state.waiting())) - self.leased
        report = Report(
            who=self.who,
            held=state.windows.in_flight + self.leased,
            want=want,
            windows=tuple(windows),
            spent=[(begun + offset, end + offset, sure) for begun, end, sure in self.spent],
            refused=pause,
            opened=self.opened,
            exhausted=None if self.exhausted is None else self.exhausted + offset,
            lesson=lesson,
            taught=self.taught,
            revision=self.revision,
        )
        self.said = (self.refused, self.opened, self.taught)
        self.refused = self.opened = self.taught = False
        return report

    def take(self, state: KeyState, report: Report, loan: Loan, now: float, offset: float) -> None:
        """Take in what the ledger says; its times become the loop's by taking ``offset`` away."""
        self.trouble = None
        self.said = (False, False, False)
        if self.exhausted is not None and report.exhausted == self.exhausted + offset:
            self.exhausted = None
        del self.spent[: len(report.spent)]
        self.leased += loan.permits
        self.usable_until = now + LOAN_SECONDS - MARGIN
        self.ask_at = now + (loan.wait if report.want > 0 else 0.0)
        self.resets = None if loan.resets is None else loan.resets - offset
        self.spent_limit = loan.limit
        self.used_today = loan.used
        self.day_ends = None if loan.day_ends is None else loan.day_ends - offset
        self.others = tuple(each for each in loan.windows if each.seconds < DAY)
        self.take_pause(state, loan, now, offset)
        if loan.revision != self.revision and not self.taught:
            lesson = loan.lesson
            if lesson is not None:
                state.learned_at = lesson.refused
                lesson.shift(-offset)
            known, state.learned.lesson = state.learned.lesson, lesson
            self.revision = loan.revision
            if (known and known.level) != (lesson and lesson.level):
                state.changed(CAP if lesson is None else lesson.windows[-1])
        state.hold()

    def take_pause(self, state: KeyState, loan: Loan, now: float, offset: float) -> None:
        """Pause with the other processes, and go on with them."""
        gate, pause = state.gate, loan.pause
        if self.refused or self.opened or gate.probing:
            return  # What happened here meanwhile is newer.
        if pause is None:
            if gate.since is not None:
                gate.probe_answered(now)
                state.ramp = now
        elif gate.since is None:
            # What was lent before the pause is no probe: the ledger lends that to one process.
            self.leased = loan.permits
            gate.since, gate.until = pause.since - offset, pause.until - offset
            gate.step, gate.last_refusal = pause.step, now
            if gate.until > now:
                state.pauses += 1
                state.news.append(KeyPaused("", gate.until - now, None))
        else:
            gate.until = max(gate.until, pause.until - offset)

    def fail(self, state: KeyState, reason: str) -> None:
        """The ledger cannot be used: go on alone, and carefully."""
        if self.trouble is None:
            log.warning("Cannot use the ledger %s", reason)
            state.news.append(LedgerUnavailable(self.ledger.name, reason))
        self.trouble = reason
        self.resets = None
        del self.spent[:-MOST_UNSAID]
        # What it did not take in is said again.
        refused, opened, taught = self.said
        self.said = (False, False, False)
        self.refused |= refused and not self.opened
        self.opened |= opened and not self.refused
        self.taught |= taught
        state.hold()


def join_ledger(state: KeyState, ledger: Ledger, origin: str, fingerprint: str) -> None:
    """Account for a key in a ledger from now on, also for its clients that did not ask for it.

    Raises:
        ConfigurationError: Clients of the key are open that account for it in another file.
    """
    with state.lock:
        old = state.share
        if old is not None and old.ledger.path == ledger.path:
            return
        if old is not None and state.members:
            msg = (
                f"Another client of this key is open with the ledger {old.ledger.name}, this one "
                f"would have {ledger.name}: use one for both."
            )
            raise ConfigurationError(msg)
        if old is not None:
            with old.mutex:
                old.ledger.close()
        state.share = Share(ledger, origin, fingerprint)
        # What was sent before counts there too.
        state.share.spent = [(stamp, stamp, False) for stamp in state.windows.stamps]


def check_clock(wall: float) -> None:
    """Refuse to write times that nobody could read again.

    Raises:
        LedgerError: The machine's clock is far off.
    """
    if not 0 < wall < LAST_SECOND / 2:
        msg = f"while this machine's clock is wrong. {REMEDY}"
        raise LedgerError(msg)


worker_lock = threading.Lock()
workers: list[ThreadPoolExecutor] = []


def worker() -> ThreadPoolExecutor:
    """The thread that does the ledger's work; a forked child has its own."""
    with worker_lock:
        if not workers:
            workers.append(ThreadPoolExecutor(1, thread_name_prefix="kb4-ledger"))
        return workers[0]


def after_fork() -> None:
    """The parent may have held the lock at the fork, and its thread is not here."""
    global worker_lock  # noqa: PLW0603  # nobody is there to release it
    worker_lock = threading.Lock()
    workers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=after_fork)
