"""Reading a listing by page number: what to ask next and what each answer means. Pure.

A listing is read in one or more readings. The first finds the end (``search.py``), delivers every
page in order and looks at one or two pages again; if they moved meanwhile, or two neighbouring
pages share a record, it is read again, keeping each key once (``drift.py``), until it is quiet.

What escapes: before the last page was first seen, a deletion inside the highest page read so far or
a neighbour read before it, unless that page is looked at; and changes ahead of the last page that
cancel out (one deletion, one insertion). ``verify="full"`` reads everything twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kb4_async.errors import IncompleteListingError, KB4Error
from kb4_async.protocol.asks import Ask, Edges, Purpose, edges_of, in_place, overlap
from kb4_async.protocol.codec import Key
from kb4_async.protocol.cursors import NO_CURSOR, Cursor
from kb4_async.protocol.delivery import Delivery
from kb4_async.protocol.ends import PAGE_CAP
from kb4_async.protocol.reader import Change, Reader, Setup, Shown, is_refusal
from kb4_async.protocol.search import Search
from kb4_async.protocol.token import Place
from kb4_async.protocol.watch import Watch


class NumberedListing(Reader):
    """The state machine of one listing read by page number.

    Args:
        setup: The listing.
        place: Where to go on.
        delivery: What was delivered already, where another reader began.
    """

    def __init__(
        self, setup: Setup, place: Place | None = None, delivery: Delivery | None = None
    ) -> None:
        place = place or Place(size=setup.per_page)
        super().__init__(setup, place, delivery)
        self.search = self.new_search(lo=place.lo, full_seen=place.full_seen)
        if setup.verify == "none" and place.hi is not None:
            self.search.hints = [place.hi]  # it was empty when the token was written
        else:
            self.search.hi = place.hi  # the looks at the end tell whether there is more by now
        self.walking, self.anchored = False, place.number == 1
        #: Until it is known that page numbers are taken, and mean something, pages go one by one.
        self.unknown: list[int] = []
        if setup.auto and place.number == 1:
            known = setup.habits.modes.get(setup.resource) == "number", setup.habits.numbers
            self.unknown = [page for page in (1, 2) if not known[page - 1]]
        self.bad_link: IncompleteListingError | None = None
        self.forget_pages(place.last)
        self.watch.tails |= {} if place.tail is None else {place.lo: place.tail}
        self.before_cut: Edges | None = None
        self.first_rows = self.size
        if place.moved and self.end_reason is None:
            self.anchored = self.unquiet = True
            self.read_again()

    def new_search(self, lo: int = 0, *, full_seen: bool = False) -> Search:
        """Begin to look for an end."""
        cap = -(-(self.setup.max_items or PAGE_CAP * self.size) // self.size)
        return Search(self.size, lo=lo, full_seen=full_seen, cap=cap)

    def forget_pages(self, previous: Edges | None = None) -> None:
        """Begin to watch a reading's pages: the page before, all seen, those to be asked again."""
        self.previous: Edges | None = previous
        self.previous_keys: frozenset[Key] = frozenset()
        self.seen: dict[Edges, int] = {}
        self.watch: Watch = Watch()
        self.repeats: set[int] = set()
        self.kept_probes: set[int] = set()

    # -- what to ask ------------------------------------------------------------------------------

    @property
    def claimed(self) -> int:
        """Pages that must exist by the count; 0 where there is none."""
        return 0 if self.count is None else max(1, -(-self.count // self.size))

    def asks(self, ahead: int) -> list[Ask]:
        """Everything that may be under way now, most urgent first."""
        if self.end_reason is not None or self.change is not None:
            return []
        if self.bad_link is not None:
            raise self.bad_link
        if not self.anchored:
            return [self.ask(self.position - 1, "anchor", keep=False)]
        if self.recount == "wanted":
            return [self.ask(0, "count", keep=False)]
        if self.watch.looks:
            return [self.ask(number, "look", keep=False) for number in self.watch.looks]
        if self.unknown and self.unknown[0] <= self.claimed:
            return [self.ask(self.unknown[0], "probe")]
        probe = None if self.claimed else self.search.probe()
        asks = [self.ask(number) for number in self.certain(ahead, probing=probe is not None)]
        if self.setup.max_items is None and self.search.lo >= PAGE_CAP:
            raise self.incomplete("page_cap")
        if probe is not None:
            # First: the sooner the tail is known, the fewer changes can pass unseen before it.
            asks.insert(0, self.ask(probe, "probe", keep=self.reading == 1))
        elif self.walking and not asks:
            if self.position in self.repeats:
                return self.repeated()
            asks.append(self.ask(self.position))
        return asks

    def certain(self, ahead: int, *, probing: bool) -> list[int]:
        """Pages to deliver next that are known, or claimed by the count, to exist.

        While the end is looked for, the page below the highest kept probe waits: read after
        whatever moved meanwhile, it shares a record with the probe, or the probe with the page
        behind it. Below lower probes the same is seen once a higher one has come.
        """
        top = self.claimed or min(self.search.lo, self.search.cap)
        if self.search.failed is not None:
            top = min(top, self.search.failed - 1)
        pages = range(self.position, min(top, self.position + ahead - 1) + 1)
        waiting = self.search.below(self.kept_probes) if probing else 0
        return [page for page in pages if page != waiting]

    def ask(self, number: int, purpose: Purpose = "page", *, keep: bool = True) -> Ask:
        """One page of the present reading."""
        return Ask(number, self.size, purpose, self.turn, keep)

    def requests_left(self) -> int | None:
        """Requests still to come: exact once the end is known, None before."""
        if self.end_reason is not None:
            return 0
        top = self.claimed or self.search.end
        return None if top is None else max(0, top - self.position + 1) + len(self.watch.looks)

    # -- what an answer means ---------------------------------------------------------------------

    def saw(self, ask: Ask, keys: Sequence[Key] | None, shown: Shown = None) -> bool:
        """Take in an answer as soon as it came."""
        if ask.turn != self.turn or self.end_reason is not None or self.change is not None:
            return False
        if ask.purpose == "page" or keys is None:
            return ask.keep
        if ask.purpose == "anchor":
            self.saw_anchor(keys)
        elif ask.purpose == "look":
            self.saw_look(ask.number, keys)
        elif ask.number == 1 and ask.keep and self.setup.auto and shown not in {None, NO_CURSOR}:
            # Page 1 shows where page 2 begins: go on by cursor, keeping page 1.
            if isinstance(shown, Cursor):
                self.change = Change(None, shown)
            else:
                self.bad_link = shown
        else:
            self.saw_probe(ask, keys)
        hold = bool(keys or self.claimed or self.change)
        return ask.keep and hold and ask.turn == self.turn

    def refused(self, ask: Ask, error: KB4Error) -> bool:
        """Take in that the server does not know page numbers (any more)."""
        first = ask.purpose == "anchor" or (ask.number == 1 and ask.purpose == "probe")
        tried = not self.setup.auto or self.first_error is not None
        if not first or tried or not is_refusal(error):
            return False
        self.change = Change(error)
        return True

    def saw_anchor(self, keys: Sequence[Key]) -> None:
        """The page before the place of resuming: did it move meanwhile?"""
        self.anchored = True
        number, edges = self.position - 1, edges_of(keys)
        if not (in_place(self.previous, keys, self.size) and self.search.saw(number, len(keys))):
            self.unquiet = True
            self.read_again()
            return
        if self.delivery.anchored(keys, self.previous):
            self.position, self.previous = number, None
        else:
            self.previous, self.previous_keys = edges, frozenset(keys)
            self.note(number, len(keys), edges)
        if edges is not None:
            self.watch.tails[number] = edges
        self.finish_reading()

    def saw_probe(self, ask: Ask, keys: Sequence[Key]) -> None:
        """A page asked in order to find the end."""
        number, edges = ask.number, edges_of(keys)
        self.unknown = [page for page in self.unknown if page != number]
        if number == 1:
            self.setup.habits.modes.setdefault(self.setup.resource, "number")
        if number == 2 and ask.keep and self.begins_again(edges):
            return
        self.setup.habits.numbers = self.setup.habits.numbers or number == 2
        if ask.keep and self.is_repeat(number, edges):
            # Two equal probes: nothing above the lower one is certain, so go on page by page.
            self.search.stopped = self.walking = True
            self.repeats.add(number)
            return
        if not ask.keep and self.watch.repeats(number, edges):
            self.repeated()
            return
        if self.search.is_capped(number, len(keys)):
            self.shrink_pages()
            return
        if self.search.hi == number + 1:
            self.watch.pressed.add(number)
        self.note(number, len(keys), edges if ask.keep else None)
        if edges is not None:
            self.watch.probed(number, edges, guards=ask.keep and not self.expected)
            if ask.keep and self.setup.verify != "none":
                self.kept_probes.add(number)
        self.finish_reading()

    def saw_look(self, number: int, keys: Sequence[Key]) -> None:
        """A page asked again at the end of a reading."""
        watch, end = self.watch, self.search.lo
        if number not in watch.looks:
            return
        self.unquiet |= watch.saw(number, keys, end, self.size)
        if watch.looks:
            return
        if watch.behind and not self.moved:
            # Rows behind the end: appended, or pushed there before the last page was read. Go on.
            self.search.saw(end + 1, watch.behind)
            self.position, watch.behind = end + 1, 0
            return
        self.end_reading()

    def take(self, keys: Sequence[Key]) -> list[int] | None:
        """Deliver the page whose turn it is.

        Returns:
            Indexes of the records not delivered before; None for all.

        Raises:
            IncompleteListingError: The page repeats another.
        """
        number, edges = self.position, edges_of(keys)
        if not self.delivery.cut_stands(keys):
            return self.read_again()
        if number == 2 and self.claimed and self.begins_again(edges):
            return []
        if self.is_repeat(number, edges):
            if self.walking or self.claimed:
                return self.repeated()
            self.unquiet = True  # a higher page differs, so this server does page: rows moved
        if self.search.is_capped(number, len(keys)):
            self.shrink_pages()
            return []
        if self.claimed > number and len(keys) < self.size:
            self.count = None  # a short page so early: the count is wrong, and proves nothing
        self.note(number, len(keys), edges)
        self.unquiet |= self.watch.taken(number, edges, self.search.lo)
        self.shared |= overlap(self.previous_keys, keys)
        keep = self.delivery.choose(keys, self.previous_keys)
        self.before_cut = self.previous
        if keys:
            self.previous, self.previous_keys = edges, frozenset(keys)
        self.position += 1
        self.finish_reading()
        return keep

    def note(self, number: int, rows: int, edges: Edges | None) -> None:
        """Remember what a page of this reading looked like."""
        if number == 1:
            self.first_rows = rows
        if not self.search.saw(number, rows):
            self.unquiet = self.search.stopped = True
        if self.setup.doubtful is not None and number == 1 and rows > self.size:
            # It gives more than was asked for, so it does not page: this is everything.
            self.search.short = self.search.full_seen = True
        if edges is not None:
            self.seen[edges] = min(number, self.seen.get(edges, number))

    def begins_again(self, edges: Edges | None) -> bool:
        """Whether page 2 begins like page 1: the server ignores page numbers."""
        first = next((edge for edge, number in self.seen.items() if number == 1), (None,))
        if edges is None or edges[0] != first[0]:
            return False
        doubtful = self.setup.doubtful
        whole = doubtful is not None and self.first_rows not in doubtful
        if whole and self.is_repeat(2, edges):
            # Nothing else can be meant where page 1 is no full page: it was everything.
            self.search.short = self.search.full_seen = True
            self.finish_reading()
            return True
        if self.setup.auto and self.first_error is None:
            self.repeated()
            return True
        return False

    def repeated(self) -> list[Any]:
        """Pages repeat: try cursors, or give up.

        Raises:
            IncompleteListingError: Cursors may not be tried, or were.
        """
        if not self.setup.auto or self.first_error is not None:
            raise self.incomplete("page_repeated")
        self.change = Change(self.incomplete("page_repeated"))
        return []

    def is_repeat(self, number: int, edges: Edges | None) -> bool:
        """Whether a lower page of this reading began, ended and counted the same."""
        return edges is not None and self.seen.get(edges, number) < number

    def shrink_pages(self) -> None:
        """Start over with the page size the server keeps to; what was delivered stays delivered."""
        self.delivery.begin_again(self.position)
        self.size = self.setup.habits.sizes[self.setup.resource] = self.first_rows
        self.begin_again()

    def lost(self, ask: Ask) -> None:
        """A page could not be had: nothing at or above it is asked any more."""
        if ask.turn == self.turn and ask.purpose in {"page", "probe"}:
            self.search.lost(ask.number)

    def stuck_at(self, number: int) -> bool:
        """Whether the listing cannot go on, because that page could not be had."""
        # A page beyond the proven end, which failed as a probe, is nobody's loss.
        return self.search.failed == number and not (self.watch.looks or self.recount == "wanted")

    # -- the end of a reading ---------------------------------------------------------------------

    def finish_reading(self) -> None:
        """Once every page of this reading was delivered, look again, read again, or end."""
        partial = self.setup.max_items is not None
        if self.delivery.full or (partial and self.position > self.search.cap):
            self.end_reason = "max_items"
            return
        if self.claimed and self.position > self.claimed:
            if self.rows == self.count:
                if self.once_more:
                    self.read_again()
                else:
                    self.end_reason = "count_met"
                return
            # More or fewer than the count says: it proves nothing, the end must be found.
            self.count = None
        end = self.search.lo if self.unquiet and self.search.stopped else self.search.end
        if self.claimed or end is None or self.position <= end:
            return
        if self.short_of_count():
            return
        if self.moved or self.once_more or end <= 1 or partial or self.setup.verify == "none":
            self.end_reading()
        else:
            self.watch.begin(end, self.size)

    def end_reading(self) -> None:
        """Decide whether the reading proves that everything was read."""
        if self.moved or (self.once_more and self.search.lo):
            self.read_again()
            return
        reason = self.search.reason
        if reason == "empty_page" and 0 < self.setup.server_limit == self.rows:
            raise self.incomplete("server_limit")
        self.end_reason = reason

    def read_again(self) -> list[int]:
        """Begin another reading, in which only records not delivered yet are kept."""
        self.delivery.read_again(self.position, moved=self.moved)
        end, full_seen = self.search.lo, self.search.full_seen
        self.begin_again()
        self.search.full_seen = full_seen
        self.search.hints = [end, end + 1, end - 1]
        return []

    def begin_again(self) -> None:
        """Forget what is known of pages; what was delivered stays known."""
        self.position = 1
        self.search = self.new_search()
        self.walking = False
        self.begin_quietly()
        self.forget_pages()

    def place(self) -> Place:
        """The place behind what was delivered so far; it can be proven again from there."""
        search, delivery = self.search, self.delivery
        rereading = delivery.rereading and not self.moved
        again = (self.moved or delivery.redoing) and not rereading
        cut = 0 if again else delivery.cut
        behind = bool(cut) and delivery.cut_behind
        edges = delivery.edges(again=again or rereading)
        return Place(
            number=1 if again else self.position - behind,
            cut=cut,
            lo=search.lo,
            hi=None if again else search.hi,
            full_seen=search.full_seen,
            size=self.size,
            rows=self.rows,
            edges=edges,
            edges_known=len(edges),
            moved=again and self.rows > 0,
            rereading=rereading,
            last=None if again else self.before_cut if behind else self.previous,
            tail=None if again else self.watch.tails.get(search.lo),
            blind=not delivery.repeatable,
        )
