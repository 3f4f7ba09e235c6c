"""``ScimWriter``: bulk changes that are planned, guarded, and only then applied."""

from __future__ import annotations

from collections.abc import AsyncIterable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, get_args

from kb4_async.errors import ConfigurationError
from kb4_async.protocol.scim.guard import ChangeGuard, nobody
from kb4_async.protocol.scim.plan import Missing, ScimPlan
from kb4_async.protocol.scim.users import ScimUser
from kb4_async.protocol.scim.verifying import Verification, Verifier
from kb4_async.scim.applying import Application, OutcomeIterator
from kb4_async.scim.client import ScimClient, check_choice
from kb4_async.scim.comparing import Comparison, Source, each


class ScimWriter:
    """Brings an account to what is wanted: ``plan``, ``apply``, ``verify``.

    Nothing is written by ``plan``. ``apply`` writes what a plan says and nothing else, after the
    guard has looked at it; it can be run again after any failure and finishes the rest.

    Args:
        scim: An open client.
        guard: What is refused; the defaults of ``ChangeGuard`` if left out.
        stop_after: Failures of the server in a row after which nothing more is written.
    """

    def __init__(
        self, scim: ScimClient, *, guard: ChangeGuard | None = None, stop_after: int = 10
    ) -> None:
        if stop_after < 1:
            msg = f"stop_after is at least 1, not {stop_after}."
            raise ConfigurationError(msg)
        self.scim = scim
        self.guard = guard or ChangeGuard()
        self.stop_after = stop_after

    async def plan(
        self,
        users: Source | None = None,
        groups: Source | None = None,
        *,
        missing: Missing = "report",
        reactivate: bool = False,
        ignore: Collection[str] = (),
    ) -> ScimPlan:
        """Compare what is wanted with what is there. Writes nothing.

        Users are matched by ``userName``. Fields that a wanted user does not name are left alone.
        What cannot be read is left out and named in ``rejected``, and while there is such a user
        nobody is deactivated for being missing.

        Requests: one for each 100 users there, one for each 100 groups, one for each wanted group
        whose members are wanted. Memory: about 2 kB for each wanted user, 300 bytes for each that
        is there.

        Args:
            users: ``ScimUser`` objects or mappings, from any (async) iterable, or ``read_users``;
                None to say nothing of users.
            groups: ``DesiredGroup`` objects or mappings, or ``read_groups``.
            missing: ``deactivate`` archives the active users that are not among ``users``;
                ``report`` only names them.
            reactivate: Bring archived users back that are wanted; KnowBe4 enrols them again in
                trainings that allow that. Otherwise they are named and left alone.
            ignore: Fields of ``ScimUser`` that are sent with new users and not compared later, for
                servers that do not show them.

        Raises:
            ChangeGuardError: ``users`` is empty, or all of it was left out; then the second of its
                ``reasons`` and all that follow say why.
            ConfigurationError: An argument makes no sense.
            IncompleteListingError: The server does not show all of its users or groups.
        """
        check_choice("missing", missing, get_args(Missing))
        if users is None and groups is None:
            msg = "Nothing is wanted: give users, groups, or both."
            raise ConfigurationError(msg)
        if missing == "deactivate" and users is None:
            msg = "missing='deactivate' needs users: without them everybody would be missing."
            raise ConfigurationError(msg)
        comparison = Comparison(
            self.scim,
            missing=missing,
            reactivate=reactivate,
            ignore=frozenset(map(ScimUser.field_of, ignore)),
            protected=frozenset(self.guard.protected),
        )
        plan = await comparison.plan(users, groups)
        if plan.desired_users == 0:
            raise nobody(comparison.planner.rejected)
        return plan

    def reasons(self, plan: ScimPlan) -> tuple[str, ...]:
        """Why ``apply`` would refuse a plan, one sentence each; empty if it would not."""
        wrong = wrong_tenant(plan, self.scim.address.base_url)
        return (*wrong, *self.guard.reasons(plan, datetime.now(UTC)))

    def apply(self, plan: ScimPlan) -> OutcomeIterator:
        """Write what a plan says: users, groups, members, and deactivations last.

        Each user is read before it is written: what is as wanted already is ``unchanged``, what is
        no longer as the plan saw it is a ``conflict``. The writing ends at once on 401 and 403, on
        a redirect, on a spent quota, and after ``stop_after`` failures of the server in a row.

        Requests: two for each user, and see ``plan.requests()``. ``max_concurrency`` of the client
        users at a time.

        Returns:
            An async iterator of outcomes; nothing is written before its first ``anext``, and
            leaving it stops the writing.

        Raises:
            ChangeGuardError: The guard refused, before the first write.
            ConfigurationError: The plan is of another tenant.
            AuthenticationError: From the iterator, as are all that follow: the token is not known.
            ServerError: The server failed too often.
        """
        for reason in wrong_tenant(plan, self.scim.address.base_url):
            raise ConfigurationError(reason)
        self.guard.check(plan, datetime.now(UTC))
        self.scim.source.check()
        return OutcomeIterator(Application(self.scim, plan, self.stop_after))

    async def verify(
        self,
        plan: ScimPlan,
        reported: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
    ) -> Verification:
        """Look whether a plan's users are in the account as the Reporting API shows it.

        SCIM accepts writes that the console does not show: in Test Mode for ever, otherwise until
        the next sync, up to 15 minutes. Members of groups are not looked at.

        Args:
            plan: A plan that was applied.
            reported: Users of the Reporting API: ``kb.users.list()``.
        """
        verifier = Verifier(plan)
        async for record in each(reported):
            verifier.take(record)
        return verifier.result()


def wrong_tenant(plan: ScimPlan, address: str) -> tuple[str, ...]:
    """What is to be said of a plan of another tenant."""
    if plan.tenant_url == address:
        return ()
    return (f"The plan is for {plan.tenant_url}, and this client is of {address}: plan again.",)
