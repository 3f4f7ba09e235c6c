"""What a good engineer writes in ten lines: aiohttp and orjson, four pages in flight, no safety.

``python -m benchmarks.runs.byhand records|lines BASE_URL FOLDER`` runs it once and prints a line of
JSON, as ``benchmarks.runs.ours`` does.
"""

import asyncio
import json
import sys
import time
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson

IN_FLIGHT = 4
KEY = "benchmark-key"


async def fetch(session: aiohttp.ClientSession, base_url: str, key: str, page: int) -> bytes:
    """One page's body."""
    async with session.get(
        f"{base_url}/users",
        params={"page": page, "per_page": 500},
        headers={"Authorization": f"Bearer {key}"},
    ) as response:
        return await response.read()


async def records(base_url: str, key: str) -> AsyncIterator[dict[str, Any]]:
    """Every user, until the first empty page."""
    async with aiohttp.ClientSession() as session:
        ahead: deque[asyncio.Task[bytes]] = deque()
        page = 0
        while True:
            while len(ahead) < IN_FLIGHT:
                page += 1
                ahead.append(asyncio.create_task(fetch(session, base_url, key, page)))
            users = orjson.loads(await ahead.popleft())
            if not users:
                for task in ahead:
                    task.cancel()
                return
            for user in users:
                yield user


async def stream(base_url: str, key: str) -> int:
    """Count the users."""
    rows = 0
    async for _ in records(base_url, key):
        rows += 1
    return rows


async def export(base_url: str, key: str, path: Path) -> int:
    """Write the users as JSON lines."""
    rows = 0
    with path.open("wb") as file:  # by hand one would not think of it
        async for user in records(base_url, key):
            file.write(orjson.dumps(user) + b"\n")
            rows += 1
    return rows


def main(what: str, base_url: str, folder: str) -> None:
    """Run it once."""
    begun = time.perf_counter()
    if what == "lines":
        rows = asyncio.run(export(base_url, KEY, Path(folder) / "users.jsonl"))
    else:
        rows = asyncio.run(stream(base_url, KEY))
    print(json.dumps({"rows": rows, "seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    main(*sys.argv[1:])
