"""Finding rows of a table by what is in them, while the table changes."""

from collections.abc import Callable, Hashable, Iterable

from kb4_async.testing.tables import Table


class Index:
    """The origins of a table's rows by some of their values.

    Read once from all rows, then only from those that were changed: looking up after every write
    must not cost a walk through the account.
    """

    def __init__(self, table: Table, values_of: Callable[[int], Iterable[Hashable]]) -> None:
        """Say by `values_of` under which values the row with an origin is found."""
        self.table = table
        self.values_of = values_of
        self.read_to: int | None = None
        self.values: dict[int, tuple[Hashable, ...]] = {}
        self.found: dict[Hashable, set[int]] = {}

    def origins(self, value: Hashable) -> list[int]:
        """Return the origins of the rows with that value, the oldest first."""
        self.refresh()
        return sorted(self.found.get(value, ()))

    def refresh(self) -> None:
        """Take in what changed."""
        journal = self.table.journal
        changed = self.table.order if self.read_to is None else journal[self.read_to :]
        self.read_to = len(journal)
        for origin in dict.fromkeys(changed):
            self.forget(origin)
            if self.table.holds(origin):
                self.learn(origin)

    def forget(self, origin: int) -> None:
        """Drop a row."""
        for value in self.values.pop(origin, ()):
            self.found[value].discard(origin)

    def learn(self, origin: int) -> None:
        """Take in a row."""
        values = tuple(self.values_of(origin))
        if values:
            self.values[origin] = values
        for value in values:
            self.found.setdefault(value, set()).add(origin)
