"""Reading a listing that the API serves in one answer, without pages: a user's risk history."""

from __future__ import annotations

from collections.abc import Sequence

from kb4_async.errors import KB4Error
from kb4_async.protocol.asks import Ask, Purpose
from kb4_async.protocol.codec import Key
from kb4_async.protocol.cursors import NO_CURSOR, Cursor
from kb4_async.protocol.endpoints import MAX_PER_PAGE, PAGE_SIZES
from kb4_async.protocol.reader import Change, Reader, Shown
from kb4_async.protocol.token import Place


class OneAnswer(Reader):
    """The state machine of a listing of one request.

    Fewer rows than the API's limit prove the end, as a short page does. A cursor, or a number of
    rows that is a page size of the API, means that this server pages here after all.
    """

    failed = False
    over_limit = False

    def asks(self, ahead: int) -> list[Ask]:
        """The one request."""
        del ahead
        if self.over_limit:
            raise self.incomplete("server_limit")
        done = self.end_reason or self.failed or self.change or self.position > 1
        return [] if done else [self.ask(1)]

    def ask(self, number: int, purpose: Purpose = "page", *, keep: bool = True) -> Ask:
        """The one request, which names no page."""
        return Ask(number, MAX_PER_PAGE, purpose, self.turn, keep, named=False)

    def saw(self, ask: Ask, keys: Sequence[Key] | None, shown: Shown = None) -> bool:
        """Keep the answer, unless it shows that there are pages."""
        del keys
        if isinstance(shown, Cursor) and shown != NO_CURSOR:
            self.change = Change(None, shown)
        return ask.keep

    def take(self, keys: Sequence[Key]) -> list[int] | None:
        """Deliver the answer."""
        if len(keys) in PAGE_SIZES:
            self.change = Change(None)
            return []
        keep = self.delivery.choose(keys, frozenset())
        self.position += 1
        if self.delivery.full:
            self.end_reason = "max_items"
        elif len(keys) < self.setup.server_limit:
            self.end_reason = "short_page"
        else:
            self.over_limit = True
        return keep

    def refused(self, ask: Ask, error: KB4Error) -> bool:
        """There is no other way."""
        del ask, error
        return False

    def lost(self, ask: Ask) -> None:
        """The answer could not be had."""
        del ask
        self.failed = True

    def stuck_at(self, number: int) -> bool:
        """Whether the answer could not be had."""
        return self.failed and number == self.position

    def requests_left(self) -> int | None:
        """One, or none."""
        return int(self.end_reason is None and self.position == 1)

    def finish_reading(self) -> None:
        """There is one reading."""

    def place(self) -> Place:
        """Before or behind the one answer; or within it, where ``max_items`` cut it."""
        if self.end_reason == "short_page":
            return self.done()
        taken = self.over_limit or self.end_reason is not None
        cut = self.rows if taken else self.delivery.cut
        return Place(rows=self.rows, cut=cut, size=self.size)
