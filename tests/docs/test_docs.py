"""README and docs say what the code does: compared here, so that neither moves alone."""

import dataclasses
import inspect
import operator
import re
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
import typer
from support.documentation import DOCS, PAGES, read, table

import kb4_async
import kb4_async.sinks
import kb4_async.testing
from kb4_async import DEFAULT_RESOURCES, ON_REQUEST, Event, KB4Error, ReportingClient
from kb4_async.cli import running
from kb4_async.cli.app import app
from kb4_async.errors import IncompleteReason
from kb4_async.export.manifest import ExportReport, ResourceReport
from kb4_async.export.resources import NEEDS
from kb4_async.options import Paging
from kb4_async.protocol.endpoints import ENDPOINTS, Endpoint, Filter
from kb4_async.protocol.ends import EndReason
from kb4_async.protocol.request import query_text
from kb4_async.reporting.base import Noun
from kb4_async.testing import Simulator, generate_account


def filter_text(row: Filter) -> str:
    kind = row.kind
    if kind == "choice":
        kind = ", ".join(f"`{choice}`" for choice in row.choices)
    default = "" if row.default is None else f" = {query_text(row.default)}"
    return f"`{row.name}` ({kind}){default}"


def path_text(path: str | None) -> str:
    return f"`{path}`" if path else ""


@pytest.mark.parametrize("row", ENDPOINTS.values(), ids=lambda row: row.resource)
def test_endpoints_are_those_of_the_table(row: Endpoint) -> None:
    rows = {cells[0]: cells for cells in table(read("docs/reference/endpoints.md"), "Resource")}

    assert list(rows) == list(ENDPOINTS)
    _, _, path, key, filters, one = rows[row.resource]
    assert path == ("" if row.path == row.one else path_text(row.path))
    assert key == f"`{row.key}`"
    assert filters == ", ".join(filter_text(each) for each in row.filters)
    assert one == path_text(row.one)


def test_every_noun_that_is_named_exists() -> None:
    kb = ReportingClient("key")
    for page in PAGES:
        for path in re.findall(r"`kb((?:\.\w+)+)", page.read_text(encoding="utf-8")):
            value: object = kb
            for name in path.strip(".").split("."):
                assert hasattr(value, name), f"{page.name}: kb{path}"
                value = getattr(value, name)


def test_every_method_of_a_noun_is_in_the_table() -> None:
    kb = ReportingClient("key")
    internal = {"listing", "one", "one_page", "page"}
    rows = table(read("docs/reference/library.md"), "Noun")

    assert len(rows) == 9
    for noun, methods in rows:
        value = operator.attrgetter(noun.strip("`").removeprefix("kb."))(kb)
        there = {name for name, _ in inspect.getmembers(value, inspect.ismethod) if name[0] != "_"}
        assert set(re.findall(r"`(\w+)\(", methods)) == there - internal


def test_resources_are_those_of_an_export() -> None:
    rows = table(read("docs/reference/export.md"), "Resource")

    names = {when: [r[0].strip("`") for r in rows if r[2] == when] for _, _, when, _ in rows}
    assert names == {"by default": [*DEFAULT_RESOURCES], "on request": [*ON_REQUEST]}
    assert {r[0].strip("`"): r[3].strip("`") for r in rows if r[3]} == dict(NEEDS)


def flat(commands: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Every command by what is typed after ``kb4``, those of groups included."""
    found: dict[str, Any] = {}
    for name, command in commands.items():
        inner = getattr(command, "commands", None)
        found |= {f"{before}{name}": command} if inner is None else flat(inner, f"{name} ")
    return found


COMMANDS = flat(typer.main.get_command(app).commands)  # type: ignore[attr-defined]  # it is a group


def section(page: str, heading: str) -> str:
    """What stands between a heading and the next of its rank."""
    found = re.search(rf"^{heading}\b.*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[0]


def options_of(command: Any) -> set[str]:
    return {o for p in command.params for o in (*p.opts, *p.secondary_opts) if o[0] == "-"}


def options_in(rows: list[list[str]]) -> set[str]:
    return {name for row in rows for name in re.findall(r"`(--?[a-z][a-z-]*)`", row[0])}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_is_described(name: str) -> None:
    page = read("docs/reference/command.md")
    own = section(page, f"## kb4 {name}")
    shared = section(page, "## Options of every")
    if name.startswith("scim "):
        shared = section(page, "## kb4 scim$") + section(page, "### Options of the guard")
    options = options_of(COMMANDS[name])

    assert COMMANDS[name].help
    assert {o for o in options if f"`{o}`" not in own + shared} == set()
    known = options | {o for cmd in COMMANDS.values() for p in cmd.params for o in p.opts}
    known |= {"--help", "--no-fresh", "--no-quiet"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", own)) <= known
    assert f"kb4 {name}" in read("README.md") + page


def test_shared_options_of_scim_are_of_the_commands_that_are_named() -> None:
    page = read("docs/reference/command.md")
    scim = {name.removeprefix("scim "): c for name, c in COMMANDS.items() if name[:5] == "scim "}

    for option, _, of in table(section(page, "## kb4 scim$"), "Option"):
        users = {name for name, command in scim.items() if option.strip("`") in options_of(command)}
        assert users == (set(scim) if of == "all" else set(re.findall(r"`(\w+)`", of))), option

    guards = options_in(table(page, "Guard"))
    assert {name for name, command in scim.items() if guards <= options_of(command)} == {
        "plan",
        "apply",
    }


def test_every_variable_is_described() -> None:
    helps = [getattr(p, "help", None) or "" for cmd in COMMANDS.values() for p in cmd.params]
    variables = {name for text in helps for name in re.findall(r"\[env: (\w+)\]", text)}

    told = {cells[0].strip("`") for cells in table(read("docs/reference/command.md"), "Variable")}

    secrets = {
        f"{name}{end}" for name in ("KB4_API_KEY", "KB4_SCIM_TOKEN") for end in ("", "_FILE")
    }
    assert told == variables | secrets


def test_exit_codes_are_those_of_the_command() -> None:
    codes = {
        running.COMPLETE,
        running.DEFECT,
        running.USAGE,
        running.INCOMPLETE,
        running.CREDENTIALS,
        running.GUARD,
        running.PENDING,
        running.QUOTA,
        *running.INTERRUPTED.values(),
    }
    rows = table(read("docs/reference/command.md"), "Code")

    assert codes == {0, 1, 2, 3, 4, 5, 6, 75, 130, 143}
    assert {int(code) for cells in rows for code in cells[0].split(",")} == codes


@pytest.mark.parametrize("module", [kb4_async, kb4_async.sinks, kb4_async.testing])
def test_every_public_name_is_in_the_docs(module: object) -> None:
    docs = "\n".join(page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md"))

    names = module.__all__  # type: ignore[attr-defined]
    assert [n for n in names if not re.search(rf"(?<!\w){n}(?!\w)", docs)] == []


@pytest.mark.parametrize("module", [kb4_async, kb4_async.sinks, kb4_async.testing])
def test_every_public_name_is_in_the_reference(module: ModuleType) -> None:
    told = set()
    for page in (DOCS / "reference" / "api").glob("*.md"):
        text = page.read_text(encoding="utf-8")
        if f".. currentmodule:: {module.__name__}\n" in text:
            told |= set(re.findall(r"^\.\. (?:auto)?\w+:: (?:[\w.]+\.)?(\w+)", text, re.MULTILINE))

    assert set(module.__all__) - told == set()


def test_every_noun_is_in_the_reference() -> None:
    page = read("docs/reference/api/nouns.md")
    kb = ReportingClient("key")
    nouns = {
        f"{path}.{name}": value
        for path, holder in (("kb", kb), ("kb.training", kb.training), ("kb.phishing", kb.phishing))
        for name, value in vars(holder).items()
        if isinstance(value, Noun)
    }

    told = re.findall(
        r"^## `([\w.]+)`\n\n```{eval-rst}\n.. autoclass:: ([\w.]+)", page, re.MULTILINE
    )
    assert dict(told) == {
        path: f"{type(noun).__module__}.{type(noun).__qualname__}" for path, noun in nouns.items()
    }


def errors() -> dict[str, type[KB4Error]]:
    values = {name: getattr(kb4_async, name) for name in kb4_async.__all__}
    return {
        name: value
        for name, value in values.items()
        if isinstance(value, type) and issubclass(value, KB4Error) and value is not KB4Error
    }


def test_every_error_is_described_with_its_exit_code() -> None:
    rows = table(read("docs/reference/errors.md"), "Error")

    assert {cells[0].strip("`"): int(cells[-1]) for cells in rows} == {
        name: running.exit_code(error.__new__(error)) for name, error in errors().items()
    }


def test_reasons_are_those_of_the_code() -> None:
    def first(page: str, header: str) -> set[str]:
        return {cells[0].strip("`") for cells in table(read(page), header)}

    assert first("docs/reference/errors.md", "Reason") == set(get_args(IncompleteReason))
    paging = "docs/explanation/paging-and-proof.md"
    assert first(paging, "`end_reason`") == set(get_args(EndReason))
    assert {cell.strip('"') for cell in first(paging, "`paging`")} == set(get_args(Paging))


def test_every_event_is_described_with_its_fields() -> None:
    rows = table(read("docs/reference/events.md"), "Event")

    assert {cells[0].strip("`"): re.findall(r"`(\w+)`", cells[2]) for cells in rows} == {
        each.__name__: [field.name for field in dataclasses.fields(each)]
        for each in Event.__subclasses__()
    }


def test_manifest_fields_are_described() -> None:
    output: dict[str, int | str] = {"file": "", "bytes": 0, "sha256": "", "rows": 0}
    entry = ResourceReport("users", output=output, reused={})
    report = ExportReport(Path(), {}, {}, {"users": entry}, "")
    page = read("docs/reference/export.md")
    whole, _, each = page.partition("An entry:")

    def fields(text: str) -> set[str]:
        return {name for row in table(text, "Field") for name in re.findall(r"`(\w+)`", row[0])}

    assert fields(whole) == set(report.to_json())
    assert fields(each) == set(entry.to_json())


@pytest.mark.usefixtures("fast")
async def test_listings_cost_what_the_docs_say() -> None:
    rows_table = table(read("docs/explanation/paging-and-proof.md"), "Rows")
    verify_table = table(read("docs/explanation/drift.md"), "`verify`")
    counts = [(int(r.replace(",", "")), "tail", int(n)) for r, n in rows_table]
    counts += [(20_000, cells[0].strip('`"'), int(cells[2])) for cells in verify_table]
    for rows, verify, requests in counts:
        account = generate_account(users=rows, groups=0, enrollments=0)
        async with (
            Simulator(account) as sim,
            ReportingClient(sim.api_key, base_url=sim.base_url) as kb,
        ):
            listing = kb.users.list(verify=verify)  # type: ignore[arg-type]
            read_rows = sum([len(each) async for each in listing.pages(form="raw")])
            assert (read_rows, len(sim.log)) == (rows, requests)


def anchors(page: Path) -> set[str]:
    """What the headings of a page are linked by, on GitHub and on the site."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", page.read_text("utf-8")):
            if target.startswith("https://"):
                continue
            there = page.parent / target if target else page
            assert there.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in anchors(there), f"{page.name}: {target}#{anchor}"


def test_texts_are_plain() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert "\N{EM DASH}" not in text, page.name
        assert not re.search(r"(?<![\w.])/(work|tmp|root|home)/", text), page.name
