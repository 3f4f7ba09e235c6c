"""Frames with cursors, and keys that have an old spelling too."""

import json
from typing import Any

import pytest

from kb4_async.errors import DecodeError
from kb4_async.protocol import codec
from kb4_async.protocol.endpoints import ENDPOINTS, STORE_PURCHASES

BIG = 2**64 + 1
SPELLINGS = ("store_purchase_id", "store_purchased_id")


def body(value: object) -> bytes:
    return json.dumps(value).encode()


def envelope(**pagination: object) -> bytes:
    return body({"data": [{"id": 1}], "pagination": dict(pagination, per_page=500)})


# -- the frame ------------------------------------------------------------------------------------


@pytest.mark.parametrize("cursor", ["abc", "0", " ", 7, -1, BIG, "\u00e9"])
def test_an_envelopes_cursor_comes_with_its_records(cursor: object) -> None:
    assert codec.read_frame(envelope(next_cursor=cursor)) == (b'[{"id": 1}]', cursor)


@pytest.mark.parametrize("pagination", [None, [], "next_cursor", 7, {}, {"cursor": "a"}])
def test_an_envelope_that_says_nothing_of_a_next_cursor_has_none(pagination: object) -> None:
    served = body({"data": [{"id": 1}], "pagination": pagination})
    assert codec.read_frame(served) == (b'[{"id": 1}]', None)
    assert codec.read_frame(body({"data": []})) == (b"[]", None)


@pytest.mark.parametrize("served", [b"[]", b'[{"pagination":{"next_cursor":"a"}}]', b'{"id":1}'])
def test_only_an_envelope_has_a_cursor(served: bytes) -> None:
    assert codec.read_frame(served)[1] is None


def test_a_cursor_inside_the_records_is_none_of_the_envelopes() -> None:
    inner = {"data": [{"id": 1}], "pagination": {"next_cursor": "inner"}}
    served = body({"data": inner, "pagination": {"next_cursor": "outer"}})
    assert codec.read_frame(served) == (b'[{"id": 1}]', "outer")


def test_the_order_of_an_envelope_means_nothing() -> None:
    served = b'{"pagination":{"next_cursor":"a"},"more":1,"data":[]}'
    assert codec.read_frame(served) == (b"[]", "a")


@pytest.mark.parametrize("served", [b'{"pst_id":1}', b'{"old":1}', b'{"pst_id":null}'])
def test_a_single_object_with_either_spelling_of_its_key_is_a_list_of_one(served: bytes) -> None:
    assert codec.read_frame(served, ("pst_id", "old")) == (b"[" + served + b"]", None)


@pytest.mark.parametrize("served", [b"{}", b'{"message":"no"}', b'{"error":{"pst_id":1}}'])
def test_an_object_without_its_key_is_no_record_but_an_error(served: bytes) -> None:
    with pytest.raises(DecodeError, match="'pst_id'"):
        codec.read_frame(served, ("pst_id", "old"))
    with pytest.raises(DecodeError):
        codec.read_frame(b'{"data":' + served + b"}", ("pst_id", "old"))


# -- keys with an old spelling --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "key"),
    [
        ({"store_purchase_id": 7}, 7),
        ({"store_purchased_id": 7}, 7),
        ({"store_purchase_id": 7, "store_purchased_id": 8}, 7),
        ({"store_purchased_id": 8, "store_purchase_id": 7}, 7),
        ({"store_purchase_id": None, "store_purchased_id": 8}, 8),
        ({"store_purchase_id": 0, "store_purchased_id": 8}, 0),
        ({"store_purchase_id": "", "store_purchased_id": 8}, ""),
        ({"store_purchase_id": "7"}, 7),
        ({"store_purchased_id": "7"}, 7),
        ({"store_purchased_id": BIG}, BIG),
        ({"store_purchased_id": str(BIG)}, BIG),
        ({"store_purchase_id": "007"}, "007"),
        ({"store_purchase_id": None}, None),
        ({"store_purchased_id": None}, None),
        ({"store_purchase_id": True}, None),
        ({"store_purchase_id": 1.5}, None),
        ({"store_purchase_id": [7]}, None),
        ({"id": 7}, None),
        ({}, None),
    ],
)
def test_a_key_is_read_by_either_spelling_from_bytes_and_from_dicts_alike(
    record: dict[str, Any], key: codec.Key
) -> None:
    found = codec.key_reader(*SPELLINGS)(body([record]))
    assert found == [key]
    assert type(found[0]) is type(key)
    assert codec.key_of(record, SPELLINGS) == key


def test_records_of_both_spellings_can_be_on_one_page() -> None:
    served = body([{SPELLINGS[0]: 1}, {SPELLINGS[1]: "2"}, {}, {SPELLINGS[1]: 3}])
    assert codec.key_reader(*SPELLINGS)(served) == [1, 2, None, 3]


def test_a_name_that_only_resembles_the_key_is_not_it() -> None:
    served = body([{"store_purchase_ids": 1, "Store_Purchase_Id": 2, "x": {SPELLINGS[0]: 3}}])
    assert codec.key_reader(*SPELLINGS)(served) == [None]


def test_an_old_spelling_is_read_in_the_order_given() -> None:
    assert codec.key_reader("a", "b", "c")(b'[{"c":3,"b":2},{"c":3},{"b":null,"c":3}]') == [2, 3, 3]
    assert codec.key_of({"c": 3, "b": 2}, ("a", "b", "c")) == 2


@pytest.mark.parametrize("served", [b"[1]", b"[null]", b'[{"a":1},]', b"[[]]"])
def test_what_is_no_array_of_objects_is_a_decode_error_with_spellings_too(served: bytes) -> None:
    with pytest.raises(DecodeError):
        codec.key_reader("a", "b")(served)


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=ENDPOINTS.keys())
def test_every_endpoints_key_is_read_by_each_of_its_spellings(endpoint: Any) -> None:
    assert endpoint.keys[0] == endpoint.key
    for name in endpoint.keys:
        assert codec.key_reader(*endpoint.keys)(body([{name: "12"}])) == [12]


def test_only_store_purchases_have_two_spellings_of_their_key() -> None:
    several = [row.resource for row in ENDPOINTS.values() if len(row.keys) > 1]
    assert several == ["store_purchases"]
    assert STORE_PURCHASES.keys == SPELLINGS
