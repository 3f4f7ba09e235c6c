"""Applying a plan: phase after phase, several users at once, each looked at before its write."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from typing import Self

from kb4_async.errors import (
    APIError,
    APITimeoutError,
    AuthenticationError,
    ClientClosedError,
    DecodeError,
    KB4Error,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    TransportError,
)
from kb4_async.protocol.scim.changes import Change, differences, holds, value_of
from kb4_async.protocol.scim.groups import DesiredGroup
from kb4_async.protocol.scim.names import fold
from kb4_async.protocol.scim.outcome import Kind, Result, ScimOutcome
from kb4_async.protocol.scim.plan import PlannedChange, ScimPlan
from kb4_async.protocol.scim.schema import ACTIVE
from kb4_async.protocol.scim.users import ScimUser
from kb4_async.runtime.handover import Handover
from kb4_async.runtime.scope import cancel
from kb4_async.scim.client import ScimClient
from kb4_async.scim.ensuring import outcome
from kb4_async.scim.wire import Wire

#: After these, and at a wrong address, nothing more is written: the next would end the same way.
FINAL = (AuthenticationError, PermissionDeniedError, RateLimitError, ClientClosedError)
#: After several of these in a row nothing more is written: the server is in trouble.
SERVER_TROUBLE = (ServerError, TransportError, APITimeoutError, DecodeError)
#: Outcomes kept for a consumer that is slow, before writing waits for it.
KEPT = 64

KINDS: dict[str, Kind] = {"create_group": "group", "change_members": "members"}
AGAIN = "what was done stays done: apply the plan again to finish the rest"


class Application(Handover):
    """One application of a plan.

    Args:
        scim: The client.
        plan: Checked by the guard.
        stop_after: Failures of the server in a row that end it.
    """

    def __init__(self, scim: ScimClient, plan: ScimPlan, stop_after: int) -> None:
        super().__init__()
        self.scim = scim
        self.plan = plan
        self.stop_after = stop_after
        self.row = 0
        self.ids: dict[str, str] = {}
        self.group_ids: dict[str, str] = {}
        self.ready: deque[ScimOutcome] = deque()
        self.room = asyncio.Event()
        self.room.set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.driver: asyncio.Task[None] | None = None

    async def next(self) -> ScimOutcome:
        """Return the next outcome.

        Raises:
            StopAsyncIteration: All were delivered, or the application was left.
            KB4Error: Why it ended early, after the outcomes that are there.
        """
        self.check_loop()
        while True:
            if self.stopped:
                raise StopAsyncIteration
            if self.ready:
                self.room.set()
                return self.ready.popleft()
            if self.error is not None:
                raise self.error
            self.scim.source.check()
            if self.driver is None:
                self.driver = self.scim.source.scope.spawn(self.drive(), "kb4 scim apply")
            elif self.driver.done():
                raise StopAsyncIteration
            await self.news()

    async def drive(self) -> None:
        """Work through the phases."""
        try:
            for steps in self.plan.phases():
                waiting = deque(steps)
                count = min(len(waiting), self.scim.options.max_concurrency)
                workers = [self.spawn(waiting) for _ in range(count)]
                if workers:
                    await asyncio.wait(workers)
                if self.error is not None:
                    return
        finally:
            # The consumer looks again once this task has ended.
            self.loop.call_soon(self.wake)

    def spawn(self, waiting: deque[PlannedChange]) -> asyncio.Task[None]:
        """Start a worker."""
        task = self.scim.source.scope.spawn(self.work(waiting), "kb4 scim worker")
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def work(self, waiting: deque[PlannedChange]) -> None:
        """Perform steps, one after another, until there are none or something ended it."""
        while waiting and self.error is None:
            await self.room.wait()
            step = waiting.popleft() if waiting else None
            if step is None or self.error is not None:
                return
            try:
                found = await self.perform(step)
            except Exception as error:  # a defect must reach the consumer, not vanish in a task
                self.error = error
                self.wake()
                return
            self.judge(found)
            self.ready.append(found)
            if len(self.ready) >= KEPT:
                self.room.clear()
            self.wake()

    def judge(self, found: ScimOutcome) -> None:
        """Decide whether it goes on after an outcome."""
        away = isinstance(found.error, APIError) and found.error.wrong_address
        if away or isinstance(found.error, FINAL):
            self.error = self.error or found.error
            return
        self.row = self.row + 1 if isinstance(found.error, SERVER_TROUBLE) else 0
        if self.row >= self.stop_after and self.error is None:
            self.error = ServerError(
                f"The SCIM server failed {self.row} times in a row, so nothing more was written; "
                f"{AGAIN}. The last failure: {found.error}"
            )

    async def perform(self, step: PlannedChange) -> ScimOutcome:
        """Do one step, and say what came of it; errors are outcomes too."""
        wire = Wire(self.scim.source.engine)
        try:
            found = await self.do(wire, step)
        except KB4Error as error:
            result: Result = "unknown" if error.maybe_applied else "failed"
            found = said(wire, step, result, str(error), error=error)
        if found.id is not None and found.ok:
            if step.operation == "create_group":
                self.group_ids[step.name] = found.id
            elif step.operation == "create_user":
                self.ids[fold(step.name)] = found.id
        return found

    async def do(self, wire: Wire, step: PlannedChange) -> ScimOutcome:
        """Do one step."""
        if step.operation == "create_user":
            return await self.create_user(wire, step)
        if step.operation == "create_group":
            return await self.scim.groups.ensure_one(wire, DesiredGroup.of(step.resource))
        if step.operation == "change_members":
            return await self.change_members(wire, step)
        return await self.change_user(wire, step)

    async def create_user(self, wire: Wire, step: PlannedChange) -> ScimOutcome:
        """Create a user, unless it is there by now."""
        wanted, keeper = ScimUser.of(step.resource), self.scim.users.keeper
        found = await keeper.directory.find(wire, wanted.user_name)
        if found is None:
            return await keeper.ensure(
                wire, wanted, reactivate=False, update=True, mode=None, absent=True
            )
        found, changes = await keeper.compare(
            wire,
            found,
            wanted,
            lambda user: differences(user, wanted, hidden_email=True, hidden_active=True),
        )
        if found.active is False or any(each.before is not None for each in changes):
            detail = "it is there since the plan was made, and differs: plan again"
            return outcome(wire, "conflict", found, changes, detail=detail)
        # Nothing that is there is overwritten: a create that was interrupted goes on.
        return await keeper.apply(wire, found, changes, "unchanged")

    async def change_user(self, wire: Wire, step: PlannedChange) -> ScimOutcome:
        """Update, reactivate or deactivate a user, if it still is what the plan saw."""
        users = self.scim.users
        try:
            current = await users.updater.get(wire, str(step.id))
        except NotFoundError:
            return said(wire, step, "conflict", "it is gone since the plan was made: plan again")
        if not same_name(current, step):
            detail = f"it is {current.user_name} since the plan was made: plan again"
            return said(wire, step, "conflict", detail)
        todo = [c for c in step.changes if not holds(c.attribute, now(current, c), c.after)]
        moved = [c for c in todo if not holds(c.attribute, now(current, c), c.before)]
        # What a server does not say was no value when the plan was made, either.
        moved = [
            c for c in moved if not (c.attribute == ACTIVE.name and current.active is not False)
        ]
        if moved:
            names = ", ".join(each.attribute for each in moved)
            detail = f"{names} changed since the plan was made: plan again"
            if all(each.before is None for each in moved):
                detail += ", or, if lists do not show it, change it with 'kb4 scim ensure'"
            return outcome(wire, "conflict", current, tuple(moved), detail=detail)
        return await users.keeper.apply(wire, current, tuple(todo), "unchanged")

    async def change_members(self, wire: Wire, step: PlannedChange) -> ScimOutcome:
        """Add and remove members."""
        identity = step.id or self.group_ids.get(step.name)
        if identity is None:
            group = await self.scim.groups.directory.find(wire, step.name)
            if group is None:
                return said(wire, step, "failed", "the group is not there: it was not created")
            identity = group.id
        ids: list[str] = []
        nobody: list[str] = []
        for member in step.add:
            known = member.id or self.ids.get(fold(member.user_name))
            if known is None:
                user = await self.scim.users.directory.find(wire, member.user_name)
                known = None if user is None else user.id
            (nobody if known is None else ids).append(known or member.user_name)
        gone = [str(member.id) for member in step.remove]
        done = await self.scim.groups.bring(wire, identity, step.name, add=ids, remove=gone)
        if nobody and done.ok:
            detail = f"{len(nobody)} are not there to be added, the first of them {nobody[0]}"
            return said(wire, step, "failed", detail, identity=identity)
        return done

    def shut(self) -> None:
        """Cancel every worker and forget what was not delivered."""
        self.ready.clear()
        for task in (*self.tasks, *([self.driver] if self.driver else ())):
            task.cancel()
        self.wake()

    async def aclose(self) -> None:
        """The consumer left; returns when every task has ended."""
        self.stop()
        await cancel([*self.tasks, *([self.driver] if self.driver else ())])


class OutcomeIterator:
    """Outcomes in the order in which they are known. Leaving it stops the writing at once; what
    was in flight may have been written, and applying the plan again finds out."""

    def __init__(self, application: Application) -> None:
        self.application = application
        # The application must not know the iterator, or it would never be collected.
        self.dropped = weakref.finalize(self, application.abandon)
        self.dropped.atexit = False

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> ScimOutcome:
        """Return the next outcome."""
        return await self.application.next()

    async def aclose(self) -> None:
        """Stop writing; returns when every task has ended. May be called again."""
        await self.application.aclose()


def now(current: ScimUser, change: Change) -> object:
    """The present value of what a change is about."""
    return value_of(current, change.attribute)


def same_name(current: ScimUser, step: PlannedChange) -> bool:
    """Whether a user still has the name that the plan saw, or the one it gives."""
    renamed = (each.after for each in step.changes if each.attribute == "userName")
    names = {fold(step.name), *(fold(str(each)) for each in renamed)}
    return fold(current.user_name) in names


def said(
    wire: Wire,
    step: PlannedChange,
    result: Result,
    detail: str,
    *,
    error: KB4Error | None = None,
    identity: str | None = None,
) -> ScimOutcome:
    """The outcome of a step that was not done."""
    return ScimOutcome(
        result,
        KINDS.get(step.operation, "user"),
        step.name,
        step.id or identity,
        step.changes,
        requests=wire.tally.requests,
        detail=detail,
        error=error,
    )
