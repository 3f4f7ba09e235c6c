"""Types as users see them: checked by mypy, never run."""

from typing import assert_type

from kb4_async import (
    Account,
    AccountEntry,
    AccountsReport,
    Enrollment,
    ExportReport,
    FanOut,
    Group,
    Listing,
    Member,
    Page,
    PhishingCampaign,
    ReportingClient,
    TrainingCampaign,
    User,
    export_account,
    export_accounts,
    read_accounts,
)


async def nouns(kb: ReportingClient) -> None:
    assert_type(await kb.account.get(), Account)
    assert_type(kb.users.list(status="active"), Listing[User])
    assert_type(await kb.users.get(1), User)
    assert_type(kb.groups.list(), Listing[Group])
    assert_type(kb.groups.members(1), Listing[Member])
    assert_type(kb.groups.members_each(), FanOut[Member])
    assert_type(await kb.groups.derived_members().collect(), list[Member])
    assert_type(kb.training.enrollments.list(), Listing[Enrollment])
    assert_type(kb.training.campaigns.list(), Listing[TrainingCampaign])
    assert_type(kb.phishing.campaigns.list(), Listing[PhishingCampaign])


async def iteration(kb: ReportingClient) -> None:
    async for user in kb.users.list():
        assert_type(user, User)
        assert_type(user["id"], int)
    async for page in kb.users.list().pages():
        assert_type(page, Page[User])
        assert_type(page.items, list[User])
        assert_type(page.next_token, str)
    assert_type(await kb.users.list().collect(), list[User])
    assert_type(await kb.users.list().first_page(), Page[User])
    async for member in kb.groups.members_each():
        assert_type(member["group_id"], int)
    assert_type(await export_account(kb, "out"), ExportReport)
    assert_type(read_accounts("accounts.toml"), tuple[AccountEntry, ...])
    report = await export_accounts(read_accounts("accounts.toml"), "out", fresh=True, at_once=3)
    assert_type(report, AccountsReport)


async def mistakes(kb: ReportingClient) -> None:
    await kb.users.list()  # type: ignore[misc]  # a listing is not awaitable
    kb.users.list(status="deleted")  # type: ignore[arg-type]  # no such status
    await export_accounts([], "out", members="some")  # type: ignore[arg-type]  # no such way
    kb.users.list(limit=5)  # type: ignore[call-arg]  # per_page and max_items are the words
