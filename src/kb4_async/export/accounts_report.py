"""What is known of the exports of several accounts once they have ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from kb4_async.errors import AlreadyCompleteError, KB4Error
from kb4_async.export.manifest import ExportReport
from kb4_async.version import VERSION

SCHEMA_VERSION = 1

#: How an account ended. ``kept``: its folder held the complete export that was asked for;
#: ``failed``: an error ended it.
State = Literal["complete", "incomplete", "kept", "failed"]


@dataclass(frozen=True, slots=True)
class AccountsReport:
    """How the exports of several accounts ended.

    Attributes:
        destination: The folder that holds a folder for each account.
        accounts: By the account's name, in the order given: its report, or the error that ended it.
            ``AlreadyCompleteError`` says that its folder held the complete export that was asked
            for.
        started: UTC, ISO 8601.
        finished: UTC, ISO 8601.
        seconds: Time it took.
    """

    destination: Path
    accounts: Mapping[str, ExportReport | KB4Error]
    started: str
    finished: str
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether the folder of every account holds a complete export."""
        return all(self.state(name) in {"complete", "kept"} for name in self.accounts)

    @property
    def rows(self) -> int:
        """Records of all accounts, without those that were there before."""
        return sum(report.rows for report in self.reports())

    @property
    def requests(self) -> int:
        """Attempts made for all exports that have a report."""
        return sum(report.requests for report in self.reports())

    @property
    def resume_at(self) -> str | None:
        """When the last of the quotas that were spent is free again: UTC, ISO 8601. None where no
        quota ended an account."""
        times = [
            each.resume_at if isinstance(each, ExportReport) else getattr(each, "resets_at", None)
            for each in self.accounts.values()
        ]
        return max(filter(None, times), key=datetime.fromisoformat, default=None)

    def reports(self) -> Iterator[ExportReport]:
        """The reports, without the errors."""
        return (each for each in self.accounts.values() if isinstance(each, ExportReport))

    def state(self, name: str) -> State:
        """How an account ended: ``complete``, ``incomplete``, ``kept`` or ``failed``."""
        return state_of(self.accounts[name])

    def reason(self, name: str) -> str:
        """The first reason why an account is not complete; empty where it is."""
        return reason_of(self.accounts[name])

    def to_json(self) -> dict[str, Any]:
        """The whole as JSON: every account with its state, its reason and its manifest."""
        return {
            "schema_version": SCHEMA_VERSION,
            "tool": {"name": "kb4_async", "version": VERSION},
            "complete": self.complete,
            "destination": str(self.destination),
            "started": self.started,
            "finished": self.finished,
            "seconds": round(self.seconds, 3),
            "resume_at": self.resume_at,
            "totals": {
                "accounts": len(self.accounts),
                **{state: self.count(state) for state in get_args(State)},
                "rows": self.rows,
                "requests": self.requests,
            },
            "accounts": {
                name: {
                    "state": self.state(name),
                    "error": type(each).__name__ if isinstance(each, KB4Error) else None,
                    "reason": self.reason(name) or None,
                    "manifest": each.to_json() if isinstance(each, ExportReport) else None,
                }
                for name, each in self.accounts.items()
            },
        }

    def count(self, state: State) -> int:
        """How many accounts ended in that state."""
        return sum(self.state(name) == state for name in self.accounts)


def state_of(outcome: ExportReport | KB4Error) -> State:
    """How an account ended, in one word."""
    if isinstance(outcome, ExportReport):
        return "complete" if outcome.complete else "incomplete"
    return "kept" if isinstance(outcome, AlreadyCompleteError) else "failed"


def reason_of(outcome: ExportReport | KB4Error) -> str:
    """The first reason why an account is not complete; empty where it is."""
    if isinstance(outcome, KB4Error):
        return str(outcome)
    for entry in outcome.resources.values():
        for gap in entry.gaps:
            where = f"{entry.name} {dict(gap.scope)}" if gap.scope else entry.name
            return f"{where}: {gap.message}"
    return ""
