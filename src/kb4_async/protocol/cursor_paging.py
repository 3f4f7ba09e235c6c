"""Reading a listing by cursor: one request in flight, each answer saying where the next begins.

The lack of a cursor ends a listing only where the server is known to show cursors. If it showed
none yet, page 1 is asked again for one row: a server that pages by cursor must then show one. A
single row cannot be divided, so one of the account's users is asked for instead.

Pages are read one after another, so a row inserted meanwhile can at most come twice. What escapes:
where a server's cursors are mere offsets, a row deleted before the place of reading pushes another
one out of sight. ``verify="full"`` reads everything twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from kb4_async.errors import APIError, IncompleteListingError, IncompleteReason, KB4Error
from kb4_async.protocol.asks import Ask, Edges, Purpose, edges_of, in_place, overlap
from kb4_async.protocol.codec import Key
from kb4_async.protocol.cursors import ALSO_FIRST, FIRST, NO_CURSOR, Cursor
from kb4_async.protocol.delivery import Delivery
from kb4_async.protocol.endpoints import USERS
from kb4_async.protocol.ends import PAGE_CAP, EndReason
from kb4_async.protocol.reader import Change, Reader, Setup, Shown, is_refusal
from kb4_async.protocol.token import Place

#: Empty pages in a row, each with another cursor, behind which a listing is taken for endless.
MOST_EMPTY = 100


class CursorListing(Reader):
    """The state machine of one listing read by cursor.

    Pages are counted from 1 here, though the server does not number them.

    Args:
        setup: The listing.
        place: Where to go on.
        delivery: What was delivered already, where another reader began.
        shown: The cursor that page 1, asked by number, showed; page 1 is still to be delivered.
    """

    def __init__(
        self,
        setup: Setup,
        place: Place | None = None,
        delivery: Delivery | None = None,
        shown: Cursor | None = None,
    ) -> None:
        place = place or Place(size=setup.per_page)
        super().__init__(setup, place, delivery)
        self.first = FIRST
        #: Where each page begins that is not delivered yet, and the last with records before it.
        self.cursors: dict[int, Cursor] = {1: self.first}
        self.asked = {FIRST}
        #: Pages that have come, and the last of all once it is known.
        self.arrived = self.position - 1
        self.last: int | None = None
        self.failed: int | None = None
        self.ending: IncompleteListingError | IncompleteReason | None = None
        self.first_rows: int | None = None
        self.proving = self.unproved = False
        self.empty = 0
        self.previous_keys: frozenset[Key] = frozenset()
        #: The last page with records that was delivered and its edges, and the one before it.
        self.rest: tuple[int, Edges | None] = (self.position - 1, place.last)
        self.rest_before = self.rest
        #: Edges of all pages of this reading.
        self.seen: set[Edges] = set()
        self.anchored = self.position == 1
        if place.anchor is not None:
            self.cursors[self.position - 1] = place.anchor
            self.asked.add(place.anchor)
        if shown is not None:
            self.arrived = 1
            self.follow(2, shown)
        if place.moved and self.end_reason is None:
            self.unquiet = True
            self.read_again()
        self.finish_reading()

    # -- what to ask ------------------------------------------------------------------------------

    def asks(self, ahead: int) -> list[Ask]:
        """The one thing that may be under way now."""
        if self.end_reason is not None or self.change is not None or self.failed is not None:
            return []
        if not self.anchored:
            return [self.ask(self.position - 1, "anchor", keep=False)]
        if self.ending is not None:
            return self.give_up()
        if self.proving:
            alone = self.first_rows == 1
            return [Ask(1, 1, "proof", self.turn, keep=False, cursor=self.first, elsewhere=alone)]
        if self.recount == "wanted":
            return [self.ask(0, "count", keep=False)]
        number = self.arrived + 1
        if self.last is not None or number >= self.position + ahead or self.enough():
            return []
        if number > PAGE_CAP:
            raise self.incomplete("page_cap")
        return [self.ask(number, "probe" if number == 1 else "page")]

    def enough(self) -> bool:
        """Whether the pages that wait for their turn may hold all that is wanted."""
        waiting = (self.arrived - self.position + 1) * self.size
        most = self.setup.max_items
        return most is not None and self.rows + waiting >= most

    def give_up(self) -> list[Ask]:
        """Ask nothing more; once everything that came is delivered, say why."""
        if self.position <= self.arrived:
            return []
        if isinstance(self.ending, IncompleteListingError):
            raise self.ending
        raise self.incomplete(self.ending or "no_proof")

    def ask(self, number: int, purpose: Purpose = "page", *, keep: bool = True) -> Ask:
        """One page of the present reading."""
        return Ask(number, self.size, purpose, self.turn, keep, self.cursors.get(number))

    def requests_left(self) -> int | None:
        """Requests still to come: known only at the end, or by a count."""
        if self.end_reason is not None or self.last is not None:
            return 0
        if self.expected is None:
            return None
        return max(0, -(-self.expected // self.size) - self.arrived)

    # -- what an answer means ---------------------------------------------------------------------

    def saw(self, ask: Ask, keys: Sequence[Key] | None, shown: Shown = None) -> bool:
        """Take in an answer as soon as it came."""
        if ask.turn != self.turn or self.end_reason is not None or self.change is not None:
            return False
        if ask.purpose == "anchor":
            self.saw_anchor(keys or (), shown)
        elif ask.purpose == "proof":
            self.saw_proof(len(keys or ()), ask.per_page, shown)
        elif ask.number == self.arrived + 1:
            self.arrived = ask.number
            self.empty = self.empty + 1 if keys is not None and not keys else 0
            if ask.number == 1:
                self.first_rows = len(keys or ())
                self.setup.habits.modes[self.setup.resource] = "cursor"
            self.follow(ask.number + 1, shown)
            self.finish_reading()
        return ask.keep

    def follow(self, number: int, shown: Shown) -> None:
        """Learn where the next page begins, or that there is none."""
        habits = self.setup.habits
        if isinstance(shown, IncompleteListingError):
            self.ending = shown
        elif shown is None or shown == NO_CURSOR:
            self.last = number - 1
            stated = shown == NO_CURSOR and self.first_rows == 1
            self.unproved = not (stated or self.shows())
            most = self.setup.max_items
            enough = most is not None and self.rows + (self.first_rows or 0) >= most
            self.proving = self.unproved and not (enough or self.count_met(ahead=True))
        else:
            habits.showing.add(self.setup.resource)
            habits.modes[self.setup.resource] = "cursor"
            if shown in self.asked:
                # Behind an empty page it can only mean that this is the end.
                if self.empty and shown == self.cursors.get(number - 1):
                    self.last = number - 1
                    return
                self.ending = "cursor_repeated"
            elif self.empty > MOST_EMPTY:
                self.ending = "page_cap"
            self.asked.add(shown)
            self.cursors[number] = shown

    def shows(self) -> bool:
        """Whether the lack of a cursor means the end here."""
        showing, rows = self.setup.habits.showing, self.first_rows
        # A single row cannot be asked for in two pieces: then what other endpoints showed must do.
        return self.setup.resource in showing or rows == 0 or (rows == 1 and bool(showing))

    def count_met(self, *, ahead: bool = False) -> bool:
        """Whether the records are as many as the count says, those of page 1 ahead included."""
        rows = (self.first_rows or 0) if ahead and self.reading == 1 else self.rows
        return self.count is not None and self.count == rows

    def saw_proof(self, rows: int, per_page: int, shown: Shown) -> None:
        """Page 1, asked again in two pieces: does the server show a cursor now?"""
        self.proving = self.unproved = False
        if isinstance(shown, Cursor) and shown != NO_CURSOR:
            self.setup.habits.showing.add(
                USERS.resource if self.first_rows == 1 else self.setup.resource
            )
        elif self.setup.doubtful is None or rows <= per_page:  # an uncut answer is whole
            self.unproven()
        self.finish_reading()

    def unproven(self) -> None:
        """The server gave no cursor, ever: that is no way to page."""
        self.setup.habits.modes.pop(self.setup.resource, None)
        if self.setup.auto and self.first_error is None:
            self.change = Change(self.incomplete("no_proof"))
        elif isinstance(self.first_error, IncompleteListingError):
            self.ending = self.first_error.reason
        else:
            self.ending = "no_proof"

    def saw_anchor(self, keys: Sequence[Key], shown: Shown) -> None:
        """The page before the place of resuming: did it move meanwhile?"""
        self.anchored = True
        before = self.rest[1]
        if not in_place(before, keys, self.size):
            self.unquiet = True
            self.read_again()
            return
        self.first_rows = len(keys)
        if self.delivery.anchored(keys, before):
            self.position -= 1
            self.delivery.redo = self.rows  # what lies before that page is not known here
            self.arrived = self.position - 1
            return
        self.previous_keys = frozenset(keys)
        self.follow(self.position, shown)
        self.finish_reading()

    def refused(self, ask: Ask, error: KB4Error) -> bool:
        """Take in that the server does not know cursors, or not this one any more."""
        if ask.turn == self.turn and ask.purpose == "proof" and isinstance(error, APIError):
            self.proving = self.unproved = False
            self.unproven()
            return True
        if not is_refusal(error):
            return False
        if ask.number == 1 and ask.cursor == FIRST and ask.keep:
            self.first = self.cursors[1] = ALSO_FIRST
            self.asked.add(ALSO_FIRST)
            return True
        if ask.turn == self.turn and ask.purpose == "anchor":
            self.anchored = self.unquiet = True  # a cursor that was forgotten: read all again
            self.read_again()
            return True
        if ask.number == 1 and self.setup.auto and self.first_error is None:
            self.setup.habits.modes.pop(self.setup.resource, None)
            self.change = Change(error)
            return True
        return False

    def take(self, keys: Sequence[Key]) -> list[int] | None:
        """Deliver the page whose turn it is."""
        edges = edges_of(keys)
        if not self.delivery.cut_stands(keys):
            self.read_again()
            return []
        if edges is not None and edges in self.seen:
            raise self.incomplete("page_repeated")
        self.shared |= overlap(self.previous_keys, keys)
        keep = self.delivery.choose(keys, self.previous_keys)
        if keys:
            # An empty page is nothing to rest on: rows may move past it unseen.
            self.rest_before, self.rest = self.rest, (self.position, edges)
            self.previous_keys = frozenset(keys)
        if edges is not None:
            self.seen.add(edges)
        kept = self.rest_before[0]
        self.cursors = {page: cursor for page, cursor in self.cursors.items() if page >= kept}
        self.position += 1
        self.finish_reading()
        return keep

    def lost(self, ask: Ask) -> None:
        """A page could not be had: the chain ends there."""
        if ask.turn == self.turn and ask.keep:
            self.failed = ask.number

    def stuck_at(self, number: int) -> bool:
        """Whether the listing cannot go on, because that page could not be had."""
        return self.failed == number

    # -- the end of a reading ---------------------------------------------------------------------

    def finish_reading(self) -> None:
        """Once every page of this reading was delivered, read again, or end."""
        if self.delivery.full:
            self.end_reason = "max_items"
            return
        waiting = self.proving or self.ending is not None or self.change is not None
        if waiting or not self.anchored or self.last is None or self.position <= self.last:
            return
        if self.short_of_count():
            return
        if self.moved or (self.once_more and self.rows):
            self.read_again()
            return
        if self.unproved and not self.count_met():
            self.proving = True
            return
        if 0 < self.setup.server_limit == self.rows:
            self.ending = "server_limit"
            return
        self.end_reason = self.reason()

    def reason(self) -> EndReason:
        """What proves the end."""
        if self.count_met():
            return "count_met"
        return (
            "cursor_absent"
            if self.rows or self.setup.resource in self.setup.habits.showing
            else "empty_page"
        )

    def read_again(self) -> None:
        """Begin another reading, in which only records not delivered yet are kept."""
        self.delivery.read_again(self.position, moved=self.moved)
        self.begin_quietly()
        self.position, self.arrived, self.last = 1, 0, None
        self.cursors, self.asked = {1: self.first}, {self.first}
        self.empty = 0
        self.previous_keys, self.seen = frozenset(), set()
        self.rest = self.rest_before = (0, None)

    # -- where to go on ---------------------------------------------------------------------------

    def place(self) -> Place:
        """The place behind what was delivered so far; it can be proven again from there."""
        delivery = self.delivery
        rereading = delivery.rereading and not self.moved
        again = (self.moved or delivery.redoing) and not rereading
        cut = 0 if again else delivery.cut
        behind = bool(cut) and delivery.cut_behind
        rest, last = (0, None) if again else self.rest_before if behind else self.rest
        edges = delivery.edges(again=again or rereading)
        return Place(
            mode="cursor",
            number=rest + 1,
            anchor=self.cursors.get(rest),
            cut=cut,
            size=self.size,
            rows=self.rows,
            edges=edges,
            edges_known=len(edges),
            moved=again and self.rows > 0,
            rereading=rereading,
            last=last,
            blind=not delivery.repeatable,
        )
