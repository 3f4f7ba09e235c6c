"""One of several accounts: its name, where its API is, and the key that opens it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from pathlib import Path

from kb4_async.errors import ConfigurationError
from kb4_async.options import Limits
from kb4_async.protocol.address import Address, reporting_address
from kb4_async.protocol.credential import Secret, check_secret

#: What no file system here or on Windows takes in a name, or takes for something else.
FORBIDDEN = frozenset('/\\<>:"|?*')
DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)
LONGEST_NAME = 100
#: A text with so many characters in a row may be a key, pasted where its file should be named.
LONGEST_SHOWN = 40
#: What every JSON Web Token begins with, as KnowBe4's keys are.
TOKEN = "eyJ"  # noqa: S105  # the beginning of any


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """One account of ``export_accounts``; ``read_accounts`` reads them from a file.

    The key is read when the entry is made, once, and is neither shown nor pickled.

    Args:
        name: What it is called here, and its folder in the destination.
        region: One of ``us eu ca uk de``; ``us`` if neither region nor base URL is given.
        base_url: The whole address instead of a region, version included.
        key_file: A file that holds the Reporting API key and nothing else.
        limits: What its key is held to besides the cap; None for what ``export_accounts`` is told.
        api_key: The key itself instead of a file, from a secret store.

    Raises:
        ConfigurationError: The name cannot be a folder, the address or the key is wrong or missing,
            or the file cannot be read. The message names account and field.
    """

    name: str
    region: str | None = None
    base_url: str | None = None
    key_file: Path | None = None
    limits: Limits | None = None
    api_key: InitVar[str | None] = None
    secret: Secret = field(init=False, repr=False, compare=False)
    address: Address = field(init=False, repr=False, compare=False)

    def __post_init__(self, api_key: str | None) -> None:
        """Refuse what could not be exported."""
        check_name(self.name)
        object.__setattr__(self, "address", find_address(self))
        if (self.key_file is None) == (api_key is None):
            missing = "it is missing: name the file that holds the account's key"
            raise wrong(self.name, "key_file", missing if api_key is None else "give it or api_key")
        if self.key_file is not None:
            object.__setattr__(self, "key_file", Path(self.key_file))
            api_key = read_key(self.name, Path(self.key_file))
        source = "api_key" if self.key_file is None else "key_file"
        try:
            secret = check_secret(
                api_key, what="Reporting API key", sources=str(self.key_file or source)
            )
        except ConfigurationError as error:
            raise wrong(self.name, source, error) from None
        object.__setattr__(self, "secret", secret)


def find_address(entry: AccountEntry) -> Address:
    """The address of an account's API.

    Raises:
        ConfigurationError: It is none, or said twice.
    """
    if entry.region is not None and entry.base_url is not None:
        msg = "give region or base_url, not both: base_url replaces the whole address"
        raise wrong(entry.name, "region", msg)
    try:
        return reporting_address(entry.region, entry.base_url)
    except ConfigurationError as error:
        which = "region" if entry.base_url is None else "base_url"
        raise wrong(entry.name, which, error) from None


def read_key(account: str, path: Path) -> str:
    """What an account's key file holds.

    Raises:
        ConfigurationError: It cannot be read, or is empty.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        msg = f"{path} cannot be read ({reason})"
        if shown(str(path)) is None:
            msg = "this looks like a key: write it into a file, and name the file here"
        # The system's error holds the whole name, which may be a key.
        raise wrong(account, "key_file", msg) from None
    if not text.strip("\ufeff \t\r\n"):
        raise wrong(account, "key_file", f"{path} is empty: write the account's key into it")
    return text


def wrong(account: str, name: str, reason: object) -> ConfigurationError:
    """An error that names account and field."""
    end = "" if str(reason).endswith(("?", ".")) else "."
    return ConfigurationError(f"account {account!r}, {name}: {reason}{end}")


def check_name(name: object) -> None:
    """Refuse a name that cannot be a folder everywhere.

    Raises:
        ConfigurationError: The message says what is wrong with it.
    """
    if not isinstance(name, str) or not name.strip():
        msg = "An account has no name: its name becomes its folder."
        raise ConfigurationError(msg)
    if name.strip().startswith(TOKEN):
        msg = "An account's name looks like a key: it becomes a folder, so choose another."
        raise ConfigurationError(msg)
    bad = next((c for c in name if c in FORBIDDEN or not c.isprintable()), None)
    if bad is not None:
        reason = f"holds {bad!r}"
    elif name != name.strip() or name[0] == "." or name[-1] == ".":
        reason = "begins or ends with a dot or a space"
    elif DEVICES.fullmatch(name):
        reason = "is a device on Windows"
    elif len(name.encode()) > LONGEST_NAME:
        reason = f"is longer than {LONGEST_NAME} bytes"
    else:
        return
    what = shown(name)
    who = "An account's name" if what is None else f"The account name {what!r}"
    msg = f"{who} {reason}: it becomes a folder, so choose another."
    raise ConfigurationError(msg)


def check_entries(entries: Sequence[AccountEntry]) -> None:
    """Refuse accounts that would be mistaken for one another.

    Names that differ in letter case alone are one folder on some file systems. One key twice at one
    address is one account, exported twice: a copied line whose key was not changed.

    Raises:
        ConfigurationError: There are none, or two are the same; the message names both.
    """
    if not entries:
        msg = "There is no account: give at least one."
        raise ConfigurationError(msg)
    names: dict[str, str] = {}
    keys: dict[tuple[str, str], str] = {}
    for entry in entries:
        folder = unicodedata.normalize("NFC", entry.name).casefold()
        if folder in names:
            msg = (
                f"The accounts {names[folder]!r} and {entry.name!r} would share a folder: rename "
                "one of them."
            )
            raise ConfigurationError(msg)
        key = (entry.address.base_url, entry.secret.fingerprint)
        if key in keys:
            msg = (
                f"The accounts {keys[key]!r} and {entry.name!r} have the same key at the same "
                "address, so they are one account: correct the key_file of one, or leave one out."
            )
            raise ConfigurationError(msg)
        names[folder] = keys[key] = entry.name


def shown(text: str) -> str | None:
    """A text for a message; None where it may be a key."""
    longest = max(map(len, re.split(r"[/\\\s]", text)))
    return None if longest >= LONGEST_SHOWN or text.strip().startswith(TOKEN) else text
