"""What every client is made of: a credential, an address, and the engine between them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kb4_async.errors import ConfigurationError
from kb4_async.events import Observer
from kb4_async.options import ClientOptions
from kb4_async.protocol.address import Address
from kb4_async.protocol.credential import Secret, check_secret
from kb4_async.protocol.verdict import REPORTING, Dialect
from kb4_async.runtime.engine import Engine
from kb4_async.runtime.keystate import key_state
from kb4_async.runtime.ledger import Ledger
from kb4_async.runtime.limiter import Limiter
from kb4_async.runtime.share import join_ledger
from kb4_async.runtime.transport import Transport
from kb4_async.version import VERSION

if TYPE_CHECKING:
    import ssl as ssl_module

    import aiohttp


class Connection(NamedTuple):
    """How a client reaches its server; the clients' own keywords fill it."""

    address: Address
    secret: Secret
    options: ClientOptions
    session: aiohttp.ClientSession | None
    ssl: ssl_module.SSLContext | None
    trust_env: bool
    observer: Observer | None
    book: Ledger | None
    dialect: Dialect = REPORTING

    def open(self) -> Engine:
        """Make the engine, inside the running loop."""
        state = key_state(self.address.origin, self.secret.fingerprint)
        if self.book is not None:
            join_ledger(state, self.book, self.address.origin, self.secret.fingerprint)
        transport = Transport(
            self.address.base_url,
            self.secret,
            timeout=self.options.timeout,
            max_concurrency=self.options.max_concurrency,
            session=self.session,
            ssl=self.ssl,
            trust_env=self.trust_env,
            user_agent=f"kb4_async/{VERSION}",
            dialect=self.dialect,
        )
        limiter = Limiter(
            state, self.options.limits, max_pause=self.options.max_pause, observer=self.observer
        )
        return Engine(
            transport, limiter, self.options, observer=self.observer, dialect=self.dialect
        )


def find_secret(given: str | None, variable: str, *, what: str, argument: str) -> Secret:
    """Take a credential from an argument, a variable, or the file that ``<variable>_FILE`` names.

    Args:
        given: The argument.
        variable: Name of the environment variable.
        what: What it is, for messages.
        argument: The argument's name, for messages.

    Raises:
        ConfigurationError: There is none, it cannot be read, or no header can carry it.
    """
    # An empty variable is an unset one, as compose files and CI leave it.
    text = given if given is not None else os.environ.get(variable) or None
    name = os.environ.get(f"{variable}_FILE")
    if text is None and name:
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            msg = f"{variable}_FILE names {name!r}, which cannot be read: {reason}."
            raise ConfigurationError(msg) from error
    sources = f"{variable} or {variable}_FILE (or the {argument} argument of the library)"
    return check_secret(text, what=what, sources=sources)
