import json
from itertools import pairwise

import pytest

from kb4_async.testing import Account, generate_account

USER_KEYS = [
    "id",
    "employee_number",
    "first_name",
    "last_name",
    "job_title",
    "email",
    "phish_prone_percentage",
    "phone_number",
    "extension",
    "mobile_phone_number",
    "location",
    "division",
    "manager_name",
    "manager_email",
    "provisioning_managed",
    "provisioning_guid",
    "groups",
    "current_risk_score",
    "aliases",
    "joined_on",
    "last_sign_in",
    "status",
    "organization",
    "department",
    "language",
    "comment",
    "employee_start_date",
    "archived_at",
    "custom_field_1",
    "custom_field_2",
    "custom_field_3",
    "custom_field_4",
    "custom_date_1",
    "custom_date_2",
]
GROUP_KEYS = [
    "id",
    "name",
    "group_type",
    "provisioning_guid",
    "member_count",
    "current_risk_score",
    "status",
]
ENROLLMENT_KEYS = [
    "enrollment_id",
    "content_type",
    "module_name",
    "user",
    "campaign_name",
    "campaign_id",
    "store_purchase_id",
    "enrollment_date",
    "start_date",
    "completion_date",
    "status",
    "time_spent",
    "policy_acknowledged",
]
TRAINING_KEYS = [
    "campaign_id",
    "name",
    "groups",
    "status",
    "content",
    "duration_type",
    "start_date",
    "end_date",
    "relative_duration",
    "auto_enroll",
    "allow_multiple_enrollments",
    "completion_percentage",
]
PURCHASE_KEYS = [
    "store_purchase_id",
    "content_type",
    "name",
    "description",
    "type",
    "duration",
    "retired",
    "retirement_date",
    "publish_date",
    "publisher",
    "purchase_date",
    "policy_url",
]
POLICY_KEYS = [
    "policy_id",
    "content_type",
    "name",
    "minimum_time",
    "default_language",
    "status",
]
PHISHING_KEYS = [
    "campaign_id",
    "name",
    "groups",
    "last_phish_prone_percentage",
    "last_run",
    "status",
    "hidden",
    "send_duration",
    "track_duration",
    "frequency",
    "difficulty_filter",
    "create_date",
    "psts_count",
    "psts",
]


TEST_KEYS = [
    "campaign_id",
    "pst_id",
    "status",
    "name",
    "groups",
    "phish_prone_percentage",
    "started_at",
    "duration",
    "categories",
    "template",
    "landing_page",
    "scheduled_count",
    "delivered_count",
    "opened_count",
    "clicked_count",
    "replied_count",
    "attachment_open_count",
    "macro_enabled_count",
    "data_entered_count",
    "qr_code_scanned_count",
    "reported_count",
    "bounced_count",
]


def everything(account: Account) -> str:
    parents = (account.recipients, account.group_histories, account.user_histories)
    children = [list(table) for tables in parents for table in tables.values()]
    return json.dumps([[list(table) for table in account.tables], children, account.account])


def test_the_seed_decides_everything() -> None:
    first, again, other = (generate_account(seed, users=300, history_days=20) for seed in (7, 7, 8))
    assert everything(first) == everything(again)
    assert everything(first) != everything(other)


@pytest.mark.parametrize(
    ("table", "keys"),
    [
        ("users", USER_KEYS),
        ("groups", GROUP_KEYS),
        ("enrollments", ENROLLMENT_KEYS),
        ("training_campaigns", TRAINING_KEYS),
        ("phishing_campaigns", PHISHING_KEYS),
        ("callback_campaigns", PHISHING_KEYS),
        ("store_purchases", PURCHASE_KEYS),
        ("policies", POLICY_KEYS),
        ("security_tests", TEST_KEYS),
        ("callback_security_tests", TEST_KEYS),
        ("risk_history", ["risk_score", "date"]),
    ],
)
def test_records_have_the_documented_keys_in_order_and_some_have_more(
    table: str, keys: list[str]
) -> None:
    records = list(getattr(generate_account(users=500), table))
    assert all(list(record)[: len(keys)] == keys for record in records)
    plain = list(getattr(generate_account(users=500, extra_keys=False), table))
    assert all(list(record) == keys for record in plain)
    if len(records) > 5 and table != "risk_history":
        assert any(len(record) > len(keys) for record in records)


@pytest.mark.parametrize("users", [0, 1, 2, 19, 20, 99, 100, 101, 2000])
def test_keys_ascend_with_gaps_at_any_size(users: int) -> None:
    account = generate_account(
        users=users,
        groups=users // 10,
        training_campaigns=users // 20,
        store_purchases=users // 5,
        policies=users // 7,
        phishing_campaigns=users // 15,
    )
    for table in account.tables:
        keys = [record[table.key] for record in table]
        assert keys == sorted(set(keys))
        assert all(table.glance(origin)[table.key] == key for origin, key in enumerate(keys))
    if users >= 100:
        ids = [user["id"] for user in account.users]
        assert any(2**32 < key < 2**33 for key in ids)
        assert any(key > 2**53 and float(key) != key for key in ids)
        assert max(ids) < 2**63
        assert {after - before for before, after in pairwise(ids)} != {1}


def test_an_id_beyond_64_bits_on_request() -> None:
    account = generate_account(users=3, extreme_ids=True)
    assert account.users[-1]["id"] > 2**64
    assert account.enrollments[-1]["enrollment_id"] > 2**64
    assert account.users.find(account.users[-1]["id"]) == account.users[-1]


def test_an_empty_account() -> None:
    account = generate_account(
        users=0,
        groups=0,
        enrollments=0,
        training_campaigns=0,
        phishing_campaigns=0,
    )
    assert not any(len(table) for table in account.tables)
    for parents in (account.members, account.campaign_tests, account.recipients):
        assert len(parents) == 0
    unsent = generate_account(users=0, phishing_campaigns=9)
    assert {len(table) for table in unsent.recipients.values()} == {0}
    orphans = generate_account(users=0, groups=0, enrollments=5, training_campaigns=0)
    assert all(record["user"] is None for record in orphans.enrollments)


def test_member_counts_are_exact_and_groups_of_users_agree() -> None:
    account = generate_account(users=700, groups=30)
    for group in account.groups:
        members = account.members[group["id"]]
        assert group["member_count"] == len(members)
        assert all(group["id"] in user["groups"] for user in members)
    pairs = sum(len(user["groups"] or ()) for user in account.users)
    assert pairs == sum(group["member_count"] for group in account.groups) > 700
    assert account.groups[-1]["member_count"] == 0
    assert list(account.members) == [group["id"] for group in account.groups]
    assert len(account.members) == 30
    assert 1 not in account.members
    archived = {group["id"] for group in account.groups if group["status"] == "archived"}
    assert any(archived & set(user["groups"] or ()) for user in account.users)


def test_the_traps_are_there() -> None:
    account = generate_account(users=3000, groups=40, old_spellings=True)
    users = list(account.users)
    assert {user["status"] for user in users} == {"active", "archived"}
    for name in ("employee_number", "first_name", "email", "phish_prone_percentage", "groups"):
        assert any(user[name] is None for user in users), name
    assert any((user["phish_prone_percentage"] or 0) > 1 for user in users)
    emails = [user["email"] for user in users if user["email"]]
    assert len({email.lower() for email in emails}) < len(set(emails))
    names = "".join(user["last_name"] or "" for user in users)
    assert all(part in names for part in ("\u2028", "\U00020bb7", '},{"id":', "\\", "🎉", "\n"))
    assert any("adi_manageable" in user and "adi_guid" in user for user in users)
    groups = list(account.groups)
    assert {"console_group", "smart_group", "adi_managed_group"} <= {
        group["group_type"] for group in groups
    }
    campaigns = list(account.training_campaigns)
    assert any(campaign["completion_percentage"] == -1 for campaign in campaigns)
    contents = [campaign["content"] for campaign in campaigns if "content" in campaign]
    assert any("modules" in campaign and "content" not in campaign for campaign in campaigns)
    assert any(content and isinstance(content[0], list) for content in contents)
    assert any("content_id" in each for content in contents for each in content)
    assert any(campaign["groups"][0]["group_id"] == 0 for campaign in campaigns)
    enrollments = list(account.enrollments[:3000])
    assert any(record["user"] is None for record in enrollments)
    assert any(record["status"] is None for record in enrollments)
    numbers = {type(record["user"]["employee_number"]) for record in enrollments if record["user"]}
    assert numbers == {str, int, type(None)}


def test_modules_are_those_that_training_names() -> None:
    account = generate_account(users=400, store_purchases=5, policies=3, training_campaigns=30)
    purchases = {record["store_purchase_id"]: record for record in account.store_purchases}
    policies = {record["policy_id"]: record for record in account.policies}
    taught = [
        each
        for campaign in account.training_campaigns
        for part in campaign["content"]
        for each in (part if isinstance(part, list) else [part])
    ]
    assert {each["content_type"] for each in taught} == {"Store Purchase", "Uploaded Policy"}
    for each in taught:
        if each["content_type"] == "Store Purchase":
            assert each == {name: purchases[each["store_purchase_id"]][name] for name in each}
        else:
            assert "status" not in each
            assert each["published"] in {True, False}
            assert each["name"] == policies[each["policy_id"]]["name"]
    named = {record["store_purchase_id"] for record in account.enrollments}
    assert named == {None, *purchases}
    for record in account.enrollments:
        if record["store_purchase_id"] is not None:
            module = purchases[record["store_purchase_id"]]["name"]
            assert module.startswith(record["module_name"])
    assert {record["status"] for record in account.policies} == {1}
    without = generate_account(users=40, store_purchases=0, policies=0)
    assert not any(campaign["content"] for campaign in without.training_campaigns)
    assert {record["store_purchase_id"] for record in without.enrollments} == {None}


def test_traps_of_modules() -> None:
    account = generate_account(users=1, store_purchases=100, policies=100, old_spellings=True)
    purchases = list(account.store_purchases)
    for name in ("duration", "retirement_date", "publish_date", "publisher", "policy_url"):
        assert 0 < sum(record[name] is None for record in purchases) < 100, name
    old = [record for record in purchases if "store_purchased_id" in record]
    assert 0 < len(old) < 100
    assert not any("store_purchase_id" in record for record in old)
    assert account.store_purchases.find(old[0]["store_purchased_id"]) == old[0]
    assert len({record["default_language"] for record in account.policies}) > 1


def test_a_record_can_be_there_twice() -> None:
    account = generate_account(users=5)
    account.enrollments.insert(account.enrollments[2], place=7)
    assert account.enrollments[2] == account.enrollments[7]
    assert len(account.enrollments) == 16


def test_a_trial_account_lacks_the_subscription() -> None:
    assert "number_of_seats" in generate_account(users=1).account
    trial = generate_account(users=1, trial=True).account
    assert list(trial) == ["name", "type", "domains", "admins", "current_risk_score"]


def test_ids_of_members_as_strings() -> None:
    account = generate_account(users=50, groups=3, string_member_ids=True)
    members = account.members[account.groups[0]["id"]]
    assert isinstance(members[0]["id"], str)
    assert account.users.find(int(members[0]["id"])) is not None


def test_changes_between_requests() -> None:
    account = generate_account(users=50, groups=4)
    before = [user["id"] for user in account.users]
    group_id = account.groups[0]["id"]
    member = account.members[group_id][0]["id"]
    count = account.groups[0]["member_count"]
    version = account.version
    account.delete_user(member)
    assert account.version > version
    assert [user["id"] for user in account.users] == [key for key in before if key != member]
    assert account.groups[0]["member_count"] == count - 1
    added = account.add_user(groups=[group_id], email="new@example.test")
    assert account.users[-1] == added
    assert account.groups[0]["member_count"] == count
    front = account.add_user(place=0, id=5)
    assert account.users[0] == front
    account.users.update(5, first_name="Changed")
    assert account.users.find(5) == account.users[0]
    assert account.users[0]["first_name"] == "Changed"
    with pytest.raises(KeyError):
        account.delete_user(member)


def test_slices_and_views_are_sequences() -> None:
    account = generate_account(users=20, groups=4)
    assert account.users[2:4] == [account.users[2], account.users[3]]
    view = account.members[account.groups[0]["id"]]
    assert list(view[:2]) == [view[0], view[1]]
