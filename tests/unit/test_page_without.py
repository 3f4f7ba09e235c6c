"""Pages without some of their records, and old spellings inside nested objects."""

from collections.abc import Sequence
from typing import Any

import pytest
from support import pages

from kb4_async.errors import DecodeError
from kb4_async.protocol import codec
from kb4_async.protocol.endpoints import (
    GROUP_RISK_HISTORY,
    MEMBERS,
    RECIPIENTS,
    SECURITY_TESTS,
    STORE_PURCHASES,
    USERS,
)
from kb4_async.protocol.page import Page, without

BIG = 2**80


def page(
    array: bytes, *, keep: Sequence[int] | None = None, **options: Any
) -> Page[dict[str, Any]]:
    """A page that says how many records it has."""
    rows = len(codec.items_of(array)) if keep is None else len(keep)
    return pages.page(array, keep=keep, rows=rows, **options)


def ids(some: Page[dict[str, Any]]) -> list[Any]:
    return [item["id"] for item in some.items]


SERVED = b'[{"id":1, "a":"\\u00e9"},{"id":"2"},{"id":3},{"a":4},{"id":%d}]' % BIG


# -- without --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "left"),
    [
        ({1}, [1, 2, 3, 4]),
        ({2}, [0, 2, 3, 4]),
        ({1, 2, 3}, [3, 4]),
        ({BIG}, [0, 1, 2, 3]),
        ({1, 2, 3, BIG}, [3]),
        ({1, 99}, [1, 2, 3, 4]),
    ],
)
@pytest.mark.parametrize("form", ["items", "raw", "untouched"])
def test_known_records_are_left_out_in_every_form(
    known: set[codec.Key], left: list[int], form: str
) -> None:
    some = page(SERVED)
    if form != "untouched":
        getattr(some, form)
    rest = without(some, known)
    assert rest.items == [some.items[index] for index in left]
    assert [bytes(raw) for raw in rest.raw] == [bytes(some.raw[index]) for index in left]
    assert rest.json_lines() == b"".join(bytes(some.raw[index]) + b"\n" for index in left)
    assert len(rest) == len(left)


@pytest.mark.parametrize("known", [set(), {99}, {None}, {"2"}, {"1"}])
def test_a_page_without_known_records_is_the_page_itself(known: set[codec.Key]) -> None:
    some = page(SERVED)
    assert without(some, known) is some


def test_the_page_that_was_given_is_not_changed() -> None:
    some = page(SERVED)
    without(some, {1, 2, 3})
    assert len(some) == len(some.items) == len(some.raw) == 5


def test_a_page_of_known_records_alone_is_left_empty() -> None:
    rest = without(page(b'[{"id":1},{"id":2}]'), {1, 2, 3})
    assert (rest.items, list(rest.raw), rest.json_lines(), len(rest)) == ([], [], b"", 0)


def test_what_was_left_out_before_stays_left_out() -> None:
    some = page(b'[{"id":1},{"id":2},{"id":3},{"id":4}]', keep=[1, 3])
    rest = without(some, {4})
    assert ids(rest) == [2]
    assert rest.json_lines() == b'{"id":2}\n'
    assert ids(without(some, {1, 3})) == [2, 4], "they were no part of the page"


def test_without_can_be_said_twice() -> None:
    rest = without(without(page(b'[{"id":1},{"id":2},{"id":3}]'), {1}), {3})
    assert ids(rest) == [2]
    assert rest.json_lines() == b'{"id":2}\n'


def test_all_else_of_the_page_stays_as_it_was() -> None:
    some = page(SERVED)
    rest = without(some, {1})
    for name in ("resource", "scope", "number", "end_reason", "request_id", "attempts", "expected"):
        assert getattr(rest, name) == getattr(some, name)
    assert (rest.token, rest.next_token) == (some.token, some.next_token)


def test_the_parents_key_is_still_added_and_lines_are_still_one_each() -> None:
    some = page(b'[\n {"id": 1},\n {\n  "id": 2\n }\n]', endpoint=MEMBERS, scope={"group_id": 789})
    rest = without(some, {1})
    assert rest.items == [{"id": 2, "group_id": 789}]
    assert rest.json_lines() == b'{"id":2,"group_id":789}\n'


def test_a_page_that_is_no_json_inside_says_so() -> None:
    broken = page(b"[]", endpoint=USERS)
    broken.content.array = b'[{"id":1},]'
    with pytest.raises(DecodeError):
        without(broken, {1})


@pytest.mark.parametrize(
    ("record", "known"),
    [
        (b'{"store_purchase_id":7}', 7),
        (b'{"store_purchased_id":7}', 7),
        (b'{"store_purchased_id":"7"}', 7),
        (b'{"store_purchase_id":null,"store_purchased_id":7}', 7),
        (b'{"store_purchase_id":7,"store_purchased_id":8}', 7),
        (b'{"store_purchased_id":%d}' % BIG, BIG),
    ],
)
def test_a_store_purchase_is_known_by_either_spelling_of_its_key(record: bytes, known: int) -> None:
    some = page(b"[" + record + b',{"store_purchase_id":1}]', endpoint=STORE_PURCHASES)
    assert len(without(some, {known})) == 1
    assert len(without(some, {8})) == 2


def test_text_keys_are_compared_as_they_are() -> None:
    served = b'[{"date":"2026-01-01"},{"date":"2026-02-01"}]'
    some = page(served, endpoint=GROUP_RISK_HISTORY, scope={"group_id": 1})
    assert [item["date"] for item in without(some, {"2026-01-01"}).items] == ["2026-02-01"]


# -- old spellings --------------------------------------------------------------------------------

OLD, NEW = "active_directory_guid", "provisioning_guid"


def recipient(user: object) -> dict[str, Any]:
    served = codec.encode([{"recipient_id": 1, "user": user}])
    return page(served, endpoint=RECIPIENTS, scope={"pst_id": 5}).items[0]


@pytest.mark.parametrize(
    ("user", "completed"),
    [
        ({OLD: "g"}, {OLD: "g", NEW: "g"}),
        ({OLD: None}, {OLD: None, NEW: None}),
        ({NEW: "g"}, {NEW: "g"}),
        ({OLD: "old", NEW: "new"}, {OLD: "old", NEW: "new"}),
        ({OLD: "old", NEW: None}, {OLD: "old", NEW: None}),
        ({"id": 7}, {"id": 7}),
        ({}, {}),
        (None, None),
        ([], []),
        ([{OLD: "g"}], [{OLD: "g"}]),
        (OLD, OLD),
        (7, 7),
        (False, False),
    ],
)
def test_the_modern_spelling_is_added_inside_a_nested_object_alone(
    user: object, completed: object
) -> None:
    assert recipient(user) == {"recipient_id": 1, "user": completed, "pst_id": 5}


def test_a_record_without_the_nested_object_gets_none() -> None:
    served = b'[{"recipient_id":1,"active_directory_guid":"mine","user.active_directory_guid":1}]'
    (item,) = page(served, endpoint=RECIPIENTS, scope={"pst_id": 5}).items
    assert item == {**codec.items_of(served)[0], "pst_id": 5}


def test_records_of_one_page_may_differ() -> None:
    served = codec.encode([{"user": {OLD: "a"}}, {"user": None}, {}, {"user": {NEW: "b"}}])
    items = page(served, endpoint=RECIPIENTS, scope={"pst_id": 5}).items
    guids = [(item.get("user") or {}).get(NEW) for item in items]
    assert guids == ["a", None, None, "b"]


def test_lines_keep_the_old_spelling_alone_wherever_it_stands() -> None:
    served = b'[{"recipient_id":1,"user":{"active_directory_guid":"g"}}]'
    some = page(served, endpoint=RECIPIENTS, scope={"pst_id": 5})
    assert some.items[0]["user"][NEW] == "g"
    line = b'{"recipient_id":1,"user":{"active_directory_guid":"g"},"pst_id":5}\n'
    assert some.json_lines() == line
    assert without(some, {99}).json_lines() == line


def test_a_spelling_with_a_hyphen_is_no_path() -> None:
    served = b'[{"pst_id":1,"landing-page":{"id":0}},{"pst_id":2,"landing_page":{"id":3}}]'
    first, second = page(served, endpoint=SECURITY_TESTS).items
    assert first == {"pst_id": 1, "landing-page": {"id": 0}, "landing_page": {"id": 0}}
    assert second == {"pst_id": 2, "landing_page": {"id": 3}}


def test_a_store_purchase_has_the_modern_key_beside_the_old_one() -> None:
    (item,) = page(b'[{"store_purchased_id":7}]', endpoint=STORE_PURCHASES).items
    assert item == {"store_purchased_id": 7, "store_purchase_id": 7}
