"""What a PATCH makes of a group: its attributes and its members, all or nothing."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from kb4_async.testing.scim.bodies import Resource, ScimRefusalError, invalid_value
from kb4_async.testing.scim.groups import Groups
from kb4_async.testing.scim.patching import Operation, apply
from kb4_async.testing.scim.paths import Path, parse_path
from kb4_async.testing.scim.rules import ScimRules

MEMBERS = "members"


class Membership:
    """A group as it becomes, one operation after another; nothing of it is stored yet."""

    def __init__(
        self, groups: Groups, document: Resource, members: Sequence[int], rules: ScimRules
    ) -> None:
        """Start with the group as it is."""
        self.groups = groups
        self.document = deepcopy(document)
        self.members = list(members)
        self.rules = rules
        self.named = 0

    def patch(self, todo: Sequence[Operation]) -> None:
        """Do all operations."""
        for each in todo:
            if each.path is not None:
                self.at_path(each, parse_path(each.path))
                continue
            for name, value in each.value.items():
                if name.casefold() == MEMBERS:
                    self.change(Operation(each.op, name, value), None)
                else:
                    apply(self.document, Operation(each.op, None, {name: value}))

    def at_path(self, todo: Operation, path: Path) -> None:
        """Do an operation that has a path."""
        if path.extension is not None or path.name != MEMBERS:
            apply(self.document, todo)
        elif path.chosen is None:
            self.change(todo, path)
        elif todo.op != "remove" or path.sub is not None:
            raise ScimRefusalError(400, "A chosen member can only be removed.", "invalidPath")
        elif self.rules.member_removal == "value":
            raise ScimRefusalError(400, "Members are removed by value.", "invalidPath")
        else:
            self.count(len(path.chosen))
            self.drop([each.value for each in path.chosen])

    def change(self, todo: Operation, path: Path | None) -> None:
        """Add, replace or remove members that the value names."""
        if path is not None and path.sub is not None:
            raise ScimRefusalError(400, "Members are changed as a whole.", "invalidPath")
        if todo.op == "remove":
            self.remove(todo.value)
            return
        self.count(len(todo.value) if isinstance(todo.value, list) else 1)
        found = [] if todo.value is None else self.groups.named_members(todo.value, self.rules)
        if todo.op == "replace":
            self.members = []
        for user in found:
            if self.rules.duplicate_members or user not in self.members:
                self.members.append(user)

    def remove(self, value: Any) -> None:  # noqa: ANN401 - any JSON value
        """Remove the members of a list of values; without one, all."""
        if value is None or self.rules.member_removal == "clears":
            self.members = []
            return
        if self.rules.member_removal == "filter":
            raise invalid_value("A remove operation carries no value, a filter chooses.")
        entries = value if isinstance(value, list) else [value]
        if not all(isinstance(each, dict) and "value" in each for each in entries):
            raise invalid_value("A member is an object with a value.")
        self.count(len(entries))
        self.drop([each["value"] for each in entries])

    def drop(self, ids: Sequence[object]) -> None:
        """Remove the members with these ids; who is none is none afterwards."""
        gone = {self.groups.users.ids.origin(str(each)) for each in ids}
        self.members = [user for user in self.members if user not in gone]

    def count(self, more: int) -> None:
        """Refuse a PATCH that names too many members."""
        self.named += more
        most = self.rules.max_members_per_patch
        if most is not None and self.named > most:
            raise invalid_value(f"A PATCH may name {most} members at most.")
