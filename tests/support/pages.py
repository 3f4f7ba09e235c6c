"""A page as a listing makes it."""

from collections.abc import Mapping, Sequence
from typing import Any

from kb4_async.protocol.endpoints import USERS, Endpoint
from kb4_async.protocol.page import Content, Page
from kb4_async.protocol.token import Identity, Place


def page(
    array: bytes,
    *,
    endpoint: Endpoint = USERS,
    scope: Mapping[str, object] | None = None,
    keep: Sequence[int] | None = None,
    rows: int = 0,
) -> Page[dict[str, Any]]:
    scope = scope or {}
    return Page(
        resource=endpoint.resource,
        scope=scope,
        number=3,
        end_reason=None,
        request_id="r-1",
        attempts=1,
        endpoint=endpoint,
        content=Content(array, rows=rows, keep=keep),
        identity=Identity(endpoint.resource, scope, {}, 500),
        place=Place(number=3, size=500, rows=1000),
        next_place=Place(number=4, size=500, rows=1500),
    )
