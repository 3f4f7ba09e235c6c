from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb4_async.testing import generate_account
from kb4_async.testing.scim.bodies import Resource, ScimRefusalError
from kb4_async.testing.scim.fields import PLACES, check, document_of, fields_of, read, write
from kb4_async.testing.scim.patching import Operation, operation, patched
from kb4_async.testing.scim.spelling import ENTERPRISE, KMSAT, resource, schemas_of

texts = st.none() | st.text(min_size=1)
WORK = {"type": "work", "value": "1"}


@given(st.sampled_from(list(PLACES.values())), st.sampled_from(list(PLACES.values())), texts)
def test_what_is_written_is_read_and_touches_nothing_else(one: Any, other: Any, value: str) -> None:
    document: Resource = {}
    write(document, other, "other")
    write(document, one, value)

    assert read(document, one) == value
    assert one == other or read(document, other) == "other"
    write(document, one, None)
    write(document, other, None)
    assert document == {}, "nothing empty is left behind"


def test_a_record_comes_back_from_its_document() -> None:
    account = generate_account(users=300, groups=3)
    for record in account.users:
        document = document_of(record, {})
        check(document)
        again = fields_of(resource(document))
        assert {name: again.get(name) for name in PLACES} == {
            name: record.get(name) for name in PLACES
        }


def test_the_record_wins_over_what_scim_wrote() -> None:
    kept = resource(
        {
            "userName": "a@x.test",
            "addresses": [{"type": "work", "formatted": "A", "region": "R"}, {"type": "home"}],
            "phoneNumbers": [{"type": "Work", "value": "1", "primary": True}],
            KMSAT: {"customDate1": "2026-01-02T03:04:05Z", "userRole": "R"},
        }
    )
    record = dict.fromkeys(PLACES) | {"email": "b@x.test", "status": "archived"}
    before = deepcopy(kept)

    assert document_of(record, kept) == {
        "userName": "b@x.test",
        "addresses": [{"type": "work", "region": "R"}, {"type": "home"}],
        KMSAT: {"userRole": "R"},
        "active": False,
    }
    assert kept == before
    dated = document_of({**record, "custom_date_1": "2026-01-02"}, kept)
    assert dated[KMSAT]["customDate1"] == "2026-01-02T03:04:05Z"
    changed = document_of({**record, "custom_date_1": "2027-01-02"}, kept)
    assert changed[KMSAT]["customDate1"] == "2027-01-02T00:00:00Z"


def test_reading_drops_what_is_empty_and_what_the_server_decides() -> None:
    body = {
        "ID": "7",
        "META": {},
        "Groups": [{"value": "1"}],
        "schemas": ["x"],
        "userName": "a",
        "title": None,
        "emails": [],
        "name": {"GivenName": None, "familyname": "F"},
        "urn:own": {"Kept": None},
        "Colour": [None],
    }

    assert resource(body) == {
        "userName": "a",
        "name": {"familyName": "F"},
        "urn:own": {"Kept": None},
        "Colour": [None],
    }
    assert schemas_of("core", resource(body)) == ["core", "urn:own"]


@pytest.mark.parametrize(
    ("before", "todo", "after"),
    [
        ({}, ("add", "title", "T"), {"title": "T"}),
        ({"title": "S"}, ("replace", "title", None), {}),
        ({}, ("remove", "title", None), {}),
        ({}, ("add", "name.givenName", "G"), {"name": {"givenName": "G"}}),
        ({"name": {"givenName": "G"}}, ("remove", "name.givenName", None), {}),
        (
            {"name": {"givenName": "G"}},
            ("replace", "name", {"FamilyName": "F"}),
            {"name": {"givenName": "G", "familyName": "F"}},
        ),
        ({}, ("add", f"{ENTERPRISE}:department", "D"), {ENTERPRISE: {"department": "D"}}),
        ({ENTERPRISE: {"department": "D"}}, ("remove", f"{ENTERPRISE}:department", None), {}),
        ({ENTERPRISE: {"department": "D"}}, ("remove", ENTERPRISE, None), {}),
        ({}, ("add", 'phoneNumbers[type eq "work"].value', "1"), {"phoneNumbers": [WORK]}),
        (
            {"phoneNumbers": [WORK]},
            ("replace", 'phoneNumbers[type eq "WORK"].value', "2"),
            {"phoneNumbers": [{**WORK, "value": "2"}]},
        ),
        (
            {"phoneNumbers": [WORK]},
            ("replace", 'phoneNumbers[type eq "work"]', {"display": "D"}),
            {"phoneNumbers": [{**WORK, "display": "D"}]},
        ),
        ({"phoneNumbers": [WORK]}, ("remove", 'phoneNumbers[type eq "work"]', None), {}),
        (
            {"emails": [{"value": "a"}]},
            ("add", "emails", [{"value": "a"}, {"value": "b"}]),
            {"emails": [{"value": "a"}, {"value": "b"}]},
        ),
        ({"emails": [1]}, ("replace", "emails", [{"value": "b"}]), {"emails": [{"value": "b"}]}),
        ({}, ("add", None, {"name.givenName": "G", "id": 1}), {"name": {"givenName": "G"}}),
    ],
)
def test_one_operation(before: Resource, todo: tuple[str, Any, Any], after: Resource) -> None:
    kept = deepcopy(before)

    assert patched(before, [Operation(*todo)]) == after
    assert before == kept, "the resource itself is not changed"


@pytest.mark.parametrize(
    ("todo", "scim_type"),
    [
        (("replace", 'emails[type eq "x"].value', "1"), "noTarget"),
        (("remove", 'emails[type eq "x"]', None), "noTarget"),
        (("replace", "meta", {}), "mutability"),
        (("replace", 'title[type eq "x"]', "1"), "invalidPath"),
        (("replace", "title.value", "1"), "invalidPath"),
    ],
)
def test_operations_that_cannot_be_done(todo: tuple[str, Any, Any], scim_type: str) -> None:
    with pytest.raises(ScimRefusalError) as caught:
        patched({"title": "T", "emails": []}, [Operation(*todo)])

    assert caught.value.scim_type == scim_type


def test_an_operation_is_read_in_any_case() -> None:
    found = operation({"OP": "Replace", "Path": "title", "VALUE": 1})

    assert found == Operation("replace", "title", 1)
