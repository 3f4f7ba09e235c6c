"""What a person sees of an export: bars on a terminal, plain lines otherwise; a table at the
end."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

import kb4_async
from kb4_async.cli.running import happened_to_key, local

STATES = {"complete": "[green]complete[/]", "incomplete": "[red]incomplete[/]"}


class StderrConsole(Console):
    """A console on stderr; rich's own would end the process when nobody reads it any more."""

    def __init__(self, width: int | None = None) -> None:
        super().__init__(stderr=True, width=width)

    def on_broken_pipe(self) -> None:
        """Leave it to whoever prints."""
        raise BrokenPipeError


class LiveView:
    """What both views share: bars on stderr while something runs, and lines above them.

    Args:
        columns: What stands beside each bar.
        quiet: Show nothing while it runs.
    """

    def __init__(self, *columns: ProgressColumn, quiet: bool) -> None:
        self.console = StderrConsole()
        self.quiet = quiet
        self.live = self.console.is_terminal and not quiet
        self.progress = Progress(*columns, console=self.console, disable=not self.live)

    def __enter__(self) -> Self:
        """Begin to show."""
        self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop showing."""
        self.progress.stop()

    def say(self, text: str, *, always: bool = False) -> None:
        """Print a line above the bars; ``always`` also where no progress is shown."""
        if self.quiet and not always:
            return
        try:
            self.console.print(text.strip(), markup=False, highlight=False, soft_wrap=True)
        except OSError:  # nobody reads stderr any more
            self.quiet = True


class ExportView(LiveView):
    """Shows an export's progress on stderr.

    Args:
        resources: Names in the order they are shown.
        quiet: Show nothing while it runs.
    """

    def __init__(self, resources: Iterable[str], *, quiet: bool = False) -> None:
        super().__init__(
            TextColumn("{task.description:<20}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[rows]:>9,} rows {task.fields[pages]:>5} pages"),
            TextColumn("{task.fields[left]:>12}"),
            TimeRemainingColumn(compact=True),
            quiet=quiet,
        )
        self.bars: dict[str, TaskID] = {
            name: self.progress.add_task(name, total=None, rows=0, pages=0, left="")
            for name in resources
        }

    def __call__(self, event: kb4_async.Event) -> None:
        """Take in an event of the client or the export."""
        if isinstance(event, kb4_async.ExportProgress):
            self.advance(event)
        elif isinstance(event, kb4_async.ExportStarted):
            if event.resumes:
                self.say(f"{event.destination} holds an unfinished export; it goes on.")
            elif event.replaces:
                self.say(f"{event.destination} holds an earlier export; it is begun again.")
        elif isinstance(event, kb4_async.ExportWaiting):
            self.say(f"The daily quota is spent; going on at {local(event.until)}.")
        elif isinstance(event, kb4_async.RetryScheduled):
            self.say(f"{event.path}: trying again in {event.delay:.1f} s ({event.reason})")
        elif isinstance(event, kb4_async.ListingRepaired):
            self.say(f"{event.resource}: records moved meanwhile; reading it again")
        elif (words := happened_to_key(event)) is not None:
            self.say(words, always=isinstance(event, kb4_async.LedgerUnavailable))

    def advance(self, event: kb4_async.ExportProgress) -> None:
        """Move one bar, or print one line when a resource has ended."""
        ended = event.state in STATES
        if not self.live:
            if ended:
                self.say(f"{event.resource}: {event.rows:,} rows, {event.state}. {event.detail}")
            return
        left = event.requests_left
        self.progress.update(
            self.bars[event.resource],
            completed=event.requests,
            total=None if left is None and not ended else event.requests + (left or 0),
            rows=event.rows,
            pages=event.pages,
            left=event.state if ended else "" if left is None else f"{left} left",
        )


def summary(report: kb4_async.ExportReport) -> Table:
    """The table at the end of an export."""
    table = Table(title=f"Export of {report.account['name'] or 'the account'}")
    table.add_column("resource")
    for name in ("rows", "requests", "seconds"):
        table.add_column(name, justify="right")
    table.add_column("state")
    table.add_column("proof")
    for name, entry in report.resources.items():
        proof = ", ".join(f"{reason} x{n}" for reason, n in entry.end_reasons.items())
        state = STATES["complete" if entry.complete else "incomplete"]
        table.add_row(
            name, f"{entry.rows:,}", str(entry.requests), f"{entry.seconds:.1f}", state, proof
        )
    table.add_section()
    table.add_row("all", f"{report.rows:,}", str(report.requests), f"{report.seconds:.1f}", "", "")
    return table


def print_summary(report: kb4_async.ExportReport) -> None:
    """Print the table and what to do next, on stderr."""
    console = StderrConsole(None if sys.stderr.isatty() else 110)
    console.print(summary(report))
    print_missing(report, console)
    if not report.complete:
        return
    console.out(f"Complete: {report.rows:,} records in {report.destination}", highlight=False)
    users = report.resources.get("users")
    if users is not None and users.rows == 0:
        console.out(
            "The account has no users. A key of another region or an anonymized account can look "
            "like this: 'kb4 doctor' tells.",
            highlight=False,
        )


def print_missing(report: kb4_async.ExportReport, console: Console) -> None:
    """Print what is missing and why, if anything is."""
    say = console.out
    # One cause often stops several resources: it is said once.
    missing: dict[str, list[str]] = {}
    for name, entry in report.resources.items():
        for gap in entry.gaps:
            where = f"{name} {dict(gap.scope)}" if gap.scope else name
            missing.setdefault(gap.message, []).append(where)
    for message, places in missing.items():
        say(f"missing from {', '.join(places)}: {message}", highlight=False)
    if not report.complete:
        manifest = report.destination / "manifest.json"
        again = "run the same command again, and it goes on"
        if report.resume_at is not None:
            again += f", at {local(report.resume_at)} or later (--wait does so by itself)"
        say(f"INCOMPLETE: {manifest} names what is missing; {again}.", highlight=False)
