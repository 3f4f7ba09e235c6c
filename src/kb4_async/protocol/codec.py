"""JSON in and out: the only file that knows orjson and msgspec.

Records are decoded by msgspec because it keeps integers of any length exact, where orjson turns ids
beyond 64 bits into floats silently; the check that would make orjson safe costs more than the
difference (measured: 0.86 ms a page of 500 users for orjson, 0.95 for msgspec, 0.18 for the check).
``msgspec.Raw`` splits a page into records without decoding them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, TypeVar

import msgspec
import orjson

from kb4_async.errors import DecodeError
from kb4_async.protocol.masking import mask

T = TypeVar("T")

#: A record's key, as far as it can be compared: an integer, or text that is no integer.
Key = int | str | None

EXCERPT = 200

#: What a body that is no JSON makes the decoders raise; endless nesting is the last.
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

decode_items = msgspec.json.Decoder(list[dict[str, Any]])
decode_raw = msgspec.json.Decoder(list[msgspec.Raw])

EMPTY = re.compile(rb"\[\s*\]")

#: An envelope says that there is no next cursor.
STATED = object()


class Envelope(msgspec.Struct):
    """The object some answers wrap their records in (seen on enrollments in production code)."""

    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    pagination: Any = None


decode_envelope = msgspec.json.Decoder(Envelope)


def read_frame(body: bytes, keys: Sequence[str] = ()) -> tuple[bytes, object]:
    """Return the JSON array of records inside an answer's body, without decoding it.

    A bare array is itself; ``{"data": [...]}`` is unwrapped; a single object is a list of one, for
    the API's documentation prints one where a list is served. Only the frame is looked at.

    Args:
        body: The answer's body.
        keys: Spellings of the record's key, one of which a single object must have: an error is
            no record.

    Returns:
        The array, and ``pagination.next_cursor`` where the frame has one, ``STATED`` if it is
        empty.

    Raises:
        DecodeError: The body is neither an array nor an object, or an object of another kind.
    """
    text = body.strip()
    if text[:1] == b"[" and text[-1:] == b"]":
        return text, None
    if text[:1] == b"{" and text[-1:] == b"}":
        try:
            envelope = decode_envelope.decode(text)
        except UNREADABLE as error:
            raise unreadable(str(error), body) from error
        if envelope.data is not msgspec.UNSET:
            paging = envelope.pagination if isinstance(envelope.pagination, dict) else {}
            cursor = paging.get("next_cursor")
            if cursor in (None, "") and "next_cursor" in paging:
                cursor = STATED
            return read_frame(bytes(envelope.data), keys)[0], cursor
        if keys and items_of(b"[" + text + b"]")[0].keys().isdisjoint(keys):
            raise unreadable(f"it is an object without {keys[0]!r}, so no record", body)
        return b"[" + text + b"]", None
    raise unreadable("it is neither a JSON array nor an object", body)


def is_empty(array: bytes) -> bool:
    """Whether an array holds nothing, seen at its first bytes."""
    return EMPTY.fullmatch(array) is not None


def read_array(body: bytes, keys: Sequence[str] = ()) -> bytes:
    """Return the JSON array of records inside an answer's body: see ``read_frame``."""
    return read_frame(body, keys)[0]


def read_one(body: bytes, keys: Sequence[str] = ()) -> bytes:
    """Return the array of an answer that holds one record, alone or in an array (both are served).

    Raises:
        DecodeError: It holds none or several.
    """
    array = read_array(body, keys)
    found = len(items_of(array))
    if found != 1:
        raise unreadable(f"one record was expected, not {found}", body)
    return array


def items_of(array: bytes) -> list[dict[str, Any]]:
    """Decode an array of records.

    Raises:
        DecodeError: It is not valid JSON, or not an array of objects.
    """
    try:
        return decode_items.decode(array)
    except UNREADABLE as error:
        raise unreadable(str(error), array) from error


def check_text(array: bytes) -> None:
    """Look at the encoding of text that is not decoded: msgspec skips it without looking.

    Raises:
        DecodeError: It is not UTF-8.
    """
    try:
        if not array.isascii():
            array.decode()
    except UNREADABLE as error:
        raise unreadable(str(error), array) from error


def split(array: bytes) -> Sequence[msgspec.Raw]:
    """Split an array into its records' bytes, as served, without decoding them.

    The pieces are views: each keeps the whole array alive.

    Raises:
        DecodeError: It is not valid JSON in UTF-8.
    """
    check_text(array)
    try:
        return decode_raw.decode(array)
    except UNREADABLE as error:
        raise unreadable(str(error), array) from error


@lru_cache
def key_reader(key: str, *old: str) -> Callable[[bytes], list[Key]]:
    """Make a function that reads the keys of an array's records, and decodes nothing else.

    Its cost is about a quarter of decoding the page.

    Args:
        key: The key's name.
        old: Names it had in former years, for records that lack it.
    """
    names = {f"key{place}": name for place, name in enumerate((key, *old))}
    fields = [(field, Any, None) for field in names]
    getters = [attrgetter(field) for field in names]
    struct = msgspec.defstruct("Keyed", fields, rename=names, gc=False)
    decoder = msgspec.json.Decoder(list[struct])  # type: ignore[valid-type]  # made at run time

    def read(array: bytes) -> list[Key]:
        try:
            rows: list[Any] = decoder.decode(array)
        except UNREADABLE as error:
            raise unreadable(str(error), array) from error
        return merge_keys(list(map(get, rows)) for get in getters)

    return read


def keys_of(items: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[Key]:
    """The keys of a page's decoded records, whichever spelling each has."""
    return merge_keys([item.get(name) for item in items] for name in names)


def merge_keys(columns: Iterator[list[Any]]) -> list[Key]:
    """Make a page's keys comparable.

    Args:
        columns: The values under each spelling; the next one is only read where some lack it.
    """
    values = next(columns)
    while None in values and (others := next(columns, None)) is not None:
        values = [o if v is None else v for v, o in zip(values, others, strict=True)]
    # Nearly always they are integers all, and no call a record is needed to see that.
    return values if set(map(type, values)) == {int} else [plain_key(value) for value in values]


def key_of(item: Mapping[str, Any], names: Sequence[str]) -> Key:
    """The key of one decoded record: see ``keys_of``."""
    return keys_of([item], names)[0]


def plain_key(value: object) -> Key:
    """Make keys comparable: ids sent as digits in a string are the same ids."""
    if type(value) is int:
        return value
    if type(value) is str:
        is_id = value.isascii() and value.isdigit() and len(value) < 100
        return int(value) if is_id and (value[0] != "0" or value == "0") else value
    return None


def json_lines(
    records: Sequence[msgspec.Raw], *, spaced: bool, parent: tuple[str, object] | None
) -> bytes:
    """Write records as JSON lines: the served bytes, each closed by a line feed.

    Args:
        records: What ``split`` returned.
        spaced: The array holds line breaks; records that span lines lose white space outside
            strings.
        parent: A key and value appended before the closing brace of records that lack the key.
    """
    pieces: Sequence[bytes | msgspec.Raw] = records
    if spaced:
        pieces = [on_one_line(bytes(record)) for record in records]
    if parent is not None:
        pieces = [with_parent(bytes(piece), *parent) for piece in pieces]
    return b"\n".join((*pieces, b"")) if pieces else b""


def on_one_line(record: bytes) -> bytes:
    """A record without white space outside strings, if it spans lines; otherwise as it is."""
    spans = b"\n" in record or b"\r" in record
    return msgspec.json.format(record, indent=-1) if spans else record


def with_parent(record: bytes, key: str, value: object) -> bytes:
    """Append one key to a record's bytes, unless it has it."""
    if key in msgspec.json.decode(record, type=dict[str, msgspec.Raw]):
        return record
    body = record.rstrip()[:-1].rstrip()
    comma = b"" if body.endswith(b"{") else b","
    return body + comma + encode(key) + b":" + encode(value) + b"}"


def encode(value: object) -> bytes:
    """Write compact JSON; integers of any length stay exact."""
    try:
        return orjson.dumps(value)
    except TypeError:  # orjson refuses integers beyond 64 bits
        return msgspec.json.encode(value)


def encode_pretty(value: object) -> bytes:
    """Write indented JSON for people, closed by a line feed."""
    return msgspec.json.format(encode(value), indent=2) + b"\n"


def decode(data: bytes) -> Any:  # noqa: ANN401  # JSON holds anything
    """Read JSON of our own (tokens, manifests), integers of any length exact.

    Raises:
        ValueError: It is not JSON.
    """
    return msgspec.json.decode(data)


def to_plain(value: object) -> Any:  # noqa: ANN401  # as JSON holds it
    """A dataclass, whatever it holds, as dicts, lists and plain values."""
    return msgspec.to_builtins(value)


def from_plain(value: object, kind: type[T]) -> T:
    """A dataclass of what ``to_plain`` made, each field of its declared type.

    Raises:
        ValueError: It is something else.
    """
    return msgspec.convert(value, kind)


def excerpt(body: bytes, hide: str = "") -> str:
    """The start of a body as one printable line, without the credential it may echo."""
    # The whole body is looked at, so that no credential is cut in two and left in part.
    text = body.decode("utf-8", "replace")
    if hide:
        text = mask(text, hide)
        cut = next((n for n in range(len(hide) - 1, 3, -1) if text.endswith(hide[:n])), 0)
        text = text[: len(text) - cut]
    text = text[: EXCERPT * 8]
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= EXCERPT else line[:EXCERPT] + "..."


def unreadable(why: str, body: bytes) -> DecodeError:
    """The one error of this file."""
    return DecodeError(f"The answer cannot be read: {why}.", excerpt=excerpt(body))
