"""Fixtures that the tests share."""

import asyncio
import gc
import inspect
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from support.options import QUICK
from support.scim_servers import Peers
from support.sharing import Machine, machine_at

from kb4_async import ReportingClient, Window, options
from kb4_async.runtime import keystate
from kb4_async.testing import Account, Simulator, generate_account

INTEGRATION = Path(__file__).parent / "integration"


@pytest.fixture(autouse=True, scope="session")
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The command keeps its ledger there: never in that of who runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def forget_keys() -> Iterator[None]:
    """What is known of a key outlives every client: no test may see another's."""
    keystate.registry.clear()
    yield
    keystate.registry.clear()


@pytest.fixture(autouse=True)
def integration(request: pytest.FixtureRequest) -> None:
    """Integration tests are quick, and leave nothing behind."""
    test = getattr(request, "function", None)
    if INTEGRATION in request.path.parents and inspect.iscoroutinefunction(test):
        request.getfixturevalue("fast")
        request.getfixturevalue("no_leaks")


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch the slow start off."""
    monkeypatch.setattr(keystate, "SLOW_START", 1e6)


@pytest.fixture
def slow_start(fast: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is outside of tests."""
    monkeypatch.setattr(keystate, "SLOW_START", 4.0)


@pytest.fixture
def scaled_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server on this machine bears more than 1,000 requests a minute: a hundred times as many."""
    cap = Window(100_000, 60.0)
    monkeypatch.setattr(options, "CAP", cap)
    monkeypatch.setattr(keystate, "CAP", cap)


@pytest.fixture(scope="session")
def peers() -> Iterator[Peers]:
    """Independent SCIM servers, started when first asked for."""
    with Peers() as peers:
        yield peers


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine on which processes share a ledger."""
    with machine_at(tmp_path / "ledger.sqlite") as machine:
        yield machine


@pytest.fixture
async def no_leaks() -> AsyncIterator[None]:
    """After the test no task is left; what was not closed warns, and warnings are errors."""
    yield
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("kb4")] == []
    for _ in range(5):  # the simulator's connections end in the steps after its stop
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    gc.collect()


@pytest.fixture(scope="session")
def account() -> Account:
    """A small account: 1,150 users are three pages. Not to be changed."""
    return generate_account(users=1150, groups=12, enrollments=1300, training_campaigns=23)


@pytest.fixture
async def sim(account: Account) -> AsyncIterator[Simulator]:
    """A simulator that serves it."""
    async with Simulator(account) as sim:
        yield sim


@pytest.fixture
async def kb(sim: Simulator) -> AsyncIterator[ReportingClient]:
    """A client of the simulator that tries again quickly."""
    async with ReportingClient(sim.api_key, base_url=sim.base_url, retry=QUICK) as kb:
        yield kb
