"""What every noun of the Reporting API shares: making a listing, getting one record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Generic, TypedDict, TypeVar, get_args

from kb4_async.errors import ConfigurationError
from kb4_async.protocol import codec
from kb4_async.protocol.asks import Verify
from kb4_async.protocol.endpoints import MAX_PER_PAGE, Endpoint, check_per_page
from kb4_async.protocol.habits import Habits
from kb4_async.protocol.page import Content, Page
from kb4_async.protocol.request import Request, fill_path
from kb4_async.protocol.token import Identity, Place
from kb4_async.runtime.engine import Tally
from kb4_async.runtime.listing import Listing
from kb4_async.runtime.source import Recount, Source, Spec
from kb4_async.runtime.turnstile import Rank

R = TypeVar("R")

PREFETCH = 16


class EachOptions(TypedDict, total=False):
    """Keywords of every method that lists.

    Attributes:
        per_page: Page size, 1 to 500 (the default).
        prefetch: Pages fetched ahead of you; 16 by default.
        verify: ``tail`` (the default) looks at one or two pages again, ``full`` reads everything
            twice, ``none`` looks at nothing.
    """

    per_page: int
    prefetch: int
    verify: Verify


class ListOptions(EachOptions, total=False):
    """Keywords of every ``list``.

    Attributes:
        max_items: Most records in all; None, the default, for every one.
        start: Resume token, from a page or an error of the same call.
    """

    max_items: int | None
    start: str | None


class Noun(Generic[R]):
    """A kind of record. Made by the client; not to be made by hand."""

    endpoint: Endpoint

    def __init__(self, source: Source) -> None:
        self.source = source

    def listing(
        self,
        filters: Mapping[str, object],
        *,
        per_page: int = MAX_PER_PAGE,
        max_items: int | None = None,
        prefetch: int = PREFETCH,
        verify: Verify = "tail",
        start: str | None = None,
        endpoint: Endpoint | None = None,
        scope: Mapping[str, str | int] | None = None,
        count: int | None = None,
        recount: Recount | None = None,
    ) -> Listing[Any]:
        """Check the arguments and make a listing; no request is made.

        Args:
            filters: The endpoint's own parameters.
            per_page: As in ``ListOptions``, like those that follow.
            max_items: Most records in all.
            prefetch: Pages fetched ahead.
            verify: How movement is looked for.
            start: Resume token.
            endpoint: The row of the table, if not the noun's own.
            scope: The parent's key.
            count: Records there are, as a parent's record says.
            recount: How to ask for that again.

        Raises:
            ConfigurationError: A filter, value or size that the API does not know.
            CheckpointMismatchError: ``start`` is a token of another listing.
        """
        row = endpoint or self.endpoint
        check_whole("prefetch", prefetch, 1, "one page ahead is the least")
        if max_items is not None:
            check_whole("max_items", max_items, 1, "leave it out for all records")
        if count is not None:
            check_whole("the count", count, 0, "leave it out if it is not known")
        check_verify(verify)
        size = check_per_page(per_page)
        if max_items is not None:
            size = min(size, max_items)
        # Records say 789 also where the caller, or the parent's record, said "789".
        scope = {name: codec.plain_key(key) or key for name, key in (scope or {}).items()}
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
            recount=recount if count is not None else None,
            start=start,
        )
        if start is not None:
            spec.machine(
                Habits(), self.source.paging
            )  # a wrong token is told here, not at the first page
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
        endpoint: Endpoint | None = None,
    ) -> Page[R]:
        """The same as a page of one record, for whoever wants its bytes."""
        self.source.check()
        row = endpoint or self.endpoint
        request = Request("GET", fill_path(row.one or row.path, values), row.one_query(filters))
        work = partial(
            self.source.engine.fetch,
            request,
            partial(codec.read_one, keys=row.keys),
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


def recount(
    endpoint: Endpoint,
    values: Mapping[str, str | int],
    pick: Callable[[Mapping[str, Any]], int | None],
    filters: Mapping[str, object] | None = None,
) -> Recount:
    """How to ask a parent again for the number of its children: one request.

    Args:
        endpoint: The parent's row of the table.
        values: What fills the path of its single record.
        pick: Finds the count in its record.
        filters: The single record's own parameters.
    """
    path = fill_path(endpoint.one or endpoint.path, values)
    request = Request("GET", path, endpoint.one_query(filters or {}))

    def read(body: bytes) -> int | None:
        return pick(codec.items_of(codec.read_one(body, endpoint.keys))[0])

    return Recount(request, read)


def check_verify(verify: object) -> None:
    """Check how movement is to be looked for.

    Raises:
        ConfigurationError: It is none of the three.
    """
    if verify not in get_args(Verify):
        msg = f"verify is 'tail', 'full' or 'none', not {verify!r}."
        raise ConfigurationError(msg)


def check_whole(name: str, value: object, least: int, advice: str) -> None:
    """Check an argument that is a whole number.

    Raises:
        ConfigurationError: It is something else, or too small.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        msg = f"{name} is a whole number of at least {least}, not {value!r}: {advice}."
        raise ConfigurationError(msg)
