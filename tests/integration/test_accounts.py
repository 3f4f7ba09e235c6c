"""``export_accounts`` over sockets: side by side, each account for itself, one report."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.options import QUICK

from kb4_async import (
    AccountEntry,
    AccountEvent,
    AccountFinished,
    AccountsReport,
    AlreadyCompleteError,
    AuthenticationError,
    CheckpointMismatchError,
    ConfigurationError,
    Event,
    ExportProgress,
    ExportReport,
    Limits,
    QuotaExhaustedError,
    RequestFinished,
    export_account,
    export_accounts,
    read_accounts,
)
from kb4_async.export import accounts as module
from kb4_async.sinks import JsonLinesSink, SinkFactory
from kb4_async.testing import Fault, LoggedRequest, Simulator, generate_account

NAMES = ("acme", "globex", "hooli", "initech", "umbrella")


def key_of(name: str) -> str:
    return f"key-of-{name}"


@pytest.fixture
async def many() -> AsyncIterator[Simulator]:
    """A simulator of five accounts of different sizes."""
    async with Simulator(latency=0.005) as sim:
        for number, name in enumerate(NAMES):
            account = generate_account(
                number, users=20 + number, groups=2, enrollments=5, training_campaigns=2
            )
            account.account["name"] = name
            sim.add_account(key_of(name), account)
        yield sim


def entry(sim: Simulator, name: str, **fields: Any) -> AccountEntry:
    return AccountEntry(name, **{"base_url": sim.base_url, "api_key": key_of(name), **fields})


def entries(sim: Simulator, names: Iterable[str] = NAMES) -> list[AccountEntry]:
    return [entry(sim, name) for name in names]


def at(sim: Simulator, name: str) -> list[LoggedRequest]:
    """What was asked of an account."""
    return sim.requests(key=sim.fingerprint(key_of(name)))


def users(folder: Path) -> int:
    return len((folder / "users.jsonl").read_bytes().splitlines())


def folders(destination: Path) -> list[Path]:
    return sorted(destination.iterdir())


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    return found


def most_side_by_side(sim: Simulator) -> int:
    """The most accounts that were asked something and had more to come, at one time."""
    times: dict[str, list[float]] = {}
    for each in sim.log:
        assert each.answered is not None
        times.setdefault(each.key, []).extend((each.arrived, each.answered))
    changes = [(min(of), 1) for of in times.values()] + [(max(of), -1) for of in times.values()]
    most = now = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


export = partial(export_accounts, retry=QUICK)


async def test_each_account_is_exported_whole_into_its_own_folder(
    many: Simulator, tmp_path: Path
) -> None:
    report = await export(entries(many), tmp_path / "out")

    assert report.complete
    assert tuple(report.accounts) == NAMES
    for number, name in enumerate(NAMES):
        each = report.accounts[name]
        assert isinstance(each, ExportReport)
        assert each.account["name"] == name
        assert each.destination == tmp_path / "out" / name
        assert each.requests == len(at(many, name))
        assert users(tmp_path / "out" / name) == 20 + number
        assert (report.state(name), report.reason(name)) == ("complete", "")
    assert [path.name for path in folders(tmp_path / "out")] == sorted(NAMES)
    assert report.requests == len(many.log)


async def test_what_one_export_is_told_all_are(many: Simulator, tmp_path: Path) -> None:
    report = await export(
        iter(entries(many)), tmp_path, resources=iter(["users", "groups"]), verify="none"
    )

    assert report.complete
    for each in report.reports():
        assert [*each.resources] == ["users", "groups"]
        assert each.parameters["verify"] == "none"


async def test_further_keywords_go_to_export_account_as_they_are(
    many: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []

    async def grown(kb: Any, destination: Any, *, later: str = "", **options: Any) -> ExportReport:
        told.append(later)
        return await export_account(kb, destination, **options)

    monkeypatch.setattr(module, "export_account", grown)

    await export(entries(many), tmp_path, later="yes")  # type: ignore[call-arg]  # that is the point

    assert told == ["yes"] * 5


# -- side by side ------------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [1, 2, 3, 9])
async def test_at_most_so_many_accounts_are_under_way(
    many: Simulator, tmp_path: Path, at_once: int
) -> None:
    report = await export(entries(many), tmp_path, at_once=at_once)

    assert report.complete
    assert most_side_by_side(many) == min(at_once, 5)


async def test_accounts_are_begun_in_the_order_given(many: Simulator, tmp_path: Path) -> None:
    order = ["umbrella", "acme", "hooli"]
    report = await export(entries(many, order), tmp_path, at_once=1)

    assert list(report.accounts) == order
    seen = list(dict.fromkeys(each.key for each in many.log))
    assert seen == [many.fingerprint(key_of(name)) for name in order]


async def test_a_client_has_no_more_requests_in_flight_than_told(
    many: Simulator, tmp_path: Path
) -> None:
    await export(entries(many), tmp_path, at_once=2, max_concurrency=1)

    assert many.log.most_in_flight() <= 2


async def test_each_key_has_limits_of_its_own(many: Simulator, tmp_path: Path) -> None:
    few, more = Limits.of("2/1d"), Limits.of("1000/1d")
    accounts = [entry(many, "acme", limits=more), entry(many, "globex")]

    report = await export(accounts, tmp_path, limits=few)

    assert report.state("acme") == "complete"
    assert report.state("globex") == "incomplete"
    assert report.resume_at is not None
    assert "daily quota of 2 requests" in report.reason("globex")
    assert len(at(many, "globex")) == 2


async def test_one_key_at_two_addresses_is_held_to_its_limits_at_each(
    many: Simulator, tmp_path: Path
) -> None:
    """It may be two accounts, for a key belongs to a region. So does its limiter."""
    there = many.base_url.replace("127.0.0.1", "localhost")
    accounts = [entry(many, "acme"), entry(many, "twin", base_url=there, api_key=key_of("acme"))]

    report = await export(accounts, tmp_path, limits=Limits.of("40/1d"))

    assert report.complete
    assert users(tmp_path / "acme") == users(tmp_path / "twin") == 20


async def test_two_paths_of_one_server_share_the_limits_of_a_key(
    many: Simulator, tmp_path: Path
) -> None:
    """As two proxied regions may; the second is no account here, which is what it costs to see."""
    elsewhere = f"{many.origin}/elsewhere/v1"
    accounts = [
        entry(many, "acme"),
        entry(many, "twin", base_url=elsewhere, api_key=key_of("acme")),
    ]

    report = await export(accounts, tmp_path, at_once=1, limits=Limits.of("30/1d"))

    assert len(at(many, "acme")) == 30
    assert "QuotaExhaustedError" in json.dumps(report.to_json())


# -- each for itself ---------------------------------------------------------------------------


async def test_a_failure_stops_no_other(many: Simulator, tmp_path: Path) -> None:
    await export(entries(many, ["hooli"]), tmp_path, resources=["groups"])
    banned = many.fingerprint(key_of("umbrella"))
    many.faults.add(
        Fault.status(403), where=lambda e: e.key == banned and e.is_at("groups"), times=None
    )
    accounts = entries(many)
    accounts[1] = entry(many, "globex", api_key="wrong")

    report = await export(accounts, tmp_path)

    assert not report.complete
    assert {name: report.state(name) for name in NAMES} == {
        "acme": "complete",
        "globex": "failed",
        "hooli": "failed",
        "initech": "complete",
        "umbrella": "incomplete",
    }
    assert isinstance(report.accounts["globex"], AuthenticationError)
    assert not (tmp_path / "globex").exists()
    assert isinstance(report.accounts["hooli"], ConfigurationError)
    assert not isinstance(report.accounts["hooli"], AlreadyCompleteError)
    assert "holds a complete export" in report.reason("hooli")
    assert report.reason("umbrella").startswith("groups: ")
    assert users(tmp_path / "initech") == 23


async def test_a_defect_stops_no_other(
    many: Simulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def sink(name: str) -> SinkFactory:
        if name == "acme":
            raise ZeroDivisionError
        return partial(JsonLinesSink, tmp_path / name)

    report = await export(entries(many), tmp_path, sink=sink)

    assert [report.state(name) for name in NAMES] == ["failed"] + ["complete"] * 4
    assert "ZeroDivisionError()" in report.reason("acme")
    assert "acme: a defect" in caplog.text


async def test_what_is_complete_is_left_as_it_is_and_what_is_not_is_finished(
    many: Simulator, tmp_path: Path
) -> None:
    accounts = entries(many)
    await export([*accounts[:3], entry(many, "initech", api_key="wrong")], tmp_path)
    before = {name: manifest(tmp_path / name) for name in NAMES[:3]}
    many.log.clear()

    report = await export(accounts, tmp_path)

    assert report.complete
    assert [report.state(name) for name in NAMES] == ["kept"] * 3 + ["complete"] * 2
    assert isinstance(report.accounts["acme"], AlreadyCompleteError)
    assert {name: manifest(tmp_path / name) for name in NAMES[:3]} == before
    assert {each.key for each in many.log} == {many.fingerprint(key_of(name)) for name in NAMES[3:]}
    again = await export(accounts, tmp_path, fresh=True)
    assert again.count("complete") == 5


@pytest.mark.parametrize(
    "otherwise", [{"resources": ["users"]}, {"verify": "none"}, {"members": "derived"}]
)
async def test_a_complete_export_of_something_else_is_not_what_was_asked_for(
    many: Simulator, tmp_path: Path, otherwise: dict[str, Any]
) -> None:
    await export(entries(many), tmp_path)

    report = await export(entries(many), tmp_path, **otherwise)

    assert not report.complete
    assert report.count("failed") == 5


async def test_an_unfinished_export_that_was_asked_for_in_another_way_is_its_own_error(
    many: Simulator, tmp_path: Path
) -> None:
    many.faults.add(Fault.status(403), path="groups", times=None)
    await export(entries(many), tmp_path)
    many.faults.clear()

    report = await export(entries(many), tmp_path, verify="full")

    assert {type(each) for each in report.accounts.values()} == {CheckpointMismatchError}


# -- refused before anything is touched ---------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"accounts": []}, "There is no account"),
        ({"at_once": 0}, "at_once is at least 1, not 0"),
        ({"resources": ["users", "nope"]}, "'nope' is not a resource"),
        ({"members": "guessed"}, "'fetched' or 'derived'"),
        ({"verify": "maybe"}, "verify"),
        ({"max_concurrency": 0}, "max_concurrency is at least 1"),
        ({"destination": " "}, "The destination is empty"),
    ],
)
async def test_what_no_account_could_do_is_refused_at_once(
    many: Simulator, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    given = {"accounts": entries(many), "destination": tmp_path / "out", **change}

    with pytest.raises(ConfigurationError, match=said):
        await export(given.pop("accounts"), given.pop("destination"), **given)

    assert len(many.log) == 0
    assert folders(tmp_path) == []


async def test_the_same_key_or_name_twice_is_refused_naming_both(
    many: Simulator, tmp_path: Path
) -> None:
    same_key = [entry(many, "acme"), entry(many, "twin", api_key=key_of("acme"))]
    same_name = [entry(many, "acme"), entry(many, "ACME", api_key="another")]

    with pytest.raises(ConfigurationError, match="'acme' and 'twin' have the same key"):
        await export(same_key, tmp_path)
    with pytest.raises(ConfigurationError, match="'acme' and 'ACME' would share a folder"):
        await export(same_name, tmp_path)

    assert len(many.log) == 0


async def test_a_keyword_that_nobody_knows_is_a_type_error(many: Simulator, tmp_path: Path) -> None:
    for name in ("nope", "kb"):
        options: dict[str, Any] = {name: 1}
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
            await export(entries(many), tmp_path, **options)


async def test_the_export_of_one_account_is_no_destination_of_many(
    many: Simulator, tmp_path: Path
) -> None:
    await export(entries(many, ["acme"]), tmp_path)

    with pytest.raises(ConfigurationError, match="holds the export of one account"):
        await export(entries(many), tmp_path / "acme")


# -- what is told ------------------------------------------------------------------------------


async def test_every_event_says_of_which_account_it_is(many: Simulator, tmp_path: Path) -> None:
    told: list[tuple[str, Event]] = []

    def watch(event: Event) -> None:
        assert isinstance(event, AccountEvent)
        told.append((event.account, event.event))
        raise ZeroDivisionError  # a watcher's defect stops nothing

    accounts = [*entries(many, NAMES[:3]), entry(many, "initech", api_key="wrong")]
    report = await export(accounts, tmp_path, on_event=watch)

    for name in NAMES[:3]:
        mine = [event for account, event in told if account == name]
        each = report.accounts[name]
        assert isinstance(each, ExportReport)
        assert sum(isinstance(event, RequestFinished) for event in mine) == each.requests
        assert any(isinstance(event, ExportProgress) for event in mine)
        assert mine[-1] == AccountFinished("complete", each.rows, each.requests, "")
    last = [event for account, event in told if account == "initech"][-1]
    assert last == AccountFinished("failed", 0, 0, report.reason("initech"))


async def test_the_report_is_json(many: Simulator, tmp_path: Path) -> None:
    accounts = [*entries(many, NAMES[:2]), entry(many, "hooli", api_key="wrong")]
    await export(entries(many, NAMES[:1]), tmp_path)

    report = await export(accounts, tmp_path)
    found = json.loads(json.dumps(report.to_json()))

    assert found["complete"] is False
    assert found["totals"] == {
        "accounts": 3,
        "complete": 1,
        "incomplete": 0,
        "kept": 1,
        "failed": 1,
        "rows": report.rows,
        "requests": report.requests,
    }
    assert {name: (a["state"], a["error"]) for name, a in found["accounts"].items()} == {
        "acme": ("kept", "AlreadyCompleteError"),
        "globex": ("complete", None),
        "hooli": ("failed", "AuthenticationError"),
    }
    assert found["accounts"]["globex"]["manifest"] == manifest(tmp_path / "globex")
    assert "key-of" not in json.dumps(found)


async def test_sinks_are_made_for_each_account(many: Simulator, tmp_path: Path) -> None:
    asked: list[str] = []

    def sink(name: str) -> SinkFactory:
        asked.append(name)
        return partial(JsonLinesSink, tmp_path / "elsewhere" / name)

    for name in NAMES:
        (tmp_path / "elsewhere" / name).mkdir(parents=True)

    report = await export(entries(many), tmp_path / "out", sink=sink, resources=["users"])

    assert report.complete
    assert sorted(asked) == sorted(NAMES)
    assert users(tmp_path / "elsewhere" / "hooli") == 22


# -- what was there before ---------------------------------------------------------------------


async def test_each_account_reuses_its_own_earlier_export(many: Simulator, tmp_path: Path) -> None:
    monday, tuesday = tmp_path / "monday", tmp_path / "tuesday"
    await export(entries(many, NAMES[:3]), monday)
    await export([entry(many, "initech", limits=Limits.of("3/1d"))], monday)

    report = await export(entries(many), tuesday, reuse=monday)

    assert report.complete
    reused = {
        each.account["name"]
        for each in report.reports()
        if "reused" in each.resources["recipients"].end_reasons
    }
    assert reused == set(NAMES[:3])  # what is incomplete is not reused, what is new has nothing to


@pytest.mark.parametrize(("folder", "said"), [("none", "is no folder"), ("out/acme", "of one")])
async def test_what_no_account_could_reuse_is_refused_at_once(
    many: Simulator, tmp_path: Path, folder: str, said: str
) -> None:
    await export(entries(many, ["acme"]), tmp_path / "out")
    many.log.clear()

    with pytest.raises(ConfigurationError, match=said):
        await export(entries(many), tmp_path / "new", reuse=tmp_path / folder)

    assert len(many.log) == 0


# -- leaving -----------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [1, 3, 10, 30])
async def test_cancelling_ends_every_account_and_running_again_finishes(
    many: Simulator, tmp_path: Path, after: int
) -> None:
    seen = 0
    task: asyncio.Task[AccountsReport] | None = None

    def count(event: Event) -> None:
        nonlocal seen
        seen += isinstance(event, AccountEvent) and isinstance(event.event, ExportProgress)
        if seen == after and task is not None:
            task.cancel()

    work = export(entries(many), tmp_path, at_once=2, on_event=count)
    task = asyncio.get_running_loop().create_task(work, name="the exports")
    with suppress(asyncio.CancelledError):
        await task

    assert task.cancelled()
    begun = [path for path in folders(tmp_path) if (path / "manifest.json").exists()]
    assert begun
    for folder in begun:
        found = manifest(folder)
        assert found["finished"] is not None
        assert not (folder / ".kb4.lock").exists()
    report = await export(entries(many), tmp_path)
    assert report.complete
    for number, name in enumerate(NAMES):
        assert users(tmp_path / name) == 20 + number


async def test_a_spent_quota_of_one_key_stops_no_other(many: Simulator, tmp_path: Path) -> None:
    accounts = [entry(many, "acme", limits=Limits.of("1/1d")), *entries(many, NAMES[1:])]
    await export(accounts[:1], tmp_path / "first", resources=["account"])

    report = await export(accounts, tmp_path)

    assert [report.state(name) for name in NAMES] == ["failed"] + ["complete"] * 4
    assert isinstance(report.accounts["acme"], QuotaExhaustedError)


async def test_the_accounts_of_a_file_are_exported(many: Simulator, tmp_path: Path) -> None:
    lines = []
    for name in NAMES:
        (tmp_path / f"{name}.key").write_text(key_of(name))
        lines += [f"[{name}]", f'base_url = "{many.base_url}"', f'key_file = "{name}.key"']
    (tmp_path / "accounts.toml").write_text("\n".join(lines))

    report = await export(read_accounts(tmp_path / "accounts.toml"), tmp_path / "out")

    assert report.complete
    assert len(report.accounts) == 5
