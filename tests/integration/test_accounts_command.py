"""``kb4 export --accounts`` as a person runs it: what is said, and one exit code for all."""

import json
import re
import signal
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from support.command import COMPLETE, CREDENTIALS, INCOMPLETE, USAGE, Finished, kb4, start

from kb4_async import (
    AccountsReport,
    AlreadyCompleteError,
    APIError,
    AuthenticationError,
    ConfigurationError,
    ExportReport,
    Gap,
    KB4Error,
    PermissionDeniedError,
    QuotaExhaustedError,
    ResourceReport,
    ServerError,
    SinkError,
)
from kb4_async.cli.many_accounts import accounts_code
from kb4_async.testing import Fault, Simulator, generate_account

QUOTA = 75
NAMES = ("acme", "globex", "initech")


@pytest.fixture
async def many() -> AsyncIterator[Simulator]:
    async with Simulator() as sim:
        for number, name in enumerate(NAMES):
            account = generate_account(
                number, users=20, groups=2, enrollments=5, training_campaigns=2
            )
            sim.add_account(f"key-of-{name}", account)
        yield sim


@pytest.fixture
def file(many: Simulator, tmp_path: Path) -> Path:
    """A file of the three accounts, each with the simulator's address."""
    (tmp_path / "keys").mkdir()
    for name in NAMES:
        (tmp_path / "keys" / name).write_text(f"key-of-{name}\n")
    return write(tmp_path / "accounts.toml", many)


def write(path: Path, sim: Simulator, limits: Mapping[str, str] | None = None) -> Path:
    tables = [
        f'[{name}]\nbase_url = "{sim.base_url}"\nkey_file = "keys/{name}"\n'
        f'limits = "{(limits or {}).get(name, "1000/60s")}"\n'
        for name in NAMES
    ]
    return write_text(path, "\n".join(tables))


def write_text(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


async def export(file: Path, *words: str, **environment: str) -> Finished:
    """Run the command; the destination is ``out`` beside the file."""
    return await kb4(
        "export", "--accounts", str(file), str(file.parent / "out"), *words, **environment
    )


def manifest_is_complete(folder: Path) -> bool:
    return bool(json.loads((folder / "manifest.json").read_bytes())["complete"])


async def test_each_account_is_a_line_and_all_are_one_table_and_one_code(
    many: Simulator, file: Path
) -> None:
    done = await export(file)

    assert done.code == COMPLETE
    assert done.out == b""
    flags = re.MULTILINE
    for name in NAMES:
        assert re.search(rf"^{name}: complete, [\d,]+ rows, \d+ requests\.$", done.err, flags)
        assert re.search(rf"^│ {name} +│ +[\d,]+ │ +\d+ │ +[\d.]+ │ complete │$", done.err, flags)
        assert manifest_is_complete(file.parent / "out" / name)
    assert re.search(r"Complete: 3 accounts; [\d,]+ records written into \S+/out\n$", done.err)
    assert len(done.err.splitlines()) == 3 + 10 + 1  # lines, table, sum
    assert "key-of" not in done.err


async def test_quiet_says_nothing_of_what_went_well_and_json_everything(file: Path) -> None:
    done = await export(file, "--quiet", "--json", "--resource", "groups")

    found = json.loads(done.out)
    assert (done.code, done.err) == (COMPLETE, "")
    assert found["complete"] is True
    assert list(found["accounts"]) == list(NAMES)
    for account in found["accounts"].values():
        assert account["manifest"]["resources"]["groups"]["rows"] == 2


async def test_options_of_an_export_are_those_of_each(many: Simulator, file: Path) -> None:
    done = await export(
        file,
        *("--members", "derived", "--verify", "none", "--at-once", "1", "--json", "--quiet"),
        *("--limits", "100/1s", "--max-concurrency", "2"),
    )

    assert done.code == COMPLETE
    for account in json.loads(done.out)["accounts"].values():
        told = account["manifest"]["parameters"]
        assert (told["members"], told["verify"]) == ("derived", "none")
    assert many.log.most_in_flight() <= 2
    assert many.requests("groups/*/members") == []


async def test_the_environments_key_and_address_are_not_used(file: Path) -> None:
    done = await export(file, KB4_API_KEY="wrong", KB4_BASE_URL="https://example.invalid/v1")

    assert done.code == COMPLETE


async def test_a_wrong_key_is_4_and_the_others_are_exported(file: Path) -> None:
    (file.parent / "keys" / "globex").write_text("wrong")

    done = await export(file)

    assert done.code == CREDENTIALS
    assert done.err.count("globex: failed") == 2  # when it happens, and again at the end
    assert "401" in done.err
    assert "INCOMPLETE: 1 of 3 accounts: globex." in done.err
    assert manifest_is_complete(file.parent / "out" / "acme")
    assert manifest_is_complete(file.parent / "out" / "initech")
    assert not (file.parent / "out" / "globex").exists()


async def test_one_incomplete_account_is_3_and_its_first_reason_is_said(
    many: Simulator, file: Path
) -> None:
    key = many.fingerprint("key-of-initech")
    many.faults.add(
        Fault.status(403), where=lambda e: e.key == key and e.is_at("training/enrollments")
    )

    done = await export(file, "--quiet")

    assert done.code == INCOMPLETE
    said, last = done.err.splitlines()
    assert said.startswith("initech: incomplete: enrollments: GET training/enrollments")
    assert last.startswith("INCOMPLETE: 1 of 3 accounts: initech.")


async def test_a_spent_quota_of_one_account_is_75(many: Simulator, file: Path) -> None:
    write(file, many, {"acme": "5/1d"})

    done = await export(file)

    assert done.code == QUOTA
    assert re.search(r"acme: incomplete, .* run again at \S+ or later", done.err)
    assert re.search(
        r"acme\. Run again, without --fresh, .* at 20\S+ \S+ or later \(--wait", done.err
    )
    assert manifest_is_complete(file.parent / "out" / "globex")


async def test_running_again_finishes_what_is_left_and_ends_with_0(
    many: Simulator, file: Path
) -> None:
    (file.parent / "keys" / "globex").write_text("wrong")
    await export(file)
    (file.parent / "keys" / "globex").write_text("key-of-globex")
    many.log.clear()

    again = await export(file)

    assert again.code == COMPLETE
    assert "acme: complete before, left as it is; --fresh replaces it." in again.err
    assert "Complete: 3 accounts, 2 of them complete before" in again.err
    assert {entry.key for entry in many.log} == {many.fingerprint("key-of-globex")}


async def test_where_all_are_complete_nothing_is_done_and_it_is_2(
    many: Simulator, file: Path
) -> None:
    await export(file)
    many.log.clear()

    again = await export(file, "--quiet")
    fresh = await export(file, "--quiet", "--fresh")

    assert again.code == USAGE
    assert "holds a complete export of every account" in again.err
    assert fresh.code == COMPLETE
    assert len(many.log) > 0


async def test_one_refused_account_among_others_is_3(file: Path) -> None:
    folder = file.parent / "out" / "globex"
    folder.mkdir(parents=True)
    (folder / "users.jsonl").write_text("precious")

    done = await export(file)

    assert done.code == INCOMPLETE
    assert "globex: failed. " in done.err
    assert "users.jsonl but no manifest" in done.err
    assert (folder / "users.jsonl").read_text() == "precious"
    assert manifest_is_complete(file.parent / "out" / "acme")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--region", "eu"], "--region does not go with --accounts"),
        (["--base-url", "https://example.com"], "--base-url does not go with --accounts"),
        (["--limits", "published"], "With --accounts the licensed users are given as a number"),
        (["--limits", "many"], "A limit is written like"),
        (["--resource", "cats"], "'cats' is not a resource"),
        (["--members", "guessed"], "'fetched' or 'derived'"),
    ],
)
async def test_what_cannot_be_is_2_and_one_sentence_before_any_request(
    many: Simulator, file: Path, words: list[str], said: str
) -> None:
    done = await export(file, *words)

    assert done.code == USAGE
    assert said in done.err
    assert done.err.count("\n") == 1
    assert len(many.log) == 0
    assert not (file.parent / "out").exists()


async def test_a_file_that_is_wrong_is_2_and_named(file: Path) -> None:
    wrong = await export(write_text(file, "[acme]\nregoin = 'eu'\n"))
    none = await export(file.with_name("none.toml"))
    alone = await kb4("export", "--at-once", "2", str(file.parent / "out"), KB4_API_KEY="k")

    for done in (wrong, none, alone):
        assert done.code == USAGE
        assert done.err.count("\n") == 1
    assert f"{file}: account 'acme', 'regoin': unknown field" in wrong.err
    assert "none.toml cannot be read (No such file or directory)" in none.err
    assert "--at-once goes with --accounts" in alone.err


async def test_a_limit_above_the_cap_is_told_with_its_account(many: Simulator, file: Path) -> None:
    write(file, many, {"globex": "5000/60s"})

    done = await export(file, "--resource", "groups")

    assert done.code == COMPLETE
    assert done.err.count("account 'globex', limits: A limit of 5000/60s is above the cap") == 1


async def test_a_ledger_that_cannot_be_used_is_told_once(file: Path) -> None:
    done = await export(file, "--quiet", "--resource", "groups", KB4_LEDGER="/dev/null/ledger")

    assert done.code == COMPLETE
    assert done.err.count("cannot use the ledger") == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_ends_all_cleanly_and_running_again_finishes(
    many: Simulator, file: Path, number: signal.Signals, code: int
) -> None:
    many.latency = 0.05
    out = file.parent / "out"
    process = await start("export", "--accounts", str(file), str(out), "--at-once", "1")
    assert process.stderr is not None
    first = (await process.stderr.readline()).decode()  # the first is complete: work is under way
    key = many.fingerprint("key-of-globex")
    process.send_signal(number)
    err = (await process.stderr.read()).decode()
    ended = await process.wait()
    many.latency = 0.0
    many.log.clear()

    again = await export(file)

    assert first.startswith("acme: complete")
    assert ended == code
    assert err.endswith("kb4: Interrupted. Run the same command again.\n")
    assert "Traceback" not in err
    assert again.code == COMPLETE
    assert many.requests(key=many.fingerprint("key-of-acme")) == []
    assert many.requests(key=key) != []
    assert all(manifest_is_complete(out / name) for name in NAMES)


# -- one code for all --------------------------------------------------------------------------


def whole() -> ExportReport:
    return ExportReport(Path(), {}, {}, {"users": ResourceReport("users", True)}, "", finished="")


def lacking(*errors: type[KB4Error]) -> ExportReport:
    resources = {
        str(number): ResourceReport(str(number), gaps=[Gap({}, error.__name__, "")])
        for number, error in enumerate(errors)
    }
    return ExportReport(Path(), {}, {}, resources, "", finished="")


KEPT, REFUSED = AlreadyCompleteError(""), ConfigurationError("")
UNKNOWN, SPENT, DOWN = AuthenticationError(""), QuotaExhaustedError(""), ServerError("")


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([whole()], 0),
        ([whole(), whole(), KEPT], 0),
        ([KEPT, KEPT], 2),
        ([REFUSED, REFUSED], 2),
        ([REFUSED, KEPT], 3),
        ([REFUSED, whole()], 3),
        ([REFUSED, UNKNOWN], 4),
        ([KEPT, UNKNOWN], 4),
        ([whole(), lacking(ServerError)], 3),
        ([whole(), SinkError("")], 3),
        ([whole(), APIError("")], 3),
        ([whole(), lacking(PermissionDeniedError)], 4),
        ([whole(), lacking(PermissionDeniedError, ServerError)], 3),
        ([whole(), lacking(AuthenticationError, ServerError)], 4),
        ([lacking(QuotaExhaustedError), DOWN, whole()], 75),
        ([SPENT, REFUSED], 75),
        ([SPENT, UNKNOWN, whole()], 4),
        ([DOWN, KB4Error("")], 3),
    ],
)
def test_the_code_of_all_is_the_first_that_applies_to_any(
    outcomes: list[ExportReport | KB4Error], code: int
) -> None:
    for ordered in (outcomes, outcomes[::-1]):
        accounts = {str(number): each for number, each in enumerate(ordered)}
        assert accounts_code(AccountsReport(Path(), accounts, "", "", 0.0)) == code
