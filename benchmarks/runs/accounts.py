"""``python -m benchmarks.runs.accounts HOW_MANY BASE_URL``: many accounts at once in one process.

Each has a key, and so a limiter, of its own; all begin together and stream their users.
"""

import asyncio
import json
import sys
import time

from benchmarks.runs.unbound import unbind
from kb4_async import ReportingClient


async def read(base_url: str, key: str) -> tuple[int, float]:
    """Rows of one account, and when it was done."""
    rows = 0
    async with ReportingClient(key, base_url=base_url) as kb:
        async for _ in kb.users.list():
            rows += 1
    return rows, time.perf_counter()


async def run(accounts: int, base_url: str) -> dict[str, object]:
    """Read all of them."""
    begun, cpu = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(read(base_url, f"benchmark-key-{number}"))
            for number in range(accounts)
        ]
    seconds = [task.result()[1] - begun for task in tasks]
    return {
        "rows": sum(task.result()[0] for task in tasks),
        "slowest": max(seconds),
        "fastest": min(seconds),
        "cpu": time.process_time() - cpu,
    }


def main(accounts: str, base_url: str) -> None:
    """Run and tell."""
    unbind()
    print(json.dumps(asyncio.run(run(int(accounts), base_url))))


if __name__ == "__main__":
    main(*sys.argv[1:])
