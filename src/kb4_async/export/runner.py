"""``export_account``: all resources side by side under one limiter."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import partial

from kb4_async.errors import ConfigurationError, KB4Error, QuotaExhaustedError
from kb4_async.events import Observer
from kb4_async.export.children import (
    read_histories,
    read_members,
    read_recipients,
    read_tests,
)
from kb4_async.export.destination import (
    BUSY,
    Destination,
    check_same_account,
    inspect_destination,
    is_claimed,
)
from kb4_async.export.events import ExportStarted, ExportWaiting
from kb4_async.export.manifest import ExportReport
from kb4_async.export.membership import Roll, derive_all, derive_members
from kb4_async.export.parents import Board, CampaignCounts, ParentOf, group_of, test_of, user_of
from kb4_async.export.resources import Members, choose_resources
from kb4_async.export.reuse import Carrying, Earlier
from kb4_async.export.run import Run
from kb4_async.export.step import Work, follow, write_account
from kb4_async.protocol.asks import Verify
from kb4_async.protocol.endpoints import PHISHING_CAMPAIGNS, SECURITY_TESTS
from kb4_async.protocol.page import Page
from kb4_async.records import Account
from kb4_async.reporting.base import check_verify
from kb4_async.reporting.client import ReportingClient
from kb4_async.runtime.observing import tell
from kb4_async.sinks import SinkFactory

#: Seconds after which a sleeper looks at the clocks again: one of them may have been set, or have
#: stood still while the machine slept.
NAP = 60.0


async def export_account(
    kb: ReportingClient,
    destination: str | os.PathLike[str],
    *,
    resources: Iterable[str] | None = None,
    members: Members = "fetched",
    verify: Verify = "tail",
    fresh: bool = False,
    on_event: Observer | None = None,
    sink: SinkFactory | None = None,
    wait: bool = False,
    reuse: str | os.PathLike[str] | None = None,
) -> ExportReport:
    """Export a whole account: one dataset a resource, and ``manifest.json``.

    All resources are read side by side; members begin as soon as their groups are known. One
    failing resource, or one failing group, does not stop the rest: the report and the manifest
    name it. Phishing campaigns and security tests are listed twice, for callback campaigns are only
    listed by themselves. Counts that the server gives are compared with what arrived.

    An export that was interrupted, by whatever, goes on where it was: call it again in the same
    way. What was committed is not asked again but for the last page of each listing that is open,
    which tells whether rows moved meanwhile; then the listing is read again, each record kept once.

    Args:
        kb: The account's client.
        destination: A folder of its own; made if it does not exist.
        resources: Names of resources; None for ``DEFAULT_RESOURCES``.
        members: ``fetched`` reads each group's members (one request or more a group); ``derived``
            takes them out of the users' own ``groups`` and fetches only groups whose number of
            members differs from ``member_count``.
        verify: ``tail`` looks at a page or two of each listing again, ``full`` reads every listing
            twice, ``none`` looks at nothing; the manifest says which.
        fresh: Replace an earlier export of the same account, also an unfinished one.
        on_event: Called with ``ExportProgress`` after each page; must return at once.
        sink: Makes the sink of each dataset; JSON lines in ``destination`` if left out. With one of
            your own, JSON lines are spooled there besides until the export is complete.
        wait: Where a daily quota is spent, sleep until it is free again and go on, day after day.
        reuse: An earlier export of the same account. The recipients of security tests that were
            closed then, and whose records are the same now, are carried over from it; the manifest
            names them.

    Returns:
        The report; ``report.complete`` is true, or its resources' ``gaps`` say what is missing.

    Raises:
        ConfigurationError: An unknown resource, or a destination that cannot be used. Nothing was
            touched.
        CheckpointMismatchError: The destination holds an unfinished export that was asked for in
            another way. Nothing was touched.
        SinkError: The destination failed so that not even the manifest could be written. What was
            committed before is kept, and the next call goes on there.
        AuthenticationError: The key is not known here. Nothing was touched.
        RateLimitError: The key is paused for too long, or its daily quota is spent, before the
            first answer. Nothing was touched.
        CancelledError: After everything that is whole was committed and the manifest written.

    Requests: one for the account and those of each listing. A call that goes on asks for the
    account, one page of each open listing, and what a killed run had fetched but not committed: it
    commits as often as costs a twentieth of its time, and every two seconds. Memory: as for the
    listings, plus about 200 bytes a group; a call that goes on keeps 60 bytes for each record of
    small open listings, and of those whose keys do not ascend.
    """
    names = choose_resources(resources, members)
    check_verify(verify)
    earlier = None if reuse is None else await asyncio.to_thread(Earlier, reuse)
    parameters = {
        "resources": list(names),
        "members": members,
        "verify": verify,
        "sink": "jsonl" if sink is None else getattr(sink, "__qualname__", type(sink).__qualname__),
    }
    made = -1
    while True:
        try:
            look = partial(inspect_destination, destination, parameters, fresh=fresh)
            found = await asyncio.to_thread(look)
            run = Run(kb, found.folder, parameters, sink, on_event)
            await export_once(run, found, earlier, fresh=fresh)
        except QuotaExhaustedError as error:  # before the first answer: nothing was touched
            if not wait:
                raise
            quota = error
        else:
            # A quota that does not even let a day's run get further would be waited for for ever.
            before, made = made, progress_of(run.report)
            if not wait or run.quota is None or made == before:
                return run.report
            quota, fresh = run.quota, False
        if on_event is not None:
            tell(on_event, ExportWaiting(os.fspath(destination), str(quota.resets_at)))
        await sleep(quota.retry_after or NAP)


def progress_of(report: ExportReport) -> int:
    """Grows with whatever an export gets done."""
    entries = report.resources.values()
    return report.rows + sum(sum(entry.end_reasons.values()) + entry.complete for entry in entries)


async def sleep(seconds: float) -> None:
    """Sleep so long, by the loop's clock or the calendar's, whichever is there first."""
    clock = asyncio.get_running_loop().time
    until, day = clock() + seconds, datetime.now(UTC) + timedelta(seconds=seconds)
    # A machine that sleeps wakes nobody, so the clocks are looked at.
    while (left := min(until - clock(), (day - datetime.now(UTC)).total_seconds())) > 0:  # noqa: ASYNC110
        await asyncio.sleep(min(left, NAP))


async def export_once(
    run: Run, found: Destination, earlier: Earlier | None, *, fresh: bool
) -> None:
    """Let an export come as far as it does in one run."""
    try:
        if earlier is not None:
            earlier.check_destination(found.folder)
        if is_claimed(found.folder):
            raise ConfigurationError(BUSY.format(found.folder))
        account = await run.read_account()
        fresh |= check_same_account(found, run.identity)
        if earlier is not None:
            earlier.check_account(run.identity)
        await run.claim(fresh=fresh)
        if run.observer is not None:
            replaces = found.manifest is not None and not run.resumes
            started = ExportStarted(str(found.folder), replaces=replaces, resumes=run.resumes)
            tell(run.observer, started)
        try:
            await run.all(assign(run, account, earlier))
        finally:
            await run.end()
    finally:
        await run.close()


def assign(run: Run, account: Page[Account] | KB4Error, earlier: Earlier | None) -> dict[str, Work]:
    """What each step does, once those that feed others are tied to them."""
    kb, verify, steps = run.kb, run.parameters["verify"], run.steps
    groups, users = board(run, "groups", group_of), board(run, "users", user_of)
    tests, counts = board(run, "security_tests", test_of), CampaignCounts()
    if "phishing_campaigns" in steps:
        steps["phishing_campaigns"].taps.append(counts.add)
        steps["phishing_campaigns"].at_end.append(counts.close)
    else:
        counts.close(whole=False)
    phishing = kb.phishing
    campaigns = [
        phishing.campaigns.listing(filters, verify=verify) for filters in PHISHING_CAMPAIGNS.passes
    ]
    security_tests = [
        phishing.security_tests.listing(filters, verify=verify) for filters in SECURITY_TESTS.passes
    ]
    carry = None
    if earlier is not None and "recipients" in run.names:
        carry = Carrying(earlier, steps["security_tests"]).run
    work: dict[str, Work] = {
        "account": partial(write_account, account),
        "users": partial(follow, [kb.users.list(verify=verify)]),
        "groups": partial(follow, [kb.groups.list(verify=verify)]),
        "members": partial(read_members, groups, verify),
        "enrollments": partial(follow, [kb.training.enrollments.list(verify=verify)]),
        "training_campaigns": partial(follow, [kb.training.campaigns.list(verify=verify)]),
        "phishing_campaigns": partial(follow, campaigns),
        "security_tests": partial(read_tests, security_tests, tests, counts),
        "recipients": partial(read_recipients, tests, counts, verify, carry),
        "store_purchases": partial(follow, [kb.training.store_purchases.list(verify=verify)]),
        "policies": partial(follow, [kb.training.policies.list(verify=verify)]),
        "account_risk_history": partial(follow, [kb.account.risk_history(verify=verify)]),
        "group_risk_history": partial(read_histories, groups, "groups", verify),
        "user_risk_history": partial(read_histories, users, "users", verify),
    }
    derived = run.parameters["members"] == "derived" and "members" in run.names
    if derived or "derived_members" in run.names:
        roll = Roll(steps["users"])
        if derived:
            work["members"] = partial(derive_members, groups, roll, verify)
        work["derived_members"] = partial(derive_all, groups if "groups" in steps else None, roll)
    return work


def board(run: Run, name: str, parent_of: ParentOf) -> Board:
    """A board that the step of that name fills, if anybody reads it."""
    board = Board(parent_of)
    step = run.steps.get(name)
    if step is not None and (name != "users" or "user_risk_history" in run.names):
        step.taps.append(board.add)  # users may be many
        step.at_end.append(board.close)
    return board
