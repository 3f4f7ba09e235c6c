"""``kb.users``."""

from __future__ import annotations

from typing import Literal

from kb4_async.protocol.endpoints import USERS
from kb4_async.records import User
from kb4_async.reporting.base import MAX_PER_PAGE, PREFETCH, Noun, Verify
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
        per_page: int = MAX_PER_PAGE,
        max_items: int | None = None,
        prefetch: int = PREFETCH,
        verify: Verify = "tail",
        start: str | None = None,
    ) -> Listing[User]:
        """List users; one request for each 500 and a few more (see ``Listing``).

        Args:
            status: Only active or only archived users; None for both.
            group_id: Only members of this group.
            expand: ``group`` serves ``groups`` as objects instead of ids.
            per_page: Page size, 1 to 500.
            max_items: Most records in all; None for every one.
            prefetch: Pages fetched ahead of you.
            verify: ``tail`` looks at the last page again, ``full`` reads twice, ``none`` neither.
            start: Resume token.

        Raises:
            ConfigurationError: A value the API does not know.
        """
        filters = {"status": status, "group_id": group_id, "expand": expand}
        return self.listing(
            filters,
            per_page=per_page,
            max_items=max_items,
            prefetch=prefetch,
            verify=verify,
            start=start,
        )

    async def get(self, user_id: int | str) -> User:
        """Get one user. One request.

        Raises:
            NotFoundError: There is no such user.
            KB4Error: The request failed otherwise.
        """
        return await self.one({"user_id": user_id}, {})
