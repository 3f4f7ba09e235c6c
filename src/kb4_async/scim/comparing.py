"""Reading what is wanted and what is there, and making a plan of the difference."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Collection, Iterable
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import Any, TypeVar

from kb4_async.errors import ConfigurationError
from kb4_async.protocol.scim.columns import Rejected
from kb4_async.protocol.scim.groups import DesiredGroup, ScimGroup
from kb4_async.protocol.scim.marks import UNSET
from kb4_async.protocol.scim.plan import PHASES, Missing, PlannedChange, ScimPlan
from kb4_async.protocol.scim.planning import Planner, group_step
from kb4_async.protocol.scim.users import ScimUser, parse_user
from kb4_async.scim.client import ScimClient
from kb4_async.scim.listing import ScimListing

T = TypeVar("T")

#: Any iterable of what is wanted: objects, mappings, or ``read_users`` with what it had to reject.
Source = Iterable[Any] | AsyncIterable[Any]

#: Things handled between two moments at which the event loop may do something else.
BREATH = 100


async def each(source: Source) -> AsyncGenerator[Any, None]:
    """Iterate anything, letting the event loop breathe."""
    if isinstance(source, AsyncIterable):
        iterator = aiter(source)
        try:
            async for item in iterator:
                yield item
        finally:
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await close()
        return
    for place, item in enumerate(source):
        if place % BREATH == 0:
            await asyncio.sleep(0)
        yield item


async def gathered(source: Iterable[T | None]) -> tuple[T, ...]:
    """What an iterable gives besides None, letting the event loop breathe."""
    return tuple([item async for item in each(source) if item is not None])


class Comparison:
    """One plan in the making.

    Args:
        scim: The client.
        missing: What happens to active users that are not wanted.
        reactivate: Bring archived users back that are wanted.
        ignore: Fields that are not compared.
        protected: Folded names of users that are never deactivated.
    """

    def __init__(
        self,
        scim: ScimClient,
        *,
        missing: Missing,
        reactivate: bool,
        ignore: Collection[str],
        protected: Collection[str],
    ) -> None:
        self.scim = scim
        self.planner = Planner(missing, reactivate, ignore, protected)
        self.groups: dict[str, DesiredGroup] = {}
        self.steps: list[PlannedChange] = []
        self.notes: list[str] = []
        #: Of groups: it says nothing of who is missing among the users.
        self.left_out: list[str] = []
        #: Names of groups of which something was left out; None for a line of nobody knows which.
        self.doubtful: set[str | None] = set()
        self.memberships = 0

    async def plan(self, users: Source | None, groups: Source | None) -> ScimPlan:
        """Read both sides and compare them."""
        created = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        if users is not None:
            await self.want_users(users)
        if groups is not None:
            await self.want_groups(groups)
        await self.read_users()
        planner = self.planner
        if users is not None:
            self.steps += await gathered(planner.user_steps())
        await self.read_groups()
        phases: list[list[PlannedChange]] = [[] for _ in PHASES]
        async for step in each(self.steps):
            phases[step.phase].append(step)
        return ScimPlan(
            self.scim.address.base_url,
            created,
            planner.missing,
            users_before=planner.users,
            active_before=planner.active,
            memberships_before=self.memberships,
            desired_users=None if users is None else len(planner.wanted),
            desired_groups=len(self.groups),
            steps=tuple(chain.from_iterable(phases)),
            unmatched=() if users is None else await gathered(planner.unmatched()),
            archived=await gathered(planner.archived()),
            lookalikes=await gathered(planner.lookalikes()),
            rejected=(*planner.rejected, *self.left_out),
            notes=(*(() if users is None else planner.notes()), *self.notes),
        )

    async def want_users(self, users: Source) -> None:
        """Take what is wanted of users."""
        place = 0
        async with aclosing(each(users)) as items:
            async for item in items:
                place += 1
                if isinstance(item, Rejected):
                    self.planner.reject(str(item), item.name)
                    continue
                try:
                    self.planner.want(ScimUser.of(item), f"item {place}")
                except ConfigurationError as error:
                    self.planner.reject(f"item {place}: {error}", name_in(item))

    async def want_groups(self, groups: Source) -> None:
        """Take what is wanted of groups; the second of one name is left out."""
        place = 0
        async with aclosing(each(groups)) as items:
            async for item in items:
                place += 1
                if isinstance(item, Rejected):
                    self.left_out.append(str(item))
                    self.doubtful.add(item.name)
                    continue
                try:
                    group = DesiredGroup.of(item)
                except ConfigurationError as error:
                    self.left_out.append(f"group {place}: {error}")
                    self.doubtful.add(None)
                    continue
                if group.display_name in self.groups:
                    name = group.display_name
                    self.left_out.append(f"group {place} ({name}): it was named before")
                    self.doubtful.add(name)
                else:
                    self.groups[group.display_name] = group

    async def read_users(self) -> None:
        """Compare everybody who is there, page by page."""
        parse = partial(parse_user, keep=self.planner.needs_served)
        found = aiter(ScimListing(self.scim.source, "Users", parse))
        async for user in found:
            self.planner.there(user)
        for lost in found.unreadable[:5]:
            self.notes.append(f"a user there could not be read, for {lost.reason}: left alone")

    async def read_groups(self) -> None:
        """Compare the wanted groups."""
        if not self.groups:
            return
        there: dict[str, list[ScimGroup]] = {}
        async for group in self.scim.groups.list(members=False):
            there.setdefault(group.display_name, []).append(group)
        for wanted in self.groups.values():
            await self.compare_group(wanted, there.get(wanted.display_name, []))

    async def compare_group(self, wanted: DesiredGroup, there: list[ScimGroup]) -> None:
        """Find out what has to be written of a group; its members cost a request."""
        if len(there) > 1:
            ids = ", ".join(each.id for each in there)
            self.notes.append(
                f"several groups are there as {wanted.display_name!r} (ids {ids}): left alone, "
                "make them one"
            )
            return
        group = there[0] if there else None
        members: tuple[str, ...] = ()
        if group is None:
            self.steps.append(group_step(wanted))
        elif wanted.members is not UNSET:
            # Whatever a list shows of members, that they were asked to be left out is in it.
            full = await self.scim.groups.get(group.id)
            members = () if full.members is UNSET else full.members
            self.memberships += len(members)
        step, nobody = self.planner.member_step(
            wanted,
            group.id if group else None,
            members,
            doubtful=not self.doubtful.isdisjoint({None, wanted.display_name}),
        )
        if step is not None:
            self.steps.append(step)
        self.left_out += [
            f"group {wanted.display_name!r}: no user {name!r} is there or wanted" for name in nobody
        ]


def name_in(item: object) -> str | None:
    """The userName in something that is no user, where it has one."""
    if isinstance(item, dict):
        name = item.get("userName", item.get("user_name"))
        return name if isinstance(name, str) else None
    return None
