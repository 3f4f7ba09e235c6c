"""What a listing asks for, and how its pages are told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from kb4_async.protocol.codec import Key
from kb4_async.protocol.cursors import Cursor, cursor_query

Verify = Literal["tail", "full", "none"]
Purpose = Literal["page", "probe", "anchor", "look", "count", "proof"]

#: First key, last key and number of rows of a page.
Edges = tuple[Key, Key, int]


class Ask(NamedTuple):
    """One page to ask. A tuple, for a dozen are made and looked up at each page that comes.

    Attributes:
        number: Page number, from 1.
        per_page: Page size to ask for.
        purpose: ``page`` and ``probe`` are delivered; ``anchor`` (on resuming) and ``look`` (at the
            end) only compare, as does a probe of a later reading; ``count`` asks the parent, and
            ``proof`` whether a server that showed no cursor knows cursors at all.
        turn: Changes whenever the listing is begun again; answers of an earlier turn are void.
        keep: The answer is delivered when its turn comes.
        cursor: Where the page begins, instead of its number.
        named: The page's number is said; a listing of one answer has none.
        elsewhere: Asked of the account's users instead, whose rows are of no interest here.
    """

    number: int
    per_page: int
    purpose: Purpose
    turn: int
    keep: bool = True
    cursor: Cursor | None = None
    elsewhere: bool = False
    named: bool = True

    def query(self, filters: Mapping[str, str]) -> dict[str, str]:
        """The query that asks for it.

        Args:
            filters: The listing's own parameters.
        """
        if self.cursor is not None:
            return cursor_query(self.cursor, filters, self.per_page)
        page = {"page": str(self.number)} if self.named else {}
        return {**filters, **page, "per_page": str(self.per_page)}


def edges_of(keys: Sequence[Key]) -> Edges | None:
    """First key, last key and number of rows; None for a page without rows or keys."""
    if not keys or keys[0] is None:
        return None
    return keys[0], keys[-1], len(keys)


def in_place(before: Edges | None, keys: Sequence[Key], size: int) -> bool:
    """Whether a page asked again holds what it held before.

    A full page must be the same; a short one, the last, may have grown behind its last record.

    Args:
        before: What it was.
        keys: Its keys now.
        size: Rows of a full page.
    """
    if before is None or not keys:
        return False
    first, last, rows = before
    grown = rows < size or len(keys) == rows
    return grown and len(keys) >= rows and keys[0] == first and keys[rows - 1] == last


def overlap(previous: frozenset[Key], keys: Sequence[Key]) -> frozenset[Key]:
    """The records that a page shares with the page before it; one without a key is no other."""
    return previous.intersection(keys) - {None}
