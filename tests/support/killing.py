"""Exports in processes of their own, killed at any moment."""

import asyncio
import json
import multiprocessing
import os
import random
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.options import QUICK

from kb4_async import ReportingClient, export_account
from kb4_async.export.checkpoint import read_facts, read_state
from kb4_async.export.manifest import read_manifest
from kb4_async.export.units import MARKERS
from kb4_async.protocol.endpoints import ENDPOINTS
from kb4_async.runtime import keystate
from kb4_async.testing import LoggedRequest, Simulator

#: A process that has imported everything already and forks: a child costs milliseconds.
CONTEXT = multiprocessing.get_context("forkserver")
# By installed names: the server that forks does not look where the tests are, and says nothing.
CONTEXT.set_forkserver_preload(
    ["sqlite3", "kb4_async.reporting.client", "kb4_async.export.runner", "kb4_async.testing"]
)

#: Where a listing is asked: its path, and the filter that makes it a second one.
Where = tuple[str, str]


def export_in_child(key: str, base_url: str, folder: str, options: dict[str, Any]) -> None:
    """Export, and tell by the exit code how it ended."""
    keystate.SLOW_START = 1e6

    async def work() -> bool:
        async with ReportingClient(key, base_url=base_url, retry=QUICK) as kb:
            return (await export_account(kb, folder, **options)).complete

    os._exit(0 if asyncio.run(work()) else 3)


def where(entry: LoggedRequest) -> Where:
    return entry.path, entry.query.get("campaign_type", "")


@dataclass
class Standing:
    """What a killed export had committed."""

    pages: dict[Where, int] = field(default_factory=dict)
    closed: set[Where] = field(default_factory=set)

    @classmethod
    def of(cls, folder: Path) -> "Standing":
        found = cls()
        if not folder.exists() or read_facts(folder) is None:
            return found
        for name, progress in read_state(folder).items():
            row = ENDPOINTS["members" if name == "derived_members" else name]
            for unit in progress.units.values():
                if unit.key in MARKERS:
                    continue
                path = row.path.format_map(unit.scope)
                query = {} if unit.of_parent else row.passes[int(unit.key)]
                place = path, query.get("campaign_type", "")
                if unit.closed:
                    found.closed.add(place)
                elif (resumed := unit.place()) is not None:
                    found.pages[place] = resumed.number - 1
        return found

    def had(self, entry: LoggedRequest) -> bool:
        """Whether that page was committed."""
        place = where(entry)
        return place in self.closed or (entry.page or 0) <= self.pages.get(place, -1)


@dataclass
class Told:
    """What the server saw of an export that was killed again and again.

    Attributes:
        requests: All of them.
        kills: How often it was killed.
        allowed: What the kills may have cost, at most: what was not committed, the account, and a
            page of each open listing.
        forbidden: Requests for what was committed and proven to its end.
        late: Whether the last kill met an export that was complete, and only had to tidy up.
    """

    requests: int = 0
    kills: int = 0
    allowed: int = 0
    forbidden: list[str] = field(default_factory=list)
    late: bool = False


async def run_child(
    sim: Simulator,
    folder: Path,
    options: dict[str, Any],
    kill_after: int | None,
    chance: random.Random,
    within: float = 0.03,
) -> tuple[int, Sequence[LoggedRequest]]:
    """Export in a child; kill it at most ``within`` seconds after so many requests."""
    sim.log.clear()
    child = CONTEXT.Process(
        target=export_in_child, args=(sim.api_key, sim.base_url, str(folder), options)
    )
    child.start()
    assert child.pid is not None
    pid, loop = child.pid, asyncio.get_running_loop()

    def arrived(entry: LoggedRequest) -> None:
        if entry.number + 1 == kill_after:
            loop.call_later(chance.random() * within, kill, pid)

    sim.on_request = arrived
    await asyncio.to_thread(child.join)
    # What a killed one had asked is still being answered.
    while any(e.answered is None and not e.cancelled for e in sim.log):  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    assert child.exitcode is not None
    return child.exitcode, list(sim.log)


def is_complete(folder: Path) -> bool:
    """Whether there is a complete export, tidied up or not."""
    manifest = read_manifest(folder)
    return manifest is not None and bool(manifest["complete"])


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):  # it was quicker
        os.kill(pid, signal.SIGKILL)


async def kill_until_complete(
    sim: Simulator,
    folder: Path,
    options: dict[str, Any],
    chance: random.Random,
    between: Any = None,
    most: int = 45,
) -> Told:
    """Run an export, kill it, run it again, until it is complete.

    Args:
        sim: The server.
        folder: The destination.
        options: Of the export.
        chance: Says when.
        between: Called with the simulator after each kill.
        most: Kill after at most so many requests.
    """
    told = Told()
    before = Standing()
    while True:
        # Later and later: an account of few pages is not read by those who die young.
        after = chance.randrange(1, most + 2 * told.kills)
        code, log = await run_child(sim, folder, options, after, chance)
        told.requests += len(log)
        told.forbidden += [e.line for e in log if e.path != "account" and where(e) in before.closed]
        if code == 0:
            return told
        assert code == -signal.SIGKILL, code
        told.kills += 1
        told.late = is_complete(folder)
        if told.late:
            return told
        before = Standing.of(folder)
        lost = sum(entry.path != "account" and not before.had(entry) for entry in log)
        told.allowed += lost + 1 + len(before.pages)
        if between is not None:
            between(sim)


def contents(folder: Path) -> dict[str, Counter[str]]:
    """Every record of an export, however often it is there."""
    found = {}
    for path in folder.glob("*.jsonl"):
        lines = path.read_bytes().split(b"\n")
        assert lines.pop() == b""
        found[path.stem] = Counter(json.dumps(json.loads(line), sort_keys=True) for line in lines)
    return found
