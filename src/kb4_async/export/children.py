"""Children read side by side, as soon as their parents are known, and compared with the counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal

from kb4_async.errors import KB4Error, NotFoundError, RateLimitError
from kb4_async.export.manifest import Gap
from kb4_async.export.parents import Board, CampaignCounts, Parent
from kb4_async.export.step import Step, follow
from kb4_async.export.units import scope_key
from kb4_async.protocol.asks import Verify
from kb4_async.reporting.parents import count_in
from kb4_async.runtime.fanout import FanOut
from kb4_async.runtime.handover import ChildFailure
from kb4_async.runtime.listing import Listing

#: Makes the listing of a parent's children.
Child = Callable[[Parent], Listing[Any]]


@dataclass(frozen=True, slots=True)
class Kind:
    """Children of one kind, and how they are read.

    Attributes:
        parents: What their parents are called.
        listing: Makes the listing of one parent's.
        promised: How many one has by the account's own count, where that is meant exactly; 0 saves
            the request, for an empty page would prove nothing more.
        parent: Asks for the parent itself, which may have been deleted meanwhile.
    """

    parents: str
    listing: Child
    promised: Callable[[Parent], int | None]
    parent: Callable[[Parent], Awaitable[object]]


def members(step: Step, verify: Verify) -> Kind:
    """The members of groups."""
    groups = step.kb.groups

    def listing(group: Parent) -> Listing[Any]:
        return groups.members(id_in(group), member_count=group.count, verify=verify)

    return Kind(
        "groups", listing, lambda group: group.count, lambda group: groups.get(id_in(group))
    )


def histories(step: Step, verify: Verify, of: Literal["groups", "users"]) -> Kind:
    """The risk histories of groups or users, which nobody counts."""
    noun = step.kb.groups if of == "groups" else step.kb.users

    def listing(parent: Parent) -> Listing[Any]:
        return noun.risk_history(id_in(parent), verify=verify)

    return Kind(of, listing, lambda _: None, lambda parent: noun.get(id_in(parent)))


def recipients(step: Step, verify: Verify, counts: CampaignCounts) -> Kind:
    """The recipients of security tests; what their campaigns count saves the search for their end.

    What was scheduled tells how many pages there may be, but is nobody's promise.
    """
    tests = step.kb.phishing.security_tests

    def listing(test: Parent) -> Listing[Any]:
        counted = counts.users.get(test.id)
        return tests.recipients(
            id_in(test),
            campaign_type=test.campaign_type,
            users_count=test.count if counted is None else counted,
            campaign_id=None if counted is None else test.campaign,
            verify=verify,
        )

    def parent(test: Parent) -> Awaitable[object]:
        return tests.get(id_in(test), campaign_type=test.campaign_type)

    return Kind("security tests", listing, lambda test: counts.users.get(test.id), parent)


def id_in(parent: Parent) -> int | str:
    """The id of a parent that has one."""
    assert parent.id is not None  # noqa: S101  # the others are left out before
    return parent.id


async def read_members(board: Board, verify: Verify, step: Step) -> None:
    """Read the members of every group on the board."""
    await read_children(board.each(), members(step, verify), step, board)
    step.report.expected = sum(parent.count or 0 for parent in board.parents)
    check_parents(board, step, "groups")


async def read_histories(
    board: Board, of: Literal["groups", "users"], verify: Verify, step: Step
) -> None:
    """Read the risk history of every group or user."""
    await read_children(board.each(), histories(step, verify, of), step, None)
    check_parents(board, step, of)


async def read_tests(
    listings: Sequence[Listing[Any]], board: Board, counts: CampaignCounts, step: Step
) -> None:
    """Read the security tests, and compare their number with what each campaign counts."""
    await follow(listings, step)
    await counts.known.wait()
    arrived = Counter(test.campaign for test in board.parents)
    short = False
    for campaign_id, (count, campaign_type) in counts.psts.items():
        counted: int | None = count
        if arrived[campaign_id] < count:
            campaigns = step.kb.phishing.campaigns
            step.tally.requests += 1
            try:
                again = await campaigns.get(campaign_id, campaign_type=campaign_type)
            except NotFoundError:
                continue  # deleted meanwhile, and its tests with it
            counted = count_in(again, "psts_count")
        if counted is not None:
            short |= step.compare({"campaign_id": campaign_id}, counted, arrived[campaign_id])
    if short:
        await step.reread(list(step.progress.units.values()))


async def read_recipients(
    board: Board,
    counts: CampaignCounts,
    verify: Verify,
    carry: Callable[[CampaignCounts, Step], Awaitable[None]] | None,
    step: Step,
) -> None:
    """Read every test's recipients.

    Args:
        board: The tests.
        counts: What their campaigns count.
        verify: How movement is looked for.
        carry: Writes those that need not be read, once all tests are known.
        step: The resource.
    """
    # Campaigns are few, and without their counts each test costs some requests more.
    await counts.known.wait()
    if carry is not None:
        await board.complete()
        await carry(counts, step)
    await read_children(board.each(), recipients(step, verify, counts), step, None)
    known = [counts.users.get(test.id) for test in board.parents]
    if None not in known:
        step.report.expected = sum(count or 0 for count in known)
    check_parents(board, step, "security tests")


def check_parents(board: Board, step: Step, what: str) -> None:
    """Say if some parents are unknown, or cannot be asked for."""
    if not board.whole:
        message = f"The {what} could not be listed to their end, so some {step.name} are missing."
        step.report.gaps.append(Gap({}, "ParentsIncomplete", message))
    for parent in board.parents:
        if parent.id is None:
            message = f"One of the {what} was listed without an id ({parent.name!r})."
            step.report.gaps.append(Gap({}, "ParentWithoutId", message))


async def read_children(
    parents: AsyncIterable[Parent], kind: Kind, step: Step, board: Board | None
) -> None:
    """Read the children of many parents, and compare their number with what the server counts.

    Args:
        parents: As they become known.
        kind: How their children are read.
        step: The resource.
        board: Knows how many pages there are in all, for those who watch.
    """
    begun: dict[str, Parent] = {}

    async def listings() -> AsyncGenerator[Listing[Any], None]:
        async for parent in parents:
            if parent.id is None:
                continue
            unit = step.child(parent.id)
            # A parent that is listed twice has its children once.
            if unit.closed or unit.key in begun:
                continue
            begun[unit.key] = parent
            if kind.promised(parent) == 0:
                await step.end(unit, "count_zero")
            else:
                yield step.resumed(kind.listing(parent), unit)

    fan = FanOut(step.kb.source, listings, "skip")
    async with aclosing(fan.pages(form="raw", tally=step.tally)) as pages:
        left = None
        try:
            async for page in pages:
                unit = step.progress.unit(scope_key(page.scope))
                if page.end_reason is not None:
                    promised = kind.promised(begun[unit.key]) is not None
                    await step.end(unit, page.end_reason, page.expected if promised else None)
                    continue
                if board is not None and board.pages is not None:
                    left = max(0, board.pages - step.progress.pages - 1)
                await step.write(page, unit, left)
        except KB4Error:
            await note_failures(pages.failures, step)
            raise
        deleted = [each for each in pages.failures if isinstance(each.error, NotFoundError)]
        await note_failures([each for each in pages.failures if each not in deleted], step)
        for failure in deleted:
            await look_for_parent(failure, begun[scope_key(failure.scope)], kind, step)


async def note_failures(failures: Sequence[ChildFailure], step: Step) -> None:
    """Name the children that could not be read, and keep where they go on."""
    for failure in failures:
        unit = step.progress.unit(scope_key(failure.scope))
        if isinstance(failure.error, RateLimitError):
            await step.stopped(failure.error, unit)  # what it ends is named once, for all of them
        else:
            await step.failed(failure.error, unit)


async def look_for_parent(failure: ChildFailure, parent: Parent, kind: Kind, step: Step) -> None:
    """Ask for the parent of children that were not found: who was deleted has none to miss."""
    unit = step.progress.unit(scope_key(failure.scope))
    step.tally.requests += 1
    try:
        await kind.parent(parent)
    except NotFoundError:
        await step.end(unit, "parent_deleted")
    else:
        await step.failed(failure.error, unit)
