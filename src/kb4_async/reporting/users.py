"""``kb.users``."""

from __future__ import annotations

from typing import Literal, Unpack

from kb4_async.protocol.endpoints import USER_RISK_HISTORY, USERS
from kb4_async.records import User, UserRiskScore
from kb4_async.reporting.base import EachOptions, ListOptions, Noun
from kb4_async.reporting.parents import Parents, children_of
from kb4_async.runtime.fanout import FanOut, OnError
from kb4_async.runtime.listing import Listing


class UsersNoun(Noun[User]):
    """Users, active and archived."""

    endpoint = USERS

    def list(
        self,
        *,
        status: Literal["active", "archived"] | None = None,
        group_id: int | str | None = None,
        expand: Literal["group"] | None = None,
        **options: Unpack[ListOptions],
    ) -> Listing[User]:
        """List users; one request for each 500 and a few more (see ``Listing``).

        Args:
            status: Only active or only archived users; None for both.
            group_id: Only members of this group.
            expand: ``group`` serves ``groups`` as objects instead of ids.
            **options: ``per_page``, ``max_items``, ``prefetch``, ``verify``, ``start``: see
                ``ListOptions``.

        Raises:
            ConfigurationError: A value the API does not know.
        """
        filters = {"status": status, "group_id": group_id, "expand": expand}
        return self.listing(filters, **options)

    async def get(self, user_id: int | str) -> User:
        """Get one user. One request.

        Raises:
            NotFoundError: There is no such user.
            KB4Error: The request failed otherwise.
        """
        return await self.one({"user_id": user_id}, {})

    def risk_history(
        self, user_id: int | str, *, full: bool = True, **options: Unpack[ListOptions]
    ) -> Listing[UserRiskScore]:
        """List a user's risk scores, one a day, with ``user_id`` added. One request.

        The API serves at most 1,000 records and no further page; a history of 1,000 or more ends in
        ``IncompleteListingError`` with reason ``server_limit``, after all of them were delivered.

        Args:
            user_id: The user.
            full: False serves the last six months alone.
            **options: As for ``list``.

        Raises:
            ConfigurationError: A value the API does not know.
        """
        scope = {"user_id": user_id}
        return self.listing({"full": full}, endpoint=USER_RISK_HISTORY, scope=scope, **options)

    def risk_history_each(
        self,
        users: Parents[User] | None = None,
        *,
        full: bool = True,
        on_error: OnError = "raise",
        **options: Unpack[EachOptions],
    ) -> FanOut[UserRiskScore]:
        """List the risk scores of many users concurrently; each record has its ``user_id``.

        Requests: one a user, and the listing of users if none are given.

        Args:
            users: User ids or records; None for every user of the account.
            full: False serves the last six months alone.
            on_error: ``raise`` ends with the first user's error; ``skip`` goes on and keeps it in
                the iterator's ``failures``.
            **options: ``per_page``, ``prefetch``, ``verify``: see ``EachOptions``.

        Raises:
            ConfigurationError: A value the API does not know.
        """
        return children_of(
            self.source,
            users,
            self.list,
            lambda user_id, _: self.risk_history(user_id, full=full, **options),
            what="user",
            key="id",
            counts=(),
            on_error=on_error,
        )
