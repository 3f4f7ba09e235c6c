"""Changing a user: merged with what is there, sent once, looked after."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from kb4_async.errors import KB4Error, ScimError
from kb4_async.protocol.request import quote_segment
from kb4_async.protocol.scim.answers import read_object
from kb4_async.protocol.scim.changes import (
    Change,
    active_patch,
    hides_block,
    holds,
    replacement,
    update_patch,
    value_of,
)
from kb4_async.protocol.scim.marks import UNSET
from kb4_async.protocol.scim.schema import ACTIVE
from kb4_async.protocol.scim.users import ScimUser, parse_user
from kb4_async.scim.wire import Wire

#: ``put`` sends the whole user as read, with the changes laid over it (Okta's way); ``patch`` sends
#: the changed attributes alone (Entra's).
UpdateMode = Literal["put", "patch"]


@dataclass(frozen=True, slots=True)
class Changed:
    """What an update came to.

    Attributes:
        user: As it is now, as far as the server said.
        unconfirmed: Attributes that the server accepted but does not show.
    """

    user: ScimUser
    unconfirmed: tuple[str, ...] = ()


class Updater:
    """Writes changes of users.

    Args:
        mode: How attributes are sent unless said otherwise.
    """

    def __init__(self, mode: UpdateMode) -> None:
        self.mode: UpdateMode = mode
        self.config: dict[str, Any] | None = None
        self.asked = asyncio.Lock()

    async def provider_config(self, wire: Wire) -> dict[str, Any]:
        """What the server says it can do, asked once; empty where it does not say."""
        async with self.asked:
            if self.config is None:
                try:
                    self.config = await wire.read_once("ServiceProviderConfig", read_object)
                except KB4Error:  # offered by few, needed by none
                    self.config = {}
        return self.config

    async def get(self, wire: Wire, identity: str) -> ScimUser:
        """Read a user anew."""
        return await wire.resource(path_of(identity), parse_user)

    async def change(
        self,
        wire: Wire,
        current: ScimUser,
        changes: Sequence[Change],
        mode: UpdateMode | None = None,
    ) -> Changed:
        """Write changes: what brings a user back first, what archives it last.

        Args:
            wire: Makes the requests.
            current: Read by its id, for everything that is not named is sent as it is there; a row
                of a list is enough where ``active`` alone changes.
            changes: What differs.
            mode: How attributes are sent.

        Raises:
            KB4Error: Refused, or, with ``maybe_applied``, not resolved.
        """
        done = Changed(current)
        active = next((each for each in changes if each.attribute == ACTIVE.name), None)
        others = tuple(each for each in changes if each is not active)
        if active is not None and active.after:
            done = await self.set_active(wire, current, active=True)
            if others:
                # What a PATCH answers may be a part of the user, or nothing; and a PUT of the user
                # as it was would archive it again.
                current = await wire.look(partial(self.get, wire, str(current.id)))
                done, others = Changed(current, done.unconfirmed), left(current, others)
        if others:
            written = await self.write(wire, current, others, mode or self.mode)
            done = Changed(written.user, (*done.unconfirmed, *written.unconfirmed))
        if active is not None and active.after is False:
            written = await self.set_active(wire, done.user, active=False)
            done = Changed(written.user, (*done.unconfirmed, *written.unconfirmed))
        return done

    async def set_active(self, wire: Wire, current: ScimUser, *, active: bool) -> Changed:
        """Archive a user or bring it back, by PATCH."""
        identity = str(current.id)

        async def send() -> Changed:
            body = active_patch(active)
            after = await wire.write("PATCH", path_of(identity), body, parse=parse_user)
            denied = after is not None and after.active is not active
            return Changed(after or current, (ACTIVE.name,) if denied else ())

        async def look() -> Changed | None:
            found = await self.get(wire, identity)
            return Changed(found) if found.active is active else None

        return await wire.settle(send, look)

    async def write(
        self, wire: Wire, current: ScimUser, changes: Collection[Change], mode: UpdateMode
    ) -> Changed:
        """Write attributes, merged with what is there at this moment.

        After a failure that does not tell, and after a 412, the user is read again, and what does
        not hold yet is merged with that.
        """
        retry = wire.engine.retry
        for attempt in range(1, retry.max_attempts + 1):
            try:
                return await self.send(wire, current, changes, mode)
            except KB4Error as error:
                stale = isinstance(error, ScimError) and error.status == 412
                if not (error.maybe_applied or stale):
                    raise
                await asyncio.sleep(wire.engine.delay(attempt))
                current = await wire.look(partial(self.get, wire, str(current.id)))
                changes = left(current, changes)
                if not changes:
                    return Changed(current)
                if attempt == retry.max_attempts:
                    raise
        raise AssertionError  # the last attempt returned or raised

    async def send(
        self, wire: Wire, current: ScimUser, changes: Collection[Change], mode: UpdateMode
    ) -> Changed:
        """Send one PUT or PATCH."""
        # A PUT would blank what the server keeps but does not show, and bring back an archived user
        # of whom it does not show that it is.
        if mode == "patch" or hides_block(current) or current.active is UNSET:
            method, body = "PATCH", update_patch(current, changes)
        else:
            method, body = "PUT", replacement(current, changes)
        headers = await self.precondition(wire, current)
        path = path_of(str(current.id))
        after = await wire.write(method, path, body, parse=parse_user, headers=headers)
        if after is None:
            return Changed(current)
        return Changed(after, tuple(each.attribute for each in left(after, changes)))

    async def precondition(self, wire: Wire, current: ScimUser) -> dict[str, str]:
        """``If-Match``, where the server says that it honours it (RFC 7644, 3.14)."""
        etag = (await self.provider_config(wire)).get("etag")
        meta = (current.served or {}).get("meta")
        version = meta.get("version") if isinstance(meta, dict) else None
        honoured = isinstance(etag, dict) and etag.get("supported") is True
        plain = isinstance(version, str) and version.isascii() and version.isprintable()
        return {"If-Match": str(version)} if honoured and version and plain else {}


def left(current: ScimUser, changes: Collection[Change]) -> tuple[Change, ...]:
    """The changes that do not hold yet."""
    return tuple(
        each
        for each in changes
        if not holds(each.attribute, value_of(current, each.attribute), each.after)
    )


def path_of(identity: str) -> str:
    """Path of a user."""
    return f"Users/{quote_segment('id', identity)}"
