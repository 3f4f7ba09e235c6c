"""Bringing a group's members to what is wanted, by PATCHes that may be lost, refused or ignored."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from kb4_async.errors import KB4Error, ScimError
from kb4_async.protocol.request import quote_segment
from kb4_async.protocol.scim.groups import (
    ADD_CHUNK,
    REMOVE_CHUNK,
    MemberRemoval,
    add_patch,
    parse_group,
    remove_patch,
)
from kb4_async.protocol.scim.marks import UNSET
from kb4_async.scim.wire import Wire

#: Refusals of a PATCH that fewer members may escape.
TOO_MANY = frozenset({400, 404, 413, 422})
#: Single members refused without any success, after which it is the form that is wrong.
ENOUGH = 3

FORMS = (
    "Servers understand one form of removing members, or both: try the other one of "
    "member_removal='filter' and 'value' (--member-removal). 'value' is tried on one member first, "
    "for servers that follow RFC 7644 to the letter take it for everybody."
)
CLEARS = (
    "the server takes a removal by values for one of everybody, as RFC 7644 (3.5.2.2) has it: use "
    "member_removal='filter' (--member-removal filter)"
)


@dataclass(slots=True)
class MemberChange:
    """What came of a group's members.

    Attributes:
        added: Ids that are members now and were not.
        removed: Ids that were members and are not now.
        refused: Ids that the server refused, and why.
        unshown: The server accepted everything and shows something else.
        vanished: Members that nobody here removed.
        cleared: The form of removal emptied the group, and whoever shall be in it was added back.
    """

    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    refused: dict[str, ScimError] = field(default_factory=dict)
    unshown: bool = False
    vanished: list[str] = field(default_factory=list)
    cleared: bool = False


class Members:
    """Changes members. A PATCH is never sent again before the group was read again: not every
    server takes the same member twice as once.

    Args:
        form: How members are removed.

    Attributes:
        trust: What is known of the form: that it removes who is named, or everybody. A filter
            cannot do the latter.
    """

    def __init__(self, form: MemberRemoval) -> None:
        self.form: MemberRemoval = form
        self.trust: Literal["unknown", "works", "clears"] = (
            "works" if form == "filter" else "unknown"
        )
        self.trying = asyncio.Lock()
        self.sizes = {True: ADD_CHUNK, False: REMOVE_CHUNK if form == "filter" else ADD_CHUNK}

    async def read(self, wire: Wire, group_id: str) -> tuple[str, ...]:
        """The group's members, each once."""
        group = await wire.resource(path_of(group_id), parse_group)
        return () if group.members is UNSET else group.members

    async def bring(
        self,
        wire: Wire,
        group_id: str,
        *,
        add: Collection[str] = (),
        remove: Collection[str] = (),
        only: bool = False,
    ) -> MemberChange:
        """Add and remove members until the group shows it.

        Args:
            wire: Makes the requests: one to read the group, one for each 100 added or 25 removed
                (100 in the form ``value``), one to read it again.
            group_id: The group.
            add: Ids that shall be members.
            remove: Ids that shall not.
            only: Whoever is not in ``add`` shall not, either.

        Raises:
            KB4Error: Refused as a whole, or, with ``maybe_applied``, not resolved.
        """
        before = await self.read(wire, group_id)
        unwanted = set(before) - set(add) if only else set(remove)
        current, found, vain = before, MemberChange(), 0
        staying = [each for each in before if each not in unwanted]
        # Where nobody stays, it is all the same whom the form removes.
        if self.trust != "works" and staying and len(staying) < len(before):
            async with self.trying:  # so that one group alone comes to harm
                current = await self.try_form(wire, group_id, before, staying, found)
            if found.cleared or found.unshown:
                return conclude(found, before, current, add, unwanted)
        while todo := Todo.of(current, add, unwanted, found.refused):
            lost = await self.send(wire, group_id, todo, found)
            if lost is not None:
                await asyncio.sleep(wire.engine.delay(vain + 1))
            read = partial(self.read, wire, group_id)
            current = await (read() if lost is None else wire.look(read))
            left = Todo.of(current, add, unwanted, found.refused)
            vain = vain + 1 if len(left) >= len(todo) else 0
            if left and lost is None and vain:
                found.unshown = True
                break
            if lost is not None and vain >= wire.engine.retry.max_attempts:
                raise lost
        return conclude(found, before, current, add, unwanted)

    async def try_form(
        self,
        wire: Wire,
        group_id: str,
        before: tuple[str, ...],
        staying: Sequence[str],
        found: MemberChange,
    ) -> tuple[str, ...]:
        """Remove one member by the form, and look whether the others are there still.

        Returns:
            The members then. Where the others were gone, they were added back.

        Raises:
            ScimError: It is known already that the form removes everybody; or it was refused.
            KB4Error: With ``maybe_applied``: nobody knows whether the group is empty now.
        """
        current, attempt, stays = before, 1, set(staying)
        while who := next((e for e in current if e not in stays and e not in found.refused), None):
            if self.trust == "clears":
                msg = f"Nothing was changed of the members of {group_id}: {CLEARS}."
                raise ScimError(msg)
            if self.trust == "works":
                break
            lost = await self.send(wire, group_id, Todo((), (who,)), found)
            if who in found.refused:
                if len(found.refused) == ENOUGH:
                    raise self.hinted(found.refused[who], adding=False)
                continue
            if lost is not None:
                await asyncio.sleep(wire.engine.delay(attempt))
            current = await wire.look(partial(self.read, wire, group_id))
            if stays.isdisjoint(current):
                self.trust, found.cleared = "clears", True
                return await self.refill(wire, group_id, staying)
            if who not in current:
                self.trust = "works"
            elif lost is None:
                found.unshown = True
                break
            elif attempt == wire.engine.retry.max_attempts:
                raise lost
            attempt += 1
        return current

    async def refill(self, wire: Wire, group_id: str, members: Sequence[str]) -> tuple[str, ...]:
        """Add back those who went with another.

        Raises:
            ScimError: With ``maybe_applied``: not all could be; the message names them.
        """
        cause: KB4Error | None = None
        back: Collection[str] = ()
        try:
            back = (await self.bring(wire, group_id, add=members)).added
        except KB4Error as error:
            cause = error
        missing = [each for each in members if each not in back]
        if missing:
            why = "" if cause is None else f" ({cause})"
            failed = ScimError(
                f"To remove one member emptied the group {group_id}, and these could not be added "
                f"back{why}, so add them: {', '.join(missing)}. For {CLEARS}."
            )
            failed.maybe_applied = True
            raise failed from cause
        return tuple(members)

    async def send(
        self, wire: Wire, group_id: str, todo: Todo, found: MemberChange
    ) -> KB4Error | None:
        """Send PATCHes one after another, halving those that are refused.

        Returns:
            The error of one that may have been applied, after which the rest was not sent.
        """
        for adding, ids in ((True, todo.add), (False, todo.remove)):
            waiting, done = [*ids], False
            refused = 0
            size = self.sizes[adding]
            while waiting:
                chunk = waiting[:size]
                try:
                    await self.patch(wire, group_id, chunk, adding=adding)
                except ScimError as error:
                    if error.status not in TOO_MANY:
                        raise self.hinted(error, adding=adding) from error
                    if len(chunk) > 1:
                        size = len(chunk) // 2
                        continue
                    refused += 1
                    found.refused[chunk[0]] = error
                    if refused == ENOUGH and not done:
                        raise self.hinted(error, adding=adding) from error
                except KB4Error as error:
                    if not error.maybe_applied:
                        raise
                    return error
                else:
                    done = True
                    # One member that is refused says nothing of how many may be sent at once.
                    if not refused:
                        self.sizes[adding] = size
                del waiting[: len(chunk)]
                size = max(size, min(self.sizes[adding], 2 * size))
        return None

    async def patch(self, wire: Wire, group_id: str, ids: Sequence[str], *, adding: bool) -> None:
        """Send one PATCH. What it answers is not used: it may be the whole group, or nothing."""
        body = add_patch(ids) if adding else remove_patch(ids, self.form)
        await wire.write("PATCH", path_of(group_id), body, parse=dict)

    def hinted(self, error: ScimError, *, adding: bool) -> ScimError:
        """An error whose message knows what to try."""
        if adding:
            return error
        return ScimError(
            f"{error} {FORMS}",
            status=error.status,
            request_id=error.request_id,
            excerpt=error.excerpt,
            scim_type=error.scim_type,
            detail=error.detail,
        )


@dataclass(frozen=True, slots=True)
class Todo:
    """Members still to be added and removed."""

    add: tuple[str, ...]
    remove: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.add) + len(self.remove)

    @classmethod
    def of(
        cls,
        current: Collection[str],
        add: Collection[str],
        remove: Collection[str],
        refused: Collection[str],
    ) -> Todo:
        """What differs between the members there are and those that are wanted."""
        never = set(refused)
        known = {*current, *never}
        return cls(
            tuple(each for each in dict.fromkeys(add) if each not in known),
            tuple(each for each in current if each in remove and each not in never),
        )


def conclude(
    found: MemberChange,
    before: Collection[str],
    current: Collection[str],
    add: Collection[str],
    remove: Collection[str],
) -> MemberChange:
    """Fill in who came, who went, and who went without being asked to."""
    then, now = set(before), set(current)
    came = now - then
    found.added = [each for each in dict.fromkeys(add) if each in came]
    gone = [each for each in before if each not in now]
    found.removed = [each for each in gone if each in remove]
    found.vanished = [each for each in gone if each not in remove]
    return found


def path_of(group_id: str) -> str:
    """Path of a group."""
    return f"Groups/{quote_segment('id', group_id)}"
