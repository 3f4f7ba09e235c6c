"""What there is to export, learned with no more requests than finding each listing's end takes."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from kb4_async.errors import APITimeoutError, KB4Error, TransportError
from kb4_async.protocol import codec
from kb4_async.protocol.asks import Ask, Edges, edges_of
from kb4_async.protocol.cursors import FIRST, NO_CURSOR, shown_cursor
from kb4_async.protocol.endpoints import ENDPOINTS, MAX_PER_PAGE, PAGE_SIZES, USERS, Endpoint
from kb4_async.protocol.reader import Shown, is_refusal
from kb4_async.protocol.request import Request
from kb4_async.protocol.search import Search
from kb4_async.records import Account
from kb4_async.reporting.client import ReportingClient
from kb4_async.runtime.engine import Tally
from kb4_async.runtime.stream import FINAL

SHOWN = "the server shows a cursor"
#: Listings whose records say what the listings below them cost.
PARENTS = frozenset({"groups", "security_tests", "phishing_campaigns"})


@dataclass(slots=True)
class Found:
    """What is known of one listing.

    Attributes:
        rows: Records it holds; None where that could not be learned.
        pages: The highest page known to have records.
        asked: Requests made to learn it.
        size: Page size asked for.
        served: Page size the server keeps to, where that is smaller.
        paged: False where one answer holds everything.
        read: Pages read that had records.
        records: Their records, in listings that others depend on.
        by_cursor: Why it can be read by cursor only; empty if by page number.
        puzzle: Why its end could not be found although the server pages by number.
        error: Why it could not be read.
    """

    rows: int | None = None
    pages: int = 0
    asked: int = 0
    size: int = MAX_PER_PAGE
    served: int | None = None
    paged: bool = True
    read: int = 0
    records: list[dict[str, Any]] = field(default_factory=list)
    by_cursor: str = ""
    puzzle: str = ""
    error: KB4Error | None = None

    @property
    def whole(self) -> bool:
        """Whether every record was read."""
        return self.rows is not None and self.read == self.pages


@dataclass(frozen=True, slots=True)
class Survey:
    """What is known of an account.

    Attributes:
        account: Its record, or why it could not be read.
        listings: What is known of each resource; a second entry is of callback campaigns.
        requests: Attempts made.
        latency: Median of the seconds from a request to its answer.
    """

    account: Account | KB4Error
    listings: Mapping[str, Sequence[Found]]
    requests: int
    latency: float


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page, as far as it matters here.

    Attributes:
        rows: Its records.
        edges: Its first and last key.
        cursor: The cursor in its envelope.
        records: Its records, where they were asked for.
    """

    rows: int
    edges: Edges | None
    cursor: object
    records: Sequence[dict[str, Any]]


def read_sheet(body: bytes, endpoint: Endpoint) -> Sheet:
    """Read a page: the keys alone, unless other listings depend on its records."""
    array, cursor = codec.read_frame(body, endpoint.keys)
    keys = codec.key_reader(*endpoint.keys)(array)
    records = codec.items_of(array) if endpoint.resource in PARENTS else ()
    return Sheet(len(keys), edges_of(keys), cursor, records)


async def survey(kb: ReportingClient, names: Collection[str]) -> Survey:
    """Look at an account, and at the ends of listings side by side.

    Args:
        kb: The account's client.
        names: Resources that are listings of their own, none below another.

    Raises:
        AuthenticationError: The key is not known here.
        KB4Error: Nothing more can be asked.

    Requests: one for the account, at most 2 log2(pages) + 2 a listing.
    """
    surveyor = Surveyor(kb)
    account = await surveyor.account()
    listings: dict[str, list[Found]] = {}
    try:
        async with asyncio.TaskGroup() as tasks:
            for name in names:
                row = ENDPOINTS[name]
                listings[name] = [Found() for _ in row.passes]
                for found, filters in zip(listings[name], row.passes, strict=True):
                    work = surveyor.listing(row, filters, found)
                    tasks.create_task(work, name=f"kb4 plan {name}")
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None  # what ends one of them would end all
    times = surveyor.times or [0.0]
    return Survey(account, listings, surveyor.requests, statistics.median(times))


class Surveyor:
    """Asks, and counts what that costs.

    Args:
        kb: The account's client.
    """

    def __init__(self, kb: ReportingClient) -> None:
        kb.source.check()
        self.kb = kb
        self.requests = 0
        self.times: list[float] = []

    async def account(self) -> Account | KB4Error:
        """The account's record, or why it could not be read."""
        tally = Tally()
        try:
            page = await self.kb.account.page(tally)
            self.times.append(tally.took)
        except (*FINAL, TransportError, APITimeoutError):
            raise  # nothing else would be answered either
        except KB4Error as error:
            return error
        finally:
            self.requests += tally.requests
        return page.items[0]

    async def listing(
        self, endpoint: Endpoint, filters: Mapping[str, object], found: Found
    ) -> None:
        """Find a listing's end, as an export does: probes at 2, 4, 8, ..., then in between.

        Args:
            endpoint: Row of the endpoint table.
            filters: The pass.
            found: Told what is learned.
        """
        habits, resource = self.kb.source.habits, endpoint.resource
        query = endpoint.query(filters)
        if self.kb.source.paging == "cursor" or habits.modes.get(resource) == "cursor":
            found.by_cursor = "it is read by cursor"
        else:
            await self.by_number(endpoint, query, found)
        # The account tells how many users there are; and a page that showed a cursor was read.
        if found.by_cursor and found.by_cursor != SHOWN and endpoint is not USERS:
            await self.by_cursor(endpoint, query, found)

    async def by_number(self, endpoint: Endpoint, query: Mapping[str, str], found: Found) -> None:
        """Find the end by page number."""
        habits, resource = self.kb.source.habits, endpoint.resource
        found.size = min(MAX_PER_PAGE, habits.sizes.get(resource, MAX_PER_PAGE))
        finder = Finder(endpoint, found, auto=self.kb.source.paging == "auto")
        while (number := finder.search.probe()) is not None:
            ask = Ask(number, finder.search.per_page, "probe", 1)
            try:
                sheet, shown = await self.fetch(endpoint, query, ask, found)
            except FINAL:
                raise
            except KB4Error as error:
                finder.failed(number, error)
                return
            if not finder.saw(number, sheet, shows_cursor=shown not in {None, NO_CURSOR}):
                return
        finder.ended()

    async def by_cursor(self, endpoint: Endpoint, query: Mapping[str, str], found: Found) -> None:
        """Read the first page by cursor: of short listings that is everything."""
        ask = Ask(1, found.size, "probe", 1, cursor=FIRST)
        try:
            sheet, shown = await self.fetch(endpoint, query, ask, found)
        except FINAL:
            raise
        except KB4Error:
            return  # what is known so far stands
        found.records = list(sheet.records)
        found.read = found.pages = int(sheet.rows > 0)
        # A full page without a cursor may also be one that the server cut.
        if shown in {None, NO_CURSOR} and sheet.rows < found.size:
            found.rows = sheet.rows

    async def fetch(
        self, endpoint: Endpoint, query: Mapping[str, str], ask: Ask, found: Found
    ) -> tuple[Sheet, Shown]:
        """Ask for a page, in a task that ends with the client."""
        found.asked += 1
        request = Request("GET", endpoint.path, ask.query(query))
        tally = Tally()
        read = partial(read_sheet, endpoint=endpoint)
        work = partial(self.kb.source.engine.fetch, request, read, tally=tally)
        try:
            fetched = await self.kb.source.call(work, f"kb4 plan {request.path}")
        finally:
            self.requests += tally.requests
        self.times.append(tally.took)
        url = f"{self.kb.address.base_url}/{endpoint.path}"
        return fetched.value, shown_cursor(fetched.value.cursor, fetched.headers, url)


class Finder:
    """Finds the end of one listing, or why it has none that could be found. Pure.

    It watches for whatever makes a real listing (``protocol/paging.py``) leave the straight way.

    Args:
        endpoint: Row of the endpoint table.
        found: Told what is learned.
        auto: A listing may change to cursors.
    """

    def __init__(self, endpoint: Endpoint, found: Found, *, auto: bool) -> None:
        self.endpoint = endpoint
        self.found = found
        self.auto = auto
        self.search = Search(found.size)
        self.rows: dict[int, int] = {}
        self.edges: dict[Edges, int] = {}

    def failed(self, number: int, error: KB4Error) -> None:
        """A page could not be had."""
        if number == 1 and self.auto and is_refusal(error):
            self.found.by_cursor = "the server refuses page numbers"
        else:
            self.found.error = error

    def saw(self, number: int, sheet: Sheet, *, shows_cursor: bool) -> bool:
        """Take in a page.

        Returns:
            Whether to go on.
        """
        found, unsure = self.found, self.endpoint.paging == "unsure"
        found.records += sheet.records
        found.read += sheet.rows > 0
        found.pages = max(found.pages, number if sheet.rows else 0)
        self.rows[number] = sheet.rows
        if number == 1 and self.auto and shows_cursor:
            found.by_cursor = SHOWN
            return False
        if unsure and number == 1 and sheet.rows > found.size:
            return self.unpaged()
        if sheet.edges is not None:
            lower = self.edges.setdefault(sheet.edges, number)
            if lower < number:
                return self.unpaged() if unsure and self.is_whole(number) else self.repeats(number)
            if number == 2 and self.auto and self.begins_like_the_first(sheet.edges):
                return self.repeats(number)
        if number == 2 and 0 < self.rows[1] < found.size and sheet.rows:
            # Page 1 was short and is not the last: the server keeps to smaller pages.
            found.served = self.rows[1]
            self.search = Search(found.served)
            self.search.saw(1, found.served)
        self.search.saw(number, sheet.rows)
        return True

    def is_whole(self, number: int) -> bool:
        """Whether page 1, which page 2 repeats, can be nothing but everything there is."""
        return number == 2 and self.rows[1] not in PAGE_SIZES

    def begins_like_the_first(self, edges: Edges) -> bool:
        """Whether a page begins with the record that page 1 begins with."""
        return any(edges[0] == other[0] and page == 1 for other, page in self.edges.items())

    def unpaged(self) -> bool:
        """Page 1 is all there is."""
        self.found.paged, self.found.rows = False, self.rows[1]
        self.found.read = self.found.pages = 1
        return False

    def repeats(self, number: int) -> bool:
        """A page repeats a lower one."""
        if number == 2 and self.auto:
            self.found.by_cursor = "the server ignores page numbers"
        else:
            self.found.puzzle = f"page {number} repeats a lower one"
        return False

    def ended(self) -> None:
        """There is nothing more to ask."""
        end = self.search.end
        if end is None:
            self.found.puzzle = f"it has more than {self.search.lo:,} pages"
            return
        per_page = self.search.per_page
        self.found.rows = (end - 1) * per_page + self.rows[end] if end else 0
