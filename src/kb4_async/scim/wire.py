"""Requests of a SCIM client: reads that are repeated, writes that are looked after."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from kb4_async.errors import KB4Error
from kb4_async.protocol import codec
from kb4_async.protocol.request import Request
from kb4_async.protocol.scim.answers import resource_reader, written_reader
from kb4_async.runtime.engine import Engine, Tally
from kb4_async.runtime.turnstile import Rank

T = TypeVar("T")

#: Reads a resource, or raises ``ValueError`` with what is wrong with it.
Parse = Callable[[Mapping[str, Any]], T]


@dataclass(frozen=True, slots=True)
class Wire:
    """One operation's requests.

    Attributes:
        engine: Makes them.
        tally: Counts them.
    """

    engine: Engine
    tally: Tally = field(default_factory=Tally)

    async def read(
        self,
        path: str,
        read: Callable[[bytes], T],
        query: Mapping[str, str] | None = None,
        rank: Rank = Rank.INTERACTIVE,
    ) -> T:
        """Ask for something."""
        request = Request("GET", path, query or {})
        return (await self.engine.fetch(request, read, rank=rank, tally=self.tally)).value

    async def read_once(self, path: str, read: Callable[[bytes], T]) -> T:
        """Ask for something that is not worth asking twice."""
        request = Request("GET", path)
        fetched = await self.engine.fetch(
            request, read, rank=Rank.INTERACTIVE, tally=self.tally, once=True
        )
        return fetched.value

    async def resource(
        self, path: str, parse: Parse[T], query: Mapping[str, str] | None = None
    ) -> T:
        """Ask for one resource."""
        return await self.read(path, resource_reader(parse), query)

    async def write(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        parse: Parse[T],
        headers: Mapping[str, str] | None = None,
    ) -> T | None:
        """Send a write once.

        Returns:
            The resource that the server answers; None where it answers with nothing.

        Raises:
            KB4Error: With ``maybe_applied`` where it may have taken effect nevertheless.
        """
        data = None if body is None else codec.encode(body)
        request = Request(method, path, {}, data, headers or {})
        fetched = await self.engine.fetch(
            request, written_reader(parse), rank=Rank.INTERACTIVE, tally=self.tally
        )
        return fetched.value

    async def settle(
        self,
        send: Callable[[], Awaitable[T]],
        look: Callable[[], Awaitable[T | None]],
    ) -> T:
        """Send a write; where it fails without telling whether it took effect, look.

        It is sent again only after a look that did not find it.

        Args:
            send: Sends it once.
            look: Says what is there if it took effect, None if it did not.

        Raises:
            KB4Error: It was refused; or, with ``maybe_applied``, could not be resolved.
        """
        attempt = 1
        while True:
            try:
                return await send()
            except KB4Error as error:
                if not error.maybe_applied:
                    raise
                # What is still under way, behind a proxy, should arrive before the look.
                await asyncio.sleep(self.engine.delay(attempt))
                found = await self.look(look)
                if found is not None:
                    return found
                if attempt >= self.engine.retry.max_attempts:
                    raise
            attempt += 1

    async def look(self, look: Callable[[], Awaitable[T]]) -> T:
        """Look after a write that may have taken effect; where that fails too, nobody knows.

        Raises:
            KB4Error: The look failed; ``maybe_applied`` as for the write.
        """
        try:
            return await look()
        except KB4Error as error:
            error.maybe_applied = True
            raise
