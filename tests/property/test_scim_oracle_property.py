"""Every body the SCIM writer can send is SCIM, as ``scim2_models`` judges it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scim2_models import Context, Group
from support.scim_oracle import (
    ENTERPRISE,
    ENTRA,
    KEEPING,
    KMSAT,
    Stock,
    judge_group,
    judge_group_patch,
    judge_patch,
    judge_post,
    judge_put,
    resources,
    texts,
    wanted_users,
)

from kb4_async.protocol.scim.changes import active_patch, differences, replacement, update_patch
from kb4_async.protocol.scim.documents import document
from kb4_async.protocol.scim.groups import DesiredGroup, add_patch, group_document, remove_patch
from kb4_async.protocol.scim.marks import UNSET
from kb4_async.protocol.scim.users import ScimUser, parse_user

many = settings(deadline=None, max_examples=60)
ids = st.lists(texts, min_size=1, max_size=5, unique=True)


@many
@given(wanted_users())
def test_what_creates_a_user_is_scim(user: ScimUser) -> None:
    judge_post(document(user))
    judge_put(document(user))


@many
@given(resources(odd=False), wanted_users())
def test_what_updates_a_user_is_scim(served: dict[str, Any], user: ScimUser) -> None:
    current = parse_user(served)
    changes = differences(current, user)
    judge_put(replacement(current, changes), KEEPING)
    if changes:
        judge_patch(update_patch(current, changes))


@pytest.mark.parametrize("active", [True, False])
def test_what_archives_a_user_is_scim(active: bool) -> None:
    judge_patch(active_patch(active))


@many
@given(texts.filter(str.strip), st.just(UNSET) | texts)
def test_what_creates_a_group_is_scim(name: str, external_id: Any) -> None:
    judge_group(group_document(DesiredGroup(name, external_id=external_id)))


@many
@given(ids)
def test_what_changes_members_is_scim_and_does_what_it_says(members: list[str]) -> None:
    group = Group(display_name="x")
    judge_group_patch(add_patch(members)).patch(group)
    assert [each.value for each in group.members or []] == members
    if members[1:]:
        judge_group_patch(remove_patch(members[1:], "filter")).patch(group)
    assert [each.value for each in group.members or []] == members[:1]


@many
@given(ids)
def test_removal_by_value_is_entras_and_no_rfc(members: list[str]) -> None:
    body = remove_patch(members, "value")
    with pytest.raises(ValidationError, match="a remove operation carries no value"):
        judge_group_patch(body)
    group = Group(display_name="x")
    judge_group_patch(add_patch([*members, "stays"])).patch(group)
    judge_group_patch(body, ENTRA).patch(group, scim_policy=ENTRA)
    assert [each.value for each in group.members or []] == ["stays"]


def test_the_oracle_tells_wrong_from_right() -> None:
    good = document(ScimUser("a@example.com", custom_field_1="x", department="y"))
    judge_post(good)
    for wrong in (
        {**good, "titel": "x"},
        {**good, "active": "maybe"},
        {**good, KMSAT: {"customField9": "x"}},
        {**good, KMSAT: {"customDate1": "tomorrow"}},
        {**good, ENTERPRISE: {"departement": "x"}},
        {name: value for name, value in good.items() if name != "userName"},
    ):
        with pytest.raises(ValidationError):
            judge_post(wrong)
    for path in ("id", "titel", f"{KMSAT}:customField9"):
        with pytest.raises(ValidationError):
            judge_patch({**active_patch(True), "Operations": [{"op": "remove", "path": path}]})


def test_the_one_relaxation_of_the_oracle_is_the_managers_reference() -> None:
    body = document(ScimUser("a@example.com", manager="boss@example.com"))
    judge_post(body)
    with pytest.raises(ValidationError) as caught:
        Stock.model_validate(body, scim_ctx=Context.RESOURCE_CREATION_REQUEST)
    assert [each["msg"] for each in caught.value.errors()] == [
        "Field '$ref' is required but value is missing, null or empty"
    ]
    body[ENTERPRISE]["manager"]["$ref"] = "https://example.com/Users/1"
    Stock.model_validate(body, scim_ctx=Context.RESOURCE_CREATION_REQUEST)
