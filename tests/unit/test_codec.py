import json
from collections.abc import Callable
from typing import Any

import pytest

from kb4_async.errors import DecodeError
from kb4_async.protocol import codec

BIG = 12345678901234567890123456789012345678901
#: Text made to look like the borders between records.
TRAP = 'a"},{"id":2},\\'


def dumps(value: object, **options: Any) -> bytes:
    return json.dumps(value, **options).encode()


def lines(body: bytes, parent: tuple[str, object] | None = None) -> bytes:
    array = codec.read_array(body)
    return codec.json_lines(codec.split(array), spaced=b"\n" in array, parent=parent)


@pytest.mark.parametrize(
    ("body", "array"),
    [
        (b"[]", b"[]"),
        (b' \r\n[{"id":1}]\n', b'[{"id":1}]'),
        (b'{"data":[{"id":1}]}', b'[{"id":1}]'),
        (b'{"pagination":{"next_cursor":null},"data": [] }', b"[]"),
        (b'{"data":[{"data":[1]}]}', b'[{"data":[1]}]'),
        (b'{"id":1}', b'[{"id":1}]'),
        (b"{}", b"[{}]"),
    ],
)
def test_the_records_are_found_in_an_array_an_envelope_or_a_single_object(
    body: bytes, array: bytes
) -> None:
    assert codec.read_array(body) == array


UNREADABLE = {
    "nothing": b"",
    "white space": b" \n",
    "HTML": b"<!DOCTYPE html><html><body>Sign in</body></html>",
    "text": b'"text"',
    "number": b"1",
    "null": b"null",
    "cut in the frame": b'[{"id":1},{"id"',
    "cut envelope": b'{"data":[{"id":1}',
    "envelope of null": b'{"data":null}',
    "envelope of text": b'{"data":"[]"}',
    "two objects": b'{"id":1}{"id":2}',
    "error page after": b"[]<html>",
    "byte order mark": b"\xef\xbb\xbf[]",
}
BROKEN_INSIDE = {
    "cut between records": b'[{"id":1},]',
    "cut inside a record": b'[{"id":1},{"id"]',
    "second array": b"[][]",
    "not a number": b'[{"id":NaN}]',
    "line feed in text": b'[{"id":1,"name":"a\nb"}]',
    "invalid UTF-8": b'[{"id":1,"name":"\xff\xfe"}]',
    "UTF-8 cut in a character": b'[{"id":1,"name":"\xf0\x9f\x98"}]',
    "surrogate in UTF-8": b'[{"id":1,"name":"\xed\xa0\x80"}]',
    "overlong UTF-8": b'[{"id":1,"name":"\xc0\xaf"}]',
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_body_that_is_no_answer_is_a_decode_error(body: bytes) -> None:
    with pytest.raises(DecodeError):
        codec.read_array(body)


@pytest.mark.parametrize("read", [codec.items_of, codec.split])
@pytest.mark.parametrize("array", BROKEN_INSIDE.values(), ids=BROKEN_INSIDE.keys())
def test_an_array_that_is_broken_inside_is_a_decode_error_however_it_is_read(
    read: Callable[[bytes], object], array: bytes
) -> None:
    with pytest.raises(DecodeError):
        read(array)


@pytest.mark.parametrize("array", [b"[1]", b'["a"]', b"[null]", b"[[]]", b'[{"id":1},2]'])
def test_an_array_of_something_else_is_a_decode_error(array: bytes) -> None:
    with pytest.raises(DecodeError):
        codec.items_of(array)
    with pytest.raises(DecodeError):
        codec.key_reader("id")(array)


DEEP = 200_000


@pytest.mark.parametrize(
    "body",
    [
        b"[" * DEEP + b"]" * DEEP,
        b'[{"a":' + b"[" * DEEP + b"]" * DEEP + b"}]",
        b'{"data":' * DEEP + b"[]" + b"}" * DEEP,
    ],
    ids=["arrays", "inside a record", "envelopes"],
)
@pytest.mark.parametrize("read", [codec.items_of, codec.split, codec.key_reader("id")])
def test_a_body_nested_without_end_is_a_decode_error(
    read: Callable[[bytes], object], body: bytes
) -> None:
    with pytest.raises(DecodeError):
        read(codec.read_array(body))


@pytest.mark.parametrize("body", [b'{"id":1}', b'[{"id":1}]', b'{"data":[{"id":1}]}'])
def test_one_record_is_read_alone_or_in_an_array(body: bytes) -> None:
    assert codec.items_of(codec.read_one(body)) == [{"id": 1}]


@pytest.mark.parametrize("body", [b"[]", b'[{"id":1},{"id":2}]', b"<html>"])
def test_none_or_several_are_not_one_record(body: bytes) -> None:
    with pytest.raises(DecodeError):
        codec.read_one(body)


@pytest.mark.parametrize("number", [2**53 + 1, 2**63, 2**64 - 1, 2**64, 2**64 + 1, BIG, -BIG])
def test_an_integer_of_any_length_is_exact_everywhere(number: int) -> None:
    body = b'[{"id":%d}]' % number
    assert codec.items_of(body) == [{"id": number}]
    assert codec.key_reader("id")(body) == [number]
    assert lines(body) == b'{"id":%d}\n' % number
    assert codec.decode(codec.encode({"id": number})) == {"id": number}
    assert lines(b'[{"id":1}]', ("group_id", number)) == b'{"id":1,"group_id":%d}\n' % number


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (b"7", 7),
        (b'"7"', 7),
        (b"-7", -7),
        (b'"abc"', "abc"),
        (b'"2026-11-23"', "2026-11-23"),
        (b'""', ""),
        (b'"%d"' % BIG, BIG),
        (b"null", None),
        (b"true", None),
        (b"1.5", None),
        (b"[1]", None),
        ('"\u0667"'.encode(), "\u0667"),
    ],
)
def test_a_key_is_an_integer_or_text_or_none(value: bytes, key: codec.Key) -> None:
    found = codec.key_reader("enrollment_id")(b'[{"a":1,"enrollment_id":%s}]' % value)
    assert found == [key]
    assert [type(found[0])] == [type(key)]


def test_a_record_without_the_key_has_none() -> None:
    assert codec.key_reader("id")(b'[{"a":1},{"id":2}]') == [None, 2]


@pytest.mark.parametrize(("one", "other"), [("007", "7"), ("00", "0")])
def test_different_texts_that_are_no_ids_stay_different_keys(one: str, other: str) -> None:
    # Two records whose keys were taken for one would become one record.
    assert codec.plain_key(one) != codec.plain_key(other)


def test_the_key_that_counts_is_the_records_own() -> None:
    body = dumps([{"nested": {"id": 1}, "text": '"id":2', "id": 3}])
    assert codec.key_reader("id")(body) == [3]


@pytest.mark.parametrize("text", [TRAP, "\u2028\u2029", "\x00\x1f\n\r", "\U0001f600", "}]", '\\"'])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_no_text_breaks_a_record_or_a_line(text: str, ascii_only: bool) -> None:
    records = [{"id": 1, "name": text, text: [text, {text: None}]}, {"id": 2}]
    body = dumps(records, ensure_ascii=ascii_only, separators=(",", ":"))
    assert [bytes(raw) for raw in codec.split(body)] == [
        dumps(record, ensure_ascii=ascii_only, separators=(",", ":")) for record in records
    ]
    written = lines(body)
    assert written.endswith(b"\n")
    assert [json.loads(line) for line in written[:-1].split(b"\n")] == records
    assert codec.items_of(body) == records


def test_what_is_served_on_one_line_is_written_as_served() -> None:
    body = b'[{ "id" :1.0e2, "a":"\\u00e9\\/" }, {"id": 100.50}]'
    assert lines(body) == b'{ "id" :1.0e2, "a":"\\u00e9\\/" }\n{"id": 100.50}\n'


@pytest.mark.parametrize("options", [{"indent": 2}, {"indent": "\t"}, {"indent": 0}])
def test_a_pretty_printed_record_loses_white_space_outside_strings_alone(
    options: dict[str, Any],
) -> None:
    records = [{"id": BIG, "name": f" a  {TRAP} \n ", "x": [1, {}, [], 1.50]}, {}]
    for ending in (b"\n", b"\r\n"):
        body = dumps(records, **options).replace(b"\n", ending)
        compact = [dumps(record, separators=(",", ":")) for record in records]
        assert lines(body).splitlines() == compact


def test_numbers_of_a_pretty_printed_record_keep_their_spelling() -> None:
    assert lines(b'[\n{\n"a": 1.0,\n"b": 1e5,\n"c": -0}\n]') == b'{"a":1.0,"b":1e5,"c":-0}\n'


def test_a_record_on_one_line_is_written_as_served_though_the_array_has_several() -> None:
    # Semantics 8: white space goes where a record spans lines.
    body = b'[\n  {"id": 1, "a": "b"},\n  {"id": 2}\n]'
    assert lines(body) == b'{"id": 1, "a": "b"}\n{"id": 2}\n'


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (b'{"id":1}', b'{"id":1,"group_id":789}'),
        (b"{}", b'{"group_id":789}'),
        (b"{ }", b'{"group_id":789}'),
        (b'{"id":1 }', b'{"id":1,"group_id":789}'),
        (b'{"group_id":5}', b'{"group_id":5}'),
        (b'{"group_id":null}', b'{"group_id":null}'),
        (b'{"group\\u005fid":5}', b'{"group\\u005fid":5}'),
        (b'{"a":{"group_id":5}}', b'{"a":{"group_id":5},"group_id":789}'),
        (b'{"a":"group_id"}', b'{"a":"group_id","group_id":789}'),
        (b'{"a":"{"}', b'{"a":"{","group_id":789}'),
        (b'{"a":{}}', b'{"a":{},"group_id":789}'),
    ],
)
def test_a_parent_key_is_appended_where_the_record_lacks_it(record: bytes, line: bytes) -> None:
    assert lines(b"[" + record + b"]", ("group_id", 789)) == line + b"\n"


def test_a_parent_key_that_is_text_is_quoted() -> None:
    assert lines(b"[{}]", ("a", TRAP)) == dumps({"a": TRAP}, separators=(",", ":")) + b"\n"


def test_no_records_are_no_lines() -> None:
    assert lines(b"[]") == b""
    assert lines(b"[\n]", ("group_id", 1)) == b""


def test_pretty_json_is_read_back_and_ends_its_line() -> None:
    value = {"rows": BIG, "a": [TRAP]}
    text = codec.encode_pretty(value)
    assert json.loads(text) == value
    assert text.endswith(b"}\n")
    assert b"\n  " in text


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"{}x"])
def test_what_is_no_json_of_ours_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|truncated|utf-8"):
        codec.decode(data)


def test_an_excerpt_is_one_short_printable_line() -> None:
    text = codec.excerpt(b"<html>\n\x1b[31m  \xff " + "\u2028\u00e9".encode() * 1000)
    assert text.isprintable()
    assert len(text) <= codec.EXCERPT + 3
    assert text.startswith("<html> [31m")


@pytest.mark.parametrize("before", [0, 1, 1500, 1580, 1594, 1599, 1600])
def test_an_excerpt_never_shows_a_credential_wherever_it_stands(before: int) -> None:
    key = "secret-key-of-some-length"
    # White space is shortened, so what stands far into the body can come into the excerpt.
    text = codec.excerpt(b" " * before + key.encode() + b"!", hide=key)
    assert "secret" not in text


@pytest.mark.parametrize("space", [" ", "\u2003", "\r\n"])
@pytest.mark.parametrize("times", [2, 5, 9, 40])
def test_an_excerpt_shows_no_part_of_a_credential_that_is_echoed_often(
    space: str, times: int
) -> None:
    key = "0123456789" * 37 + "end"  # a key of KnowBe4 is about this long
    text = codec.excerpt((space * 7).join([key] * times).encode(), hide=key)
    assert "0123" not in text


def test_a_decode_error_shows_the_start_of_what_came() -> None:
    with pytest.raises(DecodeError) as caught:
        codec.read_array(b"<html>Sign in</html>")
    assert caught.value.excerpt == "<html>Sign in</html>"
