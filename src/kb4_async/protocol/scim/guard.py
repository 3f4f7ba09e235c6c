"""``ChangeGuard``: what looks like a mistake is refused before the first write."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from kb4_async.errors import ChangeGuardError, ConfigurationError
from kb4_async.protocol.scim.checks import instant
from kb4_async.protocol.scim.names import fold
from kb4_async.protocol.scim.plan import ScimPlan

#: Below so many, per cents of users or memberships say nothing of creations and removals.
FEW = 50
#: Seconds by which two machines' clocks may differ.
CLOCKS = 300.0

EMPTY = (
    "The desired state has no users at all, which is more likely an empty or broken source than "
    "what is meant: mend the source."
)


def nobody(rejected: Sequence[str]) -> ChangeGuardError:
    """The error of a desired state without users, which says what became of them.

    Args:
        rejected: What of the users' input was left out, and why.
    """
    if not rejected:
        return ChangeGuardError(EMPTY)
    msg = (
        f"The desired state has no users at all: all {len(rejected):,} were left out, the first: "
        f"{rejected[0].rstrip('.')}. Mend the source."
    )
    return ChangeGuardError(msg, reasons=(msg, *rejected))


CAPS = (
    "max_deactivations",
    "max_deactivation_percent",
    "max_creations",
    "max_creation_percent",
    "max_blanked",
    "max_blanked_percent",
    "max_member_removals",
    "max_member_removal_percent",
    "max_age",
)


@dataclass(frozen=True, slots=True)
class ChangeGuard:
    """Caps on what one plan may do. None for a cap switches it off.

    Args:
        max_deactivations: Most users that are deactivated.
        max_deactivation_percent: The same, of the users active before.
        max_creations: Most users that are created or brought back.
        max_creation_percent: The same, of the users there before, where there are 50 or more.
        max_blanked: Most users of whom a field that holds something is emptied.
        max_blanked_percent: The same, of the users there before, where there are 50 or more.
        max_member_removals: Most memberships that end.
        max_member_removal_percent: The same, of the members that the wanted groups have, where
            there are 50 or more.
        protected: User names that are never deactivated.
        max_age: Seconds after which a plan is too old to be applied.
        allow_lookalikes: Let users be created that have the employee number or external id of one
            who is there under another name, and would probably be a second account of a person.

    Raises:
        ConfigurationError: A cap is negative.
    """

    max_deactivations: int | None = 50
    max_deactivation_percent: float | None = 5.0
    max_creations: int | None = 500
    max_creation_percent: float | None = 20.0
    max_blanked: int | None = 500
    max_blanked_percent: float | None = 20.0
    max_member_removals: int | None = 500
    max_member_removal_percent: float | None = 20.0
    protected: Collection[str] = frozenset()
    max_age: float | None = 86_400.0
    allow_lookalikes: bool = False

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if isinstance(self.protected, str):
            msg = "protected is a list of user names, not one text."
            raise ConfigurationError(msg)
        object.__setattr__(self, "protected", frozenset(map(fold, self.protected)))
        for name in CAPS:
            value = getattr(self, name)
            # NaN is no cap: it would let everything through.
            if value is not None and not value >= 0:
                msg = f"{name} is a number of 0 or more, or None, not {value!r}."
                raise ConfigurationError(msg)

    def protects(self, user_name: str) -> bool:
        """Whether a user is never deactivated."""
        return fold(user_name) in self.protected

    def reasons(self, plan: ScimPlan, now: datetime) -> tuple[str, ...]:
        """Why a plan is refused, one sentence each; empty if it is not.

        Args:
            plan: The plan.
            now: The present time, with a zone.
        """
        return tuple(self.find_reasons(plan, now))

    def check(self, plan: ScimPlan, now: datetime) -> None:
        """Refuse a plan that looks like a mistake.

        Raises:
            ChangeGuardError: With all reasons.
        """
        reasons = self.reasons(plan, now)
        if reasons:
            more = f" And {len(reasons) - 1} more: {' '.join(reasons[1:])}" if reasons[1:] else ""
            msg = f"Nothing was written. {reasons[0]}{more}"
            raise ChangeGuardError(msg, reasons=reasons)

    def find_reasons(self, plan: ScimPlan, now: datetime) -> Iterator[str]:
        """Look for everything that is wrong."""
        yield from self.find_age(plan, now)
        if plan.desired_users == 0:
            yield EMPTY
        gone = plan.count("deactivate_user")
        yield from capped(
            gone,
            "users to deactivate",
            (self.max_deactivations, "max_deactivations"),
            (self.max_deactivation_percent, "max_deactivation_percent"),
            (plan.active_before, "active users"),
        )
        yield from capped(
            plan.count("create_user", "reactivate_user"),
            "users to create or reactivate",
            (self.max_creations, "max_creations"),
            (self.max_creation_percent, "max_creation_percent"),
            (plan.users_before if plan.users_before >= FEW else 0, "users there"),
        )
        yield from capped(
            plan.blanked,
            "users with a field to empty",
            (self.max_blanked, "max_blanked"),
            (self.max_blanked_percent, "max_blanked_percent"),
            (plan.users_before if plan.users_before >= FEW else 0, "users there"),
        )
        before = plan.memberships_before
        yield from capped(
            plan.member_removals,
            "members to remove from groups",
            (self.max_member_removals, "max_member_removals"),
            (self.max_member_removal_percent, "max_member_removal_percent"),
            (before if before >= FEW else 0, "members there"),
        )
        for step in plan.steps:
            if step.operation == "deactivate_user" and self.protects(step.name):
                yield f"{step.name} is protected and would be deactivated: plan again."
        if plan.lookalikes and not self.allow_lookalikes:
            new, old = plan.lookalikes[0]
            yield (
                "users to create who look like one who is there under another name: "
                f"{len(plan.lookalikes):,} (the first: {new}, who may be {old}). Change the "
                "userName with 'kb4 scim ensure users OLD --set userName=NEW' (users.update), or "
                "pass --allow-lookalikes (allow_lookalikes=True)."
            )

    def find_age(self, plan: ScimPlan, now: datetime) -> Iterator[str]:
        """Look whether a plan is too old, or of the future."""
        made = instant(plan.created)
        if made is None:
            yield f"The plan does not say when it was made ({plan.created!r}): plan again."
            return
        age = (now - made).total_seconds()
        if self.max_age is not None and age > self.max_age:
            yield (
                f"The plan is {age / 3600:.1f} hours old, and {self.max_age / 3600:g} are allowed "
                "(max_age): plan again."
            )
        elif age < -CLOCKS:
            yield f"The plan was made in the future ({plan.created}): set the clock, or plan again."


def capped(
    number: int,
    what: str,
    most: tuple[int | None, str],
    percent: tuple[float | None, str],
    whole: tuple[int, str],
) -> Iterator[str]:
    """The reasons of one kind of change: too many, or too large a part.

    Args:
        number: How many.
        what: What they are.
        most: The cap by number, and its name.
        percent: The cap by per cent, and its name.
        whole: Of how many; 0 where a part says nothing.
    """
    cap, name = most
    if cap is not None and number > cap:
        yield f"{what}: {number:,}, and {cap:,} are allowed. Look why, or raise {option(name)}."
    part, name = percent
    of, people = whole
    if part is not None and of and number * 100 > part * of:
        yield (
            f"{what}: {number:,}, which is {number * 100 / of:.1f} % of {of:,} {people}, and "
            f"{part:g} % are allowed. Look why, or raise {option(name)}."
        )


def option(name: str) -> str:
    """A cap's name in the library and on the command line."""
    return f"{name} (--{name.replace('_', '-')})"
