"""Headers and cells: which field a column is, and what is accepted in it."""

import re
from pathlib import Path

import pytest

from kb4_async.errors import ConfigurationError
from kb4_async.protocol.scim.columns import (
    FLAGS,
    GROUP_SYNONYMS,
    GROUPS,
    MISLEADING,
    SYNONYMS,
    USER_NAMES,
    USERS,
    Rejected,
    check_lacking,
    is_address,
    match,
    normal,
    read_cell,
    read_wanted,
)
from kb4_async.protocol.scim.schema import BY_FIELD, USER_ATTRIBUTES

PAGE = (Path(__file__).parents[2] / "docs/reference/scim-input.md").read_text("utf-8")


def fields(*headers: str, columns: dict[str, str | None] | None = None) -> dict[str, str]:
    found = match(headers, read_wanted(columns, USERS), USERS)
    return {header: name for name, (_, header) in found.fields.items()}


def test_rejected_text() -> None:
    assert str(Rejected("line 17", "broken", "bob@x")) == "line 17 (bob@x): broken"
    assert str(Rejected("item 3", "broken")) == "item 3: broken"


@pytest.mark.parametrize("name", list(BY_FIELD))
def test_every_field_is_found_by_every_name(name: str) -> None:
    attribute = BY_FIELD[name]
    spellings = [name, attribute.name, attribute.name.upper(), name.replace("_", " ").title()]
    if attribute.leaf not in {"value", "formatted"}:
        spellings.append(attribute.leaf)
    for header in [*spellings, *SYNONYMS.get(name, ())]:
        if name in {"user_name", "email"} or normal(header) in MISLEADING:
            continue
        assert fields("userName", header) == {"userName": "user_name", header: name}


@pytest.mark.parametrize("header", ["displayName", "Display Name", "display_name"])
def test_a_display_name_is_written_only_where_somebody_says_so(header: str) -> None:
    assert fields("Mail", header) == {"Mail": "user_name"}
    assert fields("Mail", header, columns={header: "display_name"})[header] == "display_name"


def test_no_word_means_two_fields() -> None:
    words = [normal(word) for name in SYNONYMS for word in SYNONYMS[name]]
    assert len(words) == len(set(words))
    assert not set(words) & USER_NAMES.keys()
    assert SYNONYMS.keys() <= BY_FIELD.keys()


@pytest.mark.parametrize("mail", ["E-Mail", "email", "MAIL", "Work Email", "email_address"])
def test_an_address_is_the_user_name_unless_there_is_another(mail: str) -> None:
    assert fields(mail) == {mail: "user_name"}
    assert fields(mail, "Login") == {mail: "email", "Login": "user_name"}


def test_the_upn_is_no_user_name() -> None:
    assert fields("UPN", "mail") == {"UPN": "user_principal_name", "mail": "user_name"}
    with pytest.raises(ConfigurationError, match="no column is user_name: the headers are 'UPN'"):
        fields("UPN")


def test_columns_override() -> None:
    assert fields("Kontakt", "Mail", columns={"kontakt": "userName"}) == {
        "Kontakt": "user_name",
        "Mail": "email",
    }
    assert fields("Mail", "Title", columns={"Title": None}) == {"Mail": "user_name"}
    assert fields("Mail", "Title", columns={"Title": ""}) == {"Mail": "user_name"}
    name = BY_FIELD["department"].name
    assert fields("Mail", "X", columns={"X": name})["X"] == "department"
    # What is said of a field beats a header's name.
    assert fields("Username", "Mail", columns={"Mail": "user_name"}) == {"Mail": "user_name"}


def test_what_is_called_email_by_the_caller_is_no_user_name() -> None:
    with pytest.raises(ConfigurationError, match="no column is user_name"):
        fields("Mail", columns={"Mail": "email"})


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        (("Mail", "E-Mail"), "'Mail' and 'E-Mail' are both email"),
        (("Mail", "Dept", "Department"), "'Dept' and 'Department' are both department"),
        (("Mail", "Mail"), "'Mail' and 'Mail' are both email"),
        (("Name", "Dept"), "no column is user_name: the headers are 'Name', 'Dept'"),
        (("ann@example.com", "Ann"), "the first line must name the columns"),
    ],
)
def test_headers_that_cannot_be(headers: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        fields(*headers)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"a": "nope"}, "'a' cannot be 'nope', for the fields are user_name"),
        ({"a": "title", "b": "title"}, "only one of 'a' and 'b' can be title"),
        ({"a": 3}, "as text"),
    ],
)
def test_columns_that_cannot_be(columns: dict[str, str | None], said: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        read_wanted(columns, USERS)


def test_a_column_that_is_lacking() -> None:
    with pytest.raises(ConfigurationError, match=r"no column 'Mial'.*'Mail', 'Title'"):
        check_lacking(read_wanted({"Mial": "user_name"}, USERS), ["Mail", "Title"])


def test_ignored() -> None:
    found = match(["Mail", "Shoe size", ""], {}, USERS)
    assert found.ignored == ["Shoe size", "(column 3)"]


def test_groups() -> None:
    def names(*headers: str) -> tuple[str, str]:
        found = match(headers, {}, GROUPS).fields
        return found["display_name"][1], found["members"][1]

    assert names("displayName", "userName") == ("displayName", "userName")
    assert names("Group Name", "E-Mail") == ("Group Name", "E-Mail")
    assert names("Mail", "Login", "Member", "Gruppe") == ("Gruppe", "Member")
    assert match(["group", "Mail", "Login"], {}, GROUPS).ignored == ["Mail"]
    with pytest.raises(ConfigurationError, match="no column is members"):
        match(["group"], {}, GROUPS)


@pytest.mark.parametrize(
    "text",
    [
        *("a@b", "o'neil+x@example.com", "a\\b@c", '"a@b"@example.com', "zoë@exämple.de"),
        *("🦊@example.com", 'o"b@c', "{x}@[127.0.0.1]", "a%b@c"),
    ],
)
def test_addresses(text: str) -> None:
    assert is_address(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "@", "a", "a@", "@b", "a@b@c", "bob at x", "a b@c", "a\t@c", "a@b\x00", "a\x7f@b"),
        *("a\u200b@b", "a\xa0@b", '"a b"@c', "Bob <b@c>", '"@"b', "a@b\n"),
    ],
)
def test_no_addresses(text: str) -> None:
    assert not is_address(text)
    if text:
        with pytest.raises(ValueError, match=r"is no e-mail address|NUL"):
            read_cell("user_name", "Mail", text)


def test_flags() -> None:
    for word, value in FLAGS.items():
        assert read_cell("active", "Status", word.upper()) is value
    with pytest.raises(ValueError, match="'on leave' in the column 'Status' is neither yes nor no"):
        read_cell("active", "Status", "on leave")


@pytest.mark.parametrize("text", ["2026-11-24", "2026-11-24T08:00:00Z", "2026-11-24 08:00+02:00"])
def test_times(text: str) -> None:
    assert read_cell("custom_date_1", "Date", text) == text


@pytest.mark.parametrize(
    "text", ["03/04/2026", "3.4.2026", "2026-13-01", "soon", "0001-01-01T00:00+14:00"]
)
def test_no_times(text: str) -> None:
    with pytest.raises(ValueError, match="is no time like 2026-11-24"):
        read_cell("custom_date_1", "Date", text)


def test_the_page_has_the_table() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+)` \| (.*?) ?\|$", PAGE, re.MULTILINE)
    expected = [(a.field, a.name, ", ".join(SYNONYMS.get(a.field, ()))) for a in USER_ATTRIBUTES]
    assert rows == expected


def test_the_page_has_the_groups_table() -> None:
    rows = re.findall(r"^\| `(display_name|members)` \| ([^`|]*) \|$", PAGE, re.MULTILINE)
    assert rows == [(name, ", ".join(words)) for name, words in GROUP_SYNONYMS.items()]


def test_the_page_has_the_flags() -> None:
    for value in (True, False):
        assert f"`{' '.join(word for word in FLAGS if FLAGS[word] is value)}`" in PAGE
