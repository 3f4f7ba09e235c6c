"""Whole processes: all users to a JSON-lines file, by kb4_async and by what people use instead.

Each peer's script and pinned requirements are in ``peers/<name>``; each has an environment of its
own (``environments.py``).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.arithmetic import pages, ratios
from benchmarks.environments import PEERS, environment
from benchmarks.figures import Figure, Goal, Table, at_least, at_most
from benchmarks.measure import FOLDER, FailedError, Run, Server, each, interleaved, python, run

ROUNDS = 5
OURS, FIRST_CONTACT = "kb4_async", "kb4_async, slow start of first contact included"


@dataclass(frozen=True, slots=True)
class Peer:
    """Somebody else's way.

    Attributes:
        folder: Its folder below ``peers``.
        name: What it is called.
        faster: How many times faster we want to be without latency.
        leaner: Our peak memory divided by its, at most.
    """

    folder: str
    name: str
    faster: float
    leaner: float = 1.0


ALL = (
    Peer("requests", "requests script", 4, leaner=1.25),
    Peer("httpx", "httpx script", 4, leaner=1.25),
    Peer("dlt", "dlt rest_api, iterated", 4),
    Peer("singer", "singer-sdk tap", 12),
    Peer("airbyte", "airbyte-cdk low-code", 8),
)
FASTER_WITH_LATENCY = at_least(8, 10)


@dataclass(frozen=True, slots=True)
class Scene:
    """What is read.

    Attributes:
        records: Users.
        latency: Seconds of each answer.
        faster: The goal for a peer.
        first_contact: Also run once with the limiter as it is, which waits more than it works.
    """

    records: int
    latency: float
    faster: Callable[[Peer], Goal]
    first_contact: bool

    @property
    def title(self) -> str:
        """What the tables say."""
        answers = (
            f"each answer after {self.latency * 1000:.0f} ms" if self.latency else "no latency"
        )
        return f"{self.records:,} users ({pages(self.records)} pages), {answers}"


SCENES = (
    Scene(100_000, 0.0, lambda peer: at_least(peer.faster), first_contact=False),
    Scene(30_000, 0.1, lambda _: FASTER_WITH_LATENCY, first_contact=True),
)


def once(command: list[str], records: int, server: Server) -> Run:
    """One run, which must see every user."""
    taken = run(command, server=server)
    assert taken.told["rows"] == records, (command, taken)
    return taken


def scene(scene: Scene, pythons: dict[Peer, str], server: Server) -> dict[str, list[Run]]:
    """All rounds of a scene."""
    url = server.url(scene.records, scene.latency)
    commands = {OURS: python("benchmarks.runs.ours", "lines", url, FOLDER)}
    for peer, interpreter in pythons.items():
        script = str(PEERS / peer.folder / "run.py")
        commands[peer.name] = [interpreter, script, url, f"{FOLDER}/users.jsonl"]
    variants = {
        name: partial(once, command, scene.records, server) for name, command in commands.items()
    }
    taken = interleaved(ROUNDS, variants)
    if scene.first_contact:
        taken[FIRST_CONTACT] = [once([*commands[OURS], "bound"], scene.records, server)]
    return taken


def tables(scene: Scene, taken: dict[str, list[Run]], notes: list[str]) -> list[Table]:
    """What a scene's rounds say."""
    there = [peer for peer in ALL if peer.name in taken]
    walls = {name: each(runs, lambda one: one.wall) for name, runs in taken.items()}
    sizes = {name: each(runs, lambda one: one.rss) for name, runs in taken.items()}
    faster = [
        Figure(
            f"{peer.name}: its time / ours",
            ratios(walls[peer.name], walls[OURS]),
            goal=scene.faster(peer),
            digits=1,
        )
        for peer in there
    ]
    if scene.first_contact:
        [first] = walls[FIRST_CONTACT]
        faster += [
            Figure(
                f"{peer.name}: its time / ours with the slow start",
                [wall / first for wall in walls[peer.name]],
                digits=1,
            )
            for peer in there
        ]
    leaner = [
        Figure(
            f"{peer.name}: our peak memory / its",
            ratios(sizes[OURS], sizes[peer.name]),
            goal=at_most(peer.leaner),
        )
        for peer in there
    ]
    own = [Figure(f"{name}: time", walls[name], "s") for name in taken]
    start = each(taken[OURS], lambda one: one.wall - float(one.told["seconds"]))
    own.insert(1, Figure(f"{OURS}: of it before the client opens and after it closed", start, "s"))
    own += [
        Figure(f"{name}: CPU", each(runs, lambda one: one.cpu), "s") for name, runs in taken.items()
    ]
    own += [Figure(f"{name}: peak memory", sizes[name], "MiB", digits=0) for name in taken]
    own += [
        Figure(
            f"CPU of the server / of {name}",
            [one.server / one.cpu for one in runs],
            goal=at_most(1.0),
        )
        for name, runs in taken.items()
    ]
    return [
        Table(f"Peers: {scene.title}", notes, faster + leaner),
        Table(f"Peers: {scene.title}, in their own units", [], own),
    ]


def measure(*, quick: bool) -> list[Table]:
    """Make the tables."""
    del quick
    pythons: dict[Peer, str] = {}
    notes = [
        "Whole processes, from start to end, imports included, all users to a JSON-lines file; "
        "each in an environment of its own, of the versions in "
        "`benchmarks/peers/*/requirements.txt`."
    ]
    for peer in ALL:
        try:
            pythons[peer] = str(environment(peer.folder))
        except FailedError as error:
            notes.append(f"**{peer.name} is missing: {error}.**")
    found: list[Table] = []
    with Server() as server:
        for each_scene in SCENES:
            found += tables(each_scene, scene(each_scene, pythons, server), notes)
    return found
