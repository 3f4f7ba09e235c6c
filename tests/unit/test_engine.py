import asyncio
import logging
import pickle
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import pytest
from support.mocked import Answer, Call, answering

from kb4_async import (
    APIError,
    APITimeoutError,
    AuthenticationError,
    DecodeError,
    KB4Error,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ReportingClient,
    Retry,
    ServerError,
    Timeout,
    TransportError,
)
from kb4_async.events import Event, KeyPaused, RequestFinished, RetryScheduled
from kb4_async.runtime.keystate import KeyState, registry
from kb4_async.testing import run_virtual
from kb4_async.version import VERSION

KEY = "0123456789-abcdef/secret+key=="
USER = Answer(body=b'{"id": 1, "email": "a@example.test"}')
OPTIONS: dict[str, Any] = {"region": "eu"}


def asking(
    *answers: Answer,
    then: Answer | None = None,
    ask: Callable[[ReportingClient], Awaitable[Any]] = lambda kb: kb.users.get(1),
    **options: Any,
) -> tuple[Any, list[Call]]:
    """Ask once of a server that answers so."""

    async def main() -> tuple[Any, list[Call]]:
        with answering(*answers, then=then) as calls:
            async with ReportingClient(KEY, **(OPTIONS | options)) as kb:
                return await ask(kb), calls

    return run_virtual(main())


def failing(
    kind: type[KB4Error], *answers: Answer, then: Answer | None = None, **options: Any
) -> tuple[Any, list[Call], float]:
    """The same, expecting an error; also how long it took."""

    async def main() -> tuple[Any, list[Call], float]:
        with answering(*answers, then=then) as calls:
            async with ReportingClient(KEY, **(OPTIONS | options)) as kb:
                begun = asyncio.get_running_loop().time()
                with pytest.raises(kind) as caught:
                    await kb.users.get(1)
                took = asyncio.get_running_loop().time() - begun
        assert type(caught.value) is kind
        return caught.value, calls, took

    return run_virtual(main())


def state() -> KeyState:
    (known,) = registry.values()
    return known


# -- what is sent ------------------------------------------------------------------------------


def test_a_request_carries_key_agent_and_accept_and_nothing_more() -> None:
    user, calls = asking(USER)
    assert user == {"id": 1, "email": "a@example.test"}
    (call,) = calls
    assert str(call.url) == "https://eu.api.knowbe4.com/v1/users/1"
    assert call.headers == {
        "authorization": f"Bearer {KEY}",
        "accept": "application/json",
        "user-agent": f"kb4_async/{VERSION}",
    }


def test_each_request_states_its_own_timeout_redirects_and_status_handling() -> None:
    _, (call,) = asking(USER, timeout=Timeout(connect=1.5, read=2.5, total=3.5))
    timeout = call.options["timeout"]
    assert (timeout.sock_connect, timeout.sock_read, timeout.total) == (1.5, 2.5, 3.5)
    assert call.options["allow_redirects"] is False
    assert call.options["raise_for_status"] is False


def test_filters_become_the_query_and_a_page_is_named() -> None:
    _, calls = asking(
        ask=lambda kb: kb.users.list(status="active", group_id=789, expand="group").collect(),
        then=Answer(),
    )
    assert [dict(call.url.query) for call in calls] == [
        {"status": "active", "group_id": "789", "expand": "group", "page": "1", "per_page": "500"}
    ]
    assert calls[0].url.path == "/v1/users"


def test_defaults_of_enrollments_and_campaigns_are_sent() -> None:
    _, calls = asking(ask=lambda kb: kb.training.enrollments.list().collect(), then=Answer())
    assert dict(calls[0].url.query) == {
        "include_campaign_id": "true",
        "include_store_purchase_id": "true",
        "include_employee_number": "true",
        "page": "1",
        "per_page": "500",
    }
    registry.clear()
    _, calls = asking(ask=lambda kb: kb.training.campaigns.list().collect(), then=Answer())
    assert calls[0].url.query["exclude_percentages"] == "true"


def test_an_id_stays_one_path_segment() -> None:
    _, (call,) = asking(USER, ask=lambda kb: kb.users.get("1/../2?x=y#z%"))
    assert call.url.raw_path == "/v1/users/1%2F..%2F2%3Fx%3Dy%23z%25"
    assert call.url.query_string == ""


# -- what an answer means ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (400, APIError),
        (204, APIError),
        (301, APIError),
        (302, APIError),
        (307, APIError),
        (408, APIError),
        (418, APIError),
        (501, ServerError),
        (599, ServerError),
    ],
)
def test_a_status_that_is_final_costs_one_request(status: int, kind: type[APIError]) -> None:
    answer = Answer(
        status,
        b'{"message": "no"}',
        {"x-request-id": "abc-1", "location": "https://elsewhere.test/"},
    )
    error, calls, _ = failing(kind, answer)
    assert len(calls) == 1
    assert error.status == status
    assert error.request_id == "abc-1"
    assert error.excerpt == '{"message": "no"}'


RETRIED = [
    (Answer(500), ServerError),
    (Answer(502, b"<html>"), ServerError),
    (Answer(503), ServerError),
    (Answer(504), ServerError),
    (Answer(body=b"<html>not json</html>"), DecodeError),
    (Answer(body=b'{"id": 1'), DecodeError),
    (Answer(body=b'{"id": }'), DecodeError),
    (Answer(body=b""), DecodeError),
    (Answer(error=aiohttp.ClientPayloadError("cut")), TransportError),
    (Answer(error=aiohttp.ServerDisconnectedError()), TransportError),
    (Answer(error=ConnectionResetError()), TransportError),
    (Answer(error=aiohttp.SocketTimeoutError("slow")), APITimeoutError),
    (Answer(error=TimeoutError()), APITimeoutError),
]


@pytest.mark.parametrize(("answer", "kind"), RETRIED, ids=repr)
def test_what_may_pass_is_tried_again(answer: Answer, kind: type[KB4Error]) -> None:
    user, calls = asking(answer, answer, USER)
    assert user["id"] == 1
    assert len(calls) == 3


@pytest.mark.parametrize(("answer", "kind"), RETRIED, ids=repr)
def test_attempts_are_bounded_and_the_last_error_is_told(
    answer: Answer, kind: type[KB4Error]
) -> None:
    error, calls, took = failing(kind, then=answer)
    assert len(calls) == 6
    assert took <= 0.5 + 1 + 2 + 4 + 8 + 6  # back-off with full jitter, and the slow start
    assert pickle.loads(pickle.dumps(error)).args == error.args  # noqa: S301  # our own


def test_the_number_of_attempts_is_an_option() -> None:
    _, calls, _ = failing(ServerError, then=Answer(500), retry=Retry(max_attempts=2))
    assert len(calls) == 2
    registry.clear()
    _, calls, _ = failing(ServerError, then=Answer(500), retry=Retry(max_attempts=1))
    assert len(calls) == 1


def test_no_attempt_begins_after_max_elapsed(fast: None) -> None:
    # Without the slow start: what is waited for a permit counts as no time of the retries.
    retry = Retry(max_attempts=10_000, max_elapsed=60.0, base=5.0, ceiling=5.0)
    _, calls, took = failing(ServerError, then=Answer(500), retry=retry)
    assert took <= 61.0
    assert calls[-1].at - calls[0].at <= 60.0
    assert len(calls) > 12  # the time was used


def test_an_exception_that_no_transport_raises_is_not_retried() -> None:
    async def main() -> list[Call]:
        with answering(Answer(error=ZeroDivisionError())) as calls:
            async with ReportingClient(KEY, **OPTIONS) as kb:
                with pytest.raises(ZeroDivisionError):
                    await kb.users.get(1)
        return calls

    assert len(run_virtual(main())) == 1


# -- permits -----------------------------------------------------------------------------------


def test_every_attempt_takes_a_permit() -> None:
    _, calls = asking(Answer(500), Answer(429), Answer(body=b"?"), USER)
    assert len(calls) == 4
    assert state().granted == 4
    assert state().windows.in_flight == 0


def test_a_request_cancelled_in_flight_stays_counted() -> None:
    async def main() -> None:
        arrived = asyncio.Event()

        async def hang(*_: object, **__: object) -> None:
            arrived.set()
            await asyncio.sleep(1e6)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(aiohttp.ClientSession, "_request", hang)
            async with ReportingClient(KEY, **OPTIONS) as kb:
                task = asyncio.get_running_loop().create_task(kb.users.get(1))
                await arrived.wait()
                cancelled_at = asyncio.get_running_loop().time()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
        assert state().windows.in_flight == 0
        assert state().windows.stamps == pytest.approx([cancelled_at + 30.0], abs=1e-3)

    run_virtual(main())


@pytest.mark.parametrize(
    ("answer", "lag"),
    [(Answer(200), 0.0), (Answer(500), 0.0), (Answer(503), 30.0), (Answer(504), 30.0)],
    ids=repr,
)
def test_an_answer_that_a_proxy_may_have_given_counts_as_unanswered(
    answer: Answer, lag: float
) -> None:
    _, calls = asking(answer, USER) if answer.status != 200 else asking(USER)
    expected = sorted([calls[0].at + lag, *(call.at for call in calls[1:])])
    assert state().windows.stamps == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    "error", [aiohttp.ConnectionTimeoutError(), ConnectionRefusedError()], ids=repr
)
def test_a_connection_never_made_gives_its_permit_back(error: OSError) -> None:
    if isinstance(error, ConnectionRefusedError):
        key: Any = aiohttp.client_reqrep.ConnectionKey(
            "eu.api.knowbe4.com", 443, True, True, None, None, None
        )
        error = aiohttp.ClientConnectorError(key, error)
    asking(Answer(error=error), USER)
    assert (state().windows.in_flight, len(state().windows.stamps)) == (0, 1)


# -- refusals ----------------------------------------------------------------------------------


def test_a_429_is_no_attempt() -> None:
    _, calls = asking(*[Answer(429)] * 7, USER, retry=Retry(max_attempts=1))
    assert len(calls) == 8


def test_retry_after_is_obeyed() -> None:
    _, calls = asking(Answer(429, headers={"retry-after": "120"}), USER)
    assert 120.0 <= calls[1].at - calls[0].at <= 122.0


def test_a_pause_beyond_max_pause_ends_the_request_at_once() -> None:
    answer = Answer(429, headers={"retry-after": "3600"})
    error, calls, took = failing(RateLimitError, answer)
    assert len(calls) == 1
    assert took < 1.0
    assert error.retry_after == pytest.approx(3600.0, rel=0.01)


def test_the_time_of_a_pause_does_not_count_as_retry_time() -> None:
    """Pauses count neither as attempts nor as the retry time."""
    pause = Answer(429, headers={"retry-after": "400"})
    user, calls = asking(Answer(500), pause, Answer(500), USER)
    assert user["id"] == 1
    assert len(calls) == 4


def test_the_wait_for_a_permit_does_not_count_as_the_requests_timeout() -> None:
    pause = Answer(429, headers={"retry-after": "400"})
    user, _ = asking(pause, USER, timeout=Timeout(total=5.0, read=5.0))
    assert user["id"] == 1


# -- observers ---------------------------------------------------------------------------------


def test_the_observer_is_told_of_attempts_retries_and_pauses() -> None:
    events: list[Event] = []
    asking(Answer(500), Answer(429, headers={"retry-after": "7"}), USER, on_event=events.append)
    assert [type(event) for event in events] == [
        RequestFinished,
        RetryScheduled,
        KeyPaused,
        RequestFinished,
        RequestFinished,
    ]
    finished = [event for event in events if isinstance(event, RequestFinished)]
    assert [(event.path, event.status) for event in finished] == [
        ("users/1", 500),
        ("users/1", 429),
        ("users/1", 200),
    ]
    paused = events[2]
    assert isinstance(paused, KeyPaused)
    assert paused.retry_after == 7.0
    assert 7.0 <= paused.seconds <= 8.0


def test_an_observer_that_fails_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: Event) -> None:
        raise ZeroDivisionError

    user, _ = asking(USER, on_event=broken)
    assert user["id"] == 1
    assert "on_event failed" in caplog.text


# -- secrets -----------------------------------------------------------------------------------


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


ECHO = f'{{"message": "bad key Bearer {KEY}"}}'.encode()
ECHOES = {
    "body of a final status": Answer(403, ECHO),
    "body of a retried status": Answer(500, ECHO),
    "undecodable body": Answer(200, b"<h1>" + ECHO + b"</h1>"),
    "key across the excerpt's end": Answer(403, b"x" * 190 + KEY.encode()),
    "key across the end of what is looked at": Answer(403, b" " * 1590 + KEY.encode()),
    "redirect": Answer(302, b"", {"location": f"https://x.test/{KEY}?{KEY}"}),
    "request id": Answer(403, b"no", {"x-request-id": f"id-{KEY}"}),
    "transport": Answer(error=aiohttp.ClientPayloadError(f"bad: Bearer {KEY}")),
}


@pytest.mark.parametrize("name", ECHOES)
def test_a_key_echoed_by_the_server_reaches_neither_error_nor_log_nor_event(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="kb4_async")
    events: list[Event] = []

    async def main() -> KB4Error:
        with answering(then=ECHOES[name]):
            async with ReportingClient(KEY, on_event=events.append, **OPTIONS) as kb:
                with pytest.raises(KB4Error) as caught:
                    await kb.users.get(1)
                assert KEY not in repr(kb)
        return caught.value

    error = run_virtual(main())
    told = [f"{each!s} {each!r} {vars(each)}" for each in chain(error)]
    told += [repr(event) for event in events]
    told += [record.getMessage() for record in caplog.records]
    text = "\n".join(told).lower()
    for part in (KEY, KEY[:10], KEY[-10:]):
        assert part.lower() not in text
