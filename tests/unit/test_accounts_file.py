"""The file that names many accounts: what it says, and what is said of one that is wrong."""

import copy
import json
import pickle
import string
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb4_async import AccountEntry, ConfigurationError, Limits, read_accounts
from kb4_async.export.account_entry import check_entries

TOKEN = "eyJhbGciOiJIUzUxMiJ9.c2VjcmV0LW9mLW5vYm9keQ.c2lnbmF0dXJl"

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes accounts.toml beside the keys of a and b; its path."""
    (tmp_path / "keys").mkdir()
    for name in "ab":
        (tmp_path / "keys" / f"{name}.key").write_text(f"key-of-{name}\n")
    (tmp_path / "keys" / "empty").write_text(" \n")
    (tmp_path / "keys" / "two-lines").write_text("hunter2\nhunter2")
    (tmp_path / "keys" / "binary").write_bytes(b"hunter2\xff")

    def to(text: str) -> Path:
        path = tmp_path / "accounts.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return to


def refused(path: Path) -> str:
    """The one sentence that a file is refused with."""
    with pytest.raises(ConfigurationError) as caught:
        read_accounts(path)
    said = str(caught.value)
    assert said.startswith(str(path))
    assert "\n" not in said
    assert said[-1] in ".?"
    assert not said.endswith("..")
    shown = "".join(traceback.format_exception(caught.value))
    assert "hunter2" not in shown
    assert TOKEN not in shown
    return said.removeprefix(str(path))


def test_each_table_is_an_account(write: Write, tmp_path: Path) -> None:
    entries = read_accounts(
        write(
            """
            [acme]
            region = "eu"
            key_file = "keys/a.key"

            ["Globex & Söhne"]
            base_url = "https://proxy.example.com/knowbe4/v1"
            key_file = "keys/b.key"
            limits = ["4/1s 50/60s", "published:250"]
            """
        )
    )

    acme, globex = entries
    assert acme == AccountEntry("acme", region="eu", key_file=tmp_path / "keys" / "a.key")
    assert (acme.secret.text, acme.limits) == ("key-of-a", None)
    assert acme.address.base_url == "https://eu.api.knowbe4.com/v1"
    assert globex.name == "Globex & Söhne"
    assert globex.address.base_url == "https://proxy.example.com/knowbe4/v1"
    assert globex.limits == Limits.of("4/1s", "50/60s", "published:250")


def test_without_region_and_base_url_it_is_us(write: Write) -> None:
    (entry,) = read_accounts(write('[a]\nkey_file = "keys/a.key"'))

    assert entry.address.region == "us"


def test_key_files_lie_beside_the_file_at_home_or_anywhere(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "c.key").write_text("key-of-c")
    away = tmp_path / "away"
    away.mkdir()
    (away / "d.key").write_text("key-of-d")
    path = write(
        f"""
        [a]
        key_file = "keys/a.key"
        [c]
        key_file = "~/c.key"
        [d]
        key_file = {json.dumps(str(away / "d.key"))}
        """
    )
    monkeypatch.chdir(away)

    for given_as in (path, Path("..", "accounts.toml"), "../accounts.toml"):
        keys = [entry.secret.text for entry in read_accounts(given_as)]
        assert keys == ["key-of-a", "key-of-c", "key-of-d"]


def test_a_byte_order_mark_and_windows_lines_are_read(write: Write) -> None:
    path = write("")
    path.write_bytes('[a]\r\nkey_file = "keys/a.key"\r\n'.encode("utf-8-sig"))

    assert [entry.name for entry in read_accounts(path)] == ["a"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[a\n",
            " is not TOML: Expected ']' at the end of a table declaration (at line 1, column ",
        ),
        ('[a]\nkey_file = "keys/a.key"\n[a]\n', " is not TOML: Cannot declare ('a',) twice (at "),
        ("[a]\nkey_file = keys/a.key", " is not TOML: Invalid value (at line 2, column 12)."),
        ("x = " + "[" * 100_000, " cannot be read (it is nested too deep)"),
        ("", ": There is no account"),
        ("# nobody yet", ": There is no account"),
        ('region = "eu"', ": 'region' stands outside of any account"),
        ("[[a]]\nregion = 1", ": 'a' stands in double brackets"),
        ("[a]\nregoin = 1", ": account 'a', 'regoin': unknown field; did you mean region?"),
        ("[a]\nKEY_FILE = 1", ": account 'a', 'KEY_FILE': unknown field; did you mean key_file?"),
        ("[a]\nbaseurl = 1", ": account 'a', 'baseurl': unknown field; did you mean base_url?"),
        ("[a]\ncolour = 1", ": account 'a', 'colour': unknown field; an account has region, base_"),
        ("[a]\nname = 'b'", ": account 'a', name: the name is what stands in brackets"),
        ("[a.b]\nregion = 'eu'", ": account 'a', b: this is a table in a table"),
        ("[a]\nregion = 5", ": account 'a', region: it is written as text"),
        ("[a]\nkey_file = ['k']", ": account 'a', key_file: it is written as text"),
        ("[a]\nregion = 'mars'", ": account 'a', region: Unknown region 'mars': use one of us, eu"),
        (
            "[a]\nregion = 'eu'\nbase_url = 'https://example.com'",
            ": account 'a', region: give region or base_url, not both",
        ),
        (
            "[a]\nbase_url = 'http://example.com'",
            ": account 'a', base_url: The base URL 'http://example.com' would send the key unencry",
        ),
        ("[a]\nregion = 'eu'", ": account 'a', key_file: it is missing"),
        ("[a]\nkey_file = ''", ": account 'a', key_file: it is empty"),
        ("[a]\nkey_file = '~nobody-at-all/k'", ": account 'a', key_file: there is no home for its"),
        ("[a]\nkey_file = 'keys/empty'", "keys/empty is empty: write the account's key into it."),
        ("[a]\nkey_file = 'keys/none'", "keys/none cannot be read (No such file or directory)."),
        ("[a]\nkey_file = 'keys'", "keys cannot be read (Is a directory)."),
        ("[a]\nkey_file = 'keys/binary'", "keys/binary cannot be read (it is not text)."),
        (
            "[a]\nkey_file = 'keys/two-lines'",
            "account 'a', key_file: The Reporting API key holds a",
        ),
        ("[a]\nkey_file = 'keys/\\u0000'", "account 'a', key_file: "),
        ("[a]\nlimits = 5", ": account 'a', limits: it is a list of texts"),
        ("[a]\nlimits = [5]", ": account 'a', limits: it is a list of texts"),
        ("[a]\nlimits = ['many']", ": account 'a', limits: A limit is written like '50/60s'"),
        ("[a]\nlimits = 'published'", ": account 'a', limits: Licensed users are written as in"),
        (
            "[a]\nkey_file = 'keys/a.key'\n[A]\nkey_file = 'keys/b.key'",
            ": The accounts 'a' and 'A' would share a folder",
        ),
        (
            "[a]\nkey_file = 'keys/a.key'\n[b]\nregion = 'us'\nkey_file = './keys/a.key'",
            ": The accounts 'a' and 'b' have the same key at the same address",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence_that_names_file_account_and_field(
    write: Write, text: str, said: str
) -> None:
    assert said in refused(write(text))


@pytest.mark.parametrize("field", ["key", "api_key", "API-KEY", "token", "secret", "password"])
@pytest.mark.parametrize(
    "where", ["{} = 'hunter2'", "[a]\n{} = 'hunter2'", "[a.{}]\nx = 'hunter2'"]
)
def test_a_key_in_the_file_itself_is_refused_with_the_reason_and_not_shown(
    write: Write, field: str, where: str
) -> None:
    assert "a key has no place in this file" in refused(write(where.format(field)))


@pytest.mark.parametrize(
    "text",
    [
        f"[a]\nkey_file = '{TOKEN}'",
        f"[a]\nkey_file = '{'hunter2' * 8}'",
        f"[a]\nregion = '{TOKEN}'",
        f"[a]\nlimits = '{TOKEN}'",
        f"[a]\n'{TOKEN}' = ''",
        f"'{TOKEN}' = ''",
        f"['{TOKEN}']\nregion = 'eu'",
        f"['{TOKEN}/']\nregion = 'eu'",
        f"[a]\nkey_file = {TOKEN}",
        f"[a]\n{TOKEN}",
    ],
)
def test_a_key_in_the_wrong_place_is_not_shown(write: Write, text: str) -> None:
    refused(write(text))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "none.toml")
    assert "Is a directory" in refused(tmp_path)
    (tmp_path / "other.toml").write_bytes("[a]\n".encode("utf-16"))
    assert "it is not UTF-8 text" in refused(tmp_path / "other.toml")


def test_a_limit_above_the_cap_is_lowered_with_a_warning_that_names_the_account(
    write: Write,
) -> None:
    path = write("[a]\nkey_file = 'keys/a.key'\nlimits = ['5000/60s']")

    with pytest.warns(UserWarning, match="account 'a', limits: A limit of 5000/60s") as caught:
        (entry,) = read_accounts(path)

    assert entry.limits == Limits.of("1000/60s")
    assert [warning.filename for warning in caught] == [__file__]


# -- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "An account has no name"),
        (" ", "An account has no name"),
        (".", "begins or ends with a dot"),
        ("..", "begins or ends with a dot"),
        (".hidden", "begins or ends with a dot"),
        ("Acme Inc.", "begins or ends with a dot"),
        (" acme", "begins or ends with a dot or a space"),
        ("a/b", "holds '/'"),
        ("a\\b", "holds '\\\\'"),
        ("a:b", "holds ':'"),
        ("a\nb", "holds '\\n'"),
        ("a\x00b", "holds '\\x00'"),
        ("a\u202eb", "holds '\\u202e'"),
        ("NUL", "is a device"),
        ("com1.txt", "is a device"),
        ("a" * 101, "is longer than 100 bytes"),
        (5, "An account has no name"),
    ],
)
def test_a_name_that_cannot_be_a_folder_is_refused(name: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AccountEntry(name, api_key="k")

    assert said in str(caught.value)


@given(name=st.text(max_size=120))
def test_a_name_that_is_taken_is_one_folder_below_the_destination(name: str) -> None:
    try:
        entry = AccountEntry(name, api_key="k")
    except ConfigurationError:
        return
    folder = Path("dest", entry.name)
    assert folder.parent == Path("dest")
    assert folder.name == name
    assert not {*name} & {*'/\\<>:"|?*'}
    assert not name.startswith(".")


@given(names=st.lists(st.text(string.ascii_letters + "äÄß", max_size=3), min_size=1, max_size=8))
def test_names_are_folders_of_their_own_whatever_the_letter_case(names: list[str]) -> None:
    entries = [AccountEntry(f"a{name}", api_key=f"key-{i}") for i, name in enumerate(names)]
    alike = len({name.casefold() for name in names}) < len(names)
    try:
        check_entries(entries)
    except ConfigurationError:
        assert alike
    else:
        assert not alike


def test_one_letter_written_in_two_ways_is_one_name() -> None:
    names = ("Caf\u00e9", "cafe\u0301")

    with pytest.raises(ConfigurationError, match="would share a folder"):
        check_entries([AccountEntry(name, api_key=name.encode().hex()) for name in names])


# -- entries made by hand ----------------------------------------------------------------------


def test_an_entry_takes_its_key_from_a_store_and_never_shows_it() -> None:
    entry = AccountEntry("acme", region="eu", api_key="hunter2\n")

    assert entry.secret.text == "hunter2"
    assert "hunter2" not in f"{entry!r}{entry}"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(entry)
    with pytest.raises(TypeError):
        copy.deepcopy(entry)


@pytest.mark.parametrize(
    ("given_as", "said"),
    [
        ({}, "account 'a', key_file: it is missing"),
        ({"api_key": ""}, "account 'a', api_key: No Reporting API key"),
        ({"api_key": "hunter2 hunter2"}, "account 'a', api_key: The Reporting API key holds"),
        ({"api_key": "k", "key_file": Path("k")}, "account 'a', key_file: give it or api_key"),
        ({"api_key": "k", "region": "mars"}, "account 'a', region: Unknown region 'mars'"),
    ],
)
def test_an_entry_that_is_wrong_is_refused_when_it_is_made(
    given_as: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AccountEntry("a", **given_as)  # type: ignore[arg-type]

    assert said in str(caught.value)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_one_key_at_two_addresses_may_be_two_accounts() -> None:
    check_entries([AccountEntry(r, region=r, api_key="k") for r in ("us", "eu")])
