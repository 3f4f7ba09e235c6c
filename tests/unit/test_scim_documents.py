"""Whole resources: what is sent to create and to replace a user."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from support.scim_oracle import CORE, ENTERPRISE, KMSAT, OTHER

from kb4_async.protocol.scim.documents import document
from kb4_async.protocol.scim.marks import CLEAR
from kb4_async.protocol.scim.users import ScimUser, parse_user


def test_the_least_user() -> None:
    assert document(ScimUser("a@example.com")) == {
        "schemas": [CORE],
        "userName": "a@example.com",
        "emails": [{"value": "a@example.com", "type": "work", "primary": True}],
    }
    assert document(ScimUser("jdoe")) == {"schemas": [CORE], "userName": "jdoe"}


def test_a_schema_is_named_where_its_block_is_sent_and_only_there() -> None:
    user = ScimUser("a", department="x", custom_field_1=CLEAR, extra={OTHER: {"shade": "blue"}})
    assert document(user)["schemas"] == [CORE, *sorted([ENTERPRISE, KMSAT, OTHER])]
    assert document(ScimUser("a", title="x"))["schemas"] == [CORE]
    assert document(ScimUser("a", extra={OTHER: {}})) == {"schemas": [CORE], "userName": "a"}


def test_what_is_cleared_is_sent_as_null_or_empty() -> None:
    user = ScimUser("a@x", title=CLEAR, email=CLEAR, given_name=CLEAR, manager=CLEAR)
    assert document(user) == {
        "schemas": [CORE, ENTERPRISE],
        "userName": "a@x",
        "title": None,
        "emails": [],
        "name": {"givenName": None},
        ENTERPRISE: {"manager": None},
    }


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("2026-11-24T08:00:00Z", "2026-11-24T08:00:00Z"),
        ("2026-11-24", "2026-11-24T00:00:00Z"),
        ("20261124T080000+0200", "2026-11-24T06:00:00Z"),
        (datetime(2026, 11, 24, 8), "2026-11-24T08:00:00Z"),  # noqa: DTZ001  # is UTC
        (datetime(2026, 11, 24, 8, 0, 0, 5, tzinfo=UTC), "2026-11-24T08:00:00.000005Z"),
        (datetime(2026, 11, 24, 8, tzinfo=timezone(timedelta(hours=-5))), "2026-11-24T13:00:00Z"),
    ],
)
def test_times_are_sent_as_scim_has_them(given: Any, sent: str) -> None:
    assert document(ScimUser("a", custom_date_1=given))[KMSAT] == {"customDate1": sent}


def test_a_user_that_was_read_is_sent_with_all_that_was_served_but_what_the_server_sets() -> None:
    served = {
        "schemas": ["x"],
        "id": 7,
        "meta": {"version": "1"},
        "groups": [{"value": "1"}],
        "userName": "a",
        "nickName": "A",
        "title": "odd",
        ENTERPRISE: {"manager": {"value": "b", "$ref": "../b", "displayName": "B"}},
    }
    assert document(parse_user(served)) == {
        "schemas": [CORE, ENTERPRISE],
        "userName": "a",
        "nickName": "A",
        "title": "odd",
        ENTERPRISE: {"manager": {"value": "b"}},  # as the field says
    }
    assert served[ENTERPRISE] == {"manager": {"value": "b", "$ref": "../b", "displayName": "B"}}


@pytest.mark.parametrize("odd", ["x", ["x"], 5])
def test_an_odd_block_does_not_break_it(odd: Any) -> None:
    current = parse_user({"id": 1, "userName": "a", ENTERPRISE: odd})
    assert document(current)[ENTERPRISE] == odd
