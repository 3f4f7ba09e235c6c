"""The items of a JSON file: one array, or an object a line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from kb4_async.errors import DecodeError
from kb4_async.protocol import codec
from kb4_async.protocol.scim.columns import Rejected
from kb4_async.scim.input_rows import PADDING, Assembler
from kb4_async.scim.input_text import Text

T = TypeVar("T")

CUT = "the file is cut off: it ends in the middle of a JSON value"
UNCLOSED = "the file is cut off: the array is not closed by ]"


def json_items(text: Text, made: Assembler[T]) -> Iterator[Sequence[T | Rejected]]:
    """Read a JSON file: of each item what was made of it."""
    values = array_values(text) if text.first() == "[" else line_values(text)
    for place, value in values:
        yield [value] if isinstance(value, Rejected) else made.item(place, value)


def line_values(text: Text) -> Iterator[tuple[str, Any]]:
    """The values of JSON lines."""
    for number, line in enumerate(text.lines(), 1):
        if line.strip(PADDING):
            place = f"line {number}"
            last = not line.endswith(("\n", "\r"))
            yield place, read_value(place, line.encode("utf-8", "replace"), last=last)


def read_value(place: str, piece: bytes, *, last: bool) -> Any:  # noqa: ANN401  # JSON holds anything
    """Read a value, or say why it is none.

    Args:
        place: Where it stands.
        piece: Its text.
        last: Nothing follows, so it may be a part.
    """
    try:
        return codec.decode(piece)
    except (ValueError, RecursionError) as error:
        if last and ("truncated" in str(error) or not piece.rstrip().endswith(b"}")):
            return Rejected(place, CUT)
        return Rejected(place, f"it cannot be read as JSON: {str(error).rstrip('.')}")


def array_values(text: Text) -> Iterator[tuple[str, Any]]:
    """The values of an array."""
    whole = "".join(text.blocks()).strip(PADDING)
    try:
        pieces = codec.split(whole.encode("utf-8", "replace"))
    except DecodeError:
        yield from damaged_values(whole)
        return
    for number, piece in enumerate(pieces, 1):
        place = f"item {number}"
        yield place, read_value(place, bytes(piece), last=False)


def damaged_values(whole: str) -> Iterator[tuple[str, Any]]:
    """The values of an array that is cut off, or holds something that cannot be read."""
    number = 0
    for piece, closed in array_pieces(whole):
        if closed and not piece.strip():
            continue  # two commas, or one before the end
        number += 1
        place = f"item {number}"
        if not piece.strip():
            yield place, Rejected(place, UNCLOSED)
            continue
        value = read_value(place, piece.encode("utf-8", "replace"), last=not closed)
        yield place, value
        if not closed and not isinstance(value, Rejected):
            place = f"item {number + 1}"
            yield place, Rejected(place, UNCLOSED)


#: What tells items apart. A quote alone opens a string that never ends.
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{},"]', re.DOTALL)


def array_pieces(whole: str) -> Iterator[tuple[str, bool]]:
    """Cut an array where its own commas are; the last piece of one without an end is not closed."""
    depth, begin = 0, 1
    for token in TOKEN.finditer(whole, 1):
        sign = token[0]
        if sign in {"{", "["}:
            depth += 1
        elif sign == '"':
            break
        elif sign == "," and not depth:
            yield whole[begin : token.start()], True
            begin = token.end()
        elif sign in {"}", "]"} and not depth:
            yield whole[begin : token.start()], True
            if whole[token.end() :].strip():
                yield whole[token.start() :], True  # no JSON, so it is refused
            return
        elif sign in {"}", "]"}:
            depth -= 1
    yield whole[begin:], False
