"""Making sure of a user: look, create or adopt, bring to what is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from weakref import WeakValueDictionary

from kb4_async.errors import AmbiguousMatchError, KB4Error, ScimError
from kb4_async.protocol.scim.changes import Change, differences, needs_whole
from kb4_async.protocol.scim.documents import document
from kb4_async.protocol.scim.marks import UNSET
from kb4_async.protocol.scim.names import fold
from kb4_async.protocol.scim.outcome import Kind, Result, ScimOutcome
from kb4_async.protocol.scim.users import ScimUser, parse_user
from kb4_async.scim.lookup import Directory
from kb4_async.scim.updating import UpdateMode, Updater
from kb4_async.scim.wire import Wire

#: Refusals of a POST that may mean that the user is there: 409, and what some servers say instead.
MAYBE_THERE = frozenset({400, 409, 412, 422})

INACTIVE = (
    "it is archived; bringing it back enrols it again in trainings that allow that, so it is done "
    "only with reactivate=True (--reactivate)"
)
UNSHOWN = (
    "the server does not show whether it is active, so that was left alone: it may be archived, "
    "and is brought back only with reactivate=True (--reactivate)"
)
HIDDEN = (
    "the server says that it exists and shows it in no list: it may be managed by the console or "
    "by the directory integration (ADI)"
)


class Keeper:
    """Brings users to what is wanted.

    Args:
        directory: Finds them.
        updater: Changes them.
    """

    def __init__(self, directory: Directory[ScimUser], updater: Updater) -> None:
        self.directory = directory
        self.updater = updater
        self.busy: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def turn(self, name: str) -> asyncio.Lock:
        """Not every server keeps names unique, whatever their letter case: of two at once, the
        second has to see what the first made."""
        return self.busy.setdefault(fold(name), asyncio.Lock())

    async def post(self, wire: Wire, wanted: ScimUser) -> ScimUser:
        """Create a user; sent once."""
        made = await wire.write("POST", "Users", document(wanted), parse=parse_user)
        if made is None:  # the standard demands a body; not every server gives one
            made = await wire.look(lambda: self.directory.find(wire, wanted.user_name))
            if made is None:
                raise unseen(wanted.user_name)
        self.directory.created(made)
        return made

    async def ensure(
        self,
        wire: Wire,
        wanted: ScimUser,
        *,
        reactivate: bool,
        update: bool,
        mode: UpdateMode | None,
        absent: bool = False,
    ) -> ScimOutcome:
        """As ``scim.users.ensure``, within an operation.

        Args:
            wire: Makes the requests.
            wanted: As wanted.
            reactivate: Bring an archived user back.
            update: Change what differs.
            mode: How.
            absent: It was just looked for, and is not there.
        """
        try:
            async with self.turn(wanted.user_name):
                found = None if absent else await self.directory.find(wire, wanted.user_name)
                result: Result = "unchanged"
                if found is None:
                    found, result = await self.create_surely(wire, wanted)
            if result == "created":
                return outcome(wire, result, found)
            return await self.reconcile(
                wire, found, wanted, result, reactivate=reactivate, update=update, mode=mode
            )
        except (AmbiguousMatchError, HiddenError) as error:
            return ScimOutcome(
                "conflict",
                "user",
                wanted.user_name,
                detail=str(error),
                requests=wire.tally.requests,
            )
        except KB4Error as error:
            if not error.maybe_applied:
                raise
            return unresolved(wire, "user", wanted.user_name, error)

    async def create_surely(self, wire: Wire, wanted: ScimUser) -> tuple[ScimUser, Result]:
        """Create a user that a look-up did not find; after each failure it is looked for."""

        async def send() -> tuple[ScimUser, Result]:
            try:
                return await self.post(wire, wanted), "created"
            except KB4Error as error:
                status = getattr(error, "status", 0)
                if error.maybe_applied or status not in MAYBE_THERE:
                    raise
                found = await self.directory.find(wire, wanted.user_name, whole=True)
                if found is not None:
                    return found, "adopted"
                if status == 409:
                    raise HiddenError(f"{HIDDEN} ({error})") from error
                raise

        async def look() -> tuple[ScimUser, Result] | None:
            found = await self.directory.find_written(wire, wanted.user_name)
            return None if found is None else (found, "adopted")

        return await wire.settle(send, look)

    async def reconcile(
        self,
        wire: Wire,
        found: ScimUser,
        wanted: ScimUser,
        result: Result,
        *,
        reactivate: bool,
        update: bool,
        mode: UpdateMode | None,
    ) -> ScimOutcome:
        """Bring a user that is there, and was found in a list, to what is wanted."""
        found, changes = await self.compare(
            wire,
            found,
            wanted,
            lambda user: differences(user, wanted, hidden_email=True, hidden_active=not reactivate),
        )
        if fold(found.user_name) != fold(wanted.user_name):
            detail = f"it became {found.user_name} a moment ago: run again"
            return outcome(wire, "conflict", found, changes, detail=detail)
        if wanted.active is True and found.active is False and not reactivate:
            return outcome(wire, "conflict", found, changes, detail=INACTIVE)
        if changes and not update:
            return outcome(wire, "conflict", found, changes, detail="it differs")
        done = await self.apply(wire, found, changes, result, mode)
        if wanted.active is True and found.active is UNSET and not reactivate:
            return replace(done, detail=UNSHOWN)
        return done

    async def compare(
        self,
        wire: Wire,
        found: ScimUser,
        wanted: ScimUser,
        compare: Callable[[ScimUser], tuple[Change, ...]],
        *,
        whole: bool = False,
    ) -> tuple[ScimUser, tuple[Change, ...]]:
        """Find the differences of a user that is there.

        What a list's row shows is so, and whoever is as wanted by it costs no further request.
        Otherwise the user is read by its id: a PUT built on a row would blank what the row lacks.

        Args:
            wire: Makes the requests.
            found: The user.
            wanted: As wanted.
            compare: Finds the differences.
            whole: It was read by its id just now.

        Returns:
            The user as known best, and the differences.
        """
        changes = compare(found)
        if whole or not needs_whole(found, wanted, changes):
            return found, changes
        found = await self.updater.get(wire, str(found.id))
        return found, compare(found)

    async def apply(
        self,
        wire: Wire,
        found: ScimUser,
        changes: tuple[Change, ...],
        result: Result,
        mode: UpdateMode | None = None,
    ) -> ScimOutcome:
        """Write changes, if there are any, and say what that came to.

        Args:
            wire: Makes the requests.
            found: Read by its id; a row of a list is enough where ``active`` alone changes.
            changes: What differs.
            result: What it came to where nothing does.
            mode: How they are sent.
        """
        if not changes:
            return outcome(wire, result, found)
        done = await self.updater.change(wire, found, changes, mode)
        active = next((each.after for each in changes if each.attribute == "active"), None)
        if result != "adopted":
            result = "updated"
            if active is not None:
                result = "reactivated" if active else "deactivated"
        return outcome(wire, result, done.user, changes, unconfirmed=done.unconfirmed)


def outcome(
    wire: Wire,
    result: Result,
    user: ScimUser,
    changes: tuple[Change, ...] = (),
    *,
    unconfirmed: tuple[str, ...] = (),
    detail: str = "",
) -> ScimOutcome:
    """The outcome of an operation on a user."""
    return ScimOutcome(
        result,
        "user",
        user.user_name,
        user.id,
        changes,
        unconfirmed=unconfirmed,
        detail=detail,
        requests=wire.tally.requests,
    )


class HiddenError(Exception):
    """A user exists and is shown nowhere. Never leaves this package."""


def unseen(name: str) -> KB4Error:
    """The error of a create that was accepted and is not shown."""
    error = ScimError(
        f"The server accepted {name!r}, answered with nothing and does not show it. In Test Mode "
        "it changes nothing; otherwise look again later."
    )
    error.maybe_applied = True
    return error


def unresolved(wire: Wire, kind: Kind, name: str, error: KB4Error) -> ScimOutcome:
    """The outcome of a write that nobody knows the end of."""
    detail = f"it may have been written: run again, which looks first ({error})"
    return ScimOutcome(
        "unknown", kind, name, detail=detail, error=error, requests=wire.tally.requests
    )
