"""The limiter: turns a key's state into permits, for the waiters of one event loop.

Order of each grant: turnstile, pause gate, windows, ledger, spacing (aiolimiter), then the gate and
all windows once more in one step that does not wait; that grant is the last await before the send.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from kb4_async.errors import QuotaExhaustedError, RateLimitError
from kb4_async.events import Event, KeyPaused, LimitChanged, Observer, RateStatus, calendar
from kb4_async.options import Limits
from kb4_async.protocol.verdict import NOTHING_TOLD, RateHeaders
from kb4_async.runtime.keystate import KeyState
from kb4_async.runtime.observing import tell
from kb4_async.runtime.permit import Member, Permit
from kb4_async.runtime.share import BEAT, TRY_AGAIN, worker
from kb4_async.runtime.turnstile import Rank, Waiter

log = logging.getLogger("kb4_async")


class Limiter:
    """A client's access to the permits of its key, in the running event loop.

    Args:
        state: The key's state, shared with other loops and clients.
        limits: This client's limits, held for all clients of the key while this one is open.
        max_pause: Longest pause of the key, in seconds, that a request waits for.
        observer: Told what happens to the key.
        chance: Source of random numbers from 0 to 1.
    """

    def __init__(
        self,
        state: KeyState,
        limits: Limits,
        *,
        max_pause: float = 1800.0,
        observer: Observer | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.state = state
        self.limits = limits
        self.max_pause = max_pause
        self.observer = observer
        self.chance = chance
        self.loop = asyncio.get_running_loop()
        self.open = True
        self.member = Member(limits, self.hear)
        with state.lock:
            state.join(self.member)
            self.turnstile = state.turnstile(self.loop)

    def close(self) -> None:
        """Stop holding this client's limits. What was sent stays counted."""
        if self.open:
            self.open = False
            with self.state.lock:
                self.state.leave(self.member)

    async def settle(self) -> None:
        """After ``close``: let the ledger know at once what the key's last client leaves."""
        share = self.state.share
        # One that cannot be used would only hold up whoever closes.
        if share is not None and share.trouble is None and not self.state.members:
            await self.exchange(ask=False)

    async def acquire(self, rank: Rank = Rank.PAGES) -> Permit:
        """Wait for a permit; send at once when it is there, and report how that ended.

        Raises:
            RateLimitError: The key is paused for longer than ``max_pause``.
            QuotaExhaustedError: The daily quota is spent.
        """
        line, state = self.turnstile, self.state
        waiter = Waiter(rank)
        line.queues[rank].append(waiter)
        permit: Permit | None = None
        try:
            while permit is None:
                with state.lock:
                    self.check(self.loop.time())
                if line.first() is not waiter:
                    await line.wait(waiter, None)
                    continue
                with state.lock:
                    now = self.loop.time()
                    delay, borrow = state.wait(now), state.must_borrow(now)
                    pace, windows = state.pace(now), state.windows.held
                if delay != 0.0:
                    await line.wait(waiter, delay)
                    continue
                line.launching = waiter
                if borrow:
                    self.beat_soon()
                    await self.exchange(ask=True)
                    line.launching = None
                    continue
                await line.spacing.launch(pace, windows)
                with state.lock:
                    now = self.loop.time()
                    if state.wait(now) == 0.0 and not state.must_borrow(now):
                        permit = state.grant(now)
                        break
                # Another loop was faster, or a pause began: whoever is first now looks again.
                line.launching = None
                line.nudge_first()
        finally:
            line.leave(waiter, granted=permit is not None)
        self.publish()
        self.beat_soon()
        return permit

    def check(self, now: float) -> None:
        """Refuse to wait for a pause that is too long, or for another day."""
        state = self.state
        resets = state.dry_until(now)
        gate = state.gate
        left = gate.until - now
        if resets is None and gate.since is not None and left > 0:
            if gate.until - gate.since <= self.max_pause:
                return
            resets = state.exhaust(now)
            if resets is None:
                msg = (
                    f"The server refuses this key (429), at least until {self.utc(gate.until, now)}"
                    f": longer than max_pause ({self.max_pause:.0f} s). Run again then, with fewer "
                    "programs on the key."
                )
                raise RateLimitError(msg, retry_after=left)
        if resets is not None:
            when, limit = self.utc(resets, now), state.spent_limit(now)
            what = (
                "The server refuses this key for so long that its daily quota counts as spent"
                if limit is None
                else f"The daily quota of {limit:,} requests is spent"
            )
            msg = f"{what}: run again at {when} or later."
            raise QuotaExhaustedError(msg, retry_after=resets - now, resets_at=when)

    def utc(self, moment: float, now: float) -> str:
        """A time of the loop's clock in UTC, ISO 8601, rounded up to the second."""
        when = calendar(-(-(self.state.wall() + moment - now) // 1))
        return when.isoformat(timespec="seconds").replace("+00:00", "Z")

    def answered(
        self, permit: Permit, *, arrived: bool = True, told: RateHeaders = NOTHING_TOLD
    ) -> None:
        """An answer other than 429 came.

        Args:
            permit: The request's permit.
            arrived: The server itself answered; a proxy may do so before the request reaches it.
            told: What the answer's headers say of the limit.
        """
        with self.state.lock:
            now = self.loop.time()
            latest = now if arrived else now + self.limits.max_lag
            self.state.answered(permit, now, latest, told)
        self.tell()

    def refused(
        self,
        permit: Permit,
        retry_after: float | None,
        *,
        told: RateHeaders = NOTHING_TOLD,
        path: str = "",
    ) -> float | None:
        """A 429 came.

        Returns:
            Seconds of the pause that begins now; None where it belongs to one that is known.
        """
        with self.state.lock:
            seconds = self.state.refused(
                permit,
                self.loop.time(),
                path=path,
                chance=self.chance(),
                retry_after=retry_after,
                told=told,
            )
        # Each waiter decides for itself whether the pause is too long for it.
        self.tell(everyone=True)
        if seconds is not None:
            self.report()
        return seconds

    def unanswered(self, permit: Permit, *, hand_over: float = 0.0) -> None:
        """No answer came.

        Args:
            permit: The request's permit.
            hand_over: If it was the probe: seconds until the next one probes.
        """
        with self.state.lock:
            now = self.loop.time()
            self.state.unanswered(permit, now, self.limits.max_lag, hand_over)
        self.tell()

    def unsent(self, permit: Permit, *, hand_over: float = 0.0) -> None:
        """Nothing was sent: the permit returns."""
        with self.state.lock:
            self.state.unsent(permit, self.loop.time(), hand_over)
        self.tell()

    # -- telling -------------------------------------------------------------------------------

    def tell(self, *, everyone: bool = False) -> None:
        """Something changed: whoever is first in line, in any loop, or everyone, looks again."""
        for turnstile in tuple(self.state.turnstiles.values()):
            turnstile.look_again(everyone=everyone)
        self.publish()

    def publish(self) -> None:
        """Tell the key's clients what happened to it."""
        if not self.state.news:
            return
        with self.state.lock:
            news, self.state.news = self.state.news, []
            members = tuple(self.state.members)
        for event in news:
            if isinstance(event, KeyPaused):
                log.warning("429: the key pauses for %.1f s", event.seconds)
            elif isinstance(event, LimitChanged):
                log.info("now %s", event)
            for member in members:
                member.tell(event)

    def hear(self, event: Event) -> None:
        """Tell this client's observer, in its own loop."""
        if self.observer is None:
            return
        try:
            here = asyncio.get_running_loop() is self.loop
        except RuntimeError:
            here = False
        if here:
            tell(self.observer, event)
        else:
            with suppress(RuntimeError):  # the loop has closed
                self.loop.call_soon_threadsafe(tell, self.observer, event)

    def status(self) -> RateStatus:
        """How the key stands."""
        state = self.state
        with state.lock:
            now = self.loop.time()
            ends = state.day_ends()
            return RateStatus(
                held=state.held(),
                granted=state.granted,
                in_flight=state.windows.in_flight,
                waiting=state.waiting(),
                pauses=state.pauses,
                paused_for=0.0 if state.gate.since is None else max(0.0, state.gate.until - now),
                used_today=state.used_today(),
                day_ends=None if ends is None else self.utc(ends, now),
                ledger=None if state.share is None else state.share.ledger.name,
                trouble=None if state.share is None else state.share.trouble,
            )

    # -- the ledger ----------------------------------------------------------------------------

    async def exchange(self, *, ask: bool) -> None:
        """Report to the ledger, and borrow if asked to. Being cancelled here loses nothing."""
        share = self.state.share
        assert share is not None  # noqa: S101  # whoever calls has seen it
        work = partial(share.exchange, self.state, self.loop.time, ask=ask)
        await self.loop.run_in_executor(worker(), work)
        self.tell()

    def beat_soon(self) -> None:
        """Report to the ledger within a second, and go on while there is something to say."""
        share = self.state.share
        if share is not None and (share.beating is None or share.beating.is_closed()):
            self.beat_in(BEAT if share.trouble is None else TRY_AGAIN)

    def beat_in(self, seconds: float) -> None:
        """Report to the ledger after so many seconds."""
        assert self.state.share is not None  # noqa: S101  # whoever calls has seen it
        self.state.share.beating = self.loop
        self.loop.call_later(seconds, self.beat)

    def beat(self) -> None:
        """Report to the ledger, which is due."""
        share = self.state.share
        if share is None:
            return

        def go_on() -> None:
            share.beating = None
            seconds = share.next_beat(self.state)
            if seconds is not None:
                self.beat_in(seconds)

        self.report(go_on)

    def report(self, then: Callable[[], None] = lambda: None) -> None:
        """Report to the ledger now, while others go on."""
        share = self.state.share
        if share is None:
            return
        ask = self.state.waiting() > 0
        work = partial(share.exchange, self.state, self.loop.time, ask=ask)

        def done(_: object) -> None:
            self.tell()
            then()

        self.loop.run_in_executor(worker(), work).add_done_callback(done)
