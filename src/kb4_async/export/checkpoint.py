"""``state.sqlite``: how far an unfinished export is. The one file of an export that knows SQLite.

It holds what the export belongs to, and of each dataset how far its sinks are committed and where
each of its listings goes on. It never holds a key, and of records only their keys' edges.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from kb4_async.errors import ConfigurationError, SinkError
from kb4_async.export.units import Progress, read_progress
from kb4_async.protocol import codec

FILE_NAME = "state.sqlite"
#: Tells our files from other programs' databases: "kb4e".
APPLICATION_ID = int.from_bytes(b"kb4e")
SCHEMA_VERSION = 1
#: What makes a file of each older version one of the next.
UPGRADES: dict[int, str] = {}
#: Seconds for which somebody who reads it, ``kb4 status``, is waited for.
PATIENCE = 5.0
TABLES = """
CREATE TABLE export (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE dataset (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE unit (
    dataset TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (dataset, key)
) WITHOUT ROWID;
"""


class ForeignStateError(ConfigurationError):
    """The file is another program's, and not to be replaced."""


def state_path(folder: Path) -> Path:
    """Where a destination's state is."""
    return folder / FILE_NAME


class Checkpoint:
    """The state of one export, used from the export's worker thread alone.

    Args:
        folder: The destination.
    """

    def __init__(self, folder: Path) -> None:
        self.path = state_path(folder)
        self.connection: sqlite3.Connection | None = None

    def create(self, facts: Mapping[str, object]) -> None:
        """Begin a new state in place of whatever is there.

        Args:
            facts: What the export belongs to.

        Raises:
            SinkError: The disk is full or gone.
        """
        with self.failing():
            self.remove()
            self.path.touch(mode=0o600)  # SQLite makes its other files with the same rights
            self.connection = connect(self.path)
            # The tables and what they are of come into being in one step.
            self.connection.executescript(
                f"BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION_ID};"
                f"PRAGMA user_version = {SCHEMA_VERSION};"
            )
            self.put_facts(facts)
            self.connection.execute("COMMIT")

    def resume(self) -> None:
        """Open the state of an earlier run.

        Raises:
            ConfigurationError: It is not a state of ours.
            SinkError: The disk is full or gone.
        """
        with self.failing():
            self.connection = connect(self.path)
            check_version(self.connection, self.path)

    def load(self) -> dict[str, Progress]:
        """Read how far each dataset is.

        Raises:
            ConfigurationError: It cannot be read.
        """
        with reading(self.path):
            return read_datasets(self.open)

    def record(self, progress: Progress, facts: Mapping[str, object]) -> None:
        """Keep how far a dataset is, and facts of the export; after its sinks were committed.

        Raises:
            SinkError: The disk is full or gone. What was kept before is kept still.
        """
        changed = tuple(progress.changed)
        with self.failing(), self.transaction():
            self.put_facts(facts)
            self.put("dataset", (progress.name,), progress.to_json())
            for key in changed:
                unit = progress.units.get(key)
                if unit is not None:
                    self.put("unit", (progress.name, key), unit.to_json())
        progress.changed.difference_update(changed)

    def forget(self, progress: Progress) -> None:
        """Keep that a dataset is begun anew.

        Raises:
            SinkError: The disk is full or gone.
        """
        with self.failing(), self.transaction():
            self.open.execute("DELETE FROM unit WHERE dataset = ?", (progress.name,))
            self.put("dataset", (progress.name,), progress.to_json())

    def note(self, facts: Mapping[str, object]) -> None:
        """Keep facts of the export.

        Raises:
            SinkError: The disk is full or gone.
        """
        with self.failing(), self.transaction():
            self.put_facts(facts)

    def close(self) -> None:
        """Let go of the file."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()

    def remove(self) -> None:
        """Delete the file and what SQLite keeps beside it.

        Raises:
            OSError: It cannot be deleted.
        """
        self.close()
        for suffix in ("", "-journal"):
            self.path.with_name(FILE_NAME + suffix).unlink(missing_ok=True)

    # -- inside -----------------------------------------------------------------------------------

    @property
    def open(self) -> sqlite3.Connection:
        """The connection."""
        if self.connection is None:
            msg = "The state is not open."
            raise SinkError(msg)
        return self.connection

    def put_facts(self, facts: Mapping[str, object]) -> None:
        """Write facts of the export."""
        for name, value in facts.items():
            self.put("export", (name,), value)

    def put(self, table: str, key: tuple[str, ...], value: object) -> None:
        """Write one row."""
        places = ", ".join("?" * (len(key) + 1))
        self.open.execute(
            f"INSERT OR REPLACE INTO {table} VALUES ({places})",  # noqa: S608  # ours alone
            (*key, codec.encode(value)),
        )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all of it or nothing."""
        self.open.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.open.execute("COMMIT")
        except BaseException:
            if self.open.in_transaction:
                self.open.execute("ROLLBACK")
            raise

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Say in one sentence what the disk does not do."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            why = getattr(error, "strerror", None) or error
            msg = (
                f"{self.path} cannot be written ({why}): free space or mend the destination, then "
                "run the same command again."
            )
            raise SinkError(msg) from error


# -- for whoever only looks -----------------------------------------------------------------------


def read_facts(folder: Path) -> dict[str, Any] | None:
    """Read what an unfinished export belongs to; None where there is none.

    Raises:
        ConfigurationError: There is a state, but none that can be gone on with.
    """
    path = state_path(folder)
    if not path.exists():
        return None
    with reading(path), closing(connect(path)) as connection:
        # A run that was killed, or met a full disk, before it wrote anything leaves an empty file.
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return None
        check_version(connection, path)
        facts = {name: codec.decode(value) for name, value in rows(connection, "export")}
        for name in ("account", "parameters"):
            if not isinstance(facts[name], dict):
                raise TypeError(name)
        return facts


def read_state(folder: Path) -> dict[str, Progress]:
    """Read how far each dataset of an unfinished export is.

    Raises:
        ConfigurationError: It cannot be read.
    """
    path = state_path(folder)
    with reading(path), closing(connect(path)) as connection:
        check_version(connection, path)
        return read_datasets(connection)


def read_datasets(connection: sqlite3.Connection) -> dict[str, Progress]:
    """Read every dataset with its units."""
    units: defaultdict[str, list[tuple[str, Any]]] = defaultdict(list)
    for dataset, key, value in rows(connection, "unit"):
        units[dataset].append((key, codec.decode(value)))
    return {
        name: read_progress(name, codec.decode(value), units[name])
        for name, value in rows(connection, "dataset")
    }


def rows(connection: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    """Every row of a table, in the order of its keys."""
    found = connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2")  # noqa: S608  # ours
    return found.fetchall()


def connect(path: Path) -> sqlite3.Connection:
    """Open a file that exists, whatever it holds."""
    address = f"{path.absolute().as_uri()}?mode=rw"
    # It is closed by whoever comes last; until then one thread at a time uses it.
    return sqlite3.connect(
        address, uri=True, timeout=PATIENCE, isolation_level=None, check_same_thread=False
    )


def check_version(connection: sqlite3.Connection, path: Path) -> None:
    """Make the state one of this version, or refuse it; never guess."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        msg = f"{path} is another program's file: choose another destination."
        raise ForeignStateError(msg)
    while version in UPGRADES:
        version += 1
        connection.executescript(
            f"BEGIN IMMEDIATE; {UPGRADES[version - 1]}; PRAGMA user_version = {version}; COMMIT;"
        )
    if version != SCHEMA_VERSION:
        msg = (
            f"{path} is of another version ({version}) of kb4_async: go on with that one, or start "
            "over with --fresh (fresh=True)."
        )
        raise ConfigurationError(msg)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say in one sentence why a state cannot be gone on with."""
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        if "no such" in str(error):  # a table or column, which no disk gives back
            raise lost(path, error) from error
        msg = f"{path} cannot be read now ({error}): mend the destination, then run again."
        raise ConfigurationError(msg) from error
    except (sqlite3.Error, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, ConfigurationError):
            raise
        raise lost(path, error) from error


def lost(path: Path, error: Exception) -> ConfigurationError:
    """The error of a state that cannot be gone on with."""
    return ConfigurationError(
        f"{path} cannot be read ({error}), so the export there cannot be gone on with: start over "
        "with --fresh (fresh=True), or choose another destination."
    )
