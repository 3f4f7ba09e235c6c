"""``python -m benchmarks.runs.citizen WHAT BASE_URL FOLDER``: how late a task in the loop wakes.

A probe sleeps a millisecond again and again and notes how much longer it slept, while in the same
loop an ``export`` runs at full speed, an open client is ``idle``, or it is idle and a thread is
``busy`` with Python code.
"""

import asyncio
import contextlib
import json
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

from benchmarks.arithmetic import percentile
from benchmarks.runs.unbound import unbind
from kb4_async import ReportingClient, export_account

NAP = 0.001
#: How long nothing happens, where nothing does.
QUIET_SECONDS = 2.0


async def probe(delays: list[float]) -> None:
    """Note how late each waking is, in milliseconds."""
    while True:
        begun = time.perf_counter()
        await asyncio.sleep(NAP)
        delays.append((time.perf_counter() - begun - NAP) * 1000)


@contextlib.asynccontextmanager
async def probed(delays: list[float]) -> AsyncIterator[None]:
    """Probe as long as something goes on."""
    task = asyncio.create_task(probe(delays))
    try:
        yield
    finally:
        task.cancel()


def work(stop: threading.Event) -> None:
    """Be busy in Python, as some other part of a service is."""
    count = 0
    while not stop.is_set():
        count += 1


async def run(what: str, base_url: str, folder: Path) -> tuple[int, list[float]]:
    """Rows, and the probe's delays."""
    delays: list[float] = []
    rows = 0
    async with ReportingClient("benchmark-key", base_url=base_url) as kb:
        await kb.account.get()
        stop = threading.Event()
        thread = threading.Thread(target=work, args=(stop,))
        if what == "busy":
            thread.start()
        async with probed(delays):
            if what == "export":
                report = await export_account(kb, folder / "out", resources=["users"])
                assert report.complete
                rows = report.rows
            else:
                await asyncio.sleep(QUIET_SECONDS)
        stop.set()
        if what == "busy":
            thread.join()
    return rows, delays


def main(what: str, base_url: str, folder: str) -> None:
    """Run it and tell."""
    unbind()
    rows, delays = asyncio.run(run(what, base_url, Path(folder)))
    print(
        json.dumps(
            {
                "rows": rows,
                "naps": len(delays),
                "median": percentile(delays, 50),
                "p99": percentile(delays, 99),
                "worst": max(delays),
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
