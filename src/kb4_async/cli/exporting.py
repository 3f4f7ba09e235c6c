"""``kb4 export``."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

import kb4_async
from kb4_async.cli.many_accounts import export_many
from kb4_async.cli.progress import ExportView, StderrConsole, print_missing, print_summary
from kb4_async.cli.running import (
    BaseUrl,
    Json,
    LimitTexts,
    Region,
    connect,
    print_bytes,
    read_limits,
    report_code,
    run,
    to_json,
)

Resources = Annotated[
    list[str] | None,
    typer.Option(
        "--resource",
        help=f"Only this; repeatable: {', '.join(kb4_async.DEFAULT_RESOURCES)}; "
        f"on request: {', '.join(kb4_async.ON_REQUEST)}.",
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


Accounts = Annotated[
    str | None,
    typer.Option(
        "--accounts",
        help="Export the accounts of this TOML file, each into DEST/NAME: a table [NAME] for each, "
        "with key_file, and region or base_url.",
    ),
]
AtOnce = Annotated[int | None, typer.Option("--at-once", help="Accounts side by side (8).", min=1)]


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
    accounts: Accounts = None,
    at_once: AtOnce = None,
    region: Region = None,
    base_url: BaseUrl = None,
    limits: LimitTexts = None,
    max_concurrency: Annotated[
        int | None,
        typer.Option(help="Requests in flight (32; with --accounts 8 of each).", min=1),
    ] = None,
    json: Json = False,
    quiet: Annotated[bool, typer.Option(help="Show no progress.")] = False,
) -> None:
    """Export the whole account as JSON lines, with a manifest that proves it is complete.

    Interrupted, by whatever: run the same command again, and it goes on.
    """
    options: kb4_async.ExportOptions = {
        "resources": resource,
        "members": members,  # type: ignore[typeddict-item]  # checked by export_account
        "verify": verify,  # type: ignore[typeddict-item]  # checked by export_account
        "fresh": fresh,
        "wait": wait,
        "reuse": reuse,
    }

    async def work() -> kb4_async.ExportReport:
        if at_once is not None:
            msg = "--at-once goes with --accounts."
            raise kb4_async.ConfigurationError(msg)
        view = ExportView(resource or kb4_async.DEFAULT_RESOURCES, quiet=quiet)
        held = await read_limits(limits, region, base_url, view.say)
        kb = connect(region, base_url, held, max_concurrency or 32, view)
        with view:
            async with kb:
                return await kb4_async.export_account(kb, dest, on_event=view, **options)

    if accounts is None:
        again = "Run the same command again" + (", without --fresh, to go on." if fresh else ".")
        finish(run(work, f"Interrupted. {again}"), json=json, quiet=quiet)
        return
    address = {"--region": region, "--base-url": base_url}
    export_many(
        accounts,
        dest,
        options,
        refused=[name for name, given in address.items() if given is not None],
        at_once=at_once,
        limits=limits,
        max_concurrency=max_concurrency,
        json=json,
        quiet=quiet,
    )


def finish(report: kb4_async.ExportReport, *, json: bool, quiet: bool = False) -> None:
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
