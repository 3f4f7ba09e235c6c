"""``kb.groups``: groups and their members."""

from __future__ import annotations

from typing import Literal, Unpack

from kb4_async.protocol.endpoints import GROUP_RISK_HISTORY, GROUPS, MEMBERS
from kb4_async.records import Group, GroupRiskScore, Member
from kb4_async.reporting.base import EachOptions, ListOptions, Noun, recount
from kb4_async.reporting.derived import DerivedMembers
from kb4_async.reporting.parents import Parents, children_of, count_in
from kb4_async.reporting.users import UsersNoun
from kb4_async.runtime.fanout import FanOut, OnError
from kb4_async.runtime.listing import Listing


class GroupsNoun(Noun[Group]):
    """Groups and their members."""

    endpoint = GROUPS

    def list(
        self,
        *,
        status: Literal["active", "archived"] | None = None,
        **options: Unpack[ListOptions],
    ) -> Listing[Group]:
        """List groups; one request for each 500 and a few more (see ``Listing``).

        Args:
            status: Only active or only archived groups; None for both.
            **options: ``per_page``, ``max_items``, ``prefetch``, ``verify``, ``start``: see
                ``ListOptions``.

        Raises:
            ConfigurationError: A value the API does not know.
        """
        return self.listing({"status": status}, **options)

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
        **options: Unpack[ListOptions],
    ) -> Listing[Member]:
        """List a group's members as full user records, with ``group_id`` added.

        Args:
            group_id: The group.
            member_count: The group record's ``member_count``: with it the listing costs one request
                for each 500 members and nothing more. If fewer come it is asked for again, and if
                it changed the members are read again.
            **options: As for ``list``.

        Raises:
            ConfigurationError: A value the API does not know.
        """
        scope = {"group_id": group_id}
        return self.listing(
            {},
            endpoint=MEMBERS,
            scope=scope,
            count=member_count,
            recount=recount(GROUPS, scope, lambda group: count_in(group, "member_count")),
            **options,
        )

    def members_each(
        self,
        groups: Parents[Group] | None = None,
        *,
        on_error: OnError = "raise",
        **options: Unpack[EachOptions],
    ) -> FanOut[Member]:
        """List the members of many groups concurrently; each record has its ``group_id``.

        Requests: those of ``members`` for each group, and the listing of groups if none are given.
        Membership alone is cheaper: ``derived_members`` needs no request beyond the users.

        Args:
            groups: Group ids, or group records (whose ``member_count`` saves requests); None for
                every group of the account.
            on_error: ``raise`` ends with the first group's error; ``skip`` goes on and keeps it in
                the iterator's ``failures``.
            **options: ``per_page``, ``prefetch``, ``verify``: see ``EachOptions``.

        Raises:
            ConfigurationError: A value the API does not know.
        """
        return children_of(
            self.source,
            groups,
            self.list,
            lambda group_id, count: self.members(group_id, member_count=count, **options),
            what="group",
            key="id",
            counts=("member_count",),
            on_error=on_error,
        )

    def derived_members(self) -> DerivedMembers:
        """Derive who is in which group from the users' own ``groups``: no request a group.

        The records are those of ``members_each``: the user record with ``group_id`` added, once for
        each of the user's groups, archived groups included.

        Requests: those of ``users.list()``. Memory: as for a ``Listing``.
        """
        return DerivedMembers(UsersNoun(self.source).list())

    def risk_history(
        self, group_id: int | str, *, full: bool = True, **options: Unpack[ListOptions]
    ) -> Listing[GroupRiskScore]:
        """List a group's risk scores, one a day, with ``group_id`` added.

        Requests: one for each 500 days and a few more (see ``Listing``).

        Args:
            group_id: The group.
            full: False serves the last six months alone.
            **options: As for ``list``.

        Raises:
            ConfigurationError: A value the API does not know.
        """
        scope = {"group_id": group_id}
        return self.listing({"full": full}, endpoint=GROUP_RISK_HISTORY, scope=scope, **options)

    def risk_history_each(
        self,
        groups: Parents[Group] | None = None,
        *,
        full: bool = True,
        on_error: OnError = "raise",
        **options: Unpack[EachOptions],
    ) -> FanOut[GroupRiskScore]:
        """List the risk scores of many groups concurrently; each record has its ``group_id``.

        Requests: those of ``risk_history`` for each group, and the listing of groups if none are
        given.

        Args:
            groups: Group ids or records; None for every group of the account.
            full: False serves the last six months alone.
            on_error: As for ``members_each``.
            **options: ``per_page``, ``prefetch``, ``verify``: see ``EachOptions``.

        Raises:
            ConfigurationError: A value the API does not know.
        """
        return children_of(
            self.source,
            groups,
            self.list,
            lambda group_id, _: self.risk_history(group_id, full=full, **options),
            what="group",
            key="id",
            counts=(),
            on_error=on_error,
        )
