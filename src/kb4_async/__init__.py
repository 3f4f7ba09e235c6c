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
    QuotaExhaustedError,
    RateLimitError,
    ServerError,
    SinkError,
    TransportError,
)
from kb4_async.events import (
    Event,
    ExportProgress,
    ExportStarted,
    HeldLimit,
    KeyPaused,
    LedgerUnavailable,
    LimitChanged,
    ListingRepaired,
    RateStatus,
    RequestFinished,
    RetryScheduled,
)
from kb4_async.export.estimate import ResourcePlan
from kb4_async.export.manifest import Difference, ExportReport, Gap, ResourceReport
from kb4_async.export.plan import ExportPlan, PlanTiming, Saving, plan_export
from kb4_async.export.resources import DEFAULT_RESOURCES, ON_REQUEST
from kb4_async.export.runner import export_account
from kb4_async.options import Limits, Retry, Timeout, Window
from kb4_async.protocol.address import REGIONS
from kb4_async.protocol.page import Page
from kb4_async.records import (
    Account,
    Admin,
    CampaignGroup,
    Enrollment,
    EnrollmentUser,
    Group,
    GroupRiskScore,
    Member,
    NamedId,
    PhishingCampaign,
    Policy,
    Recipient,
    RecipientUser,
    RiskScore,
    SecurityTest,
    SecurityTestCategory,
    SecurityTestSummary,
    StorePurchase,
    TrainingCampaign,
    TrainingContent,
    User,
    UserRiskScore,
)
from kb4_async.reporting.base import EachOptions, ListOptions
from kb4_async.reporting.client import ReportingClient
from kb4_async.reporting.doctor import Check, Diagnosis, diagnose
from kb4_async.runtime.fanout import FanOut
from kb4_async.runtime.handover import ChildFailure
from kb4_async.runtime.iterators import PageIterator, RecordIterator
from kb4_async.runtime.listing import Listing
from kb4_async.version import VERSION as __version__

__all__ = [
    "DEFAULT_RESOURCES",
    "ON_REQUEST",
    "REGIONS",
    "APIError",
    "APITimeoutError",
    "Account",
    "Admin",
    "AuthenticationError",
    "CampaignGroup",
    "Check",
    "CheckpointMismatchError",
    "ChildFailure",
    "ClientClosedError",
    "ConfigurationError",
    "DecodeError",
    "Diagnosis",
    "Difference",
    "EachOptions",
    "Enrollment",
    "EnrollmentUser",
    "Event",
    "ExportPlan",
    "ExportProgress",
    "ExportReport",
    "ExportStarted",
    "FanOut",
    "Gap",
    "Group",
    "GroupRiskScore",
    "HeldLimit",
    "IncompleteListingError",
    "KB4Error",
    "KeyPaused",
    "LedgerUnavailable",
    "LimitChanged",
    "Limits",
    "ListOptions",
    "Listing",
    "ListingRepaired",
    "Member",
    "NamedId",
    "NotFoundError",
    "Page",
    "PageIterator",
    "PermissionDeniedError",
    "PhishingCampaign",
    "PlanTiming",
    "Policy",
    "QuotaExhaustedError",
    "RateLimitError",
    "RateStatus",
    "Recipient",
    "RecipientUser",
    "RecordIterator",
    "ReportingClient",
    "RequestFinished",
    "ResourcePlan",
    "ResourceReport",
    "Retry",
    "RetryScheduled",
    "RiskScore",
    "Saving",
    "SecurityTest",
    "SecurityTestCategory",
    "SecurityTestSummary",
    "ServerError",
    "SinkError",
    "StorePurchase",
    "Timeout",
    "TrainingCampaign",
    "TrainingContent",
    "TransportError",
    "User",
    "UserRiskScore",
    "Window",
    "__version__",
    "diagnose",
    "export_account",
    "plan_export",
]
