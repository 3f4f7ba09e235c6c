"""What reading costs, before it is read: requests a listing, and the time requests take. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf

from kb4_async.options import Window
from kb4_async.protocol.asks import Ask, Verify
from kb4_async.protocol.endpoints import MAX_PER_PAGE
from kb4_async.protocol.paging import NumberedListing
from kb4_async.protocol.reader import Setup

# -- requests -------------------------------------------------------------------------------------

#: Rows of the imaginary server's pages: what a listing costs depends on how many pages there are
#: and on whether the last one is full, never on how many rows make a page full.
SHORT, FULL, ASKED_OF_CAPPED = 1, 2, 3


def listing_requests(
    rows: int,
    *,
    per_page: int = MAX_PER_PAGE,
    served: int | None = None,
    counted: bool = False,
    paged: bool = True,
    verify: Verify = "tail",
) -> int:
    """What a listing costs when nothing moves: what its own state machine asks.

    Args:
        rows: Records it holds.
        per_page: Page size asked for.
        served: Page size the server keeps to, where that is smaller and still to be found out.
        counted: A parent's record gives the number of records.
        paged: False where the server gives everything at once, whatever page is asked.
        verify: As in ``ListOptions``.

    Returns:
        Requests. Cost: a few microseconds a page.
    """
    size = min(per_page, served or per_page)
    pages = -(-rows // size)
    if not paged:
        return ask_all(FULL if rows <= size else ASKED_OF_CAPPED + 1, ASKED_OF_CAPPED, 0, verify)
    last = FULL if pages and rows % size == 0 else SHORT
    small = FULL * (pages - 1) + last if pages else 0
    asked = ASKED_OF_CAPPED if size < per_page else FULL
    return ask_all(small, asked, FULL, verify, counted=counted)


@lru_cache(maxsize=1024)
def ask_all(rows: int, per_page: int, cap: int, verify: Verify, *, counted: bool = False) -> int:
    """Read an imaginary listing and count the requests.

    Args:
        rows: Records it holds.
        per_page: Page size asked for.
        cap: Page size served; 0 where every page is answered with everything.
        verify: As in ``ListOptions``.
        counted: The number of records is given.
    """

    def answer(ask: Ask) -> Sequence[int]:
        size = min(ask.per_page, cap)
        first = (ask.number - 1) * size
        return range(min(first, rows), min(first + size, rows)) if cap else range(rows)

    doubtful: frozenset[int] | None = None if cap else frozenset()
    count = rows if counted else None
    setup = Setup(per_page, count=count, verify=verify, doubtful=doubtful)
    machine = NumberedListing(setup)
    held: dict[int, Sequence[int]] = {}
    requests, turn = 0, machine.turn
    while machine.end_reason is None:
        if machine.turn != turn:
            held, turn = {}, machine.turn
        if machine.position in held:
            machine.take(held.pop(machine.position))
            continue
        # The most urgent first; kept pages are asked for until they are taken.
        ask = next(a for a in machine.asks(1) if not (a.keep and a.number in held))
        requests += 1
        keys = answer(ask)
        if ask.purpose == "page" or machine.saw(ask, keys):
            held[ask.number] = keys
    return requests


# -- time -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Duration:
    """How long a number of requests takes.

    Attributes:
        seconds: From the first request to the last answer.
        binds: The window that most of it is spent waiting for; None where that is the answers.
    """

    seconds: float
    binds: Window | None


@dataclass(frozen=True, slots=True)
class Step:
    """No request begins earlier than ``delay`` after the one ``width`` requests before it began."""

    width: int
    delay: float
    window: Window | None


#: What an export that goes on asks again: the account, and the last page of what was open, which is
#: one listing where they are read one after another.
RESUMING = 2


def duration(
    requests: int, windows: Iterable[Window], latency: float, concurrency: int
) -> Duration:
    """How long requests take that leave as early as the limits allow.

    Each answer takes ``latency``; a slot is free again when its answer came, a place in a window
    one window later (``windows.py``). The slow start of a new key is left out.

    Args:
        requests: How many.
        windows: The windows in force.
        latency: Seconds from a request to its answer.
        concurrency: Requests in flight at a time.

    Returns:
        The duration. Cost: about a microsecond for each request, up to a few times the largest
        window; whatever comes after that repeats and is not gone through.
    """
    if requests < 1:
        return Duration(0.0, None)
    every = [Step(concurrency, latency, None)]
    every += [Step(window.requests, latency + window.seconds, window) for window in windows]
    # What no request is wide enough behind, or what delays nobody, plays no part.
    steps = [step for step in every if step.width < requests and step.delay > 0]
    spent: dict[Window | None, float] = {None: latency}
    for step, times in critical_path(requests, steps).items():
        spent[step.window] = spent.get(step.window, 0.0) + times * step.delay
    return Duration(sum(spent.values()), max(spent, key=lambda window: spent[window]))


def quota_days(requests: int, quota: int, kept: Sequence[int] = ()) -> int:
    """How many days' quotas an export takes that goes on each day where it was.

    Args:
        requests: Of an export that is never interrupted.
        quota: Requests a day.
        kept: Probes that each listing keeps while its end is looked for, most first: a listing that
            is cut off by then asks for them again.

    Returns:
        The days. Where a quota is too small for its day to get any further, those that the requests
        alone would take.
    """
    days = -(-requests // quota)
    if quota > RESUMING:
        while days * quota < requests + (days - 1) * RESUMING + sum(kept[: days - 1]):
            days += 1
    return days


def critical_path(requests: int, steps: Sequence[Step]) -> dict[Step, int]:
    """The steps, and how often each, that the last request's beginning is the sum of.

    Each request begins at the latest of what the steps say. Once the steepest step (most delay for
    its width) has said it for as many requests in a row as any step looks back, it does so for
    ever: then every step looks at beginnings that are all one steepest step later than those one
    width earlier.
    """
    if not steps:
        return {}
    steepest = max(steps, key=lambda step: (step.delay / step.width, -step.width))
    reach = max(step.width for step in steps)
    begins = [-inf] * reach  # those of requests before the first, which hold nobody up
    via: list[Step | None] = [None] * reach
    run = 0
    for place in range(reach, reach + requests):
        latest, chosen = 0.0, None
        for step in steps:
            moment = begins[place - step.width] + step.delay
            if moment > latest:
                latest, chosen = moment, step
        begins.append(latest)
        via.append(chosen)
        run = run + 1 if begins[place - steepest.width] + steepest.delay == latest else 0
        if run >= reach:
            break
    # From the last request back by steepest steps to where the going ended, then by those taken.
    last = reach + requests - 1
    whole = -(-(last - len(begins) + 1) // steepest.width)
    counts = {steepest: whole}
    place = last - whole * steepest.width
    while (taken := via[place]) is not None:
        counts[taken] = counts.get(taken, 0) + 1
        place -= taken.width
    return counts
