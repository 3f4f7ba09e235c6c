"""The ledger's file: what it holds, what it is when it is harmed, and where it is looked for."""

import asyncio
import os
import random
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.limiting import holds, now, one

from kb4_async import ReportingClient
from kb4_async.errors import ConfigurationError
from kb4_async.events import Event, LedgerUnavailable
from kb4_async.options import Limits, Window
from kb4_async.protocol.sharing import Report
from kb4_async.runtime import keystate, ledger
from kb4_async.runtime.keystate import CAUTION, KeyState
from kb4_async.runtime.ledger import SCHEMA, Ledger, LedgerError, find_ledger
from kb4_async.runtime.limiter import Limiter
from kb4_async.runtime.share import TRY_AGAIN, join_ledger
from kb4_async.testing import run_virtual

ORIGIN, FINGERPRINT, KEY = "https://us.api.knowbe4.com", "f1n9e4", "the-key-itself-unshared"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.sqlite"


@pytest.fixture
def book(path: Path) -> Iterator[Ledger]:
    book = Ledger(path)
    yield book
    book.close()


@pytest.fixture(autouse=True)
def let_go() -> Iterator[None]:
    """A client keeps its key's ledger open as long as it is."""
    yield
    for state in keystate.registry.values():
        if state.share is not None:
            state.share.ledger.close()


def count(book: Ledger) -> int:
    """Write in the ledger; how often that was done to it."""
    with book.page(ORIGIN, FINGERPRINT) as page:
        page.revision += 1
        return page.revision


def files(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}*"))


def delete(path: Path) -> None:
    for each in files(path):
        each.unlink()


# -- the file ----------------------------------------------------------------------------------


def test_only_its_owner_may_read_it(book: Ledger, path: Path) -> None:
    before = os.umask(0)
    try:
        count(book)
    finally:
        os.umask(before)

    assert len(files(path)) > 1  # SQLite's own beside it
    assert {stat.S_IMODE(each.stat().st_mode) for each in files(path)} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_it_says_which_version_wrote_it(book: Ledger, path: Path) -> None:
    count(book)

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA,)


def test_what_was_written_is_there_at_the_next_opening(book: Ledger, path: Path) -> None:
    with book.page(ORIGIN, FINGERPRINT) as page:
        page.exchange(Report("one", held=2, windows=(Window(30, 10.0),)), 100.0, 7.0)
        page.stamps += [90.5, 91.5]
        written = page
    book.close()

    with closing(Ledger(path)) as again, again.page(ORIGIN, FINGERPRINT) as page:
        assert page.to_json() == written.to_json()
        assert page.stamps == [90.5, 91.5]
        assert page.holders["one"].held == 2


def test_each_key_and_origin_has_a_page_of_its_own(book: Ledger) -> None:
    count(book)

    for origin, fingerprint in [(ORIGIN, "another"), ("https://eu", FINGERPRINT)]:
        with book.page(origin, fingerprint) as page:
            assert page.revision == 0


def test_a_failure_halfway_writes_nothing(book: Ledger) -> None:
    count(book)
    with pytest.raises(ZeroDivisionError), book.page(ORIGIN, FINGERPRINT) as page:
        page.revision += 1 // 0

    assert count(book) == 2


async def test_the_key_is_never_in_it(path: Path) -> None:
    address = "http://127.0.0.1:9/v1"
    async with ReportingClient(KEY, base_url=address, ledger=path) as kb:
        limiter = kb.source.engine.limiter
        limiter.refused(await limiter.acquire(), 0.0, path="users")
        await limiter.exchange(ask=False)
        fingerprint = kb.source.engine.transport.secret.fingerprint.encode()
        # Once with SQLite's own files beside it, once without.
        everything = b"".join(each.read_bytes() for each in files(path))
    everything += b"".join(each.read_bytes() for each in files(path))

    assert fingerprint in everything
    assert KEY.encode() not in everything


# -- harmed ------------------------------------------------------------------------------------


def sql(path: Path, statement: str, *values: str) -> None:
    path.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


def sound(path: Path) -> Path:
    with closing(Ledger(path)) as book:
        count(book)
    return path


def noise(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(random.Random(4).randbytes(8192))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def lock(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(exist_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    return connection


def alter(path: Path, place: str, value: str) -> None:
    """A page that is JSON, but holds what none does."""
    change = "UPDATE key SET state = json_set(CAST(state AS TEXT), '$.revision', 7, ?, json(?))"
    sql(sound(path), change, f"$.{place}", value)


def mend(path: Path) -> None:
    if path.parent.is_file():
        path.parent.unlink()
    elif path.is_dir():
        path.rmdir()
    else:
        delete(path)


OTHERS = "CREATE TABLE moz_places (id INTEGER PRIMARY KEY, url TEXT)"
PAUSE = '{"since": %s, "until": 4e9, "step": 1, "prober": "", "probing_until": 0}'
LESSON = (
    '{"level": 50, "good": 50, "ceiling": 51, "since": 0, "refused": %s, "retry_at": 0,'
    ' "patience": %s, "tries": 0, "used": false}'
)
HARMS: dict[str, Callable[[Path], object]] = {
    "random bytes": noise,
    "truncated": lambda path: truncate(sound(path)),
    "a folder in its place": lambda path: path.mkdir(parents=True),
    "a file above it": lambda path: path.parent.write_text("no folder"),
    "locked": lambda path: lock(sound(path)),
    "locked before it was written": lock,
    "another program's database": lambda path: sql(path, OTHERS),
    "another table of that name": lambda path: sql(path, "CREATE TABLE key (lock TEXT)"),
    "a newer version's": lambda path: sql(sound(path), f"PRAGMA user_version = {SCHEMA + 1}"),
    "no table": lambda path: sql(sound(path), "DROP TABLE key"),
    "broken JSON": lambda path: sql(sound(path), "UPDATE key SET state = ?", '{"holders": {'),
    "no JSON": lambda path: sql(sound(path), "UPDATE key SET state = x'ff00'"),
    "JSON of something else": lambda path: sql(sound(path), "UPDATE key SET state = '[]'"),
    "times cut in two": lambda path: sql(sound(path), "UPDATE key SET stamps = x'0011'"),
    "processes that are none": lambda path: alter(path, "holders", '"many"'),
    "a pause without a beginning": lambda path: alter(path, "pause", PAUSE % "null"),
    "a lesson of words": lambda path: alter(path, "lesson", LESSON % ('"noon"', "300")),
    "a lesson without patience": lambda path: alter(path, "lesson", LESSON % ("0", "null")),
    "a time that no calendar has": lambda path: alter(path, "lesson", LESSON % ("1e18", "300")),
}


@pytest.mark.parametrize("harm", HARMS)
def test_what_cannot_be_used_is_told_once_and_bridged_with_care_until_it_can(
    harm: str, path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "PATIENCE", 0.01)
    events: list[Event] = []
    harmed = HARMS[harm](path)

    async def main() -> None:
        state = KeyState()
        join_ledger(state, Ledger(path), ORIGIN, FINGERPRINT)
        assert state.share is not None
        with closing(state.share.ledger):
            limiter = Limiter(state, Limits(), observer=events.append)
            begun = now()
            granted = [(await one(limiter)).granted for _ in range(60)]
            assert holds(granted, 4, 1.0)
            assert holds(granted, 50, 60.0)
            assert granted[-1] - begun < 65.0
            assert limiter.status().trouble is not None
            assert {each.why for each in limiter.status().held} == {CAUTION}
            if isinstance(harmed, sqlite3.Connection):
                harmed.close()
            else:
                mend(path)
            await asyncio.sleep(2 * TRY_AGAIN)
            assert limiter.status().trouble is None
            assert CAUTION not in {each.why for each in limiter.status().held}
            assert limiter.status().used_today == 60
            limiter.close()
            await limiter.settle()

    run_virtual(main())
    (told,) = [event for event in events if isinstance(event, LedgerUnavailable)]
    assert told.path == str(path)
    assert str(path) in told.reason
    assert "KB4_LEDGER" in told.reason
    (warning,) = caplog.records
    assert warning.levelname == "WARNING"
    assert warning.message.endswith(told.reason)
    with closing(Ledger(path)) as book, book.page(ORIGIN, FINGERPRINT) as page:
        assert page.quota.used == 60


def test_without_a_home_the_reason_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        state = KeyState()
        join_ledger(state, Ledger(None, "There is no home directory."), ORIGIN, FINGERPRINT)
        limiter = Limiter(state, Limits())
        granted = [(await one(limiter)).granted for _ in range(20)]
        assert holds(granted, 4, 1.0)
        assert (limiter.status().trouble or "").startswith("There is no home directory.")
        limiter.close()
        await limiter.settle()

    run_virtual(main())
    assert len(caplog.records) == 1


def test_deleted_while_it_is_open_it_is_made_anew(book: Ledger, path: Path) -> None:
    assert count(book) == 1
    delete(path)
    assert count(book) == 1
    assert count(book) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_deleted_with_its_folder_it_is_made_anew(book: Ledger, path: Path) -> None:
    count(book)
    shutil.rmtree(path.parent)
    assert count(book) == 1


def test_deleted_under_two_processes_both_go_on_in_the_same_one(book: Ledger, path: Path) -> None:
    with closing(Ledger(path)) as other:
        assert (count(book), count(other)) == (1, 2)
        delete(path)
        assert (count(book), count(other), count(book)) == (1, 2, 3)


# -- where it is -------------------------------------------------------------------------------


def test_without_being_asked_for_there_is_none() -> None:
    assert find_ledger(None) is None
    assert find_ledger(False) is None


def test_a_path_is_taken_as_it_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KB4_LEDGER", "off")
    monkeypatch.chdir(path.parent.parent)
    for given in (path, str(path), "state/ledger.sqlite", Path("state/ledger.sqlite")):
        assert name(find_ledger(given)) == str(path)


def test_an_empty_path_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="names no file"):
        find_ledger("")


def test_true_means_the_file_that_the_environment_names(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent.parent)
    for named in (str(path), "state/ledger.sqlite"):
        monkeypatch.setenv("KB4_LEDGER", named)
        assert name(find_ledger(True)) == str(path)
    monkeypatch.setenv("KB4_LEDGER", "off")
    assert find_ledger(True) is None


@pytest.mark.parametrize("unset", [None, ""])
def test_true_means_the_users_state_folder_otherwise(
    unset: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put(variable: str, value: str | None) -> None:
        if value is None:
            monkeypatch.delenv(variable, raising=False)
        else:
            monkeypatch.setenv(variable, value)

    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    at_home = tmp_path / "home" / ".local" / "state" / "kb4_async" / "ledger.sqlite"
    put("KB4_LEDGER", unset)
    put("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    assert name(find_ledger(True)) == str(tmp_path / "elsewhere" / "kb4_async" / "ledger.sqlite")
    for ignored in (unset, "relative/state"):
        put("XDG_STATE_HOME", ignored)
        assert name(find_ledger(True)) == str(at_home)


def test_without_a_home_directory_there_is_a_ledger_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nowhere() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", nowhere)
    for variable in ("HOME", "XDG_STATE_HOME", "KB4_LEDGER"):
        monkeypatch.delenv(variable, raising=False)
    book = find_ledger(True)
    assert name(book) == ""
    assert book is not None
    with pytest.raises(LedgerError, match="no home directory"), book.page(ORIGIN, FINGERPRINT):
        pass


def name(book: Ledger | None) -> str:
    assert book is not None
    return book.name


# -- clients -----------------------------------------------------------------------------------


def client(book: Path | None) -> ReportingClient:
    return ReportingClient(KEY, base_url="http://127.0.0.1:9/v1", ledger=book)


def test_a_keys_last_client_lets_go_of_the_file_and_the_next_goes_on_in_it(path: Path) -> None:
    """Of hundreds of keys, one after the other, each would keep three files open."""

    async def main() -> None:
        state, book = KeyState(), Ledger(path)
        join_ledger(state, book, ORIGIN, FINGERPRINT)
        first, second = Limiter(state, Limits()), Limiter(state, Limits())
        await one(first)
        first.close()
        await first.settle()
        assert book.connection is not None
        second.close()
        await second.settle()
        assert book.connection is None
        third = Limiter(state, Limits())
        await one(third)
        third.close()
        await third.settle()
        assert book.connection is None

    run_virtual(main())
    with closing(Ledger(path)) as book, book.page(ORIGIN, FINGERPRINT) as page:
        assert page.quota.used == 2


async def test_two_ledgers_for_one_key_are_refused_while_both_are_open(path: Path) -> None:
    other = client(path.with_name("other.sqlite"))
    async with client(path), client(path):
        with pytest.raises(ConfigurationError, match=r"with the ledger .*: use one for both"):
            other.rate_status()
    async with client(path.with_name("other.sqlite")) as kb:
        assert kb.rate_status().ledger == str(path.with_name("other.sqlite"))


async def test_a_client_without_a_ledger_accounts_in_the_one_of_the_client_beside_it(
    path: Path,
) -> None:
    async with client(None) as without:
        await one(without.source.engine.limiter)
        assert without.rate_status().ledger is None
        async with client(path) as kb:
            await one(kb.source.engine.limiter)
            await one(without.source.engine.limiter)
            assert without.rate_status() == kb.rate_status()
            assert without.rate_status().ledger == str(path)
            fingerprint = kb.source.engine.transport.secret.fingerprint
    with closing(Ledger(path)) as book, book.page("http://127.0.0.1:9", fingerprint) as page:
        assert page.quota.used == 3
