"""Refusing what no server should be sent, in one sentence that names the field."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

from kb4_async.errors import ConfigurationError
from kb4_async.protocol.scim.marks import CLEAR
from kb4_async.protocol.scim.schema import (
    BY_FIELD,
    ENTERPRISE,
    ENTRIES,
    INNER,
    READ_ONLY,
    ROOTS,
    Attribute,
)


def instant(value: object) -> datetime | None:
    """A time as a point in time; None where it is none. Without a zone it is UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:  # in UTC it would lie before the year 1, or behind 9999
        return None


def check_value(attribute: Attribute, value: object) -> None:
    """Refuse a value of the wrong kind.

    Raises:
        ConfigurationError: The message names the field.
    """
    name = attribute.field
    if attribute.kind == "flag":
        if isinstance(value, bool):
            return
        # There is no third state: a server would take a null for either of them.
        cleared = ", and cannot be cleared: name it as one of them, or leave it out."
        msg = f"{name} is True or False{cleared if value is CLEAR else f', not {value!r}.'}"
        raise ConfigurationError(msg)
    if value is CLEAR and name != "user_name":
        return
    if attribute.kind == "moment" and isinstance(value, str | datetime):
        if instant(value) is not None:
            return
        msg = f"{name} is a time like 2026-11-24T08:00:00Z, not {value!r}."
        raise ConfigurationError(msg)
    if not isinstance(value, str):
        msg = f"{name} is text, not {type(value).__name__} ({value!r})."
        raise ConfigurationError(msg)
    if name == "user_name" and not value.strip():
        msg = "A user needs a userName that is not empty: KnowBe4 makes it the e-mail address."
        raise ConfigurationError(msg)
    if not value.isascii() and any("\ud800" <= sign <= "\udfff" for sign in value):
        msg = f"{name} holds half of a character ({value!r}), which no JSON can carry."
        raise ConfigurationError(msg)


def check_extra(extra: object) -> None:
    """Refuse attributes without a field that no resource can have.

    Raises:
        ConfigurationError: The message names the attribute.
    """
    if not isinstance(extra, Mapping):
        msg = f"extra is a mapping of SCIM attributes, not {extra!r}."
        raise ConfigurationError(msg)
    for name, value in extra.items():
        if not isinstance(name, str):
            msg = f"extra has names that are text, not {name!r}."
            raise ConfigurationError(msg)
        if name.lower() in READ_ONLY:
            msg = f"extra holds {name!r}, which only the server sets."
            raise ConfigurationError(msg)
        if name.startswith("urn:") and not isinstance(value, Mapping | None):
            msg = f"extra holds {name!r}, which is an extension: a mapping, not {value!r}."
            raise ConfigurationError(msg)


def check_shapes(resource: Mapping[str, Any]) -> None:
    """Refuse what has an attribute's name and not its shape: it would be lost without a word.

    Raises:
        ConfigurationError: The message names the attribute.
    """
    for name, value in resource.items():
        if name in INNER and not isinstance(value, dict | None):
            msg = f"{name} is an object, not {value!r}."
            raise ConfigurationError(msg)
        if name == ENTERPRISE and not isinstance((value or {}).get("manager"), dict | str | None):
            msg = f"manager is text, or an object, not {value['manager']!r}."
            raise ConfigurationError(msg)
        if name in ENTRIES and value is not None:
            found = value if isinstance(value, list) else [value]
            if not all(isinstance(each, dict) for each in found):
                msg = f"{name} is a list of objects, not {value!r}."
                raise ConfigurationError(msg)


#: Attributes of RFC 7643 that have no field here, and are sent as given.
OTHERS = frozenset(
    {"nickName", "profileUrl", "preferredLanguage", "locale", "timezone", "password", "ims"}
    | {"photos", "entitlements", "roles", "x509Certificates"}
)


def check_spelling(resource: Mapping[str, Any]) -> None:
    """Refuse an unknown attribute that is nearly a known one: it would be sent, and do nothing.

    Raises:
        ConfigurationError: The message names both.
    """
    if "meta" in resource:
        return  # a server's own resource may hold anything
    known = ROOTS | OTHERS | READ_ONLY
    for name in resource:
        if name in known or name.startswith("urn:"):
            continue
        if name in BY_FIELD:
            msg = f"{name!r} is a field of ScimUser beside SCIM's userName: use one or the other."
            raise ConfigurationError(msg)
        close = get_close_matches(name, known, n=1, cutoff=0.8)
        if close:
            msg = f"{name!r} is no attribute of SCIM: is it {close[0]!r}? If not, give it as extra."
            raise ConfigurationError(msg)
