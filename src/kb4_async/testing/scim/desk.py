"""Where requests to SCIM arrive: finding the account's service, and keeping the sync report."""

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from kb4_async.testing.account import Account
from kb4_async.testing.answers import Answer
from kb4_async.testing.arrivals import SCIM_PATH, parsed
from kb4_async.testing.scim.bodies import error
from kb4_async.testing.scim.calls import INVALID, ScimCall
from kb4_async.testing.scim.rules import ScimRules
from kb4_async.testing.scim.service import ScimService


@dataclass(frozen=True, slots=True)
class SyncReportLine:
    """A write that Test Mode accepted and did not do.

    Attributes:
        method: the HTTP method.
        path: the path as the log has it.
        body: the JSON value sent.
        status: the status answered.
    """

    method: str
    path: str
    body: Any
    status: int


class ScimDesk:
    """All SCIM of one simulator."""

    def __init__(self) -> None:
        """Start without an account."""
        self.services: list[ScimService] = []
        self.report: list[SyncReportLine] = []

    def service_of(self, account: Account) -> ScimService:
        """Return the service of an account, the same for all its tokens."""
        for service in self.services:
            if service.account is account:
                return service
        self.services.append(ScimService(account))
        return self.services[-1]

    def answer(self, call: ScimCall, service: ScimService | None, rules: ScimRules) -> Answer:
        """Return the right answer to a request, and do what it asks for."""
        if service is None:
            return error(401, rules)
        answer = service.answer(call, rules)
        if rules.test_mode and call.method != "GET" and answer.status < 300:
            body = None if call.body is INVALID else call.body
            path = f"{SCIM_PATH[1:]}/{call.path}"
            self.report.append(SyncReportLine(call.method, path, body, answer.status))
        return answer


def call_of(request: web.BaseRequest, body: bytes, tenant_url: str) -> ScimCall:
    """Return what a request asks of SCIM."""
    return ScimCall(
        method=request.method,
        path=request.path[len(SCIM_PATH) :].strip("/"),
        query=request.query,
        body=parsed(body, INVALID),
        content_type=request.content_type if "content-type" in request.headers else "",
        address=tenant_url,
    )
