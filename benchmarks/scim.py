"""``python -m benchmarks.scim``: planning 10,000 users against 10,000 that are there.

The server runs in another process. By hand means: read the same pages with aiohttp and orjson, and
compare the same attributes of two dicts. What is compared is the process CPU of the client side,
for the wall clock is the server's. Rounds are interleaved; the ratio inside a round is shown. While
each runs, a task that only wants to be woken every millisecond tells how long the event loop was
held.
"""

import asyncio
import gc
import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from kb4_async import Limits, ScimClient, ScimWriter
from kb4_async.testing.simulator import SCIM_TOKEN

USERS = 10_000
#: Each reads 101 pages twice; more of them would wait for the cap of 1,000 requests a minute.
ROUNDS = 4
PAGE = 100
#: Every so many-th wanted user differs from the one that is there.
CHANGED = 10
BEAT = 0.001

Wanted = list[dict[str, Any]]
Variant = Callable[[str, Wanted], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run took: CPU seconds, and the longest time that the event loop was held."""

    cpu: float
    held: float


async def pages_by_hand(tenant_url: str) -> list[dict[str, Any]]:
    """Every user there, as dicts."""
    found: list[dict[str, Any]] = []
    headers = {"Authorization": f"Bearer {SCIM_TOKEN}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        while True:
            query = {"startIndex": len(found) + 1, "count": PAGE}
            async with http.get(f"{tenant_url}/Users", params=query) as response:
                page = orjson.loads(await response.read())
            found += page["Resources"]
            if len(found) >= page["totalResults"]:
                return found


async def by_hand(tenant_url: str, wanted: Wanted) -> int:
    """The floor: how many differ."""
    there = {user.get("userName", "").casefold(): user for user in await pages_by_hand(tenant_url)}
    differ = 0
    for user in wanted:
        other = there[user["userName"].casefold()]
        differ += any(other.get(name) != value for name, value in user.items())
    return differ


async def planned(tenant_url: str, wanted: Wanted) -> int:
    """The same by ``ScimWriter.plan``."""
    scim = ScimClient(SCIM_TOKEN, tenant_url=tenant_url, limits=Limits(), ledger=False)
    async with scim:
        plan = await ScimWriter(scim).plan(wanted)
    return len(plan.steps)


async def heartbeat(gaps: list[float]) -> None:
    """Note how late each waking is."""
    while True:
        begun = time.perf_counter()
        await asyncio.sleep(BEAT)
        gaps.append(time.perf_counter() - begun - BEAT)


async def measure(variant: Variant, tenant_url: str, wanted: Wanted) -> Cost:
    """What one run costs."""
    gaps: list[float] = []
    beating = asyncio.create_task(heartbeat(gaps))
    begun = time.process_time()
    differ = await variant(tenant_url, wanted)
    cpu = time.process_time() - begun
    beating.cancel()
    assert differ == -(-len(wanted) // CHANGED), differ
    return Cost(cpu, max(gaps))


async def rounds(tenant_url: str) -> dict[str, list[Cost]]:
    """Run both, interleaved."""
    there = await pages_by_hand(tenant_url)
    names = ("userName", "title", "displayName")
    often = Counter(str(user.get("userName")).casefold() for user in there)
    users = [
        {name: user[name] for name in names if user.get(name)}
        for user in there
        if user.get("userName") and user["active"] and often[user["userName"].casefold()] == 1
    ]
    for user in users[::CHANGED]:
        user["title"] = f"{user.get('title')}, changed"
    del there
    gc.collect()
    gc.freeze()  # what the benchmark itself keeps is not looked through in the middle of a run
    costs: dict[str, list[Cost]] = {"by hand": [], "kb4_async": []}
    for _ in range(ROUNDS):
        costs["by hand"].append(await measure(by_hand, tenant_url, users))
        costs["kb4_async"].append(await measure(planned, tenant_url, users))
    return costs


def show(costs: dict[str, list[Cost]]) -> None:
    """Print the tables."""
    print(f"{USERS:,} users there, all active ones wanted, one in {CHANGED} differs\n")
    print(f"{'':<12}{'users a CPU second':>20}{'CPU seconds':>14}{'loop held, longest (ms)':>26}")
    for name, found in costs.items():
        cpu = statistics.median(each.cpu for each in found)
        held = max(each.held for each in found) * 1000
        print(f"{name:<12}{USERS / cpu:>20,.0f}{cpu:>14.2f}{held:>26.1f}")
    pairs = zip(costs["kb4_async"], costs["by hand"], strict=True)
    ratios = sorted(mine.cpu / theirs.cpu for mine, theirs in pairs)
    print(
        f"\nCPU of a plan / of the same by hand: median {statistics.median(ratios):.2f}, "
        f"lowest {ratios[0]:.2f}, highest {ratios[-1]:.2f}"
    )


def main() -> None:
    """Serve in another process, measure here."""
    command = [sys.executable, "-m", "benchmarks.serve", str(USERS), "1"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        base_url = json.loads(process.stdout.readline())["base_url"]
        costs = asyncio.run(rounds(base_url.removesuffix("/v1") + "/scim/v2"))
        process.stdin.write("\n")
        process.stdin.close()
        process.stdout.readline()
        show(costs)


if __name__ == "__main__":
    main()
