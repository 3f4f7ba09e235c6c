"""The command ``kb4`` as a person runs it: a process, its output, its exit code."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.command import COMPLETE, CREDENTIALS, INCOMPLETE, USAGE, kb4, start

from kb4_async.testing import Account, Fault, Simulator, generate_account


@pytest.fixture
async def small() -> AsyncIterator[Simulator]:
    account = generate_account(users=40, groups=4, enrollments=30, training_campaigns=3)
    async with Simulator(account) as sim:
        yield sim


@pytest.fixture
def env(small: Simulator) -> dict[str, str]:
    return {"KB4_API_KEY": small.api_key, "KB4_BASE_URL": small.base_url}


async def test_export_writes_everything_and_says_so(
    small: Simulator, env: dict[str, str], tmp_path: Path
) -> None:
    done = await kb4("export", str(tmp_path / "out"), **env)

    assert done.code == COMPLETE
    assert done.out == b""
    assert "users: 40 rows, complete." in done.err
    assert "Complete: " in done.err
    assert len((tmp_path / "out" / "users.jsonl").read_bytes().splitlines()) == 40
    assert small.api_key not in done.err


async def test_export_prints_its_report_as_json(env: dict[str, str], tmp_path: Path) -> None:
    done = await kb4("export", str(tmp_path), "--resource", "groups", "--json", "--quiet", **env)

    assert done.code == COMPLETE
    assert json.loads(done.out)["resources"]["groups"]["rows"] == 4
    assert done.err == ""


async def test_an_incomplete_export_is_3_and_names_what_is_missing(
    small: Simulator, env: dict[str, str], tmp_path: Path
) -> None:
    small.faults.add(Fault.status(403), path="training/enrollments", times=None)

    done = await kb4("export", str(tmp_path), **env)

    assert done.code == INCOMPLETE
    assert "missing from enrollments: GET training/enrollments" in done.err
    assert "INCOMPLETE" in done.err


async def test_forbidden_everywhere_is_4(
    small: Simulator, env: dict[str, str], tmp_path: Path
) -> None:
    small.faults.add(Fault.status(403), times=None)

    assert (await kb4("export", str(tmp_path), **env)).code == CREDENTIALS


async def test_an_empty_account_is_0_with_a_hint(tmp_path: Path) -> None:
    empty = generate_account(
        users=0, groups=0, enrollments=0, training_campaigns=0, phishing_campaigns=0
    )
    async with Simulator(empty) as sim:
        done = await kb4(
            "export", str(tmp_path), KB4_API_KEY=sim.api_key, KB4_BASE_URL=sim.base_url
        )

    assert done.code == COMPLETE
    assert "another region" in done.err


@pytest.mark.parametrize(
    ("words", "environment", "said"),
    [
        (["list", "users"], {"KB4_API_KEY": ""}, "No Reporting API key was given"),
        (["list", "users"], {"KB4_API_KEY": "two\nlines"}, "holds a line break"),
        (["list", "users"], {"KB4_API_KEY_FILE": "/no/such/file"}, "cannot be read"),
        (["list", "users"], {"KB4_REGION": "mars"}, "use one of us, eu, ca, uk, de"),
        (["list", "users"], {"KB4_BASE_URL": "http://example.com/v1"}, "unencrypted"),
        (["list", "cats"], {}, "'cats' is not a resource here: choose from account, users"),
        (["list", "users", "-f", "colour=red"], {}, "it has: status, group_id, expand"),
        (["list", "users", "--status", "gone"], {}, "'active' or 'archived'"),
        (["list", "users", "--per-page", "501"], {}, "from 1 to 500"),
        (["list", "users", "--group", "1"], {}, "--group goes with members"),
        (["get", "users"], {}, "Give the id"),
        (["get", "users", ".."], {}, "names no record"),
        (["export", "/dev/null/out"], {}, "is a file"),
        (["export", "out", "--limits", "many"], {}, "A limit is written like"),
    ],
)
async def test_bad_input_is_2_and_one_sentence_before_any_request(
    words: list[str], environment: dict[str, str], said: str
) -> None:
    if "KB4_API_KEY" not in environment and "KB4_API_KEY_FILE" not in environment:
        environment = {"KB4_API_KEY": "key", **environment}

    done = await kb4(*words, **environment)

    assert done.code == USAGE
    assert said in done.err
    assert done.err.count("\n") == 1
    assert done.out == b""


async def test_a_wrong_key_is_4(env: dict[str, str], tmp_path: Path) -> None:
    done = await kb4("export", str(tmp_path / "out"), **{**env, "KB4_API_KEY": "wrong"})

    assert done.code == CREDENTIALS
    assert "kb4 doctor" in done.err
    assert not (tmp_path / "out").exists()


async def test_nobody_there_is_3(env: dict[str, str]) -> None:
    async with Simulator(generate_account(users=1, groups=0)) as gone:
        address = gone.base_url

    process = await start("get", "account", **{**env, "KB4_BASE_URL": address})
    try:
        async with asyncio.timeout(50):
            _, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()

    assert process.returncode == INCOMPLETE
    assert b"got no whole answer" in err


async def test_proxies_of_the_environment_are_used(small: Simulator, env: dict[str, str]) -> None:
    # A simulator that knows no such key stands in for the proxy: what it answers, it was asked.
    async with Simulator(generate_account(users=1), api_key="another") as proxy:
        through = await kb4("list", "groups", **env, http_proxy=proxy.origin)
        beside = await kb4("list", "groups", **env, http_proxy=proxy.origin, no_proxy="127.0.0.1")

        assert through.code == CREDENTIALS
        assert len(proxy.log) == 1
    assert beside.code == COMPLETE
    assert len(beside.out.splitlines()) == len(small.account.groups)


async def test_list_prints_the_lines_an_export_writes(env: dict[str, str], tmp_path: Path) -> None:
    await kb4("export", str(tmp_path), **env)

    for name in [
        "users",
        "groups",
        "members",
        "training_campaigns",
        "phishing_campaigns",
        "security_tests",
        "recipients",
        "store_purchases",
        "policies",
        "account_risk_history",
    ]:
        listed = await kb4("list", name, **env)
        assert listed.code == COMPLETE
        exported = (tmp_path / f"{name}.jsonl").read_bytes()
        assert sorted(listed.out.splitlines()) == sorted(exported.splitlines())


async def test_simulate_pages_as_it_is_told(tmp_path: Path) -> None:
    words = ("--port", "0", "--users", "20", "--quiet", "--cursors", "header")
    process = await start("simulate", *words, "--numbers", "refused", "--published-limits")
    assert process.stdout is not None
    try:
        await process.stdout.readline()
        said = (await process.stdout.readline()).decode()
        address = said.partition("KB4_BASE_URL=")[2].split()[0]
        listed = await kb4("list", "users", KB4_BASE_URL=address, KB4_API_KEY="simulated-key")
    finally:
        process.terminate()
        await process.wait()

    assert listed.code == COMPLETE
    assert len(listed.out.splitlines()) == 20
    refused = await kb4("simulate", "--numbers", "sideways")
    assert refused.code == USAGE
    assert "work, refused, ignored" in refused.err


async def test_list_takes_filters_and_parents(small: Simulator, env: dict[str, str]) -> None:
    group = next(g["id"] for g in small.account.groups if g["member_count"])

    members = await kb4("list", "members", "--group", str(group), **env)
    archived = await kb4("list", "users", "--status", "archived", **env)
    few = await kb4("list", "users", "--max-items", "3", **env)

    assert {m["group_id"] for m in members.records()} == {str(group)} or {
        m["group_id"] for m in members.records()
    } == {group}
    assert {u["status"] for u in archived.records()} <= {"archived"}
    assert len(few.records()) == 3


async def test_list_into_head_ends_quietly(account: Account) -> None:
    async with Simulator(account) as sim:
        process = await start(
            "list",
            "users",
            "--per-page",
            "50",
            KB4_API_KEY=sim.api_key,
            KB4_BASE_URL=sim.base_url,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        await process.stdout.readline()
        process.stdout._transport.close()  # type: ignore[attr-defined]  # as head does
        err = await process.stderr.read()
        code = await process.wait()

    assert (code, err) == (COMPLETE, b"")


async def test_get_prints_one_record(small: Simulator, env: dict[str, str]) -> None:
    user = small.account.users[3]

    found = await kb4("get", "users", str(user["id"]), **env)
    missing = await kb4("get", "users", "1", **env)

    assert found.records() == [user]
    assert missing.code == INCOMPLETE
    assert "404" in missing.err


async def test_doctor_tells_a_good_key_from_a_bad_one(env: dict[str, str]) -> None:
    good = await kb4("doctor", **env)
    bad = await kb4("doctor", "--json", **{**env, "KB4_API_KEY": "wrong"})

    assert good.code == COMPLETE
    assert b"failed" not in good.out
    assert bad.code == CREDENTIALS
    assert json.loads(bad.out)["healthy"] is False
    assert b"wrong" not in bad.out.replace(b"wrong region", b"")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_ends_an_export_cleanly(
    account: Account, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    async with Simulator(account, latency=0.05) as sim:
        process = await start(
            "export", str(tmp_path), KB4_API_KEY=sim.api_key, KB4_BASE_URL=sim.base_url
        )
        assert process.stderr is not None
        await process.stderr.readline()  # the first resource is complete: work is under way
        process.send_signal(number)
        err = (await process.stderr.read()).decode()
        ended = await process.wait()

    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    assert ended == code
    assert err.endswith("kb4: Interrupted. Run the same command again.\n")
    assert "Traceback" not in err
    assert manifest["complete"] is False
    for name, entry in manifest["resources"].items():
        if "file" in entry:
            text = (tmp_path / f"{name}.jsonl").read_bytes()
            assert (len(text), text.count(b"\n")) == (entry["bytes"], entry["rows"])


async def test_demo_needs_no_account(tmp_path: Path) -> None:
    done = await kb4("demo", str(tmp_path / "demo"), "--users", "30")

    assert done.code == COMPLETE
    assert "busiest minute" in done.err
    assert (tmp_path / "demo" / "manifest.json").exists()


async def test_simulate_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    process = await start("simulate", "--port", "0", "--users", "20", "--quiet")
    assert process.stdout is not None
    await process.stdout.readline()
    words = (await process.stdout.readline()).decode().split()
    environment = dict(word.split("=", 1) for word in words if "=" in word)

    done = await kb4("list", "users", **environment)
    process.send_signal(signal.SIGINT)
    await process.communicate()

    assert len(done.records()) == 20
    assert process.returncode == 130


async def test_version_and_help(env: dict[str, str]) -> None:
    version = await kb4("--version")
    bare = await kb4("--help")

    assert version.out.startswith(b"kb4 ")
    for name in (b"export", b"list", b"get", b"doctor", b"simulate", b"demo"):
        assert name in bare.out
