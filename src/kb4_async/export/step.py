"""One resource of an export under way: its writer, its report, and what becomes of its errors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from kb4_async.errors import (
    IncompleteListingError,
    KB4Error,
    QuotaExhaustedError,
    SinkError,
)
from kb4_async.events import Observer
from kb4_async.export.events import ExportProgress
from kb4_async.export.manifest import Difference, Gap, ResourceReport
from kb4_async.export.recall import Recollection, needed_units, recall
from kb4_async.export.units import Progress, Unit, pass_key, scope_key
from kb4_async.export.writer import DatasetWriter
from kb4_async.protocol.codec import Key, key_of
from kb4_async.protocol.endpoints import Endpoint
from kb4_async.protocol.page import Page, without
from kb4_async.records import Account
from kb4_async.reporting.client import ReportingClient
from kb4_async.runtime.engine import Tally
from kb4_async.runtime.listing import Listing, continued
from kb4_async.runtime.observing import tell
from kb4_async.runtime.source import Known

log = logging.getLogger("kb4_async")


class Step:
    """One resource.

    Args:
        endpoint: Its row of the endpoint table.
        kb: The client.
        observer: Told how it stands; None where the resource is only read for another's sake.
        writer: Its dataset, and how far that is.
        spool: Where its records stand as JSON lines.

    Attributes:
        report: What the manifest says of it.
        tally: Counts this run's requests.
        requests_left: Requests still to come, as far as known.
        quota: The spent quota that ended it, if one did.
        taps: Shown each page before it is written: others may need what it holds.
        at_end: Told that it has ended, and whether its listings came to a proven end.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        kb: ReportingClient,
        observer: Observer | None,
        writer: DatasetWriter,
        spool: Path,
    ) -> None:
        progress = writer.progress
        self.name = progress.name
        self.endpoint = endpoint
        self.kb = kb
        self.observer = observer
        self.progress = progress
        self.writer = writer
        self.spool = spool
        self.report = report_of(progress)
        self.tally = Tally()
        self.before = progress.requests, progress.repairs, progress.seconds
        self.known: dict[str, Known] = {}
        self.requests_left: int | None = None
        self.quota: QuotaExhaustedError | None = None
        self.taps: list[Callable[[Page[Any]], Awaitable[None]]] = []
        self.at_end: list[Callable[[bool], None]] = []

    async def run(self, work: Work) -> None:
        """Do the work; an error becomes a gap of this resource and stops no other."""
        clock = asyncio.get_running_loop().time
        began = clock()
        whole = False
        try:
            await self.writer.open()
            await self.recall()
            if not self.report.complete:
                await work(self)
            whole = True
        except KB4Error as error:
            await self.failed(error)
        except Exception as error:  # a defect ends its own resource, not the export
            log.exception("%s: a defect of kb4_async", self.name)
            message = f"{error}: this is a defect of kb4_async, please report it with the log."
            self.report.gaps.append(Gap({}, type(error).__name__, message))
        finally:
            self.progress.seconds = self.before[2] + clock() - began
            try:
                await self.finish(proven=whole and not self.report.gaps)
            finally:
                for call in self.at_end:
                    call(whole)

    async def recall(self) -> None:
        """Show what was committed in earlier runs to whoever needs it, as if it had just come."""
        worker, progress = self.writer.worker, self.progress
        units = [] if self.report.complete else needed_units(progress, self.endpoint)
        if not progress.rows or not (self.taps or units):
            return
        recollection = Recollection(units, self.endpoint)
        pages = recall(self.spool, self.endpoint, progress)
        while (page := await worker.run(lambda: next(pages, None))) is not None:
            for tap in self.taps:
                await tap(page)
            if units:
                recollection.add(page)
        self.known = recollection.known()

    async def finish(self, *, proven: bool) -> None:
        """Commit what is whole; only then may the resource call itself complete."""
        try:
            self.refresh(complete=proven)
            await self.writer.close(complete=proven)
        except KB4Error as error:
            self.gap({}, error)
            proven = False
        finally:
            self.refresh(complete=proven)
        self.requests_left = 0 if proven else None
        self.tell("complete" if proven else "incomplete")

    def refresh(self, *, complete: bool) -> None:
        """Say in the report, and in what is kept, how far the resource is."""
        report, progress = self.report, self.progress
        progress.requests = self.before[0] + self.tally.requests
        progress.repairs = self.before[1] + self.tally.repairs
        report.requests, report.repairs = progress.requests, progress.repairs
        report.rows, report.pages = progress.rows, progress.pages
        report.seconds = progress.seconds
        if not report.complete:
            report.end_reasons, report.reused = progress.end_reasons, progress.reused
        report.output = (progress.positions[0] if progress.positions else None) or {}
        report.complete = complete
        progress.report = report.to_keep() if complete else None

    # -- units ------------------------------------------------------------------------------------

    def child(self, parent_id: object) -> Unit:
        """The unit of one parent's listing."""
        assert self.endpoint.parent is not None  # noqa: S101  # only children have parents
        return self.progress.unit(scope_key({self.endpoint.parent: parent_id}))

    def resumed(self, listing: Listing[Any], unit: Unit) -> Listing[Any]:
        """The listing of a unit, from where an earlier run left it."""
        start = None if unit.again else unit.token
        return continued(listing, start, self.known.get(unit.key))

    async def write(self, page: Page[Any], unit: Unit, requests_left: int | None) -> None:
        """Write a page of a unit."""
        self.requests_left = requests_left
        for tap in self.taps:
            await tap(page)
        await self.writer.write(page, unit)
        self.tell("running")

    async def end(self, unit: Unit, reason: str, counted: int | None = None) -> None:
        """Note what proved a unit's end, and compare it with what the server counts.

        Fewer than counted leaves the unit open: the next run reads it again.
        """
        short = counted is not None and unit.rows < counted
        if counted is not None:
            self.compare(unit.scope, counted, unit.rows)
        await self.writer.end(unit, reason, counted=counted, again=short)

    async def failed(self, error: KB4Error, unit: Unit | None = None) -> None:
        """Name what could not be had, and where the next run begins.

        Args:
            error: Why.
            unit: What; None for everything that is left.
        """
        self.gap({} if unit is None else unit.scope, error)
        if isinstance(error, IncompleteListingError):
            # Gone on with where it stood, what went wrong before might not be seen again.
            left = [each for each in self.progress.units.values() if not each.closed]
            await self.reread([unit] if unit else left)
        elif unit is not None:
            await self.stopped(error, unit)

    async def stopped(self, error: KB4Error, unit: Unit) -> None:
        """Keep where a unit goes on that ended early."""
        if error.resume_token is not None and not unit.again:
            try:
                await self.writer.stopped(unit, error.resume_token)
            except KB4Error as other:
                self.gap({}, other)

    async def reread(self, units: Sequence[Unit]) -> None:
        """Let the next run read units from their beginning; what they hold stays written."""
        try:
            await self.writer.reread(units)
        except KB4Error as error:
            self.gap({}, error)

    def compare(self, scope: Mapping[str, object], counted: int, arrived: int) -> bool:
        """Note a count of the server that differs from what arrived; fewer is a gap.

        Returns:
            Whether it is a gap.
        """
        if counted == arrived:
            return False
        self.report.differences.append(Difference(scope, counted, arrived))
        if arrived > counted:
            return False
        message = (
            f"The server counts {counted}, but the listing ended with proof after {arrived}. "
            "It hides some, or its count is wrong: compare in the console."
        )
        self.report.gaps.append(Gap(scope, "CountMismatch", message))
        return True

    def gap(self, scope: Mapping[str, object], error: KB4Error) -> None:
        """Name what could not be had."""
        if isinstance(error, QuotaExhaustedError):
            self.quota = error
        self.report.gaps.append(Gap(scope, type(error).__name__, str(error)))

    def tell(self, state: str) -> None:
        """Tell the observer how the resource stands."""
        if self.observer is None:
            return
        report, progress = self.report, self.progress
        tell(
            self.observer,
            ExportProgress(
                resource=self.name,
                state=state,
                rows=progress.rows,
                pages=progress.pages,
                requests=self.before[0] + self.tally.requests,
                requests_left=self.requests_left,
                detail=report.gaps[0].message if report.gaps else "",
            ),
        )


def report_of(progress: Progress) -> ResourceReport:
    """What earlier runs have to say of a resource."""
    if progress.report is not None:
        return ResourceReport.kept(progress.name, progress.report)
    differing = ((unit.scope, unit.counted or 0, unit.rows) for unit in progress.differing())
    return ResourceReport(progress.name, differences=[Difference(*each) for each in differing])


#: What a step does.
Work = Callable[[Step], Awaitable[None]]


async def follow(listings: Sequence[Listing[Any]], step: Step) -> None:
    """Write listings one after another, page by page, without decoding them.

    Of several, each record is written once: a server that ignores the filter they differ in lists
    the same records again.
    """
    earlier = step.known.get(pass_key(0))
    known: set[Key] = set() if earlier is None else set(earlier.keys)
    for number, listing in enumerate(listings):
        unit, others = step.progress.unit(pass_key(number)), len(listings) - number - 1
        if unit.closed:
            continue
        rest = step.resumed(listing, unit)
        async with aclosing(rest.pages(form="raw", tally=step.tally)) as pages:
            try:
                async for each in pages:
                    if each.end_reason is not None:
                        await step.end(unit, each.end_reason)
                        continue
                    page = without(each, known) if number else each
                    if not len(page):
                        continue
                    left = pages.requests_left()
                    await step.write(page, unit, None if left is None else left + others)
                    if others:
                        keys = page.endpoint.keys
                        known.update(key_of(item, keys) for item in page.items)
            except KB4Error as error:
                if not isinstance(error, IncompleteListingError | SinkError):
                    await step.stopped(error, unit)
                raise


async def write_account(account: Page[Account] | KB4Error, step: Step) -> None:
    """Write the account, which was read before the destination was claimed."""
    if isinstance(account, KB4Error):
        raise account
    unit = step.progress.unit(pass_key(0))
    if not unit.rows:
        await step.write(account, unit, 0)
    await step.end(unit, "count_met")
