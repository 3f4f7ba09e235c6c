"""``kb4 scim plan`` and ``kb4 scim apply``: bulk changes."""

from __future__ import annotations

import errno
import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

import kb4_async
from kb4_async.cli.running import (
    COMPLETE,
    GUARD,
    INCOMPLETE,
    PENDING,
    BaseUrl,
    Json,
    Region,
    connect,
    note,
    print_bytes,
    print_text,
    run,
    write_line,
)
from kb4_async.cli.scim import (
    INTERRUPTED,
    AtOnce,
    Mode,
    Reactivate,
    Removal,
    ScimLimits,
    TenantUrl,
    connect_scim,
    print_outcome,
)

Protect = Annotated[
    list[str] | None,
    typer.Option("--protect", help="userName that is never deactivated; repeatable."),
]
MaxGone = Annotated[int, typer.Option(help="Most users deactivated.", min=0)]
MaxGonePercent = Annotated[float, typer.Option(help="The same, of the active users.", min=0)]
MaxNew = Annotated[int, typer.Option(help="Most users created or brought back.", min=0)]
MaxNewPercent = Annotated[
    float, typer.Option(help="The same, of the users there, where they are 50 or more.", min=0)
]
MaxBlank = Annotated[int, typer.Option(help="Most users with a field that is emptied.", min=0)]
MaxBlankPercent = Annotated[
    float, typer.Option(help="The same, of the users there, where they are 50 or more.", min=0)
]
MaxOut = Annotated[int, typer.Option(help="Most members removed from groups.", min=0)]
MaxOutPercent = Annotated[
    float, typer.Option(help="The same, of the members, where they are 50 or more.", min=0)
]
MaxAge = Annotated[float, typer.Option(help="Hours after which a plan is too old.", min=0)]
Lookalikes = Annotated[
    bool,
    typer.Option(
        "--allow-lookalikes",
        help="Create users whose employee number or external id belongs to somebody else.",
    ),
]


def make_guard(
    protect: list[str] | None,
    caps: tuple[int, float, int, float, int, float, int, float],
    hours: float,
    *,
    lookalikes: bool,
) -> kb4_async.ChangeGuard:
    """The guard of the command's options."""
    gone, gone_percent, new, new_percent, blank, blank_percent, out, out_percent = caps
    return kb4_async.ChangeGuard(
        max_deactivations=gone,
        max_deactivation_percent=gone_percent,
        max_creations=new,
        max_creation_percent=new_percent,
        max_blanked=blank,
        max_blanked_percent=blank_percent,
        max_member_removals=out,
        max_member_removal_percent=out_percent,
        protected=frozenset(protect or ()),
        max_age=hours * 3600,
        allow_lookalikes=lookalikes,
    )


def plan(
    users: Annotated[
        str | None,
        typer.Argument(help="CSV or JSON lines of everybody who is wanted; - for stdin."),
    ] = None,
    groups: Annotated[
        str | None, typer.Option(help="CSV or JSON lines of groups and their members.")
    ] = None,
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="Keep the plan in this file, for apply.")
    ] = None,
    missing: Annotated[
        str, typer.Option(help="Active users that are not in the file: report or deactivate.")
    ] = "report",
    reactivate: Reactivate = False,
    ignore: Annotated[
        list[str] | None,
        typer.Option(help="Field that is sent with new users and not compared; repeatable."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="HEADER=FIELD of the users' file; HEADER= ignores it; repeatable."),
    ] = None,
    empty: Annotated[
        str, typer.Option(help="What an empty cell means: leave (as it is) or clear.")
    ] = "leave",
    encoding: Annotated[
        str | None, typer.Option(help="Of the files, where it is not UTF-8 or UTF-16: cp1252.")
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="Of the columns, where it is not found by itself.")
    ] = None,
    protect: Protect = None,
    max_deactivations: MaxGone = 50,
    max_deactivation_percent: MaxGonePercent = 5.0,
    max_creations: MaxNew = 500,
    max_creation_percent: MaxNewPercent = 20.0,
    max_blanked: MaxBlank = 500,
    max_blanked_percent: MaxBlankPercent = 20.0,
    max_member_removals: MaxOut = 500,
    max_member_removal_percent: MaxOutPercent = 20.0,
    allow_lookalikes: Lookalikes = False,
    tenant_url: TenantUrl = None,
    limits: ScimLimits = None,
    max_concurrency: AtOnce = 4,
    json: Json = False,
) -> None:
    """Compare a file with the account and say what would be written. Writes nothing there."""
    guard = make_guard(
        protect,
        (
            max_deactivations,
            max_deactivation_percent,
            max_creations,
            max_creation_percent,
            max_blanked,
            max_blanked_percent,
            max_member_removals,
            max_member_removal_percent,
        ),
        24.0,
        lookalikes=allow_lookalikes,
    )

    async def work() -> tuple[kb4_async.ScimPlan, tuple[str, ...]]:
        if users is None and groups is None:
            msg = "Nothing is wanted: name a file of users, --groups, or both."
            raise kb4_async.ConfigurationError(msg)
        if out is not None:
            check_place(out)
        options: dict[str, Any] = {"encoding": encoding, "delimiter": delimiter}
        people = None
        if users is not None:
            columns = read_columns(column)
            people = kb4_async.read_users(users, columns=columns, empty=empty, **options)  # type: ignore[arg-type]
        teams = None if groups is None else kb4_async.read_groups(groups, **options)
        async with connect_scim(tenant_url, limits, max_concurrency) as scim:
            writer = kb4_async.ScimWriter(scim, guard=guard)
            found = await writer.plan(
                people,
                teams,
                missing=missing,  # type: ignore[arg-type]  # checked by plan
                reactivate=reactivate,
                ignore=ignore or (),
            )
            if people is not None and people.ignored:
                write_line(f"kb4: columns not used: {', '.join(people.ignored)}")
            return found, writer.reasons(found)

    found, reasons = run(work)
    if out is not None:
        run(lambda: keep(found, out))
    if json:
        print_bytes(found.to_json())
    else:
        print_text(found.describe())
    for reason in reasons:
        write_line(f"kb4: apply will refuse this plan: {reason}")
    if out is not None and found.steps and not reasons:
        write_line(f"kb4: about {found.requests():,} requests; to write it: kb4 scim apply {out}")
    raise typer.Exit(plan_code(found, reasons))


def check_place(out: str) -> None:
    """Look whether the plan's file can be written, before an account is read for it.

    Raises:
        ConfigurationError: It cannot.
    """
    place = Path(os.path.realpath(out))
    try:
        if os.path.lexists(place) and not place.is_file():
            raise OSError(errno.EINVAL, "what is there is no file")
        with tempfile.TemporaryFile(dir=place.parent):
            pass
    except OSError as error:
        msg = f"The plan cannot be written to {out!r} ({error.strerror}): choose another place."
        raise kb4_async.ConfigurationError(msg) from error


async def keep(found: kb4_async.ScimPlan, out: str) -> None:
    """Write the plan's file."""
    kb4_async.save_plan(found, out)


def plan_code(found: kb4_async.ScimPlan, reasons: tuple[str, ...]) -> int:
    """The documented exit code."""
    if reasons:
        return GUARD
    if found.rejected:
        return INCOMPLETE
    return PENDING if found.steps else COMPLETE


def read_columns(texts: list[str] | None) -> dict[str, str | None]:
    """The columns of ``--column``.

    Raises:
        ConfigurationError: One is no HEADER=FIELD.
    """
    columns: dict[str, str | None] = {}
    for text in texts or ():
        header, equals, field = text.rpartition("=")
        if not equals or not header:
            msg = f"--column takes HEADER=FIELD, as 'Mail=userName', not {text!r}."
            raise kb4_async.ConfigurationError(msg)
        columns[header] = field or None
    return columns


def apply(
    plan: Annotated[str, typer.Argument(help="File that 'kb4 scim plan --out' made.")],
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Look afterwards in the Reporting API (needs KB4_API_KEY)."),
    ] = False,
    protect: Protect = None,
    max_deactivations: MaxGone = 50,
    max_deactivation_percent: MaxGonePercent = 5.0,
    max_creations: MaxNew = 500,
    max_creation_percent: MaxNewPercent = 20.0,
    max_blanked: MaxBlank = 500,
    max_blanked_percent: MaxBlankPercent = 20.0,
    max_member_removals: MaxOut = 500,
    max_member_removal_percent: MaxOutPercent = 20.0,
    max_age: MaxAge = 24.0,
    allow_lookalikes: Lookalikes = False,
    tenant_url: TenantUrl = None,
    limits: ScimLimits = None,
    max_concurrency: AtOnce = 4,
    update_mode: Mode = "put",
    member_removal: Removal = "filter",
    region: Region = None,
    base_url: BaseUrl = None,
    json: Json = False,
) -> None:
    """Write what a plan says, after the guard has looked at it. Can be run again."""
    caps = (
        max_deactivations,
        max_deactivation_percent,
        max_creations,
        max_creation_percent,
        max_blanked,
        max_blanked_percent,
        max_member_removals,
        max_member_removal_percent,
    )

    async def work() -> int:
        guard = make_guard(protect, caps, max_age, lookalikes=allow_lookalikes)
        wanted = kb4_async.load_plan(plan)
        made: Counter[str] = Counter()
        async with connect_scim(
            tenant_url, limits, max_concurrency, update_mode, member_removal
        ) as scim:
            writer = kb4_async.ScimWriter(scim, guard=guard)
            outcomes = writer.apply(wanted)  # or the guard refuses, and there is nothing to sum up
            try:
                async for outcome in outcomes:
                    made[outcome.result] += 1
                    tell(outcome, json=json)
            finally:
                summarize(made, wanted)
            code = COMPLETE if made.keys().isdisjoint(TROUBLE) else INCOMPLETE
            if verify:
                async with connect(region, base_url, kb4_async.Limits(), 32, note) as kb:
                    code = max(code, await look_after(writer, wanted, kb))
        return code

    raise typer.Exit(run(work, interrupted=INTERRUPTED))


TROUBLE = frozenset({"failed", "unknown", "conflict"})


def tell(outcome: kb4_async.ScimOutcome, *, json: bool) -> None:
    """Print an outcome; for people only those where something happened."""
    if json or outcome.result != "unchanged":
        print_outcome(outcome, json=json)


def summarize(made: Counter[str], plan: kb4_async.ScimPlan) -> None:
    """Say on stderr what all of it came to."""
    done = sum(made.values())
    said = ", ".join(f"{count:,} {result}" for result, count in sorted(made.items())) or "nothing"
    write_line(f"kb4: {done:,} of {len(plan.steps):,} done: {said}")
    if not made.keys().isdisjoint(TROUBLE) or done < len(plan.steps):
        write_line(
            "kb4: apply the same plan again to finish what failed or is unknown; plan again for "
            "conflicts"
        )


async def look_after(
    writer: kb4_async.ScimWriter, plan: kb4_async.ScimPlan, kb: kb4_async.ReportingClient
) -> int:
    """Say what the Reporting API shows; return the exit code."""
    found = await writer.verify(plan, kb.users.list())
    write_line(f"kb4: the Reporting API shows {found.confirmed:,} of these users as written")
    for each in found.pending[:20]:
        write_line(f"kb4: not yet: {each.name} ({each.what})")
    if found.advice:
        write_line(f"kb4: {found.advice}")
    return COMPLETE if found.complete else INCOMPLETE
