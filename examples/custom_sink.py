"""A sink of your own: export an account into SQLite tables instead of JSON lines.

Usage (``kb4 simulate`` prints the two variables it needs for a simulated account)::

    python -m examples.custom_sink out

``out/account.db`` gets one table a resource, and the table ``datasets``, which says what is whole;
``out/manifest.json`` is written beside it.
"""

import asyncio
import os
import sqlite3
import sys
from functools import partial
from pathlib import Path
from typing import Any

from kb4_async import ExportReport, Page, ReportingClient, SinkError, export_account
from kb4_async.sinks import Dataset, Position


class SqliteSink:
    """Writes one dataset to a table of its own: row number, key, parent's key, record as JSON.

    An export makes one sink a dataset and calls them all from one thread, so the connections never
    wait for each other as long as no transaction stays open between two calls.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database: sqlite3.Connection | None = None
        self.dataset = Dataset("", "")
        self.rows = 0

    def open(self, dataset: Dataset, position: Position | None) -> None:
        """Begin the table, or cut it back to the position."""
        self.dataset = dataset
        self.rows = int(position["rows"]) if position else 0
        # Personal data: for its owner alone.
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        self.database = sqlite3.connect(self.path)
        table = self.table
        with self.database as database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS datasets "
                "(name TEXT PRIMARY KEY, rows INTEGER, complete INTEGER)"
            )
            self.note(database, complete=False)
            if position is None:
                database.execute(f"DROP TABLE IF EXISTS {table}")
            database.execute(
                f"CREATE TABLE IF NOT EXISTS {table} "
                "(number INTEGER PRIMARY KEY, key TEXT, parent TEXT, record TEXT)"
            )
            database.execute(f"DELETE FROM {table} WHERE number > ?", (self.rows,))  # noqa: S608  # quoted

    @property
    def table(self) -> str:
        """The table's name, quoted."""
        return '"' + self.dataset.name.replace('"', '""') + '"'

    def write(self, page: Page[Any]) -> None:
        """Append a page in one transaction."""
        if self.database is None:
            msg = "The sink is not open."
            raise SinkError(msg)
        key, parent = self.dataset.key, self.dataset.parent
        rows = [
            (
                self.rows + number,
                str(item.get(key)),  # text: an id beyond 64 bits must not be rounded
                None if parent is None else str(item.get(parent)),
                line.decode(),
            )
            for number, (item, line) in enumerate(
                zip(page.items, page.json_lines().split(b"\n"), strict=False), 1
            )
        ]
        with self.database as database:
            database.executemany(f"INSERT INTO {self.table} VALUES (?, ?, ?, ?)", rows)  # noqa: S608  # quoted
        self.rows += len(rows)

    def commit(self) -> Position:
        """Say how far it is: every page was made durable when it was written."""
        return {"database": self.path.name, "table": self.dataset.name, "rows": self.rows}

    def close(self, complete: bool) -> None:  # noqa: FBT001  # the protocol of sinks
        """Note whether the dataset was proven whole, and close the connection."""
        if self.database is not None:
            with self.database as database:
                self.note(database, complete=complete)
            self.database.close()
            self.database = None

    def note(self, database: sqlite3.Connection, *, complete: bool) -> None:
        """Let the database itself say what it holds."""
        database.execute(
            "INSERT OR REPLACE INTO datasets VALUES (?, ?, ?)",
            (self.dataset.name, self.rows, complete),
        )


async def export(kb: ReportingClient, folder: Path) -> ExportReport:
    """Export the account into ``folder/account.db``."""
    return await export_account(kb, folder, sink=partial(SqliteSink, folder / "account.db"))


async def main(folder: str) -> int:
    async with ReportingClient(
        region=os.environ.get("KB4_REGION"), base_url=os.environ.get("KB4_BASE_URL")
    ) as kb:
        report = await export(kb, Path(folder))
    for name, resource in report.resources.items():
        print(f"{name}: {resource.rows} rows, {'complete' if resource.complete else 'INCOMPLETE'}")
    return 0 if report.complete else 3


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
