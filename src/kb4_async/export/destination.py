"""The destination of an export: refused before anything is touched, or ready to be written."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kb4_async.errors import CheckpointMismatchError, ConfigurationError
from kb4_async.export.checkpoint import FILE_NAME, ForeignStateError, read_facts, read_state
from kb4_async.export.manifest import read_manifest

if sys.platform == "win32":
    fcntl = None
else:
    import fcntl

#: Folder in a destination of JSON lines that are only kept for the sake of resuming.
SPOOL = ".spool"
#: File in a destination that an export holds while it writes.
LOCK = ".kb4.lock"
BUSY = "Another export writes into {}: wait, or choose another destination."


@dataclass(frozen=True, slots=True)
class Destination:
    """What a destination holds.

    Attributes:
        folder: The folder, which may not exist yet.
        manifest: The manifest of an earlier export, if there is one.
        facts: What an unfinished export there belongs to, if it can be gone on with.
    """

    folder: Path
    manifest: dict[str, Any] | None
    facts: dict[str, Any] | None

    @property
    def account(self) -> Mapping[str, Any]:
        """Whose export it holds, as far as that is known."""
        found = self.facts or self.manifest or {}
        account: Mapping[str, Any] = found.get("account", {})
        return account


def inspect_destination(
    destination: str | os.PathLike[str],
    parameters: Mapping[str, Any],
    *,
    fresh: bool,
) -> Destination:
    """Look at the destination without touching it.

    Args:
        destination: A folder, which may not exist yet.
        parameters: What is asked for.
        fresh: Whether an earlier export may be replaced.

    Raises:
        ConfigurationError: It is no folder, cannot be written, holds a complete export, one that
            cannot be gone on with, or files that no export of this library wrote.
        CheckpointMismatchError: It holds an unfinished export that was begun in another way.
    """
    folder = find_folder(destination)
    facts = readable_facts(folder) if fresh else read_facts(folder)
    try:
        manifest = read_manifest(folder)
    except ConfigurationError:
        if facts is None:
            raise
        manifest = None  # the state tells all that is needed of an unfinished export
    if facts is not None and manifest is not None:
        # Killed between its last two steps, the state outlives the export that it was of.
        finished = manifest.get("complete") and manifest.get("id") == facts.get("id")
        facts = None if finished else facts
    if fresh:
        return Destination(folder, manifest, facts)
    if facts is not None:
        check_parameters(folder, facts, parameters)
    elif manifest is not None and manifest.get("complete"):
        msg = (
            f"{folder} holds a complete export of {manifest.get('finished')}: choose another "
            "destination, or replace it with --fresh (fresh=True)."
        )
        raise ConfigurationError(msg)
    elif manifest is not None:
        msg = (
            f"{folder} holds an incomplete export but not its {FILE_NAME}, so it cannot be gone on "
            "with: start over with --fresh (fresh=True), or choose another destination."
        )
        raise ConfigurationError(msg)
    else:
        check_strangers(folder, parameters["resources"])
    return Destination(folder, manifest, facts)


def find_folder(destination: str | os.PathLike[str]) -> Path:
    """The destination's folder, which may not exist yet.

    Raises:
        ConfigurationError: It is none, or cannot be written.
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
    return folder


def readable_facts(folder: Path) -> dict[str, Any] | None:
    """What the state says, if it can be read: an export begun anew need not go on with it.

    Raises:
        ForeignStateError: It is another program's.
    """
    try:
        return read_facts(folder)
    except ForeignStateError:
        raise
    except ConfigurationError:
        return None


def check_strangers(folder: Path, names: Iterable[str]) -> None:
    """Refuse to write over files that no export of this library wrote.

    Raises:
        ConfigurationError: There is one.
    """
    strangers = [name for name in names if (folder / f"{name}.jsonl").exists()]
    if strangers:
        msg = (
            f"{folder} holds {strangers[0]}.jsonl but no manifest of an export: choose another "
            "destination, or replace the files with --fresh (fresh=True)."
        )
        raise ConfigurationError(msg)


def check_parameters(folder: Path, facts: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
    """Refuse to mix exports that were asked for in different ways.

    Raises:
        CheckpointMismatchError: They differ; the message names in what.
    """
    for name, ours in parameters.items():
        theirs = facts["parameters"].get(name)
        if theirs != ours:
            msg = (
                f"{folder} holds an unfinished export whose {name} is {in_words(theirs)}, here it "
                f"is {in_words(ours)}: go on as it was begun, start over with --fresh (fresh=True),"
                " or choose another destination."
            )
            raise CheckpointMismatchError(msg)


def in_words(value: object) -> str:
    """A parameter as a person wrote it."""
    return " ".join(map(str, value)) if isinstance(value, list) else repr(value)


def check_same_account(found: Destination, account: Mapping[str, Any]) -> bool:
    """Refuse to mix two accounts in one destination; nothing was touched yet.

    Returns:
        Whether what is there is to be begun anew: nobody answered at its address, which was
        another one, so it holds nothing of any account.

    Raises:
        ConfigurationError: The earlier export is of another account; the message names how.
    """
    name = differing(found.account, account)
    if name is not None and found.facts is not None and found.account.get("name") is None:
        written = read_state(found.folder).values()
        if not any(progress.rows for progress in written):
            return True
    if name is not None:
        msg = (
            f"{found.folder} holds an export of another account: its {name} is "
            f"{found.account[name]!r}, this key's is {account[name]!r}. Choose another destination."
        )
        raise ConfigurationError(msg)
    return False


def differing(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str | None:
    """In what two accounts differ; what is not known of one of them tells nothing."""
    for name in ("origin", "name", "domains"):
        one, other = (sorted_if_list(account.get(name)) for account in (theirs, ours))
        if one is not None and other is not None and one != other:
            return name
    return None


def sorted_if_list(value: object) -> object:
    """Domains come in any order."""
    return sorted(map(str, value)) if isinstance(value, list) else value


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
        self.path = folder / LOCK
        self.lock = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = self.stands()
        except OSError:
            alone = False
        if not alone:
            os.close(self.lock)
            self.lock = None
            raise ConfigurationError(BUSY.format(folder))

    def stands(self) -> bool:
        """Whether the folder is still the one that was taken.

        Its lock must be the file that everybody else would open: a folder that was removed may be
        another export's by now.
        """
        if self.lock is None:
            return fcntl is None
        try:
            return os.path.samestat(os.fstat(self.lock), self.path.stat())
        except OSError:
            return False

    def release(self) -> None:
        """Give the folder up; may be called again."""
        if self.lock is not None:
            if self.stands():
                self.path.unlink(missing_ok=True)
            os.close(self.lock)
            self.lock = None


def is_claimed(folder: Path) -> bool:
    """Whether an export writes into a folder now; False where the system offers no such lock."""
    try:
        lock = os.open(folder / LOCK, os.O_RDWR)
    except OSError:
        return False
    try:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def claim_destination(
    folder: Path, parameters: Mapping[str, Any], claim: Claim, *, fresh: bool
) -> Destination:
    """Make the folder, for its owner alone, and take it; what it holds is looked at once more.

    Raises:
        ConfigurationError: It cannot be made or written, or another export writes into it, or
            completed one since it was inspected.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        claim.take(folder)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        msg = f"{folder} cannot be written ({reason}): choose another destination."
        raise ConfigurationError(msg) from error
    return inspect_destination(folder, parameters, fresh=fresh)


def remove_earlier(found: Destination, names: Iterable[str]) -> None:
    """Remove what an earlier export left, but for the files that are written anew.

    Raises:
        OSError: It cannot be removed.
    """
    keep = {f"{name}.jsonl" for name in names}
    resources = (found.manifest or {}).get("resources", {})
    for entry in resources.values() if isinstance(resources, dict) else ():
        name = entry.get("file") if isinstance(entry, dict) else None
        if isinstance(name, str) and is_dataset_file(name) and name not in keep:
            (found.folder / name).unlink(missing_ok=True)
    remove_spool(found.folder)


def is_dataset_file(name: str) -> bool:
    """Whether it is a plain name as exports use; a manifest is a file that anybody may edit."""
    return Path(name).name == name and name.endswith(".jsonl")


def remove_spool(folder: Path) -> None:
    """Remove what is only kept for the sake of resuming."""
    shutil.rmtree(folder / SPOOL, ignore_errors=True)
