"""``Listing``: one object for records, pages, the first page and everything at once."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import Generic, TypeVar

from kb4_async.protocol.page import Page
from kb4_async.runtime.assembly import Form
from kb4_async.runtime.engine import Tally
from kb4_async.runtime.iterators import PageIterator, RecordIterator
from kb4_async.runtime.source import Known, Source, Spec
from kb4_async.runtime.stream import PageStream
from kb4_async.runtime.turnstile import Rank

R = TypeVar("R")


class Listing(Generic[R]):
    """A listing that can be iterated; each iteration starts afresh.

    Iterating fetches pages concurrently in the background, at most ``prefetch`` ahead, and delivers
    in order. It is not awaitable: use ``collect()`` for a list.

    Requests: with a count that a parent's record gives, one for each 500 records; otherwise about
    log2(pages) more to find the end and look at it again (1 to 500 records 2, 501 records 3, 1,000
    records 6, 20,000 records 47).

    Memory: at most ``max_concurrency`` pages (about 0.5 MB each) for a client's listings together,
    plus a few for each that is open.

    Leaving early: ``break`` ends the fetching at once where Python counts references; wherever it
    must have ended before the next statement, use
    ``async with contextlib.aclosing(listing.pages()) as pages``.
    """

    def __init__(self, source: Source, spec: Spec) -> None:
        self.source = source
        self.spec = spec

    def __repr__(self) -> str:
        query = "".join(f", {name}={value}" for name, value in self.spec.query.items())
        return f"Listing({self.spec.path}{query})"

    def __aiter__(self) -> RecordIterator[R]:
        """Iterate records.

        Raises:
            KB4Error: What ended the listing early, with ``resume_token``; records before it have
                been delivered in order.
        """
        return RecordIterator(PageStream(self.source, self.spec))

    def pages(self, *, form: Form = "items", tally: Tally | None = None) -> PageIterator[R]:
        """Iterate pages; the last one has no items, and its ``end_reason`` proves the end.

        Args:
            form: ``items`` prepares the records as dicts, ``raw`` as bytes, at a third of the cost;
                either way the other form can be had of a page too.
            tally: Counts the requests of this iteration.

        Raises:
            KB4Error: As in iterating records.
        """
        return PageIterator(PageStream(self.source, self.spec, form=form, tally=tally))

    async def first_page(self) -> Page[R]:
        """Fetch the first page alone: one request, ahead of other listings' pages.

        Returns:
            The page; its ``next_token`` goes on where it ends. Without items if there are none.
        """
        per_page = self.spec.per_page
        most = min(self.spec.max_items or per_page, per_page)
        spec = replace(self.spec, max_items=most, prefetch=1)
        stream: PageStream[R] = PageStream(self.source, spec, rank=Rank.INTERACTIVE)
        async with aclosing(PageIterator(stream)) as pages:
            return await anext(pages)

    async def collect(self) -> list[R]:
        """Fetch everything into a list.

        Memory: about 3 kB a user, so 60 MB for 20,000; iterate to stay small.
        """
        async with aclosing(aiter(self)) as records:
            return [record async for record in records]


def continued(listing: Listing[R], start: str | None, known: Known | None) -> Listing[R]:
    """The same listing from a place that an earlier run left it at.

    Args:
        listing: From its beginning.
        start: Resume token; None for the beginning.
        known: What that run delivered, as far as it is at hand; none of it is delivered again.
    """
    return Listing(listing.source, replace(listing.spec, start=start, known=known))
