"""The page: the unit inside the library, handed to sinks and to whoever asks for pages."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar, cast

import msgspec

from kb4_async.protocol import codec
from kb4_async.protocol.endpoints import Endpoint
from kb4_async.protocol.ends import EndReason
from kb4_async.protocol.token import Identity, Place, write_token

R = TypeVar("R")
T = TypeVar("T")


@dataclass(slots=True)
class Content:
    """The records of a page: bytes as they came, decoded or split once when somebody asks.

    Attributes:
        array: The JSON array as served.
        rows: Records that belong to the page.
        keep: Their indexes in the array; None for all. Records delivered before (rows move while a
            listing is read) are left out.
        items: The page's records as dicts, once decoded.
        raw: The page's records as bytes, once split.
    """

    array: bytes = b"[]"
    rows: int = 0
    keep: Sequence[int] | None = None
    items: list[dict[str, Any]] | None = None
    raw: Sequence[msgspec.Raw] | None = None


def choose(records: Sequence[T], keep: Sequence[int] | None) -> Sequence[T]:
    """The records at the given indexes, or all."""
    return records if keep is None else [records[index] for index in keep]


def complete(
    items: Sequence[dict[str, Any]], endpoint: Endpoint, scope: Mapping[str, object]
) -> None:
    """Add what records lack: the parent's key, and the modern spelling beside an old one."""
    for old, modern in endpoint.aliases:
        *outer, old_name = old.split(".")
        modern_name = modern.rpartition(".")[2]
        for holder in [nested(item, outer) for item in items] if outer else items:
            if old_name in holder:
                holder.setdefault(modern_name, holder[old_name])
    if endpoint.parent is not None:
        for item in items:
            item.setdefault(endpoint.parent, scope[endpoint.parent])


def nested(item: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The object inside a record at a path; an empty one where there is none."""
    found: Any = item
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True, eq=False)
class Page(Generic[R]):
    """One page of a listing. Frozen; records are decoded or split on first use.

    Attributes:
        resource: Name of the listing, as in exports: ``users``.
        scope: The parent's key, ``{"group_id": 789}``; empty without a parent.
        number: The page's number at the server, from 1.
        end_reason: On the last page, which has no items, what proves that everything was read; None
            on all others.
        request_id: The server's ``X-Request-Id``; None on the last page.
        attempts: Attempts the page took; 0 on the last page.
        expected: On the last page, how many records the server itself counts, where it counts them;
            None elsewhere.
    """

    resource: str
    scope: Mapping[str, object]
    number: int
    end_reason: EndReason | None
    request_id: str | None
    attempts: int
    endpoint: Endpoint = field(repr=False)
    content: Content = field(repr=False)
    identity: Identity = field(repr=False)
    place: Place = field(repr=False)
    next_place: Place = field(repr=False)
    expected: int | None = None

    @property
    def items(self) -> list[R]:
        """The records as dicts, decoded on first use; the same list each time."""
        content = self.content
        if content.items is None:
            items = list(choose(codec.items_of(content.array), content.keep))
            complete(items, self.endpoint, self.scope)
            content.items = items
        return cast("list[R]", content.items)

    @property
    def raw(self) -> Sequence[msgspec.Raw]:
        """The records' bytes as served, split without decoding. Each supports the buffer
        protocol."""
        content = self.content
        if content.raw is None:
            content.raw = choose(codec.split(content.array), content.keep)
        return content.raw

    @property
    def token(self) -> str:
        """Resume token of this page: starting there delivers it again."""
        return write_token(self.identity, self.place)

    @property
    def next_token(self) -> str:
        """Resume token of what follows; on the last page a token that yields only the last page."""
        return write_token(self.identity, self.next_place)

    def json_lines(self) -> bytes:
        """The records as JSON lines: the served bytes, with only a missing parent key appended."""
        content = self.content
        spaced = b"\n" in content.array or b"\r" in content.array
        parent = self.endpoint.parent
        added = None if parent is None else (parent, self.scope[parent])
        return codec.json_lines(self.raw, spaced=spaced, parent=added)

    def __len__(self) -> int:
        """Records of the page, without decoding them."""
        return self.content.rows


def without(page: Page[R], known: Container[codec.Key]) -> Page[R]:
    """The same page without the records of these keys, which another listing delivered."""
    items = cast("list[dict[str, Any]]", page.items)
    keys = codec.keys_of(items, page.endpoint.keys)
    kept = [index for index, key in enumerate(keys) if key is None or key not in known]
    if len(kept) == len(keys):
        return page
    content = Content(
        page.content.array,
        rows=len(kept),
        items=list(choose(items, kept)),
        raw=choose(page.raw, kept),
    )
    return replace(page, content=content)
