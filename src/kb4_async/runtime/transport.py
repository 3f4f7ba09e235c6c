"""One attempt over the wire: the only file that knows aiohttp."""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import aiohttp
from yarl import URL

from kb4_async.errors import ConfigurationError
from kb4_async.options import Timeout
from kb4_async.protocol.verdict import REPORTING, Dialect

if TYPE_CHECKING:
    from kb4_async.protocol.credential import Secret
    from kb4_async.protocol.request import Request


class Answer(NamedTuple):
    """An HTTP answer, whole; names of headers are in lower case, repeated ones joined by commas."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def request_id(self) -> str | None:
        """``X-Request-Id``, where one came."""
        return self.headers.get("x-request-id")


class NoAnswerError(Exception):
    """An attempt ended without a whole answer. Never leaves the engine.

    It is neither an ``OSError`` nor an ``aiohttp.ClientError`` on purpose: see ``no_resend``.

    Attributes:
        sent: Whether anything may have reached the server.
        headers_came: The answer began, so the request did arrive.
        timed_out: It took too long.
    """

    def __init__(
        self, message: str, *, sent: bool, headers_came: bool = False, timed_out: bool = False
    ) -> None:
        super().__init__(message)
        self.sent = sent
        self.headers_came = headers_came
        self.timed_out = timed_out


async def no_resend(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Stop aiohttp from sending a request again by itself when a kept-alive connection drops.

    A second sending would go out without a permit, and a write unseen. aiohttp decides by the
    exception's type, so the disconnect leaves as one that it does not know. A request's own
    middlewares replace the session's, so a lent session's middlewares do not run.
    """
    try:
        return await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise  # nothing was sent, and aiohttp does not repeat these
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise NoAnswerError(describe(error), sent=True) from error


class Transport:
    """Sends requests through an aiohttp session, its own or a lent one.

    Args:
        base_url: Where paths begin.
        secret: The credential; it is put on requests below ``base_url`` only.
        timeout: Times of one attempt.
        max_concurrency: Size of the connection pool, so that no request waits inside aiohttp.
        session: A session to use and never to close.
        ssl: A context with, for example, a private certificate authority.
        trust_env: Use proxies from the environment.
        user_agent: Sent with each request.
        dialect: Says the media types.
    """

    def __init__(
        self,
        base_url: str,
        secret: Secret,
        *,
        timeout: Timeout,
        max_concurrency: int,
        session: aiohttp.ClientSession | None,
        ssl: ssl_module.SSLContext | None,
        trust_env: bool,
        user_agent: str,
        dialect: Dialect = REPORTING,
    ) -> None:
        if session is not None and session.closed:
            msg = "The session lent to the client is closed: open it first and close it last."
            raise ConfigurationError(msg)
        self.base_url = base_url
        self.secret = secret
        self.timeout = aiohttp.ClientTimeout(
            total=timeout.total, sock_connect=timeout.connect, sock_read=timeout.read
        )
        self.ssl: ssl_module.SSLContext | bool = True if ssl is None else ssl
        self.headers = {"Accept": dialect.accept, "User-Agent": user_agent}
        self.content = dialect.content
        self.owned = session is None
        self.session = session or aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=max_concurrency),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=trust_env,
        )

    async def send(self, request: Request) -> Answer:
        """Make one attempt and read the whole answer.

        Raises:
            NoAnswerError: No whole answer came.
        """
        headers_came = False
        headers = {**self.headers, **request.headers}
        headers["Authorization"] = f"Bearer {self.secret.text}"
        if request.body is not None:
            headers["Content-Type"] = self.content
        try:
            async with self.session.request(
                request.method,
                # The path is quoted already; yarl would decode and re-quote it.
                URL(request.url(self.base_url), encoded=True),
                headers=headers,
                data=request.body,
                timeout=self.timeout,
                allow_redirects=False,
                raise_for_status=False,
                ssl=self.ssl,
                middlewares=(no_resend,),
            ) as response:
                headers_came = True
                return Answer(response.status, plain(response.headers), await response.read())
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            timed_out = isinstance(error, TimeoutError)
            raise NoAnswerError(describe(error), sent=False, timed_out=timed_out) from error
        # The closed list of what a transport may raise; a bug of ours is none of these.
        except (TimeoutError, aiohttp.ClientError, OSError, EOFError) as error:
            raise NoAnswerError(
                describe(error),
                sent=True,
                headers_came=headers_came,
                timed_out=isinstance(error, TimeoutError),
            ) from error

    async def close(self) -> None:
        """Close the session if it is ours."""
        if self.owned and not self.session.closed:
            await self.session.close()


def plain(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers for those who do not know aiohttp (RFC 9110, 5.3: repeated ones are one list)."""
    found: dict[str, str] = {}
    for sent, value in headers.items():
        name = sent.lower()
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def describe(error: BaseException) -> str:
    """A transport error in one line; aiohttp's are often empty, or hold what the server sent."""
    if isinstance(error, aiohttp.ClientResponseError):
        return f"{type(error).__name__}: the answer is not HTTP"  # its text would hold records
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
