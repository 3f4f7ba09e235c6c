"""Records, pages and JSON lines without latency, against aiohttp + orjson written by hand."""

from functools import partial

from benchmarks.arithmetic import ratios
from benchmarks.figures import Figure, Goal, Table, at_least, at_most
from benchmarks.measure import FOLDER, Run, Server, each, interleaved, python, run

USERS = 200_000
ROUNDS = 5

OURS = {"records": "records", "pages": "pages", "lines": "JSON lines"}
BY_HAND = {"records": "records by hand", "lines": "JSON lines by hand (loads, dumps, no checksum)"}
GOALS: dict[str, Goal] = {
    "records": at_least(0.90, 1.0),
    "pages": at_least(1.0),
    "lines": at_least(1.4, 1.7),
}


def once(module: str, what: str, server: Server) -> Run:
    """One run, in a process of its own, which must see every user."""
    taken = run(python(module, what, server.url(USERS), FOLDER), server=server)
    assert taken.told["rows"] == USERS, taken
    return taken


def seconds(taken: Run) -> float:
    """From opening the client to its end: imports are measured elsewhere."""
    return float(taken.told["seconds"])


def measure(*, quick: bool) -> list[Table]:
    """Make the tables."""
    del quick
    with Server() as server:
        variants = {
            name: partial(once, "benchmarks.runs.ours", what, server) for what, name in OURS.items()
        } | {
            name: partial(once, "benchmarks.runs.byhand", what, server)
            for what, name in BY_HAND.items()
        }
        taken = interleaved(ROUNDS, variants)
    alone = [run(python("benchmarks.runs.stages")) for _ in range(ROUNDS)]
    return [*tables(taken), stages(alone)]


def stages(alone: list[Run]) -> Table:
    """What a page costs without a socket."""
    figures = [
        Figure(name, [float(one.told[name]) for one in alone], "ms a page")
        for name in alone[0].told
    ]
    notes = [
        "A page of 500 users in memory, in a process that does nothing else. Records by hand are "
        "`orjson`; our records and pages are `msgspec`, which keeps numbers beyond 64 bits exact; "
        "our JSON lines are `split`, `keys` and `sha256`. Whoever iterates pages holds one while "
        "the next is decoded."
    ]
    return Table("Pipeline: what explains it", notes, figures)


def tables(taken: dict[str, list[Run]]) -> list[Table]:
    """What the rounds say."""
    floor = each(taken[BY_HAND["records"]], seconds)
    compared = [
        Figure(
            f"{name} / records by hand", ratios(floor, each(taken[name], seconds)), goal=GOALS[what]
        )
        for what, name in OURS.items()
    ]
    lines = ratios(each(taken[BY_HAND["lines"]], seconds), each(taken[OURS["lines"]], seconds))
    compared.append(Figure("JSON lines / JSON lines by hand", lines))
    speeds = [
        Figure(name, [USERS / seconds(one) / 1000 for one in runs], "1,000 records/s", digits=0)
        for name, runs in taken.items()
    ]
    thrift = [
        Figure(name, [one.cpu / USERS * 1e6 for one in runs], "CPU s per million records")
        for name, runs in taken.items()
    ]
    sizes = [
        Figure(name, each(runs, lambda one: one.rss), "MiB at the peak", digits=0)
        for name, runs in taken.items()
    ]
    shares = [
        Figure(
            f"CPU of the server / of the client: {name}",
            [one.server / one.cpu for one in runs],
            goal=at_most(1.0),
        )
        for name, runs in taken.items()
    ]
    notes = [
        f"{USERS:,} users of the benchmarks' server, no latency, each run in a fresh process, "
        "through the public names; aiohttp and orjson by hand keep four pages in flight, decode "
        "page by page and hand out record by record."
    ]
    return [
        Table("Pipeline: speed against the client written by hand", notes, compared),
        Table(
            "Pipeline: speed, CPU and memory",
            ["CPU and memory are the whole process's, imports included."],
            speeds + thrift + sizes + shares,
        ),
    ]
