"""Reading wanted users and groups: formats, what is left out, and how a reading ends."""

import asyncio
import gc
import io
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from kb4_async.errors import ConfigurationError
from kb4_async.protocol.scim.columns import Rejected
from kb4_async.protocol.scim.groups import DesiredGroup
from kb4_async.protocol.scim.marks import CLEAR, UNSET
from kb4_async.protocol.scim.users import ScimUser
from kb4_async.scim import input_reading
from kb4_async.scim.inputs import UserSource, read_groups, read_users

Found = list[ScimUser | Rejected]


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def put(data: str | bytes, name: str = "users.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    return put


async def users(source: Any, **options: Any) -> Found:
    return [each async for each in read_users(source, **options)]


async def groups(source: Any, **options: Any) -> list[DesiredGroup | Rejected]:
    return [each async for each in read_groups(source, **options)]


def texts(found: list[Any]) -> list[str]:
    return [each.user_name if isinstance(each, ScimUser) else str(each) for each in found]


async def test_a_file_of_personnel(write: Any) -> None:
    path = write(
        "Employee ID;First Name;Work Email;Department;Status;Shoe\r\n"
        '1;Ann; ann@x.com ;"R; D";active;9\r\n'
        "\r\n"
        "2;Bob;bob@x.com;;terminated;\r\n"
        ";;;;;\r\n"
    )
    source = read_users(path)
    assert [each async for each in source] == [
        ScimUser(
            "ann@x.com", employee_number="1", given_name="Ann", department="R; D", active=True
        ),
        ScimUser("bob@x.com", employee_number="2", given_name="Bob", active=False),
    ]
    assert list(source.columns.items())[:2] == [
        ("Employee ID", "employee_number"),
        ("First Name", "given_name"),
    ]
    assert source.ignored == ("Shoe",)


async def test_empty_cells(write: Any) -> None:
    path = write("mail,title,active\na@b,,\n,x,\n")
    left, refused = await users(path)
    assert (left.title, left.active) == (UNSET, UNSET)  # type: ignore[union-attr]
    cleared, _ = await users(path, empty="clear")
    assert (cleared.title, cleared.active) == (CLEAR, UNSET)  # type: ignore[union-attr]
    assert str(refused) == "line 3: the column 'mail' is empty, so it is no user"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("bob at x,,", ["line 2 (bob at x): 'bob at x' is no e-mail address"]),
        ("a@b,x", ["line 2 (a@b): it has 2 cells for 3 columns: the line is cut off"]),
        ("a@b,x,,y", ["line 2 (a@b): it has 4 cells for 3 columns: quote a value"]),
        ("a@b,x,,,,", ["a@b"]),
        ("a@b,,\nA@B,,", ["a@b", "line 3 (A@B): line 2 has the same userName: remove one"]),
        ("a@b,,maybe", ["line 2 (a@b): 'maybe' in the column 'Active' is neither yes nor no"]),
        ("a@b,x\0y,", ["line 2 (a@b): the column 'title' holds a NUL byte"]),
        ("\0a@b\0,x\0,", ["a@b"]),
        ('a@b,"x\ny",\nc@d,,', ["a@b", "c@d"]),
        ('"a@b", "x" ,\nc@d,,', ["line 2 (a@b): a quote stands inside a quoted field", "c@d"]),
        ('"a@b", "x",\nc@d,,', ["a@b", "c@d"]),
        ('a@b,24" screen,', ["a@b"]),
        ('a@b,"x,\nc@d,,\nd@e,,', ["line 2 (a@b): a quote that opens here is never", "c@d", "d@e"]),
        ('a@b,"x,\nc@d,"y",', ["line 2 (a@b): a quote that opens here is not closed", "c@d"]),
        ('a@b,,\nc@d,"x\ny', ["a@b", "line 3 (c@d): the file is cut off: it ends inside"]),
        ("a@b,,\nc@d,\xff", ["a@b", "line 3 (c@d): it has 2 cells"]),
    ],
)
async def test_lines(write: Any, rows: str, said: list[str]) -> None:
    found = texts(await users(write("mail,title,Active\n" + rows)))
    assert len(found) == len(said)
    assert all(each.startswith(start) for each, start in zip(found, said, strict=True)), found


async def test_a_quote_that_never_ends_costs_its_line(write: Any) -> None:
    rows = [f"u{n}@x.com,{'y' * 50}" for n in range(5000)]  # more than the csv module's limit
    rows[7] = 'bad@x.com,"y'
    found = await users(write("\n".join(["mail,title", *rows])))
    refused = [each for each in found if isinstance(each, Rejected)]
    assert [each.place for each in refused] == ["line 9"]
    assert len(found) == 5000


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
async def test_encodings(write: Any, encoding: str, delimiter: str, end: str) -> None:
    rows = [['"E-Mail"', "Prénom"], ["zoë@x.com", "Zoë"]]
    text = end.join(delimiter.join(row) for row in rows)
    assert await users(write(text.encode(encoding))) == [ScimUser("zoë@x.com", given_name="Zoë")]


async def test_other_encodings(write: Any) -> None:
    data = "mail,title\na@b,x\na@c,Jörg\n"
    with pytest.raises(ConfigurationError, match=r"line 3, byte 23 \(0xf6\) is no UTF-8.*cp1252"):
        await users(write(data.encode("cp1252")))
    found = await users(write(data.encode("cp1252")), encoding="cp1252")
    assert found[1] == ScimUser("a@c", title="Jörg")
    with pytest.raises(ConfigurationError, match="utf-16-le"):
        await users(write(data.encode("utf-16-le")))
    assert len(await users(write(data.encode("utf-16-le")), encoding="utf-16-le")) == 2
    with pytest.raises(ConfigurationError, match="NUL bytes: give encoding='utf-16-le'"):
        await users(write("mail,title\na@b,x".encode("utf-16-le")))
    with pytest.raises(ConfigurationError, match="give the encoding that the file is in"):
        await users(write(data.encode("cp1252")), encoding="utf-8")


async def test_a_file_that_ends_within_a_character(write: Any) -> None:
    found = texts(await users(write(b"mail,title\na@b,x\nb@c,J\xc3")))
    assert found == ["a@b", "line 3 (b@c): the file is cut off: it ends within a character"]


@pytest.mark.parametrize("data", ["", "\ufeff", "\n\n", "mail,title", "mail,title\n\n"])
@pytest.mark.parametrize("name", ["users.csv", "users"])
async def test_nothing(write: Any, data: str, name: str) -> None:
    assert await users(write(data, name)) == []


async def test_delimiters(write: Any) -> None:
    assert await users(write("sep=;\nmail;title\na@b;c,d")) == [ScimUser("a@b", title="c,d")]
    # The one that finds more headers that are known, not more headers.
    path = write('"Last, first";mail;title\nx;a@b;y')
    assert await users(path) == [ScimUser("a@b", title="y")]
    path = write("mail:title\na@b:y")
    assert await users(path, delimiter=":") == [ScimUser("a@b", title="y")]


async def test_headers_that_cannot_be(write: Any) -> None:
    path = write("Name,Dept\nx,y")
    with pytest.raises(ConfigurationError, match=r"users\.csv: no column is user_name"):
        await users(path)
    with pytest.raises(ConfigurationError, match=r"users\.csv: there is no column 'Mial'"):
        await users(path, columns={"Mial": "user_name"})
    with pytest.raises(ConfigurationError, match="line 1, which must name the columns, is no CSV"):
        await users(write('"mail,title\n'))


async def test_trailing_columns_without_a_header(write: Any) -> None:
    assert texts(await users(write("mail,title,,\na@b,x\nb@c,x,,\nc@d,x,y,\n"))) == [
        *("a@b", "b@c", "c@d")
    ]


async def test_json_lines(write: Any) -> None:
    data = (
        '{"userName": "a@b", "name": {"givenName": "A"}, "title": null}\n\n'
        '{"user_name": "b@c", "department": "IT"}\n'
        '{"Mail": " c@d ", "Dept": "IT", "title": null, "Employee ID": 7, "active": false}\n'
        '{"userName": "d@e", "department": "IT"}\n'
        "{bad}\n[1]\n"
        '{"userName": "f g"}\n{"userName": "A@B"}\n{"x": 1}\n{"userName": "h@i", "active": "x"}\n'
        '{"userName": "i@j", "emails": [{"value": "no"}]}\n'
        '{"userName": "z@'
    )
    found = await users(write(data, "users.jsonl"))
    assert found[:4] == [
        ScimUser("a@b", given_name="A", title=CLEAR),
        ScimUser("b@c", department="IT"),
        ScimUser("c@d", department="IT", employee_number="7", active=False),
        ScimUser("d@e", department="IT"),
    ]
    said = [
        "line 6: it cannot be read as JSON",
        "line 7: a user is an object with a userName, not of type list",
        "line 8 (f g): 'f g' is no e-mail address",
        "line 9 (A@B): line 1 has the same userName",
        "line 10: no column is user_name: the headers are 'x'",
        "line 11 (h@i): ",
        "line 12 (i@j): 'no' is no e-mail address",
        "line 13: the file is cut off: it ends in the middle of a JSON value",
    ]
    assert all(str(e).startswith(s) for e, s in zip(found[4:], said, strict=True)), texts(found)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("[]", []),
        ('[{"userName": "a@b"}]', ["a@b"]),
        ('\ufeff \n[\n{"userName": "a@b"},\n{"userName": "c@d"}\n]\n', ["a@b", "c@d"]),
        ('[{"userName": "a@b"}, 3, {"userName": tru}, {"userName": "c@d"},]', ["a@b", "item 2: a ",
            "item 3: it cannot", "c@d"]),
        ('[{"userName": "a@b"}, {"userName": "c@', ["a@b", "item 2: the file is cut off"]),
        ('[{"userName": "a@b"}, {"userName": "}]', ["a@b", "item 2: the file is cut off"]),
        ('[{"userName": "a@b"}', ["a@b", "item 2: the file is cut off"]),
        ('[{"userName": "a@b"},', ["a@b", "item 2: the file is cut off"]),
        ('[{"userName": "a@b"}] x', ["a@b", "item 2: it cannot be read as JSON"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["users.json", "users"])
async def test_json_arrays(write: Any, data: str, said: list[str], name: str) -> None:
    found = texts(await users(write(data, name)))
    assert all(each.startswith(start) for each, start in zip(found, said, strict=True)), found


async def test_format_beats_the_name(write: Any) -> None:
    assert await users(write('{"mail": "a@b"}', "x.csv"), format="json") == [ScimUser("a@b")]
    assert await users(write("mail\na@b", "x.json"), format="csv") == [ScimUser("a@b")]


async def test_iterables() -> None:
    items: list[Any] = [
        ScimUser("a@b"),
        {"userName": "b@c"},
        {
            "mail": "c@d",
            "custom date 1": date(2026, 1, 2),
            "employee id": 3.0,
            "dept": float("nan"),
        },
        {"mail": "d@e", "custom date 1": datetime(2026, 1, 2, tzinfo=UTC)},
        {"mail": "e@f", "title": ["x"]},
        {3: 4},
        "f@g",
        {"userName": "g@h", "name": {3: 4}},
        ScimUser("x y"),
    ]

    async def later() -> AsyncIterator[Any]:
        for each in items:
            await asyncio.sleep(0)
            yield each

    for source in (items, iter(items), later()):
        found = await users(source)
        assert found[2] == ScimUser("c@d", custom_date_1="2026-01-02", employee_number="3")
        assert texts(found)[:4] == ["a@b", "b@c", "c@d", "d@e"]
        refused = [each.place for each in found if isinstance(each, Rejected)]
        assert refused == ["item 5", "item 6", "item 7", "item 8", "item 9"]


async def test_columns_of_mappings() -> None:
    items = [{"userName": "jdoe", "Kontakt": "a@b"}]
    assert await users(items, columns={"Kontakt": "user_name"}) == [ScimUser("a@b")]
    with pytest.raises(ConfigurationError, match="there is no column 'Kontat'"):
        await users([{"mail": "a@b"}], columns={"Kontat": "title"})


@pytest.mark.parametrize(
    "options",
    [{"format": "xml"}, {"encoding": "nope"}, {"encoding": "base64"}, {"delimiter": "ab"},
     {"columns": {"a": "b"}}, {"empty": "x"}, {"source": {"a": 1}}, {"source": 3}, {"source": ""},
     {"source": b"x.csv"}],
)  # fmt: skip
def test_arguments_that_cannot_be(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        read_users(**{"source": "x.csv", **options})


async def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path, "a\0b"):
        reading = aiter(read_users(path))
        for _ in range(2):  # an error is never followed by an end
            with pytest.raises(ConfigurationError, match="cannot be read"):
                await anext(reading)


async def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"mail\na@b\n")))
    source = read_users("-")
    assert [each async for each in source] == [ScimUser("a@b")]
    assert not sys.stdin.closed
    with pytest.raises(ConfigurationError, match="only once"):
        aiter(source)


async def test_what_can_be_iterated_once_is_refused_then(write: Any) -> None:
    source = read_users(iter([ScimUser("a@b")]))
    assert len([each async for each in source]) == 1
    with pytest.raises(ConfigurationError, match="only once"):
        aiter(source)
    for again in (read_users([ScimUser("a@b")]), read_users(write("mail\na@b"))):
        for _ in range(2):
            assert [each async for each in again] == [ScimUser("a@b")]


def opened(path: Path) -> bool:
    """Whether this process has the file open."""
    links = (Path(f"/proc/self/fd/{each}") for each in os.listdir("/proc/self/fd"))  # noqa: PTH208
    return any(each.is_symlink() and os.path.realpath(each) == str(path) for each in links)


needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux")


def many(write: Any) -> Path:
    path: Path = write("mail\n" + "".join(f"u{n}@x.com\n" for n in range(20_000)))
    return path


@needs_proc
async def test_leaving_early_closes_the_file(write: Any) -> None:
    path = many(write)
    async for _ in read_users(path):
        assert opened(path)
        break
    gc.collect()
    assert not opened(path)


@needs_proc
async def test_aclose_closes_the_file(write: Any) -> None:
    path = many(write)
    source: UserSource = read_users(path)
    reading = aiter(source)
    await anext(reading)
    await source.aclose()
    assert not opened(path)
    assert [each async for each in reading] == []
    await source.aclose()


@needs_proc
async def test_who_is_cancelled_loses_nothing(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = many(write)
    go = threading.Event()
    take = input_reading.Reader.take
    monkeypatch.setattr(input_reading.Reader, "take", lambda self: go.wait() and take(self))
    reading = aiter(read_users(path))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await anext(reading)
    go.set()
    found = [each async for each in reading]
    assert texts(found) == [f"u{n}@x.com" for n in range(20_000)]
    assert not opened(path)


@needs_proc
async def test_closing_while_a_thread_reads(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = many(write)
    reading = aiter(read_users(path))
    await anext(reading)
    assert isinstance(reading, input_reading.FileIteration)
    reading.found.clear()
    reader: Any = reading.reader
    begun, go = threading.Event(), threading.Event()
    batches = reader.batches

    def slow() -> Iterator[Any]:
        begun.set()
        go.wait()
        try:
            yield from batches
        finally:
            batches.close()

    reader.batches = slow()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await anext(reading)
    assert begun.wait(5)
    reading.reader.close()
    assert opened(path)
    go.set()
    await reading.aclose()
    assert not opened(path)


async def test_the_users_of_others_may_fail() -> None:
    async def failing() -> AsyncIterator[ScimUser]:
        yield ScimUser("a@b")
        raise OSError("gone")

    reading = aiter(read_users(failing()))
    await anext(reading)
    for _ in range(2):
        with pytest.raises(OSError, match="gone"):
            await anext(reading)


async def test_generators_are_closed() -> None:
    ended: list[str] = []

    async def later() -> AsyncIterator[ScimUser]:
        try:
            yield ScimUser("a@b")
            yield ScimUser("b@c")
        finally:
            ended.append("async")

    def now() -> Iterator[ScimUser]:
        try:
            yield ScimUser("a@b")
            yield ScimUser("b@c")
        finally:
            ended.append("sync")

    for source in (read_users(later()), read_users(now())):
        reading = aiter(source)
        await anext(reading)
        await reading.aclose()
    assert ended == ["async", "sync"]


async def test_two_readers_share(write: Any) -> None:
    reading = aiter(read_users(many(write)))
    found: Found = []

    async def work() -> None:
        async for each in reading:
            found.append(each)
            if len(found) % 100 == 0:
                await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(work())
    assert len(found) == 20_000


async def test_groups(write: Any) -> None:
    path = write("Group,Mail\nA,a@b\nB,\nA,A@B\n,c@d\nC,no\nA,c@d\nC,x,y\nB")
    found = await groups(path)
    assert [str(each) for each in found if isinstance(each, Rejected)] == [
        "line 5: it names no group",
        "line 6 (C): 'no' is no e-mail address, so it is no member: correct the user name",
        "line 8 (C): it has 3 cells for 2 columns: quote a value that holds the delimiter",
        "line 9 (B): it has 1 cell for 2 columns: the line is cut off, or lacks delimiters",
    ]
    assert [each for each in found if isinstance(each, DesiredGroup)] == [
        DesiredGroup("A", ("a@b", "c@d")),
        DesiredGroup("B"),
        DesiredGroup("C"),  # nobody is put out for a line that cannot be read
    ]


async def test_groups_of_json(write: Any) -> None:
    data = (
        '{"displayName": "A", "members": ["a@b", "no"], "externalId": "7"}\n'
        '{"group": "B", "user": "b@c"}\n'
        '{"displayName": "C"}\n{"displayName": "D", "members": []}\n'
        '{"displayName": "A", "userName": "c@d"}\n'
        '{"displayName": "E", "members": [{"value": "1"}]}\n3\n{"x": 1}'
    )
    found = await groups(write(data, "groups.jsonl"))
    refused = [each for each in found if isinstance(each, Rejected)]
    assert [(each.place, each.name) for each in refused] == [
        *(("line 1", "A"), ("line 6", "E"), ("line 7", None), ("line 8", None))
    ]
    assert [each for each in found if isinstance(each, DesiredGroup)] == [
        DesiredGroup("A", ("a@b", "c@d"), "7"),
        DesiredGroup("B", ("b@c",)),
        DesiredGroup("C"),
        DesiredGroup("D", ()),
    ]


async def test_groups_of_iterables() -> None:
    items: list[Any] = [DesiredGroup("A", ["a@b"]), {"Team": "B", "user": "b@c"}, {4: 5}]
    found = await groups(items, columns={"team": "display_name"})
    assert found[1:] == [DesiredGroup("A", ("a@b",)), DesiredGroup("B", ("b@c",))]
