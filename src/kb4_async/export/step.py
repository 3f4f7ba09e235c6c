"""One resource of an export under way: its writer, its report, and what becomes of its errors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from kb4_async.errors import KB4Error
from kb4_async.events import ExportProgress, Observer
from kb4_async.export.manifest import Difference, Gap, ResourceReport
from kb4_async.export.writer import DatasetWriter
from kb4_async.protocol.codec import Key, key_of
from kb4_async.protocol.page import Page, without
from kb4_async.records import Account
from kb4_async.reporting.client import ReportingClient
from kb4_async.runtime.engine import Tally
from kb4_async.runtime.listing import Listing
from kb4_async.runtime.observing import tell

log = logging.getLogger("kb4_async")


class Step:
    """One resource.

    Args:
        name: The resource.
        kb: The client.
        observer: Told how it stands.

    Attributes:
        report: What the manifest says of it.
        tally: Counts its requests.
        writer: Its dataset; None where the resource is only read for another's sake.
        requests_left: Requests still to come, as far as known.
        taps: Shown each page before it is written: others may need what it holds.
        at_end: Told that it has ended, and whether its listings came to a proven end.
    """

    def __init__(self, name: str, kb: ReportingClient, observer: Observer | None) -> None:
        self.name = name
        self.kb = kb
        self.observer = observer
        self.report = ResourceReport(name)
        self.tally = Tally()
        self.writer: DatasetWriter | None = None
        self.requests_left: int | None = None
        self.taps: list[Callable[[Page[Any]], Awaitable[None]]] = []
        self.at_end: list[Callable[[bool], None]] = []

    async def run(self, work: Work) -> None:
        """Do the work; an error becomes a gap of this resource and stops no other."""
        clock = asyncio.get_running_loop().time
        began = clock()
        whole = False
        try:
            if self.writer is not None:
                await self.writer.open()
            await work(self)
            whole = True
        except KB4Error as error:
            self.gap({}, error)
        except Exception as error:  # a defect ends its own resource, not the export
            log.exception("%s: a defect of kb4_async", self.name)
            message = f"{error}: this is a defect of kb4_async, please report it with the log."
            self.report.gaps.append(Gap({}, type(error).__name__, message))
        finally:
            for call in self.at_end:
                call(whole)
            self.report.seconds = clock() - began
            await self.finish(proven=whole and not self.report.gaps)

    async def finish(self, *, proven: bool) -> None:
        """Commit what is whole; only then may the resource call itself complete."""
        report, writer = self.report, self.writer
        try:
            if writer is not None:
                await writer.close(complete=proven)
        except KB4Error as error:
            self.gap({}, error)
            proven = False
        finally:
            report.requests, report.repairs = self.tally.requests, self.tally.repairs
            if writer is not None:
                report.rows, report.pages = writer.rows, writer.pages
                report.output = writer.position
        report.complete = proven
        self.requests_left = 0 if proven else None
        self.tell("complete" if proven else "incomplete")

    async def write(self, page: Page[Any], requests_left: int | None) -> None:
        """Write a page, or note what an end page proves."""
        report = self.report
        self.requests_left = requests_left
        if page.end_reason is not None:
            self.proven_by(page.end_reason)
            return
        for tap in self.taps:
            await tap(page)
        if self.writer is not None:
            await self.writer.write(page)
            report.rows, report.pages = self.writer.rows, self.writer.pages
        self.tell("running")

    def proven_by(self, reason: str) -> None:
        """Count what proved the end of a listing."""
        self.report.end_reasons[reason] = self.report.end_reasons.get(reason, 0) + 1

    def compare(self, scope: Mapping[str, object], counted: int, arrived: int) -> None:
        """Note a count of the server that differs from what arrived; fewer is a gap."""
        if counted == arrived:
            return
        self.report.differences.append(Difference(scope, counted, arrived))
        if arrived < counted:
            message = (
                f"The server counts {counted}, but the listing ended with proof after {arrived}. "
                "It hides some, or its count is wrong: compare in the console."
            )
            self.report.gaps.append(Gap(scope, "CountMismatch", message))

    def gap(self, scope: Mapping[str, object], error: KB4Error) -> None:
        """Name what could not be had."""
        self.report.gaps.append(Gap(scope, type(error).__name__, str(error)))

    def tell(self, state: str) -> None:
        """Tell the observer how the resource stands."""
        if self.observer is None or self.writer is None:
            return
        report = self.report
        tell(
            self.observer,
            ExportProgress(
                resource=self.name,
                state=state,
                rows=report.rows,
                pages=report.pages,
                requests=self.tally.requests,
                requests_left=self.requests_left,
                detail=report.gaps[0].message if report.gaps else "",
            ),
        )


#: What a step does.
Work = Callable[[Step], Awaitable[None]]


async def follow(listings: Sequence[Listing[Any]], step: Step) -> None:
    """Write listings one after another, page by page, without decoding them.

    Of several, each record is written once: a server that ignores the filter they differ in lists
    the same records again.
    """
    known: set[Key] = set()
    for number, listing in enumerate(listings):
        others = len(listings) - number - 1
        async with aclosing(listing.pages(form="raw", tally=step.tally)) as pages:
            async for each in pages:
                page = without(each, known) if number else each
                if not len(page) and page.end_reason is None:
                    continue
                left = pages.requests_left()
                await step.write(page, None if left is None else left + others)
                if others:
                    keys = page.endpoint.keys
                    known.update(key_of(item, keys) for item in page.items)


async def write_account(account: Page[Account] | KB4Error, step: Step) -> None:
    """Write the account, which was read before the destination was claimed."""
    if isinstance(account, KB4Error):
        raise account
    await step.write(account, 0)
    step.proven_by("count_met")
