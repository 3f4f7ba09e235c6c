"""Which records were delivered already, in as little memory as the order of keys allows."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Collection, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from operator import lt
from typing import Any

from kb4_async.protocol.codec import Key

#: While a listing is this small, every key is kept, whatever the order.
EXACT_KEYS = 32_768

#: Lowest and highest key of a delivered page.
Edge = tuple[int, int]


class KeyIndex:
    """Keys delivered so far.

    While keys ascend from page to page (as KnowBe4's lists do), two keys a page suffice: when the
    listing is read again, a key between the edges of a delivered page is known. The first 32,768
    keys are kept one by one as well, so that a listing that turns out not to ascend by then is
    known whole; such a listing keeps all its keys (about 60 bytes each).

    Args:
        edges: The edges of what an earlier run delivered.
        known: Every key that it delivered, for whoever still has them: the index is then what it
            would be without the interruption.

    Attributes:
        ordered: Keys ascended so far.
        edges: Lowest and highest key of each delivered page.
        before: The edges that a resumed listing began with; its keys since are in ``exact`` too.
        exact: Every key delivered since, while that is affordable; None afterwards.
        complete: Whether every delivered key can be told again. A listing that stops ascending when
            keys are no longer kept one by one loses that, and can only be read once.
    """

    __slots__ = ("before", "complete", "edges", "exact", "ordered")

    def __init__(self, edges: Sequence[Edge] = (), known: Collection[Key] | None = None) -> None:
        self.ordered, self.complete = bool(edges) or not known, True
        self.edges: list[Edge] = list(edges)
        self.before = tuple(edges)
        self.exact: set[Key] | None = set(known or ())

    def fresh(
        self,
        keys: Sequence[Key],
        *,
        neighbours: AbstractSet[Key] = frozenset(),
        again: bool = False,
    ) -> list[int] | None:
        """Indexes of the records not delivered yet; None when that is all of them.

        Args:
            keys: Keys of a page.
            neighbours: Keys of the page before it.
            again: The listing is being read again. In a first reading a key inside an older page's
                edges is no sign of a record seen before: keys may just not ascend.
        """
        top = self.edges[-1][1] if self.edges else None
        if self.ordered and ascends(keys) and (top is None or above(keys, top)):
            return None
        seen: set[Key] = set()
        kept: list[int] = []
        for index, key in enumerate(keys):
            # A record without a key cannot be told from another: it is kept.
            known = key in seen or key in neighbours or self.knows(key, again=again)
            if key is None or not known:
                kept.append(index)
            seen.add(key)
        return None if len(kept) == len(keys) else kept

    def knows(self, key: Key, *, again: bool) -> bool:
        """Whether a record of this key was delivered, as far as can be told."""
        if self.exact is not None and key in self.exact:
            return True
        edges = self.edges if self.exact is None else self.before
        return again and type(key) is int and covers(edges, key)

    def add(self, keys: Sequence[Key], *, again: bool = False) -> None:
        """Remember delivered keys.

        Args:
            keys: The keys of the records that were kept.
            again: The listing is being read again, so keys below the highest fill gaps.
        """
        known = [key for key in keys if key is not None]
        if not known:
            return
        if self.exact is not None:
            self.exact.update(known)
        if not self.ordered:
            return
        top = self.edges[-1][1] if self.edges else None
        if ascends(known) and (top is None or above(known, top)):
            self.edges.append((known[0], known[-1]))  # type: ignore[arg-type]  # ascends: integers
        elif again:
            for key in known:
                if type(key) is int and not covers(self.edges, key):
                    insort(self.edges, (key, key))
        else:
            self.ordered, self.edges = False, []
            self.complete = self.exact is not None
        if self.ordered and self.exact is not None and len(self.exact) > EXACT_KEYS:
            self.exact = None


def covers(edges: Sequence[Edge], key: int) -> bool:
    """Whether a key lies between the edges of a page; they are sorted."""
    place = max(0, bisect_right(edges, (key, key)) - 1)
    # The edge at `place` begins at or below the key, or the one behind it begins exactly there.
    return any(first <= key <= last for first, last in edges[place : place + 2])


def ascends(keys: Sequence[Key]) -> bool:
    """Whether all keys are integers and each is greater than the one before."""
    try:
        # Integers all, or the comparison raises; by way of Any, for its types cannot be told.
        ordered: Callable[[Any, Any], bool] = lt
        return type(keys[0]) is int and all(map(ordered, keys, islice(keys, 1, None)))
    except (TypeError, IndexError):  # keys of several kinds, or none
        return False


def above(keys: Sequence[Key], top: int) -> bool:
    """Whether ascending keys all lie above one."""
    return type(keys[0]) is int and keys[0] > top
