"""Filters and PATCH paths, as much of RFC 7644 as such a server understands."""

import json
import re
from dataclasses import dataclass
from typing import Any

from kb4_async.testing.scim.bodies import Resource, ScimRefusalError
from kb4_async.testing.scim.spelling import (
    ENTERPRISE,
    GROUP,
    KMSAT,
    USER,
    is_known,
    sub_name,
    top_name,
)

NAME = r"[A-Za-z$][\w$-]*"
COMPARISON = re.compile(
    rf'\s*(?P<name>(?:urn:[^\s"]+:)?{NAME}(?:\.{NAME})?)\s+eq\s+'
    r'(?P<value>"(?:[^"\\]|\\.)*"|true|false|-?\d+)\s*',
    re.IGNORECASE,
)
OR = re.compile(r"or\s+", re.IGNORECASE)
PATH = re.compile(
    rf"(?:(?P<urn>urn:[^\[\]\s]+):)?(?P<name>{NAME})(?:\[(?P<filter>.*)\])?(?:\.(?P<sub>{NAME}))?",
    re.IGNORECASE | re.DOTALL,
)
CORE_URNS = frozenset({USER.casefold(), GROUP.casefold()})
EXTENSIONS = frozenset({ENTERPRISE.casefold(), KMSAT.casefold()})


@dataclass(frozen=True, slots=True)
class Comparison:
    """`name eq value`."""

    name: str
    value: Any

    def fits(self, element: Resource) -> bool:
        """Say whether an element of a list is meant."""
        found = element.get(self.name)
        if isinstance(found, str) and isinstance(self.value, str) and self.name != "value":
            return found.casefold() == self.value.casefold()
        return bool(found == self.value)


def comparisons(text: str, scim_type: str = "invalidFilter") -> list[Comparison]:
    """Return the comparisons that a filter joins with `or`; nothing else is understood."""
    found, place = [], 0
    while match := COMPARISON.match(text, place):
        try:
            value = json.loads(match["value"])
        except ValueError as error:
            raise ScimRefusalError(400, f"No such value: {match['value']}", scim_type) from error
        found.append(Comparison(match["name"], value))
        place = match.end()
        if place == len(text):
            return found
        joint = OR.match(text, place)
        if joint is None:
            break
        place = joint.end()
    raise ScimRefusalError(400, f"The filter is not understood: {text}", scim_type)


def filtered_by(text: str, name: str) -> str:
    """Return the value a list is filtered by, which only one attribute can be used for."""
    found = comparisons(text)
    attribute = found[0].name
    urn, _, last = attribute.rpartition(":")
    if urn.casefold() in CORE_URNS:
        attribute = last
    value = found[0].value
    if len(found) > 1 or attribute.casefold() != name.casefold() or not isinstance(value, str):
        detail = f'Only {name} eq "..." is supported, not: {text}'
        raise ScimRefusalError(400, detail, "invalidFilter")
    return value


@dataclass(frozen=True, slots=True)
class Path:
    """Where a PATCH acts.

    Attributes:
        extension: the extension that the attribute belongs to, if any.
        name: the attribute; "" for the extension as a whole.
        chosen: which elements of a list are meant, None for all of them.
        sub: the attribute within, if any.
    """

    extension: str | None
    name: str
    chosen: tuple[Comparison, ...] | None = None
    sub: str | None = None


def parse_path(text: object) -> Path:
    """Return the path in a PATCH operation."""
    if not isinstance(text, str):
        raise ScimRefusalError(400, "A path is a string.", "invalidPath")
    if text.casefold() in EXTENSIONS:
        return Path(top_name(text), "")
    match = PATH.fullmatch(text)
    if match is None:
        raise ScimRefusalError(400, f"The path is not understood: {text}", "invalidPath")
    urn = match["urn"]
    extension = None if urn is None or urn.casefold() in CORE_URNS else top_name(urn)
    spell = top_name if extension is None else sub_name
    known = extension is None or is_known(extension)
    chosen = None
    if match["filter"] is not None:
        chosen = tuple(
            Comparison(sub_name(each.name), each.value)
            for each in comparisons(match["filter"], "invalidPath")
        )
    sub = match["sub"]
    return Path(
        extension,
        spell(match["name"]) if known else match["name"],
        chosen,
        sub_name(sub) if sub is not None else None,
    )
