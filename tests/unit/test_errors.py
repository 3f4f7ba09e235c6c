import copy
import pickle

import pytest

from kb4_async import errors
from kb4_async.errors import (
    AlreadyCompleteError,
    AmbiguousMatchError,
    APIError,
    APITimeoutError,
    AuthenticationError,
    ChangeGuardError,
    CheckpointMismatchError,
    ClientClosedError,
    ConfigurationError,
    DecodeError,
    IncompleteListingError,
    KB4Error,
    NotFoundError,
    PermissionDeniedError,
    QuotaExhaustedError,
    RateLimitError,
    ScimError,
    ServerError,
    SinkError,
    TransportError,
)

EXAMPLES: list[KB4Error] = [
    KB4Error("text"),
    ConfigurationError("text"),
    AlreadyCompleteError("text"),
    ClientClosedError("text"),
    TransportError("text"),
    APITimeoutError("text"),
    APIError("text", status=418, request_id="r-1", excerpt="short and stout"),
    AuthenticationError("text", status=401, request_id="r-1", excerpt="no"),
    PermissionDeniedError("text", status=403, request_id=None, excerpt="no"),
    NotFoundError("text", status=404, request_id="r-1", excerpt="gone"),
    RateLimitError("text", request_id="r-1", excerpt="slow down", retry_after=12.5),
    QuotaExhaustedError("text", retry_after=3600.0, resets_at="2026-11-24T00:00:00Z"),
    ServerError("text", status=503, request_id="r-1", excerpt="busy"),
    DecodeError("text", request_id="r-1", excerpt="<html>"),
    IncompleteListingError("text", reason="never_quiet"),
    SinkError("text"),
    CheckpointMismatchError("text"),
    ScimError("text", status=409, scim_type="uniqueness", detail="taken"),
    AmbiguousMatchError("text"),
    ChangeGuardError("text", reasons=("one", "two")),
]


def test_the_examples_are_every_error_of_the_module() -> None:
    defined = {
        thing
        for thing in vars(errors).values()
        if isinstance(thing, type) and issubclass(thing, KB4Error)
    }
    assert {type(error) for error in EXAMPLES} == defined


@pytest.mark.parametrize(
    ("error", "parent"),
    [
        (ConfigurationError, ValueError),
        (ClientClosedError, RuntimeError),
        (APITimeoutError, TimeoutError),
        (AuthenticationError, APIError),
        (PermissionDeniedError, APIError),
        (NotFoundError, APIError),
        (RateLimitError, APIError),
        (QuotaExhaustedError, RateLimitError),
        (ServerError, APIError),
    ],
)
def test_an_error_is_also_caught_as_its_parent(
    error: type[KB4Error], parent: type[Exception]
) -> None:
    assert issubclass(error, parent)
    assert issubclass(error, KB4Error)


@pytest.mark.parametrize("error", [TransportError, DecodeError, SinkError, IncompleteListingError])
def test_what_is_no_answer_is_no_api_error(error: type[KB4Error]) -> None:
    assert not issubclass(error, APIError)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_pickles_with_everything_it_carries(error: KB4Error, protocol: int) -> None:
    original = copy.copy(error)
    original.resume_token = "kb4.token"
    copied = pickle.loads(pickle.dumps(original, protocol))  # noqa: S301  # our own bytes
    assert type(copied) is type(error)
    assert str(copied) == "text"
    assert copied.args == ("text",)
    assert vars(copied) == {**vars(error), "resume_token": "kb4.token"}


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_no_error_carries_a_token_before_it_ended_a_listing(error: KB4Error) -> None:
    assert error.resume_token is None
    assert pickle.loads(pickle.dumps(error)).resume_token is None  # noqa: S301  # our own bytes


def test_a_rate_limit_error_without_more_knowledge_is_a_429() -> None:
    error = RateLimitError("text")
    assert (error.status, error.retry_after, error.request_id) == (429, None, None)
    assert QuotaExhaustedError("text").status == 429
    assert QuotaExhaustedError("text").resets_at is None
