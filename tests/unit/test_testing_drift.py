import random
from typing import Any

import pytest

from kb4_async.testing import (
    Account,
    DriftScript,
    Fault,
    FaultScript,
    LoggedRequest,
    delete_row,
    generate_account,
    insert_row,
    update_row,
)


def entry(path: str = "users", **query: str) -> LoggedRequest:
    return LoggedRequest(0, 0.0, "GET", path, query, {}, "k", 1)


def ids_of(account: Account) -> list[int]:
    return [user["id"] for user in account.users]


@pytest.fixture
def account() -> Account:
    return generate_account(users=9, groups=3)


def test_a_change_comes_after_the_nth_fitting_request(account: Account) -> None:
    drift = DriftScript()
    ran: list[int] = []
    rule = drift.add(lambda held: ran.append(len(held.users)), path="users", page=2, after=2)
    for number, request in enumerate(
        [
            entry(page="2"),
            entry(page="1"),
            entry("groups", page="2"),
            entry(cursor="abc"),
            entry(page="2"),
            entry(page="2"),
        ]
    ):
        drift.answered(request, account)
        assert rule.ran == len(ran) == (number >= 4)
    assert ran == [9]
    assert rule.seen == 2


@pytest.mark.parametrize(("times", "ran"), [(1, 1), (3, 3), (None, 6)])
def test_a_change_comes_as_often_as_is_said(account: Account, times: int | None, ran: int) -> None:
    drift = DriftScript()
    rule = drift.add(delete_row("users", "end"), times=times, after=2)
    for _ in range(7):
        drift.answered(entry(), account)
    assert rule.ran == ran
    assert len(account.users) == 9 - ran


def test_all_rules_run_in_order_until_cleared(account: Account) -> None:
    drift = DriftScript()
    drift.add(update_row("users", 0, first_name="one"), times=None)
    drift.add(update_row("users", 0, first_name="two"), where=lambda each: each.page == 3)
    drift.answered(entry(page="1"), account)
    assert account.users[0]["first_name"] == "one"
    drift.answered(entry(page="3"), account)
    assert account.users[0]["first_name"] == "two"
    drift.clear()
    drift.answered(entry(page="3"), account)
    assert account.users[0]["first_name"] == "two"


@pytest.mark.parametrize(("place", "number"), [("front", 0), ("middle", 4), ("end", 8), (3, 3)])
def test_where_rows_go_and_change(account: Account, place: Any, number: int) -> None:
    ids = ids_of(account)
    update_row("users", place, email="new@example.test")(account)
    emails = [user["email"] == "new@example.test" for user in account.users]
    assert emails == [each == number for each in range(9)]
    delete_row("users", place)(account)
    assert ids_of(account) == ids[:number] + ids[number + 1 :]


@pytest.mark.parametrize(
    ("place", "number"), [("front", 0), ("middle", 4), ("end", 9), (3, 3), (9, 9)]
)
def test_where_rows_come(account: Account, place: Any, number: int) -> None:
    ids = ids_of(account)
    insert_row("users", place, status="archived")(account)
    assert ids_of(account) == [*ids[:number], max(ids) + 7, *ids[number:]]
    assert account.users[number]["status"] == "archived"


def test_rows_of_any_table_can_change(account: Account) -> None:
    test_id = account.security_tests[0]["pst_id"]
    rows = account.recipients[test_id]
    before = len(rows)
    insert_row(lambda held: held.recipients[test_id], "middle")(account)
    insert_row(lambda held: held.recipients[test_id])(account)
    delete_row(lambda held: held.recipients[test_id], "end")(account)
    assert len(rows) == account.security_tests[0]["scheduled_count"] == before + 1
    with pytest.raises(TypeError, match="no table"):
        delete_row("members")(account)


def test_a_fault_for_a_page_is_not_for_a_cursor() -> None:
    faults, chance = FaultScript(7), random.Random(7)
    first = faults.add(Fault.status(500), page=1, times=None)
    second = faults.add(Fault.status(500), page=2, times=None)
    for request, plays in (
        (entry(), True),
        (entry(page="1"), True),
        (entry(cursor="true"), True),
        (entry(cursor="0"), True),
        (entry(cursor="abc"), False),
        (entry(page="2"), False),
    ):
        assert first.plays(request, chance) == plays
    assert second.plays(entry(page="2"), chance)
    assert not second.plays(entry(cursor="2"), chance)
