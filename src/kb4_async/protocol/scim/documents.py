"""Whole resources, as POST and PUT send them: what was served, with what is wanted laid over it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from datetime import datetime
from typing import Any

from kb4_async.protocol.scim.checks import instant
from kb4_async.protocol.scim.marks import CLEAR
from kb4_async.protocol.scim.schema import (
    BY_FIELD,
    CORE_USER,
    EMAIL,
    ENTERPRISE,
    READ_ONLY,
    Attribute,
    Kind,
    entries,
    meant,
    pick,
)
from kb4_async.protocol.scim.users import ScimUser


def document(user: ScimUser) -> dict[str, Any]:
    """The whole resource of a user, as it is created, or replaced where that is what is meant."""
    body = base(user.served or {})
    for name, value in user.extra.items():
        spread(body, name, value)
    for field, value in user.named.items():
        attribute = BY_FIELD[field]
        lay(body, attribute, jsonable(value, attribute.kind))
    return finish(body)


def base(served: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of what was served, without what only the server sets."""
    body = {name: deepcopy(value) for name, value in served.items() if name not in READ_ONLY}
    block = body.get(ENTERPRISE)
    manager = block.get("manager") if isinstance(block, dict) else None
    if isinstance(manager, dict):
        manager.pop("displayName", None)  # only the server sets it (RFC 7643, 4.3)
    return body


def finish(body: dict[str, Any]) -> dict[str, Any]:
    """Add what is always sent: the schemas, and the address for mail as Okta does."""
    name = body.get("userName")
    if isinstance(name, str) and "@" in name and "emails" not in body:
        body["emails"] = [{"value": name, "type": "work", "primary": True}]
    body = {name: value for name, value in body.items() if value != {}}
    extensions = sorted(name for name in body if name.startswith("urn:") and body[name] is not None)
    return {"schemas": [CORE_USER, *extensions], **body}


def spread(body: dict[str, Any], name: str, value: Any) -> None:  # noqa: ANN401
    """Lay an attribute without a field over a resource."""
    if isinstance(value, Mapping) and (name.startswith("urn:") or name == "name"):
        inner = body.get(name)
        body[name] = {**(inner if isinstance(inner, dict) else {}), **deepcopy(dict(value))}
    else:
        body[name] = deepcopy(value)


def lay(body: dict[str, Any], attribute: Attribute, value: Any) -> None:  # noqa: ANN401
    """Put a value where its attribute lies; None clears it.

    Cleared values are sent as null or an empty list: of an attribute that is left out a server may
    keep the value (RFC 7644, 3.5.1).
    """
    outer = body
    if attribute.block:
        outer = inner_of(body, attribute.block)
    if attribute.entry:
        outer[attribute.parent] = with_entry(outer.get(attribute.parent), attribute, value)
    elif not attribute.parent:
        outer[attribute.leaf] = value
    elif attribute.parent == "manager":
        # As a whole: a reference beside the value would be the old one's.
        outer["manager"] = None if value is None else {"value": value}
    else:
        inner_of(outer, attribute.parent)[attribute.leaf] = value


def inner_of(outer: dict[str, Any], name: str) -> dict[str, Any]:
    """The object of that name, made where there is none."""
    if not isinstance(outer.get(name), dict):
        outer[name] = {}
    inner: dict[str, Any] = outer[name]
    return inner


#: What an entry may say of its value, and is nothing without it.
LABELS = frozenset({"type", "primary", "display"})


def with_entry(served: Any, attribute: Attribute, value: Any) -> list[Any]:  # noqa: ANN401
    """The values of a multi-valued attribute with one of them set. To clear it is to clear all that
    the attribute can mean; of an address the parts stay that are not named."""
    found = [
        each for each in (served if isinstance(served, list) else [served]) if each is not None
    ]
    if value is None:
        gone = meant(entries(found), attribute)
        for each in gone:
            each[attribute.leaf] = None
        return [each for each in found if each not in gone or has_more(each, attribute)]
    entry = pick(entries(found), attribute)
    if entry is None:
        entry = {"type": attribute.entry}
        if attribute is EMAIL:
            entry["primary"] = not any(each.get("primary") is True for each in entries(found))
        found = [*found, entry]
    entry[attribute.leaf] = value
    return found


def has_more(entry: Mapping[str, Any], attribute: Attribute) -> bool:
    """Whether an entry says something besides the attribute's value."""
    return bool(entry.keys() - LABELS - {attribute.leaf})


def jsonable(value: Any, kind: Kind = "text") -> Any:  # noqa: ANN401
    """A field's value as JSON has it; None for ``CLEAR``. Times are sent as RFC 7643 has them,
    whatever form of ISO 8601 they were given in."""
    if value is CLEAR:
        return None
    if isinstance(value, datetime) or (kind == "moment" and isinstance(value, str)):
        moment = instant(value)
        return None if moment is None else moment.isoformat().replace("+00:00", "Z")
    return value
