"""Planning without a server: who is created, changed, left alone, and what the guard says of it."""

import asyncio
import dataclasses
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb4_async.errors import ChangeGuardError, ConfigurationError
from kb4_async.protocol.scim.changes import Change
from kb4_async.protocol.scim.groups import DesiredGroup
from kb4_async.protocol.scim.guard import ChangeGuard
from kb4_async.protocol.scim.plan import PlannedChange, PlannedMember, ScimPlan
from kb4_async.protocol.scim.planning import Planner
from kb4_async.protocol.scim.users import ScimUser
from kb4_async.protocol.scim.verifying import Verifier
from kb4_async.scim.client import ScimClient
from kb4_async.scim.comparing import BREATH, Comparison
from kb4_async.scim.writer import ScimWriter

T = TypeVar("T")

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
MADE = "2026-11-24T07:00:00Z"


def planned(
    wanted: list[ScimUser], there: list[ScimUser], **options: Any
) -> tuple[dict[str, str], Planner]:
    """What would be done to whom."""
    planner = Planner(**options)
    for place, user in enumerate(wanted):
        planner.want(user, f"item {place}")
    for number, user in enumerate(there):
        planner.there(dataclasses.replace(user, id=user.id or f"id-{number}"))
    return {step.name: step.operation for step in said(planner.user_steps())}, planner


def said(source: Iterable[T | None]) -> list[T]:
    """What a planner says, without the pauses."""
    return [each for each in source if each is not None]


def user(name: str, **more: Any) -> ScimUser:
    return ScimUser(f"{name}@example.test", **more)


def plan(steps: int = 0, operation: Any = "deactivate_user", **more: Any) -> ScimPlan:
    made = tuple(PlannedChange(operation, f"u{n}@example.test", str(n)) for n in range(steps))
    known: dict[str, Any] = {"users_before": 1000, "active_before": 1000, "desired_users": 1}
    return ScimPlan("http://h", MADE, **{**known, "steps": made, **more})


# -- who is what -------------------------------------------------------------------------------


def test_each_kind_of_user_is_planned_for() -> None:
    steps, planner = planned(
        [
            user("new"),
            user("SAME", title="T"),
            user("other", title="T"),
            user("leaver", active=False),
            user("gone", active=False),
            user("archived"),
            user("nobody", active=False),
        ],
        [
            user("same", title="T"),
            user("other", title="X"),
            user("leaver", active=True),
            user("gone", active=False),
            user("archived", active=False),
            user("stranger", active=True),
            user("old", active=False),
        ],
    )

    assert steps == {
        "new@example.test": "create_user",
        "other@example.test": "update_user",
        "leaver@example.test": "deactivate_user",
    }
    assert said(planner.archived()) == ["archived@example.test"]
    assert [each.name for each in said(planner.unmatched())] == ["stranger@example.test"]


def test_missing_users_are_deactivated_only_when_asked_and_never_protected_ones() -> None:
    there = [user("a", active=True), user("b", active=True), user("c", active=False)]
    steps, planner = planned(
        [user("new")], there, missing="deactivate", protected={"b@example.test"}
    )

    assert steps == {"new@example.test": "create_user", "a@example.test": "deactivate_user"}
    assert [each.name for each in said(planner.unmatched())] == ["b@example.test"]


def test_nobody_is_missing_while_something_of_the_source_could_not_be_read() -> None:
    planner = Planner(missing="deactivate")
    planner.want(user("a"), "item 1")
    planner.reject("line 3 (b@example.test): broken", "B@example.test")
    for name in ("a", "b", "c"):
        planner.there(user(name, id=name, active=True))

    assert said(planner.user_steps()) == []
    # Whoever is named in the broken line is wanted, after all.
    assert [each.name for each in said(planner.unmatched())] == ["c@example.test"]
    assert any("nobody who is missing is deactivated" in note for note in planner.notes())


def test_an_archived_user_comes_back_only_when_asked() -> None:
    there = [user("a", active=False, title="X")]

    assert planned([user("a", title="T")], there)[0] == {}
    steps, planner = planned([user("a", title="T")], there, reactivate=True)
    assert steps == {"a@example.test": "reactivate_user"}
    (step,) = said(planner.user_steps())
    assert step.changes == (Change("active", False, True), Change("title", "X", "T"))


def test_nobody_is_brought_back_unasked_of_whom_the_server_does_not_show_the_state() -> None:
    there = [user("a", title="X"), user("b")]
    wanted = [user("a", title="T", active=True), user("b", active=True)]
    steps, planner = planned(wanted, there)
    assert steps == {"a@example.test": "update_user"}
    (step,) = said(planner.user_steps())
    assert step.changes == (Change("title", "X", "T"),)
    assert any("does not show whether" in note and "2 are" in note for note in planner.notes())
    # Asked for, it counts as bringing back, of which the guard allows so many.
    steps, planner = planned(wanted, there, reactivate=True)
    assert set(steps.values()) == {"reactivate_user"}
    assert not any("does not show whether" in note for note in planner.notes())
    # And whoever is not wanted so is left alone.
    assert planned([user("b")], there, reactivate=True)[0] == {}


def test_a_line_that_ends_a_protected_user_is_told() -> None:
    names = "abcdefg"
    steps, planner = planned(
        [user(name, active=False) for name in names],
        [user(name, active=True) for name in names],
        protected={f"{name}@example.test" for name in names},
    )
    assert steps == {}
    notes = list(planner.notes())
    assert "a@example.test is protected: not deactivated, though the input says so" in notes
    assert "so are 2 more whom the input wants deactivated" in notes


def test_of_two_spellings_the_exact_one_is_meant() -> None:
    there = [user("A", id="1", title="X"), user("a", id="2", title="Y")]
    for order in (there, there[::-1]):
        _, planner = planned([user("a", title="T")], order)
        (step,) = said(planner.user_steps())
        assert step.id == "2"
        assert planner.ids["a@example.test"] == "2"


def test_two_of_one_name_are_left_alone_and_said() -> None:
    there = [user("a", id="1", title="X"), user("a", id="2", title="X")]
    steps, planner = planned([user("a", title="T")], there)

    assert steps == {}
    assert any("(ids 1, 2)" in note for note in planner.notes())


def test_the_second_line_of_one_user_is_left_out() -> None:
    steps, planner = planned([user("a", title="1"), user("A", title="2")], [])

    assert steps == {"a@example.test": "create_user"}
    assert planner.rejected == ["item 1 (A@example.test): another one has that userName"]


def test_a_new_user_with_the_number_of_one_who_is_there_is_a_lookalike() -> None:
    there = [user("old", employee_number="7", active=True), user("x", external_id="e", active=True)]
    _, planner = planned([user("new", employee_number="7"), user("y", external_id="e")], there)

    assert said(planner.lookalikes()) == [
        ("new@example.test", "old@example.test"),
        ("y@example.test", "x@example.test"),
    ]
    _, planner = planned([user("new", employee_number="7"), user("old")], there)
    assert said(planner.lookalikes()) == []


@given(
    st.lists(st.sampled_from("abcdefgh"), unique=True),
    st.dictionaries(st.sampled_from("abcdefgh"), st.booleans()),
    st.booleans(),
)
def test_afterwards_everybody_wanted_is_there_and_nobody_else_is_touched(
    wanted: list[str], there: dict[str, bool], deactivate: bool
) -> None:
    steps, planner = planned(
        [user(name, title="T") for name in wanted],
        [user(name, active=active) for name, active in there.items()],
        missing="deactivate" if deactivate else "report",
    )
    left = {each.name[0] for each in said(planner.unmatched())}
    archived = {name[0] for name in said(planner.archived())}

    made = {name[0] for name, operation in steps.items() if operation == "create_user"}
    gone = {name[0] for name, operation in steps.items() if operation == "deactivate_user"}
    assert made == set(wanted) - set(there)
    assert archived == {name for name in wanted if there.get(name) is False}
    strangers = {name for name, active in there.items() if active} - set(wanted)
    assert (gone, left) == ((strangers, set()) if deactivate else (set(), strangers))


# -- the event loop ----------------------------------------------------------------------------


async def test_the_loop_breathes_while_everybody_is_gone_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who is new, who is not wanted, who looks like whom, and the order: each in steps."""
    count, breaths = 2000, 0
    begun: list[int] = []

    async def read_users(self: Comparison) -> None:
        for number in range(count):
            self.planner.there(user(f"there{number}", id=str(number), active=True))
        begun.append(breaths)

    async def breathe() -> None:
        nonlocal breaths
        while True:
            breaths += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(Comparison, "read_users", read_users)
    task = asyncio.create_task(breathe())
    async with ScimClient("t", tenant_url="http://127.0.0.1:9/scim/v2") as scim:
        found = await ScimWriter(scim).plan([user(f"new{n}") for n in range(count)])
    task.cancel()
    assert (len(found.steps), len(found.unmatched)) == (count, count)
    assert breaths - begun[0] >= 4 * count // BREATH


# -- members -----------------------------------------------------------------------------------


def members(group: DesiredGroup, *there: str, **options: Any) -> tuple[Any, list[str]]:
    _, planner = planned([user("new")], [user(name, id=name) for name in ("a", "b", "c")])
    return planner.member_step(group, "g", there, **options)


def test_members_are_added_and_removed() -> None:
    wanted = DesiredGroup("G", ("A@example.test", "new@example.test", "a@example.test"))
    step, nobody = members(wanted, "b", "unknown id")

    assert step.add == (
        PlannedMember("a@example.test", "a"),
        PlannedMember("new@example.test"),
    )
    assert step.remove == (
        PlannedMember("b@example.test", "b"),
        PlannedMember("unknown id", "unknown id"),
    )
    assert nobody == []


def test_nobody_is_removed_while_a_member_is_not_known() -> None:
    step, nobody = members(DesiredGroup("G", ("a@example.test", "typo@example.test")), "b")
    assert (step.add, step.remove, nobody) == (
        (PlannedMember("a@example.test", "a"),),
        (),
        ["typo@example.test"],
    )
    assert members(DesiredGroup("G", ("a@example.test",)), "a", "b", doubtful=True) == (None, [])


def test_members_that_are_not_named_are_left_alone() -> None:
    assert members(DesiredGroup("G"), "a", "b") == (None, [])


# -- the guard ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "operation", "guard", "refused"),
    [
        (50, "deactivate_user", ChangeGuard(), False),
        (51, "deactivate_user", ChangeGuard(), True),
        (51, "deactivate_user", ChangeGuard(max_deactivations=None), True),  # 5.1 %
        (
            51,
            "deactivate_user",
            ChangeGuard(max_deactivations=51, max_deactivation_percent=6),
            False,
        ),
        (1, "deactivate_user", ChangeGuard(max_deactivations=0), True),
        (200, "create_user", ChangeGuard(), False),
        (201, "create_user", ChangeGuard(), True),
        (201, "reactivate_user", ChangeGuard(), True),
        (900, "update_user", ChangeGuard(), False),
    ],
)
def test_caps(steps: int, operation: str, guard: ChangeGuard, refused: bool) -> None:
    assert bool(guard.reasons(plan(steps, operation), NOW)) is refused


def test_a_part_of_few_users_is_a_part_nevertheless_where_they_would_be_lost() -> None:
    few: dict[str, Any] = {"users_before": 10, "active_before": 10}
    assert ChangeGuard().reasons(plan(1, **few), NOW) != ()
    assert ChangeGuard().reasons(plan(9, "create_user", **few), NOW) == ()


def test_members_and_emptied_fields_are_capped_too() -> None:
    gone = tuple(PlannedMember(str(n), str(n)) for n in range(30))
    steps = (PlannedChange("change_members", "G", "g", remove=gone),)
    found = plan(steps=0, memberships_before=100)
    found = dataclasses.replace(found, steps=steps)
    (reason,) = ChangeGuard().reasons(found, NOW)
    assert "members to remove from groups: 30, which is 30.0 % of 100" in reason
    blank = tuple(
        PlannedChange("update_user", f"u{n}", str(n), (Change("title", "T", None),))
        for n in range(201)
    )
    (reason,) = ChangeGuard().reasons(dataclasses.replace(found, steps=blank), NOW)
    assert "users with a field to empty: 201" in reason


def test_an_empty_desired_state_is_refused() -> None:
    (reason,) = ChangeGuard().reasons(plan(desired_users=0), NOW)
    assert reason.startswith("The desired state has no users at all")
    assert ChangeGuard().reasons(plan(desired_users=None), NOW) == ()


def test_protected_users_and_lookalikes() -> None:
    guard = ChangeGuard(protected=["U0@EXAMPLE.TEST"])
    assert "u0@example.test is protected" in guard.reasons(plan(1), NOW)[0]
    double = plan(lookalikes=(("new", "old"),))
    assert "(the first: new, who may be old)" in ChangeGuard().reasons(double, NOW)[0]
    assert ChangeGuard(allow_lookalikes=True).reasons(double, NOW) == ()


@pytest.mark.parametrize(
    ("age", "said"), [(timedelta(hours=25), "24 are allowed"), (-timedelta(hours=1), "future")]
)
def test_a_plan_of_another_day_is_refused(age: timedelta, said: str) -> None:
    (reason,) = ChangeGuard().reasons(plan(), datetime(2026, 11, 24, 7, tzinfo=UTC) + age)
    assert said in reason
    assert ChangeGuard().reasons(dataclasses.replace(plan(), created="soon"), NOW) != ()


def test_the_error_holds_every_reason() -> None:
    with pytest.raises(ChangeGuardError) as caught:
        ChangeGuard().check(plan(1000), NOW)
    assert str(caught.value).startswith("Nothing was written. users to deactivate: 1,000")
    assert len(caught.value.reasons) == 2


@pytest.mark.parametrize(
    "wrong", [{"max_deactivations": -1}, {"max_creation_percent": float("nan")}, {"protected": "a"}]
)
def test_a_guard_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        ChangeGuard(**wrong)


# -- the file ----------------------------------------------------------------------------------

CHANGES = (Change("title", None, "T"), Change("active", True, False), Change("x", {"a": [1]}, []))
WHOLE = plan(
    steps=0,
    unmatched=(),
    notes=("n",),
    lookalikes=(("a", "b"),),
)
WHOLE = dataclasses.replace(
    WHOLE,
    steps=(
        PlannedChange("update_user", 'ä"\\🚀@x', "1", CHANGES),
        PlannedChange("create_user", "n@x", resource={"userName": "n@x", "emails": [{"a": 1}]}),
        PlannedChange("change_members", "G", "g", add=(PlannedMember("a"),)),
    ),
)


def test_a_plan_survives_its_file() -> None:
    assert ScimPlan.from_json(WHOLE.to_json()) == WHOLE


@given(st.data())
def test_a_plan_changed_anywhere_is_refused_or_the_same(data: st.DataObject) -> None:
    text = bytearray(WHOLE.to_json())
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] = data.draw(st.integers(0, 255))
    try:
        found = ScimPlan.from_json(bytes(text))
    except ConfigurationError:
        return
    assert found == WHOLE


@pytest.mark.parametrize(
    "wrong", [b"", b"[]", b"{}", b"x", json.dumps({"format": "kb4_async SCIM plan"}).encode()]
)
def test_what_is_no_plan_is_refused_in_one_sentence(wrong: bytes) -> None:
    with pytest.raises(ConfigurationError, match="This"):
        ScimPlan.from_json(wrong)


def test_a_plan_can_be_read() -> None:
    text = WHOLE.describe()
    assert "users to update: 1" in text
    assert "title: nothing -> 'T'" in text
    assert "G: 1 to add, 0 to remove" in text
    assert "Note: n" in text
    assert "and 30 more" in plan(50).describe()


# -- verifying ---------------------------------------------------------------------------------

RECORD = {"email": "A@example.test", "status": "active", "job_title": "T", "location": None}


@pytest.mark.parametrize(
    ("step", "record", "pending"),
    [
        (PlannedChange("update_user", "a@example.test", "1", CHANGES[:1]), RECORD, ""),
        (
            PlannedChange("update_user", "a@example.test", "1", (Change("title", "T", "U"),)),
            RECORD,
            "title",
        ),
        (PlannedChange("deactivate_user", "a@example.test", "1", CHANGES[1:2]), RECORD, "active"),
        (
            PlannedChange("deactivate_user", "a@example.test", "1", CHANGES[1:2]),
            {**RECORD, "status": "archived"},
            "",
        ),
        (
            PlannedChange("create_user", "a@example.test", resource={"userName": "a@example.test"}),
            RECORD,
            "",
        ),
        (
            PlannedChange("create_user", "b@example.test", resource={"userName": "b@x"}),
            RECORD,
            "the user",
        ),
    ],
)
def test_what_the_reporting_api_shows(
    step: PlannedChange, record: dict[str, Any], pending: str
) -> None:
    verifier = Verifier(dataclasses.replace(plan(), steps=(step,)))
    verifier.take(record)
    found = verifier.result()

    assert [each.what for each in found.pending] == ([pending] if pending else [])
    assert found.complete is not bool(pending)
    assert ("Test Mode" in found.advice) is bool(pending)
