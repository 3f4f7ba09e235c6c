"""What the results say besides figures: versions, machine, when; and the two files they go to."""

import json
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.figures import Table

LIBRARIES = ("kb4-async", "aiohttp", "aiolimiter", "orjson", "msgspec")
PREFACE = """\
# Benchmark results

Written by `make bench`; [how they are measured and how to read
them](../docs/explanation/performance.md). Each row is the median of interleaved rounds, with the
lowest and the highest; a ratio is taken inside a round, and its goal is held against the median.
`results.json` beside this file has every round.

**Not as users have it:** where nothing else is said, kb4_async runs with its cap of 1,000 requests
a minute, its slow start on first contact and its spacing of launches lifted, by changing constants
(`benchmarks/runs/unbound.py`), for otherwise these would be all that is measured. The limiter still
grants and counts every request. The parts about the budget leave them as they are or say what they
scale.
"""


def model() -> str:
    """The processor's name, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def memory() -> str:
    """The machine's memory."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return "unknown"
    return f"{total / 2**30:.0f} GiB"


def machine() -> dict[str, Any]:
    """Where and with what it was measured."""
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": f"{model()}, {os.cpu_count()} cores, {memory()}, {platform.system()}",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def missed(tables: Sequence[Table]) -> list[str]:
    """Every goal that is not met, in words."""
    return [
        f"{table.title}: {figure.what}: {figure.median:.{figure.digits}f} {figure.unit}, "
        f"goal {figure.goal}"
        for table in tables
        for figure in table.figures
        if figure.verdict == "NOT MET"
    ]


def summary(tables: Sequence[Table]) -> list[str]:
    """How many goals are met, and which are not."""
    held = sum(figure.goal is not None for table in tables for figure in table.figures)
    misses = missed(tables)
    lines = [f"{held - len(misses)} of {held} goals are met."]
    return lines if not misses else [*lines, "Not met:", "", *(f"- {miss}" for miss in misses)]


def write(
    folder: Path, about: Mapping[str, Any], seconds: Mapping[str, float], tables: Sequence[Table]
) -> None:
    """Write ``results.md`` and ``results.json``.

    Args:
        folder: Where to.
        about: Versions and machine.
        seconds: How long each part took.
        tables: What was found.
    """
    folder.mkdir(parents=True, exist_ok=True)
    facts = "\n".join(f"- {name}: {value}" for name, value in about.items())
    took = ", ".join(f"{part} {spent:.0f}" for part, spent in seconds.items())
    facts += f"\n- seconds: {sum(seconds.values()):.0f} in all; {took}"
    sections = [PREFACE, facts + "\n", "\n".join(summary(tables)) + "\n"]
    sections += [table.markdown() for table in tables]
    (folder / "results.md").write_text("\n".join(sections), encoding="utf-8")
    found: dict[str, Any] = {"about": dict(about), "seconds": dict(seconds)}
    found["tables"] = [table.to_json() for table in tables]
    (folder / "results.json").write_text(
        json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def say(text: str) -> None:
    """Tell whoever watches, at once."""
    print(text, file=sys.stderr, flush=True)
