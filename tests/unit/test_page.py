import dataclasses
from collections.abc import Sequence

import pytest
from support.pages import page

from kb4_async.errors import DecodeError
from kb4_async.protocol.endpoints import MEMBERS
from kb4_async.protocol.token import read_token

SERVED = b'[{"id":1, "name":"\\u00e9"},{"id":2,"extra":[1.0]},{"id":3}]'


def test_items_are_the_records_as_served() -> None:
    assert page(SERVED).items == [
        {"id": 1, "name": "\u00e9"},
        {"id": 2, "extra": [1.0]},
        {"id": 3},
    ]


def test_raw_is_the_records_bytes_as_served() -> None:
    assert [bytes(raw) for raw in page(SERVED).raw] == [
        b'{"id":1, "name":"\\u00e9"}',
        b'{"id":2,"extra":[1.0]}',
        b'{"id":3}',
    ]


def test_json_lines_are_the_served_bytes() -> None:
    assert page(SERVED).json_lines() == (
        b'{"id":1, "name":"\\u00e9"}\n{"id":2,"extra":[1.0]}\n{"id":3}\n'
    )


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_json_lines_of_a_pretty_printed_page_are_one_line_each(ending: bytes) -> None:
    served = b'[\n {\n  "id": 1,\n  "name": "a b"\n },\n {\n  "id": 2\n }\n]'
    assert page(served.replace(b"\n", ending)).json_lines() == b'{"id":1,"name":"a b"}\n{"id":2}\n'


@pytest.mark.parametrize(
    ("keep", "ids"), [(None, [1, 2, 3]), ([0, 1, 2], [1, 2, 3]), ([0, 2], [1, 3]), ([], [])]
)
def test_records_delivered_before_are_left_out_in_every_form(
    keep: Sequence[int] | None, ids: list[int]
) -> None:
    some = page(SERVED, keep=keep, rows=len(ids))
    assert [item["id"] for item in some.items] == ids
    assert len(some.raw) == len(ids)
    assert some.json_lines().count(b"\n") == len(ids)
    assert len(some) == len(ids)


def test_items_are_the_same_list_each_time() -> None:
    some = page(SERVED)
    assert some.items is some.items
    assert some.raw is some.raw


def test_the_modern_spelling_is_added_beside_the_old_one_in_items_alone() -> None:
    some = page(b'[{"id":1,"adi_guid":"g","adi_manageable":false}]')
    assert some.items == [
        {
            "id": 1,
            "adi_guid": "g",
            "adi_manageable": False,
            "provisioning_guid": "g",
            "provisioning_managed": False,
        }
    ]
    assert b"provisioning" not in some.json_lines()


def test_a_modern_spelling_that_is_served_is_not_changed() -> None:
    served = b'[{"id":1,"adi_guid":"old","provisioning_guid":null}]'
    assert page(served).items == [{"id": 1, "adi_guid": "old", "provisioning_guid": None}]


def test_without_the_old_spelling_nothing_is_added() -> None:
    assert page(b'[{"id":1}]').items == [{"id": 1}]


def test_the_parents_key_is_added_where_the_record_lacks_it() -> None:
    some = page(b'[{"id":1},{"id":2,"group_id":5}]', endpoint=MEMBERS, scope={"group_id": 789})
    assert some.items == [{"id": 1, "group_id": 789}, {"id": 2, "group_id": 5}]
    assert some.json_lines() == b'{"id":1,"group_id":789}\n{"id":2,"group_id":5}\n'


def test_a_page_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        page(SERVED).number = 4  # type: ignore[misc]  # that is the point


def test_its_tokens_say_where_it_is_and_what_follows() -> None:
    some = page(SERVED)
    assert read_token(some.token, some.identity).number == 3
    assert read_token(some.next_token, some.identity).number == 4


def test_a_page_that_is_no_json_inside_says_so_when_somebody_looks() -> None:
    broken = page(b'[{"id":1},]')
    with pytest.raises(DecodeError):
        _ = broken.items
    with pytest.raises(DecodeError):
        _ = broken.raw


def test_its_repr_shows_no_record() -> None:
    text = repr(page(b'[{"id":1,"email":"somebody@example.com"}]'))
    assert "somebody" not in text
    assert "users" in text
