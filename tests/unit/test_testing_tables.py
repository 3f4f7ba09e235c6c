from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kb4_async.testing import generate_account
from kb4_async.testing.tables import Table
from kb4_async.testing.words import moment

# A busy machine is no defect.
unhurried = settings(deadline=None)
ids = st.integers(0, 12)
places = st.one_of(st.none(), st.integers(0, 12))
steps = st.lists(st.tuples(st.sampled_from(["delete", "insert", "add", "update"]), ids, places))


def table(size: int) -> Table:
    return Table(size, lambda origin: {"id": origin, "made": True}, key="id")


@unhurried
@given(st.integers(0, 8), steps)
def test_a_table_changes_as_a_plain_list_does(size: int, changes: list[Any]) -> None:
    rows = table(size)
    plain: list[dict[str, Any]] = [{"id": origin, "made": True} for origin in range(size)]
    for number, (what, key, place) in enumerate(changes):
        spot = len(plain) if place is None else place
        last = next((row for row in reversed(plain) if row["id"] == key), None)
        rows.find(key)  # what was looked up before must not be believed afterwards
        if what == "insert":
            new = {"id": key, "number": number}
            assert rows.insert(new, place=place) == new
            plain.insert(spot, new)
        elif what == "add":
            added = rows.add(place=place, number=number)
            assert added["id"] > max((row["id"] for row in plain), default=0)
            plain.insert(spot, added)
        elif last is None:
            with pytest.raises(KeyError):
                rows.delete(key)
            continue
        elif len([row for row in plain if row["id"] == key]) == 1:
            index = plain.index(last)
            if what == "delete":
                assert rows.delete(key) == plain.pop(index)
            else:
                plain[index] = {**last, "number": -number}
                assert rows.update(key, number=-number) == plain[index]
        assert list(rows) == plain
        assert [rows.key_at(each) for each in range(len(rows))] == [row["id"] for row in plain]
        for each in range(13):
            same = [row for row in plain if row["id"] == each]
            assert rows.find(each) == (same[-1] if same else None)


def test_a_key_that_is_there_twice_stays_when_one_goes() -> None:
    rows = table(3)
    rows.insert({"id": 1, "copy": True})
    assert rows.find(1) == {"id": 1, "copy": True}
    rows.delete(1)
    assert rows.find(1) == {"id": 1, "made": True}
    rows.delete(1)
    assert rows.find(1) is None
    assert [row["id"] for row in rows] == [0, 2]


def test_a_changed_key_is_found_under_its_new_value() -> None:
    rows = table(3)
    assert rows.find(1) is not None
    rows.update(1, id=9)
    assert rows.find(1) is None
    assert rows.find(9) == {"id": 9, "made": True}


def test_every_change_counts_for_the_account_too() -> None:
    account = generate_account(users=20, groups=3)
    versions = [account.version]
    user_id = account.users[0]["id"]
    changes: list[Callable[[], object]] = [
        lambda: account.users.update(user_id, email=None),
        account.user_histories[user_id].add,
        account.recipients[account.security_tests[0]["pst_id"]].add,
        lambda: account.risk_history.delete(account.risk_history[0]["date"]),
        account.policies.add,
        lambda: account.users.delete(user_id),
    ]
    for change in changes:
        change()
        versions.append(account.version)
    assert versions == sorted(set(versions))


@unhurried
@given(st.integers(0, 2**64 - 1), st.integers(0, 10**6))
def test_times_are_those_of_the_calendar(bits: int, after: int) -> None:
    seconds = bits % (6 * 365 * 86_400) + after
    at = datetime(2019, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    assert moment(bits, after=after) == at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
