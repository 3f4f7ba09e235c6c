"""``kb4 list``, ``kb4 get`` and ``kb4 doctor``: looking without writing."""

from __future__ import annotations

import inspect
from contextlib import aclosing
from typing import Annotated, Any

import typer

from kb4_async import ConfigurationError, ReportingClient, diagnose
from kb4_async.cli.running import (
    COMPLETE,
    BaseUrl,
    Concurrency,
    Json,
    LimitTexts,
    Region,
    connect,
    exit_code,
    print_bytes,
    run,
    to_json,
)


def list_records(
    resource: Annotated[str, typer.Argument(help="users, groups, members, ...")],
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", "-f", help="NAME=VALUE as the API spells it; repeatable."),
    ] = None,
    status: Annotated[str | None, typer.Option(help="Short for --filter status=...")] = None,
    group: Annotated[
        list[str] | None, typer.Option(help="For members: only of this group; repeatable.")
    ] = None,
    max_items: Annotated[int | None, typer.Option(help="Most records in all.")] = None,
    per_page: Annotated[int, typer.Option(help="Page size, 1 to 500.")] = 500,
    region: Region = None,
    base_url: BaseUrl = None,
    limit: LimitTexts = None,
    max_concurrency: Concurrency = 32,
) -> None:
    """Print records as JSON lines: the lines an export would write."""

    async def work() -> None:
        async with connect(region, base_url, limit, max_concurrency) as kb:
            if resource == "account":
                if filters or status or group or max_items is not None:
                    msg = "account is one record: it takes no filter, --group or --max-items."
                    raise ConfigurationError(msg)
                print_bytes((await kb.account.page()).json_lines())
                return
            given = read_filters([*(filters or ()), *([f"status={status}"] if status else ())])
            listing = open_listing(kb, resource, given, group, max_items, per_page)
            async with aclosing(listing.pages(form="raw")) as pages:
                async for page in pages:
                    print_bytes(page.json_lines())

    run(work)


def read_filters(texts: list[str]) -> dict[str, Any]:
    """Read ``NAME=VALUE``; true and false become booleans."""
    given: dict[str, Any] = {}
    for text in texts:
        name, found, value = text.partition("=")
        if not found or not name:
            msg = f"A filter is written NAME=VALUE, not {text!r}."
            raise ConfigurationError(msg)
        given[name] = {"true": True, "false": False}.get(value.lower(), value)
    return given


def nouns(kb: ReportingClient) -> dict[str, Any]:
    """The client's nouns by the names of their resources."""
    return {
        "users": kb.users,
        "groups": kb.groups,
        "enrollments": kb.training.enrollments,
        "training_campaigns": kb.training.campaigns,
        "phishing_campaigns": kb.phishing.campaigns,
    }


def noun(kb: ReportingClient, resource: str, others: str) -> Any:  # noqa: ANN401  # of several kinds
    """The noun of a resource, or an error that names those there are."""
    known = nouns(kb)
    if resource not in known:
        msg = f"{resource!r} is not a resource: choose from {others}, {', '.join(known)}."
        raise ConfigurationError(msg)
    return known[resource]


def open_listing(
    kb: ReportingClient,
    resource: str,
    filters: dict[str, Any],
    groups: list[str] | None,
    max_items: int | None,
    per_page: int,
) -> Any:  # noqa: ANN401  # a Listing of some record, or many
    """Make the listing of a resource as named on the command line."""
    if resource == "members":
        if filters or max_items is not None:
            msg = "members takes --group, and neither filters nor --max-items."
            raise ConfigurationError(msg)
        return kb.groups.members_each(groups, per_page=per_page)
    if groups:
        msg = "--group goes with members; to filter users use --filter group_id=..."
        raise ConfigurationError(msg)
    method = noun(kb, resource, "account, members").list
    own = {"per_page", "max_items", "prefetch", "verify", "start"}
    allowed = [name for name in inspect.signature(method).parameters if name not in own]
    for name in filters:
        if name not in allowed:
            msg = f"{resource} has no filter {name!r}; it has: {', '.join(allowed) or 'none'}."
            raise ConfigurationError(msg)
    return method(per_page=per_page, max_items=max_items, **filters)


def get(
    resource: Annotated[str, typer.Argument(help="account, users, groups, ...")],
    record_id: Annotated[str | None, typer.Argument(metavar="ID", help="Not for account.")] = None,
    region: Region = None,
    base_url: BaseUrl = None,
) -> None:
    """Print one record as a line of JSON."""

    async def work() -> None:
        async with connect(region, base_url, None, 1) as kb:
            if resource == "account":
                if record_id is not None:
                    msg = "account is one record: it takes no id."
                    raise ConfigurationError(msg)
                print_bytes(to_json(await kb.account.get()))
                return
            method = noun(kb, resource, "account").get
            if record_id is None:
                msg = f"Which one? Give the id: kb4 get {resource} ID."
                raise ConfigurationError(msg)
            print_bytes(to_json(await method(record_id)))

    run(work)


def doctor(region: Region = None, base_url: BaseUrl = None, json: Json = False) -> None:
    """Look at key, region, access, limits and clock; two requests."""

    async def work() -> int:
        async with connect(region, base_url, None, 1) as kb:
            found = await diagnose(kb)
        if json:
            checks = [
                {"name": c.name, "state": c.state, "detail": c.detail, "advice": c.advice}
                for c in found.checks
            ]
            print_bytes(to_json({"healthy": found.healthy, "checks": checks}))
        else:
            for check in found.checks:
                print(f"{check.state:<8} {check.name:<8} {check.detail}")
                if check.advice:
                    print(f"{'':<17} -> {check.advice}")
        return COMPLETE if found.error is None else exit_code(found.error)

    raise typer.Exit(run(work))
