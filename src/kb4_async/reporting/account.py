"""``kb.account``."""

from __future__ import annotations

from typing import Unpack

from kb4_async.protocol.endpoints import ACCOUNT, ACCOUNT_RISK_HISTORY
from kb4_async.protocol.page import Page
from kb4_async.records import Account, RiskScore
from kb4_async.reporting.base import ListOptions, Noun
from kb4_async.runtime.engine import Tally
from kb4_async.runtime.listing import Listing


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

    def risk_history(
        self, *, full: bool = True, **options: Unpack[ListOptions]
    ) -> Listing[RiskScore]:
        """List the account's risk scores, one a day; one request for each 500 and a few more.

        Args:
            full: False serves the last six months alone.
            **options: ``per_page``, ``max_items``, ``prefetch``, ``verify``, ``start``: see
                ``ListOptions``.

        Raises:
            ConfigurationError: A value the API does not know.
        """
        return self.listing({"full": full}, endpoint=ACCOUNT_RISK_HISTORY, **options)
