"""What an answer, or the lack of one, means: a value, apart from acting on it."""

from __future__ import annotations

import email.utils
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from enum import Enum
from typing import NamedTuple

from kb4_async.errors import (
    APIError,
    AuthenticationError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)


class Action(Enum):
    """What to do next."""

    ACCEPT = "accept"
    RETRY = "retry"
    PAUSE = "pause"
    FAIL = "fail"


#: Statuses worth another attempt. 429 is apart: it pauses the key and costs no attempt.
RETRIED = frozenset({500, 502, 503, 504})
#: Answers that a proxy may give without the server having read, or after it stopped waiting.
MAYBE_UNREAD = frozenset({502, 503, 504})


#: The statuses of a success: a read's, and a write's.
READ_DONE = frozenset({200})
WRITE_DONE = frozenset({200, 201, 202, 204})


def judge(status: int, done: frozenset[int] = READ_DONE) -> Action:
    """Decide by the status alone. Whatever is not named fails: unknown never means retry."""
    if status in done:
        return Action.ACCEPT
    if status == 429:
        return Action.PAUSE
    return Action.RETRY if status in RETRIED else Action.FAIL


class Refusal(NamedTuple):
    """An answer other than 200, as far as a message needs it.

    Attributes:
        status: HTTP status.
        where: ``GET users`` and the base URL it went to, for the message.
        excerpt: Start of the body, without the credential.
        request_id: ``X-Request-Id``, where one came.
        location: Where a redirect points, without its query.
        body: The whole body, for those who read errors in it.
        path: What was asked for, below the base URL.
    """

    status: int
    where: str
    excerpt: str
    request_id: str | None
    location: str = ""
    body: bytes = field(default=b"", repr=False)
    path: str = ""

    def error(self) -> APIError:
        """Make the typed error, whose message says what to do next."""
        said = f" The server said: {self.excerpt}" if self.excerpt else ""
        if self.request_id:
            said += f" (request id {self.request_id})"
        kind, what = self.explain()
        return kind(
            f"{self.where} was answered with {self.status}: {what}{said}",
            status=self.status,
            request_id=self.request_id,
            excerpt=self.excerpt,
        )

    def explain(self) -> tuple[type[APIError], str]:
        """Choose the error class and say what the status means here."""
        status = self.status
        if status == 401:
            return AuthenticationError, (
                "the key is not known here. Likely causes: it was revoked or has expired, it is a "
                "SCIM token or another product's key, or it belongs to an account of another "
                "region. Run 'kb4 doctor', or create a key in the console under Account Settings > "
                "Account Integrations > API > Reporting API."
            )
        if status == 403:
            return PermissionDeniedError, (
                "the key may not read this. The Reporting API needs a plan that includes it and "
                "its switch in Account Settings turned on."
            )
        if status == 404:
            return NotFoundError, (
                "there is no such record (it may have been deleted), or the base URL lacks its "
                "version (/v1)."
            )
        if status == 429:
            return RateLimitError, "too many requests. Wait, and run fewer programs on this key."
        if 300 <= status < 400:
            where = f" to {self.location}" if self.location else ""
            return APIError, f"a redirect{where}, which is never followed: check the base URL."
        if status >= 500:
            again = "also when tried again" if status in RETRIED else "and was not asked again"
            return ServerError, f"the server failed, {again}. Try later."
        return APIError, "the API does not document this answer; it was not tried again."


@dataclass(frozen=True, slots=True)
class Dialect:
    """In what one of KnowBe4's APIs differs from another, as far as a request is concerned.

    Attributes:
        accept: Media types of its answers.
        content: Media type of what is sent.
        refuse: Makes the error of an answer that says no.
        doctor: The command that looks for the cause.
    """

    accept: str
    content: str
    refuse: Callable[[Refusal], APIError]
    doctor: str


REPORTING = Dialect("application/json", "application/json", Refusal.error, "kb4 doctor")


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Read ``Retry-After`` (seconds, or an HTTP date) as seconds from now.

    Args:
        headers: Response headers, names in lower case.
        now: Seconds since the epoch; only for the date form.

    Returns:
        Seconds, at least 0; None where the header is missing or makes no sense.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        seconds = float(text)
        return seconds if math.isfinite(seconds) else None
    try:
        when = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    if when.tzinfo is None:  # HTTP dates are always UTC, also in the forms that do not say so
        when = when.replace(tzinfo=UTC)
    return max(0.0, when.timestamp() - now)


class RateHeaders(NamedTuple):
    """What an answer says of the key's limit: ``X-RateLimit-Limit`` and ``-Remaining``.

    KnowBe4 documents neither and recorded answers lack them; where they come, they are read as
    speaking of a minute.

    Attributes:
        limit: Requests a minute; None where the header is missing or makes no sense.
        remaining: How many are left; None likewise.
    """

    limit: int | None = None
    remaining: int | None = None


NOTHING_TOLD = RateHeaders()


def rate_headers(headers: Mapping[str, str]) -> RateHeaders:
    """Read the rate headers of an answer.

    Args:
        headers: Response headers, names in lower case.
    """
    limit = headers.get("x-ratelimit-limit")
    remaining = headers.get("x-ratelimit-remaining")
    if limit is None and remaining is None:
        return NOTHING_TOLD
    # A limit of 0 would never let anything through again, whatever it means.
    return RateHeaders(leading_number(limit) or None, leading_number(remaining))


def leading_number(text: str | None) -> int | None:
    """The number that a header begins with, as in ``50`` and ``50;w=60``."""
    match = re.match(r"\s*(\d{1,9})\s*(?:[;,]|$)", text or "", re.ASCII)
    return None if match is None else int(match[1])
