"""``ReportingClient``: the read-only Reporting API of one account."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kb4_async.events import Observer
from kb4_async.options import ClientOptions, Limits, Paging, Retry, Timeout
from kb4_async.protocol.address import reporting_address
from kb4_async.reporting.account import AccountNoun
from kb4_async.reporting.groups import GroupsNoun
from kb4_async.reporting.phishing import Phishing
from kb4_async.reporting.training import Training
from kb4_async.reporting.users import UsersNoun
from kb4_async.runtime.client import Client
from kb4_async.runtime.connection import Connection, find_secret
from kb4_async.runtime.ledger import find_ledger

if TYPE_CHECKING:
    import ssl as ssl_module

    import aiohttp


class ReportingClient(Client):
    """The Reporting API of one account: nouns with ``list()`` and ``get(id)``.

    Nothing is sent before the first use. The client belongs to the event loop of its first use;
    close it there, best by ``async with``. All clients of one key in a process share its rate
    limit, also after one of them was closed.

    Args:
        api_key: Reporting API key; from ``KB4_API_KEY`` or the file that ``KB4_API_KEY_FILE`` names
            if left out.
        region: One of ``us eu ca uk de``; ``us`` if neither region nor base URL is given.
        base_url: The whole address instead of a region, version included:
            ``http://127.0.0.1:8080/v1``.
        limits: Windows, and a daily quota, held besides the cap of 1,000 requests in any 60 s. What
            the server says and teaches lowers them further.
        max_concurrency: Requests in flight, and pages in memory, of this client.
        retry: Attempts and time of a failing request.
        timeout: Times of one attempt.
        max_pause: Longest pause after a 429, in seconds, that is waited for, from the first refusal
            until the key is open again.
        paging: ``auto`` reads by page number and changes to cursors when the server shows one,
            refuses ``page`` or ignores it; ``number`` and ``cursor`` never change.
        session: Your own ``aiohttp.ClientSession``, which is never closed here. Its middlewares do
            not run on these requests.
        ssl: An SSL context, for a private certificate authority.
        trust_env: Use proxies from the environment; with a lent session the session decides.
        on_event: Called with frozen events (``kb4_async.events``); must return at once.
        ledger: Account for the key together with the other programs of this machine that use the
            same ledger, and remember across restarts what was sent and learned. True for the user's
            own, which the command uses (``KB4_LEDGER``, unless that is ``off``, or else
            ``kb4_async/ledger.sqlite`` in the user's state folder); or a file; None for none. It
            holds the key's fingerprint, never the key. While it cannot be used, the key is held to
            4 requests a second and 50 a minute, and ``LedgerUnavailable`` says why.

    Attributes:
        account: The account itself, and its risk history.
        users: Users, and their risk histories.
        groups: Groups, their members and risk histories.
        training: Enrollments, training campaigns, store purchases and policies.
        phishing: Phishing campaigns, security tests and their recipients.

    Raises:
        ConfigurationError: No key, a key no header can carry, an unknown region, or an address that
            would send the key unencrypted. No request was made.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        region: str | None = None,
        base_url: str | None = None,
        limits: Limits | None = None,
        max_concurrency: int = 32,
        retry: Retry | None = None,
        timeout: Timeout | None = None,
        max_pause: float = 1800.0,
        paging: Paging = "auto",
        session: aiohttp.ClientSession | None = None,
        ssl: ssl_module.SSLContext | None = None,
        trust_env: bool = False,
        on_event: Observer | None = None,
        ledger: bool | str | os.PathLike[str] | None = None,
    ) -> None:
        address = reporting_address(region, base_url)
        secret = find_secret(api_key, "KB4_API_KEY", what="Reporting API key", argument="api_key")
        book = find_ledger(ledger)
        options = ClientOptions(
            limits=limits or Limits(),
            max_concurrency=max_concurrency,
            retry=retry or Retry(),
            timeout=timeout or Timeout(),
            max_pause=max_pause,
            paging=paging,
        )
        connection = Connection(address, secret, options, session, ssl, trust_env, on_event, book)
        super().__init__(connection)
        self.account = AccountNoun(self.source)
        self.users = UsersNoun(self.source)
        self.groups = GroupsNoun(self.source)
        self.training = Training(self.source)
        self.phishing = Phishing(self.source)
