"""Which records belong to which other records."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import TypeVar

from kb4_async.testing.tables import Record, Table, View

V = TypeVar("V")


class Listed(Mapping[int, View]):
    """The rows of a table by what they name: the members of groups, the tests of campaigns.

    Read from the rows themselves, and kept until one of them changes.
    """

    def __init__(
        self,
        rows: Table,
        parents: Table,
        named: Callable[[Record], Iterable[int]],
        shape: Callable[[Record], Record] | None = None,
    ) -> None:
        """Say by `named` which of `parents` a row, of which a glance is given, belongs to."""
        self.rows = rows
        self.parents = parents
        self.named = named
        self.shape = shape
        self.read_at = -1
        self.origins: dict[int, list[int]] = {}

    def by_parent(self) -> dict[int, list[int]]:
        """Return the rows' origins of every parent that has any."""
        if self.read_at != self.rows.version:
            origins: dict[int, list[int]] = {}
            for origin in self.rows.order:
                for parent in self.named(self.rows.glance(origin)):
                    origins.setdefault(parent, []).append(origin)
            self.origins, self.read_at = origins, self.rows.version
        return self.origins

    def count(self, parent: int) -> int:
        """Return how many rows belong to a parent."""
        return len(self.by_parent().get(parent, ()))

    def __getitem__(self, parent: int) -> View:
        """Return the rows that belong to a parent."""
        if self.parents.origin_of(parent) is None:
            raise KeyError(parent)
        return View(self.rows, self.by_parent().get(parent, []), self.shape)

    def __iter__(self) -> Iterator[int]:
        """Return the keys of all parents, those without rows too."""
        return (self.parents.key_at(place) for place in range(len(self.parents)))

    def __len__(self) -> int:
        """Return the number of parents."""
        return len(self.parents)


class Children(Mapping[int, Table]):
    """A table of its own for each record of another table, made when first looked at.

    That of a record which was put in by hand is empty.
    """

    def __init__(self, parents: Table, make: Callable[[int], Table], *, key: str) -> None:
        """Make the table of the parent with an origin by `make`."""
        self.parents = parents
        self.make = make
        self.key = key
        self.made: dict[int, Table] = {}

    def __getitem__(self, parent: int) -> Table:
        """Return the table of a parent."""
        origin = self.parents.origin_of(parent)
        if origin is None:
            raise KeyError(parent)
        table = self.made.get(origin)
        if table is None:
            table = self.made[origin] = self.make_table(origin)
        return table

    def make_table(self, origin: int) -> Table:
        """Make the table of the parent with that origin."""
        if origin in self.parents.inserted:
            return Table(0, nothing, key=self.key, changes=self.parents.changes)
        return self.make(origin)

    def __iter__(self) -> Iterator[int]:
        """Return the keys of all parents."""
        return (self.parents.key_at(place) for place in range(len(self.parents)))

    def __len__(self) -> int:
        """Return the number of parents."""
        return len(self.parents)


def nothing(origin: int) -> Record:
    """Make no record: there is none in an empty table."""
    raise LookupError(origin)


class Either(Mapping[int, V]):
    """Two mappings as one: what belongs to ordinary and to callback campaigns."""

    def __init__(self, first: Mapping[int, V], second: Mapping[int, V]) -> None:
        """Look into the second where the first knows nothing."""
        self.first = first
        self.second = second

    def __getitem__(self, key: int) -> V:
        """Return what either has."""
        return self.first[key] if key in self.first else self.second[key]

    def __iter__(self) -> Iterator[int]:
        """Return the keys of both."""
        return chain(self.first, self.second)

    def __len__(self) -> int:
        """Return the number of both."""
        return len(self.first) + len(self.second)
