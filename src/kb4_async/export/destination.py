"""The destination of an export: refused before anything is touched, or ready to be written."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kb4_async.errors import ConfigurationError
from kb4_async.export.manifest import ExportReport, read_manifest


def inspect_destination(
    destination: str | os.PathLike[str], names: Iterable[str], *, fresh: bool
) -> tuple[Path, dict[str, Any] | None]:
    """Look at the destination without touching it.

    Args:
        destination: A folder, which may not exist yet.
        names: The datasets to be written.
        fresh: Whether an earlier export may be replaced.

    Returns:
        The folder, and the manifest of an earlier export in it, if there is one.

    Raises:
        ConfigurationError: It is no folder, cannot be written, holds a complete export, or files
            that no export of this library wrote.
    """
    folder = Path(destination).expanduser().absolute()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir():
        msg = f"{existing} is a file: an export needs a folder of its own."
        raise ConfigurationError(msg)
    if not os.access(existing, os.W_OK | os.X_OK):
        msg = f"{existing} cannot be written: choose another destination or mend its permissions."
        raise ConfigurationError(msg)
    manifest = read_manifest(folder)
    if manifest is None:
        strangers = [name for name in names if (folder / f"{name}.jsonl").exists()]
        if strangers and not fresh:
            msg = (
                f"{folder} holds {strangers[0]}.jsonl but no manifest of an export: choose another "
                "destination, or replace the files with --fresh (fresh=True)."
            )
            raise ConfigurationError(msg)
    elif manifest.get("complete") and not fresh:
        msg = (
            f"{folder} holds a complete export of {manifest.get('finished')}: choose another "
            "destination, or replace it with --fresh (fresh=True)."
        )
        raise ConfigurationError(msg)
    return folder, manifest


def check_same_account(
    folder: Path, manifest: Mapping[str, Any] | None, account: Mapping[str, Any]
) -> None:
    """Refuse to mix two accounts in one destination; nothing was touched yet.

    Raises:
        ConfigurationError: The earlier export is of another account; the message names how.
    """
    if manifest is None:
        return
    for name in ("origin", "name", "domains"):
        theirs, ours = manifest["account"].get(name), account.get(name)
        if theirs != ours:
            msg = (
                f"{folder} holds an export of another account: its {name} is {theirs!r}, this "
                f"key's is {ours!r}. Choose another destination."
            )
            raise ConfigurationError(msg)


def prepare_destination(folder: Path, report: ExportReport) -> None:
    """Make the folder, for its owner alone, and write the manifest, which says incomplete.

    Raises:
        ConfigurationError: It cannot be made or written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        report.write()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        msg = f"{folder} cannot be written ({reason}): choose another destination."
        raise ConfigurationError(msg) from error
