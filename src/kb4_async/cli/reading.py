"""``kb4 list``, ``kb4 get`` and ``kb4 doctor``: looking without writing."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from contextlib import aclosing
from typing import Annotated, Any

import typer

import kb4_async
from kb4_async.cli.doctoring import show
from kb4_async.cli.running import (
    COMPLETE,
    BaseUrl,
    Concurrency,
    Json,
    LimitTexts,
    Region,
    connect,
    exit_code,
    note,
    print_bytes,
    read_limits,
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
        list[str] | None,
        typer.Option(help="Of members and group_risk_history: only this group; repeatable."),
    ] = None,
    test: Annotated[
        list[str] | None, typer.Option(help="Of recipients: only this test; repeatable.")
    ] = None,
    user: Annotated[
        list[str] | None, typer.Option(help="Of user_risk_history: only this user; repeatable.")
    ] = None,
    max_items: Annotated[int | None, typer.Option(help="Most records in all.")] = None,
    per_page: Annotated[int, typer.Option(help="Page size, 1 to 500.")] = 500,
    region: Region = None,
    base_url: BaseUrl = None,
    limits: LimitTexts = None,
    max_concurrency: Concurrency = 32,
) -> None:
    """Print records as JSON lines: the lines an export would write."""

    async def work() -> None:
        held = await read_limits(limits, region, base_url)
        async with connect(region, base_url, held, max_concurrency, note) as kb:
            if resource == "account":
                if filters or status or group or test or user or max_items is not None:
                    msg = "account is one record: it takes no filter, parent or --max-items."
                    raise kb4_async.ConfigurationError(msg)
                print_bytes((await kb.account.page()).json_lines())
                return
            given = read_filters([*(filters or ()), *([f"status={status}"] if status else ())])
            parents = {"group": group, "test": test, "user": user}
            listing = open_listing(kb, resource, given, parents, max_items, per_page)
            listings = [listing]
            one = any(parents.values()) or max_items is not None or "campaign_type" in given
            if not one and "campaign_type" in filters_of(pick(methods(kb), resource)[0]):
                # Callback campaigns are only listed by themselves.
                callback = {**given, "campaign_type": "callback"}
                listings.append(open_listing(kb, resource, callback, parents, max_items, per_page))
            await print_listings(listings)

    run(work)


async def print_listings(listings: Sequence[Any]) -> None:
    """Print listings one after another; of several, no line of the first twice.

    A server that ignores the filter they differ in lists the same records again. A single listing
    keeps nothing, for it may hold millions of lines.
    """
    printed: set[int] = set()
    for number, listing in enumerate(listings):
        async with aclosing(listing.pages(form="raw")) as pages:
            async for page in pages:
                if len(listings) == 1:
                    print_bytes(page.json_lines())
                    continue
                lines = page.json_lines().splitlines(keepends=True)
                if number:
                    lines = [line for line in lines if hash(line) not in printed]
                else:
                    printed.update(map(hash, lines))
                print_bytes(b"".join(lines))


def read_filters(texts: list[str]) -> dict[str, Any]:
    """Read ``NAME=VALUE``; true and false become booleans."""
    given: dict[str, Any] = {}
    for text in texts:
        name, found, value = text.partition("=")
        if not found or not name:
            msg = f"A filter is written NAME=VALUE, not {text!r}."
            raise kb4_async.ConfigurationError(msg)
        given[name] = {"true": True, "false": False}.get(value.lower(), value)
    return given


def methods(kb: kb4_async.ReportingClient) -> dict[str, tuple[Any, str | None]]:
    """What lists each resource, and the option that names its parents."""
    phishing, training = kb.phishing, kb.training
    return {
        "users": (kb.users.list, None),
        "groups": (kb.groups.list, None),
        "members": (kb.groups.members_each, "group"),
        "enrollments": (training.enrollments.list, None),
        "training_campaigns": (training.campaigns.list, None),
        "phishing_campaigns": (phishing.campaigns.list, None),
        "security_tests": (phishing.security_tests.list, None),
        "recipients": (phishing.security_tests.recipients_each, "test"),
        "store_purchases": (training.store_purchases.list, None),
        "policies": (training.policies.list, None),
        "account_risk_history": (kb.account.risk_history, None),
        "group_risk_history": (kb.groups.risk_history_each, "group"),
        "user_risk_history": (kb.users.risk_history_each, "user"),
    }


def pick(known: dict[str, Any], resource: str) -> Any:  # noqa: ANN401  # of several kinds
    """What is known of a resource, or an error that names those there are."""
    if resource not in known:
        msg = f"{resource!r} is not a resource here: choose from account, {', '.join(known)}."
        raise kb4_async.ConfigurationError(msg)
    return known[resource]


def filters_of(method: Any) -> list[str]:  # noqa: ANN401  # a bound method of some noun
    """The filters that a listing method takes."""
    parameters = inspect.signature(method).parameters.values()
    return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "on_error"]


def open_listing(
    kb: kb4_async.ReportingClient,
    resource: str,
    filters: dict[str, Any],
    parents: dict[str, list[str] | None],
    max_items: int | None,
    per_page: int,
) -> Any:  # noqa: ANN401  # a Listing of some record, or many
    """Make the listing of a resource as named on the command line."""
    method, parent = pick(methods(kb), resource)
    for option, given in parents.items():
        if given and option != parent:
            goes = ", ".join(name for name, (_, own) in methods(kb).items() if own == option)
            msg = f"--{option} goes with {goes}, not with {resource}."
            raise kb4_async.ConfigurationError(msg)
    allowed = filters_of(method)
    for name in filters:
        if name not in allowed:
            msg = f"{resource} has no filter {name!r}; it has: {', '.join(allowed) or 'none'}."
            raise kb4_async.ConfigurationError(msg)
    if parent is None:
        return method(per_page=per_page, max_items=max_items, **filters)
    if max_items is not None:
        msg = f"{resource} is of many listings side by side and takes no --max-items: use head."
        raise kb4_async.ConfigurationError(msg)
    return method(parents[parent] or None, per_page=per_page, **filters)


def getters(kb: kb4_async.ReportingClient) -> dict[str, Any]:
    """What gets one record of each resource."""
    return {
        "users": kb.users.get,
        "groups": kb.groups.get,
        "enrollments": kb.training.enrollments.get,
        "training_campaigns": kb.training.campaigns.get,
        "phishing_campaigns": kb.phishing.campaigns.get,
        "security_tests": kb.phishing.security_tests.get,
        "store_purchases": kb.training.store_purchases.get,
        "policies": kb.training.policies.get,
    }


def get(
    resource: Annotated[str, typer.Argument(help="account, users, groups, ...")],
    record_id: Annotated[str | None, typer.Argument(metavar="ID", help="Not for account.")] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", "-f", help="NAME=VALUE, as campaign_type=callback; repeatable."),
    ] = None,
    region: Region = None,
    base_url: BaseUrl = None,
) -> None:
    """Print one record as a line of JSON."""

    async def work() -> None:
        async with connect(region, base_url, kb4_async.Limits(), 1, note) as kb:
            if resource == "account":
                if record_id is not None:
                    msg = "account is one record: it takes no id."
                    raise kb4_async.ConfigurationError(msg)
                print_bytes(to_json(await kb.account.get()))
                return
            method = pick(getters(kb), resource)
            if record_id is None:
                msg = f"Which one? Give the id: kb4 get {resource} ID."
                raise kb4_async.ConfigurationError(msg)
            given = read_filters(filters or [])
            allowed = [n for n in inspect.signature(method).parameters if n in given]
            if len(allowed) < len(given):
                msg = f"One of {resource} takes none of these filters: {', '.join(given)}."
                raise kb4_async.ConfigurationError(msg)
            print_bytes(to_json(await method(record_id, **given)))

    run(work)


def doctor(region: Region = None, base_url: BaseUrl = None, json: Json = False) -> None:
    """Look at key, region, access, limits, use, ledger and clock; two requests."""

    async def work() -> int:
        async with connect(region, base_url, kb4_async.Limits(), 1, note) as kb:
            found = await kb4_async.diagnose(kb)
        show(found, json=json)
        return COMPLETE if found.error is None else exit_code(found.error)

    raise typer.Exit(run(work))
