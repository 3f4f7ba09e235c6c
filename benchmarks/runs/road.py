"""A server without sockets, for the virtual clock: right answers, limits of its own, a road to it.

It stands in for the ``aiohttp.ClientSession`` that a service may lend to a client.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from kb4_async.testing import Account, Limit, PagingRules
from kb4_async.testing.answers import Answer, Answers
from kb4_async.testing.limits import Gate

KEEP_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Response:
    """As much of aiohttp's response as is looked at."""

    answer: Answer
    status: int

    @property
    def headers(self) -> Mapping[str, str]:
        """The answer's headers."""
        return self.answer.headers

    async def read(self) -> bytes:
        """The body."""
        return self.answer.body


class Exchange:
    """A request under way; its answer comes when it is entered."""

    def __init__(self, road: "Road", path: str, query: Mapping[str, str]) -> None:
        self.road = road
        self.path = path
        self.query = query

    async def __aenter__(self) -> Response:
        """Travel there, be judged, and travel back."""
        await asyncio.sleep(self.road.latency / 2)
        refused = self.road.arrive()
        answer = self.road.answers.get(self.path, self.query, address="https://kb4.example.test/v1")
        await asyncio.sleep(self.road.latency / 2)
        return Response(Answer(429, b"{}"), 429) if refused else Response(answer, answer.status)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing is held."""


def answers_of(account: Account) -> Answers:
    """What a server answers for an account; each page is made once."""
    return Answers(account, PagingRules(), style="compact", keep_bytes=KEEP_BYTES)


class Road:
    """The way to the server, and the server.

    Args:
        answers: What it serves.
        limits: What it enforces, by the moments of arrival alone.
        latency: Seconds there and back.
    """

    closed = False

    def __init__(self, answers: Answers, limits: Iterable[Limit], latency: float) -> None:
        self.answers = answers
        self.gate = Gate(limits)
        self.latency = latency
        self.arrivals: list[float] = []
        self.refusals = 0

    def arrive(self) -> bool:
        """Count a request that arrives now; whether it is refused."""
        now = asyncio.get_running_loop().time()
        refused = self.gate.arrive(now) is not None
        self.arrivals.append(now)
        self.refusals += refused
        return refused

    def request(self, method: str, url: object, **options: object) -> Exchange:
        """As a session makes requests."""
        del method, options
        address = urlsplit(str(url))
        return Exchange(self, address.path.removeprefix("/v1/"), dict(parse_qsl(address.query)))

    def forget(self) -> Self:
        """Count anew from now on; what arrived stays in the limits."""
        self.arrivals.clear()
        return self
