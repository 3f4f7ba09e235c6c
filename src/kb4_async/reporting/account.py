"""``kb.account``."""

from __future__ import annotations

from kb4_async.protocol.endpoints import ACCOUNT
from kb4_async.protocol.page import Page
from kb4_async.records import Account
from kb4_async.reporting.base import Noun
from kb4_async.runtime.engine import Tally


class AccountNoun(Noun[Account]):
    """The account the key belongs to."""

    endpoint = ACCOUNT

    async def get(self) -> Account:
        """Get the account: name, domains, subscription, seats, risk score. One request.

        Raises:
            AuthenticationError: The key is not known here.
            KB4Error: The request failed otherwise.
        """
        return (await self.page()).items[0]

    async def page(self, tally: Tally | None = None) -> Page[Account]:
        """Get the account as a page of one record, for its bytes as served. One request.

        Args:
            tally: Counts the request.

        Raises:
            KB4Error: As ``get``.
        """
        return await self.one_page({}, {}, tally)
