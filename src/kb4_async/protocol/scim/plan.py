"""``ScimPlan``: every write that would be made, in a form people can read and files can keep."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from kb4_async.errors import ConfigurationError
from kb4_async.protocol import codec
from kb4_async.protocol.scim.changes import Change
from kb4_async.protocol.scim.groups import ADD_CHUNK, REMOVE_CHUNK

#: What happens to active users that are not wanted.
Missing = Literal["report", "deactivate"]
Operation = Literal[
    "create_user",
    "update_user",
    "reactivate_user",
    "create_group",
    "change_members",
    "deactivate_user",
]

#: What is written before what: users, groups, members, and what takes something away last.
PHASES: tuple[frozenset[Operation], ...] = (
    frozenset({"create_user", "update_user", "reactivate_user"}),
    frozenset({"create_group"}),
    frozenset({"change_members"}),
    frozenset({"deactivate_user"}),
)

#: How a summary calls each kind, and the sign of its lines.
KINDS: Mapping[Operation, tuple[str, str]] = {
    "create_user": ("users to create", "+"),
    "update_user": ("users to update", "~"),
    "reactivate_user": ("archived users to reactivate", "~"),
    "create_group": ("groups to create", "+"),
    "change_members": ("groups whose members change", "~"),
    "deactivate_user": ("users to deactivate", "-"),
}

FORMAT = "kb4_async SCIM plan"
VERSION = 1
#: Lines of a kind that a summary shows.
SHOWN = 20


@dataclass(frozen=True, slots=True)
class PlannedMember:
    """A member to be added or removed.

    Attributes:
        user_name: Whose.
        id: The user's id; None where the user is to be created first.
    """

    user_name: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """One user, group, or group's members to be written.

    Attributes:
        operation: ``create_user update_user reactivate_user create_group change_members
            deactivate_user``.
        name: ``userName``, or the group's ``displayName``.
        id: The server's id; None for what is to be created.
        changes: Attributes, with what they are and what they shall be.
        resource: What is sent to create it.
        add: Members to be added.
        remove: Members to be removed.
    """

    operation: Operation
    name: str
    id: str | None = None
    changes: tuple[Change, ...] = ()
    resource: Mapping[str, Any] = field(default_factory=dict, hash=False)
    add: tuple[PlannedMember, ...] = ()
    remove: tuple[PlannedMember, ...] = ()

    @property
    def phase(self) -> int:
        """Which of the phases it belongs to."""
        return next(n for n, kinds in enumerate(PHASES) if self.operation in kinds)

    def __str__(self) -> str:
        if self.operation == "change_members":
            return f"{self.name}: {len(self.add):,} to add, {len(self.remove):,} to remove"
        shown = [str(each) for each in self.changes if self.operation != "deactivate_user"]
        return f"{self.name}: {'; '.join(shown)}" if shown else self.name


@dataclass(frozen=True, slots=True)
class Unmatched:
    """An active user that is not wanted, and is left alone.

    Attributes:
        name: ``userName``.
        id: The server's id.
    """

    name: str
    id: str


@dataclass(frozen=True, slots=True)
class ScimPlan:
    """What would be written so that an account becomes as wanted. Made by ``ScimWriter.plan``.

    It holds personal data; ``save_plan`` makes files that only their owner reads.

    Attributes:
        tenant_url: Where it is to be applied, and nowhere else.
        created: When it was made, UTC, ISO 8601.
        missing: What happens to active users that are not wanted.
        users_before: Users that the server showed.
        active_before: Those of them that were active.
        memberships_before: Members, at that time, of the groups whose members are wanted.
        desired_users: Users wanted; None where only groups are.
        desired_groups: Groups wanted.
        steps: What is to be written, in order.
        unmatched: Active users that are not wanted and are left alone.
        archived: User names that are wanted and archived, and left so.
        lookalikes: New user names that have the employee number or external id of an unmatched
            user, each with that user's name: probably the same person under a new name.
        rejected: What of the input was left out, and why.
        notes: What else a person should know.
    """

    tenant_url: str
    created: str
    missing: Missing = "report"
    users_before: int = 0
    active_before: int = 0
    memberships_before: int = 0
    desired_users: int | None = None
    desired_groups: int = 0
    steps: tuple[PlannedChange, ...] = ()
    unmatched: tuple[Unmatched, ...] = ()
    archived: tuple[str, ...] = ()
    lookalikes: tuple[tuple[str, str], ...] = ()
    rejected: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def changes_nothing(self) -> bool:
        """Whether there is nothing to write."""
        return not self.steps

    def count(self, *operations: Operation) -> int:
        """How many steps there are of some kinds."""
        return sum(step.operation in operations for step in self.steps)

    @property
    def blanked(self) -> int:
        """Users of whom a field that holds something would be emptied."""
        return sum(any(each.after is None for each in step.changes) for step in self.steps)

    @property
    def member_removals(self) -> int:
        """Memberships that would end."""
        return sum(len(step.remove) for step in self.steps)

    def phases(self) -> Iterator[tuple[PlannedChange, ...]]:
        """The steps, in groups of which each is finished before the next is begun."""
        for number in range(len(PHASES)):
            yield tuple(step for step in self.steps if step.phase == number)

    def requests(self) -> int:
        """About how many requests applying it takes: look, write; for members also look again."""
        return sum(
            2 + -(-len(step.add) // ADD_CHUNK) + -(-len(step.remove) // REMOVE_CHUNK)
            for step in self.steps
        )

    def describe(self, most: int = SHOWN) -> str:
        """The plan in words.

        Args:
            most: Steps of a kind that are shown one by one.
        """
        lines = [f"Plan of {self.created} for {self.tenant_url}:"]
        lines.append(
            f"  users there: {self.users_before:,}, active: {self.active_before:,}"
            + ("" if self.desired_users is None else f", wanted: {self.desired_users:,}")
        )
        for operation, (what, sign) in KINDS.items():
            steps = [step for step in self.steps if step.operation == operation]
            if steps:
                lines.append(f"  {what}: {len(steps):,}")
                lines += [f"    {sign} {step}" for step in steps[:most]]
                lines += and_more(len(steps) - most, 4)
        if not self.steps:
            lines.append("  nothing to write")
        listed = (
            ("active users that are not wanted, left alone", [u.name for u in self.unmatched]),
            ("users that are wanted and archived, left so", list(self.archived)),
            (
                "new users that look like one who is there under another name",
                [f"{new} (is {old}?)" for new, old in self.lookalikes],
            ),
            ("left out of the input", list(self.rejected)),
        )
        for what, names in listed:
            if names:
                lines.append(f"  {what}: {len(names):,}")
                lines += [f"    {name}" for name in names[:most]]
                lines += and_more(len(names) - most, 4)
        lines += [f"  Note: {note}" for note in self.notes]
        return "\n".join(lines) + "\n"

    def to_json(self) -> bytes:
        """The plan as a file keeps it, with a checksum: what is applied is what was read."""
        content = codec.to_plain(self)
        return codec.encode_pretty(
            {"format": FORMAT, "version": VERSION, "checksum": checksum(content), "plan": content}
        )

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read what ``to_json`` made.

        Raises:
            ConfigurationError: It is no plan, one of another version, or was changed since.
        """
        try:
            value = codec.decode(data)
        except (ValueError, RecursionError) as error:
            msg = f"This is no plan, for it is not JSON ({error}): make one with 'kb4 scim plan'."
            raise ConfigurationError(msg) from error
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            msg = "This is no plan: make one with 'kb4 scim plan' (ScimWriter.plan)."
            raise ConfigurationError(msg)
        if value.get("version") != VERSION:
            msg = (
                f"This plan is of version {value.get('version')!r}, and {VERSION} is known here: "
                "make it anew."
            )
            raise ConfigurationError(msg)
        content = value.get("plan")
        if value.get("checksum") != checksum(content):
            msg = (
                "This plan was changed after it was made, so nobody checked what it says: make it "
                "anew. To leave people out, change the source, or protect them."
            )
            raise ConfigurationError(msg)
        try:
            return codec.from_plain(content, cls)
        except ValueError as error:
            msg = f"This plan cannot be read ({error}): make it anew."
            raise ConfigurationError(msg) from error


def checksum(content: object) -> str:
    """What tells whether a plan was changed."""
    return hashlib.sha256(codec.encode(content)).hexdigest()


def and_more(left: int, indent: int) -> list[str]:
    """The line that stands for those not shown."""
    return [f"{'':{indent}}and {left:,} more"] if left > 0 else []
