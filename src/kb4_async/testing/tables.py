"""Tables of records that are made when they are looked at.

An account of a million users must not cost a million dicts, so a table knows how to make the
record of an *origin* (the number it was born with) and keeps only what was changed by hand.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, overload

Record: TypeAlias = dict[str, Any]
Maker: TypeAlias = Callable[[int], Record]

MASK = (1 << 64) - 1


def scramble(seed: int, salt: int, number: int) -> int:
    """Return 64 well-mixed bits that depend on nothing but the three numbers (splitmix64)."""
    bits = (
        seed * 0xD1342543DE82EF95 + salt * 0xDA942042E4DD58B5 + number * 0x9E3779B97F4A7C15
    ) & MASK
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & MASK
    return bits ^ (bits >> 31)


class Table(Sequence[Record]):
    """An ordered table of records, made lazily, that can be changed while it is served.

    `glance` makes only the fields that filters and look-ups need; it spares making a whole
    record for each row that a filter passes over.
    """

    def __init__(self, size: int, make: Maker, *, key: str, glance: Maker | None = None) -> None:
        """Describe `size` records with the key field `key`."""
        self.key = key
        self.make = make
        self.make_glance = glance or make
        self.order: Sequence[int] = range(size)
        self.by_hand: dict[int, Record] = {}
        self.newest = size
        self.version = 0
        self.places: dict[Any, int] | None = None

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.order)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        """Make the record, or the list of records, at that place."""
        if isinstance(index, slice):
            return [self.record(origin) for origin in self.order[index]]
        return self.record(self.order[index])

    def __iter__(self) -> Iterator[Record]:
        """Make the records one by one."""
        return map(self.record, self.order)

    def record(self, origin: int) -> Record:
        """Return the record born with that number."""
        own = self.by_hand.get(origin)
        return self.make(origin) if own is None else own

    def glance(self, origin: int) -> Record:
        """Return at least the fields that filters look at."""
        own = self.by_hand.get(origin)
        return self.make_glance(origin) if own is None else own

    def select(self, wanted: Callable[[Record], bool]) -> Sequence[int]:
        """Return the origins of the records that are wanted, in order."""
        return [origin for origin in self.order if wanted(self.glance(origin))]

    def origin_of(self, key: object) -> int | None:
        """Return the origin of the record with that key, or None."""
        if self.places is None:
            self.places = {self.glance(origin)[self.key]: origin for origin in self.order}
        return self.places.get(key)

    def find(self, key: object) -> Record | None:
        """Return the record with that key, or None."""
        origin = self.origin_of(key)
        return None if origin is None else self.record(origin)

    def delete(self, key: object) -> Record:
        """Take the record with that key out; every row behind it moves up by one."""
        origin = self.must_find(key)
        gone = self.record(origin)
        self.order = [other for other in self.order if other != origin]
        self.by_hand.pop(origin, None)
        self.touch()
        return gone

    def insert(self, record: Mapping[str, Any], *, place: int | None = None) -> Record:
        """Put a record in at a place (0 is the front, None the end)."""
        order = list(self.order)
        order.insert(len(order) if place is None else place, self.newest)
        self.by_hand[self.newest] = dict(record)
        self.order = order
        self.newest += 1
        self.touch()
        return self.by_hand[self.newest - 1]

    def update(self, key: object, **fields: object) -> Record:
        """Change fields of the record with that key."""
        origin = self.must_find(key)
        self.by_hand[origin] = {**self.record(origin), **fields}
        self.touch()
        return self.by_hand[origin]

    def must_find(self, key: object) -> int:
        """Return the origin of a key that has to be there."""
        origin = self.origin_of(key)
        if origin is None:
            raise KeyError(key)
        return origin

    def touch(self) -> None:
        """Forget what was derived from the old rows."""
        self.version += 1
        self.places = None


class View(Sequence[Record]):
    """Some rows of a table, in order, each perhaps shaped a little differently."""

    def __init__(
        self, table: Table, origins: Sequence[int], shape: Callable[[Record], Record] | None = None
    ) -> None:
        """Show the rows `origins` of `table`."""
        self.table = table
        self.origins = origins
        self.shape = shape

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.origins)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        """Make the record, or the list of records, at that place."""
        if isinstance(index, slice):
            return [self.shaped(origin) for origin in self.origins[index]]
        return self.shaped(self.origins[index])

    def shaped(self, origin: int) -> Record:
        """Return the row as this view shows it."""
        record = self.table.record(origin)
        return record if self.shape is None else self.shape(record)
