"""``scim.groups``: every group of the account, and the writes that change one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from kb4_async.errors import AmbiguousMatchError, ConfigurationError, KB4Error
from kb4_async.protocol.scim.groups import (
    DesiredGroup,
    MemberRemoval,
    ScimGroup,
    group_document,
    parse_group,
)
from kb4_async.protocol.scim.marks import UNSET
from kb4_async.protocol.scim.outcome import Result, ScimOutcome
from kb4_async.protocol.scim.users import ScimUser
from kb4_async.runtime.source import Source
from kb4_async.scim.ensuring import unresolved, unseen
from kb4_async.scim.listing import ScimListing
from kb4_async.scim.lookup import Directory
from kb4_async.scim.membership import CLEARS, MemberChange, Members, path_of
from kb4_async.scim.wire import Wire

T = TypeVar("T")

#: Keeps members out of answers that do not need them; servers may ignore it.
WITHOUT_MEMBERS = {"excludedAttributes": "members"}


class GroupsNoun:
    """The groups. Made by the client; not to be made by hand.

    Where a method takes ``group``, give an id or a ``ScimGroup``; where it takes members, ids of
    users or ``ScimUser`` objects that were read.
    """

    def __init__(self, source: Source, users: Directory[ScimUser], removal: MemberRemoval) -> None:
        self.source = source
        self.users = users
        self.directory: Directory[ScimGroup] = Directory(
            source, "Groups", "displayName", parse_group, fold=False, query=WITHOUT_MEMBERS
        )
        self.members = Members(removal)
        self.making = asyncio.Lock()

    def list(self, *, members: bool = True) -> ScimListing[ScimGroup]:
        """Every group; one request for each 100.

        Args:
            members: False asks the server to leave the members out.
        """
        return ScimListing(self.source, "Groups", parse_group, None if members else WITHOUT_MEMBERS)

    async def get(self, group: str | ScimGroup) -> ScimGroup:
        """Read one group with its members; one request.

        Raises:
            NotFoundError: There is none of that id.
        """
        identity = group_id(group)
        return await self.call(lambda wire: wire.resource(path_of(identity), parse_group))

    async def find(self, display_name: str) -> ScimGroup | None:
        """Find the group of exactly that name, without its members, as users are found.

        Raises:
            AmbiguousMatchError: There are several: SCIM does not make names unique.
        """
        return await self.call(lambda wire: self.directory.find(wire, display_name))

    async def create(self, group: str | DesiredGroup | Mapping[str, Any]) -> ScimGroup:
        """Create a group without members. The request is sent once; ``ensure`` does this safely.

        Raises:
            ScimError: It was refused.
            KB4Error: With ``maybe_applied`` where it may exist now: ``find`` it before trying
                again, or there will be two.
        """
        wanted = desired(group)
        return await self.call(lambda wire: self.post(wire, wanted))

    async def ensure(self, group: str | DesiredGroup | Mapping[str, Any]) -> ScimOutcome:
        """Make sure that there is one group of that name and, where ``members`` are named, that it
        has these and no others.

        Looks it up, creates it; sends a create again only after a look that did not find it.

        Returns:
            ``created``, ``adopted``, ``updated`` (its members), ``unchanged``; ``conflict`` where
            there are several, or the server does not show what it accepted; ``unknown`` where a
            write could not be resolved; ``failed`` where a member does not exist.

        Raises:
            ScimError: It was refused.
        """
        wanted = desired(group)
        return await self.call(lambda wire: self.ensure_one(wire, wanted))

    async def add_members(
        self, group: str | ScimGroup, members: Collection[str | ScimUser]
    ) -> ScimOutcome:
        """Add members: one request for each 100, one before and one behind to read the group."""
        return await self.change_members(group, add=user_ids(members))

    async def remove_members(
        self, group: str | ScimGroup, members: Collection[str | ScimUser]
    ) -> ScimOutcome:
        """Remove members: one request for each 25 (100 in the form ``value``), and two to read.

        The form ``value`` is tried on one member first, with two more requests of a client: some
        servers take it for everybody. Then the others are added back, and that is a ``conflict``.
        """
        return await self.change_members(group, remove=user_ids(members))

    async def replace_members(
        self, group: str | ScimGroup, members: Collection[str | ScimUser]
    ) -> ScimOutcome:
        """Let the group have these members and no others: what differs is added and removed.

        The members are never sent as a whole, for a server that shows only some of them would drop
        the others.
        """
        return await self.change_members(group, add=user_ids(members), only=True)

    # -- what the writer uses too ---------------------------------------------------------------

    async def call(self, work: Callable[[Wire], Awaitable[T]]) -> T:
        """Do one thing, in a task that ends with the client."""
        self.source.check()
        wire = Wire(self.source.engine)
        return await self.source.call(lambda: work(wire), "kb4 scim groups")

    async def change_members(
        self,
        group: str | ScimGroup,
        *,
        add: Collection[str] = (),
        remove: Collection[str] = (),
        only: bool = False,
    ) -> ScimOutcome:
        """Change members and say what that came to."""
        identity = group_id(group)
        name = group.display_name if isinstance(group, ScimGroup) else identity

        async def work(wire: Wire) -> ScimOutcome:
            return await self.bring(wire, identity, name, add=add, remove=remove, only=only)

        return await self.call(work)

    async def bring(
        self,
        wire: Wire,
        identity: str,
        name: str,
        *,
        add: Collection[str] = (),
        remove: Collection[str] = (),
        only: bool = False,
    ) -> ScimOutcome:
        """As ``change_members``, within an operation."""
        try:
            change = await self.members.bring(wire, identity, add=add, remove=remove, only=only)
        except KB4Error as error:
            if not error.maybe_applied:
                raise
            return unresolved(wire, "members", name, error)
        return members_outcome(wire, identity, name, change)

    async def post(self, wire: Wire, wanted: DesiredGroup) -> ScimGroup:
        """Create a group; sent once."""
        made = await wire.write("POST", "Groups", group_document(wanted), parse=parse_group)
        if made is None:
            made = await wire.look(lambda: self.directory.find(wire, wanted.display_name))
            if made is None:
                raise unseen(wanted.display_name)
        self.directory.created(made)
        return made

    async def ensure_one(self, wire: Wire, wanted: DesiredGroup) -> ScimOutcome:
        """As ``ensure``, within an operation."""
        name = wanted.display_name
        try:
            # Names are not unique: of two at once, the second has to see what the first made.
            async with self.making:
                found, result = await self.find_or_create(wire, wanted)
            if wanted.members is UNSET:
                return ScimOutcome(result, "group", name, found.id, requests=wire.tally.requests)
            ids, missing = await self.resolve(wire, wanted.members)
            if missing:
                detail = f"no user {missing[0]!r}: its members were left alone"
                return ScimOutcome(
                    "failed", "group", name, found.id, detail=detail, requests=wire.tally.requests
                )
            done = await self.bring(wire, found.id, name, add=ids, only=True)
        except AmbiguousMatchError as error:
            return ScimOutcome(
                "conflict", "group", name, detail=str(error), requests=wire.tally.requests
            )
        except KB4Error as error:
            if not error.maybe_applied:
                raise
            return unresolved(wire, "group", name, error)
        return combined(done, result, name)

    async def resolve(
        self, wire: Wire, names: Collection[str]
    ) -> tuple[Sequence[str], Sequence[str]]:
        """Ids of users by name, and the names of which there is none."""
        found = {name: await self.users.find(wire, name) for name in names}
        return (
            [str(user.id) for user in found.values() if user is not None],
            [name for name, user in found.items() if user is None],
        )

    async def find_or_create(self, wire: Wire, wanted: DesiredGroup) -> tuple[ScimGroup, Result]:
        """Find a group or make it, once."""
        name, sent = wanted.display_name, 0
        found = await self.directory.find(wire, name)
        if found is not None:
            return found, "unchanged"

        async def send() -> tuple[ScimGroup, Result]:
            nonlocal sent
            sent += 1
            try:
                return await self.post(wire, wanted), "created"
            except KB4Error as error:
                if getattr(error, "status", 0) != 409 or error.maybe_applied:
                    raise
                there = await self.directory.find(wire, name, whole=True)
                if there is None:
                    raise
                return there, "adopted"

        async def look() -> tuple[ScimGroup, Result] | None:
            there = await self.directory.find_written(wire, name)
            return None if there is None else (there, "adopted")

        made = await wire.settle(send, look)
        if sent > 1:  # a first one that arrived late would make two
            await self.directory.find_written(wire, name)
        return made


def members_outcome(wire: Wire, identity: str, name: str, change: MemberChange) -> ScimOutcome:
    """What a change of members came to, as an outcome."""
    result: Result = "updated" if change.added or change.removed else "unchanged"
    detail = ""
    if change.refused:
        who, error = next(iter(change.refused.items()))
        result = "failed"
        detail = f"{len(change.refused)} refused, the first of them {who}: {error}"
    elif change.cleared:
        result = "conflict"
        detail = f"one removal emptied the group, which was filled again: {CLEARS}"
    elif change.unshown:
        result = "conflict"
        detail = (
            "the server accepted the members and shows others: it is in Test Mode, shows a part of "
            "them only, or drops some; look in the console"
        )
    elif change.vanished:
        result = "conflict"
        detail = (
            f"{len(change.vanished)} members vanished meanwhile, the first of them "
            f"{change.vanished[0]}: somebody else removed them, or the server dropped them"
        )
    return ScimOutcome(
        result,
        "members",
        name,
        identity,
        added=tuple(change.added),
        removed=tuple(change.removed),
        unconfirmed=("members",) if change.unshown else (),
        detail=detail,
        requests=wire.tally.requests,
    )


def combined(members: ScimOutcome, result: Result, name: str) -> ScimOutcome:
    """One outcome of a group and of its members."""
    return ScimOutcome(
        result if members.ok and result != "unchanged" else members.result,
        "group",
        name,
        members.id,
        added=members.added,
        removed=members.removed,
        unconfirmed=members.unconfirmed,
        detail=members.detail,
        requests=members.requests,
        error=members.error,
    )


def desired(group: str | DesiredGroup | Mapping[str, Any]) -> DesiredGroup:
    """A group as it is wanted, also from its name alone."""
    return DesiredGroup(group) if isinstance(group, str) else DesiredGroup.of(group)


def group_id(group: str | ScimGroup) -> str:
    """The id of a group."""
    return group.id if isinstance(group, ScimGroup) else group


def user_ids(members: Collection[str | ScimUser]) -> list[str]:
    """The ids of users.

    Raises:
        ConfigurationError: One has none, or they are one text.
    """
    if isinstance(members, str):
        msg = "Members are a list of ids or users, not one text."
        raise ConfigurationError(msg)
    ids = [each.id if isinstance(each, ScimUser) else each for each in members]
    wrong = next((each for each in ids if not isinstance(each, str) or not each), "")
    if wrong != "":
        msg = f"A member is a user's id, or a ScimUser that was read, not {wrong!r}."
        raise ConfigurationError(msg)
    return [each for each in ids if each]
