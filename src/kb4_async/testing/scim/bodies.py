"""The answers of SCIM: resources, and errors as RFC 7644 3.12 words them."""

from typing import Any, TypeAlias

from kb4_async.testing.answers import MESSAGES, Answer, encode
from kb4_async.testing.faults import HTML
from kb4_async.testing.scim.rules import ScimRules

Resource: TypeAlias = dict[str, Any]

SCIM_TYPE = "application/scim+json"
ERROR_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:Error"


class ScimRefusalError(Exception):
    """A request is refused, with a status and perhaps a scimType."""

    def __init__(self, status: int, detail: str, scim_type: str | None = None) -> None:
        """Say why."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.scim_type = scim_type


def invalid_value(detail: str) -> ScimRefusalError:
    """Return the refusal of a value."""
    return ScimRefusalError(400, detail, "invalidValue")


def invalid_syntax(detail: str) -> ScimRefusalError:
    """Return the refusal of a body that is not what the operation takes."""
    return ScimRefusalError(400, detail, "invalidSyntax")


def served(value: Resource, status: int = 200, rows: int | None = None) -> Answer:
    """Return a good answer."""
    return Answer(status, encode(value, "compact"), {"content-type": SCIM_TYPE}, rows)


def nothing() -> Answer:
    """Return a good answer without a body."""
    return Answer(204, b"")


def refused(
    refusal: ScimRefusalError, rules: ScimRules, headers: dict[str, str] | None = None
) -> Answer:
    """Return the answer to a refused request."""
    more = headers or {}
    if rules.error_style == "html":
        return page(refusal.status, more)
    if rules.error_style == "empty":
        return Answer(refusal.status, b"", more)
    body: Resource = {"schemas": [ERROR_SCHEMA], "status": str(refusal.status)}
    silent = refusal.status == 409 and not rules.conflict_scim_type
    if refusal.scim_type is not None and not silent:
        body["scimType"] = refusal.scim_type
    body["detail"] = refusal.detail
    return Answer(refusal.status, encode(body, "compact"), {"content-type": SCIM_TYPE, **more})


def error(status: int, rules: ScimRules, headers: dict[str, str] | None = None) -> Answer:
    """Return an error that says no more than its status."""
    text = MESSAGES.get(status, "Error")
    return refused(ScimRefusalError(status, text), rules, headers)


def page(status: int, headers: dict[str, str] | None = None) -> Answer:
    """Return a page of HTML, as a proxy does."""
    return Answer(status, HTML, {"content-type": "text/html; charset=utf-8", **(headers or {})})
