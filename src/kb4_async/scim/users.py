"""``scim.users``: every user of the account, and the writes that change one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from kb4_async.errors import (
    ConfigurationError,
    NotFoundError,
    ScimError,
)
from kb4_async.protocol.scim.changes import Change, differences
from kb4_async.protocol.scim.documents import document
from kb4_async.protocol.scim.marks import UNSET
from kb4_async.protocol.scim.outcome import ScimOutcome
from kb4_async.protocol.scim.users import ScimUser, parse_user
from kb4_async.runtime.source import Source
from kb4_async.scim.ensuring import Keeper, outcome
from kb4_async.scim.listing import ScimListing
from kb4_async.scim.lookup import Directory
from kb4_async.scim.updating import UpdateMode, Updater, path_of
from kb4_async.scim.wire import Wire

T = TypeVar("T")


class UsersNoun:
    """The users. Made by the client; not to be made by hand.

    Where a method takes ``who``, give an id, a ``userName``, or a ``ScimUser`` that was read. A
    text with an @ is looked up as a ``userName``, any other as an id first.
    """

    def __init__(self, source: Source, mode: UpdateMode) -> None:
        self.source = source
        self.directory: Directory[ScimUser] = Directory(
            source, "Users", "userName", parse_user, fold=True
        )
        self.updater = Updater(mode)
        self.keeper = Keeper(self.directory, self.updater)

    def list(self) -> ScimListing[ScimUser]:
        """Every user that SCIM shows; one request for each 100."""
        return ScimListing(self.source, "Users", parse_user)

    async def get(self, who: str | ScimUser) -> ScimUser:
        """Read one user, anew; one request by id, or as for ``find``.

        Raises:
            NotFoundError: There is none.
        """
        return await self.call(lambda wire: self.read(wire, who))

    async def find(self, user_name: str) -> ScimUser | None:
        """Find the user of that name, compared here once more; usually one request.

        Before the first "none" of a client two more requests find out whether the server's filter
        works; where it does not, or the name holds a quote or backslash, the whole list is read.

        Raises:
            AmbiguousMatchError: Several users fit.
        """
        return await self.call(lambda wire: self.directory.find(wire, user_name))

    async def create(self, user: ScimUser | Mapping[str, Any]) -> ScimUser:
        """Create a user. The request is sent once; ``ensure`` does this safely.

        Raises:
            ScimError: It was refused; 409 where it exists.
            KB4Error: With ``maybe_applied`` where it may exist now: ``find`` it before trying
                again.
        """
        wanted = ScimUser.of(user)

        async def work(wire: Wire) -> ScimUser:
            return await self.keeper.post(wire, wanted)

        return await self.call(work)

    async def replace(self, who: str | ScimUser, user: ScimUser | Mapping[str, Any]) -> ScimUser:
        """Replace a user as a whole: what ``user`` does not name is blanked by most servers.

        Two requests. After a failure that does not tell, the user is read before it is sent again.
        ``update`` changes single attributes and leaves the rest.

        Raises:
            NotFoundError: There is no such user.
            ScimError: It was refused.
        """
        wanted = ScimUser.of(user)

        async def work(wire: Wire) -> ScimUser:
            identity = str((await self.read(wire, who)).id)

            async def send() -> ScimUser:
                body = document(wanted)
                made = await wire.write("PUT", path_of(identity), body, parse=parse_user)
                return made or await self.updater.get(wire, identity)

            async def look() -> ScimUser | None:
                found = await self.updater.get(wire, identity)
                return None if differences(found, wanted, hidden_email=True) else found

            return await wire.settle(send, look)

        return await self.call(work)

    async def update(
        self,
        who: str | ScimUser,
        *,
        mode: UpdateMode | None = None,
        **fields: Any,  # noqa: ANN401
    ) -> ScimOutcome:
        """Change some fields and leave all others: ``update(id, title="CISO", department=CLEAR)``.

        The user is read, and where something differs the whole of it is sent back with the changes
        (``put``), or they alone (``patch``). Two requests by id, three by name: a list may show
        less of a user than is sent back.

        Raises:
            ConfigurationError: A field that users do not have, or a value of the wrong kind.
            NotFoundError: There is no such user.
            ScimError: It was refused.
        """
        if "user_name" not in fields:
            wanted = ScimUser.of({**fields, "user_name": "unchanged"})
            ignore = {"user_name"}
        else:
            wanted, ignore = ScimUser.of(fields), set()
        if wanted.id is not None:
            msg = "id is set by the server: give it as the first argument."
            raise ConfigurationError(msg)

        async def work(wire: Wire) -> ScimOutcome:
            found, by_id = await self.locate(wire, who)
            current, changes = await self.keeper.compare(
                wire,
                found,
                wanted,
                lambda user: differences(user, wanted, ignore=ignore),
                whole=by_id,
            )
            return await self.keeper.apply(wire, current, changes, "unchanged", mode)

        return await self.call(work)

    async def ensure(
        self,
        user: ScimUser | Mapping[str, Any],
        *,
        reactivate: bool = False,
        update: bool = True,
        mode: UpdateMode | None = None,
    ) -> ScimOutcome:
        """Make sure that there is one such user and that everything named holds.

        Looks the user up, creates or updates it; sends a create again only after a look that did
        not find it. It can be called again after any failure, and converges. Requests: 1 if nothing
        is to be done, 2 for a create, 3 for an update, and one more for a client's first update.

        Args:
            user: As wanted; fields that are not named are left alone.
            reactivate: Bring an archived user back where ``active`` is wanted.
            update: False reports differences as ``conflict`` and writes nothing to a user that is
                there.
            mode: As for the client.

        Returns:
            ``created``, ``adopted``, ``updated``, ``unchanged``, ``reactivated``, ``deactivated``;
            ``conflict`` where somebody has to decide, ``unknown`` where a write could not be
            resolved.

        Raises:
            ScimError: It was refused.
            AuthenticationError: The token is not known.
        """
        wanted = ScimUser.of(user)
        return await self.call(
            lambda wire: self.keeper.ensure(
                wire, wanted, reactivate=reactivate, update=update, mode=mode
            )
        )

    async def deactivate(self, who: str | ScimUser) -> ScimOutcome:
        """Archive a user, by PATCH of ``active``; two requests. KnowBe4 keeps its history.

        Raises:
            NotFoundError: There is no such user.
        """
        return await self.call(lambda wire: self.set_active(wire, who, active=False))

    async def reactivate(self, who: str | ScimUser) -> ScimOutcome:
        """Bring an archived user back; two requests. KnowBe4 enrols it again in trainings that
        allow that.

        Raises:
            NotFoundError: There is no such user.
        """
        return await self.call(lambda wire: self.set_active(wire, who, active=True))

    async def delete(self, who: str | ScimUser) -> None:
        """Delete a user, which KnowBe4 turns into archiving. The writer never does this: some
        servers then neither show the user nor let it be created again. ``deactivate`` is safe.

        Raises:
            NotFoundError: There is no such user.
        """

        async def work(wire: Wire) -> None:
            identity = str((await self.read(wire, who)).id)

            async def send() -> bool:
                await wire.write("DELETE", path_of(identity), parse=dict)
                return True

            async def look() -> bool | None:
                try:
                    found = await self.updater.get(wire, identity)
                except NotFoundError:
                    return True
                return True if found.active is False else None

            await wire.settle(send, look)

        await self.call(work)

    # -- what the writer uses too ---------------------------------------------------------------

    async def call(self, work: Callable[[Wire], Awaitable[T]]) -> T:
        """Do one thing, in a task that ends with the client."""
        self.source.check()
        wire = Wire(self.source.engine)
        return await self.source.call(lambda: work(wire), "kb4 scim users")

    async def read(self, wire: Wire, who: str | ScimUser) -> ScimUser:
        """Read a user by id or name; by name it may be a list's row.

        Raises:
            NotFoundError: There is none.
        """
        found, _ = await self.locate(wire, who)
        return found

    async def locate(self, wire: Wire, who: str | ScimUser) -> tuple[ScimUser, bool]:
        """As ``read``, and whether it was read by its id."""
        if isinstance(who, ScimUser):
            who = who.id or who.user_name
        if "@" in who:
            found = await self.directory.find(wire, who)
            if found is not None:
                return found, False
        try:
            return await self.updater.get(wire, who), True
        except (NotFoundError, ScimError) as error:
            # Servers whose ids have a form of their own answer 400 to a name.
            if error.status not in {400, 404, 422}:
                raise
            found = None if "@" in who else await self.directory.find(wire, who)
            if found is None:
                raise
            return found, False

    async def set_active(self, wire: Wire, who: str | ScimUser, *, active: bool) -> ScimOutcome:
        """Archive a user or bring it back, unless it is so."""
        found = await self.read(wire, who)
        if found.active is active:
            return outcome(wire, "unchanged", found)
        before = None if found.active is UNSET else found.active
        change = Change("active", before, active)
        return await self.keeper.apply(wire, found, (change,), "unchanged")
