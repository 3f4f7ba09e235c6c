"""The file that names many accounts: TOML, a table for each."""

from __future__ import annotations

import os
import tomllib
import warnings
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from kb4_async.errors import ConfigurationError
from kb4_async.export.account_entry import AccountEntry, check_entries, check_name, shown, wrong
from kb4_async.options import Limits

FIELDS = ("region", "base_url", "key_file", "limits")
#: Fields by which a key might be written into the file, in lower case and without - and _.
SECRETS = frozenset({"key", "apikey", "reportingapikey", "token", "secret", "password", "bearer"})
NO_SECRETS = (
    "a key has no place in this file, which is shown, copied and kept in version control like any "
    "other: write it into a file of its own, readable by its owner alone, and name that in key_file"
)


def read_accounts(path: str | os.PathLike[str]) -> tuple[AccountEntry, ...]:
    """Read the accounts of a TOML file: a table for each, whose name is the account's.

    ::

        [acme]
        region = "eu"
        key_file = "keys/acme.key"

        [globex]
        key_file = "keys/globex.key"
        limits = ["published:250"]

    A table holds ``key_file``, ``region`` (``us`` if left out) or ``base_url``, and ``limits`` as
    ``Limits.of`` reads them. A relative ``key_file`` lies beside the file; ``~`` is the home. Keys
    are read at once.

    Args:
        path: The file.

    Returns:
        The accounts in the order of the file.

    Raises:
        ConfigurationError: The file cannot be read, is no TOML, or says something wrong. One
            sentence names file, account and field, and shows no key. No request was made.

    Warns:
        UserWarning: A limit above the cap, which is lowered to it.

    Reads the file and one file for each key; blocks meanwhile.
    """
    file = Path(path).absolute()
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        # Its own traceback could hold the text of the file.
        msg = f"{path} is not TOML: {error}."
        raise ConfigurationError(msg) from None
    except (OSError, ValueError, RecursionError) as error:
        kinds = {
            UnicodeDecodeError: "it is not UTF-8 text",
            RecursionError: "it is nested too deep",
        }
        reason = getattr(error, "strerror", None) or kinds.get(type(error), "no such name")
        msg = f"{path} cannot be read ({reason}): name the file of the accounts."
        raise ConfigurationError(msg) from None
    try:
        entries = tuple(read_entry(name, table, file.parent) for name, table in tables.items())
        check_entries(entries)
    except ConfigurationError as error:
        msg = f"{path}: {error}"
        raise ConfigurationError(msg) from None
    return entries


def read_entry(name: str, table: object, folder: Path) -> AccountEntry:
    """Read one table.

    Raises:
        ConfigurationError: The message names account and field.
    """
    if not isinstance(table, Mapping):
        raise misplaced(name, table)
    check_name(name)
    for field, value in table.items():
        check_field(name, field, value)
    given = dict(table)
    if "key_file" in given:
        given["key_file"] = place(name, given["key_file"], folder)
    if "limits" in given:
        given["limits"] = limits_of(name, given["limits"])
    return AccountEntry(name, **given)


def misplaced(name: str, value: object) -> ConfigurationError:
    """What stands outside of every table, or in a list of tables."""
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        msg = f"{quoted(name)} stands in double brackets: an account is one table, [NAME]."
    elif is_secret(name):
        msg = f"{quoted(name)}: {NO_SECRETS}."
    else:
        msg = f"{quoted(name)} stands outside of any account: write it below the account's [NAME]."
    return ConfigurationError(msg)


def check_field(account: str, field: str, value: object) -> None:
    """Refuse an unknown field, or a value of the wrong kind; values are not shown.

    Raises:
        ConfigurationError: The message names account and field.
    """
    if is_secret(field):
        raise wrong(account, field, NO_SECRETS)
    if field == "name":
        raise wrong(account, field, "the name is what stands in brackets, [NAME]")
    if field not in FIELDS:
        if isinstance(value, Mapping):
            raise wrong(
                account, field, 'this is a table in a table: a name with a dot is written ["a.b"]'
            )
        close = get_close_matches(field.lower(), FIELDS, n=1)
        meant = f"did you mean {close[0]}?" if close else ""
        known = f"an account has {', '.join(FIELDS)}"
        raise wrong(account, quoted(field), f"unknown field; {meant or known}")
    if field != "limits" and not isinstance(value, str):
        raise wrong(account, field, "it is written as text, in quotes")
    if isinstance(value, str) and shown(value) is None and field in {"region", "limits"}:
        raise wrong(account, field, f"this looks like a key, and {NO_SECRETS}")


def is_secret(field: str) -> bool:
    """Whether a field is meant to hold the key itself."""
    return field.lower().replace("_", "").replace("-", "") in SECRETS


def place(account: str, text: str, folder: Path) -> Path:
    """Where a key file is.

    Raises:
        ConfigurationError: It is empty, or begins with the home of nobody.
    """
    if not text.strip():
        raise wrong(account, "key_file", "it is empty: name the file that holds the account's key")
    try:
        return folder / Path(text).expanduser()
    except RuntimeError:
        raise wrong(account, "key_file", "there is no home for its ~") from None


def limits_of(account: str, texts: object) -> Limits:
    """Limits as ``--limits`` takes them: a list of texts, or one.

    Raises:
        ConfigurationError: They are no limits.
    """
    each = [texts] if isinstance(texts, str) else texts
    if not isinstance(each, list) or not all(isinstance(text, str) for text in each):
        raise wrong(account, "limits", 'it is a list of texts, ["4/1s", "50/60s"]')
    words = [word for text in each for word in text.replace(",", " ").split()]
    with warnings.catch_warnings(record=True) as lowered:
        warnings.simplefilter("always")
        try:
            limits = Limits.of(*words)
        except ConfigurationError as error:
            raise wrong(account, "limits", error) from None
    for warning in lowered:
        # It points at who called read_accounts.
        warnings.warn(f"account {account!r}, limits: {warning.message}", stacklevel=5)
    return limits


def quoted(name: str) -> str:
    """A name of the file for a message; what may be a key is not shown."""
    return "A name that may be a key" if shown(name) is None else repr(name)
