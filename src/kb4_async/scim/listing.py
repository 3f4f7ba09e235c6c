"""Iterating SCIM's lists: page by page, each resource read by itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

from kb4_async.errors import IncompleteListingError
from kb4_async.protocol.scim.answers import ListAnswer, read_list
from kb4_async.protocol.scim.walk import COUNT, Walk
from kb4_async.runtime.source import Source
from kb4_async.runtime.turnstile import Rank
from kb4_async.scim.wire import Parse, Wire

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A resource of a list that cannot be read.

    Attributes:
        reason: What is wrong with it.
        served: The resource as sent.
    """

    reason: str
    served: Mapping[str, Any]


class ScimListing(Generic[R]):
    """A list of users or groups that can be iterated; each iteration starts afresh.

    Pages of 100 are asked one after another, each resource is read by itself: one that cannot be
    read is left out and kept in the iterator's ``unreadable``. At the end what came is compared
    with the server's ``totalResults``; where they differ the list is walked again, each resource
    delivered once.

    Requests: one for each 100 resources, one more where their number is a multiple of 100.
    Memory: one page, and 100 bytes for each id.
    """

    def __init__(
        self, source: Source, path: str, parse: Parse[R], query: Mapping[str, str] | None = None
    ) -> None:
        self.source = source
        self.path = path
        self.parse = parse
        self.query = dict(query or {})

    def __repr__(self) -> str:
        return f"ScimListing({self.path})"

    def __aiter__(self) -> ScimIterator[R]:
        """Iterate.

        Raises:
            IncompleteListingError: Fewer came than the server says there are.
            KB4Error: What ended it early.
        """
        return ScimIterator(self)

    async def collect(self) -> list[R]:
        """Fetch everything into a list; about 2 kB a user."""
        return [each async for each in self]


class ScimIterator(Generic[R]):
    """One iteration. Being cancelled takes nothing: the next ``anext`` goes on where it was.

    Attributes:
        unreadable: Resources left out so far, because they cannot be read.
    """

    def __init__(self, listing: ScimListing[R]) -> None:
        self.listing = listing
        self.walk = Walk()
        self.ready: deque[R] = deque()
        self.unreadable: list[Unreadable] = []

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> R:
        """Return the next resource."""
        while not self.ready:
            if self.walk.state == "complete":
                raise StopAsyncIteration
            if self.walk.state != "asking":
                raise self.incomplete()
            await self.turn_page()
        return self.ready.popleft()

    async def turn_page(self) -> None:
        """Fetch the next page and read its resources."""
        listing = self.listing
        listing.source.check()
        query = {**listing.query, "startIndex": str(self.walk.start), "count": str(COUNT)}

        async def ask() -> ListAnswer:
            wire = Wire(listing.source.engine)
            return await wire.read(listing.path, read_list, query, Rank.PAGES)

        answer = await listing.source.call(ask, f"kb4 scim {listing.path}")
        found: list[R | Unreadable] = [self.read(each) for each in answer.resources]
        ids = ["" if isinstance(each, Unreadable) else identity(each) for each in found]
        for place in self.walk.take(ids, answer.total):
            each = found[place]
            if isinstance(each, Unreadable):
                self.unreadable.append(each)
            else:
                self.ready.append(each)

    def read(self, resource: Mapping[str, Any]) -> R | Unreadable:
        """Read one resource."""
        try:
            return self.listing.parse(resource)
        except ValueError as error:
            return Unreadable(str(error), resource)

    def incomplete(self) -> IncompleteListingError:
        """The error of a list whose end is not proven."""
        walk = self.walk
        assert walk.state in {"never_quiet", "no_proof"}  # noqa: S101  # the other states end otherwise
        msg = (
            f"The list of {self.listing.path} is not proven complete: the server says there are "
            f"{walk.total}, and {len(walk.seen)} came, in the last of {walk.passed} readings. Try "
            "later, or ask KnowBe4 why its SCIM server does not show them all."
        )
        return IncompleteListingError(
            msg, reason="never_quiet" if walk.state == "never_quiet" else "no_proof"
        )


def identity(resource: object) -> str:
    """A resource's id."""
    return str(getattr(resource, "id", ""))
