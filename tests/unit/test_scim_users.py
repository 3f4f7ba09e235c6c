"""``ScimUser``: what it takes, what it refuses with one sentence, what it reads from a server."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from scim2_models import Context, Email, Name
from support.scim_oracle import ENTERPRISE, KMSAT, OTHER, Enterprise, Kmsat, Known, Manager

from kb4_async.errors import ConfigurationError
from kb4_async.protocol.scim.marks import CLEAR, UNSET
from kb4_async.protocol.scim.users import ScimUser, parse_user

ROOT: dict[str, Any] = {"id": "1", "userName": "a@example.com"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"title": 5}, "title is text, not int (5)."),
        ({"title": None}, "title is text, not NoneType (None)."),
        ({"title": b"x"}, "title is text, not bytes (b'x')."),
        ({"manager": ["x"]}, "manager is text, not list (['x'])."),
        ({"active": "true"}, "active is True or False, not 'true'."),
        ({"active": 1}, "active is True or False, not 1."),
        ({"active": CLEAR}, "active is True or False, and cannot be cleared"),
        ({"custom_date_1": "soon"}, "custom_date_1 is a time like 2026-11-24T08:00:00Z, not"),
        ({"custom_date_1": 1764000000}, "custom_date_1 is text, not int (1764000000)."),
        ({"title": "\ud83d"}, "title holds half of a character ('\\ud83d')"),
        ({"id": 5}, "id is text, not int (5)."),
        ({"extra": [1]}, "extra is a mapping of SCIM attributes, not [1]."),
        ({"extra": None}, "extra is a mapping of SCIM attributes, not None."),
        ({"extra": {1: 2}}, "extra has names that are text, not 1."),
        ({"extra": {"Meta": {}}}, "extra holds 'Meta', which only the server sets."),
        ({"extra": {OTHER: 5}}, f"extra holds '{OTHER}', which is an extension: a mapping, not 5."),
    ],
)
def test_a_wrong_value_is_refused_with_its_name(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ScimUser("a@example.com", **wrong)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("name", ["", "  ", None, 5, CLEAR, UNSET])
def test_a_user_needs_a_name(name: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"userName|user_name"):
        ScimUser(name)


def test_a_time_that_utc_does_not_have_is_refused_and_never_clears() -> None:
    early = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))
    for value in (early, early.isoformat()):
        with pytest.raises(ConfigurationError, match="custom_date_1 is a time"):
            ScimUser("a", custom_date_1=value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (5, "A user is a ScimUser or a mapping, not int."),
        ({}, "A user needs a userName"),
        ({"userName": None}, "A user needs a userName"),
        ({1: 2}, "The names of a user's attributes are text."),
        ({"user_name": "a", "titel": "x"}, "A user has no field titel: see ScimUser."),
        ({"user_name": "a", "served": {}}, "A user has no field served: see ScimUser."),
        ({"userName": "a", "name": "Jane"}, "name is an object, not 'Jane'."),
        ({"userName": "a", "emails": ["a@x"]}, "emails is a list of objects, not ['a@x']."),
        ({"userName": "a", "emails": "a@x"}, "emails is a list of objects, not 'a@x'."),
        ({"userName": "a", KMSAT: 5}, f"{KMSAT} is an object, not 5."),
        ({"userName": "a", ENTERPRISE: {"manager": 5}}, "manager is text, or an object, not 5."),
        ({"userName": "a", "emails": [{"value": 5}]}, "email is text, not int (5)."),
        ({"userName": "a", "active": "False"}, "active is True or False, not 'False'."),
        ({"userName": "a", "active": None}, "active is True or False, and cannot be cleared"),
        ({"user_name": "a", "active": None}, "active is True or False, and cannot be cleared"),
    ],
)
def test_a_wrong_mapping_is_refused_with_one_sentence(given: Any, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ScimUser.of(given)
    assert str(caught.value).startswith(said)


def test_fields_and_scim_say_the_same() -> None:
    scim = {
        "schemas": ["x"],
        "id": "9",
        "meta": {"version": "1"},
        "USERNAME": "a@example.com",
        "active": False,
        "title": None,
        "name": {"givenName": "Jane", "middleName": "Q"},
        "emails": [{"type": "Work", "value": "b@example.com", "primary": True}],
        "phoneNumbers": [{"type": "mobile", "value": "+1"}, {"type": "fax", "value": "+2"}],
        ENTERPRISE: {"department": "IT", "costCenter": "7", "manager": {"value": "boss"}},
        KMSAT: {"customField1": "x", "customDate1": "2026-11-24T08:00:00Z", "hostname": None},
        "nickName": "J",
    }
    fields = {
        "user_name": "a@example.com",
        "active": False,
        "title": None,
        "given_name": "Jane",
        "email": "b@example.com",
        "mobile_phone": "+1",
        "department": "IT",
        "manager": "boss",
        "custom_field_1": "x",
        "custom_date_1": "2026-11-24T08:00:00Z",
        "hostname": None,
        "extra": {
            "name": {"middleName": "Q"},
            "phoneNumbers": [{"type": "fax", "value": "+2"}],
            ENTERPRISE: {"costCenter": "7"},
            "nickName": "J",
        },
    }
    assert ScimUser.of(scim) == ScimUser.of(fields)
    assert ScimUser.of(fields).title is CLEAR
    user = ScimUser("a")
    assert ScimUser.of(user) is user


def test_what_scim2_models_dumps_is_taken() -> None:
    given = Known(
        user_name="a@example.com",
        name=Name(given_name="Jane", family_name="Doe"),
        emails=[Email(value="a+b@example.com", type=Email.Type("work"), primary=True)],
        active=True,
    )
    given[Enterprise] = Enterprise(department="IT", manager=Manager(value="boss@example.com"))
    given[Kmsat] = Kmsat(custom_field_1="x", custom_date_1=datetime(2026, 11, 24, 8, tzinfo=UTC))
    for context in (Context.RESOURCE_CREATION_REQUEST, Context.RESOURCE_REPLACEMENT_REQUEST):
        assert ScimUser.of(given.model_dump(scim_ctx=context)) == ScimUser(
            "a@example.com",
            given_name="Jane",
            family_name="Doe",
            email="a+b@example.com",
            active=True,
            department="IT",
            manager="boss@example.com",
            custom_field_1="x",
            custom_date_1="2026-11-24T08:00:00Z",
        )


@pytest.mark.parametrize("nothing", [None, {}])
def test_a_null_block_clears_its_fields_and_an_empty_one_does_not(nothing: Any) -> None:
    user = ScimUser.of({"userName": "a", ENTERPRISE: nothing})
    assert (user.department is CLEAR) is (nothing is None)


@pytest.mark.parametrize(
    ("emails", "email"),
    [
        ({"value": "b@x"}, "b@x"),
        (
            [{"value": "b@x"}, {"value": "c@x", "primary": True}],
            "c@x",
        ),
        ([{"value": "b@x"}, {"value": "c@x", "type": "WORK"}], "c@x"),
        ([{"value": "b@x", "type": "home", "primary": True}], UNSET),
        ([{"value": "b@x", "type": None}], "b@x"),
        (["b@x"], UNSET),
        ([], UNSET),
        (None, UNSET),
        ("b@x", UNSET),
    ],
)
def test_which_address_is_the_users(emails: Any, email: Any) -> None:
    assert parse_user({**ROOT, "emails": emails}).email == email


@pytest.mark.parametrize(
    ("odd", "field", "value"),
    [
        ({"active": "True"}, "active", True),
        ({"active": "no"}, "active", UNSET),
        ({"active": 0}, "active", UNSET),
        ({"title": 5}, "title", "5"),
        ({"title": True}, "title", UNSET),
        ({"title": ["x"]}, "title", UNSET),
        ({"title": "\ud83d"}, "title", "?"),
        ({ENTERPRISE: {"manager": "boss"}}, "manager", "boss"),
        ({ENTERPRISE: {"manager": 5}}, "manager", UNSET),
        ({ENTERPRISE: "x"}, "department", UNSET),
        ({KMSAT: {"customDate1": 1764000000}}, "custom_date_1", UNSET),
        ({KMSAT: {"customDate1": "0001-01-01T00:00:00+14:00"}}, "custom_date_1", UNSET),
        ({KMSAT.upper(): {"CUSTOMFIELD1": "x"}}, "custom_field_1", "x"),
    ],
)
def test_an_odd_value_never_costs_the_user(odd: Any, field: str, value: Any) -> None:
    assert getattr(parse_user({**ROOT, **odd}), field) == value


@pytest.mark.parametrize("identity", [None, "", True, 1.5, [], {}])
def test_a_user_without_id_is_refused(identity: Any) -> None:
    with pytest.raises(ValueError, match="it has no id"):
        parse_user({**ROOT, "id": identity})


@pytest.mark.parametrize("name", [None, "", "  ", 5])
def test_a_user_without_name_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="it has no userName"):
        parse_user({**ROOT, "userName": name})


def test_a_number_is_an_id() -> None:
    assert parse_user({**ROOT, "id": 2**70}).id == str(2**70)


def test_names_nested_without_end_do_not_break_the_reader() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = {"name": deep}
    assert parse_user({**ROOT, "name": deep}).id == "1"


def test_the_resource_is_kept_unless_it_is_not_wanted() -> None:
    assert parse_user({**ROOT, "x": 1}).served == {**ROOT, "x": 1}
    assert parse_user(ROOT, keep=False).served is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tittle", "is it 'title'?"),
        ("user_Name", "is it 'userName'?"),
        ("phonenumber", "is it 'phoneNumbers'?"),
        ("given_name", "is a field of ScimUser"),
    ],
)
def test_an_attribute_that_is_nearly_one_is_refused(name: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ScimUser.of({"userName": "a@example.test", name: "x"})
    assert said in str(caught.value)


def test_attributes_of_others_are_sent_as_given() -> None:
    user = ScimUser.of({"userName": "a@example.test", "nickName": "Al", "shoeSize": 43})
    assert user.extra == {"nickName": "Al", "shoeSize": 43}
    served = {"userName": "a@example.test", "id": "1", "meta": {}, "tittle": "x"}
    assert ScimUser.of(served).extra == {"tittle": "x"}


def test_a_repr_shows_what_is_named() -> None:
    user = ScimUser("a@example.test", active=False, title=CLEAR, department="")
    assert (
        repr(user)
        == "ScimUser(user_name='a@example.test', active=False, title=CLEAR, department='')"
    )
