"""``kb.users``."""

from __future__ import annotations

from typing import Literal, Unpack

from kb4_async.protocol.endpoints import USER_RISK_HISTORY, USERS
from kb4_async.records import User, UserRiskScore
from kb4_async.reporting.base import ListOptions, Noun
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
