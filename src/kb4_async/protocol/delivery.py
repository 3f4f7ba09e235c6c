"""What a listing delivered so far, whichever way it is paged and however often it is read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet

from kb4_async.protocol.asks import Edges
from kb4_async.protocol.codec import Key
from kb4_async.protocol.drift import Edge, KeyIndex
from kb4_async.protocol.ends import READINGS, incomplete
from kb4_async.protocol.token import Place


class Delivery:
    """Records delivered, and the readings that delivered them.

    Args:
        place: Where the listing goes on.
        max_items: Deliver at most this many records.
        known: The keys of all records that were delivered before ``place``; None where they are
            not at hand.

    Attributes:
        rows: Records delivered.
        index: Which.
        reading: Number of the present reading.
        turn: Changes whenever the listing is begun again; answers of an earlier turn are void.
        moves: Readings in which records moved.
        blind: Some delivered records are unknown, so that nothing can be read again.
        cut: Rows already delivered of a page that ``max_items`` cut: of the next one, or of the one
            before it.
        cut_behind: It is the one before.
    """

    def __init__(
        self, place: Place, max_items: int | None, known: Collection[Key] | None = None
    ) -> None:
        self.max_items = max_items
        self.rows = place.rows
        self.index = KeyIndex(place.edges[: place.edges_known], known)
        # Both count on where an earlier run was reading again: what it delivered is passed over.
        self.reading = self.turn = 2 if place.rereading else 1
        self.moves = 0
        self.blind = known is None and place.forgetful
        self.cut = place.cut
        self.cut_behind = False
        #: Records delivered before the listing was begun again that did not come again yet.
        self.redo = 0

    @property
    def full(self) -> bool:
        """Everything that was asked for was delivered."""
        return self.max_items is not None and self.rows >= self.max_items

    @property
    def redoing(self) -> bool:
        """Pages that were delivered already are passed again."""
        return self.redo > 0

    @property
    def rereading(self) -> bool:
        """A later reading is under way, and can be gone on with where it stands."""
        return self.reading > 1 and self.reading == self.turn

    @property
    def repeatable(self) -> bool:
        """Every delivered record can be told again."""
        return not self.blind and self.index.complete

    def cut_stands(self, keys: Sequence[Key]) -> bool:
        """Whether what was delivered of a page that was cut is still where it was."""
        if not self.cut or self.cut_behind or not self.index.edges:
            return True
        return len(keys) >= self.cut and keys[self.cut - 1] == self.index.edges[-1][1]

    def choose(self, keys: Sequence[Key], neighbours: AbstractSet[Key]) -> list[int] | None:
        """Choose the records of a page to deliver, and remember them.

        Args:
            keys: The page's keys.
            neighbours: Keys of the page before it.

        Returns:
            Their indexes; None for all.
        """
        if not keys:
            return None
        # The rest of a page that max_items had cut: what was delivered of it is known by its edges.
        again = self.turn > 1 or bool(self.cut and self.index.edges)
        keep = self.index.fresh(keys, neighbours=neighbours, again=again)
        if self.cut and not self.index.edges:
            keep = list(range(min(self.cut, len(keys)), len(keys)))
        self.cut, self.cut_behind = 0, True
        if self.max_items is not None:
            room = self.max_items - self.rows
            chosen = range(len(keys)) if keep is None else keep
            if len(chosen) > room:
                keep = list(chosen[:room])
                self.cut = 0 if not keep else keep[-1] + 1
        kept = keys if keep is None else [keys[index] for index in keep]
        self.index.add(kept, again=again)
        self.rows += len(kept)
        self.redo = max(0, self.redo - (len(keys) - len(kept)))
        return keep

    def anchored(self, keys: Sequence[Key], before: Edges | None) -> bool:
        """The page before the place of resuming was asked again and is as it was.

        Args:
            keys: Its keys now.
            before: What it was.

        Returns:
            Whether records were appended to it, so that the rest of it is to be delivered.
        """
        known = len(keys) if before is None else before[2]
        self.index.add(keys[:known], again=True)
        # If this one page is all that was delivered, everything delivered is known again.
        self.blind = self.blind and known < self.rows
        if len(keys) > known:
            self.cut, self.cut_behind = known, False
        return len(keys) > known

    def read_again(self, page: int, *, moved: bool) -> None:
        """Begin another reading, in which only records not delivered yet are kept.

        Args:
            page: The page reached, for the error.
            moved: Because records moved.

        Raises:
            IncompleteListingError: They moved too often, or what was delivered is not known.
        """
        self.moves += moved
        if self.moves >= READINGS:
            raise incomplete("never_quiet", self.rows, page)
        self.begin_again(page)
        self.reading += 1

    def begin_again(self, page: int) -> None:
        """Ask everything again; what was delivered stays delivered.

        Raises:
            IncompleteListingError: What was delivered is not known.
        """
        if not self.repeatable:
            raise incomplete("no_proof", self.rows, page)
        self.turn += 1
        self.cut, self.redo = 0, self.rows

    def edges(self, *, again: bool) -> Sequence[Edge]:
        """The edges of delivered pages for a place.

        Args:
            again: A later reading puts edges between these, so its places keep a copy.
        """
        return list(self.index.edges) if again else self.index.edges
