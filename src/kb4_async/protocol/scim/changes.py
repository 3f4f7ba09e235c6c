"""Differences between a user as it is and as it is wanted, and the two ways of sending them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from kb4_async.protocol.scim.checks import instant
from kb4_async.protocol.scim.documents import (
    base,
    finish,
    has_more,
    jsonable,
    lay,
    with_entry,
)
from kb4_async.protocol.scim.marks import CLEAR, UNSET
from kb4_async.protocol.scim.names import fold
from kb4_async.protocol.scim.schema import (
    ACTIVE,
    BY_FIELD,
    BY_NAME,
    EMAIL,
    ENTRIES,
    INNER,
    KMSAT,
    PATCH_OP,
    USER_NAME,
    Attribute,
    entries,
    meant,
)
from kb4_async.protocol.scim.users import ScimUser


@dataclass(frozen=True, slots=True)
class Change:
    """One attribute that differs.

    Attributes:
        attribute: As SCIM spells it: ``title``, ``name.givenName``, ``urn:...:User:department``.
        before: What the server has; None for nothing.
        after: What is wanted; None for nothing.
    """

    attribute: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{short(self.attribute)}: {show(self.before)} -> {show(self.after)}"


def short(attribute: str) -> str:
    """An attribute's name without its extension's URN, for people."""
    return attribute.rpartition(":")[2] if attribute.startswith("urn:") else attribute


def show(value: object) -> str:
    """A value for people."""
    return "nothing" if value is None else repr(value)


def differences(
    current: ScimUser,
    wanted: ScimUser,
    *,
    ignore: Collection[str] = (),
    hidden_email: bool = False,
    hidden_active: bool = False,
) -> tuple[Change, ...]:
    """What has to change so that everything named by ``wanted`` holds.

    Absent, null and empty are one state (RFC 7643, 2.5); times are compared as points in time;
    ``userName`` and addresses for mail without regard to case.

    Args:
        current: As served; with ``served`` where ``wanted`` has ``extra``.
        wanted: As wanted.
        ignore: Fields that are not compared.
        hidden_email: An address for mail that the server does not show is no difference: KnowBe4
            documents none.
        hidden_active: That a user is wanted active of whom the server does not show whether it is,
            is no difference: it may be archived, and would be brought back.
    """
    found: list[Change] = []
    for field, value in wanted.named.items():
        attribute = BY_FIELD[field]
        before, after = jsonable_or_none(getattr(current, field)), jsonable(value, attribute.kind)
        after = None if after == "" else after
        if field in ignore or same(attribute, before, after):
            continue
        if attribute is EMAIL and hidden_email and before is None:
            continue
        if attribute is ACTIVE and hidden_active and before is None and after is True:
            continue
        found.append(Change(attribute.name, before, after))
    served = current.served or {}
    for name, value in wanted.extra.items():
        found.extend(extra_differences(served, name, value))
    renamed = next((each for each in found if each.attribute == USER_NAME.name), None)
    # Where the address for mail is the old user name, it becomes the new one, if that is one.
    if (
        renamed is not None
        and "@" in str(renamed.after)
        and wanted.email is UNSET
        and same(EMAIL, jsonable_or_none(current.email), renamed.before)
    ):
        found.append(Change(EMAIL.name, renamed.before, renamed.after))
    return tuple(found)


def needs_whole(current: ScimUser, wanted: ScimUser, changes: Collection[Change]) -> bool:
    """Whether a row of a list is too little to go by. It may lack what the user has when read by
    its id, so that nothing is built on it, and nothing concluded from what is not in it.

    Args:
        current: The row.
        wanted: What is wanted.
        changes: The differences. To change ``active`` alone takes no more than the id.
    """
    if any(each.attribute != ACTIVE.name or each.before is None for each in changes):
        return True
    if wanted.active is True and current.active is UNSET:
        return True
    return any(map(names_nothing, (*wanted.named.values(), *wanted.extra.values())))


def names_nothing(value: object) -> bool:
    """Whether a wanted value is, or holds, one that is to be empty."""
    if isinstance(value, Mapping) and value:
        return any(map(names_nothing, value.values()))
    return value is CLEAR or value in (None, "", [], {})


def jsonable_or_none(value: object) -> Any:  # noqa: ANN401
    """A field's value as JSON has it; None where there is none."""
    return None if value is UNSET else jsonable(value)


def same(attribute: Attribute, before: object, after: object) -> bool:
    """Whether two values of an attribute say the same."""
    nothing = (None, "")
    if before in nothing or after in nothing:
        # That something is false is said, and is not nothing.
        return before in nothing and after in nothing
    if attribute.kind == "moment":
        return instant(before) == instant(after)
    if attribute in {USER_NAME, EMAIL}:
        return fold(str(before)) == fold(str(after))
    return before == after


def holds(attribute: str, value: object, wanted: object) -> bool:
    """Whether an attribute named as in a ``Change`` has the wanted value."""
    known = BY_NAME.get(attribute.lower())
    if known is not None:
        return same(known, value, wanted)
    return contains(value, wanted)


def value_of(user: ScimUser, attribute: str) -> Any:  # noqa: ANN401
    """The value that an attribute named as in a ``Change`` has."""
    known = BY_NAME.get(attribute.lower())
    if known is not None:
        return jsonable_or_none(getattr(user, known.field))
    outer, name = place_of(attribute)
    inner: Any = user.served or {}
    if outer:
        inner = inner.get(outer) if isinstance(inner.get(outer), Mapping) else {}
    return inner.get(name)


def extra_differences(served: Mapping[str, Any], name: str, wanted: object) -> Iterator[Change]:
    """The differences of an attribute that has no field."""
    before = served.get(name)
    if wanted is None and name.startswith("urn:"):
        # What has a field is cleared by it.
        inside = before if isinstance(before, Mapping) else {}
        wanted = {key: None for key in inside if key not in INNER.get(name, ())}
    if isinstance(wanted, Mapping) and (name.startswith("urn:") or name == "name"):
        inside = before if isinstance(before, Mapping) else {}
        joint = ":" if name.startswith("urn:") else "."
        for key, value in wanted.items():
            if not contains(inside.get(key), value):
                yield Change(f"{name}{joint}{key}", inside.get(key), value)
        return
    if name in ENTRIES:
        missing = [each for each in entries(wanted) if not any_contains(entries(before), each)]
        if missing:
            kinds = {str(each.get("type", "")).lower() for each in missing}
            kept = [e for e in entries(before) if str(e.get("type", "")).lower() not in kinds]
            yield Change(name, before, [*kept, *missing])
        return
    if not contains(before, wanted):
        yield Change(name, before, wanted)


def contains(value: object, wanted: object) -> bool:
    """Whether a JSON value holds everything that a wanted one names."""
    if wanted in (None, [], "", {}):
        return value in (None, [], "", {})
    if isinstance(wanted, Mapping):
        return isinstance(value, Mapping) and all(
            contains(value.get(key), each) for key, each in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(value, list)
            and len(value) == len(wanted)
            and all(any(contains(each, one) for each in value) for one in wanted)
        )
    return value == wanted


def any_contains(values: list[dict[str, Any]], wanted: object) -> bool:
    """Whether one of several values holds what is wanted."""
    return any(contains(each, wanted) for each in values)


def place_of(attribute: str) -> tuple[str, str]:
    """Block or complex attribute, and the name within, of an attribute without a field."""
    if attribute.startswith("urn:"):
        block, _, name = attribute.rpartition(":")
        return block, name
    outer, dot, name = attribute.partition(".")
    return (outer, name) if dot and outer == "name" else ("", attribute)


def replacement(current: ScimUser, changes: Collection[Change]) -> dict[str, Any]:
    """The body of a PUT: everything that was served, with the changes laid over it."""
    body = base(current.served or {})
    names = {change.attribute for change in changes}
    for change in wholes_first(changes):
        put(body, change.attribute, deepcopy(change.after))
    if names & {"name.givenName", "name.familyName"} and "name.formatted" not in names:
        body["name"].pop("formatted", None)  # made of the parts, and now out of date
    return finish(body)


def wholes_first(changes: Collection[Change]) -> list[Change]:
    """Changes in the order of writing: whole attributes before what is laid into them."""
    return sorted(changes, key=lambda each: each.attribute.lower() in BY_NAME)


def put(body: dict[str, Any], name: str, value: Any) -> None:  # noqa: ANN401
    """Lay a changed attribute over a resource."""
    attribute = BY_NAME.get(name.lower())
    if attribute is not None:
        lay(body, attribute, value)
        return
    outer, inner = place_of(name)
    if outer:
        inside = body.get(outer)
        body[outer] = {**(inside if isinstance(inside, dict) else {}), inner: value}
    else:
        body[inner] = value


def hides_block(current: ScimUser) -> bool:
    """Whether the server names KnowBe4's extension for a user without showing it: a PUT without it
    would blank what is there."""
    served = current.served or {}
    schemas = served.get("schemas")
    named = isinstance(schemas, list) and any(
        isinstance(each, str) and each.lower() == KMSAT.lower() for each in schemas
    )
    return named and KMSAT not in served


def patch(operations: list[dict[str, Any]]) -> dict[str, Any]:
    """A PATCH's body."""
    return {"schemas": [PATCH_OP], "Operations": operations}


def active_patch(active: bool) -> dict[str, Any]:  # noqa: FBT001  # it is the value
    """The PATCH that archives or brings back a user: a JSON boolean, in the form every server that
    was recorded takes."""
    return patch([{"op": "replace", "path": ACTIVE.name, "value": active}])


def update_patch(current: ScimUser, changes: Collection[Change]) -> dict[str, Any]:
    """The PATCH of an update, one operation an attribute."""
    now = base(current.served or {})
    operations = []
    for change in wholes_first(changes):
        operations.append(operation(now, change))
        put(now, change.attribute, deepcopy(change.after))
    return patch(operations)


def operation(now: Mapping[str, Any], change: Change) -> dict[str, Any]:
    """One operation of a PATCH, on a user as those before it left it."""
    attribute = BY_NAME.get(change.attribute.lower())
    path, value = change.attribute, change.after
    if attribute is None:
        return {"op": "remove", "path": path} if value is None else write(path, value)
    if attribute.parent == "manager":
        path = f"{attribute.block}:manager"
        value = None if value is None else {"value": value}
    if attribute.entry:
        return entry_operation(now.get(attribute.parent), attribute, value)
    return {"op": "remove", "path": path} if value is None else write(path, value)


def entry_operation(served: object, attribute: Attribute, value: object) -> dict[str, Any]:
    """The operation on one entry of a multi-valued attribute."""
    able = meant(entries(served), attribute)
    if value is not None and not able:
        return {"op": "add", "path": attribute.parent, "value": [with_new(attribute, value)]}
    typed = all(each.get("type") for each in able)
    if value is None and typed:
        more = any(has_more(each, attribute) for each in able)
        path = attribute.name if more else attribute.name.rpartition(".")[0]
        return {"op": "remove", "path": path}
    if typed and len(able) == 1:
        return write(attribute.name, value)
    # No filter by type selects the one that is meant, and nothing else.
    return write(attribute.parent, with_entry(deepcopy(served), attribute, value))


def with_new(attribute: Attribute, value: object) -> dict[str, Any]:
    """A new entry of a multi-valued attribute."""
    return {"type": attribute.entry, attribute.leaf: value}


def write(path: str, value: object) -> dict[str, Any]:
    """The operation that sets a value, whether or not there is one (RFC 7644, 3.5.2.3)."""
    return {"op": "replace", "path": path, "value": value}
