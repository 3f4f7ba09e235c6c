"""Asyncio bulk exporter for the KnowBe4 Reporting API.

Example::

    async with ReportingClient(region="eu") as kb:
        async for user in kb.users.list(status="active"):
            print(user["email"])
"""

from kb4_async.errors import (
    APIError,
    APITimeoutError,
    AuthenticationError,
    CheckpointMismatchError,
    ClientClosedError,
    ConfigurationError,
    DecodeError,
    IncompleteListingError,
    KB4Error,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    TransportError,
)
from kb4_async.options import Limits, Retry, Timeout, Window
from kb4_async.protocol.page import Page
from kb4_async.reporting.client import ReportingClient
from kb4_async.runtime.listing import Listing
from kb4_async.version import VERSION as __version__
