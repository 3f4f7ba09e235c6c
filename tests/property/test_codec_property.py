"""No bytes break the codec, and no record changes on its way through it."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kb4_async.errors import DecodeError
from kb4_async.protocol import codec
from kb4_async.protocol.endpoints import ENDPOINTS

table_keys = st.sampled_from(sorted({row.key for row in ENDPOINTS.values()}))
text = st.text(st.characters(codec="utf-8"), max_size=12)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**64, 2**90)
    | text
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
records = st.lists(st.dictionaries(text, values, max_size=4), max_size=5)
#: Bytes that are nearly JSON find more than bytes that are nothing.
TOKENS = rb"""[ ] { } , : " "id" "data" 1 - e .5 null \ \u00 [] {}""".split()
nearly = st.lists(
    st.sampled_from([*TOKENS, b" ", b"\n", b"\xff", b"\x00", "\u2028".encode()]), max_size=25
).map(b"".join)
bodies = st.binary(max_size=60) | nearly | nearly.map(lambda inside: b"[" + inside + b"]")


@pytest.mark.parametrize(
    "read", [codec.items_of, codec.split, codec.key_reader("id"), codec.read_one]
)
@settings(deadline=None, max_examples=300)
@given(bodies)
def test_any_bytes_give_a_result_or_a_decode_error(
    read: Callable[[bytes], object], body: bytes
) -> None:
    try:
        array = codec.read_array(body)
        read(array)
    except DecodeError:
        return


@settings(deadline=None, max_examples=300)
@given(bodies)
def test_what_decodes_has_as_many_keys_and_lines_as_records(body: bytes) -> None:
    try:
        array = codec.read_array(body)
        items = codec.items_of(array)
    except DecodeError:
        return
    assert len(codec.key_reader("id")(array)) == len(items)
    written = codec.json_lines(codec.split(array), spaced=b"\n" in array, parent=("group_id", 7))
    assert written.count(b"\n") == len(items)
    for line, item in zip(written.splitlines(), items, strict=True):
        assert codec.decode(line) == {"group_id": 7, **item}


@settings(deadline=None, max_examples=300)
@given(records, st.booleans(), st.booleans())
def test_compact_records_come_through_byte_for_byte(
    rows: list[dict[str, object]], ascii_only: bool, envelope: bool
) -> None:
    compact = [json.dumps(r, ensure_ascii=ascii_only, separators=(",", ":")).encode() for r in rows]
    array = b"[" + b",".join(compact) + b"]"
    body = b'{"data":' + array + b"}" if envelope else array
    found = codec.split(codec.read_array(body))
    assert [bytes(raw) for raw in found] == compact
    assert codec.json_lines(found, spaced=False, parent=None) == b"".join(
        line + b"\n" for line in compact
    )
    assert codec.items_of(array) == rows


@settings(deadline=None, max_examples=200)
@given(records, st.integers(0, 4), st.booleans())
def test_pretty_printed_records_lose_white_space_alone(
    rows: list[dict[str, object]], indent: int, ascii_only: bool
) -> None:
    body = json.dumps(rows, ensure_ascii=ascii_only, indent=indent).encode()
    compact = [json.dumps(r, ensure_ascii=ascii_only, separators=(",", ":")).encode() for r in rows]
    spaced = b"\n" in body
    lines = codec.json_lines(codec.split(body), spaced=spaced, parent=None)
    assert lines == b"".join(line + b"\n" for line in compact)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(-(2**200), 2**200) | text | st.none(), max_size=8), table_keys)
def test_keys_are_those_of_the_records(keys: list[codec.Key], name: str) -> None:
    body = codec.encode([{name: key, name + "x": 1} for key in keys])
    assert codec.key_reader(name)(body) == [codec.plain_key(key) for key in keys]


@settings(deadline=None, max_examples=200)
@given(
    st.binary(max_size=4000),
    st.text("abcdef0123456789", min_size=8, max_size=40),
    st.integers(0, 4000),
)
def test_no_excerpt_holds_the_credential(body: bytes, key: str, place: int) -> None:
    echoed = body[:place] + key.encode() + body[place:]
    shown = codec.excerpt(echoed, hide=key)
    assert key not in shown
    assert shown.isprintable()
    assert len(shown) <= codec.EXCERPT + 3


spellings = st.sampled_from([("a",), ("a", "b"), ("a", "b", "c")])
keyed = st.dictionaries(st.sampled_from("abcd"), values | st.integers(0, 9).map(str), max_size=4)


@settings(deadline=None, max_examples=300)
@given(st.lists(keyed, max_size=6), spellings)
def test_bytes_and_dicts_have_the_same_keys_whichever_spelling(
    rows: list[dict[str, object]], names: tuple[str, ...]
) -> None:
    found = codec.key_reader(*names)(codec.encode(rows))
    assert found == [codec.key_of(row, names) for row in rows]
    for row, key in zip(rows, found, strict=True):
        held = [row[name] for name in names if row.get(name) is not None]
        assert key == (codec.plain_key(held[0]) if held else None)


cursors = st.text(min_size=1, max_size=20) | st.integers(1) | st.integers(2**64, 2**90)


@settings(deadline=None, max_examples=300)
@given(records, cursors, st.sampled_from([(), ("id",)]), st.booleans())
def test_a_frame_gives_its_records_and_its_cursor(
    rows: list[dict[str, object]], cursor: str | int, names: tuple[str, ...], first: bool
) -> None:
    paging = {"pagination": {"per_page": 500, "next_cursor": cursor}}
    frame = {**paging, "data": rows} if first else {"data": rows, **paging}
    array, found = codec.read_frame(codec.encode(frame), names)
    assert codec.items_of(array) == rows
    assert found == cursor


@settings(deadline=None, max_examples=300)
@given(bodies, st.sampled_from([(), ("id",), ("id", "old")]))
def test_any_bytes_give_a_frame_or_a_decode_error(body: bytes, names: tuple[str, ...]) -> None:
    for wrapped in (body, b'{"data":' + body + b"}", b'{"data":[],"pagination":' + body + b"}"):
        try:
            array, _ = codec.read_frame(wrapped, names)
        except DecodeError:
            continue
        assert array[:1] + array[-1:] == b"[]"
