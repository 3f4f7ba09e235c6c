import asyncio
import gzip
import json
import re
import zlib
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias

import aiohttp
import orjson
import pytest

from kb4_async.testing import (
    Account,
    Fault,
    Limit,
    LoggedRequest,
    PagingRules,
    Simulator,
    delete_row,
    generate_account,
    insert_row,
    update_row,
)

Record: TypeAlias = dict[str, Any]
Got: TypeAlias = tuple[int, Mapping[str, str], bytes]


@pytest.fixture(scope="module")
def account() -> Account:
    return generate_account(users=1150, groups=12, enrollments=1300, training_campaigns=23)


@asynccontextmanager
async def serving(
    account: Account | None = None, **options: Any
) -> AsyncIterator[tuple[Simulator, aiohttp.ClientSession]]:
    """Start a simulator without limits and a session with its key."""
    account = account or generate_account(users=30, groups=4)
    async with Simulator(account, **({"limits": ()} | options)) as sim:
        headers = {"Authorization": f"Bearer {sim.api_key}", "Accept": "application/json"}
        async with aiohttp.ClientSession(headers=headers, auto_decompress=True) as session:
            yield sim, session


def bearer(sim: Simulator) -> dict[str, str]:
    return {"Authorization": f"Bearer {sim.api_key}"}


async def get(sim: Simulator, session: aiohttp.ClientSession, path: str, **options: Any) -> Got:
    async with session.get(f"{sim.base_url}/{path}", allow_redirects=False, **options) as response:
        return response.status, response.headers, await response.read()


async def ask(sim: Simulator, session: aiohttp.ClientSession, path: str, **options: Any) -> Any:
    status, _, body = await get(sim, session, path, **options)
    assert status == 200, body
    return orjson.loads(body)


async def all_pages(
    sim: Simulator, session: aiohttp.ClientSession, path: str, per_page: int = 500
) -> list[Record]:
    rows: list[Record] = []
    page = 1
    join = "&" if "?" in path else "?"
    while True:
        found = await ask(sim, session, f"{path}{join}per_page={per_page}&page={page}")
        if not found:
            return rows
        rows += found
        page += 1


async def test_every_list_is_served_whole_and_as_held(account: Account) -> None:
    async with serving(account) as (sim, session):
        assert await ask(sim, session, "account") == account.account
        assert await all_pages(sim, session, "users") == list(account.users)
        assert await all_pages(sim, session, "users", 7 * 7) == list(account.users)
        assert await all_pages(sim, session, "groups") == list(account.groups)
        assert await all_pages(sim, session, "phishing/campaigns") == list(
            account.phishing_campaigns
        )
        for group in account.groups:
            rows = await all_pages(sim, session, f"groups/{group['id']}/members")
            assert rows == list(account.members[group["id"]])
            assert len(rows) == group["member_count"]
        flags = (
            "include_campaign_id=true&include_store_purchase_id=true&include_employee_number=true"
        )
        rows = await all_pages(sim, session, f"training/enrollments?{flags}")
        assert rows == list(account.enrollments)


async def test_keys_keep_their_order_on_the_wire(account: Account) -> None:
    async with serving(account) as (sim, session):
        _, _, body = await get(sim, session, "users?per_page=1")
        assert list(json.loads(body)[0]) == list(account.users[0])


async def test_single_records(account: Account) -> None:
    async with serving(account) as (sim, session):
        user, group = account.users[-1], account.groups[3]
        assert await ask(sim, session, f"users/{user['id']}") == user
        assert await ask(sim, session, f"groups/{group['id']}") == group
        campaign = account.phishing_campaigns[0]
        assert await ask(sim, session, f"phishing/campaigns/{campaign['campaign_id']}") == [
            campaign
        ]
        training = account.training_campaigns[0]
        assert await ask(sim, session, f"training/campaigns/{training['campaign_id']}") == training
        enrolled = account.enrollments[2]
        found = await ask(sim, session, f"training/enrollments/{enrolled['enrollment_id']}")
        assert "campaign_id" not in found
        assert found["module_name"] == enrolled["module_name"]


async def test_filters(account: Account) -> None:
    async with serving(account) as (sim, session):
        for status in ("active", "archived"):
            rows = await all_pages(sim, session, f"users?status={status}")
            assert rows == [user for user in account.users if user["status"] == status]
            rows = await all_pages(sim, session, f"groups?status={status}")
            assert rows == [group for group in account.groups if group["status"] == status]
        group_id = account.groups[1]["id"]
        rows = await all_pages(sim, session, f"users?group_id={group_id}")
        assert rows == list(account.members[group_id])
        assert await ask(sim, session, "users?group_id=none") == []
        one = await ask(sim, session, "users?expand=group&per_page=1")
        assert [group["id"] for group in one[0]["groups"]] == account.users[0]["groups"]


async def test_filters_of_enrollments(account: Account) -> None:
    async with serving(account) as (sim, session):
        path = "training/enrollments?include_campaign_id=true&include_store_purchase_id=true"
        some = next(
            each for each in account.enrollments if each["user"] and each["store_purchase_id"]
        )
        for name, value in (
            ("campaign_id", some["campaign_id"]),
            ("store_purchase_id", some["store_purchase_id"]),
            ("user_id", some["user"]["id"]),
        ):
            rows = await all_pages(sim, session, f"{path}&{name}={value}")
            assert 0 < len(rows) < len(account.enrollments)
            held = [
                (row["user"] or {}).get("id") if name == "user_id" else row[name] for row in rows
            ]
            assert set(held) == {value}
            assert all("employee_number" not in (row["user"] or {}) for row in rows)
        archived = {user["id"] for user in account.users if user["status"] == "archived"}
        rows = await all_pages(sim, session, "training/enrollments?exclude_archived_users=true")
        assert len(rows) < len(account.enrollments)
        assert not archived & {row["user"]["id"] for row in rows if row["user"]}
        assert all("campaign_id" not in row and "store_purchase_id" not in row for row in rows)


async def test_training_campaigns_stop_at_ten_unless_percentages_are_excluded(
    account: Account,
) -> None:
    async with serving(account) as (sim, session):
        assert len(await ask(sim, session, "training/campaigns?per_page=500")) == 10
        assert await ask(sim, session, "training/campaigns?per_page=500&page=2") == []
        rows = await all_pages(sim, session, "training/campaigns?exclude_percentages=true")
        assert len(rows) == 23
        assert all("completion_percentage" not in row for row in rows)
    async with serving(account, paging=PagingRules(campaign_limit="page")) as (sim, session):
        assert await all_pages(sim, session, "training/campaigns") == list(
            account.training_campaigns
        )


async def test_callback_campaigns_live_apart(account: Account) -> None:
    async with serving(account) as (sim, session):
        rows = await all_pages(sim, session, "phishing/campaigns?campaign_type=callback")
        assert rows == list(account.callback_campaigns) != []
        path = f"phishing/campaigns/{rows[0]['campaign_id']}"
        assert (await get(sim, session, path))[0] == 404
        assert await ask(sim, session, f"{path}?campaign_type=callback") == [rows[0]]


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("", 100),
        ("?per_page=500", 500),
        ("?per_page=5000", 500),
        ("?per_page=0", 100),
        ("?page=0&per_page=3", 3),
        ("?page=3&per_page=500", 150),
        ("?page=4&per_page=500", 0),
        ("?page=99999999", 0),
    ],
)
async def test_page_sizes(account: Account, query: str, rows: int) -> None:
    async with serving(account) as (sim, session):
        assert len(await ask(sim, session, f"users{query}")) == rows
        assert sim.log[-1].rows == rows
    async with serving(account, paging=PagingRules(cap=50)) as (sim, session):
        assert len(await ask(sim, session, f"users{query}")) <= 50


async def test_an_empty_account_answers_empty_lists() -> None:
    empty = generate_account(
        users=0, groups=0, enrollments=0, training_campaigns=0, phishing_campaigns=0
    )
    async with serving(empty) as (sim, session):
        for path in ("users", "groups", "training/enrollments", "training/campaigns"):
            assert await ask(sim, session, path) == []
        assert (await ask(sim, session, "account"))["number_of_seats"] == 25


async def test_refusals() -> None:
    async with serving() as (sim, session):
        sim.add_stranger("scim-token")
        for bearer in ("Bearer wrong", "Bearer scim-token", "Basic abc", ""):
            status, headers, body = await get(
                sim, session, "users", headers={"Authorization": bearer}
            )
            assert (status, "json" in headers["content-type"]) == (401, True)
            assert orjson.loads(body)
            assert not sim.log[-1].key_ok
        assert (await get(sim, session, "users", headers={"Accept": "text/html"}))[0] == 406
        for path in ("nothing", "users/1", "users/x", "groups/1/members", "users/1/2", "users/"):
            assert (await get(sim, session, path))[0] == 404, path
        async with session.get(f"{sim.origin}/api/v1/users") as response:
            assert response.status == 404
        async with session.post(f"{sim.base_url}/users", json={}) as response:
            assert response.status == 404
        sim.revoke(sim.api_key)
        assert (await get(sim, session, "users"))[0] == 401


async def test_headers_are_those_of_the_real_service() -> None:
    async with serving() as (sim, session):
        _, headers, _ = await get(sim, session, "users")
        assert headers["content-type"] == "application/json; charset=utf-8"
        assert headers["transfer-encoding"] == "chunked"
        assert "content-length" not in headers
        assert headers["x-request-id"] == sim.log[-1].request_id
        assert re.fullmatch(r'W/"[0-9a-f]{32}"', headers["etag"])
        assert float(headers["x-runtime"]) >= 0
        assert not any(name.lower().startswith("x-ratelimit") for name in headers)
        _, again, _ = await get(sim, session, "users")
        assert again["etag"] == headers["etag"]
        assert again["x-request-id"] != headers["x-request-id"]
    async with serving(chunked=False) as (sim, session):
        _, headers, body = await get(sim, session, "users")
        assert int(headers["content-length"]) == len(body) == sim.log[-1].size


@pytest.mark.parametrize("style", ["compact", "escaped", "pretty"])
async def test_the_same_records_in_any_style_and_with_ids_beyond_64_bits(style: Any) -> None:
    account = generate_account(users=200, groups=3, extreme_ids=True)
    async with serving(account, style=style) as (sim, session):
        _, _, body = await get(sim, session, "users?per_page=500")
        assert json.loads(body) == list(account.users)
        assert str(account.users[-1]["id"]).encode() in body
        assert (b"\n" in body) == (style == "pretty")
        assert body.isascii() == (style == "escaped")


async def test_limits_hold_by_arrival_and_by_key() -> None:
    clock = [0.0]
    async with serving(
        limits=[Limit(3, 60.0), Limit(2, 1.0)],
        clock=lambda: clock[0],
        rate_headers=True,
        retry_after=True,
    ) as (sim, session):
        other = sim.add_account("other", generate_account(users=1))
        statuses = [(await get(sim, session, "users"))[0] for _ in range(3)]
        assert statuses == [200, 200, 429]
        _, headers, body = await get(sim, session, "users")
        assert headers["retry-after"] == "1"
        assert headers["x-ratelimit-remaining"] == "1"
        assert orjson.loads(body)
        clock[0] = 1.0
        status, headers, _ = await get(sim, session, "users")
        assert (status, headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == (
            200,
            "3",
            "0",
        )
        clock[0] = 2.0
        status, headers, _ = await get(sim, session, "users")
        assert (status, headers["retry-after"]) == (429, "58")
        rows = await ask(sim, session, "users", headers={"Authorization": "Bearer other"})
        assert len(rows) == 1
        assert len(sim.requests(status=429)) == 3
        assert sim.log.worst_window(1.0) == 4
        assert sim.log.worst_window(60.0, key=other) == 1


async def test_a_refused_request_uses_no_fault_up() -> None:
    async with serving(limits=[Limit(0, 60.0)]) as (sim, session):
        rule = sim.faults.add(Fault.status(500))
        assert (await get(sim, session, "users"))[0] == 429
        assert rule.played == 0


async def test_a_429_can_name_a_date() -> None:
    async with serving(limits=[Limit(0, 60.0)], retry_after="date") as (sim, session):
        _, headers, _ = await get(sim, session, "users")
        assert headers["retry-after"].endswith("GMT")


async def test_http_1_0_gets_no_chunks() -> None:
    async with serving() as (sim, _):
        reader, writer = await asyncio.open_connection(sim.host, sim.port)
        request = f"GET /v1/account HTTP/1.0\r\nAuthorization: Bearer {sim.api_key}\r\n\r\n"
        writer.write(request.encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        assert b"chunked" not in head
        assert orjson.loads(body) == sim.account.account


async def test_the_log_tells_arrivals_apart() -> None:
    seen: list[LoggedRequest] = []
    async with serving(on_answer=seen.append) as (sim, session):
        await get(sim, session, "users?page=2&status=active")
        await get(sim, session, "groups")
        first, second = sim.log
        assert (first.path, first.page, first.query["status"]) == ("users", 2, "active")
        assert first.connection == second.connection > 0
        assert first.number == 0
        assert first.answered is not None
        assert first.arrived <= first.answered <= second.arrived
        assert first.key == second.key != sim.api_key
        assert first.headers["accept"] == "application/json"
        assert sim.api_key not in repr(sim.log[:]) + str(first.headers)
        assert seen == [first, second]


async def test_status_faults_by_path_and_page() -> None:
    async with serving() as (sim, session):
        rule = sim.faults.add(Fault.status(500), path="users", page=2, times=2, after=1)
        asked = [
            "users",
            "users?page=2",
            "groups?page=2",
            "users?page=2",
            "users?page=2",
            "users?page=2",
        ]
        statuses = [(await get(sim, session, path))[0] for path in asked]
        assert statuses == [200, 200, 200, 500, 500, 200]
        assert (rule.played, [each.fault for each in sim.requests(status=500)]) == (
            2,
            ["status"] * 2,
        )
        sim.faults.clear()
        sim.faults.add(Fault.status(403, body=b"", headers={"x-why": "no"}))
        status, headers, body = await get(sim, session, "users")
        assert (status, headers["x-why"], body) == (403, "no", b"")


async def test_faults_that_are_whole_answers() -> None:
    async with serving() as (sim, session):
        sim.faults.add(Fault.html(503))
        status, headers, body = await get(sim, session, "users")
        assert (status, headers["content-type"]) == (503, "text/html; charset=utf-8")
        assert body.startswith(b"<!DOCTYPE")
        sim.faults.add(Fault.rate_limit(retry_after=7))
        status, headers, _ = await get(sim, session, "users")
        assert (status, headers["retry-after"]) == (429, "7")
        sim.faults.add(Fault.redirect("http://other.test/v1/users"))
        status, headers, _ = await get(sim, session, "users")
        assert (status, headers["location"]) == (302, "http://other.test/v1/users")
        sim.faults.add(Fault.invalid_json())
        status, _, body = await get(sim, session, "users")
        assert status == 200
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(body)
        sim.faults.add(Fault.wrong_shape("maintenance"))
        status, headers, body = await get(sim, session, "users")
        assert (status, orjson.loads(body)) == (200, {"message": "maintenance"})
        assert headers["content-type"] == "application/json; charset=utf-8"
        for fault, encoding in ((Fault.gzip(), "gzip"), (Fault.deflate(), "deflate")):
            sim.faults.add(fault)
            status, headers, body = await get(sim, session, "users")
            assert headers["content-encoding"] == encoding
            assert orjson.loads(body) == list(sim.account.users)


@pytest.mark.parametrize("code", [201, 300, 304, 400, 401, 402, 403, 404, 408, 418, 451, 500, 599])
async def test_any_status(code: int) -> None:
    async with serving() as (sim, session):
        sim.faults.add(Fault.status(code))
        assert (await get(sim, session, "users"))[0] == sim.log[0].status == code
        assert (await get(sim, session, "users"))[0] == 200


@pytest.mark.parametrize(
    ("fault", "decompress"), [(Fault.gzip(), gzip.decompress), (Fault.deflate(), zlib.decompress)]
)
async def test_bodies_come_compressed_over_the_wire(fault: Fault, decompress: Any) -> None:
    async with serving() as (sim, _):
        sim.faults.add(fault)
        async with aiohttp.ClientSession(auto_decompress=False) as plain:
            _, _, body = await get(sim, plain, "account", headers=bearer(sim))
        assert orjson.loads(decompress(body)) == sim.account.account


async def test_redirects_lead_to_the_same_or_to_another_host() -> None:
    async with serving() as (sim, session):
        here = f"{sim.base_url}/users?page=2&status=active"
        for url, location in (
            (None, here),
            ("/v1/groups", "/v1/groups"),
            ("https://elsewhere.test/v1/users", "https://elsewhere.test/v1/users"),
        ):
            sim.faults.add(Fault.redirect(url, 307))
            status, headers, body = await get(sim, session, "users?page=2&status=active")
            assert (status, headers["location"], body) == (307, location, b"")
            assert sim.log[-1].fault == "redirect"


async def test_a_key_is_revoked_in_the_middle() -> None:
    async with serving() as (sim, session):
        sim.add_account("other", sim.account)
        rule = sim.faults.add(Fault.revoke(), path="users", page=2)
        asked = ["users", "users?page=2", "users?page=2", "groups"]
        statuses = [(await get(sim, session, path))[0] for path in asked]
        assert statuses == [200, 401, 401, 401]
        assert [entry.key_ok for entry in sim.log] == [True, False, False, False]
        assert rule.played == 1
        assert await ask(sim, session, "users", headers={"Authorization": "Bearer other"})


async def test_a_revoked_key_has_used_up_what_it_had() -> None:
    async with serving(limits=[Limit(2, 60.0)]) as (sim, session):
        assert (await get(sim, session, "users"))[0] == 200
        sim.revoke(sim.api_key)
        sim.revoke("never seen")
        statuses = [(await get(sim, session, "users"))[0] for _ in range(2)]
        assert statuses == [401, 429]


async def test_a_wrong_region_knows_no_key() -> None:
    async with serving() as (sim, session):
        sim.faults.add(Fault.wrong_region(), times=None)
        for path in ("account", "users", "groups?page=2"):
            assert (await get(sim, session, path))[0] == 401


@pytest.mark.parametrize("users", [30, 1500])
async def test_a_content_length_that_is_too_large(users: int) -> None:
    async with serving(generate_account(users=users)) as (sim, session):
        sim.faults.add(Fault.wrong_length(7))
        async with session.get(f"{sim.base_url}/users?per_page=500") as response:
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
        promised = int(response.headers["content-length"])
        assert promised == sim.log[0].size + 7
        assert sim.log[0].answered is None
        assert len(await ask(sim, session, "users?per_page=500")) == min(users, 500)


@pytest.mark.parametrize("users", [30, 1500])
async def test_a_content_length_that_is_too_small(users: int) -> None:
    async with serving(generate_account(users=users)) as (sim, _):
        sim.faults.add(Fault.wrong_length(-7))
        ended = await raw(sim, "users?per_page=500")
        head, _, body = ended.partition(b"\r\n\r\n")
        promised = int(re.findall(rb"content-length: (\d+)", head)[0])
        assert promised == len(body) - 7 == sim.log[0].size - 7
        assert orjson.loads(body) == sim.account.users[:500]
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(body[:promised])


async def raw(sim: Simulator, path: str) -> bytes:
    """Return all bytes that come over one connection until it is closed."""
    reader, writer = await asyncio.open_connection(sim.host, sim.port)
    credential = f"Authorization: Bearer {sim.api_key}"
    writer.write(f"GET /v1/{path} HTTP/1.1\r\nHost: sim\r\n{credential}\r\n\r\n".encode())
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_headers_that_lie() -> None:
    async with serving(limits=[Limit(5, 60.0)], rate_headers=True) as (sim, session):
        lie = {"X-RateLimit-Remaining": "999", "Content-Type": "text/plain"}
        sim.faults.add(Fault.with_headers(lie), path="users", after=1)
        left = []
        for _ in range(3):
            _, headers, body = await get(sim, session, "users")
            assert orjson.loads(body) == list(sim.account.users)
            left.append((headers["x-ratelimit-remaining"], headers["content-type"][:10]))
        assert left == [("4", "applicatio"), ("999", "text/plain"), ("2", "applicatio")]
    lies = {"X-RateLimit-Limit": "1000", "X-RateLimit-Remaining": "0"}
    async with serving(rate_headers=lies) as (sim, session):
        for bearer in (f"Bearer {sim.api_key}", "Bearer wrong"):
            _, headers, _ = await get(sim, session, "users", headers={"Authorization": bearer})
            assert headers["x-ratelimit-limit"] == "1000"
            assert headers["x-ratelimit-remaining"] == "0"


@pytest.mark.parametrize(
    ("said", "header"), [(True, "57600"), (False, None), (7, "7"), (0.5, "0.5"), ("date", "GMT")]
)
async def test_when_a_spent_day_says_to_come_again(said: Any, header: str | None) -> None:
    clock = [1000.0]
    limits = [Limit(2, 86_400.0, "anchored")]
    async with serving(limits=limits, retry_after=said, clock=lambda: clock[0]) as (sim, session):
        await get(sim, session, "account")
        clock[0] += 8 * 3600
        await get(sim, session, "account")
        status, headers, _ = await get(sim, session, "account")
        assert status == 429
        told = headers.get("retry-after")
        if said == "date":
            assert told is not None
            until = parsedate_to_datetime(told) - datetime.now(UTC)
            assert abs(until.total_seconds() - 57_600) < 600
        else:
            assert told == header
        clock[0] += 57_600
        assert (await get(sim, session, "account"))[0] == 200


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.truncate(), aiohttp.ClientPayloadError),
        (Fault.truncate(content_length=True), aiohttp.ClientPayloadError),
        (Fault.reset_in_body(), (aiohttp.ClientPayloadError, aiohttp.ClientOSError)),
        (Fault.reset(), (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)),
    ],
)
@pytest.mark.parametrize("users", [30, 1500])
async def test_faults_that_cut_the_connection(fault: Fault, error: Any, users: int) -> None:
    async with serving(generate_account(users=users)) as (sim, session):
        # aiohttp sends a GET again by itself after a reset, so once would not be enough.
        rule = sim.faults.add(fault, times=None)
        with pytest.raises(error):
            await get(sim, session, "users?per_page=500")
        assert rule.played >= 1
        assert {entry.answered for entry in sim.log} == {None}
        assert {entry.fault for entry in sim.log} == {fault.kind}
        sim.faults.clear()
        assert len(await ask(sim, session, "users?per_page=500")) == min(users, 500)


@pytest.mark.parametrize(
    ("fault", "resets"),
    [
        (Fault.truncate(), False),
        (Fault.truncate(content_length=True), False),
        (Fault.reset(), True),
        (Fault.reset_in_body(), True),
    ],
)
async def test_a_connection_is_reset_or_closed_in_good_order(fault: Fault, resets: bool) -> None:
    async with serving() as (sim, _):
        sim.faults.add(fault)
        reader, writer = await asyncio.open_connection(sim.host, sim.port)
        credential = f"Authorization: Bearer {sim.api_key}"
        writer.write(f"GET /v1/account HTTP/1.1\r\nHost: sim\r\n{credential}\r\n\r\n".encode())
        ended: bytes | Exception
        try:
            ended = await reader.read()
        except ConnectionResetError as error:
            ended = error
        writer.close()
        assert isinstance(ended, ConnectionResetError) == resets
        if isinstance(ended, bytes):
            assert (b"chunked" in ended) != (b"Content-Length" in ended)
            assert b'{"name"' in ended
            assert not ended.endswith((b"0\r\n\r\n", b"}"))


async def test_slow_answers_come_whole() -> None:
    async with serving() as (sim, session):
        for in_body in (False, True):
            sim.faults.add(Fault.slow(0.05, in_body=in_body))
            assert len(await ask(sim, session, "users")) == 30
        sim.faults.add(Fault.slow(3600))
        with pytest.raises(TimeoutError):
            await get(sim, session, "users", timeout=aiohttp.ClientTimeout(total=0.05))


async def test_latency_is_between_arrival_and_answer() -> None:
    async with serving(latency=0.02, jitter=0.02) as (sim, session):
        await asyncio.gather(*(get(sim, session, "users") for _ in range(4)))
        assert all((entry.answered or 0) - entry.arrived >= 0.019 for entry in sim.log)


async def test_a_hanging_request_ends_with_its_client() -> None:
    here, over = asyncio.Event(), asyncio.Event()
    async with serving(on_request=lambda _: here.set(), on_answer=lambda _: over.set()) as (
        sim,
        session,
    ):
        sim.faults.add(Fault.hang())
        asked = asyncio.create_task(get(sim, session, "users"))
        await asyncio.wait_for(here.wait(), 30)
        assert not over.is_set()
        asked.cancel()
        await asyncio.wait_for(over.wait(), 30)
        assert sim.log[0].cancelled
        assert sim.log[0].status is None


async def test_stopping_cuts_off_whoever_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    # Waiting for requests to end by themselves, or cancelling them late, would now take too long.
    monkeypatch.setattr("kb4_async.testing.simulator.STOP_SECONDS", 600.0)
    arrivals = asyncio.Semaphore(0)
    async with serving(latency=3600, on_request=lambda _: arrivals.release()) as (sim, session):
        sim.faults.add(Fault.hang(), path="groups")
        sim.faults.add(Fault.slow(3600, in_body=True), path="account")
        asked = [asyncio.create_task(get(sim, session, path)) for path in ("users", "groups")]
        await arrivals.acquire()
        await arrivals.acquire()
        sim.latency = 0.0
        async with session.get(f"{sim.base_url}/account") as half:
            await half.content.readany()
            async with asyncio.timeout(30):
                await sim.stop()
                with pytest.raises(aiohttp.ClientError):
                    await half.read()
                ended = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(each, aiohttp.ClientError) for each in ended)
        await sim.stop()


async def test_serving_for_ever_ends_with_stop() -> None:
    sim = Simulator(generate_account(users=1))
    await sim.start()
    served = asyncio.create_task(sim.serve_forever())
    await asyncio.sleep(0)
    assert not served.done()
    await sim.stop()
    await asyncio.wait_for(served, 30)


async def test_a_simulator_can_be_started_again() -> None:
    sim = Simulator(generate_account(users=3))
    for _ in range(2):
        async with sim, aiohttp.ClientSession() as session:
            assert len(await ask(sim, session, "users", headers=bearer(sim))) == 3


async def test_a_client_that_leaves_in_the_middle_makes_no_noise(
    caplog: pytest.LogCaptureFixture,
) -> None:
    over = asyncio.Event()
    account = generate_account(users=4000)
    async with serving(account, on_answer=lambda _: over.set()) as (sim, session):
        sim.faults.add(Fault.slow(3600, in_body=True), path="users")
        response = await session.get(f"{sim.base_url}/users?per_page=500")
        response.close()
        await asyncio.wait_for(over.wait(), 30)
        assert sim.log[0].cancelled
        assert sim.errors == []
    assert caplog.records == []


async def test_a_failing_callback_is_not_lost() -> None:
    def judge(entry: LoggedRequest) -> None:
        assert entry.path == "groups", "only groups"

    with pytest.raises(AssertionError, match="only groups"):
        async with serving(on_request=judge) as (sim, session):
            assert (await get(sim, session, "users"))[0] == 500


async def test_hanging_up_ends_a_connection_after_a_whole_answer() -> None:
    async with serving() as (sim, session):
        sim.faults.add(Fault.hang_up())
        for _ in range(2):
            assert len(await ask(sim, session, "users")) == 30
            await asyncio.sleep(0.01)
        assert sim.log[0].connection != sim.log[1].connection
        assert sim.log[0].status == 200


async def test_a_chance_is_the_same_for_the_same_seed() -> None:
    played = []
    for _ in range(2):
        async with serving(seed=3) as (sim, session):
            sim.faults.add(Fault.status(500), times=None, probability=0.5)
            played.append([(await get(sim, session, "account"))[0] for _ in range(20)])
    assert played[0] == played[1]
    assert set(played[0]) == {200, 500}


async def test_rows_move_up_when_a_user_is_deleted_between_pages() -> None:
    account = generate_account(users=30, groups=2)
    ids = [user["id"] for user in account.users]

    def drift(entry: LoggedRequest) -> None:
        if entry.path == "users" and entry.page == 2:
            account.delete_user(ids[0])

    async with serving(account, on_request=drift) as (sim, session):
        first = await ask(sim, session, "users?per_page=10&page=1")
        second = await ask(sim, session, "users?per_page=10&page=2")
        assert [user["id"] for user in first] == ids[:10]
        assert [user["id"] for user in second] == ids[11:21]


async def test_answers_and_filters_kept_from_before_a_change_are_dropped() -> None:
    account = generate_account(users=30, groups=2)
    async with serving(account) as (sim, session):
        for path in ("users", "users?status=active", f"groups/{account.groups[0]['id']}/members"):
            before = await ask(sim, session, path)
            account.delete_user(before[0]["id"])
            assert await ask(sim, session, path) == before[1:]


async def pages_of_ids(
    sim: Simulator, session: aiohttp.ClientSession, pages: Iterable[int]
) -> list[list[int]]:
    found = [await ask(sim, session, f"users?per_page=10&page={page}") for page in pages]
    return [[user["id"] for user in page] for page in found]


async def test_rows_move_between_two_requests_as_scripted() -> None:
    account = generate_account(users=35, groups=2)
    ids = [user["id"] for user in account.users]
    async with serving(account) as (sim, session):
        gone = sim.drift.add(delete_row("users", "front"), path="users", page=1)
        come = sim.drift.add(insert_row("users", "front"), path="users", page=3, after=2)
        await ask(sim, session, "groups?page=1")
        assert (gone.ran, come.ran) == (0, 0)
        assert await pages_of_ids(sim, session, [1, 2, 3]) == [ids[:10], ids[11:21], ids[21:31]]
        assert (gone.ran, come.ran) == (1, 0)
        third, after = await pages_of_ids(sim, session, [3, 3])
        assert (third, after) == (ids[21:31], ids[20:30])
        assert (gone.ran, come.ran) == (1, 1)


async def test_only_who_is_served_sets_changes_off() -> None:
    async with serving(limits=[Limit(2, 3600.0)]) as (sim, session):
        rule = sim.drift.add(update_row("users", email="new@example.test"), times=None)
        await get(sim, session, "users", headers={"Authorization": "Bearer wrong"})
        sim.faults.add(Fault.status(500), after=1)
        statuses = [(await get(sim, session, "users"))[0] for _ in range(3)]
        assert statuses == [200, 500, 429]
        assert rule.ran == 2


async def test_a_change_is_made_to_the_account_that_is_read() -> None:
    async with serving() as (sim, session):
        other = generate_account(users=5)
        sim.add_account("other", other)
        sim.drift.add(delete_row("users"), times=None)
        await get(sim, session, "users", headers={"Authorization": "Bearer other"})
        assert (len(sim.account.users), len(other.users)) == (30, 4)


async def test_a_change_that_fails_is_not_lost() -> None:
    sim = Simulator(generate_account(users=1))
    sim.drift.add(lambda account: account.users.delete(1))
    async with aiohttp.ClientSession() as session:
        with pytest.raises(KeyError):
            async with sim:
                assert (await get(sim, session, "users", headers=bearer(sim)))[0] == 500


async def test_a_recipient_goes_while_the_others_are_read() -> None:
    account = generate_account(users=60, recipients_a_test=30)
    test = account.security_tests[0]
    path = f"phishing/security_tests/{test['pst_id']}/recipients"
    ids = [row["recipient_id"] for row in account.recipients[test["pst_id"]]]
    async with serving(account) as (sim, session):
        sim.drift.add(
            delete_row(lambda held: held.recipients[test["pst_id"]]), path="recipients", page=1
        )
        rows = await all_pages(sim, session, path, 10)
        assert [row["recipient_id"] for row in rows] == ids[:10] + ids[11:]
        again = await ask(sim, session, f"phishing/security_tests/{test['pst_id']}")
        assert again[0]["scheduled_count"] == 29
        campaign = await ask(sim, session, f"phishing/campaigns/{test['campaign_id']}")
        assert campaign[0]["psts"][0]["users_count"] == 29


async def test_every_list_of_phishing_and_training_is_served(account: Account) -> None:
    async with serving(account) as (sim, session):
        for path, table in (
            ("phishing/security_tests", account.security_tests),
            ("phishing/security_tests?campaign_type=callback", account.callback_security_tests),
            ("training/store_purchases", account.store_purchases),
            ("training/policies", account.policies),
            ("account/risk_score_history?full=true", account.risk_history),
        ):
            assert await all_pages(sim, session, path, 100) == list(table) != []
        tests = {test["pst_id"]: test for test in account.security_tests}
        for pst_id in tests:
            rows = await all_pages(sim, session, f"phishing/security_tests/{pst_id}/recipients")
            assert rows == list(account.recipients[pst_id])


async def test_cursors_are_logged() -> None:
    async with serving(paging=PagingRules(cursors="header")) as (sim, session):
        await get(sim, session, "users?cursor=true&per_page=20")
        await get(sim, session, "users?page=1")
        await get(sim, session, "users?page=1&cursor=true")
        assert [(entry.page, entry.cursor) for entry in sim.log] == [
            (None, "true"),
            (1, None),
            (1, "true"),
        ]
        assert [entry.status for entry in sim.log] == [200, 200, 400]


async def follow(
    sim: Simulator, session: aiohttp.ClientSession, path: str, style: str
) -> list[Record]:
    rows: list[Record] = []
    cursor: str | None = "true"
    while cursor:
        _, headers, body = await get(sim, session, f"{path}?per_page=10&cursor={cursor}")
        found = orjson.loads(body)
        if style == "envelope":
            rows += found["data"]
            cursor = found["pagination"]["next_cursor"]
        elif style == "header":
            rows += found
            cursor = headers.get("X-Next-Cursor")
        else:
            rows += found
            link = re.search(r"cursor=([^>&]+)>; rel=\"next\"", headers.get("Link", ""))
            cursor = link and link[1]
    return rows


@pytest.mark.parametrize("style", ["envelope", "header", "link"])
async def test_cursors_read_everything_and_do_not_drift(style: Any) -> None:
    account = generate_account(users=45, groups=2)
    ids = [user["id"] for user in account.users]

    def drift(entry: LoggedRequest) -> None:
        if entry.number == 2:
            account.delete_user(ids[0])
            account.add_user(place=0, id=1)
            account.add_user(place=1, id=2)

    async with serving(account, paging=PagingRules(cursors=style)) as (sim, session):
        assert await follow(sim, session, "users", style) == list(account.users)
        sim.log.clear()
        sim.on_request = drift
        assert [user["id"] for user in await follow(sim, session, "users", style)] == ids
        assert (await get(sim, session, "users?cursor=rubbish"))[0] == 400


@pytest.mark.parametrize("gone", [1, 15])
async def test_a_cursor_holds_its_place_when_rows_before_it_go(gone: int) -> None:
    account = generate_account(users=40, groups=2)
    ids = [user["id"] for user in account.users]

    def drift(entry: LoggedRequest) -> None:
        if entry.number == 2:
            for user_id in ids[:gone]:
                account.delete_user(user_id)

    paging = PagingRules(cursors="envelope")
    async with serving(account, paging=paging, on_request=drift) as (sim, session):
        assert [user["id"] for user in await follow(sim, session, "users", "envelope")] == ids
        assert [entry.rows for entry in sim.log] == [10, 10, 10, 10]


async def test_pages_by_number_can_be_refused_or_ignored() -> None:
    async with serving(paging=PagingRules(cursors="header", numbers="refused")) as (sim, session):
        assert (await get(sim, session, "users?page=1"))[0] == 400
        assert (await get(sim, session, "users"))[0] == 200
    async with serving(paging=PagingRules(numbers="ignored")) as (sim, session):
        first = await ask(sim, session, "users?per_page=10&page=1")
        assert await ask(sim, session, "users?per_page=10&page=2") == first
    async with serving(paging=PagingRules(cursors="link", announce=True)) as (sim, session):
        _, headers, _ = await get(sim, session, "users?per_page=10&page=1")
        assert headers["link"].startswith(f"<{sim.base_url}/users?")


async def test_pages_made_ahead_are_those_served(account: Account) -> None:
    async with serving(account) as (sim, session):
        assert sim.preload("account/risk_score_history", full="true") == 1
        user_id = account.users[0]["id"]
        assert sim.preload(f"users/{user_id}/risk_score_history") == 1
        assert sim.preload("users", status="active") == 3
        answers = sim.holders[sim.api_key].answers
        assert answers is not None
        kept = len(answers.kept)
        rows = await all_pages(sim, session, "users?status=active")
        assert rows == [user for user in account.users if user["status"] == "active"]
        assert len(answers.kept) == kept


async def test_what_is_kept_is_bounded(account: Account) -> None:
    async with serving(account, keep_bytes=1_000_000) as (sim, session):
        assert await all_pages(sim, session, "users") == list(account.users)
        answers = sim.holders[sim.api_key].answers
        assert answers is not None
        assert answers.kept_size <= 1_000_000
