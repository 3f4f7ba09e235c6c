"""Load users into a database page by page, so that a kill at any moment loses and doubles nothing.

Usage (``kb4 simulate`` prints the two variables it needs for a simulated account)::

    python -m examples.warehouse_pages users.db

Each page's rows and its ``next_token`` are saved in one transaction: whatever happens, the database
holds the rows up to the token and no others, and the next run goes on there. At the proven end the
users that this load did not see are removed, and the next run begins a new load.
"""

import asyncio
import os
import sqlite3
import sys
from contextlib import aclosing, closing

from kb4_async import CheckpointMismatchError, Page, ReportingClient, User

SCHEMA = """
CREATE TABLE IF NOT EXISTS users (id TEXT PRIMARY KEY, email TEXT, status TEXT, record TEXT,
                                  load INTEGER);
CREATE TABLE IF NOT EXISTS loads (load INTEGER PRIMARY KEY, token TEXT, end_reason TEXT);
"""


class Warehouse:
    """The database. Its methods block, so they run in a thread, one at a time."""

    def __init__(self, path: str) -> None:
        # The file holds personal data: for its owner alone.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self.database = sqlite3.connect(path, check_same_thread=False)
        self.database.executescript(SCHEMA)
        self.load = 0

    def begin(self) -> str | None:
        """Go on with a load that has not ended, or begin one.

        Returns:
            The resume token, None for the beginning.
        """
        unfinished = "SELECT load, token FROM loads WHERE end_reason IS NULL"
        row = self.database.execute(unfinished).fetchone()
        if row is not None:
            self.load, token = row
            return None if token is None else str(token)
        with self.database:
            cursor = self.database.execute("INSERT INTO loads DEFAULT VALUES")
            self.load = cursor.lastrowid or 0
        return None

    def save(self, page: Page[User]) -> None:
        """Save a page and the token of what follows it, together."""
        # Ids are kept as text: a few accounts have been seen with ids beyond 64 bits.
        rows = [
            (str(user["id"]), user.get("email"), user.get("status"), line.decode(), self.load)
            for user, line in zip(page.items, page.json_lines().split(b"\n"), strict=False)
        ]
        with self.database:  # one transaction
            self.database.executemany("INSERT OR REPLACE INTO users VALUES (?, ?, ?, ?, ?)", rows)
            self.database.execute(
                "UPDATE loads SET token = ?, end_reason = ? WHERE load = ?",
                (page.next_token, page.end_reason, self.load),
            )
            if page.end_reason is not None:
                self.database.execute("DELETE FROM users WHERE load <> ?", (self.load,))

    def forget(self) -> None:
        """Drop the present load's token: begin this load again."""
        with self.database:
            self.database.execute("UPDATE loads SET token = NULL WHERE load = ?", (self.load,))


async def load_users(kb: ReportingClient, warehouse: Warehouse) -> None:
    """Load every user, from where the last run stopped."""
    token = await asyncio.to_thread(warehouse.begin)
    try:
        listing = kb.users.list(start=token)
    except CheckpointMismatchError:  # the token is of other parameters, after a change of this code
        await asyncio.to_thread(warehouse.forget)
        listing = kb.users.list()
    async with aclosing(listing.pages()) as pages:
        async for page in pages:
            await asyncio.to_thread(warehouse.save, page)


async def main(path: str) -> None:
    warehouse = Warehouse(path)
    with closing(warehouse.database):
        async with ReportingClient(
            region=os.environ.get("KB4_REGION"), base_url=os.environ.get("KB4_BASE_URL")
        ) as kb:
            await load_users(kb, warehouse)
        (users,) = warehouse.database.execute("SELECT count(*) FROM users").fetchone()
        print(f"{users} users")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
