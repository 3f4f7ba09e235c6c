import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from support.iterating import drain
from support.options import QUICK

from kb4_async import (
    CheckpointMismatchError,
    ConfigurationError,
    IncompleteListingError,
    NotFoundError,
    Page,
    ReportingClient,
)
from kb4_async.records import Group
from kb4_async.testing import Account, Fault, PagingRules, Simulator, generate_account

Record = dict[str, Any]


@asynccontextmanager
async def serving(
    account: Account, **options: Any
) -> AsyncIterator[tuple[Simulator, ReportingClient]]:
    """A simulator of an account of the test's own, and its client."""
    async with (
        Simulator(account, **options) as sim,
        ReportingClient(sim.api_key, base_url=sim.base_url, retry=QUICK) as kb,
    ):
        yield sim, kb


def plain(records: object) -> list[Record]:
    """Records as plain dicts, to compare with what is held."""
    return [dict(record) for record in cast("list[Record]", records)]


def with_group(group_id: int, records: object) -> list[Record]:
    return [{**record, "group_id": group_id} for record in plain(records)]


def by_group(records: object) -> dict[int, list[Record]]:
    groups: dict[int, list[Record]] = {}
    for record in plain(records):
        groups.setdefault(record["group_id"], []).append(record)
    return groups


# -- every noun --------------------------------------------------------------------------------


async def test_users(sim: Simulator, kb: ReportingClient) -> None:
    users = list(sim.account.users)
    assert plain(await kb.users.list().collect()) == users
    for status in ("active", "archived"):
        expected = [user for user in users if user["status"] == status]
        assert expected
        assert plain(await kb.users.list(status=status).collect()) == expected
    assert await kb.users.get(users[7]["id"]) == users[7]
    assert await kb.users.get(str(users[7]["id"])) == users[7]
    with pytest.raises(NotFoundError):
        await kb.users.get(1)


async def test_users_of_a_group_and_with_groups_expanded(
    sim: Simulator, kb: ReportingClient
) -> None:
    group = sim.account.groups[0]
    users = plain(await kb.users.list(group_id=group["id"]).collect())
    assert users == [user for user in sim.account.users if group["id"] in (user["groups"] or ())]
    assert users
    expanded = plain(await kb.users.list(group_id=group["id"], expand="group").collect())
    assert all(group in user["groups"] for user in expanded)
    assert [user["id"] for user in expanded] == [user["id"] for user in users]


async def test_groups_and_members(sim: Simulator, kb: ReportingClient) -> None:
    groups = list(sim.account.groups)
    assert plain(await kb.groups.list().collect()) == groups
    for status in ("active", "archived"):
        expected = [group for group in groups if group["status"] == status]
        assert plain(await kb.groups.list(status=status).collect()) == expected
    assert await kb.groups.get(groups[0]["id"]) == groups[0]
    for group in groups:
        number = group["id"]
        expected = with_group(number, sim.account.members[number])
        assert plain(await kb.groups.members(number).collect()) == expected
        counted = kb.groups.members(number, member_count=group["member_count"])
        assert plain(await counted.collect()) == expected


async def test_training(sim: Simulator, kb: ReportingClient) -> None:
    held = sim.account
    enrollments = list(held.enrollments)
    assert plain(await kb.training.enrollments.list().collect()) == enrollments
    campaigns = [
        {name: value for name, value in campaign.items() if name != "completion_percentage"}
        for campaign in held.training_campaigns
    ]
    assert plain(await kb.training.campaigns.list().collect()) == campaigns
    campaign = held.training_campaigns[3]
    assert await kb.training.campaigns.get(campaign["campaign_id"]) == campaign
    number = enrollments[5]["enrollment_id"]
    one = dict(await kb.training.enrollments.get(number))
    assert one["enrollment_id"] == number
    assert one["campaign_id"] == enrollments[5]["campaign_id"]


async def test_filters_of_enrollments(sim: Simulator, kb: ReportingClient) -> None:
    enrollments = list(sim.account.enrollments)
    listing = kb.training.enrollments.list
    campaign_id = enrollments[0]["campaign_id"]
    expected = [each for each in enrollments if each["campaign_id"] == campaign_id]
    assert plain(await listing(campaign_id=campaign_id).collect()) == expected
    person = next(each["user"] for each in enrollments if each["user"])
    expected = [each for each in enrollments if each["user"] and each["user"]["id"] == person["id"]]
    assert plain(await listing(user_id=person["id"]).collect()) == expected
    purchase = next(each["store_purchase_id"] for each in enrollments if each["store_purchase_id"])
    expected = [each for each in enrollments if each["store_purchase_id"] == purchase]
    assert plain(await listing(store_purchase_id=purchase).collect()) == expected
    active = await listing(exclude_archived_users=True).collect()
    assert 0 < len(active) < len(enrollments)
    bare = listing(
        include_campaign_id=False, include_store_purchase_id=False, include_employee_number=False
    )
    for record in plain(await bare.collect()):
        assert not record.keys() & {"campaign_id", "store_purchase_id"}
        assert "employee_number" not in (record["user"] or {})


async def test_phishing(sim: Simulator, kb: ReportingClient) -> None:
    held, campaigns = sim.account, kb.phishing.campaigns
    assert plain(await campaigns.list().collect()) == list(held.phishing_campaigns)
    callbacks = plain(await campaigns.list(campaign_type="callback").collect())
    assert callbacks == list(held.callback_campaigns)
    assert callbacks
    one, other = held.phishing_campaigns[1], held.callback_campaigns[0]
    assert await campaigns.get(one["campaign_id"]) == one
    assert await campaigns.get(other["campaign_id"], campaign_type="callback") == other
    with pytest.raises(NotFoundError):
        await campaigns.get(other["campaign_id"])


async def test_the_account(sim: Simulator, kb: ReportingClient) -> None:
    assert await kb.account.get() == sim.account.account
    assert len(sim.log) == 1


async def test_ids_beyond_64_bits_and_unknown_keys_come_as_served() -> None:
    account = generate_account(users=40, groups=3, extreme_ids=True, extra_keys=True)
    async with serving(account) as (_, kb):
        users = plain(await kb.users.list(per_page=7).collect())
    assert users == list(account.users)
    assert users[-1]["id"] > 1 << 64


# -- requests ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "requests"),
    [(0, 1), (1, 2), (499, 2), (500, 2), (501, 3), (1000, 6), (20_000, 47)],
)
async def test_a_listing_costs_what_the_documentation_says(rows: int, requests: int) -> None:
    account = generate_account(users=rows, groups=1, enrollments=0)
    async with serving(account) as (sim, kb):
        ids = [user["id"] async for user in kb.users.list()]
    assert ids == [user["id"] for user in account.users]
    assert len(sim.log) == requests


@pytest.mark.parametrize("full_pages", [1, 2, 3, 5, 8, 13, 40])
async def test_small_pages_cost_alike(full_pages: int) -> None:
    """The price depends on pages, not rows: the same at 10 a page as at 500."""
    prices = []
    for size in (10, 50):
        account = generate_account(users=full_pages * size, groups=1, enrollments=0)
        async with serving(account) as (sim, kb):
            users = plain(await kb.users.list(per_page=size).collect())
        assert users == list(account.users)
        prices.append(len(sim.log))
    assert prices[0] == prices[1]


@pytest.mark.parametrize("per_page", [1, 7, 100, 500])
async def test_any_page_size_brings_the_same_records(per_page: int) -> None:
    account = generate_account(users=203, groups=2)
    async with serving(account) as (sim, kb):
        assert plain(await kb.users.list(per_page=per_page).collect()) == list(account.users)
    assert {entry.query["per_page"] for entry in sim.log} == {str(per_page)}


async def test_page_1_is_asked_alone(sim: Simulator, kb: ReportingClient) -> None:
    sim.latency = 0.05
    await kb.users.list(per_page=50).collect()
    first, second = sim.log[0], sim.log[1]
    assert first.page == 1
    assert first.answered is not None
    assert first.answered <= second.arrived


async def test_pages_are_fetched_concurrently(sim: Simulator, kb: ReportingClient) -> None:
    sim.latency = 0.02
    await kb.users.list(per_page=20, prefetch=8).collect()
    assert 4 <= sim.log.most_in_flight() <= 10


@pytest.mark.parametrize(("most", "requests"), [(1, 1), (500, 1), (501, 2), (1000, 2), (1100, 3)])
async def test_max_items_costs_its_pages_and_no_more(
    most: int, requests: int, sim: Simulator, kb: ReportingClient
) -> None:
    users = plain(await kb.users.list(max_items=most).collect())
    assert users == sim.account.users[:most]
    assert len(sim.log) == requests


async def test_more_max_items_than_there_are_brings_all(
    sim: Simulator, kb: ReportingClient
) -> None:
    assert plain(await kb.users.list(max_items=5000).collect()) == list(sim.account.users)


async def test_leaving_at_once_has_cost_one_or_two_requests(
    sim: Simulator, kb: ReportingClient
) -> None:
    sim.latency = 0.02
    async for _ in kb.users.list():
        break
    await asyncio.sleep(0.1)
    assert len(sim.log) <= 2


async def test_verify_full_reads_twice_and_none_once(sim: Simulator, kb: ReportingClient) -> None:
    expected = list(sim.account.users)
    for verify, times in (("none", 1), ("full", 2)):
        sim.log.clear()
        listing = kb.users.list(verify=verify)  # type: ignore[arg-type]  # both are literals
        assert plain(await listing.collect()) == expected
        asked = Counter(entry.page for entry in sim.log)
        assert [asked[page] for page in (1, 2)] == [times] * 2
        assert asked[3] >= times


# -- members of many groups --------------------------------------------------------------------


async def test_members_each_with_counts_costs_exactly_the_pages(
    sim: Simulator, kb: ReportingClient
) -> None:
    groups = await kb.groups.list().collect()
    sim.log.clear()
    members = await kb.groups.members_each(groups, per_page=50).collect()
    asked = Counter(entry.path for entry in sim.log)
    assert asked == {
        f"groups/{group['id']}/members": max(1, -(-group["member_count"] // 50)) for group in groups
    }
    assert by_group(members) == {
        number: with_group(number, rows) for number, rows in sim.account.members.items() if rows
    }


async def test_members_each_reads_the_groups_itself(sim: Simulator, kb: ReportingClient) -> None:
    members = await kb.groups.members_each(per_page=100).collect()
    assert by_group(members) == {
        number: with_group(number, rows) for number, rows in sim.account.members.items() if rows
    }


async def test_members_each_takes_ids_records_and_async_iterables(
    sim: Simulator, kb: ReportingClient
) -> None:
    one, two, three = (group["id"] for group in sim.account.groups[:3])
    record = await kb.groups.get(two)

    async def later() -> AsyncIterator[int | str | Group]:
        yield one
        await asyncio.sleep(0)
        yield record
        yield str(three)

    members = by_group(await kb.groups.members_each(later()).collect())
    assert {str(number) for number in members} == {str(each) for each in (one, two, three)}
    again = by_group(await kb.groups.members_each([one, record]).collect())
    assert again == {number: members[number] for number in (one, two)}


async def test_each_childs_pages_come_in_order_with_its_scope_and_an_end(
    sim: Simulator, kb: ReportingClient
) -> None:
    numbers: dict[int, list[int]] = {}
    ends: Counter[int] = Counter()
    groups = await kb.groups.list().collect()
    async for page in kb.groups.members_each(groups, per_page=50).pages():
        group_id = cast("int", page.scope["group_id"])
        if page.end_reason is None:
            numbers.setdefault(group_id, []).append(page.number)
            assert all(item["group_id"] == group_id for item in page.items)
        else:
            assert page.end_reason == "count_met"
            assert page.items == []
            ends[group_id] += 1
    assert ends == dict.fromkeys(sim.account.members, 1)
    assert all(order == list(range(1, len(order) + 1)) for order in numbers.values())


async def test_a_count_that_is_too_low_or_too_high_loses_nothing(
    sim: Simulator, kb: ReportingClient
) -> None:
    group = max(sim.account.groups, key=lambda group: cast("int", group["member_count"]))
    number = group["id"]
    expected = with_group(number, sim.account.members[number])
    for wrong in (0, len(expected) - 1, len(expected) + 1, len(expected) * 3):
        listing = kb.groups.members(number, member_count=wrong, per_page=20)
        assert plain(await listing.collect()) == expected


async def test_derived_members_equal_fetched_ones_without_a_request_a_group(
    sim: Simulator, kb: ReportingClient
) -> None:
    def key(record: Record) -> tuple[int, int]:
        return record["group_id"], record["id"]

    fetched = plain(await kb.groups.members_each().collect())
    sim.log.clear()
    derived = plain(await kb.groups.derived_members().collect())
    assert sorted(derived, key=key) == sorted(fetched, key=key)
    assert {entry.path for entry in sim.log} == {"users"}
    assert await anext(aiter(kb.groups.derived_members())) == derived[0]


# -- pages, ends, tokens -----------------------------------------------------------------------


async def test_first_page_is_one_request_and_its_token_goes_on(
    sim: Simulator, kb: ReportingClient
) -> None:
    users = list(sim.account.users)
    page = await kb.users.list(per_page=100).first_page()
    assert len(sim.log) == 1
    assert plain(page.items) == users[:100]
    assert (page.number, page.end_reason, page.attempts) == (1, None, 1)
    assert page.request_id == sim.log[0].request_id
    rest = kb.users.list(per_page=100, start=page.next_token)
    assert plain(await rest.collect()) == users[100:]


async def test_the_last_page_has_no_items_and_tells_why_the_listing_ended(
    sim: Simulator, kb: ReportingClient
) -> None:
    group = max(sim.account.groups, key=lambda group: cast("int", group["member_count"]))
    count = group["member_count"]
    cases: dict[str, Callable[[], AsyncIterator[Page[Any]]]] = {
        "short_page": lambda: kb.users.list(per_page=500).pages(),
        "empty_page": lambda: kb.users.list(per_page=50).pages(),
        "max_items": lambda: kb.users.list(max_items=7).pages(),
        "count_met": lambda: kb.groups.members(group["id"], member_count=count).pages(),
    }
    for reason, pages in cases.items():
        found = [page async for page in pages()]
        assert [page.end_reason for page in found[:-1]] == [None] * (len(found) - 1)
        assert found[-1].end_reason == reason
        assert found[-1].items == []
        assert all(page.items for page in found[:-1])


async def test_every_token_resumes_exactly_there(sim: Simulator, kb: ReportingClient) -> None:
    users = list(sim.account.users)
    place = 0
    async for page in kb.users.list(per_page=100).pages():
        again = kb.users.list(per_page=100, start=page.token)
        assert plain(await again.collect()) == users[place:]
        place += len(page)
        rest = kb.users.list(per_page=100, start=page.next_token)
        assert plain(await rest.collect()) == users[place:]
    assert place == len(users)


async def test_the_token_of_the_end_costs_no_request(sim: Simulator, kb: ReportingClient) -> None:
    pages = [page async for page in kb.users.list().pages()]
    sim.log.clear()
    again = [page async for page in kb.users.list(start=pages[-1].next_token).pages()]
    assert [(page.end_reason, page.items) for page in again] == [("short_page", [])]
    assert len(sim.log) == 0


async def test_a_token_of_another_listing_is_refused(kb: ReportingClient) -> None:
    page = await kb.users.list().first_page()
    with pytest.raises(CheckpointMismatchError):
        kb.users.list(status="active", start=page.next_token)
    with pytest.raises(CheckpointMismatchError):
        kb.users.list(per_page=100, start=page.next_token)
    with pytest.raises(CheckpointMismatchError):
        kb.groups.list(start=page.next_token)
    with pytest.raises(ConfigurationError):
        kb.users.list(start="nonsense")


async def test_a_listing_is_not_awaitable(kb: ReportingClient) -> None:
    listing = kb.users.list()
    assert not isinstance(listing, Awaitable)
    with pytest.raises(TypeError):
        await listing  # type: ignore[misc]  # that is the point


async def test_a_listing_iterated_twice_starts_afresh(sim: Simulator, kb: ReportingClient) -> None:
    listing = kb.users.list(per_page=100)
    first = aiter(listing)
    await anext(first)
    expected = [user["id"] for user in sim.account.users]
    assert [user["id"] async for user in listing] == expected
    assert [user["id"] async for user in listing] == expected
    assert [user["id"] async for user in first] == expected[1:]


async def test_many_listings_side_by_side_do_not_disturb_each_other(
    sim: Simulator, kb: ReportingClient
) -> None:
    sim.latency, sim.jitter = 0.001, 0.01
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(kb.users.list(per_page=25, prefetch=4).collect()) for _ in range(8)
        ]
    expected = list(sim.account.users)
    assert all(plain(task.result()) == expected for task in tasks)


async def test_an_empty_account_ends_everywhere() -> None:
    account = generate_account(
        users=0, groups=0, enrollments=0, training_campaigns=0, phishing_campaigns=0
    )
    async with serving(account) as (sim, kb):
        for listing in (
            kb.users.list(),
            kb.groups.list(),
            kb.training.enrollments.list(),
            kb.training.campaigns.list(),
            kb.phishing.campaigns.list(),
        ):
            sim.log.clear()
            pages = [page async for page in listing.pages()]
            assert [page.end_reason for page in pages] == ["empty_page"]
            assert len(sim.log) == 1
            page = await listing.first_page()
            assert page.items == []
        assert await kb.groups.members_each().collect() == []
        assert await kb.groups.derived_members().collect() == []


# -- servers that page differently -------------------------------------------------------------


@pytest.mark.parametrize("cap", [1, 100, 250])
@pytest.mark.parametrize("users", [0, 1, 99, 100, 101, 350])
async def test_a_server_that_caps_pages_is_read_whole(cap: int, users: int) -> None:
    account = generate_account(users=users, groups=2)
    async with serving(account, paging=PagingRules(cap=cap)) as (sim, kb):
        assert plain(await kb.users.list().collect()) == list(account.users)
        sim.log.clear()
        assert plain(await kb.users.list().collect()) == list(account.users)
        if users > cap:  # what was learned is kept
            assert {entry.query["per_page"] for entry in sim.log} == {str(cap)}


async def test_a_server_that_ignores_page_numbers_is_an_error_and_never_an_end() -> None:
    account = generate_account(users=120, groups=2)
    async with serving(account, paging=PagingRules(numbers="ignored")) as (sim, kb):
        got: list[Record] = []
        with pytest.raises(IncompleteListingError) as caught:
            await drain(kb.users.list(per_page=50), got)
        assert caught.value.reason == "page_repeated"
        assert got == account.users[:50]
        assert len(sim.log) <= 4


@pytest.mark.parametrize("campaigns", [9, 10, 11, 23])
async def test_ten_campaigns_with_percentages_are_no_end(campaigns: int) -> None:
    account = generate_account(users=30, groups=2, training_campaigns=campaigns)
    async with serving(account) as (_, kb):
        listing = kb.training.campaigns.list(exclude_percentages=False)
        if campaigns < 10:
            assert plain(await listing.collect()) == list(account.training_campaigns)
            return
        got: list[Record] = []
        with pytest.raises(IncompleteListingError) as caught:
            await drain(listing, got)
        assert caught.value.reason == "server_limit"
        assert got == account.training_campaigns[:10]


async def test_an_attempt_that_failed_is_told_on_its_page(
    sim: Simulator, kb: ReportingClient
) -> None:
    sim.faults.add(Fault.status(500), page=2, times=2)
    attempts = {page.number: page.attempts async for page in kb.users.list().pages() if page.items}
    assert attempts == {1: 1, 2: 3, 3: 1}


@pytest.mark.parametrize("most", [1, 7, 10, 25, 499])
async def test_the_token_of_a_page_cut_by_max_items_goes_on_within_it(most: int) -> None:
    async with serving(generate_account(users=501, groups=1, enrollments=0)) as (sim, kb):
        pages = [page async for page in kb.users.list(max_items=most, per_page=10).pages()]
        size = min(10, most)
        rest = kb.users.list(start=pages[-2].next_token, per_page=size)
        ids = [u["id"] for page in pages for u in page.items] + [u["id"] async for u in rest]

        assert ids == [user["id"] for user in sim.account.users]
