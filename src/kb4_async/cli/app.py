"""The command's entry: every subcommand by its name."""

from __future__ import annotations

from typing import Annotated

import typer

from kb4_async import __version__
from kb4_async.cli.exporting import export
from kb4_async.cli.planning import plan
from kb4_async.cli.reading import doctor, get, list_records
from kb4_async.cli.simulating import demo, simulate

app = typer.Typer(
    name="kb4",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help=(
        "Export KnowBe4 accounts: concurrent, within the rate cap, provably complete. The key "
        "comes from KB4_API_KEY, or the file that KB4_API_KEY_FILE names; never from an argument."
    ),
    epilog=(
        "Exit codes: 0 complete; 1 a defect of ours; 2 usage, configuration or destination; "
        "3 incomplete; 4 credentials, permission or region; 75 quota spent; 130, 143 interrupted."
    ),
)


def show_version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        print(f"kb4 {__version__}")
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
app.command()(plan)
app.command("list")(list_records)
app.command()(get)
app.command()(doctor)
app.command()(simulate)
app.command()(demo)
