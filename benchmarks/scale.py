"""Scale: time and memory as an account grows."""

import itertools
from functools import partial

from benchmarks.arithmetic import added, deviation
from benchmarks.figures import Figure, Table, at_most
from benchmarks.measure import FOLDER, Run, Server, each, interleaved, python, run

ROUNDS = 5
#: Tables of how many users.
SIZES = (100_000, 1_000_000, 5_000_000)
#: Longer than linear, as a part; and MiB more than the smallest.
MOST_BEYOND_LINEAR, MOST_GROWTH = 0.10, 10.0


def once(users: int, server: Server) -> Run:
    """One run."""
    taken = run(python("benchmarks.runs.ours", "lines", server.url(users), FOLDER), server=server)
    assert taken.told["rows"] == users, taken
    return taken


def measure(*, quick: bool) -> list[Table]:
    """Make the tables."""
    del quick
    with Server() as server:
        variants = {users: partial(once, users, server) for users in SIZES}
        taken = interleaved(ROUNDS, variants)
    seconds = {
        users: each(runs, lambda one: float(one.told["seconds"])) for users, runs in taken.items()
    }
    peaks = {users: each(runs, lambda one: one.rss) for users, runs in taken.items()}
    figures = [
        Figure(
            f"time of {more:,} beyond {more // fewer} times that of {fewer:,}",
            [100 * part for part in deviation(seconds[more], seconds[fewer], more / fewer)],
            "%",
            goal=at_most(100 * MOST_BEYOND_LINEAR),
            digits=1,
        )
        for fewer, more in itertools.pairwise(SIZES)
    ]
    figures += [
        Figure(
            f"peak memory of {users:,} above that of {SIZES[0]:,}",
            added(peaks[users], peaks[SIZES[0]]),
            "MiB",
            goal=at_most(MOST_GROWTH),
            digits=1,
        )
        for users in SIZES[1:]
    ]
    own = [Figure(f"{users:,}: time", seconds[users], "s") for users in SIZES]
    own += [Figure(f"{users:,}: peak memory", peaks[users], "MiB") for users in SIZES]
    notes = [
        "Exports to JSON lines on disk (each record once, checksum). Time is from opening the "
        "client to its end; memory is the whole process's."
    ]
    return [
        Table("Scale: how time and memory grow", notes, figures),
        Table("Scale: in their own units", [], own),
    ]
