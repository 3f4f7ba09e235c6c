"""``make bench-quick``: records streamed and JSON lines exported, against aiohttp + orjson by hand.

Every variant reads the same users from the same server in another process. Rounds are interleaved,
and what is compared is the ratio inside a round; the median and the spread of the rounds are shown.
Each of our runs has a key of its own that was touched before, because the cap of 1,000 requests a
minute and the slow start on first contact are not what is measured here.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks import byhand
from kb4_async import ReportingClient, export_account

USERS = 60_000
ROUNDS = 7
#: Quiet seconds after which the slow start no longer paces (4 requests a second, doubling).
SLOW_START_SECONDS = 9.0

Variant = Callable[[str, str], Awaitable[int]]


async def our_records(base_url: str, key: str) -> int:
    """Records, one by one."""
    rows = 0
    async with ReportingClient(key, base_url=base_url) as kb:
        async for _ in kb.users.list():
            rows += 1
    return rows


async def our_pages(base_url: str, key: str) -> int:
    """Whole pages of decoded records."""
    rows = 0
    async with ReportingClient(key, base_url=base_url) as kb:
        async for page in kb.users.list().pages():
            rows += len(page.items)
    return rows


async def our_export(base_url: str, key: str) -> int:
    """JSON lines on disk, with checksum and manifest."""
    with tempfile.TemporaryDirectory() as folder:
        async with ReportingClient(key, base_url=base_url) as kb:
            report = await export_account(kb, Path(folder) / "out", resources=["users"])
    assert report.complete
    return report.rows


async def hand_records(base_url: str, key: str) -> int:
    """The floor: records, one by one."""
    return await byhand.stream(base_url, key)


async def hand_export(base_url: str, key: str) -> int:
    """JSON lines by loads and dumps."""
    with tempfile.TemporaryDirectory() as folder:
        return await byhand.export(base_url, key, Path(folder) / "users.jsonl")


OURS: dict[str, Variant] = {
    "records": our_records,
    "pages": our_pages,
    "JSON lines": our_export,
}
BY_HAND: dict[str, Variant] = {"records": hand_records, "JSON lines": hand_export}
COMPARED = (("records", "records"), ("pages", "records"), ("JSON lines", "records"))
ALSO = (("JSON lines", "JSON lines"),)


async def measure(variant: Variant, base_url: str, key: str) -> float:
    """Seconds of one run, which must see every user."""
    begun = time.perf_counter()
    rows = await variant(base_url, key)
    took = time.perf_counter() - begun
    assert rows == USERS, rows
    return took


async def rounds(base_url: str) -> dict[str, list[float]]:
    """Run everything, interleaved; seconds by variant."""
    keys = iter([f"key-{number}" for number in range(len(OURS) * ROUNDS)])
    taken = [[next(keys) for _ in OURS] for _ in range(ROUNDS)]
    for key in (key for row in taken for key in row):
        async with ReportingClient(key, base_url=base_url) as kb:
            await kb.account.get()
    # Waiting out the slow start is not measuring: nothing is timed meanwhile.
    await asyncio.sleep(SLOW_START_SECONDS)
    seconds: dict[str, list[float]] = {}
    for row in taken:
        for name, by_hand in BY_HAND.items():
            seconds.setdefault(f"by hand: {name}", []).append(
                await measure(by_hand, base_url, "key-0")
            )
        for key, (name, ours) in zip(row, OURS.items(), strict=True):
            seconds.setdefault(f"kb4_async: {name}", []).append(await measure(ours, base_url, key))
    return seconds


def show(seconds: dict[str, list[float]], server: dict[str, float], cpu: float) -> None:
    """Print the tables."""
    print(f"{USERS:,} users of the simulator, {ROUNDS} interleaved rounds\n")
    print(f"{'':<26}{'records/s':>12}{'fastest':>12}{'slowest':>12}")
    for name, times in seconds.items():
        rates = [USERS / t for t in times]
        print(
            f"{name:<26}{statistics.median(rates):>12,.0f}{max(rates):>12,.0f}{min(rates):>12,.0f}"
        )
    print(f"\n{'ratio in one round':<44}{'median':>8}{'lowest':>8}{'highest':>8}")
    for ours, hand in (*COMPARED, *ALSO):
        pairs = zip(seconds[f"by hand: {hand}"], seconds[f"kb4_async: {ours}"], strict=True)
        ratios = sorted(theirs / mine for theirs, mine in pairs)
        what = f"kb4_async {ours} / {hand} by hand"
        print(f"{what:<44}{statistics.median(ratios):>8.2f}{ratios[0]:>8.2f}{ratios[-1]:>8.2f}")
    print(f"\nCPU seconds: server {server['cpu']:.1f}, clients {cpu:.1f}")


def main() -> None:
    """Serve in another process, measure here."""
    command = [sys.executable, "-m", "benchmarks.serve", str(USERS), str(len(OURS) * ROUNDS)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        base_url = json.loads(process.stdout.readline())["base_url"]
        begun = time.process_time()
        seconds = asyncio.run(rounds(base_url))
        cpu = time.process_time() - begun
        process.stdin.write("\n")
        process.stdin.close()
        show(seconds, json.loads(process.stdout.readline()), cpu)


if __name__ == "__main__":
    main()
