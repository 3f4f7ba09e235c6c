"""Running a process and measuring it: the one place that spawns.

Every run is a process of its own, so that none inherits another's warm caches, heap or imports.
What runs prints one line of JSON at its end. This file and whatever imports it stay small, because
a child's peak memory begins at that of the process that spawned it.
"""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

K = TypeVar("K")
T = TypeVar("T")

HERE = Path(__file__).parent
ROOT = HERE.parent
KIB_PER_MIB = 1024
#: On macOS ru_maxrss is in bytes.
RSS_UNITS_PER_MIB = KIB_PER_MIB * (1024 if sys.platform == "darwin" else 1)
STOP_SECONDS = 10.0
#: Everybody's modules are compiled once, ours as well as those that an installer compiled.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
#: Stands in a command for a folder that is made for it, and removed when it was measured.
FOLDER = "{folder}"


@dataclass(frozen=True, slots=True)
class Run:
    """What one process took.

    Attributes:
        wall: Seconds from its start to its end, imports included.
        cpu: CPU seconds, of all its threads and of children it waited for.
        rss: Peak resident memory in MiB.
        server: CPU seconds that the server used meanwhile.
        told: What its last line of output says.
    """

    wall: float
    cpu: float
    rss: float
    server: float = 0.0
    told: Mapping[str, Any] = field(default_factory=dict)


class FailedError(Exception):
    """A process ended badly."""


class Server:
    """The benchmarks' server, in a process of its own; used as a context manager."""

    def __enter__(self) -> Self:
        """Start it."""
        self.process = subprocess.Popen(
            python("benchmarks.runs.server"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=ENVIRONMENT,
        )
        assert self.process.stdout is not None
        self.port = int(json.loads(self.process.stdout.readline())["port"])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.process.communicate(timeout=STOP_SECONDS)

    def url(self, records: int, latency: float = 0.0) -> str:
        """The base URL of a table of so many users, each answer that many seconds late."""
        return f"http://127.0.0.1:{self.port}/{records}/{round(latency * 1000)}/v1"

    def cpu(self) -> float:
        """CPU seconds it has used."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=STOP_SECONDS)
        try:
            connection.request("GET", "/cpu")
            return float(json.loads(connection.getresponse().read())["cpu"])
        finally:
            connection.close()


def python(module: str, *arguments: object) -> list[str]:
    """The command that runs a module in this environment."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def run(command: Sequence[str], *, server: Server | None = None) -> Run:
    """Run a process to its end and measure it.

    Args:
        command: The program and its arguments; ``FOLDER`` among them becomes a folder of its own.
        server: Whose CPU is measured too.

    Raises:
        FailedError: It ended badly.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        command = [part.replace(FOLDER, folder) for part in command]
        served = 0.0 if server is None else server.cpu()
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=ROOT, env=ENVIRONMENT)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if server is not None:
            served = server.cpu() - served
        if process.returncode:
            err.seek(0)
            tail = err.read()[-2000:].decode(errors="replace")
            message = f"{' '.join(command)} ended with {process.returncode}:\n{tail}"
            raise FailedError(message)
        out.seek(0)
        lines = out.read().splitlines()
    told = json.loads(lines[-1]) if lines and lines[-1].startswith(b"{") else {}
    cpu = usage.ru_utime + usage.ru_stime
    return Run(wall, cpu, usage.ru_maxrss / RSS_UNITS_PER_MIB, served, told)


def interleaved(rounds: int, variants: Mapping[K, Callable[[], T]]) -> dict[K, list[T]]:
    """Run every variant once in each round, so that a noisy minute meets all of them.

    Each round begins with another variant, so that none always runs in the wake of the same one.
    """
    taken: dict[K, list[T]] = {name: [] for name in variants}
    names = list(variants)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            taken[name].append(variants[name]())
    return taken


def each(runs: Iterable[T], value: Callable[[T], float]) -> list[float]:
    """One number of each run."""
    return [value(one) for one in runs]
