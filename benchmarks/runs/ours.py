"""``python -m benchmarks.runs.ours WHAT BASE_URL FOLDER``: one run through the public names.

Prints the rows, and the seconds from opening the client to its end, as one line of JSON.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path

from benchmarks.runs.unbound import unbind
from kb4_async import ReportingClient, export_account

KEY = "benchmark-key"


async def records(base_url: str, folder: Path) -> int:
    """Records, one by one."""
    del folder
    rows = 0
    async with ReportingClient(KEY, base_url=base_url) as kb:
        async for _ in kb.users.list():
            rows += 1
    return rows


async def pages(base_url: str, folder: Path) -> int:
    """Whole pages of decoded records."""
    del folder
    rows = 0
    async with ReportingClient(KEY, base_url=base_url) as kb:
        async for page in kb.users.list().pages():
            rows += len(page.items)
    return rows


async def lines(base_url: str, folder: Path) -> int:
    """JSON lines on disk, each record once, with checksum and manifest."""
    async with ReportingClient(KEY, base_url=base_url) as kb:
        report = await export_account(kb, folder / "out", resources=["users"])
    assert report.complete
    return report.rows


VARIANTS: dict[str, Callable[[str, Path], Coroutine[None, None, int]]] = {
    "records": records,
    "pages": pages,
    "lines": lines,
}


def main(what: str, base_url: str, folder: str, limiter: str = "unbound") -> None:
    """Run it; ``bound`` leaves the limiter as it is."""
    if limiter == "unbound":
        unbind()
    begun = time.perf_counter()
    rows = asyncio.run(VARIANTS[what](base_url, Path(folder)))
    print(json.dumps({"rows": rows, "seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    main(*sys.argv[1:])
