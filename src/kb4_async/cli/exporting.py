"""``kb4 export``."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from kb4_async import DEFAULT_RESOURCES, ON_REQUEST, ExportReport, export_account
from kb4_async.cli.progress import ExportView, StderrConsole, print_missing, print_summary
from kb4_async.cli.running import (
    COMPLETE,
    CREDENTIALS,
    INCOMPLETE,
    QUOTA,
    BaseUrl,
    Concurrency,
    Json,
    LimitTexts,
    Region,
    connect,
    print_bytes,
    read_limits,
    run,
    to_json,
)

Resources = Annotated[
    list[str] | None,
    typer.Option(
        "--resource",
        help=f"Only this; repeatable: {', '.join(DEFAULT_RESOURCES)}; "
        f"on request: {', '.join(ON_REQUEST)}.",
    ),
]
MembersMode = Annotated[
    str, typer.Option("--members", help="fetched (a request a group or more) or derived.")
]
VerifyMode = Annotated[
    str,
    typer.Option("--verify", help="tail (look at a page or two again), full (read twice) or none."),
]

Reuse = Annotated[
    str | None,
    typer.Option(
        "--reuse",
        metavar="PREVIOUS",
        help="An earlier export of the account: recipients of closed security tests that did not "
        "change are carried over from it.",
    ),
]


def export(
    dest: Annotated[str, typer.Argument(help="A folder of its own; made if it does not exist.")],
    resource: Resources = None,
    members: MembersMode = "fetched",
    verify: VerifyMode = "tail",
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over: replace what an earlier export left there.")
    ] = False,
    reuse: Reuse = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Sleep through a spent daily quota, and go on.")
    ] = False,
    region: Region = None,
    base_url: BaseUrl = None,
    limits: LimitTexts = None,
    max_concurrency: Concurrency = 32,
    json: Json = False,
    quiet: Annotated[bool, typer.Option(help="Show no progress.")] = False,
) -> None:
    """Export the whole account as JSON lines, with a manifest that proves it is complete.

    Interrupted, by whatever: run the same command again, and it goes on.
    """

    async def work() -> ExportReport:
        view = ExportView(resource or DEFAULT_RESOURCES, quiet=quiet)
        held = await read_limits(limits, region, base_url, view.say)
        kb = connect(region, base_url, held, max_concurrency, view)
        with view:
            async with kb:
                return await export_account(
                    kb,
                    dest,
                    resources=resource,
                    members=members,  # type: ignore[arg-type]  # checked by export_account
                    verify=verify,  # type: ignore[arg-type]  # checked by export_account
                    fresh=fresh,
                    wait=wait,
                    reuse=reuse,
                    on_event=view,
                )

    finish(run(work), json=json, quiet=quiet)


def finish(report: ExportReport, *, json: bool, quiet: bool = False) -> None:
    """Show how an export ended, and end with its code."""
    with suppress(OSError):  # nobody reads stderr any more
        if quiet:
            print_missing(report, StderrConsole())
        else:
            print_summary(report)

    async def show() -> None:
        print_bytes(to_json(report.to_json()))

    if json:
        run(show)
    raise typer.Exit(report_code(report))


def report_code(report: ExportReport) -> int:
    """The documented exit code of an export that ran to its end."""
    if report.complete:
        return COMPLETE
    errors = [{gap.error for gap in entry.gaps} for entry in report.resources.values()]
    found = set().union(*errors)
    # Children without parents to read them of are a consequence, not a finding of their own.
    denied = {"PermissionDeniedError", "ParentsIncomplete"}
    if "AuthenticationError" in found or all(e and e <= denied for e in errors):
        return CREDENTIALS
    return QUOTA if "QuotaExhaustedError" in found else INCOMPLETE
