"""``kb4 simulate`` and ``kb4 demo``: an account to try things on, without KnowBe4."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

import kb4_async
from kb4_async.cli.exporting import finish
from kb4_async.cli.progress import ExportView
from kb4_async.cli.running import Json, connect, run


def simulate(
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 8080,
    users: Annotated[int, typer.Option(min=0)] = 2000,
    groups: Annotated[int, typer.Option(min=0)] = 40,
    seed: Annotated[int, typer.Option(help="The same seed makes the same account.")] = 7,
    latency: Annotated[float, typer.Option(help="Seconds each answer takes.", min=0.0)] = 0.05,
    key: Annotated[str, typer.Option(help="The key it accepts; not a secret.")] = "simulated-key",
    cursors: Annotated[
        str, typer.Option(help="How it shows cursors: none, envelope, header or link.")
    ] = "none",
    numbers: Annotated[
        str, typer.Option(help="What it does with page numbers: work, refused or ignored.")
    ] = "work",
    published: Annotated[
        bool, typer.Option("--published-limits", help="Enforce KnowBe4's published limits.")
    ] = False,
    quiet: Annotated[bool, typer.Option(help="Print no requests.")] = False,
) -> None:
    """Serve a simulated KnowBe4 account on this machine, until Ctrl-C."""

    async def work() -> None:
        from kb4_async.testing import (  # noqa: PLC0415  # not needed by the other commands
            Limit,
            PagingRules,
            Simulator,
            generate_account,
            published_limits,
        )

        check("--cursors", cursors, ("none", "envelope", "header", "link"))
        check("--numbers", numbers, ("work", "refused", "ignored"))
        account = generate_account(seed, users=users, groups=groups)
        limits = published_limits(users) if published else (Limit(1000, 60.0),)
        simulator = Simulator(
            account,
            api_key=key,
            paging=PagingRules(cursors=cursors, numbers=numbers),  # type: ignore[arg-type]
            limits=limits,
            latency=latency,
            port=port,
            on_answer=None if quiet else lambda entry: print(entry.line, file=sys.stderr),
        )
        try:
            await simulator.start()
        except OSError as error:
            msg = f"Port {port} cannot be used ({error.strerror}): choose another with --port."
            raise kb4_async.ConfigurationError(msg) from error
        try:
            print("A simulated account is served until Ctrl-C. In another terminal:")
            print(f"  export KB4_BASE_URL={simulator.base_url} KB4_API_KEY={key}")
            print("  kb4 export out")
            print("And to write its users and groups through SCIM:")
            print(
                f"  export KB4_TENANT_URL={simulator.tenant_url} "
                f"KB4_SCIM_TOKEN={simulator.scim_token}"
            )
            print("  kb4 scim doctor", flush=True)
            await asyncio.Event().wait()
        finally:
            await simulator.stop()

    run(work, interrupted="The simulator has stopped.")


def check(option: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse what the simulator does not know.

    Raises:
        ConfigurationError: It is none of the choices.
    """
    if value not in choices:
        msg = f"{option} is one of {', '.join(choices)}, not {value!r}."
        raise kb4_async.ConfigurationError(msg)


def demo(
    dest: Annotated[
        Path | None, typer.Argument(help="Where to; a new temporary folder if left out.")
    ] = None,
    users: Annotated[int, typer.Option(min=0)] = 2000,
    json: Json = False,
) -> None:
    """Export a simulated account: no KnowBe4 account needed, nothing leaves this machine."""

    async def work() -> kb4_async.ExportReport:
        from kb4_async.testing import Simulator, generate_account  # noqa: PLC0415

        folder = dest or Path(tempfile.mkdtemp(prefix="kb4-demo-"))
        view = ExportView(kb4_async.DEFAULT_RESOURCES)
        account = generate_account(users=users, groups=60)
        view.say(f"Simulating an account of {users:,} users on this machine and exporting it.")
        view.say(
            "The first seconds are slow on purpose: no client should fall on a key unannounced."
        )
        async with Simulator(account, latency=0.05, jitter=0.02) as simulator:
            kb = connect(
                None,
                simulator.base_url,
                kb4_async.Limits(),
                32,
                view,
                api_key=simulator.api_key,
                ledger=False,
            )
            with view:
                async with kb:
                    report = await kb4_async.export_account(kb, folder, on_event=view)
            busiest = simulator.log.worst_window(60.0)
        view.say(
            f"The simulator counted {busiest} requests in its busiest minute; 1,000 are allowed."
        )
        return report

    finish(run(work), json=json)
