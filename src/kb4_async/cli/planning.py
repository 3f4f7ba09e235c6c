"""``kb4 plan``: what an export will cost, before it is begun."""

from __future__ import annotations

import shutil
import sys
import textwrap

import typer

import kb4_async
from kb4_async.cli.exporting import MembersMode, Resources, Reuse, VerifyMode
from kb4_async.cli.running import (
    COMPLETE,
    CREDENTIALS,
    INCOMPLETE,
    BaseUrl,
    Concurrency,
    Json,
    LimitTexts,
    Region,
    connect,
    note,
    print_bytes,
    read_limits,
    run,
    to_json,
)

#: Columns of a stdout that is no terminal, and the fewest that hold the last column.
WIDTH, NARROWEST = 120, 90
#: Below this the slow start on a key's first requests, which no plan counts, is what takes time.
SECONDS = 10
UNITS = (("day", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def plan(
    resource: Resources = None,
    members: MembersMode = "fetched",
    verify: VerifyMode = "tail",
    reuse: Reuse = None,
    region: Region = None,
    base_url: BaseUrl = None,
    limits: LimitTexts = None,
    max_concurrency: Concurrency = 32,
    json: Json = False,
) -> None:
    """Say what an export will cost: requests, time and days of quota; reads nothing whole."""

    async def work() -> kb4_async.ExportPlan:
        held = await read_limits(limits, region, base_url)
        async with connect(region, base_url, held, max_concurrency, note) as kb:
            found = await kb4_async.plan_export(
                kb,
                resource,
                members=members,  # type: ignore[arg-type]  # checked by plan_export
                verify=verify,  # type: ignore[arg-type]
                reuse=reuse,
            )
        print_bytes(to_json(found.to_json()) if json else describe(found, width()).encode())
        return found

    raise typer.Exit(plan_code(run(work)))


def plan_code(plan: kb4_async.ExportPlan) -> int:
    """The documented exit code."""
    errors = [entry.error for entry in plan.resources.values()]
    if all(error == "PermissionDeniedError" for error in errors):
        return CREDENTIALS
    return INCOMPLETE if any(errors) else COMPLETE


def width() -> int:
    """Columns of stdout."""
    columns = shutil.get_terminal_size((WIDTH, 24)).columns if sys.stdout.isatty() else WIDTH
    return max(columns, NARROWEST)


def describe(plan: kb4_async.ExportPlan, width: int) -> str:
    """The plan in words."""
    parts = ["\n".join(table(plan, width)), *(textwrap.fill(text, width) for text in totals(plan))]
    if plan.savings:
        lines = [f"  {saving.requests:>9,}  {saving.what}" for saving in plan.savings]
        parts.append("\n".join(("Requests that other choices would save:", *lines)))
    return "\n\n".join(parts) + "\n"


def table(plan: kb4_async.ExportPlan, width: int) -> list[str]:
    """One line a resource; how it is known goes on below where it is long."""
    lines = [row("resource", "rows", "requests", "", "how that is known", width)]
    for entry in plan.resources.values():
        name = entry.name if entry.chosen else f"({entry.name})"
        rows = "?" if entry.rows is None else f"{entry.rows:,}"
        lines.append(row(name, rows, f"{entry.requests:,}", certainty(entry), entry.basis, width))
    known = {certainty(entry) for entry in plan.resources.values()} - {"exact"}
    sure = "at least" if "at least" in known else "estimate" if known else "exact"
    return [*lines, row("all", "", f"{plan.requests:,}", sure, "", width)]


def certainty(entry: kb4_async.ResourcePlan) -> str:
    """How sure the number of requests is, in one word."""
    if entry.error is not None:
        return "unknown"
    if entry.exact:
        return "exact"
    return "at least" if entry.basis.startswith("at least") else "estimate"


def row(name: str, rows: str, requests: str, sure: str, basis: str, width: int) -> str:
    """One line of the table, or several."""
    start = f"{name:<22} {rows:>11} {requests:>9}  {sure:<8}  "
    lines = textwrap.wrap(basis, width - len(start)) or [""]
    return f"\n{'':{len(start)}}".join([start + lines[0], *lines[1:]]).rstrip()


def totals(plan: kb4_async.ExportPlan) -> list[str]:
    """What all of it takes, in plain words."""
    least = any(certainty(entry) == "at least" for entry in plan.resources.values())
    about = "" if plan.exact else "At least " if least else "About "
    here, real = plan.in_force, plan.published
    daily = (real.quota or 0) - plan.licensed_users
    return [
        f"{about}{plan.requests:,} requests. Under the limits in force: {time_of(here)} "
        f"({binding(here, plan.max_concurrency)}).",
        f"Under KnowBe4's published limits, which real keys often have: {time_of(real)} "
        f"({binding(real, plan.max_concurrency)}). They allow {daily:,} + {plan.licensed_users:,} "
        f"requests a day, the second being one for each licensed user ({plan.assumed}).",
        f"Planning made {plan.planning_requests:,} requests; an answer took "
        f"{plan.latency * 1000:,.0f} ms.",
    ]


def time_of(timing: kb4_async.PlanTiming) -> str:
    """A time in words, with the days of quota it takes."""
    text = words(timing.seconds)
    if timing.days is None:
        return text
    if timing.days > 1:
        return f"{text}, and the quotas of {timing.days:,} days"
    return f"{text}, and part of one day's quota"


def binding(timing: kb4_async.PlanTiming, concurrency: int) -> str:
    """What most of the time is spent on."""
    if timing.binds is None:
        return f"answers take the time, {concurrency} at once"
    return f"{limit_words(timing.binds)} binds"


def limit_words(window: kb4_async.Window) -> str:
    """A window in words."""
    names = {1.0: "a second", 60.0: "60 s", 86_400.0: "a day"}
    length = names.get(window.seconds, f"{window.seconds:g} s")
    return f"{window.requests:,} {'' if length.startswith('a ') else 'in '}{length}"


def words(seconds: float) -> str:
    """A time in words, in its two largest units."""
    if seconds < SECONDS:
        return "a few seconds"
    left, parts = round(seconds), []
    for unit, length in UNITS:
        count, left = divmod(left, length)
        if count:
            plural = "s" if unit == "day" and count > 1 else ""
            parts.append(f"{count:,} {unit}{plural}")
        elif parts:
            break
    return f"about {' '.join(parts[:2])}"
