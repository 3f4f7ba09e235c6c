"""Reading a listing by page number: what to ask next and what each answer means. Pure.

A listing is read in one or more readings. The first finds the end (``search.py``), delivers every
page in order and looks at the last page again; if it moved meanwhile, or two neighbouring pages
share a record, rows moved between pages, and the listing is read again, keeping each key once
(``drift.py``), until a reading is quiet.

What escapes: a change before the last page was first seen, that is during the first few requests
(the page before it was read earlier, the tail later), and changes ahead of the last page that
cancel out (one row deleted and another inserted). ``verify="full"`` reads everything twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from kb4_async.errors import IncompleteListingError, IncompleteReason
from kb4_async.protocol.asks import Ask, Edges, Purpose, Verify, edges_of
from kb4_async.protocol.codec import Key
from kb4_async.protocol.drift import KeyIndex
from kb4_async.protocol.ends import PAGE_CAP, READINGS, EndReason, incomplete
from kb4_async.protocol.search import Search
from kb4_async.protocol.token import Place


class NumberedListing:
    """The state machine of one listing.

    Args:
        per_page: Page size asked for, 1 to 500.
        count: How many records there are, where a parent's record says so.
        max_items: Deliver at most this many records.
        verify: ``tail``, ``full`` or ``none``.
        server_limit: Records at which this server is known to stop silently, or 0.
        place: Where to go on.
    """

    def __init__(
        self,
        *,
        per_page: int,
        count: int | None = None,
        max_items: int | None = None,
        verify: Verify = "tail",
        server_limit: int = 0,
        place: Place | None = None,
    ) -> None:
        place = place or Place(size=per_page)
        self.size = place.size or per_page
        self.count = count
        self.max_items = max_items
        self.verify = verify
        self.server_limit = server_limit
        self.end_reason: EndReason | None = place.end_reason
        #: Records delivered, and which.
        self.rows = place.rows
        self.index = KeyIndex(place.edges[: place.edges_known])
        #: The present reading: its number, the next page to deliver, the search for its end.
        self.reading = 1
        self.turn = 1
        self.moves = 0
        self.position = place.number
        self.search = self.new_search(lo=place.lo, full_seen=place.full_seen)
        if place.hi is not None:
            self.search.hints = [place.hi]  # it was empty when the token was written
        self.unquiet = False
        self.walking = False
        self.anchored = place.number == 1
        self.looks: list[int] = []
        #: Edges of this reading's pages: the page before, all seen, and the last page as first
        #: seen.
        self.previous: Edges | None = place.last
        self.previous_keys: frozenset[Key] = frozenset()
        self.seen: dict[Edges, int] = {}
        self.tails: dict[int, Edges] = {}
        self.repeats: set[int] = set()
        # A resumed listing whose delivered keys are unknown cannot be read again.
        self.blind = place.blind or (place.rows > 0 and not place.edges_known)
        #: Rows already delivered of the page at ``position``, which ``max_items`` had cut, and the
        #: edges of the page before that one.
        self.cut = place.cut
        self.before_cut: Edges | None = None
        self.first_rows = self.size
        if place.moved and self.end_reason is None:
            self.anchored = self.unquiet = True
            self.read_again()

    def new_search(self, lo: int = 0, *, full_seen: bool = False) -> Search:
        """Begin to look for an end."""
        cap = PAGE_CAP if self.max_items is None else -(-self.max_items // self.size)
        return Search(self.size, lo=lo, full_seen=full_seen, cap=cap)

    # -- what to ask ------------------------------------------------------------------------------

    @property
    def claimed(self) -> int:
        """Pages that must exist by the count; 0 where there is none."""
        return 0 if self.count is None else max(1, -(-self.count // self.size))

    def asks(self, ahead: int) -> list[Ask]:
        """Everything that may be under way now, most urgent first.

        Args:
            ahead: Pages that may be fetched ahead of the consumer, 1 or more.

        Raises:
            IncompleteListingError: The pages repeat, or never end.
        """
        if self.end_reason is not None:
            return []
        if not self.anchored:
            return [self.ask(self.position - 1, "anchor", keep=False)]
        if self.looks:
            return [self.ask(number, "look", keep=False) for number in self.looks]
        asks = [self.ask(number) for number in self.certain(ahead)]
        probe = None if self.claimed else self.search.probe()
        if self.max_items is None and self.search.lo >= PAGE_CAP:
            raise self.incomplete("page_cap")
        if probe is not None:
            # First: the sooner the tail is known, the fewer changes can pass unseen before it.
            asks.insert(0, self.ask(probe, "probe", keep=self.reading == 1))
        elif self.walking and not asks:
            if self.position in self.repeats:
                raise self.incomplete("page_repeated")
            asks.append(self.ask(self.position))
        return asks

    def certain(self, ahead: int) -> range:
        """Pages to deliver next that are known, or claimed by the count, to exist."""
        top = self.claimed or min(self.search.lo, self.search.cap)
        if self.search.failed is not None:
            top = min(top, self.search.failed - 1)
        return range(self.position, min(top, self.position + ahead - 1) + 1)

    def ask(self, number: int, purpose: Purpose = "page", *, keep: bool = True) -> Ask:
        """One page of the present reading."""
        return Ask(number, self.size, purpose, self.turn, keep)

    def requests_left(self) -> int | None:
        """Requests still to come: exact once the end is known, None before."""
        if self.end_reason is not None:
            return 0
        top = self.claimed or self.search.end
        return None if top is None else max(0, top - self.position + 1) + len(self.looks)

    # -- what an answer means ---------------------------------------------------------------------

    def saw(self, ask: Ask, keys: Sequence[Key]) -> bool:
        """Take in the answer to a probe, an anchor or a look, as soon as it came.

        Returns:
            Whether the page is to be kept and delivered when its turn comes.
        """
        if ask.turn != self.turn or self.end_reason is not None:
            return False
        if ask.purpose == "anchor":
            self.saw_anchor(keys)
        elif ask.purpose == "look":
            self.saw_look(ask.number, keys)
        else:
            self.saw_probe(ask, keys)
        return ask.keep and bool(keys) and ask.turn == self.turn

    def saw_anchor(self, keys: Sequence[Key]) -> None:
        """The page before the place of resuming: did it move meanwhile?"""
        self.anchored = True
        first, last, rows = self.previous or (None, None, 0)
        number, edges = self.position - 1, edges_of(keys)
        # A full page must be the same; a short one, the last, may have grown.
        in_place = bool(keys) and keys[0] == first
        in_place = in_place and (keys[-1] == last if rows >= self.size else last in keys)
        if not (in_place and self.search.saw(number, len(keys))):
            self.unquiet = True
            self.read_again()
            return
        self.previous, self.previous_keys = edges, frozenset(keys)
        self.index.add(keys, again=True)
        # If this one page is all that was delivered, everything delivered is known again.
        self.blind = self.blind and len(keys) < self.rows
        if edges is not None:
            self.tails[number] = edges
            self.seen[edges] = number
        self.finish_reading()

    def saw_probe(self, ask: Ask, keys: Sequence[Key]) -> None:
        """A page asked in order to find the end."""
        number, edges = ask.number, edges_of(keys)
        if ask.keep and self.is_repeat(number, edges):
            # Two equal probes: nothing above the lower one is certain, so go on page by page.
            self.search.stopped = self.walking = True
            self.repeats.add(number)
            return
        if self.is_capped(number, len(keys)):
            self.shrink_pages()
            return
        self.note(number, len(keys), edges if ask.keep else None)
        if edges is not None:
            self.tails[number] = edges
        self.finish_reading()

    def saw_look(self, number: int, keys: Sequence[Key]) -> None:
        """The last page, or the one after it, asked again at the end of a reading."""
        self.looks.remove(number)
        tail = self.tails.get(self.search.lo)
        if number == self.search.lo and tail is not None:
            first, last, rows = tail
            # A full last page must be the same at both ends; a short one may have grown.
            moved = not keys or keys[0] != first or (rows >= self.size and keys[-1] != last)
            self.unquiet = self.unquiet or moved
        elif keys and number > self.search.lo and not self.unquiet:
            # Rows behind the end: appended, or pushed there before the last page was read. Go on.
            self.search.saw(number, len(keys))
            self.position, self.looks = number, []
            return
        if not self.looks:
            self.end_reading()

    def take(self, keys: Sequence[Key]) -> list[int] | None:
        """Deliver the page whose turn it is.

        Returns:
            Indexes of the records not delivered before; None for all.

        Raises:
            IncompleteListingError: The page repeats another.
        """
        number, edges = self.position, edges_of(keys)
        if self.is_repeat(number, edges):
            if self.walking or self.claimed:
                raise self.incomplete("page_repeated")
            self.unquiet = True  # a higher page differs, so this server does page: rows moved
        if self.is_capped(number, len(keys)):
            self.shrink_pages()
            return []
        if self.claimed > number and len(keys) < self.size:
            self.count = None  # a short page so early: the count is wrong, and proves nothing
        self.note(number, len(keys), edges)
        if edges is not None and self.tails.setdefault(number, edges)[0] != edges[0]:
            self.unquiet = True
        kept = min(number, self.search.lo)
        self.tails = {page: tail for page, tail in self.tails.items() if page >= kept}
        self.unquiet = self.unquiet or self.overlaps(keys)
        keep = self.fresh(keys)
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
        if edges is not None:
            self.seen[edges] = min(number, self.seen.get(edges, number))

    def overlaps(self, keys: Sequence[Key]) -> bool:
        """Whether the page shares a record with the page before it."""
        return not self.previous_keys.isdisjoint(key for key in keys if key is not None)

    def fresh(self, keys: Sequence[Key]) -> list[int] | None:
        """Choose the records to deliver, and remember them."""
        # The rest of a page that max_items had cut: what was delivered of it is known by its edges.
        again = self.turn > 1 or bool(self.cut and self.index.edges)
        keep = self.index.fresh(keys, neighbours=self.previous_keys, again=again)
        if self.cut and not self.index.edges:
            keep = list(range(min(self.cut, len(keys)), len(keys)))
        self.cut = 0
        if self.max_items is not None:
            room = self.max_items - self.rows
            chosen = range(len(keys)) if keep is None else keep
            if len(chosen) > room:
                keep = list(chosen[:room])
                self.cut = 0 if not keep else keep[-1] + 1
        kept = keys if keep is None else [keys[index] for index in keep]
        self.index.add(kept, again=again)
        self.rows += len(kept)
        return keep

    def is_repeat(self, number: int, edges: Edges | None) -> bool:
        """Whether a lower page of this reading began, ended and counted the same."""
        return edges is not None and self.seen.get(edges, number) < number

    def is_capped(self, number: int, rows: int) -> bool:
        """Page 1 short and page 2 not empty: this server serves smaller pages than asked for."""
        search = self.search
        return number == 2 and rows > 0 and search.lo == 1 and search.short and not search.full_seen

    def shrink_pages(self) -> None:
        """Start over with the page size the server keeps to; what was delivered stays delivered."""
        if self.blind or not self.index.complete:
            raise self.incomplete("no_proof")
        self.size = self.first_rows
        self.begin_again()

    def lost(self, ask: Ask) -> None:
        """A page could not be had: nothing at or above it is asked any more."""
        if ask.turn == self.turn and ask.purpose in {"page", "probe"}:
            self.search.lost(ask.number)

    # -- the end of a reading ---------------------------------------------------------------------

    def finish_reading(self) -> None:
        """Once every page of this reading was delivered, look again, read again, or end."""
        if self.max_items is not None and (
            self.rows >= self.max_items or self.position > self.search.cap
        ):
            self.end_reason = "max_items"
            return
        if self.claimed and self.position > self.claimed:
            if self.rows == self.count:
                self.end_reason = "count_met"
                return
            # More or fewer than the count says: it proves nothing, the end must be found.
            self.count = None
        end = self.search.lo if self.unquiet and self.search.stopped else self.search.end
        if self.claimed or end is None or self.position <= end:
            return
        again_anyway = self.unquiet or (self.verify == "full" and self.reading == 1)
        if again_anyway or end <= 1 or self.verify == "none" or self.max_items is not None:
            self.end_reading()
            return
        tail = self.tails.get(end)
        full = tail is None or tail[2] >= self.size
        self.looks = [end, end + 1] if full else [end]

    def end_reading(self) -> None:
        """Decide whether the reading proves that everything was read."""
        if self.unquiet or (self.verify == "full" and self.reading == 1 and self.search.lo):
            self.read_again()
            return
        reason = self.search.reason
        if reason == "empty_page" and 0 < self.server_limit == self.rows:
            raise self.incomplete("server_limit")
        self.end_reason = reason

    def read_again(self) -> None:
        """Begin another reading, in which only records not delivered yet are kept."""
        self.moves += self.unquiet
        if self.moves >= READINGS:
            raise self.incomplete("never_quiet")
        if self.blind or not self.index.complete:
            raise self.incomplete("no_proof")
        end, full_seen = self.search.lo, self.search.full_seen
        self.reading += 1
        self.begin_again()
        self.search.full_seen = full_seen
        self.search.hints = [end, end + 1, end - 1]

    def begin_again(self) -> None:
        """Forget what is known of pages; what was delivered stays known."""
        self.turn += 1
        self.position = 1
        self.search = self.new_search()
        self.unquiet = self.walking = False
        self.looks = []
        self.previous, self.previous_keys = None, frozenset()
        self.seen, self.tails, self.repeats = {}, {}, set()

    def incomplete(self, reason: IncompleteReason) -> IncompleteListingError:
        """The error of a listing that cannot prove its end."""
        return incomplete(reason, self.rows, self.position)

    # -- where to go on ---------------------------------------------------------------------------

    def place(self) -> Place:
        """The place behind what was delivered so far; it can be proven again from there."""
        search, edges = self.search, self.index.edges
        again = self.reading > 1 or self.unquiet
        cut = 0 if again else self.cut
        last = self.before_cut if cut else self.previous
        return Place(
            number=1 if again else self.position - bool(cut),
            cut=cut,
            lo=search.lo,
            hi=None if again else search.hi,
            full_seen=search.full_seen,
            size=self.size,
            rows=self.rows,
            # A later reading puts edges between these: its places keep a copy of their own.
            edges=list(edges) if again else edges,
            edges_known=len(edges),
            moved=again and self.rows > 0,
            last=None if again else last,
            blind=self.blind or not self.index.complete,
        )

    def done(self) -> Place:
        """The place of a listing that ended: nothing is left to ask."""
        return Place(rows=self.rows, end_reason=self.end_reason, size=self.size)
