"""Start-up: what an import and ``kb4 --help`` cost."""

import sys
from functools import partial
from pathlib import Path

from benchmarks.arithmetic import ratios
from benchmarks.figures import Figure, Table, at_most
from benchmarks.measure import Run, each, interleaved, run

ROUNDS, QUICK_ROUNDS = 7, 5
TIMED = """
import json, time
wall, cpu = time.perf_counter(), time.process_time()
import {modules}
{then}
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print(json.dumps({{"wall": wall, "cpu": cpu}}))
"""
OURS, CLIENT, THEIRS = "kb4_async", "kb4_async.ReportingClient", "its four dependencies"
AIOHTTP = "aiohttp alone"
HELP = "kb4 --help"
DEPENDENCIES = "aiohttp, aiolimiter, orjson, msgspec"
MOST_RATIO, MOST_HELP = 1.3, 0.5


def importing(modules: str, then: str = "") -> Run:
    """Import in a fresh interpreter."""
    return run([sys.executable, "-c", TIMED.format(modules=modules, then=then)])


def measure(*, quick: bool) -> list[Table]:
    """Make the table."""
    command = [str(Path(sys.executable).with_name("kb4")), "--help"]
    variants = {
        OURS: partial(importing, "kb4_async"),
        CLIENT: partial(importing, "kb4_async", CLIENT),
        THEIRS: partial(importing, DEPENDENCIES),
        AIOHTTP: partial(importing, "aiohttp"),
        HELP: partial(run, command),
    }
    interleaved(1, variants)  # so that compiled files are there
    taken = interleaved(QUICK_ROUNDS if quick else ROUNDS, variants)

    def told(name: str, which: str) -> list[float]:
        return each(taken[name], lambda one: float(one.told[which]))

    def against(name: str, which: str) -> list[float]:
        return ratios(told(name, which), told(THEIRS, which))

    figures = [
        *(
            Figure(
                f"{name} / import of its four dependencies: time",
                against(name, "wall"),
                goal=at_most(MOST_RATIO),
            )
            for name in (OURS, CLIENT)
        ),
        Figure(f"{CLIENT} / import of its four dependencies: CPU", against(CLIENT, "cpu")),
        Figure(
            "kb4 --help: CPU", each(taken[HELP], lambda one: one.cpu), "s", goal=at_most(MOST_HELP)
        ),
        *(
            Figure(f"{name}: time", told(name, "wall"), "s")
            for name in (OURS, CLIENT, THEIRS, AIOHTTP)
        ),
        *(
            Figure(f"{name}: peak memory", each(taken[name], lambda one: one.rss), "MiB", digits=0)
            for name in (CLIENT, THEIRS)
        ),
    ]
    notes = [
        f"Fresh processes. The dependencies are {DEPENDENCIES}; the interpreter's own start is not "
        "in the imports, and is in `kb4 --help`. The package imports the module of a name when the "
        f"name is first asked for, so `{CLIENT}` is what whoever exports pays."
    ]
    return [Table("Start-up", notes, figures)]
