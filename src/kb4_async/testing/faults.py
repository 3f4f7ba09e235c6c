"""What a simulated server does wrong, scripted request by request."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from kb4_async.testing.log import LoggedRequest
from kb4_async.testing.matching import RequestRule

FaultKind: TypeAlias = Literal[
    "status",
    "redirect",
    "revoke",
    "headers",
    "truncate",
    "wrong_length",
    "invalid_json",
    "reset",
    "reset_in_body",
    "hang",
    "slow",
    "gzip",
    "deflate",
    "hang_up",
]
HTML = b"<!DOCTYPE html><html><head><title>Error</title></head><body><h1>Error</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of wrong answer; made by the class methods, each of which says what happens.

    A request by SCIM may write. Most faults then spoil the answer to a write that took place; one
    that is not `applied` keeps it from taking place. To the client both look the same.
    """

    kind: FaultKind
    code: int = 200
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    in_body: bool = False
    content_length: bool = False
    extra: int = 0
    applied: bool = True

    @property
    def cuts(self) -> bool:
        """Say whether the connection ends before all that was promised."""
        return self.kind in {"truncate", "reset_in_body"} or self.extra > 0

    @classmethod
    def status(
        cls,
        code: int,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        applied: bool = True,
    ) -> "Fault":
        """Answer with that status; the body is a JSON object with a message unless given.

        A write took place all the same, as behind a gateway that gave up, unless not `applied`.
        """
        return cls("status", code, body, dict(headers or {}), applied=applied)

    @classmethod
    def html(cls, code: int = 503, *, applied: bool = True) -> "Fault":
        """Answer with that status and a page of HTML, as proxies do.

        A write took place all the same, unless not `applied`.
        """
        headers = {"content-type": "text/html; charset=utf-8"}
        return cls.status(code, body=HTML, headers=headers, applied=applied)

    @classmethod
    def rate_limit(cls, retry_after: str | float | None = None) -> "Fault":
        """Answer 429, with a Retry-After header if given (seconds or an HTTP date).

        A write did not take place.
        """
        headers = {} if retry_after is None else {"retry-after": f"{retry_after}"}
        return cls.status(429, headers=headers, applied=False)

    @classmethod
    def redirect(cls, url: str | None = None, code: int = 302) -> "Fault":
        """Answer with a redirect to another address, by default to the very one that was asked.

        A write did not take place.
        """
        headers = {} if url is None else {"location": url}
        return cls("redirect", code, body=b"", headers=headers, applied=False)

    @classmethod
    def wrong_region(cls) -> "Fault":
        """Answer 401 to a good key, as a region does that does not know it; for all requests:
        `times=None`."""
        return cls.status(401, applied=False)

    @classmethod
    def revoke(cls) -> "Fault":
        """Revoke the key: this request and all later ones with it are answered 401."""
        return cls("revoke")

    @classmethod
    def wrong_shape(cls, text: str = "Please try again later") -> "Fault":
        """Answer 200 with an object that holds nothing but a message, instead of records."""
        return cls.status(200, body=json.dumps({"message": text}).encode())

    @classmethod
    def with_headers(cls, headers: Mapping[str, str]) -> "Fault":
        """Answer rightly, but with these headers, such as X-RateLimit ones that lie."""
        return cls("headers", headers={name.lower(): value for name, value in headers.items()})

    @classmethod
    def truncate(cls, *, content_length: bool = False) -> "Fault":
        """Send half of the right body, then close the connection in good order.

        The half is chunked without the last chunk; with `content_length` the header promises
        the whole body instead.
        """
        return cls("truncate", content_length=content_length)

    @classmethod
    def wrong_length(cls, extra: int) -> "Fault":
        """Send the whole body under a content-length that is wrong by so many bytes.

        One that is too large ends in a closed connection, one that is too small (negative) cuts
        the body off, with its rest behind what the client takes for the end.
        """
        return cls("wrong_length", content_length=True, extra=extra)

    @classmethod
    def invalid_json(cls) -> "Fault":
        """Send half of the right body as if it were all of it: HTTP is whole, JSON is not."""
        return cls("invalid_json")

    @classmethod
    def reset(cls) -> "Fault":
        """Reset the connection before a single byte of the answer.

        A write took place; see `lost_before` for one that did not.
        """
        return cls("reset")

    @classmethod
    def lost_before(cls) -> "Fault":
        """Reset the connection as `reset` does, but before a write took place."""
        return cls("reset", applied=False)

    @classmethod
    def reset_in_body(cls) -> "Fault":
        """Reset the connection after headers and half of the body."""
        return cls("reset_in_body")

    @classmethod
    def hang(cls, *, applied: bool = True) -> "Fault":
        """Never answer, until the client goes away or the simulator stops.

        A write took place all the same, unless not `applied`.
        """
        return cls("hang", applied=applied)

    @classmethod
    def hang_up(cls) -> "Fault":
        """Answer rightly, then close the connection that was to be kept, unannounced."""
        return cls("hang_up")

    @classmethod
    def slow(cls, seconds: float, *, in_body: bool = False) -> "Fault":
        """Answer rightly but later; with `in_body` the wait comes after half of the body."""
        return cls("slow", seconds=seconds, in_body=in_body)

    @classmethod
    def gzip(cls) -> "Fault":
        """Answer rightly but compressed, whether the client offered to read that or not."""
        return cls("gzip")

    @classmethod
    def deflate(cls) -> "Fault":
        """Answer rightly but deflated, whether the client offered to read that or not."""
        return cls("deflate")


@dataclass(slots=True, eq=False)
class FaultRule(RequestRule):
    """When a fault is played; `played` counts how often it was."""

    fault: Fault
    probability: float = 1.0
    played: int = 0

    def plays(self, entry: LoggedRequest, chance: random.Random) -> bool:
        """Decide whether the fault is played for this request, and count it."""
        if self.is_spent(self.played) or not self.fits(entry):
            return False
        self.seen += 1
        if self.seen <= self.after or chance.random() >= self.probability:
            return False
        self.played += 1
        return True


class FaultScript:
    """The rules of one simulator; the first that plays wins."""

    def __init__(self, seed: int) -> None:
        """Start without rules; `seed` decides the chances."""
        self.rules: list[FaultRule] = []
        self.chance = random.Random(seed)

    def add(
        self,
        fault: Fault,
        *,
        path: str | None = None,
        page: int | None = None,
        method: str | None = None,
        where: Callable[[LoggedRequest], bool] | None = None,
        times: int | None = 1,
        after: int = 0,
        probability: float = 1.0,
    ) -> FaultRule:
        """Play a fault for the requests that fit everything named.

        Args:
            fault: what to do.
            path: the end of the path (`users`, `groups/*/members`).
            page: the page asked for; a request that names neither page nor cursor asks for page 1.
            method: the HTTP method.
            where: any other condition on the request.
            times: how often at most, None for ever.
            after: how many fitting requests to let pass first.
            probability: the chance for each fitting request.
        """
        rule = FaultRule(
            fault,
            probability,
            path=path,
            page=page,
            method=method,
            where=where,
            times=times,
            after=after,
        )
        self.rules.append(rule)
        return rule

    def clear(self) -> None:
        """Do no wrong from now on."""
        self.rules.clear()

    def pick(self, entry: LoggedRequest) -> Fault | None:
        """Return the fault to play for this request, or None."""
        for rule in self.rules:
            if rule.plays(entry, self.chance):
                return rule.fault
        return None
