"""Scale: time and memory as an account grows."""

import itertools
from functools import partial

from benchmarks.arithmetic import added, deviation
from benchmarks.figures import Figure, Table, at_most
from benchmarks.measure import FOLDER, Run, Server, each, interleaved, python, run

ROUNDS = 5
#: What is read, and tables of how many users.
SIZES = {"lines": (100_000, 1_000_000, 5_000_000), "records": (100_000, 1_000_000)}
NAMES = {"lines": "JSON lines", "records": "records"}
#: Longer than linear, as a part; and MiB more than the smallest.
MOST_BEYOND_LINEAR, MOST_GROWTH = 0.10, 10.0


def once(what: str, users: int, server: Server) -> Run:
    """One run."""
    taken = run(python("benchmarks.runs.ours", what, server.url(users), FOLDER), server=server)
    assert taken.told["rows"] == users, taken
    return taken


def measure(*, quick: bool) -> list[Table]:
    """Make the tables."""
    del quick
    with Server() as server:
        variants = {
            f"{what} {users}": partial(once, what, users, server)
            for what, sizes in SIZES.items()
            for users in sizes
        }
        taken = interleaved(ROUNDS, variants)
    figures: list[Figure] = []
    own: list[Figure] = []
    for what, sizes in SIZES.items():
        seconds = {
            users: each(taken[f"{what} {users}"], lambda one: float(one.told["seconds"]))
            for users in sizes
        }
        peaks = {users: each(taken[f"{what} {users}"], lambda one: one.rss) for users in sizes}
        figures += [
            Figure(
                f"{NAMES[what]}: time of {more:,} beyond {more // fewer} times that of {fewer:,}",
                [100 * part for part in deviation(seconds[more], seconds[fewer], more / fewer)],
                "%",
                goal=at_most(100 * MOST_BEYOND_LINEAR),
                digits=1,
            )
            for fewer, more in itertools.pairwise(sizes)
        ]
        figures += [
            Figure(
                f"{NAMES[what]}: peak memory of {users:,} above that of {sizes[0]:,}",
                added(peaks[users], peaks[sizes[0]]),
                "MiB",
                goal=at_most(MOST_GROWTH),
                digits=1,
            )
            for users in sizes[1:]
        ]
        for users in sizes:
            own.append(Figure(f"{NAMES[what]}, {users:,}: time", seconds[users], "s"))
            own.append(Figure(f"{NAMES[what]}, {users:,}: peak memory", peaks[users], "MiB"))
    notes = [
        "Exports to JSON lines on disk (each record once, checksum), and streams of records. Time "
        "is from opening the client to its end; memory is the whole process's."
    ]
    return [
        Table("Scale: how time and memory grow", notes, figures),
        Table("Scale: in their own units", [], own),
    ]
