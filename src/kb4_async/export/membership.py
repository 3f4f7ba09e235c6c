"""Group members derived from the users' own groups, in the shape of fetched ones."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kb4_async.export.children import check_parents, members, read_children
from kb4_async.export.manifest import Gap
from kb4_async.export.parents import Board, Parent
from kb4_async.export.recall import page_of, read_lines
from kb4_async.export.step import Step
from kb4_async.export.units import DERIVED
from kb4_async.protocol import codec
from kb4_async.protocol.asks import Verify
from kb4_async.protocol.codec import plain_key
from kb4_async.protocol.endpoints import MEMBERS
from kb4_async.protocol.page import Page
from kb4_async.records import User


def groups_of(user: Mapping[str, Any]) -> list[int | str]:
    """The ids of a user's groups, each once, whatever else stands among them."""
    groups = user.get("groups")
    if not isinstance(groups, list):
        return []
    ids = [each.get("id") if isinstance(each, dict) else each for each in groups]
    keys = [plain_key(each) for each in ids]
    return list(dict.fromkeys(key for key in keys if key is not None))


class Roll:
    """The users of an export as another step reads them, and the groups they name.

    Args:
        users: The step that reads them.

    Attributes:
        counts: Members a group has by the users' own account.
        done: No more users will come, for whatever reason.
        whole: They were listed to a proven end.
    """

    def __init__(self, users: Step) -> None:
        self.users = users
        self.counts: Counter[Any] = Counter()
        self.done = asyncio.Event()
        self.whole = False
        users.taps.append(self.add)
        users.at_end.append(self.close)

    async def add(self, page: Page[User]) -> None:
        """Count the memberships of a page of users."""
        for user in page.items:
            self.counts.update(groups_of(user))

    def close(self, whole: bool) -> None:  # noqa: FBT001  # what every end is told
        """No more users will come."""
        self.whole = whole
        self.done.set()


async def derive_members(board: Board, roll: Roll, verify: Verify, step: Step) -> None:
    """Derive members from the users; fetch the groups whose count differs from that."""
    groups = await board.complete()
    await roll.done.wait()
    derived = {
        group.id
        for group in groups
        if group.id is not None and group.count == roll.counts[group.id]
    }
    # By their count they are whole, even where the users were not listed to their end.
    await write_derived(roll, derived, step, whole=True)

    async def differing() -> AsyncGenerator[Parent, None]:
        for group in groups:
            # A count of 0 would not be asked for, but the users say otherwise.
            lies = group.count == 0 and roll.counts[group.id] > 0
            if lies:
                step.compare({"group_id": group.id}, 0, roll.counts[group.id])
            yield uncounted(group) if lies else group

    await read_children(differing(), members(step, verify), step, None)
    step.report.expected = sum(group.count or 0 for group in groups)
    check_parents(board, step, "groups")


def uncounted(group: Parent) -> Parent:
    """The same group without its count, which is not believed."""
    return replace(group, count=None)


async def derive_all(groups: Board | None, roll: Roll, step: Step) -> None:
    """Derive every membership that the users tell, once all were read.

    Args:
        groups: The groups, whose counts are compared; None where they are not read.
        roll: The users.
        step: The derived resource.
    """
    await roll.done.wait()
    await write_derived(roll, roll.counts.keys(), step, whole=roll.whole)
    if not roll.whole:
        message = "The users could not be listed to their end, so some memberships are missing."
        step.report.gaps.append(Gap({}, "ParentsIncomplete", message))
        return
    # Users do not always tell their groups; what the groups count shows that.
    for group in await groups.complete() if groups is not None else ():
        if group.count is not None:
            step.compare({"group_id": group.id}, group.count, roll.counts[group.id])


async def write_derived(roll: Roll, wanted: Collection[Any], step: Step, *, whole: bool) -> None:
    """Write the memberships of the wanted groups, out of the users' own records.

    It costs no request, so one that was cut off is begun anew by the next run.

    Args:
        roll: The users.
        wanted: The groups.
        step: The resource.
        whole: Nothing is missing; otherwise the next run begins anew all the same.
    """
    marker = step.progress.unit(DERIVED)
    if marker.closed:
        return
    await step.writer.end(marker, DERIVED, counted=None, again=True)
    chunks = read_lines(roll.users.spool)
    while lines := await step.writer.worker.run(lambda: next(chunks, None)):
        for page in derived_pages(lines, wanted):
            await step.write(page, step.child(page.scope["group_id"]), None)
    for group_id in wanted:
        await step.end(step.child(group_id), DERIVED)
    await step.writer.end(marker, DERIVED, counted=None, again=not whole)


def derived_pages(lines: Sequence[bytes], wanted: Collection[Any]) -> list[Page[Any]]:
    """Turn users' lines into pages of members, one a group, in the shape of fetched ones.

    Args:
        lines: The users.
        wanted: Ids of the groups to derive.
    """
    by_group: defaultdict[Any, list[bytes]] = defaultdict(list)
    for line in lines:
        for group_id in groups_of(codec.decode(line)):
            if group_id in wanted:
                by_group[group_id].append(line)
    return [page_of(MEMBERS, rows, scope={"group_id": key}) for key, rows in by_group.items()]
