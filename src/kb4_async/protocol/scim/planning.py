"""Comparing an account with what is wanted, one user at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import islice

from kb4_async.protocol.scim.changes import Change, differences
from kb4_async.protocol.scim.documents import document
from kb4_async.protocol.scim.groups import DesiredGroup, group_document
from kb4_async.protocol.scim.marks import UNSET
from kb4_async.protocol.scim.names import fold
from kb4_async.protocol.scim.plan import (
    Missing,
    Operation,
    PlannedChange,
    PlannedMember,
    Unmatched,
)
from kb4_async.protocol.scim.schema import ACTIVE
from kb4_async.protocol.scim.users import ScimUser


@dataclass(slots=True)
class Match:
    """The user that is there of a name that is wanted.

    Attributes:
        name: As it is spelled there.
        id: The server's id.
        step: What has to be written; None for nothing.
        archived: It is archived and left so.
        others: Ids of further users of that name.
    """

    name: str
    id: str
    step: PlannedChange | None = None
    archived: bool = False
    others: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Planner:
    """Takes the wanted users, then those that are there, then says what has to be written.

    What goes through everybody gives None for whoever there is nothing to say of, so that the
    caller can pause between any two.

    Attributes:
        missing: What happens to active users that are not wanted.
        reactivate: Bring archived users back that are wanted.
        ignore: Fields that are not compared.
        protected: Folded names of users that are never deactivated.
        wanted: The wanted users by folded name.
        rejected: What of the input was left out.
        rejected_names: Folded names of users whose line was left out: they are wanted, after all.
        needs_served: Users are compared by what has no field, too.
        matches: The users there that are wanted, by folded name.
        doubled: Those of them of whose name there are several.
        strangers: The active users there that are not wanted.
        ids: Everybody there, by folded name.
        names: Everybody there, by id.
        numbers: Strangers' names by employee number and external id.
        shielded: Names of protected users that a line wants deactivated.
        hidden: Users wanted active, of whom the server does not show whether they are.
        users: How many are there.
        active: How many of them are active.
    """

    missing: Missing = "report"
    reactivate: bool = False
    ignore: Collection[str] = ()
    protected: Collection[str] = ()
    wanted: dict[str, ScimUser] = field(default_factory=dict)
    rejected: list[str] = field(default_factory=list)
    rejected_names: set[str] = field(default_factory=set)
    needs_served: bool = False
    matches: dict[str, Match] = field(default_factory=dict)
    doubled: dict[str, Match] = field(default_factory=dict)
    strangers: list[Unmatched] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    numbers: dict[tuple[str, str], str] = field(default_factory=dict)
    shielded: list[str] = field(default_factory=list)
    hidden: int = 0
    users: int = 0
    active: int = 0

    def want(self, user: ScimUser, place: str) -> None:
        """Take a wanted user; the second of one name is left out."""
        key = fold(user.user_name)
        if key in self.wanted:
            self.reject(f"{place} ({user.user_name}): another one has that userName", key)
        else:
            self.wanted[key] = user
            self.needs_served = self.needs_served or bool(user.extra)

    def reject(self, text: str, name: str | None) -> None:
        """Note something of the input that is left out."""
        self.rejected.append(text)
        if name:
            self.rejected_names.add(fold(name))

    def there(self, user: ScimUser) -> None:
        """Take a user that is there."""
        key, identity = fold(user.user_name), str(user.id)
        self.users += 1
        self.active += user.active is not False
        self.names[identity] = user.user_name
        self.ids.setdefault(key, identity)
        wanted = self.wanted.get(key)
        if wanted is None:
            self.stranger(user, key)
            return
        match = self.match(user, wanted)
        other = self.matches.get(key)
        if other is None:
            self.matches[key] = match
            return
        # Of two that differ in letter case, the one spelled as wanted is meant.
        if match.name == wanted.user_name != other.name:
            match, other = other, match
            self.matches[key], self.ids[key] = other, other.id
            self.doubled.pop(key, None)
        elif other.name != wanted.user_name or match.name == other.name:
            other.others.append(match.id)
            self.doubled[key] = other

    def stranger(self, user: ScimUser, key: str) -> None:
        """Take a user that is there and not wanted."""
        if user.active is False:
            return
        for kind in ("employee_number", "external_id"):
            value = getattr(user, kind)
            if value:
                self.numbers.setdefault((kind, str(value)), user.user_name)
        if key not in self.rejected_names:
            self.strangers.append(Unmatched(user.user_name, str(user.id)))

    def match(self, user: ScimUser, wanted: ScimUser) -> Match:
        """Find out what has to be written of a user that is there and wanted."""
        found = Match(user.user_name, str(user.id))
        if wanted.active is False:
            if user.active is not False:
                found.step = self.deactivation(user.user_name, found.id, user.active)
                if found.step is None:
                    self.shielded.append(user.user_name)
            return found
        if user.active is False and not self.reactivate:
            found.archived = True
            return found
        changes = differences(
            user,
            wanted,
            ignore=self.ignore,
            hidden_email=True,
            hidden_active=not self.reactivate,
        )
        rest = tuple(each for each in changes if each.attribute != ACTIVE.name)
        if user.active is False:
            changes = (Change(ACTIVE.name, before=False, after=True), *rest)
        elif user.active is UNSET and wanted.active is True and not self.reactivate:
            self.hidden += "active" not in self.ignore
        if changes:
            # Whoever may be archived counts as brought back: the guard has a cap for that.
            operation: Operation = "update_user" if changes == rest else "reactivate_user"
            found.step = PlannedChange(operation, user.user_name, found.id, changes)
        return found

    def deactivation(self, name: str, identity: str, active: object) -> PlannedChange | None:
        """The step that deactivates a user; None for one that is protected."""
        if fold(name) in self.protected:
            return None
        change = Change(ACTIVE.name, None if active is UNSET else active, after=False)
        return PlannedChange("deactivate_user", name, identity, (change,))

    @property
    def deactivates_missing(self) -> bool:
        """Whether users that are not wanted are deactivated: only on a source without faults, for
        whoever is missing from a broken one may be wanted."""
        return self.missing == "deactivate" and not self.rejected

    def user_steps(self) -> Iterator[PlannedChange | None]:
        """What has to be written of users."""
        for key, user in self.wanted.items():
            match = self.matches.get(key)
            if match is not None:
                yield None if match.others else match.step
            elif user.active is False:
                yield None
            else:
                yield PlannedChange("create_user", user.user_name, resource=document(user))
        if self.deactivates_missing:
            for each in self.strangers:
                yield self.deactivation(each.name, each.id, active=True)

    def unmatched(self) -> Iterator[Unmatched | None]:
        """Active users that are not wanted and are left alone."""
        for each in self.strangers:
            left = not self.deactivates_missing or fold(each.name) in self.protected
            yield each if left else None

    def archived(self) -> Iterator[str | None]:
        """Users that are wanted and archived, and left so."""
        return (match.name if match.archived else None for match in self.matches.values())

    def lookalikes(self) -> Iterator[tuple[str, str] | None]:
        """New users that may be somebody who is there under another name."""
        for key, user in self.wanted.items():
            if key in self.matches or user.active is False:
                yield None
                continue
            pairs = (("employee_number", user.employee_number), ("external_id", user.external_id))
            found = (self.numbers.get((kind, str(value))) for kind, value in pairs if value)
            other = next((each for each in found if each is not None), None)
            yield None if other is None else (user.user_name, other)

    def notes(self) -> Iterator[str]:
        """What a person should know besides."""
        for match in islice(self.doubled.values(), 5):
            ids = ", ".join((match.id, *match.others))
            yield f"several users are there as {match.name} (ids {ids}): left alone, make them one"
        for name in self.shielded[:5]:
            yield f"{name} is protected: not deactivated, though the input says so"
        if len(self.shielded) > 5:
            yield f"so are {len(self.shielded) - 5:,} more whom the input wants deactivated"
        if self.hidden:
            yield (
                f"the server does not show whether users are active, and {self.hidden:,} are "
                "wanted so: left as they are, for it may bring archived ones back. --reactivate "
                "(reactivate=True) makes them active"
            )
        if self.missing == "deactivate" and self.rejected:
            yield (
                f"nobody who is missing is deactivated, for {len(self.rejected):,} of the input "
                "could not be read and may be them: mend the source"
            )
        new = len(self.wanted) - len(self.matches)
        if new and self.strangers:
            yield (
                f"wanted users who are not there: {new:,}; active ones who are not wanted: "
                f"{len(self.strangers):,}. The same people under other names would become second "
                "accounts"
            )
        if new and not self.users:
            yield (
                "SCIM shows no users yet. Once SCIM is live, KnowBe4 archives everybody it was not "
                "sent: send everybody, in Test Mode, before that is switched off"
            )

    def member_step(
        self,
        group: DesiredGroup,
        group_id: str | None,
        members: Collection[str],
        *,
        doubtful: bool = False,
    ) -> tuple[PlannedChange | None, list[str]]:
        """What has to be written of a group's members.

        Args:
            group: As wanted.
            group_id: Its id; None where it is to be created.
            members: Ids of its members.
            doubtful: Something of it was left out, so that whoever is missing may be wanted. The
                same holds where a wanted member is nobody's: then none is removed.

        Returns:
            The step, None for nothing; and names of wanted members that are nobody's.
        """
        if group.members is UNSET:
            return None, []
        there, ids, nobody = set(members), set[str](), list[str]()
        add: list[PlannedMember] = []
        for key, name in {fold(each): each for each in group.members}.items():
            identity = self.ids.get(key)
            if identity is not None:
                ids.add(identity)
                if identity not in there:
                    add.append(PlannedMember(name, identity))
            elif key in self.wanted and self.wanted[key].active is not False:
                add.append(PlannedMember(name))
            else:
                nobody.append(name)
        remove = [PlannedMember(self.names.get(m, m), m) for m in members if m not in ids]
        if doubtful or nobody:
            remove = []
        if not add and not remove:
            return None, nobody
        step = PlannedChange(
            "change_members", group.display_name, group_id, add=tuple(add), remove=tuple(remove)
        )
        return step, nobody


def group_step(group: DesiredGroup) -> PlannedChange:
    """The step that creates a group."""
    return PlannedChange("create_group", group.display_name, resource=group_document(group))
