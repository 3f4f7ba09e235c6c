"""Which names are one: those that differ in letter case, and no others."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb4_async.protocol.scim.changes import differences
from kb4_async.protocol.scim.guard import ChangeGuard
from kb4_async.protocol.scim.names import fold, other_case
from kb4_async.protocol.scim.planning import Planner
from kb4_async.protocol.scim.users import ScimUser

#: Pairs that ``str.casefold`` or ``str.lower`` take for one, and that are two people.
TWO = [
    ("straße@example.test", "strasse@example.test"),
    ("\N{LATIN SMALL LIGATURE FI}n@example.test", "fin@example.test"),
    ("\N{KELVIN SIGN}im@example.test", "kim@example.test"),
    ("\N{LATIN SMALL LETTER LONG S}am@example.test", "sam@example.test"),
    ("\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}da@example.test", "i\u0307da@example.test"),
    ("\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}da@example.test", "ida@example.test"),
    ("\N{LATIN SMALL LETTER DOTLESS I}da@example.test", "ida@example.test"),
    ("\N{MICRO SIGN}@example.test", "\N{GREEK SMALL LETTER MU}@example.test"),
]


@pytest.mark.parametrize(("one", "other"), TWO)
def test_other_letters_are_another_person(one: str, other: str) -> None:
    assert fold(one) != fold(other)
    planner = Planner(missing="deactivate")
    planner.want(ScimUser(one, title="T"), "item 1")
    planner.there(ScimUser(other, id="1", title="X", active=True))
    assert [(step.operation, step.name) for step in planner.user_steps() if step is not None] == [
        ("create_user", one),
        ("deactivate_user", other),
    ]
    assert differences(ScimUser(one), ScimUser(other)) != ()
    assert not ChangeGuard(protected=[one]).protects(other)


@pytest.mark.parametrize("name", ["Ann.Lee@Example.TEST", "MÜLLER@example.test", "СТЕФАН@x.test"])
def test_letter_case_is_no_difference(name: str) -> None:
    for other in (name.lower(), name.upper(), name.title()):
        assert fold(other) == fold(name)
        assert differences(ScimUser(name), ScimUser(other)) == ()


def test_no_more_than_two_signs_are_one_and_each_is_the_other_in_the_other_case() -> None:
    alike: dict[str, list[str]] = {}
    for sign in map(chr, range(sys.maxunicode + 1)):
        alike.setdefault(fold(sign), []).append(sign)
    together = [signs for signs in alike.values() if len(signs) > 1]
    assert len(together) > 1000
    for signs in together:
        small = fold(signs[0])
        (capital,) = (each for each in signs if each != small)
        assert (small.upper(), capital.lower()) == (capital, small)


@given(st.text())
def test_the_other_case_is_the_same_name(name: str) -> None:
    assert fold(other_case(name)) == fold(name)
    assert len(fold(name)) == len(name)
    assert fold(fold(name)) == fold(name)
    assert other_case("Straße@x") == "sTRAßE@X"
