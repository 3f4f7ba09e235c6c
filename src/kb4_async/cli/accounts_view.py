"""What a person sees of many exports: a bar for each account under way on a terminal, a line for
each that has ended otherwise; a table at the end."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from rich.markup import escape
from rich.progress import BarColumn, TaskID, TextColumn
from rich.table import Table

import kb4_async
from kb4_async.cli.progress import LiveView, StderrConsole
from kb4_async.cli.running import happened_to_key, local

STATES = {
    "complete": "[green]complete[/]",
    "incomplete": "[red]incomplete[/]",
    "kept": "[green]kept[/]",
    "failed": "[red]failed[/]",
}
KEPT = "complete before, left as it is; --fresh replaces it"
#: So many names of accounts stand in the last line; the table and the lines above have all.
MOST_NAMED = 10


@dataclass(slots=True)
class Shown:
    """An account under way.

    Attributes:
        bar: Its bar.
        rows: Records so far, by resource.
        ended: Resources that have ended.
    """

    bar: TaskID
    rows: dict[str, int] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)


class AccountsView(LiveView):
    """Shows the progress of many exports on stderr.

    Args:
        accounts: How many there are.
        resources: How many resources each has.
        quiet: Show nothing while they run.
    """

    def __init__(self, accounts: int, resources: int, *, quiet: bool = False) -> None:
        super().__init__(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f} of {task.total:.0f} {task.fields[unit]}"),
            TextColumn("{task.fields[rows]:>11,} rows"),
            quiet=quiet,
        )
        self.resources = resources
        self.rows = 0
        self.all = self.progress.add_task("all", total=accounts, rows=0, unit="accounts")
        self.shown: dict[str, Shown] = {}
        self.said: set[str] = set()

    def __call__(self, event: kb4_async.Event) -> None:
        """Take in what happened to an account.

        What happens to single requests and listings is not told: of a hundred accounts it would be
        too much to read.
        """
        if not isinstance(event, kb4_async.AccountEvent):
            return
        name, what = event.account, event.event
        if isinstance(what, kb4_async.AccountFinished):
            self.end(name, what)
        elif isinstance(what, kb4_async.ExportProgress):
            self.advance(name, what)
        elif isinstance(what, kb4_async.ExportWaiting):
            self.say(f"{name}: the daily quota is spent; going on at {local(what.until)}")
        elif isinstance(what, kb4_async.LedgerUnavailable):
            self.say_once(f"The keys' limits: {happened_to_key(what)}")
        elif (words := happened_to_key(what)) is not None:
            self.say(f"{name}: {words}")

    def advance(self, name: str, event: kb4_async.ExportProgress) -> None:
        """Move an account's bar."""
        if not self.live:
            return
        if name not in self.shown:
            bar = self.progress.add_task(name, total=self.resources, rows=0, unit="resources")
            self.shown[name] = Shown(bar)
        shown = self.shown[name]
        self.rows += event.rows - shown.rows.get(event.resource, 0)
        shown.rows[event.resource] = event.rows
        if event.state != "running":
            shown.ended.add(event.resource)
        rows = sum(shown.rows.values())
        self.progress.update(shown.bar, completed=len(shown.ended), rows=rows)
        self.progress.update(self.all, rows=self.rows)

    def end(self, name: str, event: kb4_async.AccountFinished) -> None:
        """Say how an account ended; its bar makes room for the next."""
        if name in self.shown:
            self.progress.remove_task(self.shown.pop(name).bar)
        self.progress.advance(self.all)
        if event.state == "kept":
            self.say(f"{name}: {KEPT}.")
        elif event.state == "failed":
            self.say(f"{name}: failed. {event.detail}")
        else:
            numbers = f"{event.rows:,} rows, {event.requests:,} requests"
            self.say(f"{name}: {event.state}, {numbers}. {event.detail}")

    def say_once(self, text: str) -> None:
        """Print what concerns all accounts, also where no progress is shown, but once."""
        if text not in self.said:
            self.said.add(text)
            self.say(text, always=True)


def table(report: kb4_async.AccountsReport) -> Table:
    """The table at the end: a row for each account."""
    made = Table(title=f"Export of {len(report.accounts):,} accounts")
    made.add_column("account")
    for name in ("rows", "requests", "seconds"):
        made.add_column(name, justify="right")
    made.add_column("state")
    for name, each in report.accounts.items():
        numbers = ("", "", "")
        if isinstance(each, kb4_async.ExportReport):
            numbers = (f"{each.rows:,}", f"{each.requests:,}", f"{each.seconds:.1f}")
        made.add_row(escape(name), *numbers, STATES[report.state(name)])
    made.add_section()
    made.add_row("all", f"{report.rows:,}", f"{report.requests:,}", f"{report.seconds:.1f}", "")
    return made


def print_accounts(report: kb4_async.AccountsReport, *, quiet: bool = False) -> None:
    """Print how it ended, on stderr: the table, the first reason of each account that is not
    complete, and one line for all. Quiet, no table, and nothing where all is well."""
    console = StderrConsole(None if sys.stderr.isatty() else 110)
    if not quiet:
        console.print(table(report))
    missing = [n for n in report.accounts if report.state(n) in {"incomplete", "failed"}]
    for name in missing:
        console.out(f"{name}: {report.state(name)}: {report.reason(name)}", highlight=False)
    kept, every = report.count("kept"), len(report.accounts)
    if missing:
        named = ", ".join(missing[:MOST_NAMED])
        more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
        last = (
            f"INCOMPLETE: {len(missing)} of {every} accounts: {named}{more}. Run again, without "
            "--fresh, for these alone"
        )
        if report.resume_at is not None:
            last += f", at {local(report.resume_at)} or later (--wait does so by itself)"
        last += "."
    elif kept == every:
        last = (
            f"Nothing was done: {report.destination} holds a complete export of every account. "
            "--fresh replaces them."
        )
    elif quiet:
        return
    else:
        before = f", {kept} of them complete before" if kept else ""
        last = f"Complete: {every} accounts{before}; {report.rows:,} records written into "
        last += str(report.destination)
    console.out(last, highlight=False)
