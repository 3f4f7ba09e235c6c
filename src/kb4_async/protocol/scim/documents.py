"""Whole resources, as POST and PUT send them: what was served, with what is wanted laid over it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from datetime import datetime
from typing import Any

from kb4_async.protocol.scim.marks import CLEAR
from kb4_async.protocol.scim.schema import (
    BY_FIELD,
    CORE_USER,
    EMAIL,
    ENTERPRISE,
    READ_ONLY,
    Attribute,
    entries,
    pick,
)
from kb4_async.protocol.scim.users import ScimUser, instant


def document(user: ScimUser) -> dict[str, Any]:
    """The whole resource of a user, as it is created, or replaced where that is what is meant."""
    body = base(user.served or {})
    for name, value in user.extra.items():
        spread(body, name, value)
    for field, value in user.named.items():
        lay(body, BY_FIELD[field], jsonable(value))
    return finish(body)


def base(served: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of what was served, without what only the server sets."""
    body = {name: deepcopy(value) for name, value in served.items() if name not in READ_ONLY}
    manager = (body.get(ENTERPRISE) or {}).get("manager")
    if isinstance(manager, dict):
        body[ENTERPRISE]["manager"] = {"value": manager.get("value")}
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
        outer[attribute.parent] = with_entry(entries(outer.get(attribute.parent)), attribute, value)
    elif not attribute.parent:
        outer[attribute.leaf] = value
    elif attribute.parent == "manager" and value is None:
        outer["manager"] = None
    else:
        inner_of(outer, attribute.parent)[attribute.leaf] = value


def inner_of(outer: dict[str, Any], name: str) -> dict[str, Any]:
    """The object of that name, made where there is none."""
    if not isinstance(outer.get(name), dict):
        outer[name] = {}
    inner: dict[str, Any] = outer[name]
    return inner


def with_entry(
    found: list[dict[str, Any]],
    attribute: Attribute,
    value: Any,  # noqa: ANN401
) -> list[dict[str, Any]]:
    """The entries of a multi-valued attribute with one of them set, or left out."""
    entry = pick(found, attribute)
    if value is None:
        return [each for each in found if each is not entry]
    if entry is None:
        entry = {"type": attribute.entry}
        if attribute is EMAIL:
            entry["primary"] = not any(each.get("primary") is True for each in found)
        found = [*found, entry]
    entry[attribute.leaf] = value
    return found


def jsonable(value: Any) -> Any:  # noqa: ANN401
    """A field's value as JSON has it; None for ``CLEAR``."""
    if value is CLEAR:
        return None
    if isinstance(value, datetime):
        moment = instant(value)
        return None if moment is None else moment.isoformat().replace("+00:00", "Z")
    return value
