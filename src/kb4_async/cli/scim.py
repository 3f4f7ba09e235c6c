"""``kb4 scim list``, ``get``, ``ensure``, ``deactivate``, ``doctor``: single users and groups."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.request import getproxies

import typer

import kb4_async
from kb4_async.cli.doctoring import show
from kb4_async.cli.running import (
    COMPLETE,
    INCOMPLETE,
    Json,
    exit_code,
    note,
    print_bytes,
    print_text,
    run,
    to_json,
    write_line,
)

Resource = Annotated[str, typer.Argument(help="users or groups.")]
TenantUrl = Annotated[
    str | None,
    typer.Option(help="The Tenant URL that the console shows.  [env: KB4_TENANT_URL]"),
]
ScimLimits = Annotated[
    list[str] | None,
    typer.Option("--limits", help="Hold these instead of 5/1s, besides 1000/60s: '10/1s 2000/1d'."),
]
AtOnce = Annotated[int, typer.Option("--max-concurrency", help="Requests in flight.", min=1)]
Mode = Annotated[
    str,
    typer.Option(
        "--update-mode", help="put: users whole, as read, with the changes; patch: these alone."
    ),
]
Removal = Annotated[
    str,
    typer.Option(
        "--member-removal",
        help="filter, or value, which is tried on one member first: it empties groups at some.",
    ),
]
Reactivate = Annotated[
    bool,
    typer.Option("--reactivate", help="Bring archived users back; it may enrol them again."),
]


def connect_scim(
    tenant_url: str | None,
    limits: list[str] | None = None,
    max_concurrency: int = 4,
    mode: str = "put",
    removal: str = "filter",
) -> kb4_async.ScimClient:
    """Make the client; the token comes from the environment, never from an argument."""
    words = [word for text in limits or () for word in text.replace(",", " ").split()]
    return kb4_async.ScimClient(
        tenant_url=tenant_url,
        limits=kb4_async.Limits.of(*words) if words else None,
        max_concurrency=max_concurrency,
        update_mode=mode,  # type: ignore[arg-type]  # checked by the client
        member_removal=removal,  # type: ignore[arg-type]
        trust_env=bool(getproxies()),
        on_event=note,
        ledger=True,
    )


def kind_of(resource: str) -> Literal["users", "groups"]:
    """Users or groups.

    Raises:
        ConfigurationError: It is neither.
    """
    if resource == "users":
        return "users"
    if resource == "groups":
        return "groups"
    msg = f"SCIM has users and groups, not {resource!r}."
    raise kb4_async.ConfigurationError(msg)


def list_resources(
    resource: Resource,
    max_items: Annotated[int | None, typer.Option(help="Most in all.", min=1)] = None,
    tenant_url: TenantUrl = None,
    limits: ScimLimits = None,
) -> None:
    """Print users or groups as JSON lines, as the server sends them."""

    async def work() -> int:
        kind = kind_of(resource)
        async with connect_scim(tenant_url, limits) as scim:
            found: kb4_async.ScimIterator[Any]
            found = aiter(scim.users.list()) if kind == "users" else aiter(scim.groups.list())
            count = 0
            async for each in found:
                print_bytes(to_json(each.served))
                count += 1
                if count == max_items:
                    break
        for lost in found.unreadable:
            write_line(f"kb4: left out, for {lost.reason}: {dict(lost.served)}")
        return INCOMPLETE if found.unreadable else COMPLETE

    raise typer.Exit(run(work))


def get(
    resource: Resource,
    who: Annotated[str, typer.Argument(help="An id, a userName, or a group's displayName.")],
    tenant_url: TenantUrl = None,
) -> None:
    """Print one user or group as a line of JSON."""

    async def work() -> None:
        kind = kind_of(resource)
        async with connect_scim(tenant_url) as scim:
            found: kb4_async.ScimUser | kb4_async.ScimGroup
            if kind == "users":
                found = await scim.users.get(who)
            else:
                named = await scim.groups.find(who)
                found = await scim.groups.get(who if named is None else named)
            print_bytes(to_json(found.served))

    run(work)


def ensure(
    resource: Resource,
    name: Annotated[str, typer.Argument(help="userName, or a group's displayName.")],
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="FIELD=VALUE of the user, as title=CISO; repeatable."),
    ] = None,
    clear: Annotated[
        list[str] | None, typer.Option(help="Field of the user to be emptied; repeatable.")
    ] = None,
    member: Annotated[
        list[str] | None,
        typer.Option(help="userName of a member; the group gets these and no others; repeatable."),
    ] = None,
    reactivate: Reactivate = False,
    tenant_url: TenantUrl = None,
    update_mode: Mode = "put",
    member_removal: Removal = "filter",
    json: Json = False,
) -> None:
    """Make sure of one user or group: create it, or change what differs. Can be run again."""

    async def work() -> kb4_async.ScimOutcome:
        kind = kind_of(resource)
        if kind == "groups" and (sets or clear or reactivate):
            msg = "A group has no fields to set: give --member, or nothing."
            raise kb4_async.ConfigurationError(msg)
        if kind == "users" and member:
            msg = "--member goes with groups, not with users."
            raise kb4_async.ConfigurationError(msg)
        fields = read_fields(sets or (), clear or ())
        async with connect_scim(tenant_url, mode=update_mode, removal=member_removal) as scim:
            if kind == "groups":
                group = (
                    kb4_async.DesiredGroup(name, tuple(member))
                    if member
                    else kb4_async.DesiredGroup(name)
                )
                return await scim.groups.ensure(group)
            if "user_name" in fields:  # another name: the user must be there
                return await scim.users.update(name, **fields)
            return await scim.users.ensure({"user_name": name, **fields}, reactivate=reactivate)

    raise typer.Exit(print_outcome(run(work), json=json))


def read_fields(sets: Sequence[str], clear: Sequence[str]) -> dict[str, Any]:
    """The fields of ``--set`` and ``--clear``.

    Raises:
        ConfigurationError: One is unknown, or no FIELD=VALUE.
    """
    fields: dict[str, Any] = {}
    for text in sets:
        name, equals, value = text.partition("=")
        if not equals:
            msg = f"--set takes FIELD=VALUE, as title=CISO, not {text!r}."
            raise kb4_async.ConfigurationError(msg)
        field = kb4_async.ScimUser.field_of(name)
        fields[field] = value
        if field == "active":
            flags = {"true": True, "false": False}
            if value.lower() not in flags:
                msg = f"active is true or false, not {value!r}."
                raise kb4_async.ConfigurationError(msg)
            fields[field] = flags[value.lower()]
    return fields | {kb4_async.ScimUser.field_of(name): None for name in clear}


def print_outcome(outcome: kb4_async.ScimOutcome, *, json: bool) -> int:
    """Print what became of it; return the exit code."""
    if json:
        print_bytes(to_json(outcome.to_json()))
    else:
        print_text(line_of(outcome))
    return COMPLETE if outcome.ok else INCOMPLETE


def line_of(outcome: kb4_async.ScimOutcome) -> str:
    """An outcome as a line for people."""
    parts = [str(change) for change in outcome.changes]
    if outcome.added or outcome.removed:
        parts.append(f"{len(outcome.added):,} added, {len(outcome.removed):,} removed")
    if outcome.unconfirmed:
        parts.append(f"accepted, but not shown: {', '.join(outcome.unconfirmed)}")
    if outcome.detail:
        parts.append(outcome.detail)
    said = f": {'; '.join(parts)}" if parts else ""
    return f"{outcome.result:<12} {outcome.kind:<8} {outcome.name}{said}\n"


def deactivate(
    who: Annotated[list[str], typer.Argument(help="userNames or ids.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    tenant_url: TenantUrl = None,
    limits: ScimLimits = None,
    json: Json = False,
) -> None:
    """Archive users. Several are looked up, shown and asked about first."""

    async def work() -> int:
        async with connect_scim(tenant_url, limits) as scim:
            if len(who) == 1:
                return print_outcome(await scim.users.deactivate(who[0]), json=json)
            users = [await scim.users.get(each) for each in who]
            # By id, each once: two may have one name, and the one that was named is meant.
            plan = leaving({str(user.id): user for user in users}, scim.address.base_url)
            write_line(f"users to deactivate: {len(plan.steps):,}")
            for step in plan.steps:
                write_line(f"  - {step.name} ({step.id})")
            confirm(f"Archive these {len(plan.steps):,} users?", yes=yes)
            # Of the caps only the number asked about is left.
            guard = kb4_async.ChangeGuard(max_deactivations=len(who), max_deactivation_percent=None)
            worst = COMPLETE
            async for outcome in kb4_async.ScimWriter(scim, guard=guard).apply(plan):
                worst = max(worst, print_outcome(outcome, json=json))
            return worst

    raise typer.Exit(run(work, interrupted=INTERRUPTED))


def leaving(users: Mapping[str, kb4_async.ScimUser], tenant_url: str) -> kb4_async.ScimPlan:
    """The plan that archives some users, by id. Whoever is archived already is found so again."""
    steps = tuple(
        kb4_async.PlannedChange(
            "deactivate_user",
            user.user_name,
            identity,
            (
                kb4_async.Change(
                    "active", None if user.active is kb4_async.UNSET else user.active, after=False
                ),
            ),
        )
        for identity, user in users.items()
    )
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return kb4_async.ScimPlan(tenant_url, created, steps=steps)


INTERRUPTED = "Interrupted. What was written stays written; run the same command again to go on."


def confirm(question: str, *, yes: bool) -> None:
    """Ask a person, unless told not to.

    Raises:
        ConfigurationError: Nobody is there to answer, or the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        msg = "Nobody is there to be asked: look at what is said above, then add --yes."
        raise kb4_async.ConfigurationError(msg)
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if os.read(sys.stdin.fileno(), 100).strip().lower() not in {b"y", b"yes"}:
        msg = "Nothing was written."
        raise kb4_async.ConfigurationError(msg)


def doctor(tenant_url: TenantUrl = None, json: Json = False) -> None:
    """Look at token, Tenant URL, users, groups, filter, limits and clock; at most six requests."""

    async def work() -> int:
        async with connect_scim(tenant_url) as scim:
            found = await kb4_async.diagnose_scim(scim)
        show(found, json=json)
        return COMPLETE if found.error is None else exit_code(found.error)

    raise typer.Exit(run(work))
