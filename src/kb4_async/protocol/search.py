"""Finding the last page of a listing read by page number, with as few requests as can be.

Where no count is known: page 1 alone, then probes at 2, 4, 8, ... one after another. A page with
any row makes all pages below it certain. After the first empty probe the gap is narrowed at its
first quarter, then by halving: full probes are kept and cost nothing, empty ones are the whole
cost.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from kb4_async.protocol.ends import PAGE_CAP, EndReason


@dataclass(slots=True)
class Search:
    """What is known of one reading's end.

    Attributes:
        per_page: Page size asked for.
        lo: The highest page known to have rows; all pages below it are certain.
        hi: The lowest page known to be empty.
        full_seen: A page of exactly ``per_page`` rows was seen in this listing, so that a short
            page proves the end.
        short: Page ``lo`` is short.
        failed: The lowest page that could not be had; nothing at or above it is asked.
        hints: Pages to ask first, for the end was near them in the reading before.
        narrowed: The gap before the first empty page was looked into.
        cap: No page above this one is wanted.
        stopped: No more probes: the rows moved, or pages repeat.
    """

    per_page: int
    lo: int = 0
    hi: int | None = None
    full_seen: bool = False
    short: bool = False
    failed: int | None = None
    hints: list[int] = field(default_factory=list)
    narrowed: bool = False
    cap: int = PAGE_CAP
    stopped: bool = False

    @property
    def end(self) -> int | None:
        """The last page with rows (0 for none) once that is proven."""
        return None if self.reason is None else self.lo

    @property
    def reason(self) -> EndReason | None:
        """What proves the end."""
        if self.short and self.full_seen:
            return "short_page"
        return "empty_page" if self.hi == self.lo + 1 else None

    @property
    def bound(self) -> int | None:
        """No page at or above this one is worth asking."""
        bounds = [page for page in (self.hi, self.failed) if page is not None]
        return min(bounds, default=None)

    @property
    def blocked(self) -> bool:
        """The search cannot go on, because the next page could not be had."""
        return self.reason is None and self.failed == self.lo + 1

    def probe(self) -> int | None:
        """The page to ask next in order to find the end; None when it is known or cannot be."""
        if self.reason is not None or self.stopped or self.blocked or self.lo >= self.cap:
            return None
        bound = self.bound
        if bound is not None and bound <= self.lo + 1:
            return None
        for hint in self.hints:
            if hint > self.lo and (bound is None or hint < bound):
                return hint
        if bound is None:
            return min(self.cap, 1 << self.lo.bit_length())
        # First at a quarter, for full probes are kept and only empty ones are waste; then halving,
        # so that at most 2 log2(pages) probes are ever kept in memory.
        return self.lo + max(1, (bound - self.lo) // (2 if self.narrowed else 4))

    def below(self, probes: Collection[int]) -> int:
        """The page below the highest one known, and below its neighbours, if they were probed.

        Returns:
            Its number; 0 where the highest page is none of these probes.
        """
        page = self.lo
        while page in probes:
            page -= 1
        return page if page < self.lo else 0

    def is_capped(self, number: int, rows: int) -> bool:
        """Page 1 short and page 2 not empty: this server serves smaller pages than asked for."""
        return number == 2 and rows > 0 and self.lo == 1 and self.short and not self.full_seen

    def saw(self, number: int, rows: int) -> bool:
        """Take in an answer.

        Returns:
            False if it contradicts what was known (rows moved): the newer answer sets the bound.
        """
        self.full_seen = self.full_seen or rows == self.per_page
        self.narrowed = self.narrowed or (self.hi is not None and self.lo < number < self.hi)
        is_short = rows < self.per_page
        if number < self.lo and not is_short:
            return True
        if rows == 0:
            agrees = number > self.lo
            self.hi = number if self.hi is None or not agrees else min(self.hi, number)
            if not agrees:
                self.lo, self.short = number - 1, False
            return agrees
        beyond_the_end = number > self.lo > 0 and self.short and self.full_seen
        agrees = number >= self.lo and not beyond_the_end
        if self.hi is not None and self.hi <= number:
            agrees, self.hi = False, None
        if number < self.lo:
            self.hi = number + 1
        self.lo, self.short = number, is_short
        return agrees

    def lost(self, number: int) -> None:
        """A page could not be had."""
        self.failed = number if self.failed is None else min(self.failed, number)
