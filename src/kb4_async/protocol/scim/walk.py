"""Walking a list: which page is asked next, and when everything has been seen.

RFC 7644, 3.4.2.4, and what recorded servers do beyond it: pages smaller than asked, a first page
repeated behind the last, ``itemsPerPage`` and ``totalResults`` that echo the request or the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

#: Resources of a page: Okta asks for as many.
COUNT = 100
#: Times a list is walked whose number of resources does not fit what came.
PASSES = 3

#: Pages one after another of which nothing can be read: behind so many nothing is expected.
BLIND = 10

State = Literal["asking", "complete", "never_quiet", "no_proof"]


@dataclass(slots=True)
class Walk:
    """One listing. Ask for ``count`` resources from ``start`` on, ``take`` the answer, repeat.

    Attributes:
        count: Resources of a page.
        start: 1-based place of the next page.
        state: ``asking`` until it ends; ``complete`` only where what came in one pass is as many as
            the server says there are, if it says so.
        known: Ids delivered.
        seen: Ids of this pass.
        passed: Passes that ended.
        total: What the server says there are.
        moved: The server's number changed in this pass: what was deleted pushed others to a page
            that was read already.
        echoes: The server's number was that of the page, all along this pass.
        blind: Pages without anything that can be read, one after another, so far.
    """

    count: int = COUNT
    start: int = 1
    state: State = "asking"
    known: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    passed: int = 0
    total: int | None = None
    moved: bool = False
    echoes: bool = True
    blind: int = 0

    def take(self, ids: Sequence[str], total: int | None) -> list[int]:
        """Take a page.

        Args:
            ids: Ids of its resources; a resource that cannot be read has an empty one.
            total: ``totalResults``.

        Returns:
            Places, in the page, of the resources not delivered before.
        """
        if total is not None:
            self.moved = self.moved or (self.start > 1 and self.total not in {None, total})
            self.echoes = self.echoes and total == len(ids)
            self.total = total
        ended = self.over(ids)
        fresh: list[int] = []
        for place, each in enumerate(ids):
            if each not in self.known if each else self.passed == 0 and not ended:
                fresh.append(place)
                self.known.update({each} - {""})
        if not ended:
            # What cannot be read counts as seen: the server counts it too.
            self.seen.update(each or f"unreadable {self.start + n}" for n, each in enumerate(ids))
        self.start += len(ids)
        if ended or self.counted(len(ids)):
            self.end_pass()
        return fresh

    def over(self, ids: Sequence[str]) -> bool:
        """Whether a page says that there is nothing more: it is empty, or the first one again."""
        readable = [each for each in ids if each]
        if readable or not ids:
            self.blind = 0
            return all(each in self.seen for each in readable)
        # Of resources that cannot be read nobody knows whether they were there before.
        self.blind += 1
        return self.blind > BLIND or (self.total is not None and len(self.seen) >= self.total)

    def counted(self, rows: int) -> bool:
        """Whether the server's number proves the end. Behind a full page it is looked at what
        follows: some servers give the page's number for the list's."""
        return self.total is not None and len(self.seen) >= self.total and rows < self.count

    def end_pass(self) -> None:
        """Nothing more comes: is that all?"""
        self.passed += 1
        moved = self.moved and not self.echoes
        fits = self.total is None or len(self.seen) == self.total or self.lied()
        if fits and not moved and self.blind <= BLIND:
            self.state = "complete"
        elif self.passed == PASSES:
            more = self.total is not None and len(self.seen) > self.total
            self.state = "never_quiet" if moved or more else "no_proof"
        else:
            self.start, self.seen = 1, set()
            self.moved, self.echoes, self.blind = False, True, 0

    def lied(self) -> bool:
        """Whether ``totalResults`` is a page's: then the empty page behind is the proof."""
        assert self.total is not None  # noqa: S101  # asked only then
        return len(self.seen) > self.total and self.total <= self.count
