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
from kb4_async.events import (
    Event,
    HeldLimit,
    KeyPaused,
    LedgerUnavailable,
    LimitChanged,
    ListingRepaired,
    RateStatus,
    RequestFinished,
    RetryScheduled,
)
from kb4_async.export.account_entry import AccountEntry
from kb4_async.export.accounts import ExportOptions, export_accounts
from kb4_async.export.accounts_file import read_accounts
from kb4_async.export.accounts_report import AccountsReport
from kb4_async.export.estimate import ResourcePlan
from kb4_async.export.events import (
    AccountEvent,
    AccountFinished,
    ExportProgress,
    ExportStarted,
    ExportWaiting,
)
from kb4_async.export.manifest import (
    Difference,
    ExportReport,
    ExportRun,
    Gap,
    ResourceReport,
)
from kb4_async.export.plan import ExportPlan, PlanTiming, Saving, plan_export
from kb4_async.export.resources import DEFAULT_RESOURCES, ON_REQUEST
from kb4_async.export.runner import export_account
from kb4_async.export.status import ExportStatus, ResourceStatus, export_status
from kb4_async.options import Limits, Retry, Timeout, Window
from kb4_async.protocol.address import REGIONS
from kb4_async.protocol.page import Page
from kb4_async.protocol.scim.changes import Change
from kb4_async.protocol.scim.columns import Rejected
from kb4_async.protocol.scim.groups import DesiredGroup, ScimGroup
from kb4_async.protocol.scim.guard import ChangeGuard
from kb4_async.protocol.scim.marks import CLEAR, UNSET
from kb4_async.protocol.scim.outcome import ScimOutcome
from kb4_async.protocol.scim.plan import PlannedChange, PlannedMember, ScimPlan, Unmatched
from kb4_async.protocol.scim.users import ScimUser
from kb4_async.protocol.scim.verifying import Pending, Verification
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
from kb4_async.reporting.doctor import diagnose
from kb4_async.runtime.diagnosis import Check, Diagnosis
from kb4_async.runtime.fanout import FanOut
from kb4_async.runtime.handover import ChildFailure
from kb4_async.runtime.iterators import PageIterator, RecordIterator
from kb4_async.runtime.listing import Listing
from kb4_async.scim.applying import OutcomeIterator
from kb4_async.scim.client import ScimClient
from kb4_async.scim.doctor import diagnose_scim
from kb4_async.scim.files import load_plan, save_plan
from kb4_async.scim.inputs import GroupSource, UserSource, read_groups, read_users
from kb4_async.scim.listing import ScimIterator, ScimListing, Unreadable
from kb4_async.scim.writer import ScimWriter
from kb4_async.version import VERSION as __version__

__all__ = [
    "CLEAR",
    "DEFAULT_RESOURCES",
    "ON_REQUEST",
    "REGIONS",
    "UNSET",
    "APIError",
    "APITimeoutError",
    "Account",
    "AccountEntry",
    "AccountEvent",
    "AccountFinished",
    "AccountsReport",
    "Admin",
    "AlreadyCompleteError",
    "AmbiguousMatchError",
    "AuthenticationError",
    "CampaignGroup",
    "Change",
    "ChangeGuard",
    "ChangeGuardError",
    "Check",
    "CheckpointMismatchError",
    "ChildFailure",
    "ClientClosedError",
    "ConfigurationError",
    "DecodeError",
    "DesiredGroup",
    "Diagnosis",
    "Difference",
    "EachOptions",
    "Enrollment",
    "EnrollmentUser",
    "Event",
    "ExportOptions",
    "ExportPlan",
    "ExportProgress",
    "ExportReport",
    "ExportRun",
    "ExportStarted",
    "ExportStatus",
    "ExportWaiting",
    "FanOut",
    "Gap",
    "Group",
    "GroupRiskScore",
    "GroupSource",
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
    "OutcomeIterator",
    "Page",
    "PageIterator",
    "Pending",
    "PermissionDeniedError",
    "PhishingCampaign",
    "PlanTiming",
    "PlannedChange",
    "PlannedMember",
    "Policy",
    "QuotaExhaustedError",
    "RateLimitError",
    "RateStatus",
    "Recipient",
    "RecipientUser",
    "RecordIterator",
    "Rejected",
    "ReportingClient",
    "RequestFinished",
    "ResourcePlan",
    "ResourceReport",
    "ResourceStatus",
    "Retry",
    "RetryScheduled",
    "RiskScore",
    "Saving",
    "ScimClient",
    "ScimError",
    "ScimGroup",
    "ScimIterator",
    "ScimListing",
    "ScimOutcome",
    "ScimPlan",
    "ScimUser",
    "ScimWriter",
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
    "Unmatched",
    "Unreadable",
    "User",
    "UserRiskScore",
    "UserSource",
    "Verification",
    "Window",
    "__version__",
    "diagnose",
    "diagnose_scim",
    "export_account",
    "export_accounts",
    "export_status",
    "load_plan",
    "plan_export",
    "read_accounts",
    "read_groups",
    "read_users",
    "save_plan",
]
