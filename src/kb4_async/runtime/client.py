"""What the clients of both APIs share: opening, closing, and saying how their key stands."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from kb4_async.events import RateStatus
from kb4_async.runtime.connection import Connection
from kb4_async.runtime.source import Source


class Client:
    """A client of one account, with one credential.

    Args:
        connection: How it reaches its server.
    """

    def __init__(self, connection: Connection) -> None:
        self.address = connection.address
        self.options = connection.options
        self.source = Source(
            connection.open, connection.options.max_concurrency, connection.options.paging
        )

    def __repr__(self) -> str:
        state = " closed" if self.source.closed else ""
        return f"<{type(self).__name__} {self.address.base_url}{state}>"

    async def __aenter__(self) -> Self:
        """Open the client in the running loop."""
        self.source.check()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the client."""
        await self.close()

    def rate_status(self) -> RateStatus:
        """How the credential stands: what it is held to and why, what waits, what was used today.

        Sends nothing. What the ledger knows is known after the first request.

        Raises:
            ClientClosedError: The client was closed.
            RuntimeError: It belongs to another event loop.
        """
        self.source.check()
        return self.source.engine.limiter.status()

    async def close(self) -> None:
        """Cancel what is under way, wait for it and close the connections. May be called again.

        Iterations that were under way raise ``ClientClosedError``, with a ``resume_token`` where
        they have one. A write that is cancelled in flight may have taken effect: what writes looks
        first when it is run again.
        """
        await self.source.close()
