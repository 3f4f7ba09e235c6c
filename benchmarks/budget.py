"""Budget: what a full export of a large account costs in requests, refusals and time."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.arithmetic import Shape, clairvoyant_seconds, smallest_number
from benchmarks.figures import Figure, Table, at_most
from benchmarks.measure import FOLDER, ROOT, STOP_SECONDS, python, run

ROUNDS = 5
#: Over sockets a minute is as many seconds, and an answer takes so long: both a third of what they
#: are on the virtual clock. With less the CPU that requests take, which the clairvoyant client does
#: not need, would count for more than it does in a real minute.
MINUTE, LATENCY = 20.0, 0.067
CONCURRENCY = 32
SECOND_AND_MINUTE = ((4, 1.0), (50, 60.0))
MOST_TIME, MOST_REQUESTS = 1.02, 1.03

Told = Mapping[str, Any]


@contextmanager
def simulator() -> Iterator[str]:
    """The address of a simulated large account, with a limit of its own."""
    command = python("benchmarks.runs.simulator", 1 + ROUNDS, MINUTE, LATENCY)
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        try:
            yield str(json.loads(process.stdout.readline())["address"])
        finally:
            process.communicate(timeout=STOP_SECONDS)


def over_sockets() -> list[Told]:
    """All rounds; before them a run without limits, in which the simulator makes its pages."""
    with simulator() as address:
        command = python("benchmarks.runs.budget", "sockets", FOLDER, address)
        run([*command, "key-0"])
        return [
            run([*command, f"key-{number}", str(MINUTE)]).told for number in range(1, 1 + ROUNDS)
        ]


def figures(
    told: Sequence[Told], smallest: int, windows: Sequence[tuple[int, float]]
) -> list[Figure]:
    """What exports say, against what would be possible."""

    def times(requests: int | None) -> list[float]:
        return [
            one["seconds"]
            / clairvoyant_seconds(requests or one["requests"], windows, one["latency"], CONCURRENCY)
            for one in told
        ]

    return [
        Figure("refusals", [one["refusals"] for one in told], "429s", at_most(0), digits=0),
        Figure("time / clairvoyant client's", times(smallest), goal=at_most(MOST_TIME), digits=4),
        Figure("time / clairvoyant client's with as many requests", times(None), digits=4),
        Figure(
            f"requests / smallest possible number ({smallest:,})",
            [one["requests"] / smallest for one in told],
            goal=at_most(MOST_REQUESTS),
            digits=4,
        ),
        Figure("requests", [one["requests"] for one in told], "requests", digits=0),
        Figure("time", [one["seconds"] for one in told], "s", digits=1),
    ]


def measure(*, quick: bool) -> list[Table]:
    """Make the tables."""
    del quick
    virtual = run(python("benchmarks.runs.budget", "virtual", FOLDER)).told
    shape = Shape(**virtual["shape"])
    smallest = smallest_number(shape)
    notes = [
        f"A full export (every default resource) of {shape.listings[0]:,} users, "
        f"{shape.listings[1]:,} groups, {shape.listings[2]:,} enrollments and 60 security tests, "
        f"with {sum(shape.children):,} members and recipients in all. The clairvoyant client makes "
        "the smallest possible number of requests, has the same windows and requests in flight, "
        "knows where every listing ends and waits for nothing else.",
    ]
    clock = (
        "On the virtual clock, so each figure is exact; an answer takes {} s; the slow start of "
    )
    clock = clock.format(virtual["cap"]["latency"]) + "first contact was long past."
    sockets = (
        f"Over sockets against the simulator, which takes {LATENCY * 1000:.0f} ms for an answer. A "
        f"minute is scaled to {MINUTE:.0f} s at both ends, and the slow start is left out, by "
        "changing constants; the clairvoyant client's latency is the median of the round's own."
    )
    return [
        Table(
            "Budget: 1,000 requests a minute, virtual clock",
            [*notes, clock],
            figures([virtual["cap"]], smallest, [(1000, 60.0)]),
        ),
        Table(
            "Budget: the published limits, virtual clock",
            [
                *notes,
                clock,
                "4 requests a second, 50 a minute, 2,000 and one a licensed user a day.",
            ],
            figures([virtual["published"]], smallest, SECOND_AND_MINUTE),
        ),
        Table(
            "Budget: 1,000 requests a minute, over sockets",
            [*notes, sockets],
            figures(over_sockets(), smallest, [(1000, MINUTE)]),
        ),
    ]
