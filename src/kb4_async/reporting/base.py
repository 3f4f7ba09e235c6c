"""What every noun of the Reporting API shares: making a listing, getting one record."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Generic, TypeVar

from kb4_async.errors import ConfigurationError
from kb4_async.protocol import codec
from kb4_async.protocol.asks import Verify
from kb4_async.protocol.endpoints import MAX_PER_PAGE, Endpoint, check_per_page
from kb4_async.protocol.page import Content, Page
from kb4_async.protocol.request import Request, fill_path
from kb4_async.protocol.token import Identity, Place
from kb4_async.runtime.engine import Tally
from kb4_async.runtime.listing import Listing
from kb4_async.runtime.source import Source, Spec
from kb4_async.runtime.turnstile import Rank

R = TypeVar("R")

PREFETCH = 16


class Noun(Generic[R]):
    """A kind of record. Made by the client; not to be made by hand."""

    endpoint: Endpoint

    def __init__(self, source: Source) -> None:
        self.source = source

    def listing(
        self,
        filters: Mapping[str, object],
        *,
        per_page: int,
        max_items: int | None,
        prefetch: int,
        verify: Verify,
        start: str | None,
        endpoint: Endpoint | None = None,
        scope: Mapping[str, str | int] | None = None,
        count: int | None = None,
    ) -> Listing[Any]:
        """Check the arguments and make a listing; no request is made.

        Raises:
            ConfigurationError: A filter, value or size that the API does not know.
            CheckpointMismatchError: ``start`` is a token of another listing.
        """
        row = endpoint or self.endpoint
        if max_items is not None and not (isinstance(max_items, int) and max_items >= 1):
            msg = f"max_items is at least 1, not {max_items!r}; leave it out for all records."
            raise ConfigurationError(msg)
        if not (isinstance(prefetch, int) and prefetch >= 1):
            msg = f"prefetch is at least 1 page, not {prefetch!r}."
            raise ConfigurationError(msg)
        if verify not in {"tail", "full", "none"}:
            msg = f"verify is 'tail', 'full' or 'none', not {verify!r}."
            raise ConfigurationError(msg)
        size = check_per_page(per_page)
        if max_items is not None:
            size = min(size, max_items)
        scope = scope or {}
        spec = Spec(
            endpoint=row,
            path=fill_path(row.path, scope),
            query=row.query(filters),
            scope=scope,
            per_page=size,
            max_items=max_items,
            prefetch=prefetch,
            verify=verify,
            count=count,
            start=start,
        )
        if start is not None:
            spec.machine(None)  # a wrong token is told here, not at the first page
        return Listing(self.source, spec)

    async def one(self, values: Mapping[str, str | int], filters: Mapping[str, object]) -> R:
        """Get one record: one request, ahead of all listings.

        Raises:
            NotFoundError: There is no such record.
            KB4Error: The request failed otherwise.
        """
        page = await self.one_page(values, filters)
        return page.items[0]

    async def one_page(
        self,
        values: Mapping[str, str | int],
        filters: Mapping[str, object],
        tally: Tally | None = None,
    ) -> Page[R]:
        """The same as a page of one record, for whoever wants its bytes."""
        self.source.check()
        row = self.endpoint
        request = Request("GET", fill_path(row.one or row.path, values), row.one_query(filters))
        work = partial(
            self.source.engine.fetch,
            request,
            partial(codec.read_one, key=row.key),
            rank=Rank.INTERACTIVE,
            tally=tally,
        )
        fetched = await self.source.call(work, f"kb4 {request.path}")
        place = Place(rows=1)
        return Page(
            resource=row.resource,
            scope={},
            number=1,
            end_reason=None,
            request_id=fetched.request_id,
            attempts=fetched.attempts,
            endpoint=row,
            content=Content(fetched.value, rows=1),
            identity=Identity(row.resource, {}, request.query, 1),
            place=place,
            next_place=place,
        )


__all__ = ["MAX_PER_PAGE", "PREFETCH", "Noun", "Verify"]
