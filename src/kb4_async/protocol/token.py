"""Resume tokens: where a listing can go on, as one opaque string.

A token holds the version, the resource, the parent's key, the parameters, the place and what is
needed to notice that rows moved meanwhile. It never holds the key, an address or a record.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kb4_async.errors import CheckpointMismatchError, ConfigurationError
from kb4_async.protocol import codec
from kb4_async.protocol.drift import Edge
from kb4_async.protocol.ends import EndReason

VERSION = 1
PREFIX = "kb4."


@dataclass(frozen=True, slots=True)
class Identity:
    """What a token belongs to."""

    resource: str
    scope: Mapping[str, object]
    query: Mapping[str, str]
    per_page: int


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a listing read by page number.

    Attributes:
        number: The next page to deliver.
        lo: The highest page known to have rows.
        hi: The lowest page known to be empty, or None.
        full_seen: A page of exactly ``per_page`` rows was seen.
        size: The page size asked for, smaller than the caller's where the server caps pages.
        rows: Records delivered so far.
        edges: Lowest and highest key of each delivered page, ascending; empty where keys do not.
        edges_known: How many of ``edges`` are meant: the list itself goes on growing.
        moved: Rows were seen to move, so everything is to be read again.
        last: First key, last key and rows of the page before ``number``, to notice that it moved.
        blind: Some delivered records are in none of the edges, so nothing can be read again.
        end_reason: The listing ended, for this reason.
    """

    number: int = 1
    lo: int = 0
    hi: int | None = None
    full_seen: bool = False
    size: int = 0
    rows: int = 0
    edges: Sequence[Edge] = ()
    edges_known: int = 0
    moved: bool = False
    last: tuple[codec.Key, codec.Key, int] | None = None
    blind: bool = False
    end_reason: EndReason | None = None


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
        "mode": "number",
        "number": place.number,
        "lo": place.lo,
        "hi": place.hi,
        "full": place.full_seen,
        "size": place.size,
        "rows": place.rows,
        "edges": steps,
        "moved": place.moved,
        "last": place.last,
        "blind": place.blind,
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
    theirs = {name: state[name] for name in ("resource", "scope", "query", "per_page")}
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
    edges: list[Edge] = []
    total = 0
    steps = iter(state["edges"])
    for first in steps:
        low = total + first
        total = low + next(steps)
        edges.append((low, total))
    last = state["last"]
    return Place(
        number=state["number"],
        lo=state["lo"],
        hi=state["hi"],
        full_seen=state["full"],
        size=state["size"],
        rows=state["rows"],
        edges=edges,
        edges_known=len(edges),
        moved=state["moved"],
        last=None if last is None else (last[0], last[1], last[2]),
        blind=state["blind"],
        end_reason=state["end"],
    )


def unpack(token: str) -> dict[str, Any]:
    """Undo ``write_token``'s packing."""
    try:
        if not token.startswith(PREFIX):
            raise ValueError
        text = token.removeprefix(PREFIX)
        packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        state: dict[str, Any] = codec.decode(zlib.decompress(packed))
        if state["v"] != VERSION or state["mode"] != "number":
            raise ValueError
    except (ValueError, KeyError, TypeError, binascii.Error, zlib.error) as error:
        msg = "This is not a resume token of this version of kb4_async: start without one."
        raise ConfigurationError(msg) from error
    return state
