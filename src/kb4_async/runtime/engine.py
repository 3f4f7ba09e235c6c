"""One request from slot to verdict: concurrency slot, permit, send, read, release, decide."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from kb4_async.errors import APIError, APITimeoutError, DecodeError, KB4Error, TransportError
from kb4_async.events import Event, Observer, RequestFinished, RetryScheduled
from kb4_async.options import ClientOptions
from kb4_async.protocol.backoff import backoff
from kb4_async.protocol.codec import excerpt
from kb4_async.protocol.masking import mask
from kb4_async.protocol.request import Request
from kb4_async.protocol.verdict import (
    MAYBE_UNREAD,
    NOTHING_TOLD,
    READ_DONE,
    REPORTING,
    WRITE_DONE,
    Action,
    Dialect,
    Refusal,
    judge,
    rate_headers,
    retry_after,
)
from kb4_async.runtime.limiter import Limiter
from kb4_async.runtime.observing import tell
from kb4_async.runtime.permit import Permit
from kb4_async.runtime.transport import Answer, NoAnswerError, Transport
from kb4_async.runtime.turnstile import Rank

log = logging.getLogger("kb4_async")

T = TypeVar("T")


class Fetched(NamedTuple, Generic[T]):
    """What a request brought.

    Attributes:
        value: What the caller's ``read`` made of the body.
        request_id: The server's ``X-Request-Id``, where one came.
        attempts: Attempts made.
        headers: Response headers, names in lower case.
    """

    value: T
    request_id: str | None
    attempts: int
    headers: Mapping[str, str]


@dataclass(slots=True)
class Tally:
    """Counts for somebody who reports them.

    Attributes:
        requests: Attempts made.
        repairs: Times a listing was read again because records moved.
        took: Seconds that the last attempt took, from its permit on.
    """

    requests: int = 0
    repairs: int = 0
    took: float = 0.0


class Engine:
    """Makes requests for one client.

    Args:
        transport: Sends one attempt.
        limiter: Gives permits.
        options: Concurrency, retries.
        observer: Told what happens.
        dialect: Says what an answer that is no means.
        chance: Source of random numbers from 0 to 1.
        wall: Seconds since the epoch, for the date form of Retry-After.
    """

    def __init__(
        self,
        transport: Transport,
        limiter: Limiter,
        options: ClientOptions,
        *,
        observer: Observer | None = None,
        dialect: Dialect = REPORTING,
        chance: Callable[[], float] = random.random,
        wall: Callable[[], float] = time.time,  # noqa: TID251  # the default source of it
    ) -> None:
        self.transport = transport
        self.limiter = limiter
        self.retry = options.retry
        self.slots = asyncio.Semaphore(options.max_concurrency)
        self.observer = observer
        self.dialect = dialect
        self.chance = chance
        self.wall = wall

    async def fetch(
        self,
        request: Request,
        read: Callable[[bytes], T],
        *,
        rank: Rank = Rank.PAGES,
        attempt: int = 1,
        tally: Tally | None = None,
        once: bool = False,
    ) -> Fetched[T]:
        """Make a request until it succeeds or fails for good.

        One that writes is sent again only where it surely did nothing: after a 429, and where no
        connection was made. Otherwise its error has ``maybe_applied`` set, and the caller looks.

        Args:
            request: What to ask.
            read: Reads the body; a ``DecodeError`` from it is retried like a lost answer.
            rank: Class of the request.
            attempt: Number of the first attempt, more than 1 where earlier ones failed.
            tally: Counts the attempts.
            once: A failure is final, whatever its kind.

        Raises:
            APIError: The server said no, finally.
            TransportError: No whole answer came, in all attempts.
            APITimeoutError: The same, for time.
            DecodeError: No readable answer came, in all attempts.
        """
        tally = tally or Tally()
        spent = 0.0
        if attempt > 1:
            await asyncio.sleep(self.delay(attempt - 1))
        done = WRITE_DONE if request.writes else READ_DONE
        while True:
            failure: KB4Error
            answer, took = await self.attempt(request, rank, attempt, tally)
            if isinstance(answer, NoAnswerError):
                failure = self.no_answer(request, answer, attempt)
            else:
                action = judge(answer.status, done)
                if action is Action.PAUSE:
                    continue  # the key is paused; that is no attempt
                if action is Action.FAIL:
                    raise self.refusal(request, answer)
                if action is Action.RETRY:
                    failure = self.refusal(request, answer)
                else:
                    try:
                        value = read(answer.body)
                    except DecodeError as error:
                        self.describe(error, answer.body, self.request_id(answer))
                        failure = error
                    else:
                        request_id = self.request_id(answer)
                        return Fetched(value, request_id, attempt, answer.headers)
            if request.writes and not (isinstance(answer, NoAnswerError) and not answer.sent):
                failure.maybe_applied = True
                raise failure
            spent += took
            delay = self.delay(attempt)
            if once or attempt >= self.retry.max_attempts or spent + delay > self.retry.max_elapsed:
                raise failure
            self.notify(RetryScheduled(request.path, attempt, delay, str(failure)))
            log.info("%s: attempt %d failed, next in %.1f s", request.path, attempt, delay)
            # Neither slot nor connection is held here.
            await asyncio.sleep(delay)
            spent += delay
            attempt += 1

    async def attempt(
        self, request: Request, rank: Rank, attempt: int, tally: Tally
    ) -> tuple[Answer | NoAnswerError, float]:
        """Make one attempt and account for it.

        Returns:
            What came of it, and the seconds since its permit was granted: waiting for a slot or a
            permit counts neither against the timeout nor as time spent on retries.
        """
        async with self.slots:
            permit = await self.limiter.acquire(rank)
            tally.requests += 1
            loop = asyncio.get_running_loop()
            begun = loop.time()
            outcome: Answer | NoAnswerError
            try:
                outcome = await self.transport.send(request)
                self.settle(request, permit, outcome)
            except NoAnswerError as error:
                self.settle_unanswered(permit, error, attempt)
                outcome = error
            except BaseException:
                # Cancelled in flight: the connection is closed, the server may still read it.
                self.limiter.unanswered(permit)
                raise
        took = tally.took = loop.time() - begun
        answer = None if isinstance(outcome, NoAnswerError) else outcome
        self.finished(request, attempt, answer, took)
        return outcome, took

    def settle(self, request: Request, permit: Permit, answer: Answer) -> None:
        """Account for an answer."""
        told = rate_headers(answer.headers)
        if judge(answer.status) is not Action.PAUSE:
            arrived = answer.status not in MAYBE_UNREAD
            self.limiter.answered(permit, arrived=arrived, told=told if arrived else NOTHING_TOLD)
            return
        asked = retry_after(answer.headers, self.wall())
        self.limiter.refused(permit, asked, told=told, path=request.path)

    def settle_unanswered(self, permit: Permit, error: NoAnswerError, attempt: int) -> None:
        """Account for an attempt without a whole answer."""
        if error.headers_came:
            self.limiter.answered(permit)
        elif error.sent:
            self.limiter.unanswered(permit, hand_over=self.delay(attempt))
        else:
            self.limiter.unsent(permit, hand_over=self.delay(attempt))

    def describe(self, error: DecodeError, body: bytes, request_id: str | None) -> None:
        """Say what could not be read, without the credential it may echo."""
        error.request_id = request_id
        error.excerpt = excerpt(body, self.transport.secret.text)

    def hide(self, text: str) -> str:
        """A server's or library's text, without the credential it may echo."""
        # Bytes that are no UTF-8 come as lone surrogates, which no file can take.
        text = text.encode("utf-8", "replace").decode()
        return mask(text, self.transport.secret.text)

    def request_id(self, answer: Answer) -> str | None:
        """The server's ``X-Request-Id``, where one came."""
        return None if answer.request_id is None else self.hide(answer.request_id)

    def delay(self, attempt: int) -> float:
        """Back-off after this attempt, in seconds."""
        retry = self.retry
        return backoff(attempt, self.chance(), base=retry.base, ceiling=retry.ceiling)

    def refusal(self, request: Request, answer: Answer) -> APIError:
        """The typed error of an answer that says no."""
        location = re.sub(r"//[^/@]*@", "//", answer.headers.get("location", "").partition("?")[0])
        return self.dialect.refuse(
            Refusal(
                answer.status,
                f"{request.method} {request.path} at {self.transport.base_url}",
                excerpt(answer.body, self.transport.secret.text),
                self.request_id(answer),
                self.hide(location),
                answer.body.replace(self.transport.secret.text.encode(), b"***"),
                request.path,
            )
        )

    def no_answer(self, request: Request, error: NoAnswerError, attempt: int) -> KB4Error:
        """The typed error of an attempt without an answer."""
        where = f"{request.method} {request.path} at {self.transport.base_url}"
        kind = APITimeoutError if error.timed_out else TransportError
        return kind(
            f"{where} got no whole answer (attempt {attempt}: {self.hide(str(error))}). Check the "
            f"network, proxy and address, or try later; '{self.dialect.doctor}' helps."
        )

    def finished(self, request: Request, attempt: int, answer: Answer | None, took: float) -> None:
        """Tell that an attempt ended."""
        status = None if answer is None else answer.status
        request_id = None if answer is None else self.request_id(answer)
        log.debug("%s %s -> %s in %.3f s", request.method, request.path, status, took)
        if self.observer is not None:
            method, path = request.method, request.path
            tell(self.observer, RequestFinished(method, path, attempt, status, took, request_id))

    def notify(self, event: Event) -> None:
        """Tell the client's observer."""
        if self.observer is not None:
            tell(self.observer, event)
