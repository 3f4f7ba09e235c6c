"""How an answer, or what a fault makes of it, goes over a connection."""

import asyncio
import gzip
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

from aiohttp import HttpVersion11, web

from kb4_async.testing.answers import JSON_TYPE, Answer, message
from kb4_async.testing.faults import Fault

Idle: TypeAlias = Callable[[float | None], Awaitable[None]]


def abort(request: web.BaseRequest) -> None:
    """Reset the connection: with a linger time of 0, closing sends RST instead of FIN."""
    transport = request.transport
    if transport is None:
        return
    opened = transport.get_extra_info("socket")
    if opened is not None:
        linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort() if isinstance(transport, asyncio.WriteTransport) else transport.close()


def faulty(fault: Fault, right: Answer) -> Answer:
    """Return what a fault makes of the right answer, where it is an answer still."""
    if fault.kind == "status":
        wrong = message(fault.code) if fault.body is None else Answer(fault.code, fault.body)
        return replace(wrong, headers={"content-type": JSON_TYPE} | dict(fault.headers))
    if fault.kind == "invalid_json":
        return replace(right, body=right.body[: len(right.body) // 2])
    if fault.kind == "gzip":
        headers = {**right.headers, "content-encoding": "gzip"}
        return replace(right, body=gzip.compress(right.body, 1, mtime=0), headers=headers)
    return right


async def send(
    request: web.BaseRequest, answer: Answer, headers: Mapping[str, str], *, chunked: bool
) -> web.Response:
    """Send a whole answer."""
    response = web.Response(status=answer.status, body=answer.body, headers=headers)
    if chunked and request.version >= HttpVersion11:
        response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write_eof()
    return response


async def send_half(
    request: web.BaseRequest, answer: Answer, headers: Mapping[str, str], *, chunked: bool
) -> web.StreamResponse:
    """Send headers that promise the whole body, and half of it."""
    response = web.StreamResponse(status=answer.status, headers=headers)
    if chunked and request.version >= HttpVersion11:
        response.enable_chunked_encoding()
    else:
        response.content_length = len(answer.body)
    await response.prepare(request)
    await response.write(answer.body[: len(answer.body) // 2])
    return response


async def send_cut(
    request: web.BaseRequest, answer: Answer, headers: Mapping[str, str], fault: Fault
) -> web.StreamResponse:
    """Send half of an answer and close the connection, in good order or with a reset."""
    response = await send_half(request, answer, headers, chunked=not fault.content_length)
    if fault.kind == "reset_in_body":
        abort(request)
    elif request.transport is not None:
        request.transport.close()
    return response


async def send_paused(
    request: web.BaseRequest,
    answer: Answer,
    headers: Mapping[str, str],
    *,
    chunked: bool,
    pause: Awaitable[None],
) -> web.StreamResponse:
    """Send an answer with a pause in the middle of its body."""
    response = await send_half(request, answer, headers, chunked=chunked)
    await pause
    await response.write_eof(answer.body[len(answer.body) // 2 :])
    return response
