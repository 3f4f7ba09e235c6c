"""One run of an export: what is read, by whom it is written, and how far it comes."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from kb4_async.errors import (
    AuthenticationError,
    KB4Error,
    QuotaExhaustedError,
    RateLimitError,
    SinkError,
)
from kb4_async.events import Observer
from kb4_async.export.checkpoint import Checkpoint, reading
from kb4_async.export.destination import (
    SPOOL,
    Claim,
    Destination,
    claim_destination,
    remove_earlier,
    remove_spool,
)
from kb4_async.export.manifest import ExportReport, ExportRun, Gap
from kb4_async.export.resources import needed
from kb4_async.export.step import Step, Work
from kb4_async.export.units import Progress
from kb4_async.export.writer import COMMIT_SECONDS, DatasetWriter, Worker
from kb4_async.options import DAY
from kb4_async.protocol import codec
from kb4_async.protocol.endpoints import ENDPOINTS, MEMBERS
from kb4_async.protocol.page import Page
from kb4_async.records import Account
from kb4_async.reporting.client import ReportingClient
from kb4_async.runtime.engine import Tally
from kb4_async.sinks import JsonLinesSink, SinkFactory
from kb4_async.sinks.jsonlines import sync_folder


class Run:
    """One run of an export.

    Args:
        kb: The client.
        folder: The destination.
        parameters: What was asked for, as the manifest says it.
        sink: Makes the sinks; None for JSON lines.
        observer: Told how each resource stands.

    Attributes:
        steps: What is read, by resource: also what others are read by.
        report: What the manifest says.
        resumes: It goes on with what an earlier run left.
    """

    def __init__(
        self,
        kb: ReportingClient,
        folder: Path,
        parameters: dict[str, Any],
        sink: SinkFactory | None,
        observer: Observer | None,
    ) -> None:
        self.kb = kb
        self.folder = folder
        self.names: tuple[str, ...] = tuple(parameters["resources"])
        self.parameters = parameters
        self.sink = sink
        self.observer = observer
        self.worker = Worker()
        self.lock = Claim()
        self.checkpoint = Checkpoint(folder)
        self.account_tally = Tally()
        self.steps: dict[str, Step] = {}
        self.resumes = False
        self.identity: dict[str, Any] = {
            "name": None,
            "domains": None,
            "origin": kb.address.origin,
            "region": kb.address.region,
        }
        self.clock = asyncio.get_running_loop().time
        self.began = self.clock()
        self.started = now()
        self.earlier: dict[str, Any] = {"runs": [], "other_requests": 0, "seconds": 0.0}

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

    # -- beginning --------------------------------------------------------------------------------

    async def claim(self, *, fresh: bool) -> None:
        """Take the destination: from now on its manifest says that it is incomplete.

        Raises:
            ConfigurationError: It cannot be had, and was left as it is.
            CheckpointMismatchError: The same.
        """
        saved = await self.worker.run(partial(self.take, fresh=fresh))
        for name in needed(self.names):
            progress = saved.get(name) or Progress(name)
            self.steps[name] = self.step(name, progress)
        if "account" in self.steps:
            self.steps["account"].tally = self.account_tally
        self.report.resources = {name: self.steps[name].report for name in self.names}
        await self.worker.run(self.announce)

    def take(self, *, fresh: bool) -> dict[str, Progress]:
        """Take the destination and read how far it is; in the worker thread."""
        found = claim_destination(self.folder, self.parameters, self.lock, fresh=fresh)
        self.resumes = found.facts is not None and not fresh
        if self.resumes:
            self.checkpoint.resume()
            with reading(self.checkpoint.path):
                self.go_on(found)
            saved = self.checkpoint.load()
        else:
            self.begin(found)
            saved = {}
        return saved

    def begin(self, found: Destination) -> None:
        """Begin an export, in place of whatever is there."""
        self.report = ExportReport(
            destination=found.folder,
            account=self.identity,
            parameters=self.parameters,
            resources={},
            started=self.started,
            id=str(uuid.uuid4()),
        )
        self.checkpoint.create(
            {
                "id": self.report.id,
                "account": self.identity,
                "parameters": self.parameters,
                "started": self.started,
                **self.facts(),
            }
        )
        remove_earlier(found, self.names)

    def go_on(self, found: Destination) -> None:
        """Go on with the export that is there."""
        facts = found.facts or {}
        self.earlier = {name: facts[name] for name in self.earlier}
        self.earlier["runs"] = [codec.to_plain(ExportRun(**run)) for run in facts["runs"]]
        # What could not be learned of the account by then is known now, perhaps.
        account = {**facts["account"], **{k: v for k, v in self.identity.items() if v is not None}}
        self.report = ExportReport(
            destination=found.folder,
            account=account,
            parameters=self.parameters,
            resources={},
            started=facts["started"],
            id=facts["id"],
        )
        # Nothing else of what was learned of the server: that it showed cursors proves an end only
        # to the client it showed them to.
        self.kb.source.habits.sizes.update(facts["sizes"])
        self.checkpoint.note({"account": account, **self.facts()})

    def announce(self) -> None:
        """Write the manifest of an export that is under way."""
        self.sum_up()
        for folder in {step.spool.parent for step in self.steps.values()}:
            folder.mkdir(mode=0o700, exist_ok=True)
        self.report.write()

    def step(self, name: str, progress: Progress) -> Step:
        """One resource with its sinks; the last of them can be read back."""
        chosen = name in self.names
        spool = self.folder if chosen and self.sink is None else self.folder / SPOOL
        factories: list[SinkFactory] = [partial(JsonLinesSink, spool)]
        if chosen and self.sink is not None:
            factories.insert(0, self.sink)
        return Step(
            MEMBERS if name == "derived_members" else ENDPOINTS[name],
            self.kb,
            self.observer if chosen else None,
            DatasetWriter(self.worker, factories, progress, self.checkpoint, self.facts),
            spool / f"{name}.jsonl",
        )

    # -- working ----------------------------------------------------------------------------------

    async def all(self, work: Mapping[str, Work]) -> None:
        """Read every resource side by side, and commit what was read every other second.

        On a daily quota they are read one after another, parents first: what is open when the
        quota is spent has to be looked at again the next day, so it had better be little.
        """
        daily = any(each.window.seconds == DAY for each in self.kb.rate_status().held)
        try:
            async with asyncio.TaskGroup() as outer:
                beat = outer.create_task(self.beat(), name="kb4 export commits")
                async with asyncio.TaskGroup() as tasks:
                    for name, step in self.steps.items():
                        task = tasks.create_task(step.run(work[name]), name=f"kb4 export {name}")
                        if daily:
                            await asyncio.wait([task])
                beat.cancel()
        except BaseExceptionGroup as group:
            error: BaseException = group  # a defect; what was whole is committed
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            raise error from None

    async def beat(self) -> None:
        """Commit now and then: a slow server must not keep what it gave from being committed."""
        while True:
            await asyncio.sleep(COMMIT_SECONDS)
            for step in self.steps.values():
                with suppress(KB4Error):  # the step meets it itself, at its next page
                    await step.writer.commit()

    def facts(self) -> dict[str, Any]:
        """What is kept of the export with each commit."""
        return {
            "sizes": dict(self.kb.source.habits.sizes),
            "resume_at": None,
            "other_requests": self.other_requests(),
            "seconds": self.seconds(),
            "runs": [*self.earlier["runs"], codec.to_plain(self.this_run())],
        }

    def other_requests(self) -> int:
        """Attempts for the account alone, where it is not among the resources."""
        return int(self.earlier["other_requests"]) + (
            0 if "account" in self.steps else self.account_tally.requests
        )

    def seconds(self) -> float:
        """Time that this run and the ones before it took."""
        return float(self.earlier["seconds"]) + self.clock() - self.began

    def this_run(self, finished: str | None = None) -> ExportRun:
        """What there is to say of this run."""
        requests = sum(step.tally.requests for step in self.steps.values())
        others = 0 if "account" in self.steps else self.account_tally.requests
        return ExportRun(self.started, finished, requests + others)

    # -- ending -----------------------------------------------------------------------------------

    async def end(self) -> None:
        """Say in the manifest how it ended."""
        report = self.report
        for entry in report.resources.values():
            if not entry.complete and not entry.gaps:
                message = "The export was interrupted before this resource was complete."
                entry.gaps.append(Gap({}, "Interrupted", message))
        report.finished = now()
        report.resume_at = None if self.quota is None else self.quota.resets_at
        self.sum_up()
        await self.worker.run(self.conclude)

    @property
    def quota(self) -> QuotaExhaustedError | None:
        """The spent quota that ended it, if one did: the one that is free again last."""
        spent = [step.quota for step in self.steps.values() if step.quota is not None]
        return max(spent, key=lambda error: error.retry_after or 0.0, default=None)

    def sum_up(self) -> None:
        """Add up what the report says of all resources together."""
        report = self.report
        others = [step for name, step in self.steps.items() if name not in self.names]
        report.other_requests = self.other_requests() + sum(s.report.requests for s in others)
        report.seconds = self.seconds()
        before = [ExportRun(**each) for each in self.earlier["runs"]]
        report.runs = [*before, self.this_run(report.finished)]

    def conclude(self) -> None:
        """Write the manifest; what is only kept for the next run goes if there is none."""
        report = self.report
        if not self.lock.stands():
            msg = (
                f"{report.destination} was removed or replaced while it was written: run the same "
                "command again."
            )
            raise SinkError(msg)
        try:
            report.write()
        except OSError as error:
            msg = (
                f"{report.destination}: the manifest cannot be written ({error.strerror}): free "
                "space or mend the destination, then run the same command again."
            )
            raise SinkError(msg) from error
        if report.complete:
            # A power cut must not take the manifest that says so and leave the removal.
            sync_folder(report.destination)
            self.checkpoint.remove()
            remove_spool(report.destination)
        else:
            facts = {**self.facts(), "resume_at": report.resume_at}
            facts["runs"][-1] = codec.to_plain(self.this_run(report.finished))
            self.checkpoint.note(facts)

    async def close(self) -> None:
        """Let go of everything, however it ended."""
        try:
            await self.worker.run(self.checkpoint.close)
        finally:
            self.lock.release()
            self.worker.close()


def now() -> str:
    """The present time in UTC, ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
