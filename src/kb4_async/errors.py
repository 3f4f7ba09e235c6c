"""The exception tree: everything the library raises on purpose.

::

    KB4Error
    ├── ConfigurationError (ValueError)     wrong before any request was made
    │   └── AlreadyCompleteError            the destination holds a complete export
    ├── ClientClosedError (RuntimeError)    the client was closed meanwhile
    ├── TransportError                      no whole answer arrived
    ├── APITimeoutError (TimeoutError)      no whole answer arrived in time
    ├── APIError                            an answer that says no
    │   ├── AuthenticationError             401
    │   ├── PermissionDeniedError           403
    │   ├── NotFoundError                   404
    │   ├── RateLimitError                  429, beyond what may be waited for
    │   │   └── QuotaExhaustedError         the daily quota is spent
    │   ├── ServerError                     5xx, after all retries
    │   └── ScimError                       the SCIM server refused what was sent
    │       └── AmbiguousMatchError         several users or groups of one name
    ├── DecodeError                         an answer that cannot be read
    ├── IncompleteListingError              a listing without proof of its end
    ├── SinkError                           the destination failed
    ├── CheckpointMismatchError             a token or checkpoint of something else
    └── ChangeGuardError                    a bulk change looks like a mistake

Each error pickles. Each error that ends a listing carries ``resume_token``: pass it as ``start=``
to go on behind the last record delivered. No message holds a credential.
"""

from __future__ import annotations

from typing import Any, Literal

IncompleteReason = Literal[
    "page_repeated", "cursor_repeated", "page_cap", "never_quiet", "no_proof", "server_limit"
]


def restore(cls: type[KB4Error], args: tuple[Any, ...], state: dict[str, Any]) -> KB4Error:
    """Rebuild a pickled error without calling its ``__init__``, whose keywords pickle cannot
    know."""
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class KB4Error(Exception):
    """Base of every error the library raises on purpose.

    Attributes:
        resume_token: Where a listing can go on, on errors that ended one; otherwise None.
        maybe_applied: A write failed in a way that does not tell whether it took effect: look
            before it is sent again. False wherever nothing was written for sure.
    """

    resume_token: str | None = None
    maybe_applied: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with the attributes that keyword-only constructors would lose."""
        return restore, (type(self), self.args, self.__dict__.copy())


class ConfigurationError(KB4Error, ValueError):
    """An argument, environment variable or destination is wrong; no request was made."""


class AlreadyCompleteError(ConfigurationError):
    """One of several accounts has a complete export in its folder, of what was asked for: it was
    left as it is."""


class ClientClosedError(KB4Error, RuntimeError):
    """The client was closed while, or before, this was used. Open a new client and go on from
    ``resume_token``."""


class TransportError(KB4Error):
    """No whole answer arrived (connect, read or protocol failure), after all retries."""


class APITimeoutError(KB4Error, TimeoutError):
    """No whole answer arrived in time, after all retries. ``Timeout`` sets the times."""


class APIError(KB4Error):
    """The server answered with an error.

    Attributes:
        status: The HTTP status.
        request_id: The server's ``X-Request-Id``, which KnowBe4's support asks for; may be None.
        excerpt: The start of the answer's body as text, shortened and without credentials.
        wrong_address: Of SCIM: a redirect, or a 404 for all users or groups. Whatever is asked
            there, the Tenant URL is wrong.
    """

    wrong_address: bool = False

    def __init__(
        self, message: str, *, status: int = 0, request_id: str | None = None, excerpt: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.request_id = request_id
        self.excerpt = excerpt


class AuthenticationError(APIError):
    """401: the key is unknown here. Never retried. ``kb4 doctor`` tells the causes apart."""


class PermissionDeniedError(APIError):
    """403: the key is known but may not read this."""


class NotFoundError(APIError):
    """404: no such record, or it was deleted meanwhile."""


class RateLimitError(APIError):
    """429 for longer than may be waited for (``max_pause``).

    Attributes:
        retry_after: Seconds until another attempt makes sense, as far as known; otherwise None.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 429,
        request_id: str | None = None,
        excerpt: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, status=status, request_id=request_id, excerpt=excerpt)
        self.retry_after = retry_after


class QuotaExhaustedError(RateLimitError):
    """The daily quota is spent.

    Attributes:
        resets_at: UTC time, ISO 8601, at which the quota is free again; may be None.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 429,
        request_id: str | None = None,
        excerpt: str = "",
        retry_after: float | None = None,
        resets_at: str | None = None,
    ) -> None:
        super().__init__(
            message,
            status=status,
            request_id=request_id,
            excerpt=excerpt,
            retry_after=retry_after,
        )
        self.resets_at = resets_at


class ServerError(APIError):
    """5xx, after all retries."""


class DecodeError(KB4Error):
    """A whole answer arrived but is not what the API speaks (HTML, broken JSON), after all retries.

    Attributes:
        request_id: The server's ``X-Request-Id``; may be None.
        excerpt: The start of the body as text, shortened and without credentials.
    """

    def __init__(self, message: str, *, request_id: str | None = None, excerpt: str = "") -> None:
        super().__init__(message)
        self.request_id = request_id
        self.excerpt = excerpt


class IncompleteListingError(KB4Error):
    """A listing stopped without proof that everything was read. What arrived is sound, but partial.

    Attributes:
        reason: One of ``page_repeated cursor_repeated page_cap never_quiet no_proof server_limit``.
    """

    def __init__(self, message: str, *, reason: IncompleteReason) -> None:
        super().__init__(message)
        self.reason: IncompleteReason = reason


class SinkError(KB4Error):
    """The destination of an export failed. What was committed before is on disk."""


class CheckpointMismatchError(KB4Error):
    """A resume token or checkpoint belongs to another listing, account or set of parameters."""


class ScimError(APIError):
    """The SCIM server refused what was sent (400, 409, 412, 413, 501, ...): nothing was written.

    Attributes:
        scim_type: RFC 7644 section 3.12 ``scimType``, where the server sent one.
        detail: The server's own words, where it sent any.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        request_id: str | None = None,
        excerpt: str = "",
        scim_type: str | None = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(message, status=status, request_id=request_id, excerpt=excerpt)
        self.scim_type = scim_type
        self.detail = detail


class AmbiguousMatchError(ScimError):
    """Several users or groups fit one name, so none was chosen. Use the id, or make them one."""


class ChangeGuardError(KB4Error):
    """A bulk change was refused because it looks like a mistake. Nothing was written.

    Attributes:
        reasons: One sentence for each thing that was refused.
    """

    def __init__(self, message: str, *, reasons: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.reasons = reasons or (message,)
