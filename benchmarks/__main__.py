"""``python -m benchmarks``: run the parts, print their tables, and write the results.

``--only peers`` runs one part (may be repeated) and writes nothing unless ``--results`` says where;
``--quick`` takes fewer rounds of the parts that are quick.
"""

import argparse
import time
from pathlib import Path

from benchmarks import accounts, budget, citizen, pipeline, rivals, scale, startup
from benchmarks.figures import Part, Table
from benchmarks.measure import HERE
from benchmarks.report import machine, say, summary, write

PARTS: dict[str, Part] = {
    "pipeline": pipeline.measure,
    "peers": rivals.measure,
    "budget": budget.measure,
    "citizen": citizen.measure,
    "scale": scale.measure,
    "accounts": accounts.measure,
    "startup": startup.measure,
}
QUICK = ("pipeline", "citizen", "startup")


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(PARTS), metavar="PART")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--results", type=Path, metavar="FOLDER")
    asked = parser.parse_args()
    names = asked.only or (QUICK if asked.quick else list(PARTS))
    about = machine()
    tables: list[Table] = []
    seconds: dict[str, float] = {}
    for name in names:
        begun = time.monotonic()
        found = PARTS[name](quick=asked.quick)
        seconds[name] = time.monotonic() - begun
        for table in found:
            print(table.text(), flush=True)
        say(f"{name} took {seconds[name]:.0f} s")
        tables += found
    print("\n".join(summary(tables)))
    whole = not asked.only and not asked.quick
    folder = asked.results or (HERE if whole else None)
    if folder is not None:
        write(folder, about, seconds, tables)


if __name__ == "__main__":
    main()
