"""Servers of pages and a reader that drives the paging machines: no loop, no clock, no sockets.

A reading goes through the machine as the runtime drives it: whatever may be under way is asked in
any order, probes and looks are told at once, pages are taken when their turn comes. Requests are
made of queries and answers of bodies' frames and headers, as over the wire.
"""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlencode

from kb4_async.errors import APIError, IncompleteListingError, KB4Error
from kb4_async.options import Paging
from kb4_async.protocol import codec
from kb4_async.protocol.asks import Ask, Verify
from kb4_async.protocol.codec import Key
from kb4_async.protocol.cursors import shown_cursor
from kb4_async.protocol.endpoints import PAGE_SIZES
from kb4_async.protocol.habits import Habits
from kb4_async.protocol.modes import begin, changed
from kb4_async.protocol.reader import Reader, Setup
from kb4_async.protocol.token import Identity, Place, read_token, write_token

URL = "https://us.api.knowbe4.com/v1/users"
FILTERS = {"status": "active"}
IDENTITY = Identity("users", {}, FILTERS, 500)

#: What a listing may end with (semantics 4).
PROVEN = frozenset({"count_met", "short_page", "empty_page", "cursor_absent", "max_items"})
UNPROVEN = frozenset(
    {"page_repeated", "cursor_repeated", "page_cap", "never_quiet", "no_proof", "server_limit"}
)


@dataclass
class Reply:
    """An answer."""

    keys: list[Key]
    given: object = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class PagingServer:
    """Serves a list of keys page by page.

    Attributes:
        rows: The keys, in the order served; may change between requests.
        cap: Largest page served, whatever is asked.
        clamp: A page beyond the last is answered with the last; ``ignore``: all with the first.
        failing: Pages that cannot be had.
        change: Called before each request.
        asked: Pages asked: their numbers, or by cursor the places of their first rows.
    """

    rows: Sequence[Key]
    cap: int | None = None
    clamp: bool = False
    ignore: bool = False
    failing: frozenset[int] = frozenset()
    change: Callable[[], None] | None = None
    asked: list[int] = field(default_factory=list)
    queries: list[dict[str, str]] = field(default_factory=list)

    def answer(self, number: int, per_page: int) -> list[Key] | None:
        """The page's keys; None where it cannot be had."""
        (self.change or bool)()
        self.asked.append(number)
        if number in self.failing:
            return None
        size = min(per_page, self.cap or per_page)
        if self.ignore:
            number = 1
        if self.clamp and self.rows:
            number = min(number, -(-len(self.rows) // size))
        return list(self.rows[(number - 1) * size : number * size])

    def reply(self, query: Mapping[str, str]) -> Reply:
        """Answer a request, which names a page or not, and perhaps a size."""
        self.queries.append(dict(query))
        keys = self.answer(int(query.get("page", "1")), int(query.get("per_page", len(self.rows))))
        if keys is None:
            raise APIError("broken", status=500)
        return Reply(keys)


@dataclass
class CursorServer(PagingServer):
    """Serves the same by cursor too.

    Attributes:
        style: What a cursor holds: the last ``key`` (rows must ascend) or the next row's
            ``offset``; ``none`` where cursors are unknown and ignored.
        shape: Where it is shown.
        end: ``next_cursor`` behind the last page.
        trailing: Every full page shows one; ``announce``: pages asked by number too.
        gaps: Rows before which an empty page with a cursor is served.
        refuse_pages: Status of every answer to a page number, or 0; ``refuse_cursors`` likewise.
        forgotten: Cursors that are refused with 410.
    """

    style: Literal["key", "offset", "none"] = "key"
    shape: Literal["envelope", "header", "link"] = "envelope"
    end: object = None
    trailing: bool = False
    announce: bool = False
    gaps: frozenset[int] = frozenset()
    refuse_pages: int = 0
    refuse_cursors: int = 0
    forgotten: set[str] = field(default_factory=set)

    def reply(self, query: Mapping[str, str]) -> Reply:
        """Answer a request, which may name a cursor instead of a page."""
        cursor = query.get("cursor")
        size = min(int(query["per_page"]), self.cap or 500)
        refused = self.refuse_pages if cursor is None else self.refuse_cursors
        if refused or cursor in self.forgotten:
            self.queries.append(dict(query))
            self.asked.append(0)
            raise APIError(f"refused with {refused}", status=refused or 410)
        if cursor is None or self.style == "none":
            reply = super().reply(query)
            following = int(query.get("page", "1")) * size
            return self.show(reply.keys, following, size) if self.announce else reply
        (self.change or bool)()
        self.queries.append(dict(query))
        place = self.place_of(cursor)
        self.asked.append(place)
        if cursor.startswith("gap "):
            return self.shown([], cursor.removeprefix("gap "))
        return self.show(list(self.rows[place : place + size]), place + size, size)

    def show(self, keys: list[Key], following: int, size: int) -> Reply:
        """A page, with the cursor of the row behind it."""
        full = self.trailing and len(keys) == size
        if not keys or not (full or following < len(self.rows)):
            return self.shown(keys, None)
        value = f"key {codec.encode(keys[-1]).decode()}"
        cursor = value if self.style == "key" else f"row {following}"
        return self.shown(keys, f"gap {cursor}" if following in self.gaps else cursor)

    def shown(self, keys: list[Key], cursor: str | None) -> Reply:
        """A page with a cursor, in this server's way of showing it."""
        if self.shape == "envelope":
            pagination = {"next_cursor": self.end if cursor is None else cursor}
            frame = codec.encode({"data": [], "pagination": pagination})
            return Reply(keys, codec.read_frame(frame)[1])
        if cursor is None:
            return Reply(keys)
        link = f'<{URL}?{urlencode({**FILTERS, "cursor": cursor})}>; rel="next"'
        in_header = self.shape == "header"
        return Reply(keys, headers={"x-next-cursor": cursor} if in_header else {"link": link})

    def place_of(self, cursor: str) -> int:
        """Place of the first row behind a cursor."""
        kind, _, value = cursor.removeprefix("gap ").partition(" ")
        if kind == "row":
            return int(value)
        if kind != "key":
            return 0
        last = codec.decode(value.encode())
        return next((n for n, key in enumerate(self.rows) if key > last), len(self.rows))


@dataclass
class Reading:
    """What came of a listing.

    Attributes:
        end: The end reason, the reason of an incomplete listing, ``lost``, or ``killed``.
        places: Where the listing could be resumed: before the first page, behind each, and where an
            error left it.
        most_asked: Most requests under way at once; ``most_held`` pages that waited.
    """

    keys: list[Key] = field(default_factory=list)
    end: str = ""
    places: list[Place] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    machine: Reader = field(init=False)
    error: KB4Error | None = None
    most_asked: int = 0
    most_held: int = 0

    @property
    def proven(self) -> bool:
        """The end is proven."""
        return self.end in PROVEN


@dataclass
class Drive:
    """Drives one machine to its end, as ``read`` was told."""

    server: PagingServer
    result: Reading
    ahead: int
    chance: random.Random | None
    kill_after: int | None
    recount: Callable[[], int | None] | None
    on_ask: Callable[[Reader], None] | None
    users: PagingServer | None
    late: bool
    slow: bool
    turn: int
    held: dict[int, list[Key]] = field(default_factory=dict)
    flying: dict[Ask, Reply | APIError] = field(default_factory=dict)
    errors: dict[int, KB4Error] = field(default_factory=dict)
    failure: KB4Error | None = None
    taken: int = 0

    def run(self) -> Reading:
        """Read until the listing ends, with proof or without."""
        result = self.result
        bound = 80 * (len(self.server.rows) + 60)  # beyond three readings it is an endless loop
        for _ in range(bound):
            try:
                self.step()
            except IncompleteListingError as error:
                self.leave(error)
            if result.end:
                return result
        raise AssertionError(f"no end after {bound} steps")

    def step(self) -> None:
        """Take a page, ask something, or let an answer arrive."""
        result, asks = self.result, self.possible()
        machine, position = result.machine, result.machine.position
        ready = position in self.held
        if machine.end_reason is not None:
            result.places.append(machine.done())
            result.end = machine.end_reason
        elif self.taken == self.kill_after:
            result.end = "killed"
        elif not ready and self.failure is not None:
            self.leave(self.failure)
        elif not ready and position in self.errors and machine.stuck_at(position):
            self.leave(self.errors[position])
        else:
            choices: list[Ask | None] = [*self.flying, *asks]
            if ready:
                choices = [*choices, None] if self.slow else [None]
            assert choices, "nothing to ask, and no end"
            choice = self.chance.choice(choices) if self.chance else choices[0]
            if choice is None:
                self.take()
            elif choice in self.flying:
                self.see(choice, self.flying.pop(choice))
            else:
                self.send(choice)

    def possible(self) -> list[Ask]:
        """What may be asked now, and is not under way."""
        if self.failure is not None:
            return []
        try:
            asks, machine = self.settle()
        except IncompleteListingError as error:  # pages that are there are delivered before it
            self.failure = error
            self.flying.clear()
            return []
        if machine.turn != self.turn:
            self.turn = machine.turn
            for kept in (self.held, self.flying, self.errors):
                kept.clear()
        return [a for a in asks if a not in self.flying and not (a.keep and a.number in self.held)]

    def settle(self) -> tuple[list[Ask], Reader]:
        """What may be under way, once it is settled how to page."""
        while True:
            self.result.machine = machine = changed(self.result.machine)
            if machine.position in self.held and not self.slow and self.turn == machine.turn:
                return [], machine
            asks = machine.asks(self.ahead)
            if machine.change is None:
                return asks, machine

    def leave(self, error: KB4Error) -> None:
        """Raise an error, which says where to go on."""
        result = self.result
        result.error, result.end = error, getattr(error, "reason", "lost")
        result.places.append(result.machine.place())

    def take(self) -> None:
        """Take the page whose turn it is."""
        result, number = self.result, self.result.machine.position
        keys = self.held.pop(number)
        fresh = result.machine.take(keys)
        result.keys += keys if fresh is None else [keys[index] for index in fresh]
        self.taken += 1
        result.places.append(result.machine.place())

    def send(self, ask: Ask) -> None:
        """Ask, and let the server answer."""
        if self.on_ask is not None:
            self.on_ask(self.result.machine)
        self.result.asks.append(ask)
        self.result.most_asked = max(self.result.most_asked, len(self.flying) + 1)
        if ask.purpose == "count":
            assert self.recount is not None
            self.result.machine.recounted(self.recount())
            return
        server = self.users if ask.elsewhere else self.server
        assert server is not None
        answer: Reply | APIError
        try:
            answer = server.reply(ask.query({} if ask.elsewhere else FILTERS))
        except APIError as error:
            answer = error
        if self.late:
            self.flying[ask] = answer
        else:
            self.see(ask, answer)

    def see(self, ask: Ask, answer: Reply | APIError) -> None:
        """Take in an answer."""
        machine = self.result.machine
        if isinstance(answer, Reply):
            # Pages are only read in their turn, unless they are empty; of other users nothing is.
            unread = ask.elsewhere or (ask.purpose == "page" and bool(answer.keys))
            keys = None if unread else answer.keys
            shown = shown_cursor(answer.given, answer.headers, URL)
            if machine.saw(ask, keys, shown):
                assert ask.turn == machine.turn
                self.held[ask.number] = answer.keys
                self.result.most_held = max(self.result.most_held, len(self.held))
        elif not machine.refused(ask, answer):
            if ask.purpose not in {"page", "probe"}:
                self.failure = answer
                self.flying.clear()
                return
            machine.lost(ask)
            self.errors[ask.number] = machine.blame(ask, answer)
            self.flying = {a: got for a, got in self.flying.items() if a.number < ask.number}


def read(
    server: PagingServer,
    *,
    per_page: int = 500,
    ahead: int = 16,
    chance: random.Random | None = None,
    kill_after: int | None = None,
    place: Place | None = None,
    known: Collection[Key] | None = None,
    count: int | None = None,
    max_items: int | None = None,
    verify: Verify = "tail",
    server_limit: int = 0,
    recount: Callable[[], int | None] | None = None,
    on_ask: Callable[[Reader], None] | None = None,
    paging: Paging = "number",
    kind: Literal["pages", "one_answer", "unsure"] = "pages",
    habits: Habits | None = None,
    users: PagingServer | None = None,
    late: bool = False,
    slow: bool = False,
) -> Reading:
    """Read a listing. Arguments not named here are those of the machine.

    Args:
        chance: Chooses what happens next; None takes the most urgent.
        kill_after: Stop after so many pages taken; ``place``: go on there, by way of a token.
        known: Every key delivered before ``place``, where they are at hand.
        recount: Asks the parent for the count again; ``on_ask`` is called before each request.
        late: Answers are under way for a while, and arrive in any order.
        slow: A page may wait though its turn came; without ``chance``, until nothing can be asked.
    """
    habits = Habits() if habits is None else habits
    setup = Setup(
        per_page=min(per_page, habits.sizes.get("groups", per_page)),
        count=count,
        recount=recount is not None,
        max_items=max_items,
        verify=verify,
        server_limit=server_limit,
        doubtful=PAGE_SIZES if kind == "unsure" else None,
        resource="groups",
        habits=habits,
        auto=paging == "auto",
        known=known,
    )
    result = Reading()
    try:
        result.machine = begin(setup, paging, kind, None if place is None else travel(place))
    except IncompleteListingError as error:  # a place that cannot be resumed at all has no machine
        result.end, result.error = error.reason, error
        return result
    result.places.append(result.machine.place())
    told = chance, kill_after, recount, on_ask, users, late, slow
    return Drive(server, result, ahead, *told, result.machine.turn).run()


def travel(place: Place) -> Place:
    """What a place is after it was written to disk and read again."""
    return read_token(write_token(IDENTITY, place), IDENTITY)
