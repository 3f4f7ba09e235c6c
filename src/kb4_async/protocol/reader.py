"""What every way of paging has in common: the face that the runtime drives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from kb4_async.errors import APIError, IncompleteListingError, IncompleteReason, KB4Error
from kb4_async.protocol.asks import Ask, Purpose, Verify
from kb4_async.protocol.codec import Key
from kb4_async.protocol.cursors import Cursor
from kb4_async.protocol.delivery import Delivery
from kb4_async.protocol.ends import EndReason, incomplete
from kb4_async.protocol.habits import Habits
from kb4_async.protocol.token import Place

#: Answers that mean that the server does not know the way of paging, or not that cursor.
REFUSED = frozenset({400, 405, 410, 422})

#: What an answer shows of cursors: one, none, or a link that must not be followed.
Shown = Cursor | IncompleteListingError | None


def is_refusal(error: KB4Error) -> bool:
    """Whether the server does not know the way of paging."""
    return isinstance(error, APIError) and error.status in REFUSED


@dataclass(frozen=True, slots=True)
class Setup:
    """A listing to read.

    Attributes:
        per_page: Page size asked for, 1 to 500.
        count: How many records there are, where a parent's record says so.
        recount: The parent can be asked for the count again.
        max_items: Deliver at most this many records.
        verify: ``tail``, ``full`` or ``none``.
        server_limit: Records at which this server is known to stop silently, or 0.
        doubtful: Set where the endpoint may serve all records at once, whatever page is asked:
            numbers of rows that would then rather be a page.
        resource: Where ``habits`` keeps what is learned.
        habits: What is known of the server.
        auto: May change from page numbers to cursors and back.
        known: Keys of all records that an earlier run delivered, where they are at hand.
    """

    per_page: int
    count: int | None = None
    recount: bool = False
    max_items: int | None = None
    verify: Verify = "tail"
    server_limit: int = 0
    doubtful: frozenset[int] | None = None
    resource: str = ""
    habits: Habits = field(default_factory=Habits)
    auto: bool = False
    known: Collection[Key] | None = None


class Change(NamedTuple):
    """The listing has to be paged the other way.

    Attributes:
        error: What is raised if the other way fails too.
        cursor: What page 1 showed, so that page 1 is kept; None begins again.
    """

    error: KB4Error | None
    cursor: Cursor | None = None


class Reader(ABC):
    """A state machine that reads one listing: what to ask next, and what each answer means.

    Args:
        setup: The listing.
        place: Where to go on.
        delivery: What was delivered already, where another reader began.

    Attributes:
        position: The next page to deliver, from 1.
        size: Page size asked for.
        count: How many records there must be; None where that is not known, or not believed any
            more.
        expected: The same, as the server last said it, believed or not.
        end_reason: What proved the end.
        recount: Asking the parent for the count again: ``unasked``, ``wanted`` or ``done``.
        unquiet: Records moved in the present reading.
        shared: Records that neighbouring pages share in the present reading.
        change: Set when the listing has to be paged the other way.
        first_error: Why the other way was given up, where it was.
    """

    def __init__(self, setup: Setup, place: Place, delivery: Delivery | None = None) -> None:
        self.setup = setup
        self.delivery = delivery or Delivery(place, setup.max_items, setup.known)
        if place.rereading and not self.delivery.repeatable:
            raise incomplete("no_proof", place.rows, place.number)
        self.position = place.number
        self.size = place.size or setup.per_page
        self.count = self.expected = setup.count
        self.end_reason: EndReason | None = place.end_reason
        self.recount = "unasked" if setup.recount else "done"
        self.unquiet = False
        self.shared: frozenset[Key] = frozenset()
        self.shared_before: frozenset[Key] = frozenset()
        self.change: Change | None = None
        self.first_error: KB4Error | None = None

    @property
    def turn(self) -> int:
        """Changes whenever the listing is begun again."""
        return self.delivery.turn

    @property
    def reading(self) -> int:
        """Number of the present reading."""
        return self.delivery.reading

    @property
    def rows(self) -> int:
        """Records delivered."""
        return self.delivery.rows

    @property
    def moved(self) -> bool:
        """Whether records moved in the present reading.

        Neighbours that share the same records in two readings are no movement: the server lists
        those records twice.
        """
        return self.unquiet or (bool(self.shared) and self.shared != self.shared_before)

    @property
    def once_more(self) -> bool:
        """Everything is to be read a second time, whether records moved or not."""
        return self.setup.verify == "full" and self.reading == 1

    def begin_quietly(self) -> None:
        """Begin a reading: nothing has moved in it."""
        self.unquiet, self.shared_before, self.shared = False, self.shared, frozenset()

    @abstractmethod
    def asks(self, ahead: int) -> list[Ask]:
        """Everything that may be under way now, most urgent first.

        Args:
            ahead: Pages that may be fetched ahead of the consumer, 1 or more.

        Raises:
            IncompleteListingError: The listing cannot be read to a proven end.
        """

    @abstractmethod
    def ask(self, number: int, purpose: Purpose = "page", *, keep: bool = True) -> Ask:
        """One page of the present reading."""

    @abstractmethod
    def saw(self, ask: Ask, keys: Sequence[Key] | None, shown: Shown = None) -> bool:
        """Take in an answer as soon as it came.

        Args:
            ask: What was asked.
            keys: Keys of the page's records; None for a page that is only read in its turn.
            shown: The cursor it shows.

        Returns:
            Whether the page is to be kept and delivered when its turn comes.
        """

    @abstractmethod
    def take(self, keys: Sequence[Key]) -> list[int] | None:
        """Deliver the page whose turn it is.

        Returns:
            Indexes of the records not delivered before; None for all.

        Raises:
            IncompleteListingError: The page repeats another.
        """

    @abstractmethod
    def refused(self, ask: Ask, error: KB4Error) -> bool:
        """Take in that the server does not know this way of paging.

        Returns:
            Whether that changes the way; if not, the page is lost.
        """

    @abstractmethod
    def lost(self, ask: Ask) -> None:
        """A page could not be had: nothing at or above it is asked any more."""

    @abstractmethod
    def stuck_at(self, number: int) -> bool:
        """Whether the listing cannot go on, because that page could not be had."""

    @abstractmethod
    def requests_left(self) -> int | None:
        """Requests still to come: exact once the end is known, None before."""

    @abstractmethod
    def place(self) -> Place:
        """The place behind what was delivered so far; it can be proven again from there."""

    @abstractmethod
    def finish_reading(self) -> None:
        """Once every page of this reading was delivered, look again, read again, or end."""

    def short_of_count(self) -> bool:
        """Whether fewer records came than the count says, so that it is to be asked again."""
        if self.recount == "unasked" and self.expected is not None and self.rows < self.expected:
            self.recount = "wanted"
        return self.recount == "wanted"

    def recounted(self, count: int | None) -> None:
        """Take in the parent's count, asked again; None where it has none any more."""
        self.recount = "done"
        if count is not None and count != self.expected:
            self.expected = count
            # One page is a snapshot; of several, some were read before the change and some after.
            self.unquiet = self.unquiet or self.position > 2
        self.finish_reading()

    def blame(self, ask: Ask, error: KB4Error) -> KB4Error:
        """The error to raise for a page that could not be had.

        If both ways of paging were refused, the first refusal tells more.
        """
        both = ask.number == 1 and self.first_error is not None and is_refusal(error)
        return self.first_error if both and self.first_error else error

    def done(self) -> Place:
        """The place of a listing that ended: nothing is left to ask."""
        return Place(rows=self.rows, end_reason=self.end_reason, size=self.size)

    def incomplete(self, reason: IncompleteReason) -> IncompleteListingError:
        """The error of a listing that cannot prove its end."""
        return incomplete(reason, self.rows, self.position)
