"""Whatever a server sends: nothing that no change names is lost, every update converges, every walk
ends, and only the documented errors are raised."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.scim_oracle import (
    ENTERPRISE,
    KMSAT,
    apply_patch,
    check_kept,
    extras,
    leaves,
    names_of,
    resources,
    respelled,
    wanted_users,
)

from kb4_async.errors import APIError, DecodeError, ScimError
from kb4_async.protocol import codec
from kb4_async.protocol.scim import answers
from kb4_async.protocol.scim.changes import differences, replacement, update_patch
from kb4_async.protocol.scim.checks import instant
from kb4_async.protocol.scim.documents import document
from kb4_async.protocol.scim.filters import equals
from kb4_async.protocol.scim.groups import parse_group
from kb4_async.protocol.scim.marks import CLEAR, UNSET
from kb4_async.protocol.scim.names import fold, other_case
from kb4_async.protocol.scim.schema import BY_FIELD
from kb4_async.protocol.scim.users import ScimUser, parse_user
from kb4_async.protocol.verdict import Refusal

many = settings(deadline=None, max_examples=100)


def read_back(body: dict[str, Any]) -> ScimUser:
    """A body as the server would answer it."""
    return parse_user({**codec.decode(codec.encode(body)), "id": "1"})


# -- updates -----------------------------------------------------------------------------------


@many
@given(resources(odd=True), st.booleans(), wanted_users(extras))
def test_a_put_keeps_what_no_change_names_and_converges(
    served: dict[str, Any], capitals: bool, user: ScimUser
) -> None:
    current = parse_user(respelled(served) if capitals else served)
    changes = differences(current, user)
    body = replacement(current, changes)
    check_kept(served, body, names_of(changes))
    assert not {"id", "meta", "groups"} & set(body)
    if user.email is CLEAR and current.email is UNSET:
        # Whoever wants none where none is shown gets the userName, which every PUT sends along.
        user = replace(user, email=UNSET)
    assert differences(read_back(body), user) == ()


@many
@given(resources(odd=True), st.booleans(), wanted_users(extras))
def test_a_patch_keeps_what_no_change_names_and_converges(
    served: dict[str, Any], capitals: bool, user: ScimUser
) -> None:
    current = parse_user(respelled(served) if capitals else served)
    changes = differences(current, user)
    after = apply_patch(served, update_patch(current, changes))
    check_kept(served, after, names_of(changes))
    assert differences(parse_user(after), user) == ()


@many
@given(resources(odd=True), wanted_users(extras))
def test_put_and_patch_come_to_the_same(served: dict[str, Any], user: ScimUser) -> None:
    current = parse_user(served)
    # A new userName takes the address along in a PUT; a PATCH sends what is named.
    user = ScimUser(**{**user.named, "user_name": current.user_name}, extra=user.extra)
    changes = differences(current, user)
    put = read_back(replacement(current, changes)).named
    patched = parse_user(apply_patch(served, update_patch(current, changes))).named
    if "email" not in patched and "emails" not in served:
        put.pop("email", None)  # the userName, sent along
    assert put == patched


@many
@given(resources(odd=True))
def test_nothing_to_do_is_nothing_done(served: dict[str, Any]) -> None:
    current = parse_user(served)
    assert differences(current, current) == ()
    assert differences(current, ScimUser(other_case(current.user_name))) == ()
    assert differences(current, ScimUser(fold(current.user_name))) == ()
    check_kept(served, replacement(current, ()), ())


# -- round trips -------------------------------------------------------------------------------


@many
@given(wanted_users(extras))
def test_what_is_created_reads_back_as_it_was_wanted(user: ScimUser) -> None:
    found = read_back(document(user))
    for name, value in user.named.items():
        came = getattr(found, name)
        if value is CLEAR or value == "":
            assert came is UNSET
        elif BY_FIELD[name].kind == "moment":
            assert instant(came) == instant(value)
        else:
            assert came == value
    # The address for mail alone is sent along unasked.
    assert set(found.named) - set(user.named) <= {"email"}
    assert differences(found, user) == ()
    plain = replace(user, extra={})
    assert differences(plain, plain) == ()


@many
@given(wanted_users(extras))
def test_a_mapping_of_fields_is_the_user(user: ScimUser) -> None:
    fields = {name: None if value is CLEAR else value for name, value in user.named.items()}
    assert ScimUser.of({**fields, "extra": user.extra}) == user


@many
@given(resources(odd=False), st.sampled_from([None, "", [], "absent"]))
def test_null_empty_and_absent_are_one_state(served: dict[str, Any], nothing: Any) -> None:
    other = dict(served)
    for name in ("title", "displayName", "userType", "externalId"):
        other.pop(name, None)
        if nothing != "absent":
            other[name] = nothing
    found = parse_user(other)
    wanted = ScimUser(
        found.user_name, title=CLEAR, display_name=CLEAR, user_type="", external_id=CLEAR
    )
    assert differences(found, wanted) == ()
    assert found.named == parse_user({**other, "title": None}).named


# -- leniency ----------------------------------------------------------------------------------

NAMES = """id ID userName USERNAME displayName active emails name members value type givenName
manager meta schemas addresses phoneNumbers Resources totalResults status scimType detail x é
customDate1"""
names = st.sampled_from([*NAMES.split(), "", ENTERPRISE, KMSAT])
moments = st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026"])
anything = st.recursive(
    leaves | moments | st.integers(10**15, 10**19) | st.floats(allow_nan=False),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(names, each, max_size=5),
    max_leaves=12,
)
objects = st.dictionaries(names, anything, max_size=6)


@many
@given(objects, st.booleans(), anything)
def test_any_object_is_a_user_or_a_value_error(
    found: dict[str, Any], named: bool, date: Any
) -> None:
    if named:
        found = {**found, "id": "1", "userName": "a@example.com", KMSAT: {"customDate1": date}}
        found.pop("ID", None)
        found.pop("USERNAME", None)
    try:
        user = parse_user(found)
    except ValueError as error:
        said = str(error)
        user = None
    else:
        said = ""
    assert said in {"", "it has no id", "it has no userName"}
    assert not (named and said), "an odd value cost the user"
    if user is None:
        return
    # Whatever it was, it can be written.
    changes = differences(user, ScimUser("b@example.com", email="c@example.com", title="x"))
    read_back(replacement(user, changes))
    codec.encode(update_patch(user, changes))


@many
@given(objects)
def test_any_object_is_a_group_or_a_value_error(found: dict[str, Any]) -> None:
    try:
        group = parse_group(found)
    except ValueError as error:
        said = str(error)
        group = None
    else:
        said = ""
    assert said in {"", "it has no id", "it has no displayName"}
    assert group is None or group.members is UNSET or len(set(group.members)) == len(group.members)


TOKENS = rb"""[ ] { } , : " "id" "userName" "Resources" "totalResults" 1 "12" \ [] {}""".split()
nearly = st.lists(st.sampled_from([*TOKENS, b" ", b"\xff", b"\x00"]), max_size=20).map(b"".join)
bodies = (
    st.binary(max_size=40)
    | nearly
    | objects.map(lambda each: json.dumps(each).encode())
    | st.integers(1, 1200).map(lambda depth: b'{"name":' * depth + b"1" + b"}" * depth)
)


@pytest.mark.parametrize(
    "read",
    [
        answers.read_object,
        answers.read_list,
        answers.resource_reader(parse_user),
        answers.resource_reader(parse_group),
        answers.written_reader(parse_user),
    ],
)
@settings(deadline=None, max_examples=60)
@given(bodies)
def test_any_bytes_are_read_or_a_decode_error(read: Any, body: bytes) -> None:
    try:
        read(body)
    except DecodeError as error:
        said = str(error)
    else:
        said = "The answer cannot be read: "
    assert said.startswith("The answer cannot be read: ")
    assert len(said) < 500


TOKEN = "s3cret/token+of=scim"
statuses = st.sampled_from([302, 400, 401, 403, 404, 409, 412, 413, 415, 418, 429, 500, 501, 503])
echoes = st.sampled_from(["", TOKEN, f"Bearer {TOKEN} is wrong"])
errors = st.builds(
    lambda known, kind, echo, extra: {"detail": echo, **extra, **known, "scimType": kind},
    st.fixed_dictionaries({}, optional={"status": leaves, "schemas": leaves, "detail": leaves}),
    leaves | echoes | st.just("x" * 5000),
    echoes,
    objects,
).map(lambda each: json.dumps(each).replace("/", "\\/").encode())
refusals = errors | bodies | st.just(b"<html><h1>502 Bad Gateway</h1></html>") | st.just(b"")


@many
@given(statuses, refusals)
def test_every_refusal_is_a_typed_error_with_a_sentence_and_no_token(
    status: int, body: bytes
) -> None:
    body = body.replace(TOKEN.encode(), b"***")  # as the engine does
    refusal = Refusal(status, "GET Users at https://x.example", codec.excerpt(body), None, "", body)
    error = answers.refuse(refusal, hide=TOKEN)
    assert type(error) is not APIError or status == 302
    assert error.status == status
    text = str(error)
    assert text.startswith(f"GET Users at https://x.example was answered with {status}: ")
    assert len(text) < 1500
    assert text.isprintable()
    assert TOKEN not in text
    if isinstance(error, ScimError):
        assert TOKEN not in f"{error.detail}{error.scim_type}"


# -- filters -----------------------------------------------------------------------------------


@many
@given(st.text(max_size=12))
def test_a_filter_says_exactly_the_value_or_is_none(value: str) -> None:
    text = equals("userName", value)
    if text is None:
        assert '"' in value or "\\" in value or not value.isprintable()
        return
    assert text.startswith('userName eq "')
    assert json.loads(text.removeprefix("userName eq ")) == value
    assert "\\" not in text
