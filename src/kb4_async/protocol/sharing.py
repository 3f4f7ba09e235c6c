"""What several processes know of one key together: the ledger's arithmetic. Pure; times are UTC.

A process may send what it was lent. What is lent counts as taken until the process says when it had
arrived at the latest. A process that was killed says nothing: when its loan expires, what it held
counts as sent at that moment and delivered ``MAX_LAG`` later.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kb4_async.events import LAST_SECOND
from kb4_async.options import CAP, DAY, Window
from kb4_async.protocol import codec
from kb4_async.protocol.backoff import LONGEST_PAUSE
from kb4_async.protocol.learning import Lesson
from kb4_async.protocol.quota import Quota
from kb4_async.protocol.windows import WindowStack

#: Seconds after its last word for which a process is taken to live.
LOAN_SECONDS = 15.0
#: As ``Limits.max_lag``: a killed process cannot tell its own.
MAX_LAG = 30.0
#: More than any process was ever lent: at most the cap, and what ended unreported.
MOST_HELD = 1_000_000
#: Seconds until a process that got nothing asks again, where others hold what there is.
ASK_AGAIN = 0.25
#: Part of the shortest window that is waited for several slots instead of one.
WORTH = 1 / 240
#: A clock that moved this much against the machine's own was set.
JUMP = 0.05
#: No refusal is remembered for longer than this, whatever the server asked for.
LONGEST_MEMORY = DAY


@dataclass(slots=True)
class Holder:
    """A process.

    Attributes:
        held: Requests lent to it and not accounted for.
        expires: When it counts as dead unless it is heard of again.
        windows: What it was told to hold: the tightest of all processes is held by all.
        since: Since when it has held any without a break: none of them was granted earlier.
    """

    held: int
    expires: float
    windows: tuple[Window, ...] = ()
    since: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no process was ever lent."""
        if not 0 <= self.held <= MOST_HELD:
            msg = f"a process holds up to {MOST_HELD} requests, not {self.held}"
            raise ValueError(msg)


@dataclass(slots=True)
class Pause:
    """A pause of the key after a 429.

    Attributes:
        since: When the incident began.
        until: Until when nothing is sent.
        step: Refusals in a row.
        prober: The process whose probe may end it.
        probing_until: For how long that process is waited for.
    """

    since: float
    until: float
    step: int
    prober: str = ""
    probing_until: float = 0.0


@dataclass(slots=True)
class Report:
    """What a process says, and asks for.

    Attributes:
        who: Name of the process.
        held: Requests in flight or lent to it.
        want: Requests it would like to be lent besides.
        windows: What it was told to hold.
        spent: When each request that was accounted for was granted, had arrived at the latest, and
            whether it was answered.
        refused: The pause of a 429 that came since the last report.
        opened: A probe was answered since.
        exhausted: Until when the server said since that the daily quota is spent.
        lesson: What is known to it of the key's limit.
        taught: That changed since.
        revision: Of the lesson it knew before.
    """

    who: str
    held: int
    want: int = 0
    windows: tuple[Window, ...] = ()
    spent: Sequence[tuple[float, float, bool]] = ()
    refused: Pause | None = None
    opened: bool = False
    exhausted: float | None = None
    lesson: Lesson | None = None
    taught: bool = False
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Loan:
    """What it is told.

    Attributes:
        permits: Requests lent to it.
        wait: Seconds after which to ask again, where it was lent none.
        resets: When the daily quota is free again; None while something is left.
        limit: Requests a day that were spent then; None where the server says that it is spent.
        used: Requests of the present day, by all processes.
        day_ends: When the day ends; None before its first request.
        pause: The key's pause; None while it is open.
        lesson: What is known of its limit.
        revision: Of the lesson.
        windows: What other processes were told to hold.
    """

    permits: int
    wait: float
    resets: float | None
    limit: int | None
    used: int
    day_ends: float | None
    pause: Pause | None
    lesson: Lesson | None
    revision: int
    windows: tuple[Window, ...]


@dataclass(slots=True)
class SharedKey:
    """One key's page of the ledger.

    Attributes:
        stamps: Latest possible arrivals, sorted.
        span: Seconds for which they are remembered: the longest window that was told of late.
        spanned: When that window was last told.
        holders: The processes that live, by name.
        quota: The present day.
        pause: The key's pause.
        lesson: What was learned of its limit.
        revision: Times that the lesson changed.
        offset: What the clock reads more than the machine's own, which nobody sets.
        machine: The machine's own clock when this was written.
    """

    stamps: list[float] = field(default_factory=list)
    span: float = 0.0
    spanned: float = 0.0
    holders: dict[str, Holder] = field(default_factory=dict)
    quota: Quota = field(default_factory=Quota)
    pause: Pause | None = None
    lesson: Lesson | None = None
    revision: int = 0
    offset: float | None = None
    machine: float = 0.0

    def exchange(self, report: Report, now: float, machine: float) -> Loan:
        """Take in a process's report and lend it what it may send.

        Args:
            report: What it says.
            now: The present time.
            machine: The machine's own clock; it may begin anew, but is never set.
        """
        self.follow_clock(now, machine)
        self.bury(now)
        self.forget(now)
        before = self.holders.get(report.who)
        since = before.since if before is not None and before.held else now
        mine = Holder(report.held, now + LOAN_SECONDS, report.windows, since)
        self.holders[report.who] = mine
        stack = self.stack()
        for granted, latest, answered in report.spent:
            self.quota.spend(granted, latest, answered=answered)
            stack.add(latest)
        self.take_pause(report, now)
        self.take_lesson(report)
        if report.exhausted is not None:
            self.quota.exhausted(min(report.exhausted, now + LONGEST_MEMORY))
        limit = self.quota_limit()
        left = self.quota.left(limit, stack.in_flight, now)
        permits, wait = self.lend(report, stack, left, now)
        mine.held += permits
        if not (mine.held or mine.windows):
            del self.holders[report.who]
        self.trim(stack, now)
        return Loan(
            permits,
            wait,
            self.quota.resets(now) if left == 0 else None,
            None if now < self.quota.spent_until else limit,
            self.quota.used,
            self.quota.ends,
            self.pause,
            self.lesson,
            self.revision,
            tuple(self.told(but=report.who)),
        )

    def trim(self, stack: WindowStack, now: float) -> None:
        """Forget what no window can see: not one of a run that has ended and may begin again."""
        if stack.span >= self.span or now > self.spanned + self.span:
            self.span, self.spanned = stack.span, now
        stack.span, stack.trim_at = self.span, 0
        stack.trim(now)

    def told(self, but: str = "") -> Iterable[Window]:
        """What the processes were told to hold."""
        return {
            window
            for who, holder in self.holders.items()
            if who != but
            for window in holder.windows
        }

    def quota_limit(self) -> int | None:
        """Requests a day, where a process was told so."""
        return min((each.requests for each in self.told() if each.seconds == DAY), default=None)

    def stack(self) -> WindowStack:
        """The windows that bind all processes together, with what was sent."""
        windows = {CAP, *(each for each in self.told() if each.seconds < DAY)}
        if self.lesson is not None:
            windows.update(self.lesson.windows)
        stack = WindowStack(windows)
        stack.stamps = self.stamps
        stack.in_flight = sum(holder.held for holder in self.holders.values())
        return stack

    def lend(
        self, report: Report, stack: WindowStack, left: int | None, now: float
    ) -> tuple[int, float]:
        """How many requests a process is lent, and when it may ask again if that is none."""
        want = report.want if left is None else min(report.want, left)
        if want < 1:
            return 0, ASK_AGAIN
        if self.pause is not None:
            pause = self.pause
            if now < pause.until:
                return 0, pause.until - now
            if pause.prober not in {"", report.who} and now < pause.probing_until:
                return 0, ASK_AGAIN
            pause.prober, pause.probing_until, want = report.who, now + LOAN_SECONDS, 1
        wait = stack.wait(now)
        if wait is None:
            return 0, ASK_AGAIN
        if wait > 0:
            # Slots come back one by one: a moment longer, and one report borrows several.
            longer = min(ASK_AGAIN, min(window.seconds for window in stack.held) * WORTH)
            several = stack.wait(now, want)
            return 0, wait + longer if several is None else min(several, wait + longer)
        # Where rounding lets a wait end a little early, one slot is free nevertheless.
        return min(want, max(1, stack.free(now))), 0.0

    def take_pause(self, report: Report, now: float) -> None:
        """Begin, lengthen or end the key's pause."""
        if report.refused is not None:
            new, old = report.refused, self.pause
            until = min(max(new.until, old.until if old else 0.0), now + LONGEST_MEMORY)
            step = max(new.step, old.step if old else 0)
            self.pause = Pause(min(new.since, old.since) if old else new.since, until, step)
        elif report.opened:
            self.pause = None

    def take_lesson(self, report: Report) -> None:
        """Take what a process learned, unless another one learned something lower meanwhile."""
        if not report.taught:
            return
        theirs, ours = report.lesson, self.lesson
        if ours is not None and report.revision != self.revision:
            # Both learned something meanwhile: the lower one is the safer one.
            theirs = min(theirs or ours, ours, key=lambda lesson: lesson.level)
        self.lesson = theirs
        self.revision += 1

    def forget(self, now: float) -> None:
        """Forget a pause that nobody has tried to end: who met it has given up long ago."""
        pause = self.pause
        if pause and now > max(pause.until, pause.probing_until) + 2 * LONGEST_PAUSE:
            self.pause = None

    def bury(self, now: float) -> None:
        """Count what a process held that has not been heard of for too long."""
        for who, holder in list(self.holders.items()):
            if holder.expires <= now:
                del self.holders[who]
                latest = holder.expires + MAX_LAG
                for _ in range(holder.held):
                    self.quota.spend(holder.since, latest, answered=False)
                stack = self.stack()
                stack.add(latest, holder.held)

    def follow_clock(self, now: float, machine: float) -> None:
        """Move what was written along with a clock that was set."""
        offset, restarted = now - machine, machine < self.machine
        if self.offset is None:
            self.offset = offset
        elif restarted:
            # The machine's own clock began anew and tells nothing: only going back is noticed.
            self.shift(min(0.0, now - (self.offset + self.machine)))
            self.offset = offset
        elif abs(offset - self.offset) > JUMP:
            self.shift(offset - self.offset)
            self.offset = offset
        self.machine = machine

    def shift(self, seconds: float) -> None:
        """Move every time of the windows; those of days and lessons only back.

        A machine that slept looks like a clock set forward. Windows then wait a little longer than
        they need, but a day must not.
        """
        self.stamps[:] = [stamp + seconds for stamp in self.stamps]
        for holder in self.holders.values():
            holder.expires += seconds
        if seconds > 0:
            return
        self.spanned += seconds
        quota, pause, lesson = self.quota, self.pause, self.lesson
        quota.before += seconds
        quota.lapse += seconds
        quota.spent_until += seconds
        quota.begins = None if quota.begins is None else quota.begins + seconds
        quota.ends = None if quota.ends is None else quota.ends + seconds
        if pause is not None:
            pause.since, pause.until = pause.since + seconds, pause.until + seconds
            pause.probing_until += seconds
        if lesson is not None:
            lesson.shift(seconds)

    def to_json(self) -> dict[str, Any]:
        """Everything but the stamps, as JSON holds it."""
        fields: dict[str, Any] = codec.to_plain(self)
        del fields["stamps"]
        return fields

    @classmethod
    def from_json(cls, fields: object, stamps: list[float]) -> SharedKey:
        """Read what ``to_json`` wrote.

        Raises:
            ValueError: It is something else.
        """
        page = codec.from_plain(fields, cls)
        if largest(fields) > LAST_SECOND or stamps != sorted(stamps) or math.isnan(sum(stamps)):
            msg = "times that no clock gave"
            raise ValueError(msg)
        page.stamps = stamps
        return page


def largest(value: Any) -> float:  # noqa: ANN401  # what JSON holds
    """The largest number anywhere in it."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return max(map(largest, value), default=0.0)
    return value if isinstance(value, int | float) else 0.0
