"""Whatever README and docs show runs as it stands, against the simulator.

Python: a block with ``asyncio.run`` is a whole script; one with ``def test_`` holds tests, which
are called; in any other a client is open as ``kb`` and everything public is imported, as
docs/index.md says. Whatever address a block names is the simulator's.

Shell: each line that begins with ``kb4`` is run, in the order of its page, in a folder of its own.
"""

import ast
import asyncio
import contextlib
import inspect
import os
import re
import sys
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

import kb4_async
from kb4_async import ReportingClient
from kb4_async.protocol.address import Address, reporting_address
from kb4_async.reporting import client
from kb4_async.testing import Account, Simulator, generate_account

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
KEY = "simulated-key"


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """The fenced blocks of a language, each with the number of the line before its first."""
    text = page.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, found.start()) + 1, found[1])
        for found in re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]


PYTHON = [
    pytest.param(page, line, code, id=f"{page.name}:{line}")
    for page in PAGES
    for line, code in blocks(page, "python")
]


@pytest.fixture(scope="module")
def account() -> Account:
    return generate_account(users=1150, groups=6, enrollments=30, training_campaigns=3)


@pytest.fixture(autouse=True)
def place(sim: Simulator, fast: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's environment: a key, a folder to work in, and the simulator for an API."""
    sim.add_account(KEY, sim.account)
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("KB4_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KB4_API_KEY", KEY)

    def nearby(region: str | None, base_url: str | None) -> Address:
        given = reporting_address(region, base_url)  # what a block says must be right all the same
        if base_url is not None and given.origin != "http://127.0.0.1:8080":
            return given  # a block with a simulator of its own
        return reporting_address(None, sim.base_url)

    monkeypatch.setattr(client, "reporting_address", nearby)


def run_block(code: CodeType, text: str) -> None:
    """Run a block as its page means it."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    if "asyncio.run(" in text:
        exec(code, scope)  # noqa: S102
    elif "def test_" in text:
        exec(code, scope)  # noqa: S102
        for test in [value for name, value in scope.items() if name.startswith("test_")]:
            if inspect.iscoroutinefunction(test):
                asyncio.run(test())
            else:
                test()
    else:
        asyncio.run(with_client(code, scope))


async def with_client(code: CodeType, scope: dict[str, Any]) -> None:
    scope |= {name: getattr(kb4_async, name) for name in kb4_async.__all__}
    scope |= {"aclosing": contextlib.aclosing}
    async with ReportingClient(region="eu") as kb:
        result = eval(code, scope | {"kb": kb})  # noqa: S307
        if inspect.isawaitable(result):
            await result


@pytest.mark.parametrize(("page", "line", "text"), PYTHON)
async def test_python_block_runs(page: Path, line: int, text: str, sim: Simulator) -> None:
    code = compile("\n" * line + text, page.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)

    await asyncio.to_thread(run_block, code, text)

    assert len(sim.log) or "Simulator(" in text or "def watch" in text


def test_every_page_is_looked_at() -> None:
    assert len(PYTHON) > 12
    assert not [
        f"{page.name}: {language}"
        for page in PAGES
        for language in re.findall(r"^```(\w+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        if language not in {"python", "sh"}
    ]


def shell_lines(page: Path) -> list[str]:
    lines = "".join(text for _, text in blocks(page, "sh")).splitlines()
    return [line.partition("  #")[0] for line in lines if line.startswith("kb4 ")]


@pytest.fixture
def shell(tmp_path: Path, sim: Simulator) -> dict[str, str]:
    """An environment in which kb4 is this checkout's, without the slow start."""
    command = tmp_path / "bin" / "kb4"
    command.parent.mkdir()
    script = (
        "from kb4_async.runtime import keystate; keystate.SLOW_START = 1e6;"
        "from kb4_async.cli import main; main()"
    )
    command.write_text(f"#!/bin/sh\nexec '{sys.executable}' -W error -c '{script}' \"$@\"\n")
    command.chmod(0o700)
    path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "KB4_BASE_URL": sim.base_url, "NO_COLOR": "1"}


async def run_line(line: str, env: dict[str, str]) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_shell(
        line, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    return process.returncode, (out + err).decode()


def plain(page: Path) -> str:
    """A page with every run of white space as one space."""
    return " ".join(page.read_text(encoding="utf-8").split())


@pytest.mark.parametrize("page", [p for p in PAGES if shell_lines(p)], ids=lambda p: p.name)
async def test_shell_lines_run(page: Path, shell: dict[str, str]) -> None:
    for line in shell_lines(page):
        if line != "kb4 simulate":
            code, said = await run_line(line, shell)
            assert code == 0, (line, said)
            if line == "kb4 demo":
                found = re.search(r"counted (\d+) requests.*Complete: ([\d,]+)", said, re.DOTALL)
                assert found, said
                assert f"{found[2]} records with {found[1]} requests" in plain(page)


async def test_what_simulate_prints_is_what_the_readme_says(
    shell: dict[str, str], tmp_path: Path
) -> None:
    # With another port, for 8080 may be taken here; else word for word.
    serving = await asyncio.create_subprocess_shell(
        "exec kb4 simulate --port 0 --users 40 --groups 2 --quiet",
        env={name: value for name, value in shell.items() if not name.startswith("KB4_")},
        stdout=asyncio.subprocess.PIPE,
    )
    assert serving.stdout is not None
    lines = [(await serving.stdout.readline()).decode().strip() for _ in range(3)][1:]
    try:
        code, said = await run_line(" && ".join(lines), shell)
    finally:
        serving.terminate()
        await serving.communicate()

    assert serving.returncode == 143
    assert code == 0, said
    assert (tmp_path / "out" / "manifest.json").exists()
    told = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8080", "\n".join(lines)) + "\n"
    assert told in [text for _, text in blocks(ROOT / "README.md", "sh")]
