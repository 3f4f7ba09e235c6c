"""``kb4 status``: where an export stands."""

from __future__ import annotations

from typing import Annotated

import typer

import kb4_async
from kb4_async.cli.running import (
    COMPLETE,
    INCOMPLETE,
    Json,
    local,
    print_bytes,
    print_text,
    run,
    to_json,
)


def status(
    dest: Annotated[str, typer.Argument(help="The folder of an export.")], json: Json = False
) -> None:
    """Say where an export stands and what can be done next; makes no request."""

    async def work() -> kb4_async.ExportStatus:
        found = await kb4_async.export_status(dest)
        if json:
            print_bytes(to_json(found.to_json()))
        else:
            print_text(describe(found))
        return found

    raise typer.Exit(COMPLETE if run(work).complete else INCOMPLETE)


def describe(found: kb4_async.ExportStatus) -> str:
    """Where it stands, in words."""
    lines = [
        f"Export of {found.account.get('name') or 'an account'} ({found.account.get('origin')}), "
        f"begun {found.started}, {number(len(found.runs), 'run')}, "
        f"{number(found.requests, 'request')}.",
        "",
        f"{'resource':<22} {'rows':>11} {'requests':>9}  {'listings':<28} state",
    ]
    lines += [row(entry) for entry in found.resources.values()]
    for entry in found.resources.values():
        lines += [f"missing from {entry.name}: {message}" for message in entry.missing]
    return "\n".join([*lines, "", advice(found), ""])


def row(entry: kb4_async.ResourceStatus) -> str:
    """One resource's line."""
    counts = (("ended", entry.ended), ("open", entry.open), ("to read again", entry.again))
    listings = ", ".join(f"{count:,} {what}" for what, count in counts if count)
    state = "complete" if entry.complete else "incomplete"
    return f"{entry.name:<22} {entry.rows:>11,} {entry.requests:>9,}  {listings:<28} {state}"


def advice(found: kb4_async.ExportStatus) -> str:
    """What can be done next."""
    rows = f"{number(found.rows, 'record')} in {found.destination}"
    if found.complete:
        return f"Complete: {rows}."
    if found.running:
        return f"Running: {rows} so far."
    if found.resume_at is not None:
        return (
            f"INCOMPLETE: {rows}. The daily quota is spent until {local(found.resume_at)}: run "
            "'kb4 export' again then, or at once with --wait; it goes on."
        )
    ended = "was killed" if found.finished is None else f"ended {found.finished}"
    return (
        f"INCOMPLETE: {rows}. The last run {ended}: run 'kb4 export' again as before; it goes on."
    )


def number(count: int, what: str) -> str:
    """A count in words."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
