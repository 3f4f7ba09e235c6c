"""Differences, and the PUT and the PATCH that they make."""

from typing import Any

import pytest
from support.scim_oracle import CORE, ENTERPRISE, KMSAT, OTHER, apply_patch

from kb4_async.protocol.scim.changes import (
    Change,
    active_patch,
    differences,
    hides_block,
    holds,
    needs_whole,
    replacement,
    update_patch,
    value_of,
)
from kb4_async.protocol.scim.marks import CLEAR
from kb4_async.protocol.scim.users import ScimUser, parse_user


def read(**attributes: Any) -> ScimUser:
    return parse_user({"id": "1", "userName": "a@example.com", **attributes})


def want(**fields: Any) -> ScimUser:
    return ScimUser(**{"user_name": "a@example.com", **fields})


def operations(current: ScimUser, wanted: ScimUser) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = update_patch(current, differences(current, wanted))["Operations"]
    return found


def put_of(current: ScimUser, wanted: ScimUser) -> dict[str, Any]:
    return replacement(current, differences(current, wanted))


@pytest.mark.parametrize(
    ("served", "wanted"),
    [
        ({"title": None}, {"title": CLEAR}),
        ({"title": ""}, {"title": CLEAR}),
        ({}, {"title": ""}),
        ({"emails": []}, {"email": CLEAR}),
        ({"USERNAME": "A@EXAMPLE.COM"}, {}),
        ({"emails": {"value": "B@example.com"}}, {"email": "b@EXAMPLE.com"}),
        ({KMSAT: {"customDate1": "2026-11-24T08:00:00+00:00"}}, {"custom_date_1": "2026-11-24T08"}),
        ({KMSAT: {"customDate1": "2026-11-24T10:00:00+02:00"}}, {"custom_date_1": "20261124T08"}),
        ({ENTERPRISE: {"manager": "b"}}, {"manager": "b"}),
        ({"nickName": None}, {"extra": {"nickName": []}}),
        ({"roles": [{"value": "x", "display": "X"}]}, {"extra": {"roles": [{"value": "x"}]}}),
    ],
)
def test_what_is_no_difference(served: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert differences(read(**served), want(**wanted)) == ()


@pytest.mark.parametrize(
    ("served", "wanted", "change"),
    [
        ({"title": "x"}, {"title": "X"}, Change("title", "x", "X")),
        ({"title": "x"}, {"title": ""}, Change("title", "x", None)),
        ({"externalId": "a"}, {"external_id": "A"}, Change("externalId", "a", "A")),
        ({}, {"active": True}, Change("active", None, True)),
        ({"active": "False"}, {"active": True}, Change("active", False, True)),
        ({}, {"active": False}, Change("active", None, False)),
        ({"active": None}, {"active": False}, Change("active", None, False)),
        (
            {KMSAT: {"customDate1": "2026-11-24T08:00:00Z"}},
            {"custom_date_1": "2026-11-24T08:00:01Z"},
            Change(f"{KMSAT}:customDate1", "2026-11-24T08:00:00Z", "2026-11-24T08:00:01Z"),
        ),
        (
            {"roles": [{"value": "x"}]},
            {"extra": {"roles": []}},
            Change("roles", [{"value": "x"}], []),
        ),
        (
            {ENTERPRISE: {"costCenter": "1"}},
            {"extra": {ENTERPRISE: {"costCenter": "2"}}},
            Change(f"{ENTERPRISE}:costCenter", "1", "2"),
        ),
    ],
)
def test_what_is_a_difference(
    served: dict[str, Any], wanted: dict[str, Any], change: Change
) -> None:
    assert differences(read(**served), want(**wanted)) == (change,)


def test_a_hidden_address_is_no_difference_where_that_is_said() -> None:
    wanted = want(email="b@example.com")
    assert differences(read(), wanted, hidden_email=True) == ()
    assert len(differences(read(), wanted)) == 1
    assert len(differences(read(emails=[{"value": "c@x"}]), wanted, hidden_email=True)) == 1


def test_a_state_that_is_not_shown_holds_for_nothing() -> None:
    for state in (True, False):
        assert holds("active", state, state)
        assert not holds("active", None, state)
        assert not holds("active", state, None)


def test_a_user_that_may_be_archived_is_not_brought_back_where_that_is_said() -> None:
    assert differences(read(), want(active=True), hidden_active=True) == ()
    assert len(differences(read(), want(active=False), hidden_active=True)) == 1
    assert len(differences(read(active=False), want(active=True), hidden_active=True)) == 1


@pytest.mark.parametrize(
    ("row", "wanted", "needed"),
    [
        ({"title": "T", "active": True}, {"title": "T", "active": True}, False),
        ({"active": True}, {"active": False}, False),
        ({}, {"active": False}, True),
        ({}, {"active": True}, True),
        ({"title": "T"}, {"title": "U"}, True),
        ({}, {"title": CLEAR}, True),
        ({}, {"title": ""}, True),
        ({"nickName": "N"}, {"extra": {"nickName": "N"}}, False),
        ({}, {"extra": {"nickName": None}}, True),
        ({OTHER: {"a": 1}}, {"extra": {OTHER: {"a": 1, "b": []}}}, True),
    ],
)
def test_what_a_row_of_a_list_is_too_little_for(
    row: dict[str, Any], wanted: dict[str, Any], needed: bool
) -> None:
    current, user = read(**row), want(**wanted)
    changes = differences(current, user, hidden_active=True)
    assert needs_whole(current, user, changes) is needed


def test_an_empty_text_holds_where_there_is_nothing() -> None:
    assert holds("title", None, "")
    assert not holds("title", "x", "")


def test_value_of_finds_what_has_no_field() -> None:
    current = read(name={"middleName": "Q"}, **{OTHER: {"shade": "blue"}}, nickName="N", title="T")
    names = ["name.middleName", f"{OTHER}:shade", "nickName", "TITLE", "absent", "name.absent"]
    assert [value_of(current, each) for each in names] == ["Q", "blue", "N", "T", None, None]


@pytest.mark.parametrize("gone", [ENTERPRISE, OTHER])
def test_a_null_block_clears_what_is_in_it_and_invents_nothing(gone: str) -> None:
    wanted = ScimUser.of({"userName": "a", gone: None})
    block = {"department": "IT", "costCenter": "7", "manager": {"value": "b"}}
    current = read(userName="a", **{ENTERPRISE: block, OTHER: {"shade": "blue"}})
    stays = OTHER if gone == ENTERPRISE else ENTERPRISE
    body = put_of(current, wanted)
    assert set(body) == {"schemas", "userName", ENTERPRISE, OTHER}
    assert set(body[gone].values()) == {None}
    assert body[stays] == (current.served or {})[stays]
    after = apply_patch(current.served or {}, {"Operations": operations(current, wanted)})
    assert after.get(gone, {}) == {}
    assert after[stays] == body[stays]


def test_an_extension_served_as_text_is_replaced_by_what_is_wanted() -> None:
    body = put_of(read(**{OTHER: "odd", ENTERPRISE: ["odd"]}), want(extra={OTHER: {"shade": "x"}}))
    assert (body[OTHER], body[ENTERPRISE]) == ({"shade": "x"}, ["odd"])


def test_an_address_of_another_type_is_never_overwritten() -> None:
    home = {"type": "home", "value": "h@example.com", "primary": True}
    current = read(emails=[home])
    body = put_of(current, want(email="w@example.com"))
    assert body["emails"] == [home, {"type": "work", "primary": False, "value": "w@example.com"}]
    assert operations(current, want(email="w@example.com")) == [
        {"op": "add", "path": "emails", "value": [{"type": "work", "value": "w@example.com"}]}
    ]
    assert differences(current, want(email=CLEAR)) == ()


def test_to_clear_an_address_does_not_bring_up_the_next() -> None:
    current = read(
        emails=[
            {"type": "work", "value": "w"},
            {"value": "u"},
            {"type": "home", "value": "h@x"},
        ]
    )
    assert put_of(current, want(email=CLEAR))["emails"] == [{"type": "home", "value": "h@x"}]
    assert operations(current, want(email=CLEAR)) == [
        {"op": "replace", "path": "emails", "value": [{"type": "home", "value": "h@x"}]}
    ]


def test_an_entry_without_type_is_patched_without_a_filter_that_finds_nothing() -> None:
    current = read(emails=[{"value": "u@x", "primary": True}])
    assert operations(current, want(email="v@x")) == [
        {"op": "replace", "path": "emails", "value": [{"value": "v@x", "primary": True}]}
    ]


def test_of_two_telephones_of_one_type_only_the_one_shown_is_patched() -> None:
    current = read(
        phoneNumbers=[
            {"type": "work", "value": "1"},
            {"type": "work", "value": "2"},
            {"type": "mobile", "value": "3"},
            {"type": "mobile", "value": "4"},
        ]
    )
    wanted = want(work_phone="9", mobile_phone="8")
    after = apply_patch(current.served or {}, {"Operations": operations(current, wanted)})
    assert [each["value"] for each in after["phoneNumbers"]] == ["9", "2", "8", "4"]
    assert put_of(current, wanted)["phoneNumbers"] == after["phoneNumbers"]


def test_to_clear_the_address_keeps_its_street() -> None:
    current = read(addresses=[{"type": "work", "formatted": "x", "streetAddress": "Main St 1"}])
    assert put_of(current, want(work_address=CLEAR))["addresses"] == [
        {"type": "work", "formatted": None, "streetAddress": "Main St 1"}
    ]
    assert operations(current, want(work_address=CLEAR)) == [
        {"op": "remove", "path": 'addresses[type eq "work"].formatted'}
    ]


def test_to_clear_a_telephone_leaves_no_bare_entry() -> None:
    current = read(phoneNumbers=[{"type": "Work", "value": "1", "primary": True}])
    assert put_of(current, want(work_phone=CLEAR))["phoneNumbers"] == []
    assert operations(current, want(work_phone=CLEAR)) == [
        {"op": "remove", "path": 'phoneNumbers[type eq "work"]'}
    ]


def test_a_whole_attribute_does_not_undo_what_is_laid_into_it() -> None:
    current = read(emails=[{"type": "work", "value": "old@x"}])
    home = {"type": "home", "value": "h@x"}
    wanted = want(email="new@x", extra={"emails": [home]})
    assert put_of(current, wanted)["emails"] == [{"type": "work", "value": "new@x"}, home]
    after = apply_patch(current.served or {}, {"Operations": operations(current, wanted)})
    assert after["emails"] == [{"type": "work", "value": "new@x"}, home]


def test_a_manager_that_is_not_changed_keeps_its_reference_and_one_that_is_does_not() -> None:
    manager = {"value": "b", "$ref": "../b", "displayName": "B"}
    current = read(**{ENTERPRISE: {"manager": manager}})
    kept = put_of(current, want(title="x"))[ENTERPRISE]
    assert kept == {"manager": {"value": "b", "$ref": "../b"}}
    assert put_of(current, want(manager="c"))[ENTERPRISE] == {"manager": {"value": "c"}}
    assert operations(current, want(manager="c")) == [
        {"op": "replace", "path": f"{ENTERPRISE}:manager", "value": {"value": "c"}}
    ]
    assert operations(current, want(manager=CLEAR)) == [
        {"op": "remove", "path": f"{ENTERPRISE}:manager"}
    ]


def test_a_new_name_takes_along_the_address_that_was_it_and_drops_what_was_made_of_it() -> None:
    current = read(
        emails=[{"type": "work", "value": "A@example.com"}, {"type": "home", "value": "h@x"}],
        name={"givenName": "Jane", "familyName": "Doe", "formatted": "Jane Doe"},
    )
    body = put_of(current, want(user_name="b@example.com", family_name="Roe"))
    assert [each["value"] for each in body["emails"]] == ["b@example.com", "h@x"]
    assert body["name"] == {"givenName": "Jane", "familyName": "Roe"}


def test_a_block_that_is_named_and_not_shown_is_hidden() -> None:
    assert hides_block(read(schemas=[CORE, KMSAT.upper()]))
    assert not hides_block(read(schemas=[CORE, KMSAT], **{KMSAT: {"hostname": "x"}}))
    assert not hides_block(read(schemas=[CORE]))
    assert not hides_block(read(schemas="odd"))
    assert not hides_block(ScimUser("a"))


@pytest.mark.parametrize("active", [True, False])
def test_archiving_is_one_replace_of_a_json_boolean(active: bool) -> None:
    assert active_patch(active) == {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "active", "value": active}],
    }


def test_a_change_says_what_it_is() -> None:
    assert str(Change(f"{ENTERPRISE}:department", None, "IT")) == "department: nothing -> 'IT'"


def test_the_resource_served_is_never_changed() -> None:
    emails = [{"type": "work", "value": "w@x"}]
    current = read(emails=emails, **{ENTERPRISE: {"manager": {"value": "b", "displayName": "B"}}})
    wanted = want(email="v@x", manager="c", extra={"emails": [{"type": "home", "value": "h"}]})
    put_of(current, wanted)
    operations(current, wanted)
    assert (current.served or {})["emails"] == [{"type": "work", "value": "w@x"}]
    assert (current.served or {})[ENTERPRISE]["manager"]["displayName"] == "B"


def renamed(there: str | None, **more: Any) -> tuple[Change, ...]:
    resource: dict[str, Any] = {"id": "1", "userName": "old@example.test"}
    if there is not None:
        resource["emails"] = [{"type": "work", "value": there}]
    return differences(parse_user(resource), ScimUser("new@example.test", **more))


def test_the_address_for_mail_follows_the_user_name_it_was() -> None:
    names = [change.attribute for change in renamed("OLD@example.test")]
    assert names == ["userName", 'emails[type eq "work"].value']
    assert renamed("OLD@example.test")[1].after == "new@example.test"
    assert [change.attribute for change in renamed("other@example.test")] == ["userName"]
    assert [change.attribute for change in renamed(None)] == ["userName"]
    assert renamed("old@example.test", email="x@y")[1].after == "x@y"


def test_a_user_name_that_is_no_address_is_not_made_one_for_mail() -> None:
    current = parse_user({"id": "1", "userName": "a@b.test", "emails": [{"value": "a@b.test"}]})

    assert [each.attribute for each in differences(current, ScimUser("jdoe"))] == ["userName"]
