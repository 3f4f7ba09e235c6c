"""The command ``kb4`` as a person runs it: a process, its output, its exit code."""

import asyncio
import json
import os
import sys
from typing import Any

COMPLETE, DEFECT, USAGE, INCOMPLETE, CREDENTIALS, GUARD, PENDING = 0, 1, 2, 3, 4, 5, 6


class Finished:
    """A process that has ended.

    Attributes:
        code: Its exit code.
        out: Its stdout.
        err: Its stderr.
    """

    def __init__(self, code: int, out: bytes, err: bytes) -> None:
        self.code = code
        self.out = out
        self.err = err.decode()

    @property
    def text(self) -> str:
        return self.out.decode()

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


async def start(*words: str, **environment: str) -> asyncio.subprocess.Process:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KB4_")}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-X",
        "dev",
        "-W",
        "error",
        "-c",
        # Without the slow start: it has tests of its own.
        "from kb4_async.runtime import keystate; keystate.SLOW_START = 1e6;"
        "from kb4_async.cli import main; main()",
        *words,
        env={**kept, "NO_COLOR": "1", "COLUMNS": "120", **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def kb4(*words: str, **environment: str) -> Finished:
    process = await start(*words, **environment)
    out, err = await process.communicate()
    assert process.returncode is not None
    return Finished(process.returncode, out, err)
