from datetime import date
from typing import Any, TypeAlias

import orjson
import pytest

from kb4_async.testing import Account, PagingRules, generate_account
from kb4_async.testing.answers import Answer, Answers
from kb4_async.testing.routes import ROUTES

Record: TypeAlias = dict[str, Any]

ORDINARY: Record = {}
CALLBACK: Record = {"campaign_type": "callback"}


@pytest.fixture(scope="module")
def account() -> Account:
    """Not to be changed."""
    return generate_account(
        users=60, groups=8, phishing_campaigns=9, store_purchases=120, policies=110
    )


def get(account: Account, path: str, **query: str) -> Answer:
    answers = Answers(account, PagingRules(), style="compact", keep_bytes=10**6)
    return answers.get(path, query, address=f"http://sim.test/v1/{path}")


def ask(account: Account, path: str, **query: str) -> Any:
    answer = get(account, path, **query)
    assert answer.status == 200, answer.body
    return orjson.loads(answer.body)


def all_pages(account: Account, path: str, **query: str) -> list[Record]:
    rows: list[Record] = []
    page = 1
    while found := ask(account, path, per_page="7", page=str(page), **query):
        rows += found
        page += 1
    return rows


def test_every_route_answers(account: Account) -> None:
    test_id = account.security_tests[0]["pst_id"]
    found = {
        "users": account.users[0]["id"],
        "groups": account.groups[0]["id"],
        "training/enrollments": account.enrollments[0]["enrollment_id"],
        "training/campaigns": account.training_campaigns[0]["campaign_id"],
        "training/store_purchases": account.store_purchases[0]["store_purchase_id"],
        "training/policies": account.policies[0]["policy_id"],
        "phishing/campaigns": account.phishing_campaigns[0]["campaign_id"],
        "phishing/security_tests": test_id,
        f"phishing/security_tests/{test_id}/recipients": account.recipients[test_id].key_at(0),
    }
    assert len(ROUTES) == 24
    for pattern in ROUTES:
        path = pattern
        while "*" in path:
            before, _, after = path.partition("/*")
            path = f"{before}/{found[before]}{after}"
        assert get(account, path).status == 200, path
        for number in ("0", "x"):
            if "*" in pattern:
                assert get(account, pattern.replace("*", number)).status == 404, pattern


def test_modules(account: Account) -> None:
    for path, table in (
        ("training/store_purchases", account.store_purchases),
        ("training/policies", account.policies),
    ):
        assert all_pages(account, path) == list(table)
        assert len(ask(account, path)) == 100
        assert ask(account, f"{path}/{table.key_at(3)}") == table[3]


@pytest.mark.parametrize("query", [ORDINARY, CALLBACK])
def test_phishing_of_one_kind(account: Account, query: dict[str, str]) -> None:
    campaigns, tests, others = account.phishing_campaigns, account.security_tests, CALLBACK
    other_tests = account.callback_security_tests
    if query:
        campaigns, tests, others = (
            account.callback_campaigns,
            account.callback_security_tests,
            ORDINARY,
        )
        other_tests = account.security_tests
    assert all_pages(account, "phishing/campaigns", **query) == list(campaigns)
    listed = all_pages(account, "phishing/security_tests", **query)
    assert listed == list(tests)
    by_campaign: list[Record] = []
    for campaign in campaigns:
        path = f"phishing/campaigns/{campaign['campaign_id']}"
        assert ask(account, path, **query) == [campaign]
        assert get(account, path, **others).status == 404
        by_campaign += all_pages(account, f"{path}/security_tests", **query)
        assert get(account, f"{path}/security_tests", **others).status == 404
    assert by_campaign == listed
    for test in tests:
        path = f"phishing/security_tests/{test['pst_id']}"
        assert ask(account, path, **query) == [test]
        assert get(account, path, **others).status == 404
        rows = all_pages(account, f"{path}/recipients", **query)
        assert rows == list(account.recipients[test["pst_id"]])
        assert get(account, f"{path}/recipients", **others).status == 404
        for row in rows[:2]:
            one = f"{path}/recipients/{row['recipient_id']}"
            assert ask(account, one, **query) == [row]
            assert get(account, one, **others).status == 404
    assert not any(test in other_tests for test in tests)


def test_a_recipient_is_found_under_its_own_test_only(account: Account) -> None:
    first, second = (account.security_tests[place]["pst_id"] for place in (0, 1))
    recipient_id = account.recipients[first].key_at(0)
    path = f"phishing/security_tests/{second}/recipients/{recipient_id}"
    assert get(account, path).status == 404


def test_a_test_without_recipients_answers_an_empty_list(account: Account) -> None:
    created = next(test for test in account.security_tests if test["status"] == "Created")
    assert created["scheduled_count"] == 0
    answer = get(account, f"phishing/security_tests/{created['pst_id']}/recipients")
    assert (answer.status, answer.body, answer.rows) == (200, b"[]", 0)


def test_account_and_group_histories_are_paged_and_cut_to_six_months(account: Account) -> None:
    newest = date.fromisoformat(account.risk_history[-1]["date"])
    histories = {f"groups/{key}": rows for key, rows in account.group_histories.items()}
    for parent, held in {"account": account.risk_history, **histories}.items():
        path = f"{parent}/risk_score_history"
        assert all_pages(account, path, full="true") == list(held)
        half = all_pages(account, path)
        assert half == [
            row for row in held if (newest - date.fromisoformat(row["date"])).days < 183
        ]
        assert all_pages(account, path, full="false") == half
    assert len(ask(account, "account/risk_score_history", full="true")) == 100
    assert len(ask(account, "account/risk_score_history", per_page="500")) == 183
    assert len({len(rows) for rows in account.group_histories.values()}) > 1


def test_the_history_of_a_user_comes_at_once_whatever_page_is_asked() -> None:
    account = generate_account(users=5, history_days=1300)
    user_id = account.users[0]["id"]
    held, path = list(account.user_histories[user_id]), f"users/{user_id}/risk_score_history"
    assert len(held) == 1300
    for query in (
        {},
        {"page": "2"},
        {"per_page": "3"},
        {"cursor": "x"},
        {"page": "9", "cursor": ""},
    ):
        answer = get(account, path, full="true", **query)
        assert orjson.loads(answer.body) == held[-1000:]
        assert answer.rows == 1000
        assert ask(account, path, **query) == held[-183:]


def test_single_records_are_counted_only_in_arrays(account: Account) -> None:
    campaign_id = account.phishing_campaigns[0]["campaign_id"]
    assert get(account, f"phishing/campaigns/{campaign_id}").rows == 1
    assert get(account, f"users/{account.users[0]['id']}").rows is None


def test_a_purchase_is_found_whatever_its_key_is_called() -> None:
    account = generate_account(users=30, store_purchases=9, old_spellings=True)
    old = next(row for row in account.store_purchases if "store_purchased_id" in row)
    assert ask(account, f"training/store_purchases/{old['store_purchased_id']}") == old


def test_a_change_of_the_account_itself_is_served() -> None:
    account = generate_account(users=3)
    answers = Answers(account, PagingRules(), style="compact", keep_bytes=10**6)
    for score in (1.5, None):
        account.account["current_risk_score"] = score
        body = answers.get("account", {}, address="").body
        assert orjson.loads(body)["current_risk_score"] == score
