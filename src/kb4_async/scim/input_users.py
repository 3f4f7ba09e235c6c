"""Users made of rows, of SCIM resources and of flat mappings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from kb4_async.errors import ConfigurationError
from kb4_async.protocol.scim.columns import (
    USERS,
    Columns,
    Empty,
    Rejected,
    Wanted,
    check_lacking,
    is_address,
    match,
    no_address,
    normal,
    read_cell,
)
from kb4_async.protocol.scim.marks import CLEAR
from kb4_async.protocol.scim.names import fold
from kb4_async.protocol.scim.schema import BY_FIELD, ROOTS
from kb4_async.protocol.scim.users import FIELDS, ScimUser
from kb4_async.scim.input_rows import PADDING

#: Fields whose cells are taken as they are.
PLAIN = frozenset(
    name
    for name, each in BY_FIELD.items()
    if each.kind == "text" and name not in {"user_name", "email"}
)
#: Names that a SCIM resource has outside of extensions and complex attributes.
OUTERMOST = frozenset(name.lower() for name in ROOTS)


class Headers:
    """What is known of headers: of a file's, or of the keys that mappings have.

    Args:
        wanted: What the caller said of columns.

    Attributes:
        columns: Headers that were used, and their fields.
        ignored: Headers that were not.
    """

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.columns: dict[str, str] = {}
        self.ignored: list[str] = []
        self.matched: dict[tuple[str, ...], Columns | str] = {}

    def add(self, found: Columns) -> Columns:
        """Take what was found."""
        placed = sorted((place, header, name) for name, (place, header) in found.fields.items())
        self.columns.update({header: name for _, header, name in placed})
        self.ignored.extend(each for each in found.ignored if each not in self.ignored)
        return found

    def lacking(self) -> None:
        """Refuse what ``columns`` names and no mapping has."""
        if self.matched:
            check_lacking(self.wanted, dict.fromkeys(key for keys in self.matched for key in keys))


class UserAssembler:
    """Makes users; the second of one name is left out.

    Args:
        headers: What is known of headers.
        empty: What an empty cell says.
    """

    vocabulary = USERS

    def __init__(self, headers: Headers, empty: Empty) -> None:
        self.headers = headers
        self.empty = empty
        self.plan: list[tuple[int, str, str, bool]] = []
        self.seen: dict[str, str] = {}

    def header(self, headers: Sequence[str]) -> None:
        """Take a file's headers.

        Raises:
            ConfigurationError: They name no users.
        """
        check_lacking(self.headers.wanted, headers)
        self.plan = plan(self.headers.add(match(headers, self.headers.wanted, USERS)))

    def torn(self, place: str, cells: Sequence[str], reason: str) -> Rejected:
        """Refuse a row that is not whole."""
        return Rejected(place, reason, name_in(cells, self.plan))

    def row(self, place: str, cells: Sequence[str]) -> Sequence[ScimUser | Rejected]:
        """Make a user of a row."""
        return [self.made(place, cells, self.plan)]

    def made(
        self, place: str, cells: Sequence[str], columns: Sequence[tuple[int, str, str, bool]]
    ) -> ScimUser | Rejected:
        """Make a user of cells."""
        named: dict[str, Any] = {}
        try:
            for at, name, header, plain in columns:
                text = cells[at]
                if text:
                    as_it_is = plain and "\0" not in text
                    named[name] = text if as_it_is else read_cell(name, header, text)
                elif name == "user_name":
                    return Rejected(place, f"the column {header!r} is empty, so it is no user")
                elif self.empty == "clear" and name != "active":  # which is never empty
                    named[name] = CLEAR
            user = ScimUser(**named)
        except ValueError as error:
            return Rejected(place, str(error).rstrip("."), name_in(cells, columns))
        return self.once(place, user)

    def once(self, place: str, user: ScimUser) -> ScimUser | Rejected:
        """Refuse the second user of a name."""
        first = self.seen.setdefault(fold(user.user_name), place)
        if first is place:
            return user
        return Rejected(place, f"{first} has the same userName: remove one of them", user.user_name)

    def item(self, place: str, given: object) -> Sequence[ScimUser | Rejected]:
        """Make a user of a mapping, or take one."""
        if isinstance(given, Mapping) and not all(isinstance(key, str) for key in given):
            return [Rejected(place, "its keys are not all text")]
        if isinstance(given, Mapping) and is_flat(given, self.headers.wanted):
            return [self.flat(place, given)]
        if not isinstance(given, Mapping | ScimUser):
            kind = type(given).__name__
            return [Rejected(place, f"a user is an object with a userName, not of type {kind}")]
        name = None
        try:
            name = given.user_name if isinstance(given, ScimUser) else named_in(given)
            user = ScimUser.of(given)
        # The last three are of mappings that no JSON could be, deep inside.
        except (ConfigurationError, AttributeError, TypeError, OverflowError) as error:
            return [Rejected(place, str(error).rstrip("."), name)]
        if not is_address(user.user_name):
            return [Rejected(place, f"{no_address(user.user_name)}: correct userName", name)]
        if isinstance(user.email, str) and user.email and not is_address(user.email):
            return [Rejected(place, f"{no_address(user.email)}: correct email", name)]
        return [self.once(place, user)]

    def flat(self, place: str, given: Mapping[str, Any]) -> ScimUser | Rejected:
        """Make a user of a mapping whose keys are headers."""
        keys = tuple(given)
        known = self.headers.matched.get(keys)
        if known is None:
            try:
                known = self.headers.add(match(keys, self.headers.wanted, USERS))
            except ConfigurationError as error:
                known = str(error).rstrip(".")
            self.headers.matched[keys] = known
        if isinstance(known, str):
            return Rejected(place, known)
        columns = plan(known)
        cells = [""] * len(keys)
        try:
            for at, _, header, _ in columns:
                cells[at] = cell_of(header, given[header])
        except ValueError as error:
            return Rejected(place, str(error), name_in(cells, columns))
        return self.made(place, cells, columns)

    def end(self) -> Sequence[ScimUser]:
        """Nothing more comes.

        Raises:
            ConfigurationError: No item has what ``columns`` names.
        """
        self.headers.lacking()
        return ()


def plan(found: Columns) -> list[tuple[int, str, str, bool]]:
    """Place, field and header of each column, and whether its cells are taken as they are; the user
    name is first."""
    # First, so that what is wrong further on is said of a user by name.
    order = sorted(found.fields.items(), key=lambda each: each[0] != "user_name")
    return [(place, name, header, name in PLAIN) for name, (place, header) in order]


def name_in(cells: Sequence[str], columns: Sequence[tuple[int, str, str, bool]]) -> str | None:
    """The user name among cells."""
    if not columns or columns[0][0] >= len(cells):
        return None
    return cells[columns[0][0]] or None


def named_in(given: Mapping[str, Any]) -> str | None:
    """The user name in a mapping."""
    found = (each for key, each in given.items() if key.lower() in {"username", "user_name"})
    name = next(found, None)
    return name if isinstance(name, str) and name else None


def is_flat(given: Mapping[str, Any], wanted: Wanted) -> bool:
    """Whether a mapping's keys are headers: a SCIM resource, or one of this library's fields, says
    whose user it is, and knows no other words."""
    if wanted and any(normal(key) in wanted for key in given):
        return True
    if "user_name" in given:
        other = FIELDS
    elif any(key.lower() == "username" for key in given):
        other = OUTERMOST
    else:
        return True
    if any(isinstance(value, Mapping | list | tuple) for value in given.values()):
        return False
    return any(
        normal(key) in USERS.words and key not in other and key.lower() not in other
        for key in given
    )


def cell_of(header: str, value: object) -> str:
    """A value of a flat mapping as a cell.

    Raises:
        ValueError: It is none.
    """
    if value is None or value != value:  # noqa: PLR0124  # not a number: pandas says nothing so
        return ""
    if isinstance(value, str):
        return value.strip(PADDING)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    msg = f"the column {header!r} holds a value of type {type(value).__name__}, which is no text"
    raise ValueError(msg)
