"""``plan_export`` over sockets: what it calls exact is what reading then costs."""

import asyncio
import json
import math
from collections.abc import AsyncIterable, Callable
from pathlib import Path
from typing import Any

import pytest
from support import command
from support.iterating import drain
from support.options import QUICK

from kb4_async import (
    DEFAULT_RESOURCES,
    ON_REQUEST,
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    ExportPlan,
    Limits,
    ReportingClient,
    TransportError,
    Window,
    export_account,
    plan_export,
)
from kb4_async.testing import (
    Account,
    Fault,
    LoggedRequest,
    PagingRules,
    Simulator,
    generate_account,
)

CALLBACK: Any = {"campaign_type": "callback"}
#: What most of these tests plan.
NAMES = (
    "account",
    "users",
    "groups",
    "members",
    "enrollments",
    "training_campaigns",
    "phishing_campaigns",
)
#: The listings that a resource stands for.
LISTINGS: dict[str, Callable[..., list[AsyncIterable[Any]]]] = {
    "users": lambda kb, **options: [kb.users.list(**options)],
    "groups": lambda kb, **options: [kb.groups.list(**options)],
    "enrollments": lambda kb, **options: [kb.training.enrollments.list(**options)],
    "training_campaigns": lambda kb, **options: [kb.training.campaigns.list(**options)],
    "phishing_campaigns": lambda kb, **options: [
        kb.phishing.campaigns.list(**options),
        kb.phishing.campaigns.list(**CALLBACK, **options),
    ],
}
PATHS = {
    "users": "users",
    "groups": "groups",
    "enrollments": "training/enrollments",
    "training_campaigns": "training/campaigns",
    "phishing_campaigns": "phishing/campaigns",
}


def client(sim: Simulator, **options: Any) -> ReportingClient:
    return ReportingClient(sim.api_key, base_url=sim.base_url, retry=QUICK, **options)


async def plan(sim: Simulator, *names: str, **options: Any) -> ExportPlan:
    async with client(sim) as kb:
        return await plan_export(kb, names or NAMES, **options)


async def cost(sim: Simulator, name: str, **options: Any) -> int:
    """Requests that reading a resource takes a client that knows nothing yet."""
    before = len(sim.log)
    async with client(sim) as kb:
        for listing in LISTINGS[name](kb, **options):
            await drain(listing)
    return len(sim.log) - before


async def check(account: Account, *, verify: Any = "tail", **rules: Any) -> ExportPlan:
    """Plan an account, and hold what is exact against what reading it takes."""
    async with Simulator(account, paging=PagingRules(**rules)) as sim:
        found = await plan(sim, verify=verify)
        assert found.planning_requests == len(sim.log)
        assert len(sim.requests("account")) == 1
        for name, path in PATHS.items():
            entry, rows = found.resources[name], len(getattr(account, name))
            if name == "phishing_campaigns":
                rows += len(account.callback_campaigns)
            assert (name, entry.rows, entry.exact) == (name, rows, True)
            within_budget(sim, path)
        for name in PATHS:
            entry = found.resources[name]
            assert (name, entry.requests) == (name, await cost(sim, name, verify=verify))
    return found


def within_budget(sim: Simulator, path: str) -> None:
    """At most 2 log2(pages) + 2 requests a listing, and none twice."""
    asked = [entry for entry in sim.requests() if entry.path == path]
    for kind in {entry.query.get("campaign_type") for entry in asked}:
        pages = [entry for entry in asked if entry.query.get("campaign_type") == kind]
        full = max((entry.page or 1 for entry in pages if entry.rows), default=1)
        assert len(pages) <= math.ceil(2 * math.log2(full)) + 2
        assert len({entry.page for entry in pages}) == len(pages)


@pytest.mark.parametrize("users", [0, 1, 499, 500, 501, 1000, 1200, 5000, 8300])
async def test_what_is_exact_is_what_reading_then_costs(users: int) -> None:
    await check(generate_account(users=users, groups=9, enrollments=users))


async def test_a_large_account_costs_no_more_to_plan_than_its_logarithms() -> None:
    found = await check(
        generate_account(users=20_000, groups=1201, enrollments=0, training_campaigns=501)
    )

    assert found.resources["users"].requests == 47
    assert found.planning_requests < 50 < found.requests


@pytest.mark.parametrize("verify", ["full", "none"])
async def test_it_is_exact_however_movement_is_looked_for(verify: str) -> None:
    account = generate_account(users=1200, groups=3, enrollments=2000)
    found = await check(account, verify=verify)

    usual = await check(account)
    assert (found.requests > usual.requests) == (verify == "full")


async def test_it_is_exact_where_the_server_gives_smaller_pages() -> None:
    await check(generate_account(users=640, groups=120, enrollments=90), cap=100)


async def test_a_client_that_knows_smaller_pages_plans_with_them(account: Account) -> None:
    async with Simulator(account, paging=PagingRules(cap=100)) as sim, client(sim) as kb:
        await drain(kb.users.list())
        before = len(sim.log)
        found = await plan_export(kb, ["users"])
        planned = len(sim.log) - before
        await drain(kb.users.list())
        read = len(sim.log) - before - planned

    assert found.resources["users"].requests == read


async def export_costs(account: Account, folder: Path, **options: Any) -> tuple[ExportPlan, int]:
    """The plan of members, and the requests that an export of them takes."""
    async with Simulator(account) as sim:
        names = ["users", "groups", "members"]
        found = await plan(sim, *names, **options)
        sim.log.clear()
        async with client(sim) as kb:
            await export_account(kb, folder, resources=names, **options)
        return found, len(sim.log)


@pytest.mark.parametrize("groups", [0, 1, 40, 1300])
@pytest.mark.parametrize("members", ["fetched", "derived"])
async def test_members_are_exact_where_every_group_was_read(
    groups: int, members: str, tmp_path: Path
) -> None:
    account = generate_account(users=900, groups=groups, enrollments=0)
    found, requests = await export_costs(account, tmp_path, members=members)

    assert found.exact
    assert found.requests == requests
    assert found.resources["members"].rows == sum(g["member_count"] for g in account.groups)


@pytest.mark.parametrize("verify", ["tail", "full"])
async def test_a_whole_account_costs_what_its_plan_calls_exact(verify: Any, tmp_path: Path) -> None:
    names = (*DEFAULT_RESOURCES, *ON_REQUEST)
    async with Simulator(generate_account(users=60, groups=5, enrollments=700)) as sim:
        found = await plan(sim, *names, verify=verify)
        async with client(sim) as kb:
            report = await export_account(kb, tmp_path, resources=names, verify=verify)

    exact = {name: entry.requests for name, entry in found.resources.items() if entry.exact}
    assert exact == {name: report.resources[name].requests for name in exact}
    assert exact.keys() >= set(NAMES)


def rows(key: str, count: int, *, first: int = 0, **fields: Any) -> bytes:
    """A page of records."""
    return json.dumps([{key: first + each + 1, **fields} for each in range(count)]).encode()


def serve(sim: Simulator, path: str, *pages: bytes, **query: str) -> None:
    """Serve these pages, and empty ones behind them."""

    def asked(page: int | None) -> Callable[[LoggedRequest], bool]:
        return lambda entry: (
            entry.is_at(path)
            and entry.query.get("campaign_type") == query.get("campaign_type")
            and page in {None, entry.page or 1}
        )

    for number, body in enumerate(pages, 1):
        sim.faults.add(Fault.status(200, body=body), where=asked(number), times=None)
    sim.faults.add(Fault.status(200, body=b"[]"), where=asked(None), times=None)


async def test_recipients_and_histories_are_what_an_export_of_them_costs(tmp_path: Path) -> None:
    counted = [{"pst_id": 1, "users_count": 700}, {"pst_id": 2, "users_count": 0}]
    account = generate_account(users=12, groups=0, enrollments=0)
    names = ["recipients", "phishing_campaigns", "account_risk_history", "user_risk_history"]
    async with Simulator(account) as sim:
        serve(sim, "phishing/campaigns", rows("campaign_id", 1, psts=counted, psts_count=2))
        serve(sim, "phishing/campaigns", campaign_type="callback")
        serve(sim, "phishing/security_tests", rows("pst_id", 3, campaign_id=1, scheduled_count=3))
        serve(sim, "phishing/security_tests", campaign_type="callback")
        recipients = "phishing/security_tests/1/recipients"
        serve(sim, recipients, rows("recipient_id", 500), rows("recipient_id", 200, first=500))
        serve(sim, "phishing/security_tests/3/recipients", rows("recipient_id", 3))
        history = Fault.status(200, body=rows("date", 30))
        sim.faults.add(history, path="account/risk_score_history", times=None)
        sim.faults.add(history, path="users/*/risk_score_history", times=None)

        found = await plan(sim, *names)
        assert found.planning_requests == len(sim.log)
        sim.log.clear()
        async with client(sim) as kb:
            report = await export_account(kb, tmp_path, resources=names)

    assert report.complete
    assert found.exact
    assert found.resources["recipients"].requests == 2 + 0 + 1
    assert found.resources["user_risk_history"].requests == 12
    assert found.resources["account_risk_history"].requests == 2
    assert found.requests == len(sim.log)


async def test_members_of_groups_that_were_not_read_are_estimated() -> None:
    account = generate_account(users=900, groups=2600, enrollments=0)
    async with Simulator(account) as sim:
        found = await plan(sim, "members")
        pages = [entry.page or 1 for entry in sim.requests("groups") if entry.rows]

    seen = [group for page in pages for group in account.groups[(page - 1) * 500 : page * 500]]
    share = 2600 / len(seen)
    entry = found.resources["members"]
    assert len(pages) < 6
    assert not found.exact
    assert not entry.exact
    assert f"estimated from {len(pages)} of 6 pages of groups" in entry.basis
    assert entry.rows == round(sum(group["member_count"] for group in seen) * share)
    assert entry.requests == round(sum(group["member_count"] > 0 for group in seen) * share)


async def test_counts_that_lie_change_nothing_that_was_found() -> None:
    account = generate_account(users=700, groups=5, enrollments=0)
    for number, group in enumerate(list(account.groups)):
        account.groups.update(group["id"], member_count=[0, 5000, None, "many", 3][number])
    account.account["number_of_seats"] = 7

    found = await check(account)

    members = found.resources["members"]
    assert (members.requests, members.exact, members.rows) == (0 + 10 + 2 + 2 + 1, False, None)
    assert "member_count" in members.basis
    assert found.licensed_users == 7


async def test_the_savings_are_those_of_the_cheaper_plans(sim: Simulator) -> None:
    found = await plan(sim)
    derived = await plan(sim, members="derived")
    careless = await plan(sim, verify="none")

    saved = {saving.what.rpartition("(")[2]: saving.requests for saving in found.savings}
    assert saved == {
        'members="derived")': found.requests - derived.requests,
        'verify="none")': found.requests - careless.requests,
    }
    assert [saving.requests for saving in found.savings] == sorted(saved.values(), reverse=True)


@pytest.mark.parametrize(
    ("status", "error"), [(403, "PermissionDeniedError"), (404, "NotFoundError")]
)
async def test_what_cannot_be_read_says_why_and_stops_nothing(
    sim: Simulator, status: int, error: str
) -> None:
    sim.faults.add(Fault.status(status), path="groups", times=None)

    found = await plan(sim)

    for name in ("groups", "members"):
        assert (found.resources[name].error, found.resources[name].exact) == (error, False)
        assert f"answered with {status}" in found.resources[name].basis
    assert found.resources["groups"].requests == len(sim.requests("groups"))
    assert found.resources["users"].exact
    assert not found.exact


async def test_a_page_that_cannot_be_had_is_named(sim: Simulator) -> None:
    sim.faults.add(Fault.status(500), path="users", page=2, times=None)

    entry = (await plan(sim, "users")).resources["users"]

    assert (entry.error, entry.rows, entry.exact) == ("ServerError", None, False)


async def test_an_account_that_cannot_be_read_stops_nothing(sim: Simulator) -> None:
    sim.faults.add(Fault.status(403), path="account", times=None)

    found = await plan(sim, "users")

    assert found.resources["account"].error == "PermissionDeniedError"
    assert found.resources["users"].exact
    assert found.assumed.startswith("the number of users")


async def test_an_unknown_key_ends_it_with_one_request(sim: Simulator) -> None:
    async with ReportingClient("unknown", base_url=sim.base_url) as kb:
        with pytest.raises(AuthenticationError):
            await plan_export(kb)

    assert len(sim.log) == 1


async def test_a_key_that_is_revoked_meanwhile_ends_it(sim: Simulator) -> None:
    sim.faults.add(Fault.status(401), path="groups", times=None)

    with pytest.raises(AuthenticationError):
        await plan(sim)


async def test_a_server_that_is_not_there_ends_it(sim: Simulator) -> None:
    sim.faults.add(Fault.reset(), path="account", times=None)

    with pytest.raises(TransportError):
        await plan(sim)


@pytest.mark.parametrize(
    ("rules", "said", "asked"),
    [
        ({"numbers": "refused", "cursors": "envelope"}, "refuses page numbers", 1),
        ({"numbers": "refused"}, "refuses page numbers", 1),
        ({"numbers": "ignored", "cursors": "header"}, "ignores page numbers", 2),
        ({"cursors": "envelope", "announce": True}, "shows a cursor", 1),
        ({"cursors": "header", "announce": True}, "shows a cursor", 1),
        ({"cursors": "link", "announce": True}, "shows a cursor", 1),
    ],
)
async def test_by_cursor_only_counts_can_tell(rules: Any, said: str, asked: int) -> None:
    account = generate_account(users=1400, groups=700, enrollments=1600)
    seats = account.account["number_of_seats"]
    async with Simulator(account, paging=PagingRules(**rules)) as sim:
        found = await plan(sim, "users", "enrollments")
        assert len(sim.requests("users")) == asked
        # Where page 1 was not had by number, it is read by cursor: it may be everything.
        asked += "announce" not in rules
        assert len(sim.requests("enrollments")) == asked

    users, enrollments = found.resources["users"], found.resources["enrollments"]
    assert (users.rows, users.requests) == (seats, -(-seats // 500))
    assert (enrollments.rows, enrollments.requests) == (None, asked + 1)
    assert not users.exact
    assert not enrollments.exact
    assert said in users.basis
    assert enrollments.basis.startswith("at least")


async def test_a_client_told_or_taught_to_read_by_cursor_asks_nothing_in_vain(
    account: Account,
) -> None:
    rules = PagingRules(numbers="refused", cursors="envelope")
    async with Simulator(account, paging=rules) as sim:
        async with client(sim, paging="cursor") as told:
            assert not (await plan_export(told, ["users"])).exact
        assert sim.requests("users") == []
        async with client(sim) as taught:
            await drain(taught.users.list())
            sim.log.clear()
            assert not (await plan_export(taught, ["users"])).exact
        assert sim.requests("users") == []


async def test_a_client_told_to_read_by_number_plans_by_number(account: Account) -> None:
    async with Simulator(account, paging=PagingRules(cursors="header", announce=True)) as sim:
        async with client(sim, paging="number") as kb:
            found = await plan_export(kb, ["users"])
            sim.log.clear()
            await drain(kb.users.list())

        assert found.resources["users"].exact
        assert found.resources["users"].requests == len(sim.log)


async def test_the_latency_is_the_servers_alone(account: Account) -> None:
    async with Simulator(account, latency=0.02) as sim:
        async with client(sim, limits=Limits.of("1/0.3s")) as kb:
            found = await plan_export(kb, ["training_campaigns"])

        assert len(sim.log) == 3
        # What was waited for a permit, 0.3 s each time, is none of it.
        assert 0.02 <= found.latency < 0.3


async def test_the_limits_are_the_clients_and_the_published(sim: Simulator) -> None:
    async with client(sim, limits=Limits.of("60/1s", "90/1d"), max_concurrency=3) as kb:
        found = await plan_export(kb, NAMES)

    assert found.max_concurrency == 3
    assert found.in_force.limits == (Window(60, 1.0), Window(1000, 60.0), Window(90, 86_400.0))
    assert found.in_force.quota == 90
    assert found.in_force.days == -(-found.requests // 90)
    assert found.published.quota == 2000 + sim.account.account["number_of_seats"]
    assert Window(50, 60.0) in found.published.limits


@pytest.mark.parametrize(
    ("names", "options", "said"),
    [
        (["cats"], {}, "'cats' is not a resource"),
        ([], {}, "No resource was chosen"),
        (["members"], {"members": "derived"}, "users and groups"),
        (None, {"members": "stolen"}, "'fetched' or 'derived'"),
        (None, {"verify": "twice"}, "'tail', 'full' or 'none'"),
    ],
)
async def test_a_choice_that_cannot_be_made_is_refused_before_any_request(
    sim: Simulator, kb: ReportingClient, names: Any, options: Any, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        await plan_export(kb, names, **options)

    assert len(sim.log) == 0


async def hanging(sim: Simulator, kb: ReportingClient) -> "asyncio.Task[ExportPlan]":
    """A plan under way, that waits for the users."""
    arrived = asyncio.Event()
    sim.on_request = lambda entry: arrived.set() if entry.is_at("users") else None
    sim.faults.add(Fault.hang(), path="users", times=None)
    planning = asyncio.create_task(plan_export(kb))
    await arrived.wait()
    return planning


async def test_closing_the_client_ends_it(sim: Simulator, kb: ReportingClient) -> None:
    planning = await hanging(sim, kb)

    await kb.close()

    with pytest.raises(ClientClosedError):
        await planning


async def test_cancelling_it_leaves_nothing_behind(sim: Simulator, kb: ReportingClient) -> None:
    planning = await hanging(sim, kb)

    planning.cancel()

    with pytest.raises(asyncio.CancelledError):
        await planning
    assert await kb.account.get()


async def test_it_is_json_without_the_key(sim: Simulator) -> None:
    found = await plan(sim)

    text = json.dumps(found.to_json())
    read = json.loads(text)
    assert (read["requests"], read["exact"]) == (found.requests, True)
    assert read["resources"]["users"]["requests"] == found.resources["users"].requests
    assert [Window.parse(limit) for limit in read["published"]["limits"]] == list(
        found.published.limits
    )
    assert sim.api_key not in text + repr(found)


# -- the command ----------------------------------------------------------------------------------


async def kb4(sim: Simulator, *words: str, key: str | None = None) -> tuple[int, str, str]:
    """Plan on the command line."""
    if "--resource" not in words:
        words += tuple(word for name in NAMES for word in ("--resource", name))
    secret = key or sim.api_key
    done = await command.kb4("plan", *words, KB4_API_KEY=secret, KB4_BASE_URL=sim.base_url)
    assert secret not in done.text + done.err
    return done.code, done.text, done.err


async def test_the_command_prints_a_table_and_plain_words(sim: Simulator) -> None:
    code, out, err = await kb4(sim, "--limits", "20/60s")

    assert (code, err) == (0, "")
    lines = {line.split()[0]: line for line in out.splitlines() if line}
    assert lines["users"].split()[1:4] == ["1,150", "5", "exact"]
    assert lines["users"].endswith("the end was found: 3 pages")
    assert lines["all"].split()[-1] == "exact"
    assert "(20 in 60 s binds)" in out
    assert "They allow 2,000 + 1,175 requests a day" in out
    assert 'members="derived"' in out
    assert max(map(len, out.splitlines())) <= 120


async def test_the_command_prints_json(sim: Simulator) -> None:
    code, out, _ = await kb4(sim, "--json", "--resource", "users", "--verify", "none")

    read = json.loads(out)
    assert code == 0
    assert read["resources"]["users"] == {
        "rows": 1150,
        "requests": 4,
        "exact": True,
        "basis": "the end was found: 3 pages",
        "chosen": True,
        "error": None,
    }
    assert list(read["resources"]) == ["account", "users"]
    assert read["savings"] == []


async def test_the_command_ends_with_the_documented_codes(sim: Simulator) -> None:
    assert (await kb4(sim, "--members", "stolen"))[0] == 2
    assert (await kb4(sim, key="another-key"))[0] == 4
    sim.faults.add(Fault.status(403), path="groups", times=None)
    code, out, _ = await kb4(sim)
    assert code == 3
    assert "could not be read" in out
    sim.faults.add(Fault.status(403), times=None)
    assert (await kb4(sim))[0] == 4
