"""The answers of a simulated server: their bytes, kept once made, and their headers."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import orjson

from kb4_async.testing import routes
from kb4_async.testing.account import Account
from kb4_async.testing.paging import PageRefusedError, PagingRules, cut

BodyStyle: TypeAlias = Literal["compact", "escaped", "pretty"]
Target: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]

JSON_TYPE = "application/json; charset=utf-8"
# As recorded from the real service; the values that change come on top.
STEADY_HEADERS: Mapping[str, str] = {
    "content-type": JSON_TYPE,
    "cache-control": "no-cache, no-store",
    "pragma": "no-cache",
    "expires": "Fri, 01 Jan 1990 00:00:00 GMT",
    "vary": "Origin",
    "x-cache": "Miss from cloudfront",
}
MESSAGES: Mapping[int, str] = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    406: "Not Acceptable",
    429: "Too Many Requests",
    500: "Internal Server Error",
}
KEPT_LISTINGS = 256
PAGING_PARAMETERS = frozenset({"page", "per_page", "cursor"})
# What keeping an answer costs beside its body, roughly.
OVERHEAD = 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, ready to be sent."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    rows: int | None = None
    etag: str | None = None


def message(
    status: int, text: str | None = None, *, headers: Mapping[str, str] | None = None
) -> Answer:
    """Return an error answer with a JSON body."""
    body = orjson.dumps({"message": text or MESSAGES.get(status, "Error")})
    return Answer(status, body, headers or {})


def encode(value: Any, style: BodyStyle) -> bytes:  # noqa: ANN401 - any JSON value
    r"""Return the JSON text of a value, whatever the size of its integers.

    `escaped` writes everything beyond ASCII as \uXXXX, `pretty` spreads it over lines.
    """
    if style == "compact":
        try:
            return orjson.dumps(value)
        except TypeError:
            return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    if style == "escaped":
        return json.dumps(value, separators=(",", ":")).encode()
    return json.dumps(value, ensure_ascii=False, indent=2).encode()


class Answers:
    """What one account answers under some paging rules; bodies are made once and kept."""

    def __init__(
        self, account: Account, rules: PagingRules, *, style: BodyStyle, keep_bytes: int
    ) -> None:
        """Start with nothing kept."""
        self.account = account
        self.rules = rules
        self.style = style
        self.keep_bytes = keep_bytes
        self.version = account.version
        self.kept: dict[Target, Answer] = {}
        self.kept_size = 0
        self.listings: dict[Target, routes.Rows] = {}

    def get(self, path: str, query: routes.Query, *, address: str) -> Answer:
        """Return the answer to a request; `address` is its URL without the query."""
        if self.version != self.account.version:
            self.forget()
        target = path, tuple(sorted(query.items()))
        answer = self.kept.get(target)
        if answer is None:
            answer = self.make(path, query, address)
            if answer.rows is not None:
                self.keep(target, answer)
        return answer

    def make(self, path: str, query: routes.Query, address: str) -> Answer:
        """Make an answer."""
        found = self.find(path, query)
        if found is None:
            return message(404)
        if not isinstance(found, routes.Rows):
            return self.ready(found, len(found) if isinstance(found, list) else None, {})
        try:
            page = cut(found, query, self.rules, path=path, address=address)
        except PageRefusedError as refusal:
            return message(refusal.status, str(refusal))
        return self.ready(page.body, len(page.records), page.headers)

    def find(self, path: str, query: routes.Query) -> routes.Found:
        """Look up a path; the rows behind a filter are found once for all pages."""
        filters = ((name, query[name]) for name in query if name not in PAGING_PARAMETERS)
        target = path, tuple(sorted(filters))
        known = self.listings.get(target)
        if known is not None:
            return known
        found = routes.find(self.account, path, query)
        if isinstance(found, routes.Rows):
            if len(self.listings) >= KEPT_LISTINGS:
                self.listings.pop(next(iter(self.listings)))
            self.listings[target] = found
        return found

    def ready(self, value: Any, rows: int | None, headers: Mapping[str, str]) -> Answer:  # noqa: ANN401 - any JSON value
        """Return a good answer with its weak ETag."""
        body = encode(value, self.style)
        digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
        return Answer(200, body, headers, rows, f'W/"{digest}"')

    def keep(self, target: Target, answer: Answer) -> None:
        """Keep an answer, and drop the oldest where too many bytes are kept."""
        self.kept[target] = answer
        self.kept_size += len(answer.body) + OVERHEAD
        while self.kept_size > self.keep_bytes and len(self.kept) > 1:
            self.kept_size -= len(self.kept.pop(next(iter(self.kept))).body) + OVERHEAD

    def forget(self) -> None:
        """Drop everything: the account changed."""
        self.kept.clear()
        self.listings.clear()
        self.kept_size = 0
        self.version = self.account.version
