"""Answers of SCIM servers: resources, lists, and refusals of every shape."""

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from kb4_async.errors import (
    APIError,
    AuthenticationError,
    DecodeError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ScimError,
    ServerError,
)
from kb4_async.protocol import codec
from kb4_async.protocol.credential import Secret
from kb4_async.protocol.scim.answers import (
    read_error,
    read_list,
    refuse,
    resource_reader,
    scim_dialect,
    written_reader,
)
from kb4_async.protocol.scim.users import parse_user
from kb4_async.protocol.verdict import Refusal

TOKEN = "aZ/9+b=" * 6
#: How servers spell a token that they echo.
FORMS = [
    TOKEN,
    TOKEN.replace("/", "\\/"),
    "".join(f"\\u{ord(sign):04x}" for sign in TOKEN),
    quote(TOKEN, safe=""),
    quote(TOKEN, safe="").replace("%2F", "%2f").replace("%2B", "%2b").replace("%3D", "%3d"),
    base64.b64encode(TOKEN.encode()).decode(),
    base64.urlsafe_b64encode(TOKEN.encode()).decode().rstrip("="),
    base64.b64encode(f"Bearer {TOKEN}".encode()).decode(),
]


def refusal(status: int, body: bytes = b"", location: str = "") -> Refusal:
    return Refusal(status, "GET Users", codec.excerpt(body, TOKEN), None, location, body)


@pytest.mark.parametrize(
    ("answer", "total", "rows"),
    [
        ({"totalResults": 2, "Resources": [{"id": 1}, {"id": 2}]}, 2, 2),
        ({"totalresults": "2", "resources": [{"id": 1}]}, 2, 1),
        ({"totalResults": 0}, 0, 0),
        ({"totalResults": 0, "Resources": None}, 0, 0),
        ({"Resources": []}, None, 0),
        ({"totalResults": True, "Resources": []}, None, 0),
        ({"totalResults": -1, "Resources": []}, None, 0),
        ({"totalResults": "²", "Resources": []}, None, 0),
        ({"totalResults": "9" * 5000, "Resources": []}, None, 0),
        ({"totalResults": 3, "Resources": [None, "odd", {"id": 1}]}, 3, 3),
    ],
)
def test_lists_are_read_leniently(answer: dict[str, Any], total: int | None, rows: int) -> None:
    found = read_list(json.dumps(answer).encode())
    assert (found.total, len(found.resources)) == (total, rows)
    assert all(isinstance(each, dict) for each in found.resources)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"<html>", b"[]", b"null", b"{}", b'{"id": "1", "userName": "a"}', b"\xff"),
        b'{"totalResults": 3, "Resources": {"id": "1"}}',
        b'{"Resources": "odd"}',
    ],
)
def test_what_is_no_list_is_never_taken_for_an_empty_one(body: bytes) -> None:
    with pytest.raises(DecodeError, match="The answer cannot be read"):
        read_list(body)


def test_the_answer_to_a_write_may_be_empty_and_to_a_read_may_not() -> None:
    assert written_reader(parse_user)(b" \r\n") is None
    with pytest.raises(DecodeError):
        resource_reader(parse_user)(b"")
    with pytest.raises(DecodeError, match="as a SCIM resource it has no id"):
        written_reader(parse_user)(b'{"userName": "a"}')
    deep = b'{"id":"1","userName":"a","name":' + b'{"name":' * 300 + b"1" + b"}" * 301
    assert resource_reader(parse_user)(deep).id == "1"


@pytest.mark.parametrize("status", ["409", 409, None, [], "odd"])
@pytest.mark.parametrize("kind", ["uniqueness", "", None, 5, ["x"]])
def test_errors_are_read_whatever_else_they_hold(status: Any, kind: Any) -> None:
    body = {"STATUS": status, "SCIMTYPE": kind, "Detail": " it\nis  there\x1b[0m", "x": [1]}
    error = refuse(refusal(409, json.dumps(body).encode()))
    assert type(error) is ScimError
    assert error.status == 409
    assert error.detail == "it is there [0m"
    assert error.scim_type == (kind if kind == "uniqueness" else None)
    assert "it conflicts with what is there" in str(error)


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (302, APIError, "a redirect to https://x, which is never followed"),
        (400, ScimError, "it does not accept what was sent"),
        (401, AuthenticationError, "Run 'kb4 scim doctor'"),
        (403, PermissionDeniedError, "the SCIM token may not do this"),
        (404, NotFoundError, "there is no such user or group"),
        (409, ScimError, "it conflicts with what is there"),
        (412, ScimError, "read it again"),
        (413, ScimError, "it is too large"),
        (415, ScimError, "the media type is not accepted"),
        (418, ScimError, "SCIM does not define this answer"),
        (429, RateLimitError, "too many requests"),
        (500, ServerError, "reads were tried again. Try later."),
        (501, ScimError, "try the other update_mode"),
        (505, ServerError, "the server failed. Try later."),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b"[]", b'{"detail": 5}', b"\xff\xfe"])
def test_every_status_has_its_error_and_says_what_to_do(
    status: int, kind: type[APIError], said: str, body: bytes
) -> None:
    error = refuse(refusal(status, body, "https://x" if status == 302 else ""))
    assert type(error) is kind
    assert str(error).startswith(f"GET Users was answered with {status}: ")
    assert said in str(error)


@pytest.mark.parametrize(
    ("status", "path", "wrong"),
    [
        (404, "Users", True),
        (404, "Groups", True),
        (404, "Users/1", False),
        (404, "ServiceProviderConfig", False),
        (302, "Users/1", True),
        (308, "Groups", True),
        (400, "Users", False),
        (403, "Users", False),
    ],
)
def test_a_wrong_address_is_told_from_somebody_who_is_not_there(
    status: int, path: str, wrong: bool
) -> None:
    error = refuse(refusal(status)._replace(path=path))
    assert error.wrong_address is wrong
    if wrong:
        assert "check the Tenant URL" in str(error)


def test_long_and_odd_texts_are_cut() -> None:
    body = json.dumps({"scimType": "x" * 9000, "detail": "y" * 9000}).encode()
    kind, detail = read_error(body)
    assert (len(kind or ""), len(detail or "")) == (100, 500)
    assert len(str(refuse(refusal(400, body)))) < 1000


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 500])
def test_a_token_that_a_server_spells_anew_is_never_told(form: str, status: int) -> None:
    dialect = scim_dialect(Secret(TOKEN), None, default_address=False)
    for body in (f'{{"detail": "not {form}", "scimType": "{form}"}}', f"<html>{form}", form):
        error = dialect.refuse(refusal(status, body.encode()))
        told = f"{error} {error!r} {vars(error)}"
        assert form not in told
        assert TOKEN not in told


@pytest.mark.parametrize("name", ["detail", "message", "scimType"])
@pytest.mark.parametrize("escape", ["\\/", "\\u002f", "/"])
def test_a_token_that_a_server_echoes_is_never_told(name: str, escape: str) -> None:
    dialect = scim_dialect(Secret(TOKEN), None, default_address=False)
    text = json.dumps({name: f"{'x' * 450} Bearer {TOKEN} is wrong"}).replace("/", escape)
    body = text.encode().replace(TOKEN.encode(), b"***")  # as the engine does
    error = dialect.refuse(refusal(400, body))
    assert isinstance(error, ScimError)
    told = f"{error} {error.detail} {error.scim_type}"
    assert TOKEN not in told
    assert TOKEN[:12] not in told


@pytest.mark.parametrize(
    ("secret", "reporting", "hinted"),
    [("abc", "abc", True), ("abc", " abc\n", True), ("abc", "abd", False), ("abc", None, False)],
)
def test_a_reporting_key_is_recognised(secret: str, reporting: str | None, hinted: bool) -> None:
    dialect = scim_dialect(Secret(secret), reporting, default_address=False)
    assert ("is a Reporting API key" in str(dialect.refuse(refusal(401)))) is hinted


def test_the_default_address_is_named_where_it_may_be_the_cause() -> None:
    for status, named in ((401, True), (403, True), (404, True), (409, False)):
        for default in (True, False):
            dialect = scim_dialect(Secret("abc"), None, default_address=default)
            text = str(dialect.refuse(refusal(status)))
            assert ("of US accounts alone" in text) is (named and default)
