"""A server of pages and a reader that drives the paging machine: no loop, no clock, no sockets.

A reading goes through the machine as the runtime drives it: whatever may be under way is asked in
any order, probes and looks are told at once, pages are taken when their turn comes.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from kb4_async.errors import IncompleteListingError
from kb4_async.protocol.asks import Ask, Verify
from kb4_async.protocol.codec import Key
from kb4_async.protocol.paging import NumberedListing
from kb4_async.protocol.reader import Setup
from kb4_async.protocol.token import Identity, Place, read_token, write_token

IDENTITY = Identity("users", {}, {"status": "active"}, 500)

#: What a listing may end with (semantics 4), apart from ``cursor_absent``, which needs cursors.
PROVEN = frozenset({"count_met", "short_page", "empty_page", "max_items"})
UNPROVEN = frozenset(
    {"page_repeated", "cursor_repeated", "page_cap", "never_quiet", "no_proof", "server_limit"}
)


@dataclass
class PagingServer:
    """Serves a list of keys page by page.

    Attributes:
        rows: The keys, in the order served; may change between requests.
        cap: Largest page served, whatever is asked; None for no cap.
        clamp: A page beyond the last is answered with the last.
        ignore: Every page is answered with the first.
        failing: Pages that cannot be had.
        change: Called before each request.
        asked: Numbers of the pages asked.
    """

    rows: Sequence[Key]
    cap: int | None = None
    clamp: bool = False
    ignore: bool = False
    failing: frozenset[int] = frozenset()
    change: Callable[[], None] | None = None
    asked: list[int] = field(default_factory=list)

    def answer(self, number: int, per_page: int) -> list[Key] | None:
        """The page's keys; None where it cannot be had."""
        if self.change is not None:
            self.change()
        self.asked.append(number)
        if number in self.failing:
            return None
        size = min(per_page, self.cap or per_page)
        if self.ignore:
            number = 1
        if self.clamp and self.rows:
            number = min(number, -(-len(self.rows) // size))
        return list(self.rows[(number - 1) * size : number * size])


@dataclass
class Reading:
    """What came of reading a listing.

    Attributes:
        keys: Keys delivered, in order.
        end: The end reason, the reason of an incomplete listing, ``lost``, or ``killed``.
        pages: Numbers of the pages taken that brought something.
        places: Where the listing could be resumed: before the first page, then behind each.
        asks: Everything asked.
        machine: The machine, as it was left.
    """

    keys: list[Key]
    end: str
    pages: list[int]
    places: list[Place]
    asks: list[Ask]
    machine: NumberedListing

    @property
    def proven(self) -> bool:
        """The end is proven."""
        return self.end in PROVEN


def read(
    server: PagingServer,
    *,
    per_page: int = 500,
    ahead: int = 16,
    chance: random.Random | None = None,
    kill_after: int | None = None,
    place: Place | None = None,
    count: int | None = None,
    max_items: int | None = None,
    verify: Verify = "tail",
    server_limit: int = 0,
    recount: Callable[[], int | None] | None = None,
    on_ask: Callable[[NumberedListing], None] | None = None,
) -> Reading:
    """Read a listing.

    Args:
        server: Who answers.
        per_page: As for the machine, as are the arguments not named here.
        ahead: Pages fetched ahead.
        chance: Chooses which request is answered next; None answers the most urgent.
        kill_after: Stop after so many pages taken.
        place: Where to go on; it travels as a token.
        recount: Asks the parent for the count again.
        on_ask: Called before each request.
    """
    result: list[Key] = []
    pages: list[int] = []
    asked: list[Ask] = []
    held: dict[int, list[Key]] = {}
    places: list[Place] = []
    machine: NumberedListing | None = None
    # Three readings, three page sizes and some empty probes: more is an endless loop.
    bound = 40 * (len(server.rows) + 60)
    try:
        setup = Setup(
            per_page=per_page,
            count=count,
            recount=recount is not None,
            max_items=max_items,
            verify=verify,
            server_limit=server_limit,
        )
        machine = NumberedListing(setup, None if place is None else travel(place))
        places.append(machine.place())
        turn, taken = machine.turn, 0
        for _ in range(bound):
            if machine.turn != turn:
                held.clear()
                turn = machine.turn
            if machine.end_reason is not None:
                places.append(machine.done())
                return Reading(result, machine.end_reason, pages, places, asked, machine)
            if taken == kill_after:
                return Reading(result, "killed", pages, places, asked, machine)
            number = machine.position
            if number in held:
                keys = held.pop(number)
                fresh = machine.take(keys)
                chosen = keys if fresh is None else [keys[index] for index in fresh]
                result += chosen
                taken += 1
                if chosen:
                    pages.append(number)
                places.append(machine.place())
                continue
            asks = [ask for ask in machine.asks(ahead) if not (ask.keep and ask.number in held)]
            if machine.turn != turn or machine.end_reason is not None:
                continue
            if not asks or machine.stuck_at(number):
                assert machine.search.failed is not None, "nothing to ask, and no end"
                return Reading(result, "lost", pages, places, asked, machine)
            ask = chance.choice(asks) if chance else asks[0]
            if on_ask is not None:
                on_ask(machine)
            asked.append(ask)
            if ask.purpose == "count":
                assert recount is not None
                machine.recounted(recount())
                continue
            answer = server.answer(ask.number, ask.per_page)
            if answer is None:
                if ask.purpose in {"anchor", "look"}:
                    return Reading(result, "lost", pages, places, asked, machine)
                machine.lost(ask)
                continue
            keep = machine.saw(ask, answer)
            if keep and ask.turn == machine.turn:
                held[ask.number] = answer
    except IncompleteListingError as error:
        # A place that cannot be resumed at all has no machine.
        return Reading(result, error.reason, pages, places, asked, cast("NumberedListing", machine))
    msg = f"no end after {bound} steps"
    raise AssertionError(msg)


def travel(place: Place) -> Place:
    """What a place is after it was written to disk and read again."""
    return read_token(write_token(IDENTITY, place), IDENTITY)
