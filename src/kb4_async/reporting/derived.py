"""Group membership derived from the users' own ``groups``, without a request a group."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from typing import Any, Self, cast

from kb4_async.records import Member, User
from kb4_async.runtime.iterators import RecordIterator
from kb4_async.runtime.listing import Listing


class DerivedMembers:
    """Every membership of the account; each iteration starts afresh.

    Args:
        users: The listing to derive from.
    """

    def __init__(self, users: Listing[User]) -> None:
        self.users = users

    def __aiter__(self) -> DerivedIterator:
        """Iterate memberships: all groups of one user after another."""
        return DerivedIterator(aiter(self.users))

    async def collect(self) -> list[Member]:
        """Fetch everything into a list; about 3 kB a membership."""
        async with aclosing(aiter(self)) as records:
            return [record async for record in records]


class DerivedIterator:
    """One iteration; leaving it leaves the users' listing."""

    def __init__(self, users: RecordIterator[User]) -> None:
        self.users = users
        self.members: Iterator[Member] = iter(())

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> Member:
        """Return the next membership."""
        while True:
            for member in self.members:
                return member
            self.members = members_of(await anext(self.users))

    async def aclose(self) -> None:
        """Stop fetching; returns when every fetcher has ended. Nothing more is delivered."""
        self.members = iter(())
        await self.users.aclose()


def members_of(user: User) -> Iterator[Member]:
    """The user record once for each of the user's groups, with ``group_id`` added."""
    groups: list[Any] = user.get("groups") or []
    for group in groups:
        group_id = group.get("id") if isinstance(group, dict) else group
        yield cast("Member", {**user, "group_id": group_id})
