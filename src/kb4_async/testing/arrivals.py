"""What is written down of a request when it arrives."""

import json
from typing import Any

from aiohttp import web

from kb4_async.testing.log import LoggedRequest

VERSION_PATH = "/v1/"
SCIM_PATH = "/scim/v2"


async def read_body(request: web.BaseRequest) -> bytes:
    """Read what was sent, however long it is: past aiohttp, which would refuse a megabyte."""
    return await request.content.read() if request.body_exists else b""


def parsed(body: bytes, otherwise: object = None) -> Any:  # noqa: ANN401 - any JSON value
    """Return the JSON value in a body, or something else where there is none.

    What Python takes for JSON and cannot be written again is none: NaN, half a surrogate pair.
    """
    try:
        value = json.loads(body, parse_constant=refuse)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return otherwise
    return value


def refuse(text: str) -> None:
    """Refuse a number that JSON has not."""
    raise ValueError(text)


def is_scim(path: str) -> bool:
    """Say whether a path is SCIM's."""
    return path == SCIM_PATH or path.startswith(f"{SCIM_PATH}/")


def log_path(path: str) -> str:
    """Return a path as the log has it."""
    if is_scim(path):
        return path[1:]
    return path.removeprefix(VERSION_PATH) if path.startswith(VERSION_PATH) else path


def arrival(
    request: web.BaseRequest, body: bytes, *, number: int, arrived: float, key: str
) -> LoggedRequest:
    """Return the entry of a request in the log, as far as it is known at its arrival."""
    peer = request.transport.get_extra_info("peername") if request.transport else None
    return LoggedRequest(
        number=number,
        arrived=arrived,
        method=request.method,
        path=log_path(request.path),
        query=dict(request.query),
        headers={
            name.lower(): value
            for name, value in request.headers.items()
            if name.lower() != "authorization"
        },
        key=key,
        connection=peer[1] if peer else 0,
        body=parsed(body),
    )
