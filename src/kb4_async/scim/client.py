"""``ScimClient``: users and groups of one account through SCIM 2.0, with its own credential."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, get_args

from kb4_async.errors import ConfigurationError
from kb4_async.events import Observer
from kb4_async.options import ClientOptions, Limits, Retry, Timeout
from kb4_async.protocol.address import DEFAULT_TENANT_URL, tenant_address
from kb4_async.protocol.scim.answers import scim_dialect
from kb4_async.protocol.scim.groups import MemberRemoval
from kb4_async.runtime.client import Client
from kb4_async.runtime.connection import Connection, find_secret
from kb4_async.runtime.ledger import find_ledger
from kb4_async.scim.groups import GroupsNoun
from kb4_async.scim.updating import UpdateMode
from kb4_async.scim.users import UsersNoun

if TYPE_CHECKING:
    import ssl as ssl_module

    import aiohttp

#: KnowBe4 publishes no limit for SCIM; this is where a client starts and stays.
SCIM_LIMITS = Limits.of("5/1s")


class ScimClient(Client):
    """Users and groups of one account through SCIM 2.0: the only way to write.

    Nothing is sent before the first use. The client belongs to the event loop of its first use;
    close it there, best by ``async with``. Its token, limits and pauses are its own, apart from
    those of any Reporting API key.

    Args:
        token: SCIM token; from ``KB4_SCIM_TOKEN`` or the file that ``KB4_SCIM_TOKEN_FILE`` names if
            left out. The console shows it once, beside the Tenant URL, under Account Settings >
            User Provisioning > SCIM.
        tenant_url: The account's Tenant URL as the console shows it; from ``KB4_TENANT_URL`` if
            left out, or else that of US accounts.
        limits: Windows, and a daily quota, held besides the cap of 1,000 requests in any 60 s; 5 a
            second if left out, for KnowBe4 publishes none. 429s lower them further.
        max_concurrency: Requests in flight, and users written at once by ``ScimWriter``.
        update_mode: ``put`` sends a user whole, as read, with the changes laid over it; ``patch``
            sends the changed attributes alone.
        member_removal: ``filter`` removes members by ``members[value eq "id"]``, ``value`` by a
            list of values: servers understand one of them, or both. Some take the latter for
            everybody, so it is tried on one member first.
        retry: Attempts and time of a failing read; writes are sent again only after a look.
        timeout: Times of one attempt.
        max_pause: Longest pause after a 429, in seconds, that is waited for.
        session: Your own ``aiohttp.ClientSession``, which is never closed here.
        ssl: An SSL context, for a private certificate authority.
        trust_env: Use proxies from the environment.
        on_event: Called with frozen events (``kb4_async.events``); must return at once.
        ledger: As for ``ReportingClient``.

    Attributes:
        users: The users.
        groups: The groups.

    Raises:
        ConfigurationError: No token, a token no header can carry, an address that would send it
            unencrypted, or an unknown mode. No request was made.
    """

    def __init__(
        self,
        token: str | None = None,
        *,
        tenant_url: str | None = None,
        limits: Limits | None = None,
        max_concurrency: int = 4,
        update_mode: UpdateMode = "put",
        member_removal: MemberRemoval = "filter",
        retry: Retry | None = None,
        timeout: Timeout | None = None,
        max_pause: float = 1800.0,
        session: aiohttp.ClientSession | None = None,
        ssl: ssl_module.SSLContext | None = None,
        trust_env: bool = False,
        on_event: Observer | None = None,
        ledger: bool | str | os.PathLike[str] | None = None,
    ) -> None:
        url = tenant_url if tenant_url is not None else os.environ.get("KB4_TENANT_URL") or None
        address = tenant_address(url)
        self.default_address = address.base_url == DEFAULT_TENANT_URL
        secret = find_secret(token, "KB4_SCIM_TOKEN", what="SCIM token", argument="token")
        check_choice("update_mode", update_mode, get_args(UpdateMode))
        check_choice("member_removal", member_removal, get_args(MemberRemoval))
        options = ClientOptions(
            limits=limits or SCIM_LIMITS,
            max_concurrency=max_concurrency,
            retry=retry or Retry(),
            timeout=timeout or Timeout(),
            max_pause=max_pause,
        )
        self.dialect = scim_dialect(
            secret, os.environ.get("KB4_API_KEY"), default_address=self.default_address
        )
        connection = Connection(
            address,
            secret,
            options,
            session,
            ssl,
            trust_env,
            on_event,
            find_ledger(ledger),
            self.dialect,
        )
        super().__init__(connection)
        self.users = UsersNoun(self.source, update_mode)
        self.groups = GroupsNoun(self.source, self.users.directory, member_removal)

    async def service_provider_config(self) -> dict[str, Any]:
        """What the server says it can do (RFC 7643, 5); empty where it does not say. One request,
        once; nothing here needs it."""
        return await self.users.call(self.users.updater.provider_config)


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Refuse what is none of the choices.

    Raises:
        ConfigurationError: The message names them.
    """
    if value not in choices:
        msg = f"{name} is {' or '.join(map(repr, choices))}, not {value!r}."
        raise ConfigurationError(msg)
