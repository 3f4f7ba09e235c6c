"""Asyncio bulk exporter for the KnowBe4 Reporting API, and a careful SCIM writer.

Example::

    async with ReportingClient(region="eu") as kb:
        async for user in kb.users.list(status="active"):
            print(user["email"])
"""

from importlib import import_module

from kb4_async.version import VERSION as __version__

#: Where the public names are. A module is imported when one of its names is first asked for
#: (PEP 562), so that who exports does not pay for SCIM. Type checkers read ``__init__.pyi``.
_HOMES = {
    "errors": (
        "AlreadyCompleteError AmbiguousMatchError APIError APITimeoutError AuthenticationError "
        "ChangeGuardError CheckpointMismatchError ClientClosedError ConfigurationError "
        "DecodeError IncompleteListingError KB4Error NotFoundError PermissionDeniedError "
        "QuotaExhaustedError RateLimitError ScimError ServerError SinkError TransportError"
    ),
    "events": (
        "Event HeldLimit KeyPaused LedgerUnavailable LimitChanged ListingRepaired RateStatus "
        "RequestFinished RetryScheduled"
    ),
    "export.account_entry": "AccountEntry",
    "export.accounts": "ExportOptions export_accounts",
    "export.accounts_file": "read_accounts",
    "export.accounts_report": "AccountsReport",
    "export.estimate": "ResourcePlan",
    "export.events": ("AccountEvent AccountFinished ExportProgress ExportStarted ExportWaiting"),
    "export.manifest": "Difference ExportReport ExportRun Gap ResourceReport",
    "export.plan": "ExportPlan PlanTiming Saving plan_export",
    "export.resources": "DEFAULT_RESOURCES ON_REQUEST",
    "export.runner": "export_account",
    "export.status": "ExportStatus ResourceStatus export_status",
    "options": "Limits Retry Timeout Window",
    "protocol.address": "REGIONS",
    "protocol.page": "Page",
    "protocol.scim.changes": "Change",
    "protocol.scim.columns": "Rejected",
    "protocol.scim.groups": "DesiredGroup ScimGroup",
    "protocol.scim.guard": "ChangeGuard",
    "protocol.scim.marks": "CLEAR UNSET",
    "protocol.scim.outcome": "ScimOutcome",
    "protocol.scim.plan": "PlannedChange PlannedMember ScimPlan Unmatched",
    "protocol.scim.users": "ScimUser",
    "protocol.scim.verifying": "Pending Verification",
    "records": (
        "Account Admin CampaignGroup Enrollment EnrollmentUser Group GroupRiskScore Member "
        "NamedId PhishingCampaign Policy Recipient RecipientUser RiskScore SecurityTest "
        "SecurityTestCategory SecurityTestSummary StorePurchase TrainingCampaign "
        "TrainingContent User UserRiskScore"
    ),
    "reporting.base": "EachOptions ListOptions",
    "reporting.client": "ReportingClient",
    "reporting.doctor": "diagnose",
    "runtime.diagnosis": "Check Diagnosis",
    "runtime.fanout": "FanOut",
    "runtime.handover": "ChildFailure",
    "runtime.iterators": "PageIterator RecordIterator",
    "runtime.listing": "Listing",
    "scim.applying": "OutcomeIterator",
    "scim.client": "ScimClient",
    "scim.doctor": "diagnose_scim",
    "scim.files": "load_plan save_plan",
    "scim.inputs": "GroupSource UserSource read_groups read_users",
    "scim.listing": "ScimIterator ScimListing Unreadable",
    "scim.writer": "ScimWriter",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = ["__version__", *sorted(_HOME_OF)]  # noqa: PLE0604  # names, though they are computed


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, also those that nobody asked for yet."""
    return [*globals(), *__all__]
