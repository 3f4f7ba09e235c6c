"""What the SCIM client puts on the wire, and what it makes of each answer to a write."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from support.mocked import Answer, Call, answering

from kb4_async import (
    APIError,
    APITimeoutError,
    AuthenticationError,
    ConfigurationError,
    DecodeError,
    KB4Error,
    Limits,
    PermissionDeniedError,
    RateLimitError,
    Retry,
    ScimClient,
    ScimError,
    ScimUser,
    ServerError,
    TransportError,
)
from kb4_async.testing import run_virtual

TOKEN = "scim/token+with=signs"
URL = "https://tenant.example/scim/v2"
MADE = Answer(201, b'{"id": "7", "userName": "a@example.test", "active": true}')
NOTHING_SENT = Answer(error=aiohttp.ConnectionTimeoutError())
LOST = Answer(error=aiohttp.ServerDisconnectedError())


def asking(
    *answers: Answer,
    ask: Callable[[ScimClient], Awaitable[Any]] = lambda scim: scim.users.create(
        ScimUser("a@example.test")
    ),
    then: Answer | None = None,
    **options: Any,
) -> tuple[Any, list[Call]]:
    """Ask once of a server that answers so; an error is a result, too."""

    async def main() -> tuple[Any, list[Call]]:
        with answering(*answers, then=then) as calls:
            async with ScimClient(TOKEN, **({"tenant_url": URL} | options)) as scim:
                try:
                    return await ask(scim), calls
                except KB4Error as error:
                    return error, calls

    found, calls = run_virtual(main())
    assert TOKEN not in f"{found!r} {getattr(found, '__dict__', '')}"
    return found, calls


def body_of(call: Call) -> Any:
    return json.loads(call.options["data"])


# -- what is sent ------------------------------------------------------------------------------


def test_a_write_carries_token_media_types_and_a_whole_resource() -> None:
    user, (call,) = asking(MADE)

    assert (user.id, user.user_name, user.active) == ("7", "a@example.test", True)
    assert (call.method, str(call.url)) == ("POST", f"{URL}/Users")
    assert call.headers["authorization"] == f"Bearer {TOKEN}"
    assert call.headers["content-type"] == "application/scim+json"
    assert call.headers["accept"] == "application/scim+json, application/json"
    assert call.options["allow_redirects"] is False
    assert body_of(call) == {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "a@example.test",
        "emails": [{"value": "a@example.test", "type": "work", "primary": True}],
    }


def test_a_read_carries_no_body_and_quotes_its_filter() -> None:
    name = "ann+tag %&@example.test"
    found, calls = asking(
        Answer(
            body=json.dumps(
                {"totalResults": 1, "Resources": [{"id": 1, "userName": name}]}
            ).encode()
        ),
        ask=lambda scim: scim.users.find(name),
    )

    assert found.id == "1"
    assert calls[0].options["data"] is None
    assert "content-type" not in calls[0].headers
    assert dict(calls[0].url.query) == {"filter": f'userName eq "{name}"'}


@pytest.mark.parametrize("identity", ["a/b", "..", "ü?#"])
def test_an_id_stays_one_segment_of_the_path(identity: str) -> None:
    answer = Answer(body=json.dumps({"id": identity, "userName": "a"}).encode())
    found, calls = asking(answer, ask=lambda scim: scim.users.get(identity), then=Answer(404))
    if identity == "..":
        assert isinstance(found, ConfigurationError)
        assert calls == []
    else:
        assert found.id == identity
        assert calls[0].url.raw_path.count("/") == 4


# -- what is sent again ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(500), ServerError),
        (Answer(502, b"<html>bad gateway</html>"), ServerError),
        (Answer(503), ServerError),
        (Answer(504), ServerError),
        (LOST, TransportError),
        (Answer(201, b"<html>"), DecodeError),
        (Answer(201, b'{"userName": "a@example.test"}'), DecodeError),
        (Answer(200, b"[]"), DecodeError),
    ],
)
def test_a_write_that_may_have_been_done_is_sent_once(answer: Answer, kind: type[KB4Error]) -> None:
    error, calls = asking(answer)

    assert type(error) is kind
    assert error.maybe_applied
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, APIError),
        (400, ScimError),
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (409, ScimError),
        (412, ScimError),
        (413, ScimError),
        (418, ScimError),
        (501, ScimError),
    ],
)
def test_a_write_that_was_refused_is_sent_once_and_did_nothing(
    status: int, kind: type[KB4Error]
) -> None:
    body = b'{"status": "400", "scimType": "uniqueness", "detail": "no\\n way"}'
    error, calls = asking(Answer(status, body))

    assert type(error) is kind
    assert not error.maybe_applied
    assert "The server said: no way" in str(error)
    assert len(calls) == 1
    if isinstance(error, ScimError):
        assert (error.status, error.scim_type, error.detail) == (status, "uniqueness", "no way")


def test_a_write_that_surely_did_nothing_is_sent_again() -> None:
    user, calls = asking(NOTHING_SENT, Answer(429), NOTHING_SENT, MADE)

    assert user.id == "7"
    assert [call.method for call in calls] == ["POST"] * 4
    assert len({bytes(call.options["data"]) for call in calls}) == 1


def test_a_write_that_never_got_a_connection_did_nothing() -> None:
    error, calls = asking(then=NOTHING_SENT, retry=Retry(max_attempts=3))

    assert isinstance(error, APITimeoutError)
    assert not error.maybe_applied
    assert "'kb4 scim doctor' helps" in str(error)
    assert len(calls) == 3


def test_a_pause_that_is_too_long_ends_a_write_undone() -> None:
    error, _ = asking(then=Answer(429, headers={"Retry-After": "4000"}))

    assert isinstance(error, RateLimitError)
    assert not error.maybe_applied


def test_reads_are_repeated() -> None:
    page = Answer(body=b'{"totalResults": 0}')
    users, calls = asking(
        Answer(500),
        LOST,
        Answer(body=b"<html>"),
        page,
        ask=lambda scim: scim.users.list().collect(),
    )
    assert (users, len(calls)) == ([], 4)


# -- whose fault it is -------------------------------------------------------------------------


def jwt(claims: dict[str, Any]) -> str:
    middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{middle}.c2ln"


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_told_what_comes_first(status: int) -> None:
    error, _ = asking(Answer(status))

    assert "SAML SSO and SCIM must be switched on for the account first" in str(error)
    assert "Account Settings > User Provisioning > SCIM" in str(error)
    assert "Reporting API key" not in str(error)
    assert "US accounts" not in str(error)


def test_a_reporting_key_is_told_from_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(token: str) -> str:
        with answering(Answer(401)):
            async with ScimClient(token, tenant_url=URL) as scim:
                with pytest.raises(AuthenticationError) as caught:
                    await scim.users.get("1")
        return str(caught.value)

    for scope in ("elvis", "openid elvis", ["elvis"]):
        assert "it is a Reporting API key" in run_virtual(refused(jwt({"scope": scope})))
    assert "it is a Reporting API key" not in run_virtual(refused(jwt({"scope": "scim"})))
    monkeypatch.setenv("KB4_API_KEY", TOKEN)
    assert "it equals KB4_API_KEY" in run_virtual(refused(TOKEN))


def test_the_address_of_us_accounts_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KB4_TENANT_URL", raising=False)
    for status in (401, 403, 404):
        error, calls = asking(Answer(status), tenant_url=None)
        assert str(calls[0].url) == "https://training.knowbe4.com/scim/v2/Users"
        assert "is the Tenant URL of US accounts alone" in str(error)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://tenant.example/scim/v2", "would send the key unencrypted"),
        ("tenant.example", "needs a scheme and a host"),
        ("https://a:b@tenant.example", "holds a user, password"),
        ("https://tenant.example/?x=1", "query"),
    ],
)
def test_an_address_that_cannot_be_is_refused(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=r"The Tenant URL") as caught:
        ScimClient(TOKEN, tenant_url=url)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [{"update_mode": "post"}, {"member_removal": "all"}, {"max_concurrency": 0}],
)
def test_an_option_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        ScimClient(TOKEN, tenant_url=URL, **wrong)


def test_five_a_second_is_where_it_starts(fast: None) -> None:
    page = Answer(body=b'{"id": "1", "userName": "a"}')

    async def main() -> float:
        loop = asyncio.get_running_loop()
        with answering(then=page):
            async with ScimClient(TOKEN, tenant_url=URL) as scim:
                begun = loop.time()
                for _ in range(26):
                    await scim.users.get("1")
                return loop.time() - begun

    assert run_virtual(main()) >= 5.0
    assert Limits.of("5/1s") == ScimClient(TOKEN, tenant_url=URL).options.limits


def test_a_client_has_a_life_like_the_other_one() -> None:
    async def main() -> None:
        with answering(then=MADE):
            async with ScimClient(TOKEN, tenant_url=URL) as scim:
                assert repr(scim) == f"<ScimClient {URL}>"
                assert scim.rate_status().granted == 0
            assert repr(scim) == f"<ScimClient {URL} closed>"
            with pytest.raises(KB4Error, match="closed"):
                await scim.users.get("1")

    run_virtual(main())
