"""SCIM by hand: resources, and a session that sends nothing twice."""

from typing import Any

import aiohttp
from support.scim_servers import Peer, call

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
KMSAT = "urn:ietf:params:scim:schemas:extension:knowbe4:kmsat:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


class LostError(Exception):
    """The connection ended without an answer."""


async def no_second_try(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except aiohttp.ServerDisconnectedError as error:
        raise LostError from error


def user(name: str, **more: object) -> dict[str, object]:
    return {
        "schemas": [USER],
        "userName": name,
        "name": {"givenName": "Jane", "familyName": "Doe"},
        "emails": [{"value": name.lower(), "type": "work", "primary": True}],
        "active": True,
        **more,
    }


def group(name: str) -> dict[str, object]:
    return {"schemas": [GROUP], "displayName": name}


def patch(**operation: object) -> dict[str, object]:
    return {"schemas": [PATCH], "Operations": [operation]}


async def created(
    http: aiohttp.ClientSession, server: Peer, path: str, body: dict[str, object]
) -> str:
    answer = await call(http, server, "POST", path, body)
    assert answer.status == 201, answer
    return str(answer.body["id"])


def by_peer(server: Peer, scim2_server: Any, scimmy: Any, django_scim2: Any) -> Any:
    """What was recorded of it, in the order of the columns of the record."""
    recorded = {"scim2-server": scim2_server, "scimmy": scimmy, "django-scim2": django_scim2}
    return recorded[server.name]
