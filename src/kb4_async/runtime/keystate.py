"""What is known of a key in this process: plain data under a lock, outliving every client.

The state belongs to an origin and a key's fingerprint, never to a client: closing and reopening a
client forgets nothing, and all clients of a key share its windows, its pause and what was learned.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kb4_async.events import Event, HeldLimit, KeyPaused, LimitChanged, clock_time
from kb4_async.options import CAP, CAP_REQUESTS, CAP_SECONDS, DAY, PUBLISHED, Window
from kb4_async.protocol import learning
from kb4_async.protocol.backoff import LONGEST_PAUSE
from kb4_async.protocol.gate import Gate
from kb4_async.protocol.learning import Learned
from kb4_async.protocol.quota import Quota
from kb4_async.protocol.verdict import NOTHING_TOLD, RateHeaders
from kb4_async.protocol.windows import WindowStack
from kb4_async.runtime.permit import Member, Permit
from kb4_async.runtime.turnstile import Turnstile

if TYPE_CHECKING:
    from kb4_async.runtime.share import Share

#: Requests a second on first contact and after a refusal; doubled with each quiet second.
SLOW_START = 4.0
#: As ``Limits.max_lag``, for requests that were in flight when a process was forked.
FORK_LAG = 30.0
#: No pause of our own lasts longer, jitter included: one that does was asked for by the server.
LONGEST_OWN_PAUSE = 1.25 * LONGEST_PAUSE

CAP_WHY = "the cap"
CONFIGURED = "as configured"
TOLD = "the server's X-RateLimit-Limit"
ELSEWHERE = "as another process was told"
CAUTION = "as long as the ledger cannot be used"


@dataclass(slots=True, eq=False)
class KeyState:
    """Windows, pause, quota and lesson of one key. Every method is called under ``lock``.

    Attributes:
        stacks: What this process sent, and the windows that hold it. Once headers told of others: a
            second time with what they sent, for the cap and what the headers tell. A lesson was
            learned of our own requests, and is held by them alone.
        members: The open clients.
        turnstiles: Who waits, in each event loop.
        ramp: When the slow start began; None before the first request.
        granted: Permits granted so far.
        counted: The same, with requests of others that the server's headers told of.
        learned: What the server told and taught.
        day_limit: Requests a day, where an open client was told so.
        learned_at: When the newest refusal came that taught, in seconds since the epoch.
        share: This process's part of the ledger; None without one.
        pauses: Pauses begun.
        why: Where each held window comes from.
        news: Events that the members are still to be told.
        wall: Seconds since the epoch, for what people read.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    stacks: list[WindowStack] = field(default_factory=lambda: [WindowStack((CAP,))])
    gate: Gate = field(default_factory=Gate)
    quota: Quota = field(default_factory=Quota)
    members: list[Member] = field(default_factory=list)
    turnstiles: dict[asyncio.AbstractEventLoop, Turnstile] = field(default_factory=dict)
    ramp: float | None = None
    granted: int = 0
    counted: int = 0
    learned: Learned = field(default_factory=Learned)
    day_limit: int | None = None
    learned_at: float = 0.0
    share: Share | None = None
    pauses: int = 0
    why: dict[Window, str] = field(default_factory=lambda: {CAP: CAP_WHY})
    news: list[Event] = field(default_factory=list)
    wall: Callable[[], float] = time.time  # noqa: TID251  # the default source of it

    @property
    def windows(self) -> WindowStack:
        """What this process sent, and the windows that hold it."""
        return self.stacks[0]

    # -- what is held --------------------------------------------------------------------------

    def join(self, member: Member) -> None:
        """A client opened: the tightest of all open clients' limits is held."""
        self.members.append(member)
        self.forget_dryness()
        self.hold()

    def leave(self, member: Member) -> None:
        """A client closed; what it sent stays counted."""
        self.members.remove(member)
        self.forget_dryness()
        self.hold()

    def forget_dryness(self) -> None:
        """Other clients may have another quota: the ledger is asked anew."""
        if self.share is not None:
            self.share.resets = None

    def hold(self) -> None:
        """Hold what the cap, the clients, the server and other processes want held."""
        why: dict[Window, str] = {}
        if self.share is not None:
            if self.share.trouble is not None:
                why |= dict.fromkeys(PUBLISHED, CAUTION)
            why |= dict.fromkeys(self.share.others, ELSEWHERE)
        learned = self.learned
        if learned.lesson is not None:
            at = clock_time(self.learned_at, self.wall())
            why |= dict.fromkeys(learned.lesson.windows, f"learned from a refusal at {at}")
        if learned.told_window is not None:
            why[learned.told_window] = TOLD
        for member in self.members:
            why |= dict.fromkeys(member.limits.stack, CONFIGURED)
        why[CAP] = CAP_WHY
        self.why = why
        self.windows.hold(why)
        for crowd in self.stacks[1:]:
            crowd.hold({CAP, learned.told_window or CAP})
        quotas = (member.limits.quota for member in self.members)
        self.day_limit = min((each.requests for each in quotas if each is not None), default=None)

    def held(self) -> tuple[HeldLimit, ...]:
        """The limits in force that a shorter or equal one does not already imply."""
        tightest: dict[float, Window] = {}
        for window in sorted(self.why, key=lambda w: (w.seconds, w.requests)):
            tightest.setdefault(window.seconds, window)
        day = self.day_limit
        quota = () if day is None else (HeldLimit(Window(day, DAY), CONFIGURED),)
        return (*(HeldLimit(each, self.why[each]) for each in tightest.values()), *quota)

    def changed(self, window: Window) -> None:
        """Hold what is known now, and tell about the window that changed."""
        self.hold()
        self.news.append(LimitChanged(window, self.why.get(window, CAP_WHY)))

    # -- who may send --------------------------------------------------------------------------

    def turnstile(self, loop: asyncio.AbstractEventLoop) -> Turnstile:
        """Who waits in this loop; loops that have closed are forgotten."""
        for closed in [other for other in self.turnstiles if other.is_closed()]:
            del self.turnstiles[closed]
        return self.turnstiles.setdefault(loop, Turnstile(loop))

    def waiting(self) -> int:
        """Requests in line, in all loops."""
        return sum(len(q) for line in self.turnstiles.values() for q in line.queues.values())

    def wait(self, now: float) -> float | None:
        """Seconds until a request may leave; None if only an answer can tell."""
        gate = self.gate.wait(now)
        if gate is None:
            return None
        longest = max(gate, 0.0 if self.share is None else self.share.wait(now))
        for stack in self.stacks:
            wait = stack.wait(now)
            if wait is None:
                return None
            longest = max(longest, wait)
        return longest

    def must_borrow(self, now: float) -> bool:
        """Whether the ledger must lend a request before one may leave."""
        return self.share is not None and not self.share.ready(now)

    def dry_until(self, now: float) -> float | None:
        """When the daily quota is free again; None while something is left of it."""
        if self.share is not None and self.share.trouble is None:
            resets = self.share.resets
            lent = self.share.ready(now)
            return resets if resets is not None and now < resets and not lent else None
        if self.quota.left(self.day_limit, self.windows.in_flight, now) == 0:
            return self.quota.resets(now)
        return None

    def exhaust(self, now: float) -> float | None:
        """The server refuses for longer than is waited for: where there is a quota, that is spent.

        Returns:
            When it is free again; None where no client was told of a quota.
        """
        if self.day_limit is None:
            return None
        until = self.gate.until
        if until - now <= LONGEST_OWN_PAUSE:
            # The server did not say for how long, so until the end of the day as counted here.
            until = max(until, self.day_ends() or now + DAY)
        self.quota.exhausted(until)
        if self.share is not None:
            self.share.exhausted = self.share.resets = until
            self.share.spent_limit = None
        return until

    def spent_limit(self, now: float) -> int | None:
        """The daily quota that is spent; None where the server says that one is."""
        if self.share is not None and self.share.trouble is None:
            return self.share.spent_limit
        return None if now < self.quota.spent_until else self.day_limit

    def day_ends(self) -> float | None:
        """When the present day's quota ends; None before its first request."""
        if self.share is not None and self.share.trouble is None:
            return self.share.day_ends
        return self.quota.ends

    def used_today(self) -> int:
        """Requests of the present day."""
        if self.share is not None and self.share.trouble is None:
            return self.share.used_today + len(self.share.spent) + self.windows.in_flight
        return self.quota.used + self.windows.in_flight

    def grant(self, now: float) -> Permit:
        """Take a slot in every window; only after ``wait`` returned 0."""
        for stack in self.stacks:
            stack.trim(now)
            stack.take()
        self.granted += 1
        self.counted += 1
        if self.share is not None:
            self.share.use()
        if self.ramp is None:
            self.ramp = now
        place = self.windows.used(learning.MINUTE.seconds, now)
        # A minute in which only probes leave, and are refused, bears nothing out.
        if self.gate.since is None and self.learned.granted(place, now):
            self.taught()
        taken = self.stacks[-1].used(CAP_SECONDS, now)
        return Permit(now, self.gate.grant(), place, taken, self.counted)

    def pace(self, now: float) -> float:
        """Requests a second that the slow start allows now; doubles each second since it began."""
        if self.ramp is None:
            return SLOW_START
        return SLOW_START * 2.0 ** min(32, int(now - self.ramp))

    # -- how it ended --------------------------------------------------------------------------

    def answered(
        self, permit: Permit, now: float, latest: float, told: RateHeaders = NOTHING_TOLD
    ) -> None:
        """An answer other than 429 came: the request arrived at ``latest`` at the latest."""
        self.arrived(permit, latest, answered=latest <= now)
        self.obey(permit, now, told)
        if permit.probe:
            self.open(now)

    def unanswered(self, permit: Permit, now: float, max_lag: float, delay: float) -> None:
        """No answer: the request may still arrive until ``max_lag`` from now."""
        self.arrived(permit, now + max_lag, answered=False)
        if permit.probe:
            self.gate.probe_lost(now, delay)

    def unsent(self, permit: Permit, now: float, delay: float) -> None:
        """Nothing left this machine: the permit returns."""
        for stack in self.stacks:
            stack.give_back()
        if self.share is not None:
            self.share.return_one()
        if permit.probe:
            self.gate.probe_lost(now, delay)

    def arrived(self, permit: Permit, latest: float, *, answered: bool) -> None:
        """Count a request that may have arrived as late as this."""
        for stack in self.stacks:
            stack.stamp(latest)
        self.quota.spend(permit.granted, latest, answered=answered)
        if self.share is not None:
            self.share.spent.append((permit.granted, latest, answered))

    def open(self, now: float) -> None:
        """The probe was answered: the pause is over."""
        began = self.gate.since
        if began is not None:
            # What our own windows and the probe took besides is no cost of the refusal.
            self.learned.opened(now, self.gate.until - began)
        self.gate.probe_answered(now)
        self.ramp = now
        if self.share is not None:
            self.share.opened = True
            self.share.taught = True

    def refused(
        self,
        permit: Permit,
        now: float,
        *,
        path: str,
        chance: float,
        retry_after: float | None,
        told: RateHeaders = NOTHING_TOLD,
    ) -> float | None:
        """A 429 came.

        Returns:
            Seconds of the pause that begins now; None where it belongs to one that is known.
        """
        self.arrived(permit, now, answered=True)
        first = self.gate.since is None
        seconds = self.gate.refused(
            permit.granted, now, probe=permit.probe, chance=chance, retry_after=retry_after
        )
        self.obey(permit, now, told)
        if seconds is None:
            self.learned.refused_too(permit.place)
            return None
        self.pauses += 1
        self.news.append(KeyPaused(path, seconds, retry_after))
        if self.share is not None:
            self.share.refused = True
            self.share.leased = 0  # the probe is lent anew, to one process
        if first:
            says = told.limit is not None
            explained = says or retry_after is not None
            if self.learned.refused(permit.place, now, told=says, explained=explained):
                self.learned_at = self.wall()
                self.taught()
        return seconds

    # -- what it teaches -----------------------------------------------------------------------

    def taught(self) -> None:
        """The lesson changed."""
        if self.share is not None:
            self.share.taught = True
        lesson = self.learned.lesson
        self.changed(CAP if lesson is None else lesson.windows[-1])

    def obey(self, permit: Permit, now: float, told: RateHeaders) -> None:
        """Hold what the server's headers say, and count what others surely took."""
        if told.limit is not None and told.limit != self.learned.told:
            before = self.learned.told_window
            self.learned.told = told.limit
            if self.learned.told_window != before:
                self.changed(self.learned.told_window or CAP)
        limit = told.limit or min(w.requests for w in self.why if w.seconds == CAP_SECONDS)
        if told.remaining is None or limit > CAP_REQUESTS:
            return  # more than the cap can be no limit of a minute, and what remains of it neither
        # What this key sent since, and may have arrived, is no use by others: what is left over is.
        others = limit - permit.taken - (self.counted - permit.number) - told.remaining
        if others > 0:
            if len(self.stacks) == 1:
                self.stacks.append(self.windows.copy())
                self.hold()
            self.stacks[-1].add(now, others)
            self.counted += others
            if 2 * others >= limit:  # who waits for that wants to know why
                why = f"for others took {others:,} of {limit:,}, as X-RateLimit-Remaining says"
                rest = Window(max(1, limit - others), CAP_SECONDS)
                self.news.append(LimitChanged(rest, why))


registry_lock = threading.Lock()
registry: dict[tuple[str, str], KeyState] = {}


def key_state(origin: str, fingerprint: str) -> KeyState:
    """The state of a key at an origin; made on first use, kept for the life of the process."""
    with registry_lock:
        return registry.setdefault((origin, fingerprint), KeyState())


def after_fork() -> None:
    """A child keeps what was sent, paused and learned, and drops what waits in the parent.

    What the parent had in flight is the parent's to end: here it counts as unanswered.
    """
    global registry_lock  # noqa: PLW0603  # the parent may have held it at the fork
    registry_lock = threading.Lock()
    for state in registry.values():
        state.lock = threading.Lock()
        state.turnstiles.clear()
        state.members.clear()
        state.quota.used += state.windows.in_flight
        for stack in state.stacks:
            stack.add(time.monotonic() + FORK_LAG, stack.in_flight)
            stack.in_flight = 0
        if state.gate.probing:
            state.gate.probe_lost(time.monotonic())
        if state.share is not None:
            state.share.forked()
        state.hold()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=after_fork)
