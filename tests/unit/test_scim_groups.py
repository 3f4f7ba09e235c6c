"""Groups: what is taken, what is read, and the PATCHes of members."""

from typing import Any

import pytest

from kb4_async.errors import ConfigurationError
from kb4_async.protocol.scim.groups import (
    DesiredGroup,
    add_patch,
    group_document,
    in_chunks,
    parse_group,
    remove_patch,
)
from kb4_async.protocol.scim.marks import UNSET

ROOT: dict[str, Any] = {"id": "1", "displayName": "Sales"}


@pytest.mark.parametrize(
    ("members", "ids"),
    [
        ([{"value": "a"}, {"value": 1}, {"value": 0}], ("a", "1", "0")),
        ([{"value": True}, {"value": False}, {"value": ""}, {"value": None}, {}], ()),
        ([{"value": "a"}, {"VALUE": "a"}], ("a",)),
        ({"value": "a"}, ("a",)),
        (["a", 5, None], ()),
        (None, ()),
        ("odd", ()),
    ],
)
def test_members_are_read_each_once(members: Any, ids: tuple[str, ...]) -> None:
    assert parse_group({**ROOT, "MEMBERS": members}).members == ids


def test_a_group_is_read_leniently() -> None:
    group = parse_group({"ID": 7, "DISPLAYNAME": " Sales", "externalId": 5})
    assert (group.id, group.display_name) == ("7", " Sales")
    assert group.external_id is UNSET
    assert group.members is UNSET


@pytest.mark.parametrize(
    ("resource", "said"),
    [
        ({"displayName": "x"}, "it has no id"),
        ({"id": True, "displayName": "x"}, "it has no id"),
        ({"id": "1"}, "it has no displayName"),
        ({"id": "1", "displayName": 5}, "it has no displayName"),
    ],
)
def test_what_is_no_group(resource: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_group(resource)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (5, "A group is a DesiredGroup or a mapping, not int."),
        ({}, "A group needs a displayName that is text, not None."),
        ({"displayName": " "}, "A group needs a displayName that is text, not ' '."),
        ({"displayName": "x", "member": []}, "A group has no 'member': see DesiredGroup."),
        ({"displayName": "x", 5: 1}, "A group has no '5': see DesiredGroup."),
        ({"displayName": "x", "members": "a@x"}, "members of 'x' is a list of user names, not"),
        ({"displayName": "x", "members": {"a@x"}}, "members of 'x' is a list of user names, not"),
        ({"displayName": "x", "members": [{"value": "1"}]}, "members of 'x' are user names, not"),
        ({"displayName": "x", "members": [""]}, "members of 'x' are user names, not ''."),
        ({"displayName": "x", "externalId": 5}, "external_id of 'x' is text, not 5."),
    ],
)
def test_what_is_no_wanted_group(given: Any, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        DesiredGroup.of(given)
    assert str(caught.value).startswith(said)


def test_a_wanted_group_is_taken_in_either_spelling() -> None:
    group = DesiredGroup("x", ["a@x"], "e")
    for name in ("displayName", "DISPLAYNAME", "display_name"):
        assert DesiredGroup.of({name: "x", "members": ["a@x"], "externalId": "e"}) == group
    assert DesiredGroup.of(group) is group
    assert DesiredGroup.of({"displayName": "x", "members": None}).members is UNSET


def test_a_group_is_made_without_members() -> None:
    assert group_document(DesiredGroup("x", ["a@x"], "e")) == {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": "x",
        "externalId": "e",
    }


def test_members_are_added_by_one_operation_and_removed_by_the_form_asked_for() -> None:
    ids = ['a"b', "c\\d", "é"]
    values = [{"value": each} for each in ids]
    assert add_patch(ids)["Operations"] == [{"op": "add", "path": "members", "value": values}]
    assert remove_patch(ids, "value")["Operations"] == [
        {"op": "remove", "path": "members", "value": values}
    ]
    assert [each["path"] for each in remove_patch(ids, "filter")["Operations"]] == [
        'members[value eq "a\\"b"]',
        'members[value eq "c\\\\d"]',
        'members[value eq "é"]',
    ]


@pytest.mark.parametrize("number", [0, 1, 2, 3, 7])
def test_chunks_are_the_whole_in_order(number: int) -> None:
    ids = [str(each) for each in range(number)]
    chunks = in_chunks(iter(ids), 3)
    assert sum(chunks, []) == ids  # noqa: RUF017  # small
    assert all(1 <= len(each) <= 3 for each in chunks)
    assert len(chunks) == -(-number // 3)
