"""Resume tokens: where a listing can go on, as one opaque string.

A token holds the version, the resource, the parent's key, the parameters, the place and what is
needed to notice that rows moved meanwhile. It never holds the key, an address or a record.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, Literal, NamedTuple, get_args

from kb4_async.errors import CheckpointMismatchError, ConfigurationError
from kb4_async.protocol import codec
from kb4_async.protocol.asks import Edges
from kb4_async.protocol.cursors import Cursor
from kb4_async.protocol.drift import Edge
from kb4_async.protocol.endpoints import MAX_PER_PAGE
from kb4_async.protocol.ends import EndReason

VERSION = 1
PREFIX = "kb4."

NOT_OURS = "This is not a resume token of this version of kb4_async: start without one."
UNPACKABLE = (ValueError, KeyError, TypeError, RecursionError, binascii.Error, zlib.error)


class Identity(NamedTuple):
    """What a token belongs to."""

    resource: str
    scope: Mapping[str, object]
    query: Mapping[str, str]
    per_page: int


class Place(NamedTuple):
    """A place in a listing.

    Attributes:
        number: The next page to deliver.
        mode: How the listing is paged. ``lo``, ``hi`` and ``full_seen`` are of page numbers,
            ``anchor`` is of cursors.
        anchor: Where the page before ``number`` begins.
        lo: The highest page known to have rows.
        hi: The lowest page known to be empty, or None.
        full_seen: A page of exactly ``per_page`` rows was seen.
        size: The page size asked for, smaller than the caller's where the server caps pages.
        rows: Records delivered so far.
        edges: Lowest and highest key of each delivered page, ascending; empty where keys do not.
        edges_known: How many of ``edges`` are meant: the list itself goes on growing.
        moved: Rows were seen to move, so everything is to be read again.
        rereading: Everything is being read again: ``number`` is where that reading stands.
        last: First key, last key and rows of the page before ``number``, to notice that it moved.
        tail: The same of page ``lo`` as it was first seen, to notice that rows moved behind.
        cut: Rows of page ``number`` already delivered, where ``max_items`` ended within it.
        blind: Some delivered records are in none of the edges, so nothing can be read again.
        end_reason: The listing ended, for this reason.
    """

    number: int = 1
    mode: Literal["number", "cursor"] = "number"
    anchor: Cursor | None = None
    lo: int = 0
    hi: int | None = None
    full_seen: bool = False
    size: int = 0
    rows: int = 0
    edges: Sequence[Edge] = ()
    edges_known: int = 0
    moved: bool = False
    rereading: bool = False
    last: Edges | None = None
    tail: Edges | None = None
    blind: bool = False
    cut: int = 0
    end_reason: EndReason | None = None

    @property
    def forgetful(self) -> bool:
        """Whether some delivered records cannot be told again from what stands here."""
        return self.blind or (self.rows > 0 and not self.edges_known)


def write_token(identity: Identity, place: Place) -> str:
    """Write a token. Cost: a few microseconds a thousand delivered pages, and as many bytes
    each."""
    edges = place.edges[: place.edges_known]
    flat = [key for edge in edges for key in edge]
    # Differences of ascending keys are short, which is what zlib then makes small.
    steps = [b - a for a, b in zip([0, *flat], flat, strict=False)]
    state = {
        "v": VERSION,
        "resource": identity.resource,
        "scope": dict(identity.scope),
        "query": dict(identity.query),
        "per_page": identity.per_page,
        "mode": place.mode,
        "anchor": None if place.anchor is None else [place.anchor.value, place.anchor.link],
        "number": place.number,
        "lo": place.lo,
        "hi": place.hi,
        "full": place.full_seen,
        "size": place.size,
        "rows": place.rows,
        "edges": steps,
        "moved": place.moved,
        "rereading": place.rereading,
        "last": place.last,
        "tail": place.tail,
        "blind": place.blind,
        "cut": place.cut,
        "end": place.end_reason,
    }
    packed = zlib.compress(codec.encode(state), 6)
    return PREFIX + base64.urlsafe_b64encode(packed).decode().rstrip("=")


def read_token(token: str, identity: Identity) -> Place:
    """Read a token that must belong to this listing.

    Raises:
        ConfigurationError: It is not a token, or not of this version of the library.
        CheckpointMismatchError: It belongs to another listing; the message names the difference.
    """
    state = unpack(token)
    theirs = {name: state.get(name) for name in ("resource", "scope", "query", "per_page")}
    ours = {
        "resource": identity.resource,
        "scope": dict(identity.scope),
        "query": dict(identity.query),
        "per_page": identity.per_page,
    }
    for name, value in ours.items():
        if theirs[name] != value:
            msg = (
                f"The resume token is of another listing: its {name} is {theirs[name]!r}, here it "
                f"is {value!r}. Use the same call that gave the token, or start without one."
            )
            raise CheckpointMismatchError(msg)
    return checked_place(state)


def place_of(token: str) -> Place:
    """Read a token's place, whatever listing it belongs to.

    Raises:
        ConfigurationError: It is not a token, or not of this version of the library.
    """
    return checked_place(unpack(token))


def checked_place(state: dict[str, Any]) -> Place:
    """Read a token's place.

    Raises:
        ConfigurationError: Nobody here wrote it.
    """
    try:
        return read_place(state)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ConfigurationError(NOT_OURS) from error


def read_page_edges(value: Any) -> Edges | None:  # noqa: ANN401  # as JSON holds it
    """Read how a page began, ended and counted."""
    if value is None:
        return None
    first_key, last_key, rows = value
    return first_key, last_key, int(rows)


def read_place(state: dict[str, Any]) -> Place:
    """Read a token's place; whatever raises means that nobody here wrote it."""
    steps = [int(step) for step in state["edges"]]
    flat = list(accumulate(steps))
    edges: list[Edge] = list(zip(flat[::2], flat[1::2], strict=True))
    if state["end"] is not None and state["end"] not in get_args(EndReason):
        raise ValueError(state["end"])
    hi, anchor = state["hi"], state["anchor"]
    place = Place(
        number=int(state["number"]),
        mode=state["mode"],
        anchor=None if anchor is None else Cursor(str(anchor[0]), link=bool(anchor[1])),
        lo=int(state["lo"]),
        hi=None if hi is None else int(hi),
        full_seen=bool(state["full"]),
        size=int(state["size"]),
        rows=int(state["rows"]),
        edges=edges,
        edges_known=len(edges),
        moved=bool(state["moved"]),
        rereading=bool(state.get("rereading")),
        last=read_page_edges(state["last"]),
        tail=read_page_edges(state.get("tail")),
        blind=bool(state["blind"]),
        cut=int(state["cut"]),
        end_reason=state["end"],
    )
    if place.number < 1 or place.rows < 0 or not 0 <= place.size <= MAX_PER_PAGE:
        raise ValueError(place)
    if place.mode == "cursor" and place.number > 1 and place.anchor is None:
        raise ValueError(place)
    return place


def unpack(token: str) -> dict[str, Any]:
    """Undo ``write_token``'s packing."""
    try:
        if not isinstance(token, str) or not token.startswith(PREFIX):
            raise ValueError
        text = token.removeprefix(PREFIX)
        packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        state: dict[str, Any] = codec.decode(zlib.decompress(packed))
        if state["v"] != VERSION or state["mode"] not in {"number", "cursor"}:
            raise ValueError
    except UNPACKABLE as error:
        raise ConfigurationError(NOT_OURS) from error
    return state
