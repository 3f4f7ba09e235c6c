"""What a listing asks for, and how its pages are told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kb4_async.protocol.codec import Key
from kb4_async.protocol.cursors import Cursor, cursor_query

Verify = Literal["tail", "full", "none"]
Purpose = Literal["page", "probe", "anchor", "look", "count", "proof"]

#: First key, last key and number of rows of a page.
Edges = tuple[Key, Key, int]


@dataclass(frozen=True, slots=True)
class Ask:
    """One page to ask.

    Attributes:
        number: Page number, from 1.
        per_page: Page size to ask for; 0 names neither page nor size.
        purpose: ``page`` and ``probe`` are delivered; ``anchor`` (on resuming) and ``look`` (at the
            end) only compare, as does a probe of a later reading; ``count`` asks the parent, and
            ``proof`` whether a server that showed no cursor knows cursors at all.
        turn: Changes whenever the listing is begun again; answers of an earlier turn are void.
        keep: The answer is delivered when its turn comes.
        cursor: Where the page begins, instead of its number.
        elsewhere: Asked of the account's users instead, whose rows are of no interest here.
    """

    number: int
    per_page: int
    purpose: Purpose
    turn: int
    keep: bool = True
    cursor: Cursor | None = None
    elsewhere: bool = False

    def query(self, filters: Mapping[str, str]) -> dict[str, str]:
        """The query that asks for it.

        Args:
            filters: The listing's own parameters.
        """
        if self.cursor is not None:
            return cursor_query(self.cursor, filters, self.per_page)
        if self.per_page == 0:  # an endpoint without pages
            return dict(filters)
        return {**filters, "page": str(self.number), "per_page": str(self.per_page)}


def edges_of(keys: Sequence[Key]) -> Edges | None:
    """First key, last key and number of rows; None for a page without rows or keys."""
    if not keys or keys[0] is None:
        return None
    return keys[0], keys[-1], len(keys)
