"""How an answer, or what a fault makes of it, goes over a connection."""

import asyncio
import gzip
import socket
import struct
import sys
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
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


def faulty(fault: Fault, right: Answer, address: str) -> Answer:
    """Return what a fault makes of the right answer, where it is an answer still."""
    if fault.kind == "status":
        wrong = message(fault.code) if fault.body is None else Answer(fault.code, fault.body)
        return replace(wrong, headers={"content-type": JSON_TYPE} | dict(fault.headers))
    if fault.kind == "redirect":
        return Answer(fault.code, b"", {"location": address} | dict(fault.headers))
    if fault.kind == "headers":
        return replace(right, headers={**right.headers, **fault.headers})
    if fault.kind == "invalid_json":
        return replace(right, body=right.body[: len(right.body) // 2])
    if fault.kind == "gzip":
        return compressed(right, "gzip", gzip.compress(right.body, 1, mtime=0))
    if fault.kind == "deflate":
        return compressed(right, "deflate", zlib.compress(right.body, 1))
    return right


def sent_of(fault: Fault, answer: Answer) -> int:
    """Return how many bytes of a body are sent before the connection ends."""
    return len(answer.body) if fault.kind == "wrong_length" else len(answer.body) // 2


def compressed(answer: Answer, encoding: str, body: bytes) -> Answer:
    """Return an answer with its body compressed."""
    return replace(answer, body=body, headers={**answer.headers, "content-encoding": encoding})


async def deliver(
    request: web.BaseRequest,
    answer: Answer,
    headers: Mapping[str, str],
    fault: Fault | None,
    *,
    chunked: bool,
    idle: Idle,
) -> web.StreamResponse:
    """Send an answer, or as much of it and as wrongly as a fault wants."""
    if fault is None:
        return await send(request, answer, headers, chunked=chunked)
    if fault.kind == "wrong_length":
        return send_misdeclared(request, answer, headers, fault.extra)
    if fault.cuts:
        return await send_cut(request, answer, headers, fault)
    if fault.in_body:
        pause = idle(fault.seconds)
        return await send_paused(request, answer, headers, chunked=chunked, pause=pause)
    response = await send(request, answer, headers, chunked=chunked)
    if fault.kind == "hang_up" and request.transport is not None:
        request.transport.close()
    return response


async def send(
    request: web.BaseRequest, answer: Answer, headers: Mapping[str, str], *, chunked: bool
) -> web.Response:
    """Send a whole answer."""
    if answer.status == 204:  # no body, so it is of no type
        headers = {name: text for name, text in headers.items() if name != "content-type"}
    response = web.Response(status=answer.status, body=answer.body or None, headers=headers)
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


def send_misdeclared(
    request: web.BaseRequest, answer: Answer, headers: Mapping[str, str], extra: int
) -> web.StreamResponse:
    """Send a whole answer with a wrong content-length, past aiohttp, which would correct it."""
    length = max(0, len(answer.body) + extra)
    lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"content-length: {length}", "", ""]
    transport = request.transport
    if isinstance(transport, asyncio.WriteTransport):
        transport.write("\r\n".join(lines).encode() + answer.body)
        transport.close()
    return web.Response()


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
