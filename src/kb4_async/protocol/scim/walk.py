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
    """

    count: int = COUNT
    start: int = 1
    state: State = "asking"
    known: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    passed: int = 0
    total: int | None = None

    def take(self, ids: Sequence[str], total: int | None) -> list[int]:
        """Take a page.

        Args:
            ids: Ids of its resources; a resource that cannot be read has an empty one.
            total: ``totalResults``.

        Returns:
            Places, in the page, of the resources not delivered before.
        """
        self.total = total if total is not None else self.total
        fresh = [
            place
            for place, each in enumerate(ids)
            if (each not in self.known if each else self.passed == 0)
        ]
        # An empty page, or the first one again behind the last, is the end.
        ended = all(each in self.seen or not each for each in ids)
        # What cannot be read counts as seen: the server counts it too.
        self.seen.update(each or f"unreadable {self.start + n}" for n, each in enumerate(ids))
        self.known.update(each for each in ids if each)
        self.start += len(ids)
        if ended or self.counted(len(ids)):
            self.end_pass()
        return fresh

    def counted(self, rows: int) -> bool:
        """Whether the server's number proves the end. Behind a full page it is looked at what
        follows: some servers give the page's number for the list's."""
        return self.total is not None and len(self.seen) >= self.total and rows < self.count

    def end_pass(self) -> None:
        """Nothing more comes: is that all?"""
        self.passed += 1
        if self.total is None or len(self.seen) == self.total or self.lied():
            self.state = "complete"
        elif self.passed == PASSES:
            self.state = "never_quiet" if len(self.seen) > self.total else "no_proof"
        else:
            self.start, self.seen = 1, set()

    def lied(self) -> bool:
        """Whether ``totalResults`` is a page's: then the empty page behind is the proof."""
        assert self.total is not None  # noqa: S101  # asked only then
        return len(self.seen) > self.total and self.total <= self.count
