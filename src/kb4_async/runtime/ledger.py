"""The ledger: a small SQLite file in which the processes of one machine account for their keys.

It holds what ``protocol/sharing.py`` knows of each key: times and numbers, the key's fingerprint,
never the key.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kb4_async.errors import ConfigurationError
from kb4_async.protocol import codec
from kb4_async.protocol.sharing import SharedKey

#: Of the tables below. A file with a higher one was written by a newer version.
SCHEMA = 1
#: Seconds after which a key that nobody used is forgotten: 30 days.
FORGOTTEN = 30 * 86_400
#: Seconds for which another process's write is waited for.
PATIENCE = 2.0
REMEDY = (
    "Requests go on at 4 a second and 50 a minute, as KnowBe4 publishes. Mend it, or set "
    "KB4_LEDGER to another file, or to 'off' to count for this process alone."
)


#: Connections of the process that this one was forked from: kept, so that nothing closes them.
inherited: list[sqlite3.Connection | None] = []


class LedgerError(Exception):
    """The ledger cannot be used now; the text says why and what to do."""


class NotOursError(Exception):
    """The file holds what this version of kb4_async did not write."""


class Ledger:
    """A ledger's file; opened on first use, in the thread that uses it.

    Args:
        path: The file; None where no place for it was found.
        trouble: Why there is none.
    """

    def __init__(self, path: Path | None, trouble: str = "") -> None:
        self.path = path
        self.trouble = trouble
        self.connection: sqlite3.Connection | None = None
        self.identity: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """The file's path, as far as there is one."""
        return "" if self.path is None else str(self.path)

    def again(self) -> Ledger:
        """The same file for a forked child, which must not touch its parent's connection.

        Nor close it: https://www.sqlite.org/howtocorrupt.html#_carrying_an_open_database_connection_across_a_fork_
        """
        inherited.append(self.connection)
        self.connection = None
        return Ledger(self.path, self.trouble)

    @contextmanager
    def page(self, origin: str, fingerprint: str) -> Iterator[SharedKey]:
        """A key's page, read and written in one step that no other process sees half of.

        Raises:
            LedgerError: The file cannot be read or written, or holds something else.
        """
        try:
            connection = self.open()
            with writing(connection):
                page = read(connection, origin, fingerprint)
                yield page
                write(connection, origin, fingerprint, page)
        except NotOursError as error:
            self.close()
            raise LedgerError(f"{self.name} ({error}: delete it). {REMEDY}") from error
        except (sqlite3.Error, OSError) as error:
            self.close()
            why = getattr(error, "strerror", None) or error
            raise LedgerError(f"{self.name} ({why}). {REMEDY}") from error

    def open(self) -> sqlite3.Connection:
        """The connection; made with the file and its folder where they are missing."""
        if self.path is None:
            raise LedgerError(f"{self.trouble} {REMEDY}")
        # Deleted by hand while it was open: what is written to it then, no other process sees.
        if self.connection is not None and identity(self.path) != self.identity:
            self.close()
        if self.connection is None:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SQLite makes its other files with the same rights as this one.
            self.path.touch(mode=0o600, exist_ok=True)
            self.identity = identity(self.path)
            connection = sqlite3.connect(
                self.path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
            )
            try:
                prepare(connection)
            except BaseException:
                connection.close()
                raise
            self.connection = connection
        return self.connection

    def __del__(self) -> None:
        """A client that nobody closed leaves its key's ledger open until the process ends."""
        self.close()

    def close(self) -> None:
        """Let go of the file; it is opened again on the next use."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables, or check that they are ours."""
    with writing(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA:
            msg = "written by a newer version of kb4_async"
            raise sqlite3.DatabaseError(msg)
        if version < SCHEMA:
            if connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                msg = "another program's database"
                raise sqlite3.DatabaseError(msg)
            connection.execute(
                "CREATE TABLE key (origin TEXT, fingerprint TEXT, state BLOB NOT NULL, "
                "stamps BLOB NOT NULL, written INTEGER NOT NULL, "
                "PRIMARY KEY (origin, fingerprint)) WITHOUT ROWID"
            )
            connection.execute(f"PRAGMA user_version = {SCHEMA}")
        connection.execute(
            "DELETE FROM key WHERE written < strftime('%s', 'now') - ?", (FORGOTTEN,)
        )
    # A write costs no fsync then. After a power cut the last ones may be lost, with the machine
    # down for longer than any window but the day's.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


def identity(path: Path) -> tuple[int, int] | None:
    """Which file it is, whatever its name; None if there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction, alone from its first read on."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def read(connection: sqlite3.Connection, origin: str, fingerprint: str) -> SharedKey:
    """A key's page; empty if there is none."""
    row = connection.execute(
        "SELECT state, stamps FROM key WHERE origin = ? AND fingerprint = ?", (origin, fingerprint)
    ).fetchone()
    if row is None:
        return SharedKey()
    stamps = array("d")
    try:
        stamps.frombytes(row[1])
        return SharedKey.from_json(codec.decode(row[0]), stamps.tolist())
    except (ValueError, TypeError) as error:
        msg = "not written by kb4_async"
        raise NotOursError(msg) from error


def write(connection: sqlite3.Connection, origin: str, fingerprint: str, page: SharedKey) -> None:
    """Replace a key's page."""
    connection.execute(
        "INSERT OR REPLACE INTO key VALUES (?, ?, ?, ?, strftime('%s', 'now'))",
        (origin, fingerprint, codec.encode(page.to_json()), array("d", page.stamps).tobytes()),
    )


def find_ledger(given: bool | str | os.PathLike[str] | None) -> Ledger | None:  # noqa: FBT001  # as a client takes it
    """The ledger that a client's ``ledger=`` means.

    Args:
        given: None or False for none; True for the file that ``KB4_LEDGER`` names, or else the one
            in the user's state folder; or a file.

    Raises:
        ConfigurationError: The file's name is empty.
    """
    if given is None or given is False:
        return None
    if given is not True:
        if not os.fspath(given):
            msg = "ledger names no file: give a path, True for the user's own, or None."
            raise ConfigurationError(msg)
        return Ledger(Path(given).absolute())
    named = os.environ.get("KB4_LEDGER", "").strip()
    if named.lower() == "off":
        return None
    try:
        path = Path(named).expanduser().absolute() if named else state_folder() / "ledger.sqlite"
    except (RuntimeError, OSError):  # no home, or no present folder
        return Ledger(None, "where there is no home directory to keep it in.")
    return Ledger(path)


def state_folder() -> Path:
    """Where programs of this user keep their state (XDG Base Directory Specification; on Windows
    the local application data).

    Raises:
        RuntimeError: The user has no home directory.
    """
    variable, beside = "XDG_STATE_HOME", (".local", "state")
    if sys.platform == "win32":
        variable, beside = "LOCALAPPDATA", ("AppData", "Local")
    named = os.environ.get(variable)
    if not named and os.environ.get("HOME") == "":
        msg = "HOME is empty"  # which would mean the root of the file system
        raise RuntimeError(msg)
    # The specification has relative paths ignored.
    base = Path(named) if named and Path(named).is_absolute() else Path.home().joinpath(*beside)
    return base / "kb4_async"
