"""``python -m benchmarks.runs.simulator KEYS SECONDS LATENCY``: the large account, over sockets.

``key-0`` has no limit; ``key-1`` and so on are refused their 1,001st request in so many seconds.
All share the pages that were made. It prints its address and serves until stdin closes.
"""

import asyncio
import json
import sys

from benchmarks.runs.budget import large_account
from benchmarks.runs.road import KEEP_BYTES
from kb4_async.testing import Limit, Simulator


async def main(keys: int, seconds: float, latency: float) -> None:
    """Serve."""
    account = large_account()
    async with Simulator(
        account, api_key="key-0", limits=(), latency=latency, keep_bytes=KEEP_BYTES
    ) as simulator:
        for number in range(1, keys):
            simulator.add_account(f"key-{number}", account, limits=[Limit(1000, seconds)])
            simulator.holders[f"key-{number}"].answers = simulator.holders["key-0"].answers
        print(json.dumps({"address": simulator.base_url}), flush=True)
        await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])))
