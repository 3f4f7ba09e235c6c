"""Groups made of memberships, one a row, and of objects that list their members."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kb4_async.errors import ConfigurationError
from kb4_async.protocol.scim.columns import (
    GROUPS,
    Rejected,
    check_lacking,
    is_address,
    match,
    no_address,
    normal,
)
from kb4_async.protocol.scim.groups import DesiredGroup
from kb4_async.protocol.scim.marks import UNSET, Unset
from kb4_async.protocol.scim.names import fold
from kb4_async.scim.input_users import Headers, cell_of


@dataclass(slots=True)
class Gathered:
    """What is known of a group.

    Attributes:
        members: User names by what they are compared as; None where nothing was said of members.
        external_id: The first that was given.
    """

    members: dict[str, str] | None = None
    external_id: str | Unset = UNSET


class GroupAssembler:
    """Makes groups, in the order in which they are first named, once everything was read.

    Args:
        headers: What is known of headers.
    """

    vocabulary = GROUPS

    def __init__(self, headers: Headers) -> None:
        self.headers = headers
        self.groups: dict[str, Gathered] = {}
        self.places: tuple[int, int] | None = None

    def header(self, headers: Sequence[str]) -> None:
        """Take a file's headers.

        Raises:
            ConfigurationError: They name no groups, or no members.
        """
        check_lacking(self.headers.wanted, headers)
        found = self.headers.add(match(headers, self.headers.wanted, GROUPS)).fields
        self.places = (found["display_name"][0], found["members"][0])

    def torn(self, place: str, cells: Sequence[str], reason: str) -> Rejected:
        """Refuse a row that is not whole."""
        at = self.places[0] if self.places else 0
        return Rejected(place, reason, (cells[at] or None) if at < len(cells) else None)

    def row(self, place: str, cells: Sequence[str]) -> Sequence[Rejected]:
        """Take a membership."""
        assert self.places is not None  # noqa: S101  # the header comes first
        return self.membership(place, cells[self.places[0]], cells[self.places[1]])

    def membership(self, place: str, group: str, member: str) -> Sequence[Rejected]:
        """Take a membership; without a member it says that there is the group, and no more."""
        if not group or "\0" in group:
            return [Rejected(place, "it names no group")]
        if not member:
            self.groups.setdefault(group, Gathered())
            return ()
        return self.add(place, group, [member])

    def add(self, place: str, group: str, members: Iterable[str]) -> list[Rejected]:
        """Take members, each once; of those that cannot be, say so under the group's name."""
        gathered = self.groups.setdefault(group, Gathered())
        known = {} if gathered.members is None else gathered.members
        refused: list[Rejected] = []
        for each in members:
            if is_address(each):
                known.setdefault(fold(each), each)
            else:
                reason = f"{no_address(each)}, so it is no member: correct the user name"
                refused.append(Rejected(place, reason, group))
        # That nobody is in a group is never concluded from members that could not be read.
        if known or not refused:
            gathered.members = known
        return refused

    def item(self, place: str, given: object) -> Sequence[Rejected]:
        """Take a group, or a mapping that is one, or that is a membership."""
        if isinstance(given, Mapping) and not all(isinstance(key, str) for key in given):
            return [Rejected(place, "its keys are not all text")]
        if isinstance(given, Mapping) and self.is_membership(given):
            return self.flat(place, given)
        if not isinstance(given, Mapping | DesiredGroup):
            kind = type(given).__name__
            return [Rejected(place, f"a group is an object with a displayName, not of type {kind}")]
        try:
            group = DesiredGroup.of(given)
        except ConfigurationError as error:
            return [Rejected(place, str(error).rstrip("."), named_in(given))]
        name = group.display_name.strip()
        gathered = self.groups.setdefault(name, Gathered())
        if gathered.external_id is UNSET:
            gathered.external_id = group.external_id
        return () if group.members is UNSET else self.add(place, name, group.members)

    def is_membership(self, given: Mapping[str, Any]) -> bool:
        """Whether a mapping is a group's name and one user's, and not a group."""
        keys = {normal(key) for key in given}
        if self.headers.wanted.keys() & keys:
            return True
        if any(isinstance(value, Mapping | list | tuple) for value in given.values()):
            return False
        named = {GROUPS.words.get(key) for key in keys}
        return "displayname" not in keys or bool(named & {"user_name", "email"}) or "user" in keys

    def flat(self, place: str, given: Mapping[str, Any]) -> Sequence[Rejected]:
        """Take a mapping that is a membership."""
        try:
            keys = tuple(given)
            known = self.headers.matched.get(keys)
            if known is None:
                known = self.headers.add(match(keys, self.headers.wanted, GROUPS))
                self.headers.matched[keys] = known
            if isinstance(known, str):
                return [Rejected(place, known)]
            headers = (known.fields["display_name"][1], known.fields["members"][1])
            group, member = (cell_of(header, given[header]) for header in headers)
        except ValueError as error:
            return [Rejected(place, str(error).rstrip("."))]
        return self.membership(place, group, member)

    def end(self) -> Sequence[DesiredGroup]:
        """The groups.

        Raises:
            ConfigurationError: No item has what ``columns`` names.
        """
        self.headers.lacking()
        return [
            DesiredGroup(
                name,
                UNSET if each.members is None else tuple(each.members.values()),
                each.external_id,
            )
            for name, each in self.groups.items()
        ]


def named_in(given: DesiredGroup | Mapping[str, Any]) -> str | None:
    """The group's name in a mapping."""
    if isinstance(given, DesiredGroup):
        return given.display_name
    found = (given[key] for key in given if normal(key) == "displayname")
    name = next(found, None)
    return name if isinstance(name, str) and name else None
