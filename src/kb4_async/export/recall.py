"""What an export wrote already, read back from its own JSON lines: nothing is asked twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from kb4_async.errors import SinkError
from kb4_async.export.units import Progress, Unit, pass_key, scope_key
from kb4_async.protocol import codec
from kb4_async.protocol.codec import Key
from kb4_async.protocol.drift import EXACT_KEYS
from kb4_async.protocol.endpoints import MAX_PER_PAGE, Endpoint
from kb4_async.protocol.page import Content, Page
from kb4_async.protocol.token import Identity, Place
from kb4_async.runtime.source import Known


def page_of(
    endpoint: Endpoint,
    lines: Iterable[bytes],
    *,
    scope: Mapping[str, object] | None = None,
    query: Mapping[str, str] | None = None,
) -> Page[Any]:
    """Make a page of lines that no server sent as one.

    Args:
        endpoint: What they are records of.
        lines: The records; a line feed may follow each.
        scope: The parent's key.
        query: Filters of the listing they came from.
    """
    records = [line.rstrip(b"\n") for line in lines]
    scope = scope or {}
    return Page(
        resource=endpoint.resource,
        scope=scope,
        number=1,
        end_reason=None,
        request_id=None,
        attempts=0,
        endpoint=endpoint,
        content=Content(b"[" + b",".join(records) + b"]", rows=len(records)),
        identity=Identity(endpoint.resource, scope, query or {}, MAX_PER_PAGE),
        place=Place(),
        next_place=Place(),
    )


def read_lines(path: Path) -> Iterator[list[bytes]]:
    """Read a file of JSON lines, a page's worth at a time.

    Raises:
        SinkError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            while lines := list(islice(file, MAX_PER_PAGE)):
                yield lines
    except OSError as error:
        msg = f"{path} cannot be read ({error.strerror}): mend it, or start over with --fresh."
        raise SinkError(msg) from error


def recall(path: Path, endpoint: Endpoint, progress: Progress) -> Iterator[Page[Any]]:
    """Read back what an earlier run committed, as pages of the listings it came from.

    Where records name their parent, a page holds those of many, and has no scope.

    Raises:
        SinkError: The file cannot be read.
    """
    if not progress.order:
        for lines in read_lines(path):
            yield page_of(endpoint, lines)
        return
    queries = {pass_key(n): query for n, query in enumerate(endpoint.passes)}
    left = iter(progress.order)
    key, rows = next(left)
    for chunk in read_lines(path):
        lines = chunk
        while lines:
            if not rows:
                key, rows = next(left)
            part, lines = lines[:rows], lines[rows:]
            rows -= len(part)
            yield page_of(endpoint, part, query=queries.get(key))


def needed_units(progress: Progress, endpoint: Endpoint) -> list[Unit]:
    """The units whose records have to be known one by one.

    They are the open ones whose tokens do not tell every record that was written, and small ones:
    with their records at hand they are resumed as if never interrupted. And the first of several
    passes, whose records the second does not write again.
    """
    found = []
    several = len(endpoint.passes) > 1
    for unit in progress.units.values():
        needed = several and unit.key == pass_key(0)
        if unit.rows and not unit.closed and not needed:
            place = unit.place()
            needed = place is None or place.forgetful or unit.rows <= EXACT_KEYS
        if needed:
            found.append(unit)
    return found


class Recollection:
    """The keys of records that were written, unit by unit.

    Memory: about 60 bytes a record of these units.

    Args:
        units: The units that need them.
        endpoint: What the records are of.
    """

    def __init__(self, units: Collection[Unit], endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.rows = {unit.key: unit.rows for unit in units}
        self.keys: defaultdict[str, set[Key]] = defaultdict(set)
        self.of_parents = any(unit.of_parent for unit in units)

    def add(self, page: Page[Any]) -> None:
        """Take in a page that was recalled."""
        array = page.content.array
        keys = codec.key_reader(*self.endpoint.keys)(array)
        if not self.of_parents:
            (place,) = [n for n, q in enumerate(self.endpoint.passes) if q == page.identity.query]
            if pass_key(place) in self.rows:
                self.keys[pass_key(place)].update(keys)
            return
        name = self.endpoint.parent
        assert name is not None  # noqa: S101  # only children have parents
        for parent, key in zip(codec.key_reader(name)(array), keys, strict=True):
            unit = scope_key({name: parent})
            if unit in self.rows:
                self.keys[unit].add(key)

    def known(self) -> dict[str, Known]:
        """What each unit's listing is told."""
        return {
            key: Known(frozenset(self.keys[key] - {None}), rows) for key, rows in self.rows.items()
        }
