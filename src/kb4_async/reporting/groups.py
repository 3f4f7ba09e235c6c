"""``kb.groups``: groups and their members."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping
from contextlib import aclosing
from typing import Literal

from kb4_async.errors import ConfigurationError
from kb4_async.protocol.codec import plain_key
from kb4_async.protocol.endpoints import GROUPS, MEMBERS
from kb4_async.records import Group, Member
from kb4_async.reporting.base import MAX_PER_PAGE, PREFETCH, Noun, Verify
from kb4_async.reporting.derived import DerivedMembers
from kb4_async.reporting.users import UsersNoun
from kb4_async.runtime.fanout import FanOut, OnError
from kb4_async.runtime.listing import Listing

#: Groups to read the members of: ids, or group records, whose ``member_count`` saves requests.
Groups = Iterable[int | str | Group] | AsyncIterable[int | str | Group]


class GroupsNoun(Noun[Group]):
    """Groups and their members."""

    endpoint = GROUPS

    def list(
        self,
        *,
        status: Literal["active", "archived"] | None = None,
        per_page: int = MAX_PER_PAGE,
        max_items: int | None = None,
        prefetch: int = PREFETCH,
        verify: Verify = "tail",
        start: str | None = None,
    ) -> Listing[Group]:
        """List groups; one request for each 500 and a few more (see ``Listing``).

        Args:
            status: Only active or only archived groups; None for both.
            per_page: Page size, 1 to 500.
            max_items: Most records in all; None for every one.
            prefetch: Pages fetched ahead of you.
            verify: ``tail`` looks at the last page again, ``full`` reads twice, ``none`` neither.
            start: Resume token.

        Raises:
            ConfigurationError: A value the API does not know.
        """
        return self.listing(
            {"status": status},
            per_page=per_page,
            max_items=max_items,
            prefetch=prefetch,
            verify=verify,
            start=start,
        )

    async def get(self, group_id: int | str) -> Group:
        """Get one group. One request.

        Raises:
            NotFoundError: There is no such group.
            KB4Error: The request failed otherwise.
        """
        return await self.one({"group_id": group_id}, {})

    def members(
        self,
        group_id: int | str,
        *,
        member_count: int | None = None,
        per_page: int = MAX_PER_PAGE,
        max_items: int | None = None,
        prefetch: int = PREFETCH,
        verify: Verify = "tail",
        start: str | None = None,
    ) -> Listing[Member]:
        """List a group's members as full user records, with ``group_id`` added.

        Args:
            group_id: The group.
            member_count: The group record's ``member_count``: with it the listing costs one request
                for each 500 members and nothing more.
            per_page: Page size, 1 to 500.
            max_items: Most records in all; None for every one.
            prefetch: Pages fetched ahead of you.
            verify: ``tail`` looks at the last page again, ``full`` reads twice, ``none`` neither.
            start: Resume token.

        Raises:
            ConfigurationError: A value the API does not know.
        """
        if member_count is not None and member_count < 0:
            msg = f"member_count is 0 or more, not {member_count}."
            raise ConfigurationError(msg)
        return self.listing(
            {},
            endpoint=MEMBERS,
            # Records say 789 also where the caller, or a group record, said "789".
            scope={"group_id": plain_key(group_id) or group_id},
            count=member_count,
            per_page=per_page,
            max_items=max_items,
            prefetch=prefetch,
            verify=verify,
            start=start,
        )

    def members_each(
        self,
        groups: Groups | None = None,
        *,
        on_error: OnError = "raise",
        per_page: int = MAX_PER_PAGE,
        prefetch: int = PREFETCH,
        verify: Verify = "tail",
    ) -> FanOut[Member]:
        """List the members of many groups concurrently; each record has its ``group_id``.

        Requests: those of ``members`` for each group, and the listing of groups if none are given.
        Membership alone is cheaper: ``derived_members`` needs no request beyond the users.

        Args:
            groups: Group ids, or group records (whose ``member_count`` saves requests); None for
                every group of the account.
            on_error: ``raise`` ends with the first group's error; ``skip`` goes on and keeps it in
                the iterator's ``failures``.
            per_page: Page size, 1 to 500.
            prefetch: Pages fetched ahead in each group.
            verify: As for ``members``.

        Raises:
            ConfigurationError: A value the API does not know.
        """
        if on_error not in {"raise", "skip"}:
            msg = f"on_error is 'raise' or 'skip', not {on_error!r}."
            raise ConfigurationError(msg)
        if isinstance(groups, str | Mapping):
            msg = "groups is several groups, as a list: for one group use members(id)."
            raise ConfigurationError(msg)

        async def children() -> AsyncGenerator[Listing[Member], None]:
            async with aclosing(self.each_group(groups)) as every:
                async for group in every:
                    group_id, count = known(group)
                    yield self.members(
                        group_id,
                        member_count=count,
                        per_page=per_page,
                        prefetch=prefetch,
                        verify=verify,
                    )

        return FanOut(self.source, children, on_error)

    async def each_group(self, groups: Groups | None) -> AsyncGenerator[int | str | Group, None]:
        """The groups given, or all of the account."""
        if groups is None:
            async with aclosing(aiter(self.list())) as records:
                async for group in records:
                    yield group
        elif isinstance(groups, AsyncIterable):
            async for item in groups:
                yield item
        else:
            for item in groups:
                yield item

    def derived_members(self) -> DerivedMembers:
        """Derive who is in which group from the users' own ``groups``: no request a group.

        The records are those of ``members_each``: the user record with ``group_id`` added, once for
        each of the user's groups, archived groups included.

        Requests: those of ``users.list()``. Memory: as for a ``Listing``.
        """
        return DerivedMembers(UsersNoun(self.source).list())


def known(group: int | str | Group) -> tuple[int | str, int | None]:
    """A group's id, and its member count where a record gives it.

    Raises:
        ConfigurationError: It is neither an id nor a group record.
    """
    if isinstance(group, int | str):
        return group, None
    try:
        return group["id"], group.get("member_count")
    except (KeyError, TypeError, AttributeError) as error:
        msg = f"A group is its id or its record, not {type(group).__name__}."
        raise ConfigurationError(msg) from error
