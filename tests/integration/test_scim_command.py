"""``kb4 scim``: planning, guarding, writing, as a person does it."""

import asyncio
import json
import os
import signal
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.command import (
    COMPLETE,
    CREDENTIALS,
    GUARD,
    INCOMPLETE,
    PENDING,
    USAGE,
    Finished,
    kb4,
    start,
)

from kb4_async.testing import Account, Fault, ScimRules, Simulator, generate_account

WRITES = ("POST", "PUT", "PATCH", "DELETE")


def generate() -> Account:
    """An account whose names have no blanks at their ends, for a cell of a file keeps none."""
    account = generate_account(users=60, groups=3)
    for user in list(account.users):
        tidy = {name: (user[name] or "").strip() for name in ("first_name", "last_name")}
        account.users.update(user["id"], **tidy)
    return account


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(generate()) as sim:
        yield sim


def variables(sim: Simulator) -> dict[str, str]:
    return {
        "KB4_SCIM_TOKEN": sim.scim_token,
        "KB4_TENANT_URL": sim.tenant_url,
        "KB4_API_KEY": sim.api_key,
        "KB4_BASE_URL": sim.base_url,
    }


async def scim(sim: Simulator, *words: str, **environment: str) -> Finished:
    """Run it; no secret is ever said."""
    quick = () if words[0] in {"get", "ensure", "doctor"} else ("--limits", "900/1s")
    done = await kb4("scim", *words, *quick, **{**variables(sim), **environment})
    assert sim.scim_token not in done.text + done.err
    return done


def written(sim: Simulator) -> list[str]:
    return [entry.line for entry in sim.log if entry.method in WRITES]


def hr_file(folder: Path, sim: Simulator, *, leave_out: int = 0, add: int = 0) -> Path:
    """An export of the personnel system: everybody, as they are."""
    lines = ["Work Email;First Name;Last Name"]
    people = list(sim.account.users)[leave_out:]
    lines += [
        f"{user['email']};{user['first_name']};{user['last_name']}"
        for user in people
        if user["status"] == "active"
    ]
    lines += [f"new.hire{number}@example.test;Ada;Löwe" for number in range(add)]
    path = folder / "hr.csv"
    path.write_text("\r\n".join(lines) + "\r\n", encoding="utf-8-sig")
    return path


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def emails(sim: Simulator, status: str = "active") -> set[str]:
    return {user["email"] for user in sim.account.users if user["status"] == status}


async def test_plan_then_apply_brings_new_hires_into_the_account(
    sim: Simulator, tmp_path: Path
) -> None:
    hr, plan = hr_file(tmp_path, sim, add=3), tmp_path / "plan.json"

    planned = await scim(sim, "plan", str(hr), "--out", str(plan))

    assert planned.code == PENDING, planned.err
    assert "users to create: 3" in planned.text
    assert "+ new.hire0@example.test" in planned.text
    assert f"kb4 scim apply {plan}" in planned.err
    assert written(sim) == []
    assert stat.S_IMODE(plan.stat().st_mode) == 0o600

    applied = await scim(sim, "apply", str(plan), "--verify")

    assert applied.code == COMPLETE, applied.err
    assert applied.text.count("created") == 3
    assert "3 of 3 done: 3 created" in applied.err
    assert "shows 3 of these users as written" in applied.err
    assert {f"new.hire{number}@example.test" for number in range(3)} <= emails(sim)

    again = await scim(sim, "apply", str(plan), "--json")
    assert (again.code, {line["result"] for line in again.records()}) == (COMPLETE, {"unchanged"})
    nothing = await scim(sim, "plan", str(hr))
    assert nothing.code == COMPLETE
    assert "nothing to write" in nothing.text


async def test_who_is_missing_is_named_and_left_alone(sim: Simulator, tmp_path: Path) -> None:
    planned = await scim(sim, "plan", str(hr_file(tmp_path, sim, leave_out=20)))

    assert planned.code == COMPLETE
    assert "active users that are not wanted, left alone: " in planned.text


async def test_a_truncated_file_is_refused_by_the_guard(sim: Simulator, tmp_path: Path) -> None:
    hr, plan = hr_file(tmp_path, sim, leave_out=20), tmp_path / "plan.json"
    before = emails(sim)

    planned = await scim(sim, "plan", str(hr), "--missing", "deactivate", "--out", str(plan))
    applied = await scim(sim, "apply", str(plan))

    assert planned.code == GUARD
    assert "users to deactivate: 20" in planned.err
    assert "raise max_deactivation_percent (--max-deactivation-percent)" in planned.err
    assert applied.code == GUARD
    assert applied.err.startswith("kb4: Nothing was written.")
    assert applied.err.count("\n") == 1
    assert written(sim) == []
    assert emails(sim) == before


async def test_leavers_are_archived_where_the_guard_allows_it(
    sim: Simulator, tmp_path: Path
) -> None:
    hr, plan = hr_file(tmp_path, sim, leave_out=2), tmp_path / "plan.json"
    gone = {user["email"] for user in list(sim.account.users)[:2]} & emails(sim)
    allow = ("--max-deactivation-percent", "50")

    await scim(sim, "plan", str(hr), "--missing", "deactivate", "--out", str(plan), *allow)
    applied = await scim(sim, "apply", str(plan), *allow)

    assert applied.code == COMPLETE, applied.err
    assert gone <= emails(sim, "archived")


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        ("", GUARD, "The desired state has no users at all"),
        ("Work Email\n", GUARD, "The desired state has no users at all"),
        ("Name,Title\nAda,CISO\n", USAGE, "'Name', 'Title'"),
        ("email,mail\na@example.test,b@example.test\n", USAGE, "mail"),
    ],
)
async def test_a_file_that_says_nothing_of_use_is_refused(
    sim: Simulator, tmp_path: Path, content: str, code: int, said: str
) -> None:
    path = tmp_path / "hr.csv"
    path.write_text(content)

    done = await scim(sim, "plan", str(path), "--missing", "deactivate")

    assert (done.code, done.text) == (code, "")
    assert said in done.err
    assert done.err.count("\n") == 1


async def test_one_bad_line_costs_that_line_alone(sim: Simulator, tmp_path: Path) -> None:
    hr = hr_file(tmp_path, sim, leave_out=2, add=2)
    with hr.open("a", encoding="utf-8") as file:
        file.write("bob at example;Bob;Builder\r\n")

    planned = await scim(sim, "plan", str(hr), "--missing", "deactivate")

    assert planned.code == INCOMPLETE
    assert "left out of the input: 1" in planned.text
    assert "bob at example" in planned.text
    assert "users to create: 2" in planned.text
    assert "nobody who is missing is deactivated" in planned.text
    assert "users to deactivate" not in planned.text


@pytest.mark.parametrize("damage", ["edited", "text", "other", "missing"])
async def test_a_plan_that_is_none_is_refused_in_one_sentence(
    sim: Simulator, tmp_path: Path, damage: str
) -> None:
    plan = tmp_path / "plan.json"
    await scim(sim, "plan", str(hr_file(tmp_path, sim, add=1)), "--out", str(plan))
    text = plan.read_text()
    changed = {
        "edited": text.replace("new.hire0", "new.hire9"),
        "text": "not json",
        "other": json.dumps({"users": []}),
    }
    if damage == "missing":
        plan.unlink()
    else:
        plan.write_text(changed[damage])

    done = await scim(sim, "apply", str(plan))

    assert (done.code, done.text) == (USAGE, "")
    assert done.err.count("\n") == 1
    assert written(sim) == []


async def test_a_plan_of_another_tenant_is_refused(sim: Simulator, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    await scim(sim, "plan", str(hr_file(tmp_path, sim, add=1)), "--out", str(plan))

    async with Simulator(generate_account(users=5)) as other:
        done = await scim(other, "apply", str(plan))
        assert len(other.log) == 0

    assert done.code == USAGE
    assert "plan again" in done.err


@pytest.mark.parametrize("what", ["nowhere", "folder", "pipe", "link to a pipe"])
async def test_an_unwritable_plan_file_is_said_before_anything_is_asked(
    sim: Simulator, tmp_path: Path, what: str
) -> None:
    out, pipe = tmp_path / "plan.json", tmp_path / "pipe"
    if what == "nowhere":
        out = tmp_path / "no" / "such" / "plan.json"
    elif what == "folder":
        out.mkdir()
    elif what == "pipe":
        os.mkfifo(out)
    else:
        os.mkfifo(pipe)
        out.symlink_to(pipe)
    before = names(tmp_path)

    done = await scim(sim, "plan", str(hr_file(tmp_path, sim)), "--out", str(out))

    assert (done.code, done.text) == (USAGE, "")
    assert "The plan cannot be written" in done.err
    assert done.err.count("\n") == 1
    assert len(sim.log) == 0
    assert names(tmp_path) == sorted([*before, "hr.csv"])


async def test_a_plan_goes_where_a_link_leads(sim: Simulator, tmp_path: Path) -> None:
    target, link = tmp_path / "target.json", tmp_path / "plan.json"
    target.write_text("older")
    link.symlink_to(target)

    done = await scim(sim, "plan", str(hr_file(tmp_path, sim, add=1)), "--out", str(link))

    assert done.code == PENDING, done.err
    assert link.is_symlink()
    assert json.loads(target.read_text())["format"] == "kb4_async SCIM plan"


async def test_a_wrong_token_is_4_and_says_what_to_do(sim: Simulator, tmp_path: Path) -> None:
    hr = hr_file(tmp_path, sim)
    for words in (["list", "users"], ["plan", str(hr)], ["doctor"], ["ensure", "users", "a@b"]):
        done = await scim(sim, *words, KB4_SCIM_TOKEN="wrong")
        assert done.code == CREDENTIALS, words
        assert "SSO and SCIM must be switched on" in done.err + done.text


async def test_a_reporting_key_is_told_from_a_scim_token(sim: Simulator) -> None:
    done = await scim(sim, "list", "users", KB4_SCIM_TOKEN=sim.api_key)

    assert done.code == CREDENTIALS
    assert "it is a Reporting API key" in done.err


async def test_no_token_is_2(sim: Simulator) -> None:
    done = await kb4("scim", "list", "users", KB4_TENANT_URL=sim.tenant_url)

    assert done.code == USAGE
    assert "No SCIM token was given: set KB4_SCIM_TOKEN" in done.err


async def test_scim_that_is_switched_off_is_4(sim: Simulator) -> None:
    sim.scim_rules = replace(sim.scim_rules, sso=False)

    done = await scim(sim, "ensure", "users", "a@example.test")

    assert done.code == CREDENTIALS
    assert "SAML SSO and SCIM must be switched on" in done.err


async def test_list_and_get_print_what_the_server_has(sim: Simulator) -> None:
    users = (await scim(sim, "list", "users")).records()
    assert len(users) == 60
    one = await scim(sim, "get", "users", users[0]["userName"])
    assert one.records() == [users[0]]
    groups = (await scim(sim, "list", "groups", "--max-items", "2")).records()
    assert len(groups) == 2
    group = await scim(sim, "get", "groups", groups[0]["displayName"])
    assert group.records()[0]["id"] == groups[0]["id"]


@pytest.mark.parametrize("wrong", ["path", "redirect"])
async def test_a_wrong_tenant_url_is_4_and_says_what_to_do(
    sim: Simulator, tmp_path: Path, wrong: str
) -> None:
    address = sim.tenant_url
    if wrong == "path":
        address += "/more"
    else:
        there = {"location": "https://x.example/login"}
        sim.faults.add(Fault.status(302, headers=there, applied=False), times=None)
    for words in (
        ["list", "users"],
        ["list", "groups"],
        ["plan", str(hr_file(tmp_path, sim))],
        ["doctor"],
        ["ensure", "users", "a@example.test"],
        ["get", "users", "a@example.test"],
        ["deactivate", "a@example.test"],
    ):
        done = await scim(sim, *words, KB4_TENANT_URL=address)
        assert done.code == CREDENTIALS, words
        assert "check the Tenant URL" in done.err + done.text
    assert written(sim) == []


async def test_get_of_nobody_is_3(sim: Simulator) -> None:
    done = await scim(sim, "get", "users", "nobody@example.test")

    assert done.code == INCOMPLETE
    assert "there is no such user" in done.err


async def test_ensure_creates_changes_and_leaves_alone(sim: Simulator) -> None:
    words = ("ensure", "users", "ada@example.test", "--set", "givenName=Ada", "--json")

    made = await scim(sim, *words)
    same = await scim(sim, *words)
    changed = await scim(sim, *words, "--set", "title=CISO")
    renamed = await scim(sim, "ensure", "users", "ada@example.test", "--set", "userName=al@x.test")

    results = [done.records()[0]["result"] for done in (made, same, changed)]
    assert results == ["created", "unchanged", "updated"]
    assert "userName: 'ada@example.test' -> 'al@x.test'" in renamed.text
    (user,) = [user for user in sim.account.users if user["email"] == "al@x.test"]
    assert (user["first_name"], user["job_title"]) == ("Ada", "CISO")


async def test_ensure_of_a_group_sets_its_members(sim: Simulator) -> None:
    names = sorted(emails(sim))[:3]
    words = [word for name in names for word in ("--member", name)]

    done = await scim(sim, "ensure", "groups", 'Engineering "R\\D" 🚀', *words)

    assert done.code == COMPLETE, done.err
    assert done.text.startswith("created      group    Engineering")
    (group,) = [g for g in sim.account.groups if g["name"].startswith("Engineering")]
    assert {user["email"] for user in sim.account.members[group["id"]]} == set(names)


@pytest.mark.parametrize(
    "words",
    [
        ("ensure", "users", "a@b", "--set", "nonsense=1"),
        ("ensure", "users", "a@b", "--set", "title"),
        ("ensure", "users", "a@b", "--set", "active=maybe"),
        ("ensure", "users", "a@b", "--clear", "active"),
        ("ensure", "users", "a@b", "--member", "c@d"),
        ("ensure", "groups", "G", "--set", "title=1"),
        ("list", "people"),
        ("plan",),
        ("plan", "nowhere.csv"),
        ("plan", "-", "--missing", "delete"),
        ("plan", "-", "--column", "Mail"),
        ("plan", "-", "--ignore", "nonsense"),
        ("ensure", "users", "a@b", "--update-mode", "post"),
    ],
)
async def test_what_makes_no_sense_is_2_in_one_sentence(
    sim: Simulator, words: tuple[str, ...]
) -> None:
    done = await scim(sim, *words)

    assert (done.code, done.text) == (USAGE, "")
    assert done.err.startswith("kb4: ")
    assert done.err.count("\n") == 1
    assert written(sim) == []


async def test_deactivate_asks_before_it_archives_several(sim: Simulator) -> None:
    names = sorted(emails(sim))[:3]

    asked = await scim(sim, "deactivate", *names)
    assert asked.code == USAGE
    assert "users to deactivate: 3" in asked.err
    assert "add --yes" in asked.err
    assert written(sim) == []

    done = await scim(sim, "deactivate", *names, "--yes")
    assert done.code == COMPLETE, done.err
    assert done.text.count("deactivated") == 3
    assert set(names) <= emails(sim, "archived")
    single = await scim(sim, "deactivate", names[0])
    assert (single.code, single.text.split()[0]) == (COMPLETE, "unchanged")


async def test_of_two_of_one_name_the_id_says_who_is_archived() -> None:
    async with Simulator(generate(), scim=ScimRules(unique_users=False)) as sim:
        first, second, other = [user["email"] for user in list(sim.account.users)[:3]]
        ids = {user["email"]: user["id"] for user in sim.account.users}
        sim.account.users.update(ids[second], email=first)
        everybody = (await scim(sim, "list", "users")).records()
        doubles = [user["id"] for user in everybody if user["userName"] == first]
        (third,) = [user["id"] for user in everybody if user["userName"] == other]

        done = await scim(sim, "deactivate", doubles[1], third, "--yes", "--json")
        again = await scim(sim, "deactivate", doubles[1], third, third, "--yes", "--json")
        named = await scim(sim, "deactivate", first, other, "--yes")

        assert done.code == COMPLETE, done.err
        found = {line["id"]: line["result"] for line in done.records()}
        assert found == {doubles[1]: "deactivated", third: "deactivated"}
        assert [line["result"] for line in again.records()] == ["unchanged", "unchanged"]
        after = {
            user["id"]: user["active"] for user in (await scim(sim, "list", "users")).records()
        }
        assert (after[doubles[0]], after[doubles[1]], after[third]) == (True, False, False)
        assert (named.code, named.text) == (INCOMPLETE, "")
        assert "none was chosen" in named.err


async def test_a_source_that_was_left_out_as_a_whole_says_why(
    sim: Simulator, tmp_path: Path
) -> None:
    path = tmp_path / "hr.csv"
    path.write_text("Work Email,Title\nbob at x,T\neve at x,T\n")

    done = await scim(sim, "plan", str(path))

    assert (done.code, done.text) == (GUARD, "")
    assert "all 2 were left out, the first: line 2 (bob at x): 'bob at x' is no e-mail" in done.err
    assert done.err.count("\n") == 1


async def test_test_mode_is_found_by_verify(tmp_path: Path) -> None:
    rules = ScimRules(test_mode=True)
    async with Simulator(generate(), scim=rules) as sim:
        plan = tmp_path / "plan.json"
        await scim(sim, "plan", str(hr_file(tmp_path, sim, add=2)), "--out", str(plan))

        done = await scim(sim, "apply", str(plan), "--verify")

    assert done.code == INCOMPLETE
    assert "2 of 2 done: 2 created" in done.err
    assert "not yet: new.hire0@example.test (the user)" in done.err
    assert "Test Mode is on" in done.err


async def test_an_interrupted_apply_goes_on_where_it_was(sim: Simulator, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    await scim(sim, "plan", str(hr_file(tmp_path, sim, add=12)), "--out", str(plan))
    sim.latency = 0.02
    enough = asyncio.Event()

    def look(entry: Any) -> None:
        if entry.method == "POST" and len(sim.requests("Users", method="POST")) >= 4:
            enough.set()

    sim.on_request = look
    process = await start("scim", "apply", str(plan), "--limits", "900/1s", **variables(sim))
    await enough.wait()
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    sim.on_request, sim.latency = None, 0.0

    assert process.returncode == 130
    assert b"of 12 done" in err
    assert b"Interrupted. What was written stays written" in err
    done = await scim(sim, "apply", str(plan))
    assert done.code == COMPLETE, done.err
    new = [user["email"] for user in sim.account.users if user["email"].startswith("new.hire")]
    assert sorted(new) == sorted(f"new.hire{number}@example.test" for number in range(12))


async def test_trouble_of_one_user_is_3_and_the_others_are_done(
    sim: Simulator, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.json"
    await scim(sim, "plan", str(hr_file(tmp_path, sim, add=3)), "--out", str(plan))
    sim.faults.add(
        Fault.status(400, body=b'{"detail": "not this one", "status": "400"}', applied=False),
        method="POST",
    )

    done = await scim(sim, "apply", str(plan))

    assert done.code == INCOMPLETE
    assert "3 of 3 done: 2 created, 1 failed" in done.err
    assert "not this one" in done.text
    assert "apply the same plan again" in done.err


async def test_doctor_tells_what_it_saw(sim: Simulator) -> None:
    done = await scim(sim, "doctor", "--json")

    (found,) = done.records()
    assert found["healthy"]
    names = [check["name"] for check in found["checks"]]
    assert names[:6] == ["token", "address", "users", "groups", "filter", "offers"]
    assert written(sim) == []
