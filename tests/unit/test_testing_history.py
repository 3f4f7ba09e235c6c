from datetime import date, timedelta

import pytest

from kb4_async.testing import generate_account


def test_a_score_a_day_the_newest_last() -> None:
    account = generate_account(users=60, groups=40)
    rows = list(account.risk_history)
    days = [date.fromisoformat(row["date"]) for row in rows]
    assert len(rows) == 400
    assert days == [days[-1] - timedelta(days=back) for back in reversed(range(400))]
    assert all(list(row) == ["risk_score", "date"] for row in rows)
    assert all(0 <= row["risk_score"] <= 100 for row in rows)
    assert len({row["risk_score"] for row in rows}) > 100
    for histories, parents in (
        (account.group_histories, account.groups),
        (account.user_histories, account.users),
    ):
        assert list(histories) == [parent["id"] for parent in parents]
        assert len(histories) == len(parents)
        sizes = [len(history) for history in histories.values()]
        assert {0, 400} < set(sizes)
        assert sizes.count(400) > len(sizes) / 2
        newest = {history[-1]["date"] for history in histories.values() if len(history)}
        assert newest == {rows[-1]["date"]}
    assert account.group_histories[account.groups[0]["id"]][0] != rows[0]
    with pytest.raises(KeyError):
        account.user_histories[1]


@pytest.mark.parametrize("days", [0, 1, 1500])
def test_any_number_of_days(days: int) -> None:
    account = generate_account(users=5, history_days=days)
    assert len(account.risk_history) == days
    assert len(account.user_histories[account.users[0]["id"]]) == days


def test_histories_can_be_changed() -> None:
    account = generate_account(users=5, history_days=10)
    history = account.user_histories[account.users[0]["id"]]
    newest = history[-1]["date"]
    added = history.add(risk_score=1.5)
    assert date.fromisoformat(added["date"]) == date.fromisoformat(newest) + timedelta(days=1)
    history.update(newest, risk_score=2.5)
    assert [row["risk_score"] for row in history[-2:]] == [2.5, 1.5]
    history.delete(added["date"])
    assert len(history) == 10
    newcomer = account.add_user()
    assert len(account.user_histories[newcomer["id"]]) == 0
