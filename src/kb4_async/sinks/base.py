"""The ``Sink`` protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from kb4_async.protocol.page import Page

#: How far a dataset is committed: small JSON values, opaque to everybody but the sink. What stands
#: in it is also shown in the manifest.
Position = Mapping[str, int | str]


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a sink is opened for.

    Attributes:
        name: Name of the resource: ``users``.
        key: The record's key: ``id``.
        parent: The parent's key that each record has beside its own, or None: ``group_id``.
    """

    name: str
    key: str
    parent: str | None = None


class Sink(Protocol):
    """The destination of one dataset.

    Synchronous: all calls of an export come from one worker thread, one at a time, never from the
    event loop. Pages come with their records unsplit and undecoded; ask for what the format needs
    (``page.json_lines()``, ``page.raw``, ``page.items``). Raise ``SinkError`` (or ``OSError``) when
    the destination fails: the dataset ends there, the others go on.
    """

    def open(self, dataset: Dataset, position: Position | None) -> None:
        """Begin a dataset, or go on behind ``position`` and drop whatever lies behind it."""
        ...

    def write(self, page: Page[Any]) -> None:
        """Take a page; it need not be durable before ``commit``."""
        ...

    def commit(self) -> Position:
        """Make everything written durable and say how far that is."""
        ...

    def close(self, complete: bool) -> None:  # noqa: FBT001  # one meaning, always by position
        """Release the destination; ``complete`` tells whether the dataset was proven whole."""
        ...


#: Makes a sink for one dataset.
SinkFactory = Callable[[], Sink]
