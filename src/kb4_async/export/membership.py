"""Group members derived from the users' own groups, in the shape of fetched ones."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Container, Mapping
from contextlib import aclosing
from dataclasses import replace
from itertools import islice
from typing import IO, Any

from kb4_async.errors import KB4Error, SinkError
from kb4_async.export.children import check_parents, members_of, read_children
from kb4_async.export.manifest import Gap
from kb4_async.export.parents import Board, Parent
from kb4_async.export.step import Step
from kb4_async.export.writer import Worker
from kb4_async.protocol import codec
from kb4_async.protocol.asks import Verify
from kb4_async.protocol.codec import plain_key
from kb4_async.protocol.endpoints import MAX_PER_PAGE, MEMBERS
from kb4_async.protocol.page import Content, Page
from kb4_async.protocol.token import Identity, Place
from kb4_async.records import User


def groups_of(user: Mapping[str, Any]) -> list[int | str]:
    """The ids of a user's groups, each once, whatever else stands among them."""
    groups = user.get("groups")
    if not isinstance(groups, list):
        return []
    ids = [each.get("id") if isinstance(each, dict) else each for each in groups]
    keys = [plain_key(each) for each in ids]
    return list(dict.fromkeys(key for key in keys if key is not None))


class UserSpool:
    """The users' lines in a temporary file, until it is known which groups can be derived."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.file: IO[bytes] | None = None
        self.done = asyncio.Event()
        #: Members a group has by the users' own account.
        self.counts: Counter[Any] = Counter()

    async def add(self, page: Page[User]) -> None:
        """Keep a page of users."""
        for user in page.items:
            self.counts.update(groups_of(user))

        def call() -> None:
            if self.file is None:
                self.file = tempfile.TemporaryFile(prefix="kb4-")  # noqa: SIM115  # closed by close()
            self.file.write(page.json_lines())

        try:
            await self.worker.run(call)
        except OSError as error:
            msg = f"The folder for temporary files is full or gone ({error.strerror}): set TMPDIR."
            raise SinkError(msg) from error

    def close_list(self, whole: bool) -> None:  # noqa: FBT001  # what every end is told
        """No more users will come, for whatever reason."""
        del whole
        self.done.set()

    async def chunks(self) -> AsyncGenerator[list[bytes], None]:
        """The users' lines, a page at a time."""
        if self.file is None:
            return
        file = self.file
        await self.worker.run(lambda: file.seek(0))
        while lines := await self.worker.run(lambda: list(islice(file, MAX_PER_PAGE))):
            yield lines

    def close(self) -> None:
        """Remove the temporary file."""
        if self.file is not None:
            self.file.close()


async def derive_members(board: Board, spool: UserSpool, verify: Verify, step: Step) -> None:
    """Derive members from the users; fetch the groups whose count differs from that."""
    try:
        groups = await board.complete()
        await spool.done.wait()
        derived = {
            group.id
            for group in groups
            if group.id is not None and group.count == spool.counts[group.id]
        }
        async with aclosing(spool.chunks()) as chunks:
            async for lines in chunks:
                for page in derived_pages(lines, derived):
                    await step.write(page, None)
        for _ in derived:
            step.proven_by("derived")
    finally:
        spool.close()

    async def differing() -> AsyncGenerator[Parent, None]:
        for group in groups:
            if group.id not in derived:
                # A count of 0 would not be asked for, but the users say otherwise.
                lies = group.count == 0 and spool.counts[group.id] > 0
                if lies:
                    step.compare({"group_id": group.id}, 0, spool.counts[group.id])
                yield uncounted(group) if lies else group

    await read_children(differing(), members_of(step, verify), step, None)
    step.report.expected = sum(group.count or 0 for group in groups)
    check_parents(board, step, "groups")


def uncounted(group: Parent) -> Parent:
    """The same group without its count, which is not believed."""
    return replace(group, count=None)


class Derivation:
    """Writes every membership that the users' records tell, while another step reads the users.

    Args:
        step: The derived resource.
        groups: The groups, whose counts are compared; None where they are not read.
    """

    def __init__(self, step: Step, groups: Board | None) -> None:
        self.step = step
        self.groups = groups
        self.counts: Counter[Any] = Counter()
        self.opened, self.ended = asyncio.Event(), asyncio.Event()
        self.whole = self.left = False
        self.error: KB4Error | None = None
        step.at_end.append(self.leave)

    async def add(self, page: Page[User]) -> None:
        """Write the memberships of a page of users; its own failure is not the users'."""
        await self.opened.wait()
        if self.left or self.error is not None:
            return
        try:
            for derived in derived_pages(page.json_lines().rstrip(b"\n").split(b"\n"), None):
                self.counts[derived.scope["group_id"]] += len(derived)
                await self.step.write(derived, None)
        except KB4Error as error:
            self.error = error

    def close(self, whole: bool) -> None:  # noqa: FBT001  # what every end is told
        """No more users will come, for whatever reason."""
        self.whole = whole
        self.ended.set()

    async def run(self, step: Step) -> None:
        """Wait until every user was read."""
        self.opened.set()
        await self.ended.wait()
        if self.error is not None:
            raise self.error
        if not self.whole:
            message = "The users could not be listed to their end, so some memberships are missing."
            step.report.gaps.append(Gap({}, "ParentsIncomplete", message))
        elif self.groups is not None:
            # Users do not always tell their groups; what the groups count shows that.
            for group in await self.groups.complete():
                if group.count is not None:
                    step.compare({"group_id": group.id}, group.count, self.counts[group.id])
        step.proven_by("derived")

    def leave(self, whole: bool) -> None:  # noqa: FBT001
        """Nothing more is written, for whatever reason."""
        del whole
        self.left = True
        self.opened.set()


def derived_pages(lines: list[bytes], wanted: Container[Any] | None) -> list[Page[Any]]:
    """Turn users' lines into pages of members, one a group, in the shape of fetched ones.

    Args:
        lines: The users.
        wanted: Ids of the groups to derive; None for all.
    """
    by_group: defaultdict[Any, list[bytes]] = defaultdict(list)
    for line in lines:
        user = codec.decode(line)
        for group_id in groups_of(user):
            if wanted is None or group_id in wanted:
                by_group[group_id].append(line)
    pages: list[Page[Any]] = []
    for group_id, members in by_group.items():
        scope = {"group_id": group_id}
        identity = Identity(MEMBERS.resource, scope, {}, MAX_PER_PAGE)
        array = b"[" + b",".join(line.rstrip(b"\n") for line in members) + b"]"
        pages.append(
            Page(
                resource=MEMBERS.resource,
                scope=scope,
                number=1,
                end_reason=None,
                request_id=None,
                attempts=0,
                endpoint=MEMBERS,
                content=Content(array, rows=len(members)),
                identity=identity,
                place=Place(),
                next_place=Place(),
            )
        )
    return pages
