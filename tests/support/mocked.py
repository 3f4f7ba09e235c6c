"""aioresponses for aiohttp 3.14, and a server that answers from a list."""

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from unittest.mock import Mock

import aiohttp
from aioresponses import CallbackResult, aioresponses
from yarl import URL


class Response(aiohttp.ClientResponse):
    """Supplies the argument that aioresponses 0.7.9 does not know yet."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, stream_writer=Mock(output_size=0), **options)


@dataclass
class Answer:
    """What the server says: an answer, or an exception in its place."""

    status: int = 200
    body: bytes = b"[]"
    headers: Mapping[str, str] = field(default_factory=dict)
    error: BaseException | None = None


@dataclass
class Call:
    """One request as aiohttp got it, and when."""

    method: str
    url: URL
    at: float
    options: dict[str, Any]

    @property
    def headers(self) -> Mapping[str, str]:
        return {name.lower(): value for name, value in self.options["headers"].items()}


@contextmanager
def answering(
    *answers: Answer, then: Answer | Callable[[URL], Answer] | None = None
) -> Iterator[list[Call]]:
    """Answer requests in this order, and ``then`` for ever; yields what was asked."""
    calls: list[Call] = []
    script = iter(answers)

    def answer(method: str, url: URL, **options: Any) -> CallbackResult:
        calls.append(Call(method, url, asyncio.get_running_loop().time(), options))
        said = next(script, None) or (then(url) if callable(then) else then)
        assert said is not None, f"one request too many: {url}"
        if said.error is not None:
            raise said.error
        return CallbackResult(
            status=said.status,
            body=said.body,
            headers=dict(said.headers),
            response_class=Response,
        )

    with aioresponses() as mocked:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            callback: Callable[..., CallbackResult] = partial(answer, method)
            mocked.add(re.compile(".*"), method, callback=callback, repeat=True)
        yield calls
