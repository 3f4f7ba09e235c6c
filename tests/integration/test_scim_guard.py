"""A source that is empty, cut off or broken takes nobody away."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from support.scim_clients import WRITES, applied, client_of

from kb4_async import ChangeGuard, ChangeGuardError, Rejected, ScimUser, ScimWriter
from kb4_async.testing import Account, LoggedRequest, Simulator, generate_account

pytestmark = pytest.mark.usefixtures("scaled_up")

FREE = ChangeGuard(
    max_deactivation_percent=None, max_creation_percent=None, max_member_removal_percent=None
)


@asynccontextmanager
async def guarded(
    guard: ChangeGuard, users: int = 60
) -> AsyncIterator[tuple[Simulator, ScimWriter]]:
    account = generate_account(users=users, groups=3, enrollments=0)
    async with Simulator(account, limits=()) as sim, client_of(sim) as scim:
        yield sim, ScimWriter(scim, guard=guard)


def active(account: Account) -> list[str]:
    """The names of all who are, each once."""
    found = (user["email"] for user in account.users if user["status"] == "active")
    return list({str(name).casefold(): str(name) for name in found if name}.values())


def written(sim: Simulator) -> list[LoggedRequest]:
    return [entry for entry in sim.log if entry.method in WRITES]


def archived(account: Account) -> set[str]:
    return {str(user["email"]) for user in account.users if user["status"] == "archived"}


@pytest.mark.parametrize("missing", ["report", "deactivate"])
async def test_an_empty_source_is_refused(missing: Any) -> None:
    async with guarded(ChangeGuard()) as (sim, writer):
        with pytest.raises(ChangeGuardError, match="no users at all"):
            await writer.plan([], missing=missing)
        assert written(sim) == []


async def test_a_source_of_which_nothing_can_be_used_says_why() -> None:
    async with guarded(ChangeGuard()) as (_, writer):
        with pytest.raises(
            ChangeGuardError, match="all 2 were left out, the first: item 1"
        ) as caught:
            await writer.plan([{"userName": "a@example.com", "titel": "x"}, {"title": "y"}])
        assert "is it 'title'?" in str(caught.value)
        assert [reason[:6] for reason in caught.value.reasons[1:]] == ["item 1", "item 2"]


@pytest.mark.parametrize("users", [60, 1200])
async def test_a_truncated_source(users: int) -> None:
    """Whatever is cut off its end: either the guard refuses, or it is within the caps, by design:
    at most 50 users and 5 %."""
    async with guarded(ChangeGuard(), users) as (sim, writer):
        names = active(sim.account)
        verdicts = set()
        places = [*range(1, len(names), len(names) // 12), *range(len(names) - 3, len(names) + 1)]
        for kept in places:
            plan = await writer.plan(map(ScimUser, names[:kept]), missing="deactivate")
            gone, before = plan.count("deactivate_user"), plan.active_before
            assert gone >= len(names) - kept  # names that are there twice go twice
            refused = bool(writer.reasons(plan))
            assert refused is (gone > 50 or gone * 100 > 5 * before)
            if refused:
                with pytest.raises(ChangeGuardError):
                    writer.apply(plan)
            verdicts.add(refused)
        assert verdicts == {True, False}
        assert written(sim) == []


@pytest.mark.parametrize("kept", [1, 30, 54, 55])
async def test_a_source_with_a_rejected_line_deactivates_nobody_missing(kept: int) -> None:
    """Also without any cap: whoever is missing may be the line that could not be read."""
    guard = replace(FREE, max_deactivations=None)
    broken: list[Any] = [
        Rejected("line 7", "it ends early", "x@example.com"),
        {"userName": "y@example.com", "active": "perhaps"},
        {"title": "nobody"},
    ]
    async with guarded(guard) as (sim, writer):
        before = archived(sim.account)
        for line in broken:
            users = [*map(ScimUser, active(sim.account)[:kept]), line]
            plan = await writer.plan(users, missing="deactivate")
            assert len(plan.rejected) == 1
            assert plan.count("deactivate_user") == 0
            await applied(writer, plan)
        assert archived(sim.account) == before
        assert written(sim) == []


async def test_a_report_deactivates_nobody() -> None:
    guard = replace(FREE, max_deactivations=None)
    async with guarded(guard) as (sim, writer):
        before = archived(sim.account)
        plan = await writer.plan([ScimUser(active(sim.account)[0])])
        assert plan.steps == ()
        assert len(plan.unmatched) == len(active(sim.account)) - 1
        assert await applied(writer, plan) == []
        assert (archived(sim.account), written(sim)) == (before, [])


async def test_protected_users_stay() -> None:
    async with guarded(FREE) as (sim, writer):
        names = active(sim.account)
        writer.guard = replace(FREE, max_deactivations=None, protected=[names[1].upper()])
        plan = await writer.plan([ScimUser(names[0])], missing="deactivate")
        assert plan.count("deactivate_user") == len(names) - 2
        await applied(writer, plan)
        assert active(sim.account) == names[:2]
        # A plan that was made without the protection is refused as a whole.
        again = replace(plan, steps=tuple(replace(s, name=names[1]) for s in plan.steps[:1]))
        with pytest.raises(ChangeGuardError, match="protected"):
            writer.apply(again)
        archives = await writer.plan([ScimUser(names[0]), ScimUser(names[1], active=False)])
        assert archives.steps == ()
