"""Whatever README and docs show runs as it stands, against the simulator.

Python: a block that begins with a comment that names a file is saved there; a line ``python ...``
of a later block runs it. A block with ``asyncio.run`` is a whole script, one with ``app =`` a whole
service, one with ``def test_`` holds tests, which are called. In any other clients are open as
``kb`` and ``scim`` and everything public is imported, as docs/index.md says. Whatever address or
Tenant URL a block names is the simulator's.

Data: a block of text or TOML behind a sentence that ends with a file's name and a colon is that
file. The Python blocks of a page find all of its files, and ``staff.csv``; its shell blocks those
above.

Shell: each line that begins with ``kb4`` or ``python`` is run, in the order of its page, in a
folder of its own. One that exits with 137 is killed on its way, after some requests. Any other
block of text is what was printed last; ``...`` stands for anything.
"""

import ast
import asyncio
import contextlib
import inspect
import json
import os
import re
import shlex
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

import aiohttp
import pytest
from aiohttp import web

import kb4_async
from kb4_async import Limits, ReportingClient, ScimClient
from kb4_async.cli.simulating import simulate
from kb4_async.protocol.address import Address, reporting_address, tenant_address
from kb4_async.reporting import client
from kb4_async.scim import client as scim_client
from kb4_async.testing import Account, Fault, Simulator, generate_account

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
KEY = "simulated-key"
ADDRESS = "http://127.0.0.1:8080"
PROXY = "http://proxy.example.com:3128"
TOKEN = "simulated-scim-token"
KILLED = 128 + signal.SIGKILL
STAFF = "Work Email,Department,Job Title\nann@example.com,Research,Chemist\nbob at x,,\n"


class Block(NamedTuple):
    """A fenced block of a page.

    Attributes:
        language: What stands behind the fence.
        line: Number of the line before its first.
        text: What is in it.
        name: The file of data that it is, as the sentence before it says.
    """

    language: str
    line: int
    text: str
    name: str = ""

    @property
    def file(self) -> str:
        """The file it is to be saved as, or nothing."""
        found = re.match(r"# (\w+\.py)\n", self.text)
        return found[1] if found else self.name


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in its order."""
    text = page.read_text(encoding="utf-8")
    fence = r"(?:`([\w-]+\.(?:csv|jsonl|toml))`:\n\n)?^```(\w+)\n(.*?)^```$"
    return [
        Block(found[2], text.count("\n", 0, found.start(3)), found[3], found[1] or "")
        for found in re.finditer(fence, text, re.MULTILINE | re.DOTALL)
    ]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


PYTHON = [
    pytest.param(page, block, id=f"{name_of(page)}:{block.line}")
    for page in PAGES
    for block in blocks(page)
    if block.language == "python" and not block.file
]


@pytest.fixture
def account() -> Account:
    return generate_account(users=1150, groups=6, enrollments=30, training_campaigns=3)


def prepare(folder: Path, sim: Simulator) -> None:
    """A person's environment: a key, keys of other accounts, one of them wrong, a CA, and a file
    of the staff."""
    sim.add_account(KEY, sim.account)
    (folder / "staff.csv").write_text(STAFF, encoding="utf-8")
    for name in ("acme", "globex"):
        sim.add_account(f"key-of-{name}", sim.account)
    (folder / "keys").mkdir()
    for name in ("acme", "globex", "initech"):
        key = folder / "keys" / f"{name}.key"
        key.write_text(f"key-of-{name}\n", encoding="utf-8")
    shutil.copy(Path(__file__).with_name("company-ca.pem"), folder)


@pytest.fixture
def place(sim: Simulator, fast: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder to work in, and the simulator for an API."""
    prepare(tmp_path, sim)
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("KB4_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KB4_API_KEY", KEY)
    monkeypatch.setenv("KB4_SCIM_TOKEN", TOKEN)
    monkeypatch.setattr(scim_client, "SCIM_LIMITS", Limits.of("1000/60s"))  # without the waiting

    def nearby(region: str | None, base_url: str | None) -> Address:
        given = reporting_address(region, base_url)  # what a block says must be right all the same
        if given.origin.startswith("http:") and given.origin != ADDRESS:
            return given  # a block with a simulator of its own
        return reporting_address(None, sim.base_url)

    def tenant_nearby(tenant_url: str | None) -> Address:
        given = tenant_address(tenant_url)
        if given.origin.startswith("http:") and given.origin != ADDRESS:
            return given
        return tenant_address(sim.tenant_url)

    monkeypatch.setattr(client, "reporting_address", nearby)
    monkeypatch.setattr(scim_client, "tenant_address", tenant_nearby)


def run_block(code: CodeType, text: str) -> None:
    """Run a block as its page means it."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    if "asyncio.run(" in text:
        exec(code, scope)  # noqa: S102
    elif "\napp = " in text:
        exec(code, scope)  # noqa: S102
        asyncio.run(look_at(scope["app"]))
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
    scope |= {"aclosing": contextlib.aclosing, "asyncio": asyncio}
    async with ReportingClient(region="eu") as kb, ScimClient() as scim:
        scope |= {"kb": kb, "scim": scim}
        result = eval(code, scope)  # noqa: S307
        if inspect.isawaitable(result):
            await result


async def look_at(app: Any) -> None:
    """Open every page of a service."""
    async with served(app) as (url, paths), aiohttp.ClientSession() as session:
        assert paths
        for path in paths:
            async with session.get(url + path) as answer:
                assert answer.status == 200, await answer.text()


@contextlib.asynccontextmanager
async def served(app: Any) -> AsyncIterator[tuple[str, list[str]]]:
    """Serve an aiohttp or ASGI application; its address and its pages."""
    if isinstance(app, web.Application):
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        found = [route.resource for route in app.router.routes() if route.method == "GET"]
        paths = [resource.canonical for resource in found if resource]
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", paths
        await runner.cleanup()
        return
    fastapi = pytest.importorskip("fastapi")
    uvicorn = pytest.importorskip("uvicorn")
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
        assert not serving.done()
    port = server.servers[0].sockets[0].getsockname()[1]
    routes = [route for route in app.routes if isinstance(route, fastapi.routing.APIRoute)]
    yield f"http://127.0.0.1:{port}", [route.path for route in routes]
    server.should_exit = True
    await serving


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(("page", "block"), PYTHON)
async def test_python_block_runs(page: Path, block: Block, sim: Simulator, tmp_path: Path) -> None:
    for each in blocks(page):
        if each.name:
            (tmp_path / each.name).write_text(each.text, encoding="utf-8")
    text = block.text.replace(PROXY, sim.origin)  # it serves whole addresses too, as proxies do
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = compile("\n" * block.line + text, "block", "exec", flags=flags)

    await asyncio.to_thread(run_block, code, text)

    quiet = (
        *("Simulator(", "def watch", "Limits.published(licensed_users=250)"),
        'source = read_users("staff.csv")',  # alone; with a writer it asks
    )
    assert len(sim.log) or any(each in text for each in quiet)


def test_every_page_is_looked_at() -> None:
    assert len(PYTHON) > 12
    assert not [
        f"{name_of(page)}: {block.language}"
        for page in PAGES
        for block in blocks(page)
        if block.language not in {"python", "sh", "text"} and not block.name
    ]


def test_every_file_of_a_page_is_run() -> None:
    for page in PAGES:
        lines = [c for b in blocks(page) if b.language == "sh" for c, _ in commands(b.text)]
        files = {block.file for block in blocks(page) if not block.name} - {""}
        if page == ROOT / "docs" / "testing.md":  # run by tests/integration/test_plugin.py
            files = {name for name in files if not re.match(r"test_|conftest\.py", name)}
        assert {name for name in files if f"python {name}" not in lines} == set(), name_of(page)


def commands(text: str) -> Iterator[tuple[str, int]]:
    """The lines of a block that are run, each with the exit code it says."""
    for line in text.splitlines():
        command, _, comment = line.partition("  #")
        if line.startswith(("kb4 ", "python ")):
            said = re.search(r"exits with (\d+)", comment)
            yield command.strip(), int(said[1]) if said else 0


LAUNCHER = """
import runpy, sys
from kb4_async import Limits
from kb4_async.protocol.address import reporting_address, tenant_address
from kb4_async.reporting import client
from kb4_async.runtime import keystate
from kb4_async.scim import client as scim_client

def nearby(region, base_url):
    given = reporting_address(region, base_url)
    if given.origin.startswith("http:") and given.origin != {address!r}:
        return given
    return reporting_address(None, {base_url!r})

def tenant_nearby(tenant_url):
    given = tenant_address(tenant_url)
    if given.origin.startswith("http:") and given.origin != {address!r}:
        return given
    return tenant_address({tenant_url!r})

keystate.SLOW_START = 1e6
client.reporting_address = nearby
scim_client.tenant_address = tenant_nearby
scim_client.SCIM_LIMITS = Limits.of("1000/60s")
if sys.argv[1] == "kb4":
    from kb4_async.cli import main
    del sys.argv[0]
    main()
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[tuple[Simulator, dict[str, str]]]:
    """What ``kb4 simulate`` serves, and an environment in which ``kb4`` and ``python`` are this
    checkout's, without the slow start."""
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(simulate).parameters.items()
    }
    made = {name: defaults[name] for name in ("seed", "users", "groups")}
    async with Simulator(generate_account(**made), api_key=defaults["key"]) as sim:
        assert sim.api_key == KEY
        prepare(tmp_path, sim)
        programs = tmp_path / ".bin"
        programs.mkdir()
        launcher = programs / "launcher.py"
        launcher.write_text(
            LAUNCHER.format(address=ADDRESS, base_url=sim.base_url, tenant_url=sim.tenant_url),
            encoding="utf-8",
        )
        for name, first in (("kb4", " kb4"), ("python", "")):
            program = programs / name
            script = f"exec '{sys.executable}' -W error '{launcher}'{first} \"$@\""
            program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
            program.chmod(0o700)
        kept = {name: text for name, text in os.environ.items() if not name.startswith("KB4_")}
        yield (
            sim,
            kept
            | {
                "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
                "KB4_BASE_URL": sim.base_url,
                "KB4_API_KEY": KEY,
                "KB4_TENANT_URL": sim.tenant_url,
                "KB4_SCIM_TOKEN": TOKEN,
                "NO_COLOR": "1",
            },
        )


async def run_line(line: str, env: dict[str, str], folder: Path) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_shell(
        line, env=env, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    return process.returncode, out.decode()


async def run_and_kill(line: str, env: dict[str, str], folder: Path, sim: Simulator) -> int:
    """Run a line and kill it in the middle; its exit code as a shell says it."""
    middle, latency = asyncio.Event(), sim.latency
    last = len(sim.log) + 30
    sim.latency = 0.05
    sim.on_request = lambda entry: middle.set() if entry.number == last else None
    program, *arguments = shlex.split(line)
    process = await asyncio.create_subprocess_exec(
        folder / ".bin" / program,
        *arguments,
        env=env,
        cwd=folder,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(60):
        await middle.wait()
    process.kill()
    sim.on_request, sim.latency = None, latency
    return 128 - await process.wait()


def plain(page: Path) -> str:
    """A page with every run of white space as one space."""
    return " ".join(page.read_text(encoding="utf-8").split())


def is_in(line: str, said: str) -> bool:
    """Whether a line was printed."""
    wanted = ".*".join(re.escape(part) for part in line.split("..."))
    return re.search(f"^{wanted}$", said, re.MULTILINE) is not None


RUN = [
    page
    for page in PAGES
    if any(b.language == "sh" and any(commands(b.text)) for b in blocks(page))
]


@pytest.mark.timeout(240)  # a process for each line
@pytest.mark.parametrize("page", RUN, ids=name_of)
async def test_page_runs_from_top_to_bottom(
    page: Path, shell: tuple[Simulator, dict[str, str]], tmp_path: Path
) -> None:
    said = ""
    for block in blocks(page):
        if block.file:
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
        elif block.language == "text":
            missing = [line for line in block.text.splitlines() if not is_in(line, said)]
            assert missing == [], said
        elif block.language == "sh":
            said = ""
            for line, expected in commands(block.text):
                if line == "kb4 simulate":
                    continue
                if expected == KILLED:
                    assert await run_and_kill(line, shell[1], tmp_path, shell[0]) == KILLED
                    continue
                code, out = await run_line(line, shell[1], tmp_path)
                assert code == expected, (line, out)
                said += out
                if line == "kb4 demo":
                    counts = r"counted (\d+) requests.*Complete: ([\d,]+)"
                    found = re.search(counts, out, re.DOTALL)
                    assert found, out
                    assert f"{found[2]} records with {found[1]} requests" in plain(page)


async def test_a_script_that_is_stopped_leaves_what_its_page_says(
    shell: tuple[Simulator, dict[str, str]], tmp_path: Path
) -> None:
    sim, env = shell
    page = ROOT / "docs/how-to/cancellation-and-time-limits.md"
    (script,) = [block for block in blocks(page) if block.file == "nightly.py"]
    (tmp_path / script.file).write_text(script.text, encoding="utf-8")
    sim.latency = 0.2
    under_way = asyncio.Event()
    sim.on_request = lambda entry: under_way.set() if entry.number == 11 else None
    process = await asyncio.create_subprocess_exec(
        tmp_path / ".bin" / "python",
        script.file,
        env=env,
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
    )
    await under_way.wait()
    process.send_signal(signal.SIGTERM)
    out, _ = await process.communicate()

    assert (process.returncode, out.decode().partition(";")[0]) == (143, "stopped")
    manifest = json.loads((tmp_path / "nightly" / "manifest.json").read_bytes())
    assert not manifest["complete"]
    assert manifest["finished"]
    gaps = {gap["error"] for entry in manifest["resources"].values() for gap in entry["gaps"]}
    assert "Interrupted" in gaps
    for entry in manifest["resources"].values():
        lines = (tmp_path / "nightly" / entry["file"]).read_bytes().splitlines()
        assert len([json.loads(line) for line in lines]) == entry["rows"]


def nights(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.glob("20*"))


async def test_the_script_of_the_nights_reuses_and_rotates(
    shell: tuple[Simulator, dict[str, str]], tmp_path: Path
) -> None:
    page = ROOT / "docs/how-to/nightly.md"
    (script,) = [b.text for b in blocks(page) if b.text.startswith("# nightly.sh")]
    (tmp_path / "nightly.sh").write_text(script.replace("keep=14", "keep=2"), encoding="utf-8")
    date = tmp_path / ".bin" / "date"
    date.write_text('#!/bin/sh\necho "$TONIGHT"\n', encoding="utf-8")
    date.chmod(0o700)
    for day in ("01", "02", "02", "03"):
        env = shell[1] | {"TONIGHT": f"2026-01-{day}"}
        code, said = await run_line("sh nightly.sh", env, tmp_path)
        assert (code, said) == (0, ""), said

    assert nights(tmp_path) == ["2026-01-02", "2026-01-03"]
    for day, before in (("02", True), ("03", True)):
        manifest = json.loads((tmp_path / f"2026-01-{day}" / "manifest.json").read_bytes())
        assert manifest["complete"]
        assert ("reused" in manifest["resources"]["recipients"]) == before
    sim = shell[0]
    sim.faults.add(Fault.status(403), path="users")
    code, said = await run_line("sh nightly.sh", shell[1] | {"TONIGHT": "2026-01-04"}, tmp_path)
    assert code == 3
    assert "INCOMPLETE" in said
    sim.faults.clear()
    code, said = await run_line("sh nightly.sh", shell[1] | {"TONIGHT": "2026-01-05"}, tmp_path)
    assert (code, said) == (0, "")
    assert nights(tmp_path) == ["2026-01-03", "2026-01-05"]


async def test_what_simulate_prints_is_what_the_pages_say(
    shell: tuple[Simulator, dict[str, str]], tmp_path: Path
) -> None:
    # With another port, for 8080 may be taken here; else word for word.
    environment = {name: value for name, value in shell[1].items() if not name.startswith("KB4_")}
    serving = await asyncio.create_subprocess_exec(
        tmp_path / ".bin" / "kb4",
        *("simulate", "--port", "0", "--users", "40", "--groups", "2", "--quiet"),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    assert serving.stdout is not None
    printed = [(await serving.stdout.readline()).decode().strip() for _ in range(6)]
    lines = [line for line in printed if line.startswith(("export ", "kb4 "))]
    try:
        code, said = await run_line(" && ".join(lines), shell[1], tmp_path)
    finally:
        serving.terminate()
        await serving.communicate()

    assert serving.returncode == 143
    assert code == 0, said
    assert (tmp_path / "out" / "manifest.json").exists()
    assert len(lines) == 4
    shown = [block.text for block in blocks(ROOT / "README.md") if block.language == "sh"]
    for pair in (lines[:2], lines[2:]):
        told = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8080", "\n".join(pair)) + "\n"
        assert told in shown
