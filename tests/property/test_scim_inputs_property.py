"""Any table that was written is read back; nothing that is no table does harm."""

import asyncio
import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kb4_async.errors import ConfigurationError
from kb4_async.protocol.scim.columns import Rejected, is_address
from kb4_async.protocol.scim.groups import DesiredGroup
from kb4_async.protocol.scim.users import ScimUser
from kb4_async.scim.inputs import read_groups, read_users

HEADERS = ["userName", "first name", "dept", "Job Title"]
FIELDS = ["given_name", "department", "title"]
TEXT = st.text(
    st.one_of(
        st.sampled_from('abc ,;|\t"\n\r\\+'),
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    ),
    max_size=12,
).map(str.strip)
NAMES = st.lists(
    st.text(st.characters(categories=["L", "N", "So"]), min_size=1, max_size=8),
    min_size=1,
    max_size=8,
    unique_by=str.casefold,
)


def written(data: bytes, suffix: str) -> list[ScimUser | Rejected]:
    async def read() -> list[ScimUser | Rejected]:
        return [each async for each in read_users(path)]

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"users{suffix}"
        path.write_bytes(data)
        return asyncio.run(read())


@settings(deadline=None, max_examples=150)
@given(
    names=NAMES,
    cells=st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=8, max_size=8),
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC, csv.QUOTE_MINIMAL]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_tables_come_back(
    names: list[str],
    cells: list[tuple[str, str, str]],
    delimiter: str,
    quoting: int,
    encoding: str,
    end: str,
) -> None:
    rows = [(f"{n}@example.com", *row) for n, row in zip(names, cells, strict=False)]
    if any("\r" in cell or "\n" in cell for row in rows for cell in row):
        quoting = csv.QUOTE_ALL  # what is not the line's end is not quoted by itself
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=end)  # type: ignore[arg-type]  # drawn
    writer.writerows([HEADERS, *rows])
    found = written(out.getvalue().encode(encoding), ".csv")
    expected = [
        ScimUser(row[0], **{k: v for k, v in zip(FIELDS, row[1:], strict=True) if v})  # type: ignore[arg-type]
        for row in rows
    ]
    assert found == expected


@settings(deadline=None, max_examples=150)
@given(
    rows=st.lists(
        st.tuples(st.one_of(TEXT, st.just("a@b"), st.emails()), TEXT), min_size=1, max_size=10
    )
)
def test_no_row_is_lost(rows: list[tuple[str, str]]) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([("mail", "title"), *rows])
    found = written(out.getvalue().encode(), ".csv")
    kept = [row for row in rows if any(row)]  # of empty cells alone: blank
    assert len(found) == len(kept)
    good = {row[0].casefold() for row in kept if is_address(row[0])}
    assert sum(isinstance(each, ScimUser) for each in found) == len(good)


@settings(deadline=None, max_examples=200)
@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.text(st.sampled_from('mailuser@,;"\n\r{}[]:\\ \0é'), max_size=80).map(str.encode),
        st.binary(max_size=60).map(lambda tail: b"mail,title\n" + tail),
        st.binary(max_size=60).map(lambda tail: b'[{"userName": "a@b"}' + tail),
        st.binary(max_size=60).map(lambda tail: b'{"userName": "a@b"}\n' + tail),
    ),
    suffix=st.sampled_from([".csv", ".json", ""]),
)
def test_no_bytes_raise_anything_else(data: bytes, suffix: str) -> None:
    try:
        found = written(data, suffix)
    except ConfigurationError as error:
        assert str(error)  # noqa: PT017
    else:
        assert all(isinstance(each, ScimUser | Rejected) for each in found)


@settings(deadline=None, max_examples=100)
@given(at=st.integers(min_value=0), kind=st.sampled_from(["lines", "array", "csv"]))
def test_a_cut_is_seen(at: int, kind: str) -> None:
    items = [f'{{"userName":"ü{n}@b","title":"é"}}' for n in range(5)]
    whole = {
        "lines": "\n".join(items) + "\n",
        "array": f"[{','.join(items)}]",
        "csv": '"mail","title"\n' + "".join(f'"ü{n}@b","é"\n' for n in range(5)),
    }[kind].encode()
    header = len(b'"mail","title"\n') if kind == "csv" else 1
    at = header + at % (len(whole) - header)
    found = written(whole[:at], ".csv" if kind == "csv" else ".json")
    users = [each for each in found if isinstance(each, ScimUser)]
    expected = [ScimUser(f"ü{n}@b", title="é") for n in range(len(users))]
    if kind == "csv" and whole[:at].endswith(b'@b",'):  # looks whole
        expected[-1] = ScimUser(expected[-1].user_name)
    assert users == expected
    torn = [each for each in found if isinstance(each, Rejected)]
    ends = {"lines": (b"}", b"\n"), "csv": (b'\xa9"', b"\n", b'",'), "array": ()}[kind]
    assert len(torn) == (0 if whole[:at].endswith(ends) else 1)


async def gather(rows: list[tuple[str, str]]) -> list[DesiredGroup | Rejected]:
    return [each async for each in read_groups([{"group": g, "user": u} for g, u in rows])]


@settings(deadline=None, max_examples=100)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from(["A", "B", "ü"]), st.sampled_from(["", "a@x", "A@x", "b@x"]))
    )
)
def test_groups_are_what_was_said(rows: list[tuple[str, str]]) -> None:
    found = asyncio.run(gather(rows))
    groups = [each for each in found if isinstance(each, DesiredGroup)]
    assert [each.display_name for each in groups] == list(dict.fromkeys(row[0] for row in rows))
    for group in groups:
        said = {user.casefold() for name, user in rows if name == group.display_name and user}
        members = list(group.members) if isinstance(group.members, tuple) else []
        assert {each.casefold() for each in members} == said
        assert len(members) == len(said)


@pytest.mark.parametrize("count", [10_000])
def test_one_bad_line_costs_itself(count: int) -> None:
    lines = [f"u{n}@example.com,Engineer" for n in range(count)]
    lines.insert(count // 2, 'bad@example.com,"Engineer')
    found = written("\n".join(["mail,title", *lines]).encode(), ".csv")
    assert sum(isinstance(each, ScimUser) for each in found) == count
    (torn,) = (each for each in found if isinstance(each, Rejected))
    assert (torn.place, torn.name) == (f"line {count // 2 + 2}", "bad@example.com")
