"""Tables of records that are made when they are looked at.

An account of a million users must not cost a million dicts, so a table knows how to make the
record of an *origin* (the number it was born with) and keeps only what was changed by hand.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, overload

from kb4_async.testing.words import day_after

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


class Changes:
    """How often anything in an account was changed, so that asking costs nothing."""

    def __init__(self) -> None:
        """Start with an account as it was made."""
        self.count = 0


class Table(Sequence[Record]):
    """An ordered table of records, made lazily, that can be changed while it is served.

    `glance` makes only the fields that filters and look-ups need; it spares making a whole
    record for each row that a filter passes over. `derive` returns the fields that other tables
    decide, such as the number of a group's members; a field given by hand wins over it.
    """

    def __init__(
        self,
        size: int,
        make: Maker,
        *,
        key: str,
        glance: Maker | None = None,
        derive: Callable[[Record], Record] | None = None,
        changes: Changes | None = None,
    ) -> None:
        """Describe `size` records with the key field `key`."""
        self.key = key
        self.make = make
        self.make_glance = glance or make
        self.derive = derive
        self.changes = changes or Changes()
        self.order: Sequence[int] = range(size)
        self.inserted: dict[int, Record] = {}
        self.by_hand: dict[int, Record] = {}
        self.newest = size
        self.version = 0
        self.journal: list[int] = []
        self.gone: set[int] = set()
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
        record = self.inserted.get(origin)
        if record is None:
            record = self.make(origin)
        fields = self.by_hand.get(origin)
        if fields is not None:
            record = {**record, **fields}
        if self.derive is None:
            return record
        return {**record, **self.derive(record), **(fields or {})}

    def glance(self, origin: int) -> Record:
        """Return at least the fields that filters look at."""
        record = self.inserted.get(origin)
        if record is None:
            record = self.make_glance(origin)
        fields = self.by_hand.get(origin)
        return record if fields is None else {**record, **fields}

    def select(self, wanted: Callable[[Record], bool]) -> Sequence[int]:
        """Return the origins of the records that are wanted, in order."""
        return [origin for origin in self.order if wanted(self.glance(origin))]

    def key_at(self, place: int) -> Any:  # noqa: ANN401 - whatever the key's field holds
        """Return the key of the record at that place."""
        return self.glance(self.order[place])[self.key]

    def known_places(self) -> dict[Any, int]:
        """Return the origin of each key."""
        if self.places is None:
            self.places = {self.glance(origin)[self.key]: origin for origin in self.order}
        return self.places

    def origin_of(self, key: object) -> int | None:
        """Return the origin of the record with that key, or None."""
        return self.known_places().get(key)

    def find(self, key: object) -> Record | None:
        """Return the record with that key, or None."""
        origin = self.origin_of(key)
        return None if origin is None else self.record(origin)

    def delete(self, key: object) -> Record:
        """Take the record with that key out; every row behind it moves up by one."""
        origin = self.must_find(key)
        gone = self.record(origin)
        if self.places is not None and len(self.places) == len(self.order):
            del self.places[key]
        else:  # a key that was there twice now means the other record
            self.places = None
        self.order = [other for other in self.order if other != origin]
        self.inserted.pop(origin, None)
        self.by_hand.pop(origin, None)
        self.gone.add(origin)
        self.touch(origin)
        return gone

    def insert(self, record: Mapping[str, Any], *, place: int | None = None) -> Record:
        """Put a record in, as it is, at a place (0 is the front, None the end)."""
        return self.put(dict(record), dict(record), place)

    def add(self, *, place: int | None = None, **fields: object) -> Record:
        """Put in a record like the last one, with the highest key and the given fields."""
        model = self.inserted.get(self.order[-1]) or self.make(self.order[-1]) if self.order else {}
        return self.put({**model, self.key: self.next_key()}, dict(fields), place)

    def update(self, key: object, **fields: object) -> Record:
        """Change fields of the record with that key."""
        origin = self.must_find(key)
        self.by_hand[origin] = {**self.by_hand.get(origin, {}), **fields}
        if self.key in fields:
            self.places = None
        self.touch(origin)
        return self.record(origin)

    def put(self, record: Record, by_hand: Record, place: int | None) -> Record:
        """Put a new record in at a place."""
        origin, self.newest = self.newest, self.newest + 1
        self.inserted[origin], self.by_hand[origin] = record, by_hand
        order = list(self.order)
        order.insert(len(order) if place is None else place, origin)
        self.order = order
        key = self.glance(origin).get(self.key)
        if self.places is not None and key not in self.places:
            self.places[key] = origin
        else:
            self.places = None
        self.touch(origin)
        return self.record(origin)

    def next_key(self) -> Any:  # noqa: ANN401 - whatever the key's field holds
        """Return a key higher than all others."""
        highest = max(self.known_places(), default=0)
        return day_after(highest) if isinstance(highest, str) else highest + 7

    def must_find(self, key: object) -> int:
        """Return the origin of a key that has to be there."""
        origin = self.origin_of(key)
        if origin is None:
            raise KeyError(key)
        return origin

    def holds(self, origin: int) -> bool:
        """Say whether the record born with that number is still here."""
        return 0 <= origin < self.newest and origin not in self.gone

    def touch(self, origin: int) -> None:
        """Count a change, and write down whose it is for those who keep an index."""
        self.journal.append(origin)
        self.version += 1
        self.changes.count += 1


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

    def key_at(self, place: int) -> Any:  # noqa: ANN401 - whatever the key's field holds
        """Return the key of the row at that place, as the table has it."""
        return self.table.glance(self.origins[place])[self.table.key]

    def shaped(self, origin: int) -> Record:
        """Return the row as this view shows it."""
        record = self.table.record(origin)
        return record if self.shape is None else self.shape(record)
