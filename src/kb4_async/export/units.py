"""How far each dataset of an export is, and each listing in it: what a killed export goes on by.

A unit is one listing: the users, or the members of group 789. Units close in any order; one that is
open has a resume token behind its last committed page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kb4_async.errors import ConfigurationError
from kb4_async.protocol import codec
from kb4_async.protocol.page import Page
from kb4_async.protocol.token import Identity, Place, place_of, write_token
from kb4_async.sinks import Position

#: Units that are written in one go and for no request. One that was cut off is written anew, and
#: with it its dataset, for nothing else is written before it.
DERIVED, REUSED = "derived", "reused"
MARKERS = frozenset({DERIVED, REUSED})


def pass_key(number: int) -> str:
    """The key of a dataset's own listing: the first, or a second that has other filters."""
    return str(number)


def scope_key(scope: Mapping[str, object]) -> str:
    """The key of one parent's listing."""
    return codec.encode(dict(scope)).decode()


@dataclass(slots=True)
class Unit:
    """One listing.

    Attributes:
        key: Which.
        rows: Records written.
        pages: Pages written.
        end: What proved its end, once it has one.
        counted: How many records the server counts, where it counts them.
        again: It ended in a way that leaves it unproven: the next run reads it from its beginning,
            and writes what is not there yet.
        token: Where it goes on.
        behind: The same before it is written as a token, which costs more than keeping it.
    """

    key: str
    rows: int = 0
    pages: int = 0
    end: str | None = None
    counted: int | None = None
    again: bool = False
    token: str | None = None
    behind: tuple[Identity, Place] | None = None

    @property
    def closed(self) -> bool:
        """Whether there is nothing left to ask."""
        return self.end is not None and not self.again

    @property
    def of_parent(self) -> bool:
        """Whether it is one of many parents' listings; their records name the parent."""
        return self.key.startswith("{")

    @property
    def scope(self) -> dict[str, Any]:
        """The parent's key; empty for a dataset's own listing."""
        return dict(codec.decode(self.key.encode())) if self.of_parent else {}

    def place(self) -> Place | None:
        """Where it goes on; None at its beginning."""
        return None if self.token is None or self.again else place_of(self.token)

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        if self.behind is not None:
            self.token, self.behind = write_token(*self.behind), None
        names = ("rows", "pages", "end", "counted", "again", "token")
        return {name: getattr(self, name) for name in names}


@dataclass(slots=True)
class Progress:
    """One dataset.

    It is changed by the worker thread alone once its sinks are open.

    Attributes:
        name: Name of the resource.
        positions: How far each of its sinks is committed; None before the first commit.
        units: Its listings, by key.
        order: Which unit's records stand in the file one after another, and how many: of a
            dataset's own listings. Others' records name their parent.
        rows: Records of all units.
        pages: Pages of all units.
        requests: Attempts made so far, those of earlier runs included.
        repairs: Times a listing was read again.
        seconds: Time spent on it.
        report: The manifest's entry, once it is complete.
        origin: The earlier export that some of it was carried over from.
        changed: Keys of units that are to be committed.
    """

    name: str
    positions: list[Position | None] = field(default_factory=list)
    units: dict[str, Unit] = field(default_factory=dict)
    order: list[tuple[str, int]] = field(default_factory=list)
    rows: int = 0
    pages: int = 0
    requests: int = 0
    repairs: int = 0
    seconds: float = 0.0
    report: dict[str, Any] | None = None
    origin: dict[str, Any] | None = None
    changed: set[str] = field(default_factory=set)

    def unit(self, key: str) -> Unit:
        """The unit of that key; a new one where there is none."""
        return self.units.setdefault(key, Unit(key))

    def wrote(self, unit: Unit, page: Page[Any]) -> None:
        """A page was written."""
        rows = len(page)
        unit.rows, unit.pages = unit.rows + rows, unit.pages + 1
        unit.behind, unit.end, unit.again = (page.identity, page.next_place), None, False
        self.rows, self.pages = self.rows + rows, self.pages + 1
        if not unit.of_parent:
            self.extend(unit.key, rows)
        self.changed.add(unit.key)

    def extend(self, key: str, rows: int) -> None:
        """More records of a unit stand in the file."""
        if self.order and self.order[-1][0] == key:
            rows += self.order.pop()[1]
        self.order.append((key, rows))

    def begin_anew(self) -> None:
        """Forget everything that was written."""
        self.positions = [None] * len(self.positions)
        self.units, self.order, self.rows, self.pages = {}, [], 0, 0
        self.origin = None

    @property
    def cut_off(self) -> bool:
        """Whether something that is written in one go was not written to its end."""
        return any(unit.key in MARKERS and not unit.closed for unit in self.units.values())

    @property
    def end_reasons(self) -> dict[str, int]:
        """What proved the ends of its listings, and how often."""
        ends = (unit.end for unit in self.units.values() if unit.key not in MARKERS)
        return dict(Counter(end for end in ends if end is not None))

    def differing(self) -> Iterator[Unit]:
        """The closed units of which the server counts something else."""
        for unit in self.units.values():
            if unit.closed and unit.counted is not None and unit.counted != unit.rows:
                yield unit

    @property
    def reused(self) -> dict[str, Any] | None:
        """What was carried over, and from where, as the manifest says it."""
        if self.origin is None:
            return None
        carried = [unit for unit in self.units.values() if unit.end == REUSED and unit.of_parent]
        return {
            "export": self.origin,
            "rows": sum(unit.rows for unit in carried),
            "scopes": [unit.scope for unit in carried],
        }

    def to_json(self) -> dict[str, Any]:
        """As it is kept, its units aside."""
        names = ("positions", "order", "requests", "repairs", "seconds", "report", "origin")
        return {name: getattr(self, name) for name in names}


def is_token(token: str | None) -> bool:
    """Whether a listing can be gone on with from there."""
    try:
        return token is None or bool(place_of(token))
    except ConfigurationError:
        return False


def read_progress(
    name: str, kept: Mapping[str, Any], units: Iterable[tuple[str, Mapping[str, Any]]]
) -> Progress:
    """Undo ``to_json``.

    Raises:
        TypeError: Something else was kept.
    """
    read = {key: Unit(key, **values) for key, values in units}
    if not all(each is None or isinstance(each, dict) for each in kept["positions"]):
        raise TypeError(name)
    for unit in read.values():
        unit.again |= not unit.closed and not is_token(unit.token)
    return Progress(
        name=name,
        units=read,
        rows=sum(unit.rows for unit in read.values()),
        pages=sum(unit.pages for unit in read.values()),
        **{**kept, "order": [(key, rows) for key, rows in kept["order"]]},
    )
