"""Group members: fetched as soon as their groups are known, or derived from the users' own
groups."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from itertools import islice
from typing import IO, Any, cast

from kb4_async.errors import SinkError
from kb4_async.export.manifest import Gap
from kb4_async.export.step import Step
from kb4_async.export.writer import Worker
from kb4_async.protocol import codec
from kb4_async.protocol.codec import plain_key
from kb4_async.protocol.endpoints import MAX_PER_PAGE, MEMBERS
from kb4_async.protocol.page import Content, Page
from kb4_async.protocol.token import Identity, Place
from kb4_async.records import Group, User
from kb4_async.runtime.listing import Listing


class GroupBoard:
    """The groups as they become known, for whoever needs them.

    Attributes:
        groups: The groups known so far.
        all_known: No more will come.
        whole: They were listed to a proven end.
    """

    def __init__(self) -> None:
        self.groups: list[Group] = []
        self.all_known = self.whole = False
        self.news = asyncio.Event()

    def add(self, groups: list[Group]) -> None:
        """More groups are known."""
        self.groups.extend(groups)
        self.news.set()

    def close(self) -> None:
        """No more groups will come, for whatever reason."""
        self.all_known = True
        self.news.set()

    async def each(self) -> AsyncGenerator[Group, None]:
        """Every group with members, as soon as it is known."""
        place = 0
        while True:
            self.news.clear()
            while place < len(self.groups):
                group = self.groups[place]
                place += 1
                # A count of 0 saves the request: an empty page would prove nothing more.
                if count_of(group) != 0:
                    yield group
            if self.all_known:
                return
            await self.news.wait()

    async def complete(self) -> list[Group]:
        """Every group, once all are known."""
        async for _ in self.each():
            pass
        return self.groups

    def pages(self) -> int | None:
        """Pages of all members as the groups' counts say, once all groups are known."""
        counts = [count_of(group) for group in self.groups]
        if not self.all_known or None in counts:
            return None
        return sum(-(-(count or 0) // MAX_PER_PAGE) for count in counts)


def id_of(group: Group) -> int | str | None:
    """A group's id, if it has one that can be asked for."""
    key = plain_key(group.get("id"))
    return None if isinstance(key, str) and key.strip() in {"", ".", ".."} else key


def count_of(group: Group) -> int | None:
    """A group's ``member_count``, if it is a count."""
    count = plain_key(group.get("member_count"))
    return count if isinstance(count, int) and count >= 0 else None


def groups_of(user: Mapping[str, Any]) -> list[int | str]:
    """The ids of a user's groups, each once, whatever else stands among them."""
    groups = user.get("groups")
    keys = [plain_key(each) for each in groups] if isinstance(groups, list) else []
    return list(dict.fromkeys(key for key in keys if key is not None))


async def read_groups(board: GroupBoard, listing: Listing[Group], step: Step) -> None:
    """Write the groups and put them on the board."""
    async with aclosing(listing.pages(form="raw", tally=step.tally)) as pages:
        async for page in pages:
            board.add(page.items)
            await step.write(page, pages.requests_left())
    board.whole = True


async def fetch_members(board: GroupBoard, step: Step) -> None:
    """Fetch the members of every group on the board."""
    await fetch(board.each(), step, board)
    settle(board, step)


def settle(board: GroupBoard, step: Step) -> None:
    """Say how many members were expected, and whether all groups were known."""
    step.report.expected = sum(count_of(group) or 0 for group in board.groups)
    if not board.whole:
        message = "The groups could not be listed to their end, so members of some are missing."
        step.report.gaps.append(Gap({}, "GroupsIncomplete", message))


async def fetch(
    groups: AsyncGenerator[Group, None], step: Step, board: GroupBoard | None = None
) -> None:
    """Fetch the members of groups, and compare their number with what the groups say."""
    counts: dict[int | str, int] = {}

    async def noted() -> AsyncGenerator[Group, None]:
        async with aclosing(groups):
            async for group in groups:
                group_id, count = id_of(group), count_of(group)
                if group_id is None:
                    message = f"A group was listed without an id ({group.get('name')!r})."
                    step.report.gaps.append(Gap({}, "GroupWithoutId", message))
                    continue
                if count is not None:
                    counts[group_id] = count
                known = {"id": group_id, **({} if count is None else {"member_count": count})}
                yield cast("Group", known)

    rows: Counter[int | str] = Counter()
    listing = step.kb.groups.members_each(noted(), on_error="skip")
    async with aclosing(listing.pages(form="raw", tally=step.tally)) as pages:
        async for page in pages:
            group_id = cast("int | str", page.scope["group_id"])
            rows[group_id] += len(page)
            total = None if board is None else board.pages()
            left = None if total is None else max(0, total - step.report.pages - 1)
            await step.write(page, left)
            if page.end_reason is not None and rows[group_id] < counts.get(group_id, 0):
                await recount(step, group_id, rows[group_id])
        for failure in pages.failures:
            step.gap(failure.scope, failure.error)


async def recount(step: Step, group_id: int | str, rows: int) -> None:
    """Fewer members came than the group counts: ask the count again, and name what is left."""
    fresh = count_of(await step.kb.groups.get(group_id)) or 0
    step.tally.requests += 1
    if rows < fresh:
        message = (
            f"Group {group_id} counts {fresh} members, but its listing ended with proof after "
            f"{rows}. The server hides some, or its count is wrong: compare in the console."
        )
        step.report.gaps.append(Gap({"group_id": group_id}, "CountMismatch", message))


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


async def spool_users(spool: UserSpool, listing: Listing[User], step: Step) -> None:
    """Write the users and keep them for deriving memberships."""
    async with aclosing(listing.pages(form="raw", tally=step.tally)) as pages:
        async for page in pages:
            await spool.add(page)
            await step.write(page, pages.requests_left())


async def derive_members(board: GroupBoard, spool: UserSpool, step: Step) -> None:
    """Derive members from the users; fetch the groups whose count differs from that."""
    try:
        groups = await board.complete()
        await spool.done.wait()
        ids = {id_of(group): count_of(group) for group in groups}
        derived = {
            group_id
            for group_id, count in ids.items()
            if group_id is not None and count == spool.counts[group_id]
        }
        async with aclosing(spool.chunks()) as chunks:
            async for lines in chunks:
                for page in derived_pages(lines, derived):
                    await step.write(page, None)
        for _ in derived:
            step.proven_by("derived")
    finally:
        spool.close()

    async def differing() -> AsyncGenerator[Group, None]:
        for group in groups:
            if id_of(group) not in derived:
                yield group

    await fetch(differing(), step)
    settle(board, step)


def derived_pages(lines: list[bytes], wanted: set[Any]) -> list[Page[Any]]:
    """Turn users' lines into pages of members, one a group, in the shape of fetched ones."""
    by_group: defaultdict[Any, list[bytes]] = defaultdict(list)
    for line in lines:
        user = codec.decode(line)
        for group_id in groups_of(user):
            if group_id in wanted:
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
