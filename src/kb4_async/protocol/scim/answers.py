"""Reading what a SCIM server answers: resources, lists, and what it says when it says no."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from kb4_async.errors import (
    APIError,
    AuthenticationError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ScimError,
    ServerError,
)
from kb4_async.protocol import codec
from kb4_async.protocol.address import DEFAULT_TENANT_URL
from kb4_async.protocol.credential import Secret, read_claims
from kb4_async.protocol.masking import mask
from kb4_async.protocol.scim.schema import canonical
from kb4_async.protocol.verdict import RETRIED, Dialect, Refusal

T = TypeVar("T")

#: Paths that are found at every Tenant URL.
COLLECTIONS = frozenset({"Users", "Groups"})

CONSOLE = "Account Settings > User Provisioning > SCIM"
FIRST = (
    "SAML SSO and SCIM must be switched on for the account first; the console shows the account's "
    f"own Tenant URL and token under {CONSOLE}"
)


@dataclass(frozen=True, slots=True)
class ListAnswer:
    """A page of a list.

    Attributes:
        total: ``totalResults``; None where it is missing or no number.
        resources: The resources, unread.
    """

    total: int | None
    resources: tuple[Mapping[str, Any], ...]


def read_object(body: bytes) -> dict[str, Any]:
    """Read an answer that is one JSON object.

    Raises:
        DecodeError: It is something else.
    """
    try:
        value = codec.decode(body)
    except (ValueError, RecursionError) as error:
        raise codec.unreadable(str(error), body) from error
    if not isinstance(value, dict):
        raise codec.unreadable("it is no JSON object", body)
    return value


def resource_reader(parse: Callable[[Mapping[str, Any]], T]) -> Callable[[bytes], T]:
    """What reads an answer that is one resource.

    Args:
        parse: Reads the resource, or raises ``ValueError`` with what is wrong with it.
    """

    def read(body: bytes) -> T:
        value = read_object(body)
        try:
            return parse(value)
        except ValueError as error:
            raise codec.unreadable(f"as a SCIM resource {error}", body) from error

    return read


def written_reader(parse: Callable[[Mapping[str, Any]], T]) -> Callable[[bytes], T | None]:
    """What reads the answer to a write: the resource, or None where the server sends nothing."""
    read = resource_reader(parse)
    return lambda body: read(body) if body.strip() else None


def read_list(body: bytes) -> ListAnswer:
    """Read a page of a list. ``Resources`` may be missing where there are none.

    Raises:
        DecodeError: It is no list.
    """
    value = canonical(read_object(body))
    resources, total = value.get("Resources"), value.get("totalResults")
    if resources is None and total is None:
        raise codec.unreadable("it has neither Resources nor totalResults, so is no list", body)
    if not isinstance(resources, list | None):
        raise codec.unreadable("its Resources are no list", body)
    if isinstance(total, str) and total.isascii() and total.isdigit() and len(total) < 20:
        total = int(total)
    known = isinstance(total, int) and not isinstance(total, bool) and total >= 0
    found = resources or []
    return ListAnswer(
        total if known else None, tuple(each if isinstance(each, dict) else {} for each in found)
    )


def read_error(body: bytes, hide: str = "") -> tuple[str | None, str | None]:
    """``scimType`` and ``detail`` of an error, where it has them (RFC 7644, 3.12).

    Args:
        body: The answer's body.
        hide: The token, which JSON can spell in ways that a search of the body does not find.
    """
    try:
        value = codec.decode(body)
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(value, dict):
        return None, None
    named = {str(name).lower(): each for name, each in value.items()}
    kind, detail = named.get("scimtype"), named.get("detail") or named.get("message")
    return one_line(kind, hide, 100), one_line(detail, hide, 500)


def one_line(text: object, hide: str, length: int) -> str | None:
    """A server's text as one printable line without the token; None where there is none."""
    if not isinstance(text, str):
        return None
    shown = "".join(each if each.isprintable() else " " for each in mask(text, hide))
    line = " ".join(shown.split())
    return line[:length] or None


def refuse(refusal: Refusal, hint: str = "", hide: str = "") -> APIError:
    """Make the typed error of a SCIM answer that says no; its message says what to do next.

    Args:
        refusal: The answer.
        hint: What is known of token and address, for 401, 403 and 404.
        hide: The token.
    """
    scim_type, detail = read_error(refusal.body, hide)
    kind, what = explain(refusal, scim_type, hint)
    words = detail or refusal.excerpt
    said = f" The server said: {words}" if words else ""
    if refusal.request_id:
        said += f" (request id {refusal.request_id})"
    text = f"{refusal.where} was answered with {refusal.status}: {what}{said}"
    known: dict[str, Any] = {
        "status": refusal.status,
        "request_id": refusal.request_id,
        "excerpt": refusal.excerpt,
    }
    if issubclass(kind, ScimError):
        return kind(text, **known, scim_type=scim_type, detail=detail)
    error = kind(text, **known)
    error.wrong_address = not_here(refusal)
    return error


def not_here(refusal: Refusal) -> bool:
    """Whether an answer says that SCIM is somewhere else: a redirect, or that there is no list of
    users, or of groups."""
    return 300 <= refusal.status < 400 or (refusal.status == 404 and refusal.path in COLLECTIONS)


def explain(refusal: Refusal, scim_type: str | None, hint: str) -> tuple[type[APIError], str]:
    """Choose the error class and say what the status means here."""
    status = refusal.status
    if status == 401:
        return AuthenticationError, (
            f"the SCIM token is not known here{hint}. Likely causes: it was regenerated or "
            f"revoked, or the Tenant URL is another account's. {FIRST}. Run 'kb4 scim doctor'."
        )
    if status == 403:
        return PermissionDeniedError, f"the SCIM token may not do this{hint}. {FIRST}."
    if status == 404 and not_here(refusal):
        return NotFoundError, (
            f"nothing of SCIM is there: check the Tenant URL, which the console shows under "
            f"{CONSOLE}{hint}."
        )
    if status == 404:
        return NotFoundError, (
            "there is no such user or group, or the Tenant URL is not the one the console shows "
            f"under {CONSOLE}{hint}."
        )
    if status == 429:
        return RateLimitError, "too many requests. Wait, and run fewer programs on this token."
    if 300 <= status < 400:
        where = f" to {refusal.location}" if refusal.location else ""
        return APIError, (
            f"a redirect{where}, which is never followed: check the Tenant URL, which the console "
            f"shows under {CONSOLE}."
        )
    if status == 501:
        return ScimError, "the server does not do this. For updates try the other update_mode."
    if status >= 500:
        again = "; reads were tried again" if status in RETRIED else ""
        return ServerError, f"the server failed{again}. Try later."
    meaning = {
        400: "it does not accept what was sent",
        409: "it conflicts with what is there",
        412: "it was changed by somebody else meanwhile: read it again",
        413: "it is too large",
        415: "the media type is not accepted",
    }.get(status, "SCIM does not define this answer")
    return ScimError, f"{meaning}{f' ({scim_type})' if scim_type else ''}."


def scim_dialect(secret: Secret, reporting_key: str | None, *, default_address: bool) -> Dialect:
    """How requests are made of a SCIM server.

    Args:
        secret: The token.
        reporting_key: The Reporting API's key of the environment, if there is one.
        default_address: No Tenant URL was given, so that of US accounts is used.
    """
    hint = looks_like_reporting_key(secret, reporting_key)
    if default_address:
        hint += f"; {DEFAULT_TENANT_URL} is the Tenant URL of US accounts alone"
    return Dialect(
        "application/scim+json, application/json",
        "application/scim+json",
        lambda refusal: refuse(refusal, hint, secret.text),
        "kb4 scim doctor",
    )


def looks_like_reporting_key(secret: Secret, reporting_key: str | None) -> str:
    """What speaks for the token being a Reporting API key; empty if nothing does.

    Reporting keys have been seen to be JSON Web Tokens whose scope is ``elvis``.
    """
    wrong = "; it is a Reporting API key, which never opens SCIM: use the SCIM token"
    if reporting_key is not None and secret.text == reporting_key.strip():
        return f"{wrong} (it equals KB4_API_KEY)"
    scope = read_claims(secret.text).get("scope")
    found = scope.split() if isinstance(scope, str) else scope
    return wrong if isinstance(found, list) and "elvis" in found else ""
