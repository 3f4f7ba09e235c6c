"""``export_account``: all resources side by side under one limiter."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from kb4_async.errors import AuthenticationError, KB4Error, RateLimitError, SinkError
from kb4_async.events import ExportStarted, Observer
from kb4_async.export.children import (
    read_histories,
    read_members,
    read_recipients,
    read_tests,
)
from kb4_async.export.destination import (
    Claim,
    check_same_account,
    inspect_destination,
    prepare_destination,
)
from kb4_async.export.manifest import ExportReport, Gap
from kb4_async.export.membership import Derivation, UserSpool, derive_members
from kb4_async.export.parents import Board, CampaignCounts, ParentOf, group_of, test_of, user_of
from kb4_async.export.resources import Members, choose_resources, needed
from kb4_async.export.step import Step, Work, follow, write_account
from kb4_async.export.writer import DatasetWriter, Worker
from kb4_async.protocol.asks import Verify
from kb4_async.protocol.endpoints import PHISHING_CAMPAIGNS, SECURITY_TESTS
from kb4_async.protocol.page import Page
from kb4_async.records import Account
from kb4_async.reporting.base import check_verify
from kb4_async.reporting.client import ReportingClient
from kb4_async.runtime.engine import Tally
from kb4_async.runtime.observing import tell
from kb4_async.sinks import JsonLinesSink, SinkFactory


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
) -> ExportReport:
    """Export a whole account: one dataset a resource, and ``manifest.json``.

    All resources are read side by side; members begin as soon as their groups are known. One
    failing resource, or one failing group, does not stop the rest: the report and the manifest
    name it. Phishing campaigns and security tests are listed twice, for callback campaigns are only
    listed by themselves. Counts that the server gives are compared with what arrived.

    Args:
        kb: The account's client.
        destination: A folder of its own; made if it does not exist.
        resources: Names of resources; None for ``DEFAULT_RESOURCES``.
        members: ``fetched`` reads each group's members (one request or more a group); ``derived``
            takes them out of the users' own ``groups`` and fetches only groups whose number of
            members differs from ``member_count``.
        verify: ``tail`` looks at a page or two of each listing again, ``full`` reads every listing
            twice, ``none`` looks at nothing; the manifest says which.
        fresh: Replace an earlier export of the same account.
        on_event: Called with ``ExportProgress`` after each page; must return at once.
        sink: Makes the sink of each dataset; JSON lines in ``destination`` if left out.

    Returns:
        The report; ``report.complete`` is true, or its resources' ``gaps`` say what is missing.

    Raises:
        ConfigurationError: An unknown resource, or a destination that cannot be used. Nothing was
            touched.
        AuthenticationError: The key is not known here. Nothing was touched.
        RateLimitError: The key is paused for too long, or its daily quota is spent, before the
            first answer. Nothing was touched.
        CancelledError: After everything that is whole was committed and the manifest written.

    Requests: one for the account and those of each listing. Memory: as for the listings, plus about
    200 bytes a group.
    """
    names = choose_resources(resources, members)
    check_verify(verify)
    folder, earlier = await asyncio.to_thread(inspect_destination, destination, names, fresh=fresh)
    run = Run(kb, names, members, verify, on_event)
    try:
        account = await run.read_account()
        check_same_account(folder, earlier, run.identity)
        await run.claim(folder, fresh=fresh)
        if on_event is not None:
            tell(on_event, ExportStarted(str(folder), replaces=earlier is not None))
        try:
            await run.all(account, sink or partial(JsonLinesSink, folder))
        finally:
            await run.end()
    finally:
        run.lock.release()
        run.worker.close()
    return run.report


class Run:
    """One export under way.

    Args:
        kb: The client.
        names: Resources to write.
        members: How members are had.
        verify: How movement is looked for.
        observer: Told how each resource stands.
    """

    def __init__(
        self,
        kb: ReportingClient,
        names: tuple[str, ...],
        members: Members,
        verify: Verify,
        observer: Observer | None,
    ) -> None:
        self.kb = kb
        self.names = names
        self.members = members
        self.verify = verify
        self.worker = Worker()
        self.lock = Claim()
        # What others are read by is read too, written or not.
        self.steps = {name: Step(name, kb, observer) for name in needed(names)}
        account = self.steps.get("account")
        self.account_tally = account.tally if account else Tally()
        self.identity: dict[str, Any] = {
            "name": None,
            "domains": None,
            "origin": kb.address.origin,
            "region": kb.address.region,
        }
        self.began = asyncio.get_running_loop().time()
        self.started = now()

    async def read_account(self) -> Page[Account] | KB4Error:
        """Learn whose account it is, before anything is touched."""
        try:
            page = await self.kb.account.page(self.account_tally)
        except (AuthenticationError, RateLimitError):
            raise  # nothing else may be had either: what an earlier run wrote is left alone
        except KB4Error as error:
            return error  # without this one resource the rest may still be had
        self.identity["name"] = page.items[0].get("name")
        self.identity["domains"] = page.items[0].get("domains")
        return page

    async def claim(self, folder: Path, *, fresh: bool) -> None:
        """Take the destination: from now on its manifest says that it is incomplete."""
        self.report = ExportReport(
            destination=folder,
            account=self.identity,
            parameters={
                "resources": list(self.names),
                "members": self.members,
                "verify": self.verify,
            },
            resources={name: self.steps[name].report for name in self.names},
            started=self.started,
        )
        prepare = partial(prepare_destination, folder, self.report, self.lock, fresh=fresh)
        await self.worker.run(prepare)

    async def all(self, account: Page[Account] | KB4Error, factory: SinkFactory) -> None:
        """Read every resource side by side."""
        work = self.work(account)
        try:
            async with asyncio.TaskGroup() as tasks:
                for name, step in self.steps.items():
                    if name in self.names:
                        step.writer = DatasetWriter(self.worker, factory, name)
                    tasks.create_task(step.run(work[name]), name=f"kb4 export {name}")
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None  # a defect; what was whole is committed

    def work(self, account: Page[Account] | KB4Error) -> dict[str, Work]:
        """What each step does, once those that feed others are tied to them."""
        kb, verify = self.kb, self.verify
        groups, users = self.board("groups", group_of), self.board("users", user_of)
        tests, counts = self.board("security_tests", test_of), CampaignCounts()
        if "phishing_campaigns" in self.steps:
            self.tie("phishing_campaigns", counts.add, counts.close)
        else:
            counts.close(whole=False)
        phishing = kb.phishing
        campaigns = [
            phishing.campaigns.listing(filters, verify=verify)
            for filters in PHISHING_CAMPAIGNS.passes
        ]
        security_tests = [
            phishing.security_tests.listing(filters, verify=verify)
            for filters in SECURITY_TESTS.passes
        ]
        of_group = partial(kb.groups.risk_history, verify=verify)
        of_user = partial(kb.users.risk_history, verify=verify)
        work: dict[str, Work] = {
            "account": partial(write_account, account),
            "users": partial(follow, [kb.users.list(verify=verify)]),
            "groups": partial(follow, [kb.groups.list(verify=verify)]),
            "members": partial(read_members, groups, verify),
            "enrollments": partial(follow, [kb.training.enrollments.list(verify=verify)]),
            "training_campaigns": partial(follow, [kb.training.campaigns.list(verify=verify)]),
            "phishing_campaigns": partial(follow, campaigns),
            "security_tests": partial(read_tests, security_tests, tests, counts),
            "recipients": partial(read_recipients, tests, counts, verify),
            "store_purchases": partial(follow, [kb.training.store_purchases.list(verify=verify)]),
            "policies": partial(follow, [kb.training.policies.list(verify=verify)]),
            "account_risk_history": partial(follow, [kb.account.risk_history(verify=verify)]),
            "group_risk_history": partial(read_histories, groups, of_group, "groups"),
            "user_risk_history": partial(read_histories, users, of_user, "users"),
        }
        if "members" in self.names and self.members == "derived":
            spool = UserSpool(self.worker)
            self.tie("users", spool.add, spool.close_list)
            work["members"] = partial(derive_members, groups, spool, verify)
        if "derived_members" in self.names:
            known = groups if "groups" in self.steps else None
            derivation = Derivation(self.steps["derived_members"], known)
            self.tie("users", derivation.add, derivation.close)
            work["derived_members"] = derivation.run
        return work

    def board(self, name: str, parent_of: ParentOf) -> Board:
        """A board that the step of that name fills, if anybody reads it."""
        board = Board(parent_of)
        if name in self.steps and (name != "users" or "user_risk_history" in self.names):
            self.tie(name, board.add, board.close)  # users may be many
        return board

    def tie(
        self,
        name: str,
        tap: Callable[[Page[Any]], Awaitable[None]],
        end: Callable[[bool], None],
    ) -> None:
        """Show a step's pages, and its end, to whoever derives from them."""
        self.steps[name].taps.append(tap)
        self.steps[name].at_end.append(end)

    async def end(self) -> None:
        """Say in the manifest how it ended."""
        for report in self.report.resources.values():
            if not report.complete and not report.gaps:
                message = "The export was interrupted before this resource was complete."
                report.gaps.append(Gap({}, "Interrupted", message))
        others = [step for name, step in self.steps.items() if name not in self.names]
        self.report.other_requests = sum(step.tally.requests for step in others)
        if "account" not in self.steps:
            self.report.other_requests += self.account_tally.requests
        self.report.finished = now()
        self.report.seconds = asyncio.get_running_loop().time() - self.began
        try:
            await self.worker.run(self.report.write)
        except OSError as error:
            msg = f"{self.report.destination}: the manifest cannot be written ({error.strerror})."
            raise SinkError(msg) from error


def now() -> str:
    """The present time in UTC, ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
