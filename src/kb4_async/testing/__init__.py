"""A faithful KnowBe4 simulator and a virtual clock, for us and for users of the library."""

from kb4_async.testing.account import Account
from kb4_async.testing.clock import VirtualClockEventLoop, run_virtual
from kb4_async.testing.drift import (
    DriftRule,
    DriftScript,
    delete_row,
    insert_row,
    update_row,
)
from kb4_async.testing.faults import Fault, FaultRule, FaultScript
from kb4_async.testing.generating import generate_account
from kb4_async.testing.limits import Limit, published_limits
from kb4_async.testing.log import LoggedRequest, RequestLog
from kb4_async.testing.paging import PagingRules
from kb4_async.testing.scim.desk import SyncReportLine
from kb4_async.testing.scim.rules import ScimRules
from kb4_async.testing.simulator import Simulator

__all__ = [
    "Account",
    "DriftRule",
    "DriftScript",
    "Fault",
    "FaultRule",
    "FaultScript",
    "Limit",
    "LoggedRequest",
    "PagingRules",
    "RequestLog",
    "ScimRules",
    "Simulator",
    "SyncReportLine",
    "VirtualClockEventLoop",
    "delete_row",
    "generate_account",
    "insert_row",
    "published_limits",
    "run_virtual",
    "update_row",
]
