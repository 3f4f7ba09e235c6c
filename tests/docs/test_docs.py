"""README and docs say what the code does: compared here, so that neither moves alone."""

import re
from pathlib import Path

import pytest
import typer

import kb4_async
import kb4_async.sinks
import kb4_async.testing
from kb4_async import ReportingClient
from kb4_async.cli import running
from kb4_async.cli.app import app
from kb4_async.export.manifest import ExportReport, ResourceReport
from kb4_async.protocol.endpoints import ENDPOINTS, Endpoint, Filter
from kb4_async.protocol.request import query_text
from kb4_async.testing import Simulator, generate_account

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.glob("*.md"))]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def table(text: str, first: str) -> list[list[str]]:
    """The rows of the table whose header begins with that cell."""
    found = re.search(rf"^\| {re.escape(first)} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert found, first
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in found[1].splitlines()]


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
    rows = {cells[0]: cells for cells in table(read("docs/endpoints.md"), "Resource")}

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


COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # it is a group


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_is_described(name: str) -> None:
    page = read("docs/command.md")
    own = re.search(rf"^## kb4 {name}\b.*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    shared = re.search(r"^## Options of every.*?(?=^## )", page, re.MULTILINE | re.DOTALL)
    assert own, name
    assert shared
    command = COMMANDS[name]
    options = {opt for p in command.params for opt in (*p.opts, *p.secondary_opts) if opt[0] == "-"}

    assert command.help
    assert {o for o in options if f"`{o}`" not in own[0] + shared[0]} == set()
    known = options | {o for cmd in COMMANDS.values() for p in cmd.params for o in p.opts}
    known |= {"--help", "--no-fresh", "--no-quiet"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", own[0])) <= known
    assert f"kb4 {name}" in read("README.md") + page


def test_every_variable_is_described() -> None:
    helps = [getattr(p, "help", None) or "" for cmd in COMMANDS.values() for p in cmd.params]
    variables = {name for text in helps for name in re.findall(r"\[env: (\w+)\]", text)}

    told = {cells[0].strip("`") for cells in table(read("docs/command.md"), "Variable")}

    assert told == variables | {"KB4_API_KEY", "KB4_API_KEY_FILE"}


@pytest.mark.parametrize("name", ["README.md", "docs/command.md"])
def test_exit_codes_are_those_of_the_command(name: str) -> None:
    codes = {
        running.COMPLETE,
        running.DEFECT,
        running.USAGE,
        running.INCOMPLETE,
        running.CREDENTIALS,
        running.QUOTA,
        *running.INTERRUPTED.values(),
    }
    rows = table(read(name), "Code")

    assert codes == {0, 1, 2, 3, 4, 75, 130, 143}
    assert {int(code) for cells in rows for code in cells[0].split(",")} == codes


@pytest.mark.parametrize("module", [kb4_async, kb4_async.sinks, kb4_async.testing])
def test_every_public_name_is_in_the_docs(module: object) -> None:
    docs = "\n".join(page.read_text(encoding="utf-8") for page in DOCS.glob("*.md"))

    names = module.__all__  # type: ignore[attr-defined]
    assert [n for n in names if not re.search(rf"(?<!\w){n}(?!\w)", docs)] == []


def test_every_error_is_in_the_readme() -> None:
    rows = "".join(cells[0] for cells in table(read("README.md"), "Error"))
    errors = {
        name
        for name in kb4_async.__all__
        if isinstance(getattr(kb4_async, name), type)
        and issubclass(getattr(kb4_async, name), kb4_async.KB4Error)
    }

    assert set(re.findall(r"\w+", rows)) == errors - {"KB4Error"}


def test_manifest_fields_are_described() -> None:
    entry = ResourceReport("users", output={"file": "", "bytes": 0, "sha256": "", "rows": 0})
    report = ExportReport(Path(), {}, {}, {"users": entry}, "")
    page = read("docs/export.md")
    whole, _, each = page.partition("An entry:")

    def fields(text: str) -> set[str]:
        return {name for row in table(text, "Field") for name in re.findall(r"`(\w+)`", row[0])}

    assert fields(whole) == set(report.to_json())
    assert fields(each) == set(entry.to_json())


@pytest.mark.usefixtures("fast")
async def test_listings_cost_what_the_docs_say() -> None:
    page = read("docs/completeness.md")
    counts = [(int(r.replace(",", "")), "tail", int(n)) for r, n in table(page, "Rows")]
    counts += [(20_000, cells[0].strip('`"'), int(cells[2])) for cells in table(page, "`verify`")]
    for rows, verify, requests in counts:
        account = generate_account(users=rows, groups=0, enrollments=0)
        async with (
            Simulator(account) as sim,
            ReportingClient(sim.api_key, base_url=sim.base_url) as kb,
        ):
            listing = kb.users.list(verify=verify)  # type: ignore[arg-type]
            read_rows = sum([len(each) async for each in listing.pages(form="raw")])
            assert (read_rows, len(sim.log)) == (rows, requests)


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            if not target.startswith("https://"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_texts_are_plain() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert "\N{EM DASH}" not in text, page.name
        assert not re.search(r"(?<![\w.])/(work|tmp|root|home)/", text), page.name
