"""However processes of a key come, go and die: together they send what one of them might."""

import json
from bisect import bisect_left
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kb4_async.options import CAP, DAY, Window
from kb4_async.protocol.learning import Lesson
from kb4_async.protocol.quota import Quota
from kb4_async.protocol.sharing import LOAN_SECONDS, MAX_LAG, Holder, Loan, Pause, Report, SharedKey

NOW = 1_790_000_000.0
HOUR = 3600.0
#: The longest window; whoever waits for so long has nothing in flight.
LONG = 120.0


def through_json(page: SharedKey) -> SharedKey:
    """As the next process reads it."""
    return SharedKey.from_json(json.loads(json.dumps(page.to_json())), list(page.stamps))


@dataclass(eq=False)
class Process:
    """What a process knows; a request is told by the number of its loan.

    Attributes:
        leased: Requests lent to it and not sent.
        flying: When each that is in flight was sent.
        spent: What it has not reported yet: sent, latest possible arrival, answered.
        expires: Until when it must be heard of again.
    """

    name: str
    windows: tuple[Window, ...] = ()
    leased: list[int] = field(default_factory=list)
    flying: list[tuple[int, float]] = field(default_factory=list)
    spent: list[tuple[float, float, bool]] = field(default_factory=list)
    expires: float = 0.0

    @property
    def busy(self) -> bool:
        return bool(self.leased or self.flying or self.spent)


class World:
    """Processes that keep what is asked of them, unless they die. ``now`` is real time."""

    def __init__(self, windows: "Told") -> None:
        self.page = SharedKey()
        self.now = 10_000.0
        self.set_by = NOW
        self.born = 0
        self.lent = 0
        self.arrivals: list[tuple[int, float]] = []
        # Which windows are in force, and since which loan; which were, and for which loans.
        self.force: dict[Window, int] = {}
        self.were: list[tuple[Window, int, int]] = []
        self.told: dict[str, tuple[float, tuple[Window, ...]]] = {}
        self.processes = [self.start(each) for each in windows]

    def start(self, windows: tuple[Window, ...]) -> Process:
        self.born += 1
        return Process(f"p{self.born}", windows)

    def exchange(self, process: Process, want: int = 0) -> Loan:
        if self.now >= process.expires:
            process.leased.clear()
        report = Report(
            process.name,
            len(process.leased) + len(process.flying),
            want,
            process.windows,
            [(sent + self.set_by, end + self.set_by, well) for sent, end, well in process.spent],
        )
        self.told[process.name] = (self.now + LOAN_SECONDS, process.windows)
        self.enforce()
        self.page = through_json(self.page)
        loan = self.page.exchange(report, self.now + self.set_by, self.now)
        assert 0 <= loan.permits <= want
        process.leased += range(self.lent, self.lent + loan.permits)
        self.lent += loan.permits
        process.spent.clear()
        process.expires = self.now + LOAN_SECONDS
        return loan

    def enforce(self) -> None:
        """A window binds what is lent while a process that was told so is heard of."""
        self.told = {who: told for who, told in self.told.items() if told[0] > self.now}
        bind = {CAP, *(window for _, windows in self.told.values() for window in windows)}
        for window in self.force.keys() - bind:
            self.were.append((window, self.force.pop(window), self.lent))
        for window in bind - self.force.keys():
            self.force[window] = self.lent

    def send(self, process: Process, count: int) -> None:
        if self.now < process.expires:
            process.flying += [(number, self.now) for number in process.leased[:count]]
            del process.leased[:count]

    def end(self, process: Process, count: int, where: float, lag: float = 0.0) -> None:
        """Some were answered; with a lag, they were given up and may still arrive."""
        latest = self.now + lag
        for number, sent in process.flying[:count]:
            self.arrivals.append((number, sent + where * (latest - sent)))
            process.spent.append((sent, latest, lag == 0.0))
        del process.flying[:count]

    def kill(self, process: Process, where: float) -> None:
        """It says nothing any more; what it sent is still on its way."""
        self.end(process, len(process.flying), where, MAX_LAG)
        self.processes[self.processes.index(process)] = self.start(process.windows)

    def close(self, process: Process) -> None:
        """It says what it has to say, and that it holds nothing to anybody any more."""
        self.end(process, len(process.flying), 1.0)
        process.leased.clear()
        windows, process.windows = process.windows, ()
        self.exchange(process)
        self.told.pop(process.name)
        self.processes[self.processes.index(process)] = self.start(windows)

    def wait(self, seconds: float) -> None:
        """Who has something to say, or has been heard of lately, is heard of again in time."""
        until = self.now + seconds
        if seconds >= LONG:
            self.settle()
        else:
            while late := [p for p in self.processes if self.now < p.expires <= until]:
                process = min(late, key=lambda p: p.expires)
                self.now = process.expires - 0.125
                self.exchange(process)
        self.now = until

    def act(self, what: str, who: int, count: int, where: float) -> None:
        process = self.processes[who % len(self.processes)]
        match what:
            case "use":
                self.exchange(process, count)
                self.send(process, count)
            case "borrow":
                self.exchange(process, count)
            case "send":
                self.send(process, count)
            case "answer":
                self.end(process, count, where)
            case "lose":
                self.end(process, count, where, MAX_LAG)
            case "unsent":
                process.leased += [number for number, _ in process.flying[:count]]
                del process.flying[:count]
            case "give back":
                process.leased.clear()
                self.exchange(process)
            case "kill":
                self.kill(process, where)
            case "close":
                self.close(process)
            case _:
                self.set_by += (count - 3) * HOUR

    def live(self, life: "Life") -> None:
        for gap, what, who, count, where in life:
            self.wait(gap)
            self.act(what, who, count, where)

    def settle(self) -> None:
        """All is answered, and said."""
        for process in self.processes:
            self.end(process, len(process.flying), 1.0)
            process.leased.clear()
            self.exchange(process)

    def check(self) -> None:
        """Every sliding window that was in force, by counting."""
        for process in self.processes:
            self.end(process, len(process.flying), 1.0, MAX_LAG)
        now = [(window, first, self.lent) for window, first in self.force.items()]
        for window, first, last in (*self.were, *now):
            times = sorted(moment for number, moment in self.arrivals if first <= number < last)
            for i, moment in enumerate(times):
                count = bisect_left(times, moment + window.seconds) - i
                assert count <= window.requests or window.seconds == DAY


# Eighths are exact in binary, also beside today's date.
gaps = st.sampled_from([0.0, 0.125, 0.5, 1.0, 3.0, 7.0, 14.875, 15.0, 30.0, LONG])
lengths = st.sampled_from([0.25, 1.0, 5.0, 15.0, 40.0, 60.0, 61.0, LONG])
window = st.builds(Window, st.integers(1, 4), lengths)
#: What all are told, and what each is told besides.
told = st.tuples(st.lists(window, min_size=1, max_size=2), *[st.lists(window, max_size=1)] * 3).map(
    lambda parts: tuple((*parts[0], *more) for more in parts[1:])
)
Told = tuple[tuple[Window, ...], ...]
Life = list[tuple[float, str, int, int, float]]
LIFE = ["use"] * 6 + ["borrow", "send", "answer", "answer", "answer", "lose", "unsent"]
LIFE += ["give back", "kill", "kill", "close"]


def lives(
    *more: str, counts: tuple[int, ...] = (1, 2, 4), pauses: st.SearchStrategy[float] = gaps
) -> st.SearchStrategy[Life]:
    step = st.tuples(
        pauses,
        st.sampled_from([*LIFE, *more]),
        st.integers(0, 2),
        st.sampled_from(counts),
        st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    )
    return st.lists(step, min_size=10, max_size=60)


@settings(deadline=None, max_examples=200)
@given(told, lives())
def test_processes_together_keep_every_window_of_each(windows: Told, life: Life) -> None:
    world = World(windows)
    world.live(life)
    world.check()


@settings(deadline=None, max_examples=50)
@given(lives(counts=(100, 400, 1000)))
def test_processes_together_keep_the_cap(life: Life) -> None:
    world = World(((), (), ()))
    world.live(life)
    world.check()


@settings(deadline=None, max_examples=200)
@given(told, lives("clock", "clock"), st.sampled_from([-5.0, -0.5, 0.5, 5.0]))
def test_a_clock_that_is_set_breaks_no_window_and_locks_nobody_out(
    windows: Told, life: Life, hours: float
) -> None:
    world = World(windows)
    world.live(life)
    world.settle()
    world.set_by += hours * HOUR
    # The longest window, once what a killed process held is delivered at the latest.
    world.wait(LOAN_SECONDS + MAX_LAG + LONG)
    assert world.exchange(world.processes[0], 1).permits == 1
    world.check()


def most_in_a_day(arrivals: list[float]) -> int:
    """The most arrivals in a day of a server whose day begins with the first after the last."""
    most, begins, count = 0, float("-inf"), 0
    for moment in sorted(arrivals):
        if moment >= begins + DAY:
            begins, count = moment, 0
        count += 1
        most = max(most, count)
    return most


far = st.sampled_from([0.0, 0.0, 1.0, 20.0, 110.0, 10 * HOUR, DAY - 100.0, DAY - 10.0, DAY])


@settings(deadline=None, max_examples=150)
@given(st.integers(1, 6), lives(pauses=far))
def test_processes_together_keep_a_daily_quota(limit: int, life: Life) -> None:
    world = World(((Window(limit, DAY),),) * 3)
    world.live(life)
    world.check()
    assert most_in_a_day([moment for _, moment in world.arrivals]) <= limit


happening = st.tuples(
    st.sampled_from([0.0, 0.125, 1.0, 5.0, 14.875, 15.0, 20.0]),
    st.sampled_from(["borrow", "borrow", "borrow", "refused", "opened"]),
    st.sampled_from("abc"),
    st.sampled_from([1.0, 5.0, 30.0]),
)


@settings(deadline=None, max_examples=200)
@given(st.lists(happening, max_size=25))
def test_a_pause_is_kept_by_all_and_probed_by_one(
    todo: list[tuple[float, str, str, float]],
) -> None:
    page, now = SharedKey(), NOW
    until: float | None = None
    prober, waited_for = "", 0.0
    for gap, what, who, seconds in todo:
        now += gap
        page = through_json(page)
        report = Report(who, 0, 5 * (what == "borrow"), opened=what == "opened")
        if what == "refused":
            until, prober = max(until or 0.0, now + seconds), ""
            report.refused = Pause(now, now + seconds, 1)
        elif what == "opened":
            until = None
        lent = page.exchange(report, now, now - NOW).permits
        if until is None or what != "borrow":
            assert lent == report.want
        elif now < until or (prober not in {"", who} and now < waited_for):
            assert lent == 0
        else:
            assert lent == 1
            prober, waited_for = who, now + LOAN_SECONDS


levels = st.none() | st.integers(1, 999)


@settings(deadline=None)
@given(st.integers(1, 999), st.lists(levels, min_size=1, max_size=5))
def test_of_what_processes_learn_without_each_other_the_lowest_holds(
    before: int, learned: list[int | None]
) -> None:
    page = SharedKey(lesson=lesson_of(before), revision=7)
    for who, level in enumerate(learned):
        lesson = None if level is None else lesson_of(level)
        page = through_json(page)
        page.exchange(
            Report(f"p{who}", 0, lesson=lesson, taught=True, revision=7), NOW + who, float(who)
        )
    held = None if page.lesson is None else page.lesson.level
    assert held == min((level for level in learned if level is not None), default=None)
    assert page.revision == 7 + len(learned)


def lesson_of(level: int) -> Lesson:
    return replace(Lesson.first(1000, NOW, told=False), level=level, good=level)


times = st.floats(0.0, 4e9)
counts = st.integers(0, 10**6)
maybe = times | st.none()
pages = st.builds(
    SharedKey,
    stamps=st.lists(times, max_size=5).map(sorted),
    span=times,
    spanned=times,
    holders=st.dictionaries(
        st.text(), st.builds(Holder, counts, times, st.lists(window, max_size=2).map(tuple))
    ),
    quota=st.builds(Quota, counts, maybe, maybe, times, counts, times, times),
    pause=st.none() | st.builds(Pause, times, times, counts, st.text(), times),
    lesson=st.none() | st.builds(lesson_of, st.integers(1, 1000)),
    revision=counts,
    offset=maybe,
    machine=times,
)


@settings(deadline=None)
@given(pages)
def test_a_page_is_read_as_it_was_written(page: SharedKey) -> None:
    assert through_json(page) == page


plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
anything = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Everything in a JSON value that could be something else: in what, and at which place."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    found = [(value, key) for key in keys]
    for inner in (value[key] for key in keys):
        if isinstance(inner, dict | list):
            found += places(inner)
    return found


@settings(deadline=None, max_examples=150)
@given(pages, st.data())
def test_garbage_in_a_page_is_told_or_does_no_harm(page: SharedKey, data: st.DataObject) -> None:
    fields = json.loads(json.dumps(page.to_json()))
    for _ in range(data.draw(st.integers(1, 3))):
        inside, key = data.draw(st.sampled_from(places(fields)))
        if data.draw(st.booleans()) and isinstance(inside, dict):
            del inside[key]
        else:
            inside[key] = data.draw(anything)
    try:
        found = SharedKey.from_json(fields, list(page.stamps))
    except (ValueError, TypeError, KeyError, AttributeError):
        return
    # What could be read can be written.
    assert through_json(found) == found


@settings(deadline=None)
@given(anything)
def test_what_is_no_page_is_refused(value: object) -> None:
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        SharedKey.from_json([value], [])
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        SharedKey.from_json({"holders": [value]}, [])
