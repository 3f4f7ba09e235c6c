"""Whether what SCIM accepted is what the Reporting API shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kb4_async.protocol.scim.changes import Change, jsonable_or_none, same, short
from kb4_async.protocol.scim.names import fold
from kb4_async.protocol.scim.plan import PlannedChange, ScimPlan
from kb4_async.protocol.scim.schema import ACTIVE, BY_FIELD, BY_NAME
from kb4_async.protocol.scim.users import ScimUser

#: Which field of the Reporting API's user shows which field of SCIM's, where one does.
SHOWN_AS: Mapping[str, str] = {
    "user_name": "email",
    "given_name": "first_name",
    "family_name": "last_name",
    "title": "job_title",
    "display_name": "manager_name",
    "manager": "manager_email",
    "work_address": "location",
    "work_phone": "phone_number",
    "mobile_phone": "mobile_phone_number",
    "employee_number": "employee_number",
    "department": "department",
    "division": "division",
    "organization": "organization",
    "custom_field_1": "custom_field_1",
    "custom_field_2": "custom_field_2",
    "custom_field_3": "custom_field_3",
    "custom_field_4": "custom_field_4",
}

#: KnowBe4 takes over what SCIM accepted within so many minutes.
SYNC_MINUTES = 15


@dataclass(frozen=True, slots=True)
class Pending:
    """A user that the Reporting API does not show as it was written.

    Attributes:
        name: ``userName``.
        what: What is missing or differs.
    """

    name: str
    what: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What the Reporting API shows of an applied plan.

    Attributes:
        confirmed: Users that it shows as they were written.
        pending: Users that it does not.
        advice: What to do, in a sentence; empty where all are confirmed.
    """

    confirmed: int
    pending: tuple[Pending, ...]
    advice: str = ""

    @property
    def complete(self) -> bool:
        """Whether everything is confirmed."""
        return not self.pending


@dataclass(slots=True)
class Verifier:
    """Takes users of the Reporting API and compares them with a plan's.

    Attributes:
        plan: The plan.
        steps: Its steps of users, by folded name.
        pending: Users seen so far that differ.
        confirmed: How many do not.
    """

    plan: ScimPlan
    steps: dict[str, PlannedChange] = field(init=False)
    pending: list[Pending] = field(default_factory=list)
    confirmed: int = 0

    def __post_init__(self) -> None:
        """Find the steps by the name that the user has afterwards."""
        self.steps = {
            new_name(step): step
            for step in self.plan.steps
            if step.operation not in {"create_group", "change_members"}
        }

    def take(self, record: Mapping[str, Any]) -> None:
        """Compare a user of the Reporting API."""
        step = self.steps.pop(fold(str(record.get("email") or "")), None)
        if step is None:
            return
        wrong = [each for each in expected(step) if not shows(record, each)]
        if wrong:
            self.pending.append(Pending(step.name, ", ".join(short(w.attribute) for w in wrong)))
        else:
            self.confirmed += 1

    def result(self) -> Verification:
        """What came out; whoever was not seen is pending."""
        unseen = [Pending(step.name, "the user") for step in self.steps.values()]
        pending = (*self.pending, *unseen)
        advice = ""
        if pending:
            advice = (
                f"KnowBe4 takes over what SCIM accepted within {SYNC_MINUTES} minutes: look again "
                "then, or press Force Sync Now in the console."
            )
            if not self.confirmed:
                advice += (
                    " If nothing is confirmed after that, Test Mode is on: it accepts everything "
                    "and changes nothing."
                )
        return Verification(self.confirmed, pending, advice)


def new_name(step: PlannedChange) -> str:
    """The folded userName that a user has after a step."""
    renamed = next((c.after for c in step.changes if c.attribute == "userName"), None)
    return fold(str(renamed or step.name))


def expected(step: PlannedChange) -> list[Change]:
    """What a step makes of a user."""
    if step.operation != "create_user":
        return list(step.changes)
    user = ScimUser.of(step.resource)
    made = [
        Change(BY_FIELD[name].name, None, jsonable_or_none(value))
        for name, value in user.named.items()
        if name != "email"
    ]
    return [*made, Change(ACTIVE.name, None, after=user.active is not False)]


def shows(record: Mapping[str, Any], change: Change) -> bool:
    """Whether a record shows a change, or has no field for it."""
    if change.attribute == ACTIVE.name:
        return (record.get("status") == "archived") is (change.after is False)
    attribute = BY_NAME.get(change.attribute.lower())
    if attribute is None or attribute.field not in SHOWN_AS:
        return True
    return same(attribute, record.get(SHOWN_AS[attribute.field]) or None, change.after)
