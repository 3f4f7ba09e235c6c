"""The command's entry: every subcommand by its name."""

from __future__ import annotations

from typing import Annotated

import typer

import kb4_async
from kb4_async.cli import scim
from kb4_async.cli.exporting import export
from kb4_async.cli.planning import plan
from kb4_async.cli.reading import doctor, get, list_records
from kb4_async.cli.scim_writing import apply as scim_apply
from kb4_async.cli.scim_writing import plan as scim_plan
from kb4_async.cli.simulating import demo, simulate
from kb4_async.cli.status import status

app = typer.Typer(
    name="kb4",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help=(
        "Export KnowBe4 accounts: concurrent, within the rate cap, provably complete. The key "
        "comes from KB4_API_KEY, or the file that KB4_API_KEY_FILE names; never from an argument. "
        "Users and groups are written through SCIM: kb4 scim."
    ),
    epilog=(
        "Exit codes: 0 complete; 1 a defect of ours; 2 usage, configuration or destination; "
        "3 incomplete; 4 credentials, permission or region; 5 a guard refused; 6 changes pending; "
        "75 quota spent; 130, 143 interrupted."
    ),
)


def show_version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        print(f"kb4 {kb4_async.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Options before the command."""


app.command()(export)
app.command()(status)
app.command()(plan)
app.command("list")(list_records)
app.command()(get)
app.command()(doctor)
app.command()(simulate)
app.command()(demo)

scim_app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Write users and groups through SCIM. The token comes from KB4_SCIM_TOKEN, or the file "
        "that KB4_SCIM_TOKEN_FILE names; the address, which the console shows as Tenant URL, from "
        "KB4_TENANT_URL. Whatever writes in bulk is planned first."
    ),
)
scim_app.command("list")(scim.list_resources)
scim_app.command()(scim.get)
scim_app.command()(scim.ensure)
scim_app.command()(scim.deactivate)
scim_app.command("plan")(scim_plan)
scim_app.command("apply")(scim_apply)
scim_app.command()(scim.doctor)
app.add_typer(scim_app, name="scim")
