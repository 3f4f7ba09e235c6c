"""``kb.account``."""

from __future__ import annotations

from kb4_async.protocol.endpoints import ACCOUNT
from kb4_async.records import Account
from kb4_async.reporting.base import Noun


class AccountNoun(Noun[Account]):
    """The account the key belongs to."""

    endpoint = ACCOUNT

    async def get(self) -> Account:
        """Get the account: name, domains, subscription, seats, risk score. One request.

        Raises:
            AuthenticationError: The key is not known here.
            KB4Error: The request failed otherwise.
        """
        return await self.one({}, {})
