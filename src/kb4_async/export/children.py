"""Children read side by side, as soon as their parents are known, and compared with the counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Sequence
from contextlib import aclosing
from typing import Any

from kb4_async.errors import NotFoundError
from kb4_async.export.manifest import Gap
from kb4_async.export.parents import Board, CampaignCounts, Parent
from kb4_async.export.step import Step, follow
from kb4_async.protocol.asks import Verify
from kb4_async.protocol.codec import Key, plain_key
from kb4_async.reporting.parents import count_in
from kb4_async.runtime.fanout import FanOut
from kb4_async.runtime.listing import Listing

#: Makes the listing of a parent's children; None where there is nothing to ask.
Child = Callable[[Parent], Listing[Any] | None]


async def read_members(board: Board, verify: Verify, step: Step) -> None:
    """Read the members of every group on the board."""
    await read_children(board.each(), members_of(step, verify), step, board)
    step.report.expected = sum(parent.count or 0 for parent in board.parents)
    check_parents(board, step, "groups")


def members_of(step: Step, verify: Verify) -> Child:
    """Make the listings of groups' members."""

    def child(group: Parent) -> Listing[Any] | None:
        # A count of 0 saves the request: an empty page would prove nothing more.
        if group.count == 0:
            step.proven_by("count_zero")
        if group.count == 0 or group.id is None:
            return None
        return step.kb.groups.members(group.id, member_count=group.count, verify=verify)

    return child


async def read_histories(
    board: Board, history: Callable[[int | str], Listing[Any]], what: str, step: Step
) -> None:
    """Read the risk history of every group or user.

    Args:
        board: The groups or users.
        history: Makes the listing of one.
        what: What they are called.
        step: The resource.
    """

    def child(parent: Parent) -> Listing[Any] | None:
        return None if parent.id is None else history(parent.id)

    await read_children(board.each(), child, step, None)
    check_parents(board, step, what)


async def read_tests(
    listings: Sequence[Listing[Any]], board: Board, counts: CampaignCounts, step: Step
) -> None:
    """Read the security tests, and compare their number with what each campaign counts."""
    await follow(listings, step)
    await counts.known.wait()
    arrived = Counter(test.campaign for test in board.parents)
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
            step.compare({"campaign_id": campaign_id}, counted, arrived[campaign_id])


async def read_recipients(board: Board, counts: CampaignCounts, verify: Verify, step: Step) -> None:
    """Read every test's recipients; what their campaigns count saves the search for their end."""
    # Campaigns are few, and without their counts each test costs some requests more.
    await counts.known.wait()

    def child(test: Parent) -> Listing[Any] | None:
        counted = counts.users.get(test.id)
        if counted == 0:
            step.proven_by("count_zero")
        if counted == 0 or test.id is None:
            return None
        return step.kb.phishing.security_tests.recipients(
            test.id,
            campaign_type=test.campaign_type,
            # What was scheduled tells how many pages there may be, but is nobody's promise.
            users_count=test.count if counted is None else counted,
            campaign_id=None if counted is None else test.campaign,
            verify=verify,
        )

    await read_children(board.each(), child, step, None, counted=counts.users)
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
    parents: AsyncIterable[Parent],
    child: Child,
    step: Step,
    board: Board | None,
    *,
    counted: dict[Key, int] | None = None,
) -> None:
    """Read the children of many parents, and compare their number with what the server counts.

    Args:
        parents: As they become known.
        child: Makes the listing of one.
        step: The resource.
        board: Knows how many pages there are in all, for those who watch.
        counted: The parents whose count is a promise; None for all that count.
    """

    async def listings() -> AsyncGenerator[Listing[Any], None]:
        async for parent in parents:
            listing = child(parent)
            if listing is not None:
                yield listing

    rows: Counter[Key] = Counter()
    fan = FanOut(step.kb.source, listings, "skip")
    async with aclosing(fan.pages(form="raw", tally=step.tally)) as pages:
        async for page in pages:
            (parent_id,) = (plain_key(value) for value in page.scope.values())
            rows[parent_id] += len(page)
            total = None if board is None else board.pages
            await step.write(page, None if total is None else max(0, total - step.report.pages - 1))
            if page.end_reason is not None:
                arrived = rows.pop(parent_id)
                if page.expected is not None and (counted is None or parent_id in counted):
                    step.compare(page.scope, page.expected, arrived)
        for failure in pages.failures:
            step.gap(failure.scope, failure.error)
