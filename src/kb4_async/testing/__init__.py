"""A faithful KnowBe4 simulator and a virtual clock, for us and for users of the library."""

from kb4_async.testing.account import Account, generate_account
from kb4_async.testing.clock import VirtualClockEventLoop, run_virtual
from kb4_async.testing.faults import Fault, FaultRule, FaultScript
from kb4_async.testing.limits import Limit
from kb4_async.testing.log import LoggedRequest, RequestLog
from kb4_async.testing.paging import PagingRules
from kb4_async.testing.simulator import Simulator

__all__ = [
    "Account",
    "Fault",
    "FaultRule",
    "FaultScript",
    "Limit",
    "LoggedRequest",
    "PagingRules",
    "RequestLog",
    "Simulator",
    "VirtualClockEventLoop",
    "generate_account",
    "run_virtual",
]
