"""What a listing asks for, and how its pages are told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kb4_async.protocol.codec import Key

Verify = Literal["tail", "full", "none"]
Purpose = Literal["page", "probe", "anchor", "look"]

#: First key, last key and number of rows of a page.
Edges = tuple[Key, Key, int]


@dataclass(frozen=True, slots=True)
class Ask:
    """One page to ask.

    Attributes:
        number: Page number, from 1.
        per_page: Page size to ask for.
        purpose: ``page`` and ``probe`` are delivered; ``anchor`` (on resuming) and ``look`` (at the
            end) only compare, as does a probe of a later reading.
        turn: Changes whenever the listing is begun again; answers of an earlier turn are void.
        keep: The answer is delivered when its turn comes.
    """

    number: int
    per_page: int
    purpose: Purpose
    turn: int
    keep: bool = True


def edges_of(keys: Sequence[Key]) -> Edges | None:
    """First key, last key and number of rows; None for a page without rows or keys."""
    if not keys or keys[0] is None:
        return None
    return keys[0], keys[-1], len(keys)
