"""The destination of an export: refused before anything is touched, or ready to be written."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kb4_async.errors import ConfigurationError
from kb4_async.export.manifest import ExportReport, read_manifest

if sys.platform == "win32":
    fcntl = None
else:
    import fcntl


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
    if not os.fspath(destination).strip():
        msg = "The destination is empty (an unset variable?): name a folder of its own."
        raise ConfigurationError(msg)
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
    if manifest is None or not any(manifest["account"].get(n) for n in ("name", "domains")):
        return  # no account was ever seen there
    for name in ("origin", "name", "domains"):
        theirs, ours = manifest["account"].get(name), account.get(name)
        if theirs is None or ours is None:
            continue  # the account could not be read then, or now
        same = sorted(theirs) == sorted(ours) if name == "domains" else theirs == ours
        if not same:
            msg = (
                f"{folder} holds an export of another account: its {name} is {theirs!r}, this "
                f"key's is {ours!r}. Choose another destination."
            )
            raise ConfigurationError(msg)


class Claim:
    """The right to write into a folder; the operating system ends it with the process.

    Where it offers no such lock (Windows), two exports into one folder are not told apart.
    """

    def __init__(self) -> None:
        self.lock: int | None = None
        self.path = Path()

    def take(self, folder: Path) -> None:
        """Take the folder.

        Raises:
            ConfigurationError: Another export writes into it.
        """
        if fcntl is None:
            return
        self.path = folder / ".kb4.lock"
        self.lock = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The file must still be the one that everybody else would open.
            alone = os.fstat(self.lock).st_ino == self.path.stat().st_ino
        except OSError:
            alone = False
        if not alone:
            os.close(self.lock)
            self.lock = None
            msg = f"Another export writes into {folder}: wait, or choose another destination."
            raise ConfigurationError(msg)

    def release(self) -> None:
        """Give the folder up."""
        if self.lock is not None:
            self.path.unlink(missing_ok=True)
            os.close(self.lock)
            self.lock = None


def prepare_destination(folder: Path, report: ExportReport, claim: Claim, *, fresh: bool) -> None:
    """Make the folder, for its owner alone, and write the manifest, which says incomplete.

    Raises:
        ConfigurationError: It cannot be made or written, or another export writes into it, or
            completed one since it was inspected.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        claim.take(folder)
        inspect_destination(folder, report.resources, fresh=fresh)
        report.write()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        msg = f"{folder} cannot be written ({reason}): choose another destination."
        raise ConfigurationError(msg) from error
