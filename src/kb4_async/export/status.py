"""``export_status``: where an export stands, from what it keeps on disk."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kb4_async.errors import ConfigurationError
from kb4_async.export.checkpoint import read_facts, read_state
from kb4_async.export.destination import is_claimed
from kb4_async.export.manifest import ExportRun, read_manifest
from kb4_async.export.units import MARKERS, Progress
from kb4_async.protocol import codec


@dataclass(frozen=True, slots=True)
class ResourceStatus:
    """Where one resource of an export stands.

    Attributes:
        name: ``users``.
        complete: Everything was read, with proof, and is on disk.
        rows: Records committed.
        requests: Attempts made so far.
        ended: Listings that came to a proven end.
        open: Listings that were begun and go on behind what is committed.
        again: Listings that ended without adding up, and are read again.
        missing: What the last run could not have, and why; one sentence each.
    """

    name: str
    complete: bool
    rows: int
    requests: int
    ended: int
    open: int
    again: int
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExportStatus:
    """Where an export stands.

    Attributes:
        destination: The folder.
        complete: Nothing is missing.
        running: An export writes into it now.
        account: Name and domains of the account, origin and region of the API.
        parameters: What was asked for.
        started: UTC, ISO 8601; of the first run.
        finished: The same, of the last run; None while it runs, or where it was killed.
        resume_at: When a spent quota is free again: UTC, ISO 8601; None where none is known.
        runs: The runs so far.
        resources: One entry a resource, by name.
    """

    destination: Path
    complete: bool
    running: bool
    account: Mapping[str, Any]
    parameters: Mapping[str, Any]
    started: str
    finished: str | None
    resume_at: str | None
    runs: tuple[ExportRun, ...]
    resources: Mapping[str, ResourceStatus]

    @property
    def rows(self) -> int:
        """Records committed."""
        return sum(entry.rows for entry in self.resources.values())

    @property
    def requests(self) -> int:
        """Attempts made so far; those of a killed run as far as they were committed."""
        return sum(run.requests for run in self.runs)

    def to_json(self) -> dict[str, Any]:
        """As the command prints it."""
        return {
            "destination": str(self.destination),
            "complete": self.complete,
            "running": self.running,
            "account": dict(self.account),
            "parameters": dict(self.parameters),
            "started": self.started,
            "finished": self.finished,
            "resume_at": self.resume_at,
            "runs": [codec.to_plain(run) for run in self.runs],
            "resources": {name: codec.to_plain(each) for name, each in self.resources.items()},
        }


async def export_status(destination: str | os.PathLike[str]) -> ExportStatus:
    """Say where the export in a folder stands. Changes nothing, and makes no request.

    It may be asked while the export runs: what it says is then at most two seconds old.

    Args:
        destination: The folder.

    Raises:
        ConfigurationError: There is no export of this library, or what it keeps cannot be read.
    """
    return await asyncio.to_thread(read_status, destination)


def read_status(destination: str | os.PathLike[str]) -> ExportStatus:
    """The same, in the calling thread."""
    folder = Path(destination).expanduser().absolute()
    manifest, facts = read_manifest(folder), read_facts(folder)
    if manifest is None and facts is None:
        msg = f"{folder} holds no export of kb4_async: begin one there with 'kb4 export'."
        raise ConfigurationError(msg)
    try:
        unfinished = facts is not None and not (
            manifest is not None and manifest["complete"] and manifest.get("id") == facts["id"]
        )
        if unfinished and facts is not None:
            return stopped(folder, manifest, facts)
        assert manifest is not None  # noqa: S101  # one of them was there
        return ended(folder, manifest)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        msg = f"{folder}: what the export keeps cannot be read ({error!r})."
        raise ConfigurationError(msg) from error


def ended(folder: Path, manifest: Mapping[str, Any]) -> ExportStatus:
    """Where an export stands that is described by its manifest alone."""
    resources = {
        name: ResourceStatus(
            name=name,
            complete=entry["complete"],
            rows=entry["rows"],
            requests=entry["requests"],
            ended=sum(entry["end_reasons"].values()),
            open=0,
            again=0,
            missing=tuple(gap["message"] for gap in entry["gaps"]),
        )
        for name, entry in manifest["resources"].items()
    }
    runs = [ExportRun(**run) for run in manifest.get("runs", ())]
    return ExportStatus(
        destination=folder,
        complete=manifest["complete"],
        running=is_claimed(folder),
        account=manifest["account"],
        parameters=manifest["parameters"],
        started=manifest["started"],
        finished=manifest["finished"],
        resume_at=manifest.get("resume_at"),
        runs=tuple(runs),
        resources=resources,
    )


def stopped(
    folder: Path, manifest: Mapping[str, Any] | None, facts: Mapping[str, Any]
) -> ExportStatus:
    """Where an export stands that can be gone on with."""
    saved = read_state(folder)
    told = manifest["resources"] if manifest and manifest.get("id") == facts["id"] else {}
    runs = tuple(ExportRun(**run) for run in facts["runs"])
    names = facts["parameters"]["resources"]
    resources = {
        name: status_of(saved.get(name) or Progress(name), told.get(name, {})) for name in names
    }
    return ExportStatus(
        destination=folder,
        complete=False,
        running=is_claimed(folder),
        account=facts["account"],
        parameters=facts["parameters"],
        started=facts["started"],
        finished=runs[-1].finished if runs else None,
        resume_at=facts.get("resume_at"),
        runs=runs,
        resources=resources,
    )


def status_of(progress: Progress, told: Mapping[str, Any]) -> ResourceStatus:
    """Where a resource stands by what is kept of it, and what its manifest said last."""
    units = [unit for unit in progress.units.values() if unit.key not in MARKERS]
    complete = progress.report is not None
    return ResourceStatus(
        name=progress.name,
        complete=complete,
        rows=progress.rows,
        requests=progress.requests,
        ended=sum(unit.closed for unit in units),
        open=sum(not unit.closed and not unit.again for unit in units),
        again=sum(unit.again for unit in units),
        missing=() if complete else tuple(gap["message"] for gap in told.get("gaps", ())),
    )
