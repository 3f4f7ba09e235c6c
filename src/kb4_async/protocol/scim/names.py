"""User names and addresses for mail, compared without regard to letter case and to nothing else."""

from __future__ import annotations


def fold(name: str) -> str:
    """A name as it is compared: two that differ in the case of letters alone become one.

    ``str.casefold`` would go further: to it straße is strasse, and the Kelvin sign is a k. They are
    two names, and may be two people. So only letters are changed that are a pair of one capital
    and one small letter; every other sign stands for itself.
    """
    if name.isascii():
        return name.lower()
    return "".join(map(small, name))


def other_case(name: str) -> str:
    """A name in other letters that is the same name still."""
    return "".join(capital(each) if each == small(each) else small(each) for each in name)


def small(letter: str) -> str:
    """The small letter of a capital that it is a pair with; any other sign as it is."""
    found = letter.lower()
    return found if len(found) == 1 and found.upper() == letter else letter


def capital(letter: str) -> str:
    """The capital of a small letter that it is a pair with; any other sign as it is."""
    found = letter.upper()
    return found if len(found) == 1 and found.lower() == letter else letter
