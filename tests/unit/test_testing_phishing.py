from collections import Counter
from itertools import chain, pairwise
from typing import Any

import pytest

from kb4_async.testing import Account, generate_account

RECIPIENT_KEYS = [
    "recipient_id",
    "pst_id",
    "user",
    "template",
    "scheduled_at",
    "delivered_at",
    "opened_at",
    "clicked_at",
    "replied_at",
    "attachment_opened_at",
    "macro_enabled_at",
    "data_entered_at",
    "qr_code_scanned",
    "reported_at",
    "bounced_at",
    "ip",
    "ip_location",
    "browser",
    "browser_version",
    "os",
]
USER_KEYS = ["id", "provisioning_guid", "first_name", "last_name", "email"]
DEEDS = {
    "delivered_count": "delivered_at",
    "opened_count": "opened_at",
    "clicked_count": "clicked_at",
    "replied_count": "replied_at",
    "attachment_open_count": "attachment_opened_at",
    "macro_enabled_count": "macro_enabled_at",
    "data_entered_count": "data_entered_at",
    "qr_code_scanned_count": "qr_code_scanned",
    "reported_count": "reported_at",
    "bounced_count": "bounced_at",
}


@pytest.fixture(scope="module")
def account() -> Account:
    """Thirty campaigns of two tests with a hundred recipients each. Not to be changed."""
    return generate_account(
        users=700, groups=12, phishing_campaigns=30, tests_a_campaign=2, recipients_a_test=100
    )


def failed(test: Any) -> bool:
    return bool(test["status"] == "Error")


@pytest.mark.parametrize("kind", ["phishing_campaigns", "callback_campaigns"])
@pytest.mark.parametrize("options", [{}, {"tests_a_campaign": 3, "recipients_a_test": 7}])
def test_campaigns_list_exactly_their_tests(kind: str, options: Any) -> None:
    account = generate_account(users=90, phishing_campaigns=20, **options)
    tests = {
        "phishing_campaigns": account.security_tests,
        "callback_campaigns": account.callback_security_tests,
    }[kind]
    left = {test["pst_id"]: test for test in tests}
    for campaign in getattr(account, kind):
        assert campaign["psts_count"] == len(campaign["psts"])
        listed = [summary["pst_id"] for summary in campaign["psts"]]
        rows = list(account.campaign_tests[campaign["campaign_id"]])
        assert listed == [test["pst_id"] for test in rows]
        for summary in campaign["psts"]:
            test = left.pop(summary["pst_id"])
            assert test in rows
            assert test["campaign_id"] == campaign["campaign_id"]
            assert (test["name"], test["groups"]) == (campaign["name"], campaign["groups"])
            assert summary == {
                "pst_id": test["pst_id"],
                "status": test["status"],
                "start_date": test["started_at"],
                "users_count": test["scheduled_count"],
                "phish_prone_percentage": test["phish_prone_percentage"],
            }
        if not rows:
            assert (campaign["last_run"], campaign["status"]) == (None, "Created")
    assert left == {}
    assert len(tests) > 0


def test_counts_are_the_rows_that_are_served(account: Account) -> None:
    assert list(account.recipients) == [
        test["pst_id"] for test in (*account.security_tests, *account.callback_security_tests)
    ]
    seen = Counter[str]()
    for test in (*account.security_tests, *account.callback_security_tests):
        rows = account.recipients[test["pst_id"]]
        seen[test["status"]] += 1
        if failed(test):
            assert 1 <= len(rows) <= 3
            assert test["scheduled_count"] is None
        else:
            assert test["scheduled_count"] == len(rows) == 100
        assert {row["pst_id"] for row in rows} == {test["pst_id"]}
    assert set(seen) == {"Closed", "Active", "Created", "Error"}
    assert sum(seen.values()) == 60 + 20


def test_recipients_did_what_their_test_counts(account: Account) -> None:
    clickers = 0
    for test in account.security_tests:
        rows = list(account.recipients[test["pst_id"]])
        for count, deed in DEEDS.items():
            assert test[count] == sum(row[deed] is not None for row in rows), count
        delivered, clicked = test["delivered_count"], test["clicked_count"]
        assert test["phish_prone_percentage"] == (round(clicked / delivered, 3) if delivered else 0)
        clickers += clicked
        for row in rows:
            times = [row[name] for name in ("scheduled_at", "delivered_at", "opened_at")]
            times = [each for each in (*times, row["clicked_at"]) if each is not None]
            assert times == sorted(times)
            assert (row["ip"] is None) == (row["opened_at"] is None)
            assert row["opened_at"] or not row["clicked_at"]
            assert row["delivered_at"] is None or row["bounced_at"] is None
        if test["started_at"] is None:
            assert {row[name] for row in rows for name in ("scheduled_at", *DEEDS.values())} == {
                None
            }
    assert clickers > 100


def test_recipients_name_real_users_once_a_test(account: Account) -> None:
    users = {user["id"]: user for user in account.users}
    anonymous = 0
    for rows in account.recipients.values():
        people = [row["user"] for row in rows]
        assert len({person["id"] for person in people}) == len(people)
        for person in people:
            user = users[person["id"]]
            if all(person[name] is None for name in USER_KEYS[1:]):
                anonymous += 1
            else:
                assert person == {name: user[name] for name in USER_KEYS}
    assert anonymous > 10


def test_recipients_have_the_documented_keys_and_some_have_more(account: Account) -> None:
    rows = list(chain.from_iterable(account.recipients.values()))
    assert all(list(row)[: len(RECIPIENT_KEYS)] == RECIPIENT_KEYS for row in rows)
    assert all(list(row["user"]) == USER_KEYS for row in rows)
    assert any(len(row) > len(RECIPIENT_KEYS) for row in rows)
    plain = generate_account(users=90, phishing_campaigns=20, extra_keys=False)
    for row in chain.from_iterable(plain.recipients.values()):
        assert list(row) == RECIPIENT_KEYS
    for name in set(RECIPIENT_KEYS) - {"recipient_id", "pst_id", "user", "template"}:
        assert {row[name] is None for row in rows} == {True, False}, name
    for name in USER_KEYS[1:]:
        assert {row["user"][name] is None for row in rows} == {True, False}, name


def test_nulls_of_tests(account: Account) -> None:
    tests = list(account.security_tests)
    assert {test["started_at"] is None for test in tests} == {True, False}
    for test in filter(failed, tests):
        assert test["template"] == {"id": None, "name": None}
        assert test["started_at"] is None
        assert test["delivered_count"] == 0
    varied = [t for t in tests if t["template"]["id"] is None and not failed(t)]
    rows = account.recipients[varied[0]["pst_id"]]
    assert len({row["template"]["name"] for row in rows}) > 1
    same = next(test for test in tests if test["template"]["id"] is not None)
    assert all(row["template"] == same["template"] for row in account.recipients[same["pst_id"]])
    runs = {campaign["last_run"] is None for campaign in account.phishing_campaigns}
    assert runs == {False}
    few = generate_account(users=30, phishing_campaigns=30)
    assert {campaign["last_run"] is None for campaign in few.phishing_campaigns} == {True, False}


def test_ids_ascend_and_are_never_shared(account: Account) -> None:
    everything: list[int] = []
    for rows in account.recipients.values():
        ids = [row["recipient_id"] for row in rows]
        assert ids == sorted(ids)
        assert [rows.key_at(place) for place in range(len(rows))] == ids
        everything += ids
    assert len(set(everything)) == len(everything)
    tests = [test["pst_id"] for test in account.security_tests]
    callbacks = [test["pst_id"] for test in account.callback_security_tests]
    assert all(before < after for before, after in pairwise(tests))
    assert not set(tests) & set(callbacks)


@pytest.mark.parametrize("seed", range(5))
def test_ordinary_and_callback_campaigns_share_no_ids(seed: int) -> None:
    account = generate_account(seed, users=9, phishing_campaigns=30, tests_a_campaign=1)
    campaigns = [*account.phishing_campaigns, *account.callback_campaigns]
    assert len({campaign["campaign_id"] for campaign in campaigns}) == 40
    tests = [*account.security_tests, *account.callback_security_tests]
    assert len({test["pst_id"] for test in tests}) == 40


def test_ids_beyond_64_bits_on_request() -> None:
    account = generate_account(users=50, recipients_a_test=10, extreme_ids=True)
    for tests in (account.security_tests, account.callback_security_tests):
        assert tests[-1]["pst_id"] > 2**64
        assert tests.find(tests[-1]["pst_id"]) == tests[-1]
    for rows in account.recipients.values():
        assert rows[-1]["recipient_id"] > 2**64
        assert rows.find(rows[-1]["recipient_id"]) == rows[-1]


def test_old_spellings() -> None:
    account = generate_account(users=50, phishing_campaigns=20, old_spellings=True)
    tests = list(account.security_tests)
    pages = Counter("landing-page" in test for test in tests)
    assert set(pages) == {True, False}
    assert all(("landing-page" in test) != ("landing_page" in test) for test in tests)
    assert any("qr_code_scanned_count" not in test and "exploited_count" in test for test in tests)
    rows = list(chain.from_iterable(account.recipients.values()))
    old = [row for row in rows if "vulnerable-plugins_at" in row]
    assert 0 < len(old) < len(rows)
    assert all("active_directory_guid" in row["user"] for row in old)
    assert all("provisioning_guid" not in row["user"] for row in old)


def test_any_number_of_recipients_costs_nothing_until_looked_at() -> None:
    account = generate_account(
        users=100_000, enrollments=0, tests_a_campaign=10, recipients_a_test=2_000_000
    )
    assert len(account.security_tests) == 60
    test = account.security_tests[0]
    assert test["scheduled_count"] == 2_000_000
    assert account.recipients[test["pst_id"]][1_999_999]["pst_id"] == test["pst_id"]


def test_recipients_come_and_go() -> None:
    account = generate_account(users=100, phishing_campaigns=6, recipients_a_test=10)
    campaign = account.phishing_campaigns[1]
    pst_id, campaign_id = campaign["psts"][0]["pst_id"], campaign["campaign_id"]
    rows = account.recipients[pst_id]
    version = account.version

    def counts() -> set[int]:
        test = account.security_tests.find(pst_id)
        listed = account.phishing_campaigns.find(campaign_id)
        assert test is not None
        assert listed is not None
        return {len(rows), test["scheduled_count"], listed["psts"][0]["users_count"]}

    gone = rows.delete(rows[3]["recipient_id"])
    assert counts() == {9}
    assert gone not in rows
    assert account.version > version
    new = rows.add(place=0, clicked_at="2024-01-01T00:00:00.000Z")
    rows.insert({"recipient_id": 1, "pst_id": pst_id}, place=5)
    assert counts() == {11}
    assert rows[0] == new
    assert new["recipient_id"] == max(row["recipient_id"] for row in rows)
    rows.update(1, ip="192.0.2.1")
    assert rows[5]["ip"] == "192.0.2.1"


def test_tests_come_and_go() -> None:
    account = generate_account(users=100, phishing_campaigns=6, recipients_a_test=10)
    campaign = account.phishing_campaigns[3]
    campaign_id, psts = campaign["campaign_id"], campaign["psts"]
    assert len(psts) == 3
    gone = psts[0]["pst_id"]
    account.security_tests.delete(gone)
    assert gone not in account.recipients
    added = account.security_tests.add(campaign_id=campaign_id, status="Active")
    now = account.phishing_campaigns[3]
    assert [each["pst_id"] for each in now["psts"]] == [
        *(each["pst_id"] for each in psts[1:]),
        added["pst_id"],
    ]
    assert now["psts_count"] == 3
    assert now["psts"][-1]["users_count"] == added["scheduled_count"] == 0
    account.recipients[added["pst_id"]].insert({"recipient_id": 4, "pst_id": added["pst_id"]})
    assert account.phishing_campaigns[3]["psts"][-1]["users_count"] == 1
    account.security_tests.update(added["pst_id"], status="Error")
    assert account.phishing_campaigns[3]["psts"][-1]["users_count"] is None
    fresh = account.phishing_campaigns.add(name="fresh")
    assert (fresh["psts_count"], fresh["psts"]) == (0, [])


def test_counts_set_by_hand_lie_and_go_on_lying() -> None:
    account = generate_account(users=100, groups=5, recipients_a_test=10)
    group_id, campaign = account.groups[0]["id"], account.phishing_campaigns[2]
    test_id = account.security_tests[0]["pst_id"]
    account.groups.update(group_id, member_count=7_000)
    account.security_tests.update(test_id, scheduled_count=7)
    account.phishing_campaigns.update(
        campaign["campaign_id"],
        psts_count=9,
        psts=[{**each, "users_count": 5} for each in campaign["psts"]],
    )
    account.delete_user(account.members[group_id][0]["id"])
    account.recipients[test_id].add()
    assert account.groups[0]["member_count"] == 7_000
    assert account.security_tests[0]["scheduled_count"] == 7
    true = {each["users_count"] for each in account.phishing_campaigns[1]["psts"]}
    assert true == {11}
    lying = account.phishing_campaigns[2]
    assert lying["psts_count"] == 9
    assert {each["users_count"] for each in lying["psts"]} == {5}
    account.groups.update(group_id, name="renamed")
    assert account.groups[0]["member_count"] == 7_000


def test_a_count_still_follows_when_another_field_was_set() -> None:
    account = generate_account(users=100, groups=5)
    group = account.groups[0]
    account.groups.update(group["id"], name="renamed")
    account.delete_user(account.members[group["id"]][0]["id"])
    assert account.groups[0]["member_count"] == group["member_count"] - 1
