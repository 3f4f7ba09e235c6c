"""A simulated KnowBe4 on a loopback port, Reporting API and SCIM, which also judges its clients."""

import asyncio
import random
import time
import uuid
from collections.abc import Callable, Iterable
from itertools import count
from types import TracebackType
from typing import Self

from aiohttp import web

from kb4_async.testing.account import Account
from kb4_async.testing.answers import STEADY_HEADERS, Answer, Answers, BodyStyle, message
from kb4_async.testing.arrivals import SCIM_PATH, VERSION_PATH, arrival, is_scim, read_body
from kb4_async.testing.drift import DriftScript
from kb4_async.testing.faults import Fault, FaultScript
from kb4_async.testing.generating import generate_account
from kb4_async.testing.keys import Holder, KeyRing, opened
from kb4_async.testing.limits import Limit, Refusal
from kb4_async.testing.log import LoggedRequest, RequestLog
from kb4_async.testing.paging import PagingRules
from kb4_async.testing.scim.bodies import error
from kb4_async.testing.scim.desk import ScimDesk, call_of
from kb4_async.testing.scim.rules import ScimRules
from kb4_async.testing.sending import abort, deliver, faulty, sent_of
from kb4_async.testing.telling import RateHeaders, RetryAfter, come_again, room

API_KEY = "simulated-reporting-key"
SCIM_TOKEN = "simulated-scim-token"  # noqa: S105 - opens nothing but a made-up account
KEEP_BYTES = 256 * 1024 * 1024
STOP_SECONDS = 1.0


class StoppedError(Exception):
    """The simulator is stopping; whoever waits for an answer gets none."""


class Simulator:
    """A Reporting API with made-up accounts behind it, and their SCIM, which writes to them.

    Use it as an async context manager, or call `start` and `stop`. The order for each request:
    log it, count it against its key's limits, call `on_request`, then refuse it, or play a fault,
    or answer; then call `on_answer`. The answer's records are those of the moment of arrival,
    changes made by `on_request` included; those of `drift` follow at once, and latency after that.

    Attributes:
        log: every request that arrived.
        faults: the script of what goes wrong.
        drift: the script of what changes between two requests.
        api_key: the key of the first account.
        account: the first account.
        scim_token: the token that opens the SCIM of the first account, and nothing else.
        scim_rules: how SCIM behaves; replace it at any time.
        sync_report: the writes that SCIM accepted in Test Mode, and did not do.
        errors: what callbacks raised; the client got a 500, `async with` raises the first.
    """

    def __init__(
        self,
        account: Account | None = None,
        *,
        api_key: str = API_KEY,
        scim_token: str = SCIM_TOKEN,
        scim: ScimRules | None = None,
        limits: Iterable[Limit] = (Limit(1000, 60.0),),
        scim_limits: Iterable[Limit] | None = None,
        latency: float = 0.0,
        jitter: float = 0.0,
        rate_headers: RateHeaders = False,
        retry_after: RetryAfter = False,
        paging: PagingRules | None = None,
        style: BodyStyle = "compact",
        chunked: bool = True,
        keep_bytes: int = KEEP_BYTES,
        on_request: Callable[[LoggedRequest], object] | None = None,
        on_answer: Callable[[LoggedRequest], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 7,
    ) -> None:
        """Set a server up; nothing listens before `start`.

        Args:
            account: the account behind `api_key`; a generated one if not given.
            api_key: the key that opens it.
            scim_token: the token that opens its SCIM.
            scim: how SCIM behaves.
            limits: what every key is held to, counted by arrival on `clock`.
            scim_limits: what every token is held to; the same if not given.
            latency: seconds between arrival and answer.
            jitter: up to so many seconds more, by chance.
            rate_headers: send X-RateLimit-Limit and X-RateLimit-Remaining; or the headers to send
                instead of the truth.
            retry_after: let a 429 say when to come again, in seconds (True) or as a "date"; or
                the number to say instead of the truth.
            paging: how it pages.
            style: how bodies are written.
            chunked: chunked bodies, as the real service sends; else with a content-length.
            keep_bytes: how many bytes of ready bodies an account keeps.
            on_request: called at each arrival; what it changes counts for this request already.
            on_answer: called when a request is answered, cut off or given up.
            clock: what the log and the limits go by.
            host: where to listen.
            port: where to listen; 0 takes a free port.
            seed: decides chances: jitter, faults, request ids, the generated account.
        """
        self.limits = tuple(limits)
        self.scim_limits = self.limits if scim_limits is None else tuple(scim_limits)
        self.scim_rules = scim or ScimRules()
        self.scim_desk = ScimDesk()
        self.sync_report = self.scim_desk.report
        self.latency = latency
        self.jitter = jitter
        self.rate_headers = rate_headers
        self.retry_after = retry_after
        self.paging = paging or PagingRules()
        self.style = style
        self.chunked = chunked
        self.keep_bytes = keep_bytes
        self.on_request = on_request
        self.on_answer = on_answer
        self.clock = clock
        self.host = host
        self.port = port
        self.chance = random.Random(seed)
        self.log = RequestLog()
        self.faults = FaultScript(seed)
        self.drift = DriftScript()
        self.keys = KeyRing()
        self.holders = self.keys.holders
        self.account = account or generate_account(seed)
        self.api_key = api_key
        self.scim_token = scim_token
        self.add_account(api_key, self.account, scim_token=scim_token)
        self.errors: list[Exception] = []
        self.runner: web.ServerRunner | None = None
        self.stopping = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Start to listen."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop; raise the first error of a callback (or of the simulator) if nothing else did."""
        await self.stop()
        if error is None and self.errors:
            raise self.errors[0]

    @property
    def origin(self) -> str:
        """Return scheme, host and port."""
        return f"http://{self.host}:{self.port}"

    @property
    def base_url(self) -> str:
        """Return the address that stands for a region's, version included."""
        return f"{self.origin}/v1"

    @property
    def tenant_url(self) -> str:
        """Return the address that stands for SCIM's Tenant URL."""
        return f"{self.origin}{SCIM_PATH}"

    def add_account(
        self,
        api_key: str,
        account: Account,
        *,
        limits: Iterable[Limit] | None = None,
        scim_token: str | None = None,
    ) -> str:
        """Let another key open another (or the same) account, with limits of its own.

        A `scim_token` opens the account's SCIM, under `scim_limits`.
        """
        if scim_token is not None:
            self.keys.add(scim_token, None, self.scim_limits, self.scim_desk.service_of(account))
        answers = Answers(account, self.paging, style=self.style, keep_bytes=self.keep_bytes)
        return self.keys.add(api_key, answers, self.limits if limits is None else limits)

    def add_stranger(self, key: str) -> str:
        """Know a key that opens nothing here, such as one of another region.

        It gets the same 401 as an unknown key, but is counted against the limits.
        """
        return self.keys.add(key, None, self.limits)

    def revoke(self, api_key: str) -> None:
        """Refuse a key, or a SCIM token, from now on."""
        if api_key in self.holders:
            self.holders[api_key].revoke()
        else:
            self.add_stranger(api_key)

    def fingerprint(self, key: str) -> str:
        """Return what the log calls a key."""
        return self.keys.fingerprint(key)

    def requests(
        self,
        path: str | None = None,
        *,
        status: int | None = None,
        key: str | None = None,
        method: str | None = None,
        where: Callable[[LoggedRequest], bool] | None = None,
    ) -> list[LoggedRequest]:
        """Return the logged requests that fit; see `RequestLog.requests`."""
        return self.log.requests(path, status=status, key=key, method=method, where=where)

    def preload(
        self, path: str, *, api_key: str | None = None, per_page: int = 500, **filters: str
    ) -> int:
        """Make all pages of a listing now instead of when they are asked for; return how many."""
        answers = self.holders[api_key or self.api_key].answers
        if answers is None:
            return 0
        before = None
        for page in count(1):
            query = {**filters, "page": str(page), "per_page": str(per_page)}
            answer = answers.get(path, query, address=f"{self.base_url}/{path}")
            if not answer.rows or answer.etag == before:  # some answers ignore the page
                return page - 1
            before = answer.etag
        raise AssertionError

    async def start(self) -> None:
        """Listen; afterwards `base_url` holds."""
        self.stopping = asyncio.Event()
        server = web.Server(self.handle, handler_cancellation=True, access_log=None)
        self.runner = web.ServerRunner(server, shutdown_timeout=STOP_SECONDS)
        await self.runner.setup()
        site = web.TCPSite(self.runner, self.host, self.port)
        await site.start()
        self.port = self.runner.addresses[0][1]

    async def stop(self) -> None:
        """Cut off whoever waits, and close everything. Stopping twice does no harm."""
        self.stopping.set()
        if self.runner is not None:
            await self.runner.cleanup()
            self.runner = None

    async def serve_forever(self) -> None:
        """Return when somebody calls `stop`; for programs that only serve."""
        await self.stopping.wait()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request, and remember what fails here, a callback's assertion above all."""
        try:
            return await self.serve(request)
        except Exception as error:
            self.errors.append(error)
            raise

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Take one request through all steps."""
        try:
            body = await read_body(request)
        except (ConnectionError, web.RequestPayloadError):
            return web.Response()  # the client went away while it sent: no request arrived
        entry, holder = self.note(request, body)
        answer, fault = self.decide(request, entry, holder, body)
        try:
            if self.latency or self.jitter:
                await self.idle(self.latency + self.jitter * self.chance.random())
            gate = None if holder is None else holder.gate
            rates = room(gate, self.clock(), self.rate_headers)
            return await self.answer(request, entry, answer, fault, rates)
        except StoppedError:
            abort(request)
            return web.Response()
        except asyncio.CancelledError:
            entry.cancelled = True
            raise
        except ConnectionError:
            # Raised, it would be logged as a failure of ours; returned, aiohttp drops it quietly.
            entry.cancelled = True
            return web.Response()
        finally:
            if self.on_answer is not None:
                self.on_answer(entry)

    def decide(
        self, request: web.BaseRequest, entry: LoggedRequest, holder: Holder | None, body: bytes
    ) -> tuple[Answer, Fault | None]:
        """Make the right answer as of now, and find out what is to go wrong with it.

        Making the answer to a write is doing what it asks for.
        """
        refusal = None if holder is None else holder.gate.arrive(entry.arrived)
        if self.on_request is not None:
            self.on_request(entry)
        fault = None if refusal else self.faults.pick(entry)
        if fault is not None and fault.kind == "revoke" and holder is not None:
            holder.revoke()
        account = opened(holder, scim=is_scim(request.path))
        entry.key_ok = account is not None
        answer = Answer(503, b"")  # not seen where a fault keeps the request from its purpose
        if fault is None or fault.applied:
            answer = self.judge(request, entry, holder, refusal, body)
        if refusal is None and account is not None:
            self.drift.answered(entry, account)
        return answer, fault

    def note(self, request: web.BaseRequest, body: bytes) -> tuple[LoggedRequest, Holder | None]:
        """Log an arrival and find out whose key it carries."""
        key, holder = self.keys.read(request.headers.get("authorization", ""))
        entry = arrival(request, body, number=len(self.log), arrived=self.clock(), key=key)
        entry.key_ok = opened(holder, scim=is_scim(request.path)) is not None
        self.log.add(entry)
        return entry, holder

    def judge(
        self,
        request: web.BaseRequest,
        entry: LoggedRequest,
        holder: Holder | None,
        refusal: Refusal | None,
        body: bytes,
    ) -> Answer:
        """Return the right answer to a request."""
        scim, rules = is_scim(request.path), self.scim_rules
        if refusal is not None:
            later = come_again(refusal, self.retry_after)
            return error(429, rules, later) if scim else message(429, headers=later)
        if scim:
            service = None if holder is None else holder.scim
            return self.scim_desk.answer(call_of(request, body, self.tenant_url), service, rules)
        if holder is None or holder.answers is None:
            return message(401)
        if request.method != "GET" or not request.path.startswith(VERSION_PATH):
            return message(404)
        accepted = request.headers.get("accept", "*/*")
        if not any(kind in accepted for kind in ("json", "*/*", "application/*")):
            return message(406)
        address = f"{self.origin}{request.path}"
        return holder.answers.get(entry.path, entry.query, address=address)

    async def answer(
        self,
        request: web.BaseRequest,
        entry: LoggedRequest,
        right: Answer,
        fault: Fault | None,
        rates: dict[str, str],
    ) -> web.StreamResponse:
        """Send the answer, or play the fault on it."""
        answer = right
        if fault is not None:
            entry.fault = fault.kind
            answer = faulty(fault, right, f"{self.origin}{request.rel_url}")
            if fault.kind == "hang":
                await self.idle(None)
            if fault.kind == "reset":
                abort(request)
                return web.Response()
            if fault.kind == "slow" and not fault.in_body:
                await self.idle(fault.seconds)
        headers = rates | self.write_down(entry, answer)
        if fault is not None and fault.cuts:
            entry.answered = None
            entry.size = sent_of(fault, answer)
        return await deliver(request, answer, headers, fault, chunked=self.chunked, idle=self.idle)

    def write_down(self, entry: LoggedRequest, answer: Answer) -> dict[str, str]:
        """Complete the log's entry and return the headers that say the same."""
        entry.status = answer.status
        entry.size = len(answer.body)
        entry.rows = answer.rows
        entry.request_id = str(uuid.UUID(int=self.chance.getrandbits(128), version=4))
        entry.answered = self.clock()
        headers = {
            **STEADY_HEADERS,
            "x-request-id": entry.request_id,
            "x-runtime": f"{entry.answered - entry.arrived:.6f}",
            **answer.headers,
        }
        if answer.etag is not None:
            headers["etag"] = answer.etag
        return headers

    async def idle(self, seconds: float | None) -> None:
        """Wait, for ever if None; stopping the simulator ends it at once."""
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            return
        raise StoppedError
