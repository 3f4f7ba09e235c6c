"""The whole Reporting API, in every way of paging, against the simulator."""

import itertools
import json
from collections import Counter
from collections.abc import AsyncIterable, Iterable
from pathlib import Path
from typing import Any

import pytest
from support.options import QUICK

from kb4_async import (
    DEFAULT_RESOURCES,
    ON_REQUEST,
    ConfigurationError,
    ExportReport,
    IncompleteListingError,
    ReportingClient,
    export_account,
)
from kb4_async.testing import (
    Account,
    Fault,
    PagingRules,
    Simulator,
    delete_row,
    generate_account,
    insert_row,
)

MODES = {
    "numbers": PagingRules(),
    "capped": PagingRules(cap=70),
    "announced envelope": PagingRules(cursors="envelope", announce=True),
    "announced link": PagingRules(cursors="link", announce=True, link_form="query"),
    "page refused, header": PagingRules(cursors="header", numbers="refused", refusal=422),
    "page refused, integers": PagingRules(
        cursors="envelope", numbers="refused", refusal=410, cursor_values="integer"
    ),
    "page refused, empty pages": PagingRules(cursors="header", numbers="refused", empty_pages=2),
    "page ignored, link": PagingRules(cursors="link", numbers="ignored"),
    "cursors on enrollments": PagingRules(
        cursors="envelope", announce=True, cursor_paths=("training/enrollments",)
    ),
}


@pytest.fixture(scope="module")
def crowd() -> Account:
    return generate_account(
        users=560,
        groups=12,
        enrollments=700,
        tests_a_campaign=2,
        recipients_a_test=120,
        history_days=520,
        extreme_ids=True,
        old_spellings=True,
    )


def client(sim: Simulator, **options: Any) -> ReportingClient:
    return ReportingClient(sim.api_key, base_url=sim.base_url, retry=QUICK, **options)


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_bytes().splitlines()]


def counted(records: Iterable[Any], *keys: str) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(record[key] for key in keys) for record in records)


async def until_error(records: AsyncIterable[Any]) -> tuple[list[Any], IncompleteListingError]:
    """What a listing delivers before it fails, and how it fails."""
    found: list[Any] = []
    try:
        async for record in records:
            found.append(record)
    except IncompleteListingError as error:
        return found, error
    raise AssertionError("it did not fail")


def expected(account: Account) -> dict[str, Counter[tuple[Any, ...]]]:
    """Every record of the account by its key, and its parent's."""
    tests = [*account.security_tests, *account.callback_security_tests]
    members = [{**m, "group_id": g["id"]} for g in account.groups for m in account.members[g["id"]]]
    return {
        "users": counted(account.users, "id"),
        "groups": counted(account.groups, "id"),
        "members": counted(members, "group_id", "id"),
        "derived_members": counted(members, "group_id", "id"),
        "enrollments": counted(account.enrollments, "enrollment_id"),
        "training_campaigns": counted(account.training_campaigns, "campaign_id"),
        "phishing_campaigns": counted(
            [*account.phishing_campaigns, *account.callback_campaigns], "campaign_id"
        ),
        "security_tests": counted(tests, "pst_id"),
        "recipients": counted(
            itertools.chain.from_iterable(account.recipients[test["pst_id"]] for test in tests),
            "pst_id",
            "recipient_id",
        ),
        "policies": counted(account.policies, "policy_id"),
        "account_risk_history": counted(account.risk_history, "date"),
        "group_risk_history": counted(
            [
                {**row, "group_id": group["id"]}
                for group in account.groups
                for row in account.group_histories[group["id"]]
            ],
            "group_id",
            "date",
        ),
    }


@pytest.mark.parametrize("mode", MODES)
async def test_everything_comes_once_in_every_way_of_paging(
    mode: str, crowd: Account, tmp_path: Path
) -> None:
    names = [*DEFAULT_RESOURCES, "derived_members", "group_risk_history"]
    async with Simulator(crowd, paging=MODES[mode]) as sim, client(sim) as kb:
        report = await export_account(kb, tmp_path, resources=names)

        assert report.complete, [entry.gaps for entry in report.resources.values()]
        for name, keys in expected(crowd).items():
            found = lines(tmp_path, name)
            assert counted(found, *KEYS[name]) == keys, name
        assert len(lines(tmp_path, "store_purchases")) == len(crowd.store_purchases)
        assert report.requests == len(sim.log)
        both = [entry for entry in sim.log if entry.cursor is not None and "page" in entry.query]
        assert both == []


KEYS = {
    "users": ["id"],
    "groups": ["id"],
    "members": ["group_id", "id"],
    "derived_members": ["group_id", "id"],
    "enrollments": ["enrollment_id"],
    "training_campaigns": ["campaign_id"],
    "phishing_campaigns": ["campaign_id"],
    "security_tests": ["pst_id"],
    "recipients": ["pst_id", "recipient_id"],
    "policies": ["policy_id"],
    "account_risk_history": ["date"],
    "group_risk_history": ["group_id", "date"],
}


async def test_a_users_history_is_one_request(tmp_path: Path) -> None:
    account = generate_account(users=7, groups=2, history_days=300)
    async with Simulator(account) as sim, client(sim) as kb:
        report = await export_account(kb, tmp_path, resources=["user_risk_history"])

        assert report.complete
        rows = [(row["user_id"], row["date"]) for row in lines(tmp_path, "user_risk_history")]
        assert len(rows) == len(set(rows)) == sum(map(len, account.user_histories.values()))
        assert len(sim.requests("users/*/risk_score_history")) == 7
        assert all(entry.query["full"] == "true" for entry in sim.requests("*/risk_score_history"))


async def test_a_history_as_long_as_the_api_serves_is_delivered_and_called_incomplete() -> None:
    account = generate_account(users=1, groups=1, history_days=1500)
    async with Simulator(account) as sim, client(sim) as kb:
        rows, error = await until_error(kb.users.risk_history(account.users[0]["id"]))
        assert error.reason == "server_limit"
        assert len(rows) == 1000


class TestDrift:
    @pytest.mark.parametrize("users", [502, 560, 999, 1000, 1200, 1500])
    @pytest.mark.parametrize("change", [delete_row, insert_row])
    async def test_the_front_moves_right_after_page_1_was_read(
        self, users: int, change: Any
    ) -> None:
        account = generate_account(users=users, groups=1, enrollments=0)
        before = {user["id"] for user in account.users}
        async with Simulator(account) as sim, client(sim) as kb:
            moved = change("users", "front")
            rule = sim.drift.add(moved, path="users", page=1)
            found = [user["id"] async for user in kb.users.list()]

            assert rule.ran == 1
        assert len(found) == len(set(found))
        assert before & {user["id"] for user in account.users} <= set(found)

    async def test_members_that_leave_while_a_group_is_read(self) -> None:
        account = generate_account(users=3000, groups=2, enrollments=0)
        group = max(account.groups, key=lambda group: group["member_count"])
        before = {member["id"] for member in account.members[group["id"]]}
        assert len(before) > 1000
        victim = min(before)
        path = f"groups/{group['id']}/members"
        async with Simulator(account) as sim, client(sim) as kb:
            rule = sim.drift.add(lambda held: held.delete_user(victim), path=path, page=1)
            listing = kb.groups.members(group["id"], member_count=group["member_count"])
            found = [member["id"] async for member in listing]

            assert rule.ran == 1
            assert len(sim.requests(f"groups/{group['id']}")) == 1, "the count is asked again"
        assert before - {victim} <= set(found)
        assert len(found) == len(set(found))


class TestLies:
    async def run(self, account: Account, folder: Path, *names: str) -> ExportReport:
        async with Simulator(account) as sim, client(sim) as kb:
            return await export_account(kb, folder, resources=names or None)

    @pytest.fixture
    def small(self) -> Account:
        return generate_account(users=90, groups=4, enrollments=5, recipients_a_test=9)

    @pytest.mark.parametrize("change", [-1, 1])
    async def test_a_group_that_counts_wrong(
        self, small: Account, tmp_path: Path, change: int
    ) -> None:
        group = max(small.groups, key=lambda group: group["member_count"])
        true = group["member_count"]
        small.groups.update(group["id"], member_count=true + change)

        members = (await self.run(small, tmp_path)).resources["members"]

        (told,) = members.differences
        assert (told.scope, told.counted, told.arrived) == (
            {"group_id": group["id"]},
            true + change,
            true,
        )
        assert [gap.error for gap in members.gaps] == ["CountMismatch"] * (change > 0)
        assert members.complete is (change < 0)

    async def test_a_campaign_that_counts_too_many_tests_and_recipients(
        self, small: Account, tmp_path: Path
    ) -> None:
        campaign = next(c for c in small.phishing_campaigns if c["psts"] and c["psts_count"])
        psts = [{**test, "users_count": 700} for test in campaign["psts"]]
        small.phishing_campaigns.update(campaign["campaign_id"], psts_count=9, psts=psts)

        report = await self.run(small, tmp_path)

        (told,) = report.resources["security_tests"].gaps
        assert (told.scope, told.error) == (
            {"campaign_id": campaign["campaign_id"]},
            "CountMismatch",
        )
        gaps = report.resources["recipients"].gaps
        assert {gap.scope["pst_id"] for gap in gaps} == {test["pst_id"] for test in psts}
        assert all(report.resources[name].complete for name in ("users", "phishing_campaigns"))

    async def test_a_group_deleted_meanwhile_is_named_and_the_rest_exported(
        self, small: Account, tmp_path: Path
    ) -> None:
        group = max(small.groups, key=lambda group: group["member_count"])
        async with Simulator(small) as sim, client(sim) as kb:
            sim.faults.add(Fault.status(404), path=f"groups/{group['id']}/members", times=None)
            report = await export_account(kb, tmp_path)

        (gap,) = report.resources["members"].gaps
        assert (gap.scope, gap.error) == ({"group_id": group["id"]}, "NotFoundError")
        assert all(e.complete for name, e in report.resources.items() if name != "members")

    async def test_a_group_that_counts_nobody_is_told_when_the_users_say_otherwise(
        self, small: Account, tmp_path: Path
    ) -> None:
        group = max(small.groups, key=lambda group: group["member_count"])
        small.groups.update(group["id"], member_count=0)
        async with Simulator(small) as sim, client(sim) as kb:
            report = await export_account(kb, tmp_path, members="derived")

        members = report.resources["members"]
        (told,) = members.differences
        assert (told.counted, told.arrived) == (0, group["member_count"])
        assert members.complete
        assert members.rows == sum(map(len, small.members.values()))

    async def test_requests_for_what_was_not_chosen_are_counted_too(
        self, small: Account, tmp_path: Path
    ) -> None:
        async with Simulator(small) as sim, client(sim) as kb:
            report = await export_account(kb, tmp_path, resources=["members"])

        assert report.requests == len(sim.log)
        assert report.other_requests == len(sim.requests("account")) + len(sim.requests("groups"))

    async def test_an_answer_that_is_not_http_puts_no_record_into_a_message(
        self, small: Account, tmp_path: Path
    ) -> None:
        async with Simulator(small) as sim, client(sim) as kb:
            sim.faults.add(Fault.wrong_length(-5), path="users", times=None)
            report = await export_account(kb, tmp_path, resources=["users"])

        assert not report.complete
        manifest = (tmp_path / "manifest.json").read_text(encoding="utf-8")
        assert "example.test" not in manifest.partition('"resources": {')[2]

    async def test_a_destination_that_never_saw_an_account_takes_any(
        self, small: Account, tmp_path: Path
    ) -> None:
        async with Simulator(small) as lost, client(lost) as kb:
            lost.faults.add(Fault.reset(), times=None)
            assert not (await export_account(kb, tmp_path)).complete
        assert (await self.run(small, tmp_path)).complete

    async def test_a_destination_with_records_of_another_address_is_refused(
        self, small: Account, tmp_path: Path
    ) -> None:
        async with Simulator(small) as other, client(other) as kb:
            other.faults.add(Fault.status(500), path="account", times=None)
            assert not (await export_account(kb, tmp_path)).complete
        before = (tmp_path / "users.jsonl").read_bytes()
        with pytest.raises(ConfigurationError, match="its origin is"):
            await self.run(small, tmp_path)
        assert (tmp_path / "users.jsonl").read_bytes() == before != b""


class TestCursorsThatMislead:
    async def test_a_link_to_another_host_is_an_error_and_the_key_goes_nowhere(
        self, crowd: Account
    ) -> None:
        async with Simulator(crowd) as other:
            rules = PagingRules(cursors="link", announce=True, link_origin=other.origin)
            async with Simulator(crowd, paging=rules) as sim, client(sim) as kb:
                rows, error = await until_error(kb.users.list())
            assert len(rows) == 500
            assert "another origin" in str(error)
            assert error.resume_token
            assert len(other.log) == 0

    async def test_cursors_that_loop_are_an_error(self, crowd: Account) -> None:
        rules = PagingRules(cursors="header", numbers="refused", cursor_loops_at=4)
        async with Simulator(crowd, paging=rules) as sim, client(sim) as kb:
            rows, error = await until_error(kb.users.list(per_page=50))
        assert error.reason == "cursor_repeated"
        assert len(rows) == 200

    async def test_a_page_that_comes_again_and_again_is_an_error(self, crowd: Account) -> None:
        async with (
            Simulator(crowd, paging=PagingRules(page_repeats_from=3)) as sim,
            client(sim) as kb,
        ):
            with pytest.raises(IncompleteListingError) as caught:
                await kb.users.list(per_page=50).collect()
        assert caught.value.reason == "page_repeated"

    async def test_where_both_ways_are_refused_the_first_refusal_is_told(
        self, crowd: Account
    ) -> None:
        rules = PagingRules(numbers="refused", cursors="refused", refusal=405)
        async with Simulator(crowd, paging=rules) as sim, client(sim) as kb:
            with pytest.raises(Exception, match="405") as caught:
                await kb.users.list().collect()
        assert "page" in str(caught.value)

    @pytest.mark.parametrize("style", ["envelope", "header", "link"])
    async def test_a_token_goes_on_by_cursor(self, style: Any, crowd: Account) -> None:
        rules = PagingRules(cursors=style, numbers="refused")
        everyone = [user["id"] for user in crowd.users]
        async with Simulator(crowd, paging=rules) as sim:
            async with client(sim) as kb:
                pages = [page async for page in kb.users.list(per_page=100).pages()]
            for page, rest in zip(pages, range(0, 700, 100), strict=True):
                async with client(sim) as kb:
                    asked = len(sim.log)
                    listing = kb.users.list(per_page=100, start=page.token)
                    found = [user["id"] async for user in listing]
                assert found == everyone[rest:]
                if 0 < rest < 600:
                    assert len(sim.log) - asked == 1 + 6 - rest // 100, "the page before, once"


def test_every_resource_is_either_default_or_on_request() -> None:
    assert not set(DEFAULT_RESOURCES) & set(ON_REQUEST)
    assert len({*DEFAULT_RESOURCES, *ON_REQUEST}) == 15
