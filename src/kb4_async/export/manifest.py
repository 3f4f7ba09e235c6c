"""What an export knows of itself: the report in memory, ``manifest.json`` on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kb4_async.errors import ConfigurationError
from kb4_async.protocol import codec
from kb4_async.runtime.files import write_whole
from kb4_async.sinks import Position
from kb4_async.version import VERSION

SCHEMA_VERSION = 1
FILE_NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that could not be had, or does not add up.

    Attributes:
        scope: Which part: ``{"group_id": 789}``; empty for the whole resource.
        error: Name of the error, for example ``PermissionDeniedError``; ``CountMismatch`` where a
            listing ended with proof but holds fewer records than its parent says.
        message: What happened and what to do.
    """

    scope: Mapping[str, object]
    error: str
    message: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A count that the server gives and that differs from what arrived.

    Attributes:
        scope: Which part: ``{"group_id": 789}``.
        counted: What the server counts, asked again where fewer arrived.
        arrived: What its listing held, read to a proven end.
    """

    scope: Mapping[str, object]
    counted: int
    arrived: int


@dataclass(slots=True)
class ResourceReport:
    """One resource of an export.

    Attributes:
        name: ``users``.
        complete: Everything was read, with proof, and is on disk.
        rows: Records written.
        pages: Pages written.
        requests: Attempts made.
        end_reasons: What proved the end of its listings, and how often.
        expected: Records expected, where the account gives a count; otherwise None.
        repairs: Times a listing was read again because records moved.
        gaps: What is missing.
        differences: Counts of the server that differ from what arrived. Fewer than counted is a
            gap as well.
        reused: What was carried over from an earlier export, and which one; None where nothing
            was.
        output: What the sink says of the file: name, bytes, sha256.
        seconds: Time it took.
    """

    name: str
    complete: bool = False
    rows: int = 0
    pages: int = 0
    requests: int = 0
    end_reasons: dict[str, int] = field(default_factory=dict)
    expected: int | None = None
    repairs: int = 0
    gaps: list[Gap] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    reused: dict[str, Any] | None = None
    output: Position = field(default_factory=dict)
    seconds: float = 0.0

    def to_keep(self) -> dict[str, Any]:
        """What nothing else tells of a complete resource."""
        return {
            "end_reasons": self.end_reasons,
            "expected": self.expected,
            "differences": [codec.to_plain(each) for each in self.differences],
            "reused": self.reused,
        }

    @classmethod
    def kept(cls, name: str, kept: Mapping[str, Any]) -> ResourceReport:
        """Undo ``to_keep``."""
        differences = [Difference(**each) for each in kept["differences"]]
        return cls(name, complete=True, **{**kept, "differences": differences})

    def to_json(self) -> dict[str, Any]:
        """The manifest's entry."""
        return {
            "complete": self.complete,
            "rows": self.rows,
            "pages": self.pages,
            "requests": self.requests,
            "end_reasons": self.end_reasons,
            "expected": self.expected,
            "repairs": self.repairs,
            "gaps": [
                {"scope": dict(gap.scope), "error": gap.error, "message": gap.message}
                for gap in self.gaps
            ],
            "differences": [
                {"scope": dict(each.scope), "counted": each.counted, "arrived": each.arrived}
                for each in self.differences
            ],
            **({} if self.reused is None else {"reused": self.reused}),
            "seconds": round(self.seconds, 3),
            **{name: value for name, value in self.output.items() if name != "rows"},
        }


@dataclass(frozen=True, slots=True)
class ExportRun:
    """One run of an export; several, where it was interrupted.

    Attributes:
        started: UTC, ISO 8601.
        finished: The same; None for one that was killed.
        requests: Attempts made; those of a killed run as far as they were committed.
    """

    started: str
    finished: str | None
    requests: int


@dataclass(slots=True)
class ExportReport:
    """A whole export, also of one that is incomplete.

    Attributes:
        complete: Every listing was read to a proven end and is on disk.
        destination: The folder.
        account: Name and domains of the account, origin and region of the API.
        parameters: What was asked for.
        resources: One entry a resource, by name.
        started: UTC, ISO 8601; of the first run.
        id: Tells this export from others; made up.
        runs: The runs it took so far, the present one last.
        resume_at: When the quota that ended it is free again: UTC, ISO 8601; None where no quota
            did.
        other_requests: Attempts made for what is not among the resources: the account, and parents
            read for their children's sake.
        finished: UTC, ISO 8601; None while it runs.
        seconds: Time it took, all runs together as far as they were not killed.
    """

    destination: Path
    account: dict[str, Any]
    parameters: dict[str, Any]
    resources: dict[str, ResourceReport]
    started: str
    id: str = ""
    runs: list[ExportRun] = field(default_factory=list)
    resume_at: str | None = None
    other_requests: int = 0
    finished: str | None = None
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return self.finished is not None and all(r.complete for r in self.resources.values())

    @property
    def rows(self) -> int:
        """Records of all resources."""
        return sum(r.rows for r in self.resources.values())

    @property
    def requests(self) -> int:
        """Attempts made in all."""
        return self.other_requests + sum(r.requests for r in self.resources.values())

    def to_json(self) -> dict[str, Any]:
        """The manifest."""
        return {
            "schema_version": SCHEMA_VERSION,
            "tool": {"name": "kb4_async", "version": VERSION},
            "id": self.id,
            "complete": self.complete,
            "account": self.account,
            "parameters": self.parameters,
            "started": self.started,
            "finished": self.finished,
            "seconds": round(self.seconds, 3),
            "runs": [codec.to_plain(run) for run in self.runs],
            "resume_at": self.resume_at,
            "totals": {
                "rows": self.rows,
                "pages": sum(r.pages for r in self.resources.values()),
                "requests": self.requests,
            },
            "resources": {name: r.to_json() for name, r in self.resources.items()},
        }

    def write(self) -> None:
        """Write ``manifest.json`` so that it is whole at every moment.

        Raises:
            OSError: The disk is full or gone.
        """
        write_whole(self.destination / FILE_NAME, codec.encode_pretty(self.to_json()))


def read_manifest(directory: Path) -> dict[str, Any] | None:
    """Read the manifest of an earlier export; None where there is none.

    Raises:
        ConfigurationError: It cannot be read, or is of a version this library does not know.
    """
    path = directory / FILE_NAME
    try:
        manifest = codec.decode(path.read_bytes())
        version = manifest["schema_version"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        msg = f"{path} is not a manifest of kb4_async ({error}): choose another destination."
        raise ConfigurationError(msg) from error
    if version != SCHEMA_VERSION or not isinstance(manifest.get("account"), dict):
        msg = f"{path} is of another version ({version}) of kb4_async: choose another destination."
        raise ConfigurationError(msg)
    checked: dict[str, Any] = manifest
    return checked
