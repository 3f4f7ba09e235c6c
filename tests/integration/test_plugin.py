"""The pytest plugin, used as its users use it: each test runs pytest on a project of its own."""

import os
import re
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
INI = """
[pytest]
filterwarnings = error
addopts = -ra --strict-markers -p no:cacheprovider
"""
ASYNCIO = """
asyncio_default_fixture_loop_scope = function
asyncio_mode = """
IMPORTS = """
import asyncio
import os
import subprocess
import sys
import urllib.request

import pytest

from kb4_async import *
from kb4_async.testing import *
"""
CONFTEST = 'pytest_plugins = ["kb4_async.testing.plugin"]\n'


class Project:
    """Somebody's tests."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PYTHONDEVMODE", "1")
        self.pytester = pytester
        self.pytester.makeconftest(CONFTEST)

    def run(self, tests: str, *arguments: str, mode: str | None = "auto") -> pytest.RunResult:
        """Run tests with pytest-asyncio in that mode, or without any plugin for async tests."""
        self.pytester.makepyfile(test_it=IMPORTS + tests)
        if mode is None:
            self.pytester.makefile(".ini", pytest=INI)
            return self.pytester.runpytest_subprocess("-pno:asyncio", "-pno:anyio", *arguments)
        self.pytester.makefile(".ini", pytest=INI + ASYNCIO + mode)
        return self.pytester.runpytest_subprocess(*arguments)


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(pytester, monkeypatch)


TESTS = """
async def test_reads_everything(kb4_client, kb4_server):
    assert not kb4_server.log
    users = await kb4_client.users.list().collect()
    assert [user["id"] for user in users] == [user["id"] for user in kb4_server.account.users]
    assert kb4_server.requests("users", status=200)


async def test_faults_are_played(kb4_client, kb4_server):
    rule = kb4_server.faults.add(Fault.status(503), path="users", page=2, times=2)
    await kb4_client.users.list().collect()
    assert rule.played == len(kb4_server.requests("users", status=503)) == 2


async def test_begins_at_full_pace(kb4_client, kb4_server):
    for _ in range(12):
        await kb4_client.account.get()
    assert kb4_server.log.worst_window(1.0) > 9


async def test_the_server_goes_away_and_comes_back(kb4_client, kb4_server):
    await kb4_client.account.get()
    await kb4_server.stop()
    with pytest.raises(TransportError):
        await kb4_client.account.get()
    await kb4_server.start()
    assert await kb4_client.account.get() == kb4_server.account.account


async def test_the_server_answers_while_the_test_blocks(kb4_client, kb4_server):
    with pytest.raises(urllib.request.HTTPError) as caught:
        urllib.request.urlopen(kb4_server.base_url + "/users")
    caught.value.close()
    assert (caught.value.code, kb4_server.log[0].key_ok) == (401, False)


async def test_a_client_that_is_closed_by_the_test(kb4_client):
    async with kb4_client:
        await kb4_client.account.get()


async def test_records_may_be_left_half_read(kb4_client):
    async for user in kb4_client.users.list():
        break


class TestInAClass:
    @pytest.fixture
    def kb4_account(self):
        return generate_account(users=3, groups=2)

    @pytest.mark.parametrize("kb4_client_options", [{"api_key": "other"}])
    async def test_a_wrong_key(self, kb4_client):
        with pytest.raises(AuthenticationError):
            await kb4_client.account.get()

    @pytest.mark.parametrize("kb4_server_options", [{"api_key": "mine", "rate_headers": True}])
    async def test_options_and_account(self, kb4_client, kb4_server):
        assert kb4_server.api_key == os.environ["KB4_API_KEY"] == "mine"
        assert len(await kb4_client.users.list().collect()) == 3


async def test_an_hour_passes_at_once(virtual_clock):
    assert asyncio.get_running_loop() is virtual_clock
    begin = virtual_clock.time()
    await asyncio.sleep(3600)
    assert 3600 <= virtual_clock.time() - begin < 3601


@pytest.mark.parametrize("kb4_server_options", [{"limits": [Limit(2, 60.0, lockout=900.0)]}])
async def test_a_lockout_passes_at_once(kb4_client, kb4_server, virtual_clock):
    begin = virtual_clock.time()
    users = await kb4_client.users.list().collect()
    assert len(users) == 600
    assert kb4_server.requests(status=429)
    assert virtual_clock.time() - begin > 900
"""
SERVICE = """
class Service:
    def __init__(self, kb):
        self.kb = kb

    async def watch(self):
        while True:
            self.seen = await self.kb.account.get()
            await asyncio.sleep(0.001)

    async def __aenter__(self):
        self.task = asyncio.create_task(self.watch())
        await self.kb.account.get()
        return self

    async def __aexit__(self, *args):
        await self.kb.account.get()  # the client is still open here
        self.task.cancel()
        await asyncio.wait([self.task])


async def test_a_fixture_that_uses_the_client_ends_first(service):
    await asyncio.sleep(0.05)
    assert service.seen["name"]
"""
FIXTURE = """
async def service(kb4_client):
    async with Service(kb4_client) as service:
        yield service
"""


def test_pytest_asyncio_in_auto_mode(project: Project) -> None:
    tests = TESTS + SERVICE + "@pytest.fixture" + FIXTURE
    project.run(tests).assert_outcomes(passed=12)


def test_pytest_asyncio_in_strict_mode(project: Project) -> None:
    more = """
import pytest_asyncio

pytestmark = pytest.mark.asyncio


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("time", ["first", "second"])
async def test_in_the_event_loop_of_another_scope(kb4_client, time):
    await kb4_client.account.get()


@pytest_asyncio.fixture"""
    project.run(TESTS + SERVICE + more + FIXTURE, mode="strict").assert_outcomes(passed=14)


@pytest.mark.parametrize("first", [(), ("-p", "kb4_async.testing.plugin")])
def test_anyio(project: Project, first: tuple[str, ...]) -> None:
    pytest.importorskip("anyio")
    more = """
pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio"])
def anyio_backend(request):
    return request.param


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_on_trio(kb4_client):
    pass


@pytest.fixture"""
    result = project.run(TESTS + SERVICE + more + FIXTURE, *first, mode="strict")

    result.assert_outcomes(passed=12, errors=1)
    result.stdout.fnmatch_lines("*kb4_async needs asyncio: let the fixture anyio_backend return*")


def test_without_any_plugin_for_async_tests(project: Project) -> None:
    result = project.run(
        """
def test_urllib(kb4_server):
    headers = {"Authorization": f"Bearer {kb4_server.api_key}"}
    request = urllib.request.Request(kb4_server.base_url + "/account", headers=headers)
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    assert [entry.path for entry in kb4_server.log] == ["account"]


def test_the_command(kb4_server):
    command = [sys.executable, "-c", "from kb4_async.cli import main; main()", "list", "groups"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert len(done.stdout.splitlines()) == len(kb4_server.account.groups)


def test_code_that_runs_a_loop_of_its_own(kb4_server):
    async def main():
        async with ReportingClient(base_url=kb4_server.base_url) as kb:
            return await kb.account.get()

    assert asyncio.run(main()) == kb4_server.account.account


def test_a_client_in_a_loop_of_its_own(kb4_client):
    async def main():
        async with kb4_client:
            await kb4_client.account.get()

    asyncio.run(main())


def test_a_client_that_is_not_used(kb4_client):
    pass


async def test_async_on_the_virtual_clock(virtual_clock, kb4_client):
    await asyncio.sleep(3600)
    await kb4_client.account.get()


def test_sync_on_the_virtual_clock(virtual_clock, kb4_client):
    virtual_clock.run_until_complete(asyncio.sleep(3600))
    virtual_clock.run_until_complete(kb4_client.account.get())
""",
        mode=None,
    )

    result.assert_outcomes(passed=7)


def test_a_client_that_is_not_closed_is_told(project: Project) -> None:
    result = project.run(
        """
def test_it(kb4_client):
    asyncio.run(kb4_client.users.list().collect())
""",
        "-pno:unraisableexception",  # aiohttp tells of its connections too
        mode=None,
    )

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines("kb4_client was not closed in the event loop it was used in.*")


def test_tasks_that_are_left_are_named(project: Project) -> None:
    result = project.run(
        """
async def poll():
    while True:
        await asyncio.sleep(1)


async def test_leaves_one(kb4_client):
    asyncio.create_task(poll(), name="watcher")


async def test_leaves_one_in_virtual_time(kb4_client, virtual_clock):
    asyncio.create_task(poll(), name="watcher")


async def test_cancels_but_does_not_wait(kb4_client):
    task = asyncio.create_task(poll())
    await asyncio.sleep(0)
    task.cancel()


async def test_other_tests_go_on(kb4_client):
    assert len(asyncio.all_tasks()) == 1
""",
    )

    result.assert_outcomes(passed=4, errors=2)
    result.stdout.re_match_lines(
        [r".*Still running after the test: watcher \(poll at test_it\.py:\d+\)\. Cancel and await"]
    )


def test_what_a_callback_raises_fails_the_test(project: Project) -> None:
    result = project.run(
        """
def check(entry):
    assert entry.path == "users", "nobody reads anything else"


async def test_seen_by_the_client(kb4_client, kb4_server):
    kb4_server.on_request = check
    await kb4_client.account.get()


async def test_hidden_from_the_client(kb4_client, kb4_server):
    kb4_server.on_answer = check
    await kb4_client.account.get()


async def test_swallowed_by_the_test(kb4_client, kb4_server):
    kb4_server.on_request = check
    with pytest.raises(ServerError):
        await kb4_client.account.get()


async def test_on_the_virtual_clock(kb4_client, kb4_server, virtual_clock):
    kb4_server.on_request = check
    with pytest.raises(ServerError):
        await kb4_client.account.get()


@pytest.fixture
def late(kb4_server):
    yield
    kb4_server.on_request = check
    with pytest.raises(urllib.request.HTTPError) as caught:
        urllib.request.urlopen(kb4_server.base_url + "/account")
    caught.value.close()


async def test_after_the_test(late):
    pass


async def test_that_is_right(kb4_client, kb4_server):
    kb4_server.on_request = check
    await kb4_client.users.list().collect()
""",
    )

    result.assert_outcomes(passed=2, failed=4, errors=1)
    said = result.stdout.str()
    for name in ("hidden_from_the_client", "swallowed_by_the_test", "on_the_virtual_clock"):
        assert re.search(
            rf"^FAILED .*::test_{name} - AssertionError: nobody reads", said, re.MULTILINE
        )
    assert re.search(r"^FAILED .*::test_seen_by_the_client - .*ServerError", said, re.MULTILINE)
    assert re.search(
        r"^ERROR .*::test_after_the_test - AssertionError: nobody reads", said, re.MULTILINE
    )
    result.stdout.fnmatch_lines(
        [
            "*Captured kb4_server call*",
            "GET account *",
            "raised by a callback, *",
        ]
    )


def test_the_requests_of_a_failed_test_are_shown(project: Project) -> None:
    result = project.run(
        """
async def test_fails(kb4_client):
    for _ in range(30):
        await kb4_client.account.get()
    raise ValueError
""",
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*Captured kb4_server call*", "... the last 20 of 30 requests:", "GET account 200 * ms"]
    )


def test_variables_of_this_machine_do_not_leak(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {
        "KB4_API_KEY": "my own key",
        "KB4_API_KEY_FILE": "/nowhere/key",
        "KB4_REGION": "eu",
        "KB4_SCIM_TOKEN": "my own token",
    }
    for name, text in own.items():
        monkeypatch.setenv(name, text)
    result = project.run(
        f"""
OWN = {own}


def variables():
    return {{name: text for name, text in os.environ.items() if name.startswith("KB4_")}}


async def test_with_a_client(kb4_client, kb4_server):
    assert variables() == {{
        "KB4_API_KEY": kb4_server.api_key, "KB4_BASE_URL": kb4_server.base_url,
        "KB4_SCIM_TOKEN": kb4_server.scim_token, "KB4_TENANT_URL": kb4_server.tenant_url,
    }}
    async with ReportingClient(base_url=kb4_server.base_url) as kb:
        await kb.account.get()


async def test_afterwards():
    assert variables() == OWN
""",
    )

    result.assert_outcomes(passed=2)


def test_the_plugin_is_not_loaded_by_itself(project: Project) -> None:
    project.pytester.makeconftest("")

    result = project.run("def test_it(kb4_server): ...")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines("*fixture 'kb4_server' not found")


def test_what_the_page_shows_runs(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = str(Path(sys.executable).parent)  # kb4 among them
    monkeypatch.setenv("PATH", os.pathsep.join((programs, os.environ["PATH"])))
    blocks = re.findall(
        r"^```python\n# (\w+\.py)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    files = dict(blocks)
    tests = sum(
        len(re.findall(r"^ *(?:async )?def test_", text, re.MULTILINE)) for text in files.values()
    )
    project.pytester.makefile(".ini", pytest=INI + ASYNCIO + "auto")
    for name, text in files.items():
        (project.pytester.path / name).write_text(text, encoding="utf-8")

    result = project.pytester.runpytest_subprocess()

    assert len(files) == len(blocks)
    assert tests > 8
    result.assert_outcomes(passed=tests)
