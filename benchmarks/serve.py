"""A simulated account in a process of its own, so that the server does not share the client's core.

Prints one line of JSON with the base URL, then serves until stdin closes; then prints its CPU time.
"""

import asyncio
import json
import sys
import time

from kb4_async.testing import Simulator, generate_account


async def main(users: int, keys: int) -> None:
    """Serve ``users`` users to ``keys`` keys, ``key-0`` and so on, without limits."""
    account = generate_account(users=users, groups=10)
    async with Simulator(account, api_key="key-0", limits=()) as simulator:
        for number in range(1, keys):
            simulator.add_account(f"key-{number}", account)
        for number in range(keys):
            simulator.preload("users", api_key=f"key-{number}")
        print(json.dumps({"base_url": simulator.base_url}), flush=True)
        begun = time.process_time()
        await asyncio.to_thread(sys.stdin.readline)
        print(json.dumps({"cpu": time.process_time() - begun, "requests": len(simulator.log)}))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
