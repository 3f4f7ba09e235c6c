import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb4_async.testing.scim.bodies import ScimRefusalError
from kb4_async.testing.scim.paths import Comparison, Path, comparisons, filtered_by, parse_path

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
KMSAT = "urn:ietf:params:scim:schemas:extension:knowbe4:kmsat:2.0:User"
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("active", Path(None, "active")),
        ("ACTIVE", Path(None, "active")),
        ("name.givenname", Path(None, "name", None, "givenName")),
        (f"{CORE}:title", Path(None, "title")),
        (f"{ENTERPRISE}:Department", Path(ENTERPRISE, "department")),
        (f"{ENTERPRISE.upper()}:manager.value", Path(ENTERPRISE, "manager", None, "value")),
        (f"{KMSAT}:customField1", Path(KMSAT, "customField1")),
        (KMSAT, Path(KMSAT, "")),
        ("urn:example:2.0:User:Pet", Path("urn:example:2.0:User", "Pet")),
        (
            'phoneNumbers[type eq "work"].value',
            Path(None, "phoneNumbers", (Comparison("type", "work"),), "value"),
        ),
        (
            'members[value eq "a" or value eq "b"]',
            Path(None, "members", (Comparison("value", "a"), Comparison("value", "b"))),
        ),
        (
            'members[value eq "a]b\\"c"]',
            Path(None, "members", (Comparison("value", 'a]b"c'),)),
        ),
        ("emails[primary eq true]", Path(None, "emails", (Comparison("primary", True),))),
    ],
)
def test_paths(text: str, path: Path) -> None:
    assert parse_path(text) == path


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "emails[type eq",
        "emails]",
        "a.b.c",
        "emails[type xx 1]",
        "emails[]",
        7,
        None,
        "a b",
    ],
)
def test_no_paths(text: Any) -> None:
    with pytest.raises(ScimRefusalError) as caught:
        parse_path(text)

    assert (caught.value.status, caught.value.scim_type) == (400, "invalidPath")


@given(st.text().filter(lambda text: text.isprintable()))
def test_any_value_comes_back_from_a_filter(value: str) -> None:
    text = f"userName eq {json.dumps(value)}"

    assert filtered_by(text, "userName") == value
    assert filtered_by(text.replace(" eq ", "  EQ "), "USERNAME") == value
    assert filtered_by(f"{CORE}:{text}", "userName") == value


@given(st.text())
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    for wanted in (text, f'userName eq "{text}"'):
        with suppress(ScimRefusalError):
            assert comparisons(wanted)


@pytest.mark.parametrize(
    "text",
    [
        'externalId eq "x"',
        'userName eq "a" or userName eq "b"',
        'userName sw "a"',
        "userName eq true",
        'userName eq "a" and active eq true',
        'userName eq "a\\q"',
        "",
    ],
)
def test_only_one_comparison_of_one_attribute_filters(text: str) -> None:
    with pytest.raises(ScimRefusalError) as caught:
        filtered_by(text, "userName")

    assert (caught.value.status, caught.value.scim_type) == (400, "invalidFilter")
