"""Finding one resource by its name, on servers whose filters cannot be trusted unseen.

A server that does not know a filter often answers 200 with no rows, or with all of them. So every
match is compared here again, and "none" counts only where the filter has shown that it works: a
resource that is there, looked up under its name in other letters, must be found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Generic, Literal, TypeVar

from kb4_async.errors import AmbiguousMatchError, NotFoundError, ScimError
from kb4_async.protocol.request import quote_segment
from kb4_async.protocol.scim.answers import ListAnswer, read_list
from kb4_async.protocol.scim.filters import equals
from kb4_async.protocol.scim.groups import ScimGroup
from kb4_async.protocol.scim.names import fold, other_case
from kb4_async.protocol.scim.users import ScimUser
from kb4_async.runtime.source import Source
from kb4_async.scim.listing import ScimListing
from kb4_async.scim.wire import Parse, Wire

R = TypeVar("R", ScimUser, ScimGroup)

#: ``works``: an empty answer proves absence. ``exact``: only of that very spelling.
Trust = Literal["unknown", "works", "exact", "broken"]

#: Seconds for which a whole list that was read serves the look-ups of a server without filter.
KEPT = 60.0
#: Resources among which one is sought whose name can be asked for.
SAMPLE = 10


class Directory(Generic[R]):
    """The users, or the groups, by name.

    Args:
        source: The client.
        path: ``Users`` or ``Groups``.
        attribute: What they are looked up by.
        parse: Reads one.
        fold: Whether names are compared without regard to case.
        query: Sent with each look-up.

    Attributes:
        trust: What is known of the server's filter.
    """

    def __init__(
        self,
        source: Source,
        path: str,
        attribute: str,
        parse: Parse[R],
        *,
        fold: bool,
        query: Mapping[str, str] | None = None,
    ) -> None:
        self.source = source
        self.path = path
        self.attribute = attribute
        self.parse: Parse[R] = parse
        self.fold = fold
        self.query = dict(query or {})
        self.trust: Trust = "unknown"
        self.index: dict[str, list[tuple[str, str]]] = {}
        #: When the list that the index is of was begun.
        self.read_at = float("-inf")
        self.reading = asyncio.Lock()

    def plain(self, name: str) -> str:
        """A name as it is compared."""
        return fold(name) if self.fold else name

    def name_of(self, found: R) -> str:
        """A resource's name."""
        return found.user_name if isinstance(found, ScimUser) else found.display_name

    async def find(self, wire: Wire, name: str, *, whole: bool = False) -> R | None:
        """Find the one of that name.

        Args:
            wire: Makes the requests.
            name: ``userName`` or ``displayName``.
            whole: Read the whole list, anew, if the filter finds none.

        Raises:
            AmbiguousMatchError: There are several.
        """
        text = equals(self.attribute, name)
        if text is not None and self.trust != "broken":
            matches = await self.filtered(wire, text, name)
            if matches:
                return self.choose(name, matches)
            if self.trust == "unknown":
                await self.learn(wire)
            if self.trust == "works" and not whole:
                return None
        return await self.scan(wire, name, anew=whole)

    async def find_written(self, wire: Wire, name: str) -> R | None:
        """Find one that may just have been made: no list that was read before will do."""
        return await self.find(wire, name, whole=self.trust != "works")

    async def filtered(self, wire: Wire, text: str, name: str) -> list[R]:
        """Ask with the filter; rows that do not match show that the server ignores it."""
        try:
            answer = await self.ask(wire, {**self.query, "filter": text})
        except NotFoundError:
            return []  # some servers say so that there is none
        except ScimError:
            self.trust = "broken"
            return []
        found = self.readable(answer.resources)
        matches = [each for each in found if self.plain(self.name_of(each)) == self.plain(name)]
        if len(matches) < len(found):
            self.trust = "broken"
            return []  # of a list in pages this may not be all
        return matches

    async def ask(self, wire: Wire, query: Mapping[str, str]) -> ListAnswer:
        """Ask for a page."""
        return await wire.read(self.path, read_list, query)

    def readable(self, resources: Sequence[Mapping[str, Any]]) -> list[R]:
        """The resources that can be read."""
        found: list[R] = []
        for each in resources:
            try:
                found.append(self.parse(each))
            except ValueError:
                continue
        return found

    async def learn(self, wire: Wire) -> None:
        """Find out whether the filter works, on a resource that is there."""
        page = await self.ask(wire, {**self.query, "startIndex": "1", "count": str(SAMPLE)})
        names = map(self.name_of, self.readable(page.resources))
        known = next((each for each in names if equals(self.attribute, each)), None)
        if known is None:
            return  # nothing is there to be found: it stays unknown, and the list is short
        other = other_case(known) if self.fold else known
        if await self.sees(wire, other):
            self.trust = "works"
        elif self.trust == "unknown":
            exact = other != known and await self.sees(wire, known)
            self.trust = "exact" if exact else "broken"

    async def sees(self, wire: Wire, name: str) -> bool:
        """Whether the filter finds a name."""
        text = equals(self.attribute, name)
        return text is not None and bool(await self.filtered(wire, text, name))

    async def scan(self, wire: Wire, name: str, *, anew: bool) -> R | None:
        """Find it in the whole list."""
        loop = asyncio.get_running_loop()
        asked = loop.time()
        async with self.reading:
            begun = loop.time()
            # Whoever waited here is served by a list that was begun after it asked.
            if self.read_at < (asked if anew else begun - KEPT):
                index: dict[str, list[tuple[str, str]]] = {}
                async for each in ScimListing(self.source, self.path, self.parse, self.query):
                    self.enter(index, each)
                self.index, self.read_at = index, begun
        places = self.index.get(self.plain(name), [])
        identity = self.one(name, places)
        if identity is None:
            return None
        try:
            path = f"{self.path}/{quote_segment('id', identity)}"
            found = await wire.resource(path, self.parse, self.query)
        except NotFoundError:
            return None  # it was deleted meanwhile
        return found if self.plain(self.name_of(found)) == self.plain(name) else None

    def enter(self, index: dict[str, list[tuple[str, str]]], found: R) -> None:
        """Add a resource to an index."""
        name = self.name_of(found)
        index.setdefault(self.plain(name), []).append((name, str(found.id)))

    def created(self, found: R) -> None:
        """Know of one that was just made."""
        self.enter(self.index, found)

    def choose(self, name: str, matches: Sequence[R]) -> R:
        """The one that is meant."""
        places = [(self.name_of(each), str(each.id)) for each in matches]
        identity = self.one(name, places)
        return next(each for each in matches if each.id == identity)

    def one(self, name: str, places: Sequence[tuple[str, str]]) -> str | None:
        """The id of the one that is meant: of several, the one spelled exactly so.

        Raises:
            AmbiguousMatchError: That does not decide it.
        """
        ids = list(dict.fromkeys(identity for _, identity in places))
        if len(ids) <= 1:
            return ids[0] if ids else None
        exact = list(dict.fromkeys(identity for each, identity in places if each == name))
        if len(exact) == 1:
            return exact[0]
        msg = (
            f"{self.path} holds {len(ids)} of the {self.attribute} {name!r} (ids "
            f"{', '.join(ids[:5])}), so none was chosen: use an id, or make them one."
        )
        raise AmbiguousMatchError(msg)
