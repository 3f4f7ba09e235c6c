"""The SCIM service of one account: which request does what."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from kb4_async.testing.account import Account
from kb4_async.testing.answers import Answer
from kb4_async.testing.scim.bodies import (
    ScimRefusalError,
    error,
    invalid_syntax,
    page,
    refused,
    served,
)
from kb4_async.testing.scim.calls import INVALID, GroupCalls, ScimCall, UserCalls
from kb4_async.testing.scim.groups import Groups
from kb4_async.testing.scim.rules import ScimRules
from kb4_async.testing.scim.spelling import PROVIDER_CONFIG
from kb4_async.testing.scim.users import Users

Calls: TypeAlias = UserCalls | GroupCalls
Action: TypeAlias = Callable[[Calls, ScimCall, ScimRules, str], Answer]

WRITES = frozenset({"POST", "PUT", "PATCH"})
BODY_TYPES = frozenset({"application/scim+json", "application/json"})
ALL: Mapping[str, Action] = {
    "GET": lambda calls, *rest: calls.listed(*rest),
    "POST": lambda calls, *rest: calls.create(*rest),
}
ONE: Mapping[str, Action] = {
    "GET": lambda calls, *rest: calls.one(*rest),
    "PUT": lambda calls, *rest: calls.replaced(*rest),
    "PATCH": lambda calls, *rest: calls.patched(*rest),
    "DELETE": lambda calls, *rest: calls.deleted(*rest),
}


class ScimService:
    """What SCIM answers for one account, and what it does to it."""

    def __init__(self, account: Account) -> None:
        """Serve an account."""
        self.account = account
        users = Users(account)
        groups = Groups(account, users)
        self.calls: Mapping[str, Calls] = {
            "users": UserCalls(users, groups),
            "groups": GroupCalls(groups),
        }

    def answer(self, call: ScimCall, rules: ScimRules) -> Answer:
        """Answer a request whose key was found good, and do what it asks for."""
        if not rules.sso:
            return refused(ScimRefusalError(403, "SAML SSO is not enabled."), rules)
        try:
            return self.routed(call, rules)
        except ScimRefusalError as refusal:
            return refused(refusal, rules)

    def routed(self, call: ScimCall, rules: ScimRules) -> Answer:
        """Find out what a request is for."""
        endpoint, _, text = call.path.partition("/")
        if endpoint == "ServiceProviderConfig" and not text and call.method == "GET":
            return discovery(call, rules)
        calls = self.calls.get(endpoint.casefold())
        if calls is None or "/" in text:
            return error(404, rules)
        action = (ONE if text else ALL).get(call.method)
        if action is None:
            raise ScimRefusalError(405, "The endpoint does not support this method.")
        if call.method in WRITES:
            check_body(call)
        return action(calls, call, rules, text)


def check_body(call: ScimCall) -> None:
    """Refuse a body of another type, and what is no JSON."""
    if call.content_type.casefold() not in BODY_TYPES:
        raise ScimRefusalError(415, "The request body must be application/scim+json.")
    if call.body is INVALID:
        raise invalid_syntax("The request body is not JSON.")


def discovery(call: ScimCall, rules: ScimRules) -> Answer:
    """Answer /ServiceProviderConfig."""
    if rules.discovery == "html":
        return page(200)
    if rules.discovery != "work":
        return error(rules.discovery, rules)
    no = {"supported": False}
    return served(
        {
            "schemas": [PROVIDER_CONFIG],
            "patch": {"supported": True},
            "bulk": no | {"maxOperations": 0, "maxPayloadSize": 0},
            "filter": {"supported": True, "maxResults": rules.page_cap or rules.page_size},
            "changePassword": no,
            "sort": no,
            "etag": no,
            "authenticationSchemes": [
                {
                    "type": "oauthbearertoken",
                    "name": "Bearer token",
                    "description": "The token of the account's SCIM settings.",
                }
            ],
            "meta": {
                "resourceType": "ServiceProviderConfig",
                "location": f"{call.address}/ServiceProviderConfig",
            },
        }
    )
