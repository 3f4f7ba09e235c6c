"""What judges SCIM bodies from outside: ``scim2_models``, a small PATCH of RFC 7644, a check of
what a write kept; and the users and resources that tests are fed with."""

import copy
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st
from scim2_models import (
    ComplexAttribute,
    Context,
    EnterpriseUser,
    Extension,
    Group,
    PatchOp,
    ScimPolicy,
    User,
)
from scim2_models.urn import URN

from kb4_async.protocol import codec
from kb4_async.protocol.scim.changes import Change
from kb4_async.protocol.scim.marks import CLEAR
from kb4_async.protocol.scim.schema import BY_FIELD as FIELDS
from kb4_async.protocol.scim.users import ScimUser

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
KMSAT = "urn:ietf:params:scim:schemas:extension:knowbe4:kmsat:2.0:User"
#: An extension that nobody declares.
OTHER = "urn:example:extension:2.0:User"


class Kmsat(Extension):
    """KnowBe4's extension, as Microsoft's tutorial lists it."""

    __schema__ = URN(KMSAT)

    custom_field_1: str | None = None
    custom_field_2: str | None = None
    custom_field_3: str | None = None
    custom_field_4: str | None = None
    custom_date_1: datetime | None = None
    custom_date_2: datetime | None = None
    out_of_office_end: datetime | None = None
    phishing_language: str | None = None
    training_language: str | None = None
    user_role: str | None = None
    hostname: str | None = None
    company_name: str | None = None
    country: str | None = None
    mail_nick_name: str | None = None
    on_premises_sam_account_name: str | None = None
    on_premises_security_identifier: str | None = None
    user_principal_name: str | None = None
    last_password_change_date_time: datetime | None = None


class Manager(ComplexAttribute):
    """A manager by value alone: ``scim2_models`` demands ``$ref``, which RFC 7643 8.7.1 does not,
    and for which KnowBe4's managers, addresses for mail, have nothing."""

    value: str | None = None


class Enterprise(Extension):
    """The enterprise extension with that manager."""

    __schema__ = URN(ENTERPRISE)

    employee_number: str | None = None
    cost_center: str | None = None
    organization: str | None = None
    division: str | None = None
    department: str | None = None
    manager: Manager | None = None


Known = User[Enterprise | Kmsat]
#: With the extension as ``scim2_models`` brings it.
Stock = User[EnterpriseUser | Kmsat]
STRICT = ScimPolicy()
#: For what a server sent and gets back: what it invented is kept.
KEEPING = ScimPolicy(unknown=ScimPolicy.Unknown.keep)
#: Entra's way to remove members.
ENTRA = ScimPolicy(remove_value_as_filter=ScimPolicy.RemoveValue.apply)


def over_the_wire(body: object) -> Any:
    """A body as the server reads it."""
    return codec.decode(codec.encode(body))


def judge_post(body: object) -> None:
    """Refuse a body of POST Users that is not SCIM."""
    read = over_the_wire(body)
    # The model takes what is read-only without a word; this library never sends it.
    assert not {"id", "meta", "groups"} & set(read)
    Known.model_validate(read, scim_ctx=Context.RESOURCE_CREATION_REQUEST, scim_policy=STRICT)


def judge_put(body: object, policy: ScimPolicy = STRICT) -> None:
    """Refuse a body of PUT Users/ID that is not SCIM."""
    read = over_the_wire(body)
    # The context ignores what is read-only; this library never sends it.
    assert not {"id", "meta", "groups"} & set(read)
    Known.model_validate(read, scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST, scim_policy=policy)


def judge_patch(body: object, policy: ScimPolicy = STRICT) -> None:
    """Refuse a body of PATCH Users/ID that is not SCIM."""
    PatchOp[Known].model_validate(
        over_the_wire(body), scim_ctx=Context.RESOURCE_PATCH_REQUEST, scim_policy=policy
    )


def judge_group(body: object) -> None:
    """Refuse a body of POST Groups that is not SCIM."""
    Group.model_validate(
        over_the_wire(body), scim_ctx=Context.RESOURCE_CREATION_REQUEST, scim_policy=STRICT
    )


def judge_group_patch(body: object, policy: ScimPolicy = STRICT) -> PatchOp[Group]:
    """Refuse a body of PATCH Groups/ID that is not SCIM."""
    return PatchOp[Group].model_validate(
        over_the_wire(body), scim_ctx=Context.RESOURCE_PATCH_REQUEST, scim_policy=policy
    )


# -- PATCH, as RFC 7644 3.5.2 has it -----------------------------------------------------------

PATH = re.compile(
    r"(?:(?P<block>urn:.*:\d+\.\d+:\w+)(?::|$))?"
    r"(?P<name>[\w$]+)?(?:\[(?P<by>\w+) eq (?P<is>\"(?:[^\"\\]|\\.)*\")\])?(?:\.(?P<sub>\w+))?"
)


def apply_patch(resource: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """What a server of canonical spelling makes of a resource."""
    found = copy.deepcopy(dict(resource))
    for operation in body["Operations"]:
        apply(found, operation["op"], operation["path"], copy.deepcopy(operation.get("value")))
    return found


def apply(found: dict[str, Any], op: str, path: str, value: Any) -> None:
    match = PATH.fullmatch(path)
    assert match, f"no path of RFC 7644: {path}"
    assert op in {"add", "replace", "remove"}
    assert op == "remove" or value is not None
    outer = found
    if match["block"]:
        if not match["name"]:
            assert op == "remove"
            found.pop(match["block"], None)
            return
        outer = inside(found, match["block"])
    name = match["name"]
    if match["by"]:
        wanted = codec.decode(match["is"].encode()).lower()
        rows = as_list(outer.get(name))
        hits = [r for r in rows if isinstance(r, dict) and folded(r.get(match["by"])) == wanted]
        assert hits or op == "remove", f"noTarget: {path}"
        if match["sub"]:
            for row in hits:
                put(row, op, match["sub"], value)
        else:
            assert op == "remove"
            outer[name] = [row for row in rows if not any(row is hit for hit in hits)]
    elif match["sub"]:
        put(inside(outer, name), op, match["sub"], value)
    elif op == "add" and isinstance(value, list):
        outer[name] = [*as_list(outer.get(name)), *value]
    else:
        put(outer, op, name, value)


def inside(outer: dict[str, Any], name: str) -> dict[str, Any]:
    if not isinstance(outer.get(name), dict):
        outer[name] = {}
    found: dict[str, Any] = outer[name]
    return found


def put(outer: dict[str, Any], op: str, name: str, value: Any) -> None:
    if op == "remove":
        outer.pop(name, None)
    else:
        outer[name] = value


def as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def folded(value: object) -> str:
    return value.lower() if isinstance(value, str) else ""


# -- what a write must keep --------------------------------------------------------------------

READ_ONLY = {"schemas", "id", "meta", "groups"}
EMPTY: tuple[object, ...] = (None, [], "", {})
LEAVES = {"emails": "value", "phoneNumbers": "value", "addresses": "formatted"}


def check_kept(before: Mapping[str, Any], after: Mapping[str, Any], names: Collection[str]) -> None:
    """Fail if a resource lost what no change names.

    Args:
        before: As served, in canonical spelling.
        after: As written.
        names: Attributes that changes name.
    """
    for name, value in before.items():
        if name in READ_ONLY or name in names or value in EMPTY:
            continue
        if name in LEAVES:
            check_entries(name, as_list(value), as_list(after.get(name)), names)
        elif name == "name" or name.startswith("urn:"):
            check_inside(name, value, after.get(name), names)
        else:
            assert after.get(name) == value, f"{name} was lost"


def check_inside(name: str, value: Any, after: Any, names: Collection[str]) -> None:
    joint = ":" if name.startswith("urn:") else "."
    changed = {each[len(name) + 1 :] for each in names if each.startswith(name + joint)}
    if not isinstance(value, dict):
        assert changed or after == value, f"{name} was lost"
        return
    for key, each in value.items():
        if key in changed or each in EMPTY or (key == "formatted" and changed):
            continue
        if key == "manager":
            if "manager.value" not in changed:
                assert without_name(after[key]) == without_name(each), "manager was lost"
            continue
        assert after[key] == each, f"{name}{joint}{key} was lost"


def without_name(manager: Any) -> Any:
    """A manager without what only the server sets."""
    if not isinstance(manager, dict):
        return manager
    return {key: each for key, each in manager.items() if key != "displayName"}


def check_entries(name: str, rows: list[Any], after: list[Any], names: Collection[str]) -> None:
    leaf = LEAVES[name]
    changed = {each.split('"')[1] for each in names if each.startswith(name + "[")}
    if name == "emails" and (changed or "userName" in names):
        changed = {"work", ""}
    for row in rows:
        if not isinstance(row, dict):
            assert row is None or row in after, f"{row!r} of {name} was lost"
        elif folded(row.get("type")) not in changed:
            assert row in after, f"{row} of {name} was lost"
        else:
            rest = {key: each for key, each in row.items() if key != leaf and each is not None}
            if rest.keys() - {"type", "primary", "display"}:
                assert any(isinstance(e, dict) and rest.items() <= e.items() for e in after)


# -- strategies --------------------------------------------------------------------------------

ODD_TEXTS = ["🙂 Zoë", 'o"brien', "back\\slash", "a+b", "x, y = z", "ﬁ", "\t", "İ", "[type eq]"]
texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8) | st.sampled_from(ODD_TEXTS)
addresses = st.from_regex(
    r"[a-cA-C0-9+_'-]{1,4}(\.[a-c+]{1,3})?@(example\.com|b\.example\.org)", fullmatch=True
)
#: Names that are addresses, as at KnowBe4, and names that cannot be taken for any.
user_names = addresses | texts.filter(lambda text: "@" not in text and bool(text.strip()))
moments = st.datetimes(
    datetime(1990, 1, 1),  # noqa: DTZ001  # naive ones are UTC
    datetime(2090, 1, 1),  # noqa: DTZ001
    timezones=st.none() | st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
)
texts_of_moments = moments.map(datetime.isoformat) | st.sampled_from(
    ["2026-11-24T08:00:00Z", "2026-11-24", "20261124T080000Z", "2026-11-24T08:00:00.5+02:00"]
)

MOMENTS = ("custom_date_1", "custom_date_2", "out_of_office_end", "last_password_change_date_time")
TEXTS = tuple(
    name
    for name in ScimUser.__dataclass_fields__
    if name not in {*MOMENTS, "user_name", "id", "active", "email", "extra", "served", "_"}
)
cleared = st.just(CLEAR)
names_of_others = st.sampled_from(["nickName", "favouriteColour", "x5", "costCentre"])
leaves = st.none() | st.booleans() | st.integers(-9, 9) | texts
jsons = st.recursive(
    leaves,
    lambda each: st.lists(each, max_size=2) | st.dictionaries(names_of_others, each, max_size=2),
    max_leaves=4,
)
extras = st.fixed_dictionaries(
    {},
    optional={
        "favouriteColour": jsons,
        "nickName": texts | st.none(),
        OTHER: st.none() | st.dictionaries(names_of_others, jsons, max_size=2),
        ENTERPRISE: st.none() | st.fixed_dictionaries({"costCenter": texts | st.none()}),
        "name": st.fixed_dictionaries({"middleName": texts}),
        "emails": addresses.map(lambda each: [{"type": "home", "value": each}]),
        "phoneNumbers": texts.map(lambda each: [{"type": "fax", "value": each}]),
    },
)


def wanted_users(extra: st.SearchStrategy[dict[str, Any]] | None = None) -> Any:
    """Users as wanted: any combination of fields."""
    return st.builds(
        lambda user_name, some, extra: ScimUser(user_name, **some, extra=extra),
        user_names,
        st.fixed_dictionaries(
            {},
            optional={
                "active": st.booleans(),
                "email": addresses | cleared,
                **{name: texts | st.just("") | cleared for name in TEXTS},
                **dict.fromkeys(MOMENTS, moments | texts_of_moments | cleared),
            },
        ),
        st.just({}) if extra is None else extra,
    )


def entry_of(leaf: str, values: st.SearchStrategy[Any], *types: str) -> Any:
    return st.fixed_dictionaries(
        {leaf: values},
        optional={
            "type": st.sampled_from(types),
            "primary": st.booleans(),
            "display": texts,
            **({"streetAddress": texts} if leaf == "formatted" else {}),
        },
    )


def resources(*, odd: bool) -> Any:
    """Users as servers send them.

    Args:
        odd: With what no server should send, and some do.
    """
    strange: Any = st.none() | st.just("") | st.integers(0, 9) | st.just([1]) | st.just({"x5": "y"})
    text: Any = texts | st.just("") | st.none()
    if odd:
        text |= strange

    def several(entry: Any) -> Any:
        whole = st.lists(entry, max_size=3)
        if not odd:
            whole = whole.map(one_primary)
        else:
            whole |= entry | st.none() | st.lists(entry | st.just("odd") | st.none(), max_size=3)
        return whole

    def block(inner: dict[str, Any]) -> Any:
        whole = st.fixed_dictionaries({}, optional=inner)
        return whole | st.none() | st.just("odd") | st.just([1]) if odd else whole

    blocks: dict[str, dict[str, Any]] = {ENTERPRISE: {}, KMSAT: {}}
    core = {}
    for name, attribute in FIELDS.items():
        if attribute.block and not attribute.parent:
            kind = text
            if name in MOMENTS:
                kind = texts_of_moments | strange if odd else st.just("2026-11-24T08:00:00Z")
            blocks[attribute.block][attribute.leaf] = kind
        elif not attribute.parent and name not in {"user_name", "active"}:
            core[attribute.leaf] = text
    manager = st.fixed_dictionaries(
        {}, optional={"value": texts, "displayName": texts, **({"$ref": texts} if odd else {})}
    )
    blocks[ENTERPRISE] |= {"costCenter": texts, "manager": manager | texts if odd else manager}
    if odd:
        blocks[KMSAT]["x5"] = jsons
    return st.fixed_dictionaries(
        {"id": st.integers(1, 10**20) | texts if odd else texts, "userName": user_names},
        optional={
            **core,
            "active": st.booleans() | st.sampled_from(["True", "false", "maybe", None, 1])
            if odd
            else st.booleans(),
            "name": block({"givenName": text, "familyName": text, "formatted": texts}),
            "emails": several(entry_of("value", addresses, "work", "Work", "home", "other")),
            "phoneNumbers": several(entry_of("value", texts, "work", "mobile", "fax")),
            "addresses": several(entry_of("formatted", texts, "work", "home")),
            ENTERPRISE: block(blocks[ENTERPRISE]),
            KMSAT: block(blocks[KMSAT]),
            OTHER: st.dictionaries(names_of_others, jsons, max_size=2),
            "favouriteColour": jsons,
            "locale": texts,
            "schemas": st.just([CORE, ENTERPRISE]),
            "meta": st.just({"resourceType": "User", "version": 'W/"1"'}),
            "groups": st.just([{"value": "1", "display": "All"}]),
        },
    )


def one_primary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Entries of which one at most is primary (RFC 7643, 2.4)."""
    first = next((row for row in rows if row.get("primary")), None)
    return [{**row, "primary": row is first} if "primary" in row else row for row in rows]


def respelled(resource: Any) -> Any:
    """A resource with the names that SCIM knows in capitals; those that nobody knows stay."""
    if isinstance(resource, list):
        return [respelled(each) for each in resource]
    if not isinstance(resource, dict):
        return resource
    known = {n.upper(): respelled(each) for n, each in resource.items() if n not in UNKNOWN}
    return {**known, **{name: each for name, each in resource.items() if name in UNKNOWN}}


UNKNOWN = {
    *(OTHER, "favouriteColour", "nickName", "x5", "costCentre", "costCenter", "locale"),
    *("streetAddress", "$ref", "meta", "groups", "schemas"),
}


def names_of(changes: Collection[Change]) -> set[str]:
    """What changes name."""
    return {each.attribute for each in changes}
