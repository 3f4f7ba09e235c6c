"""``ScimUser``: a user as SCIM has it, one field an attribute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from datetime import datetime
from typing import Any, Self

from kb4_async.errors import ConfigurationError
from kb4_async.protocol.scim.checks import (
    check_extra,
    check_shapes,
    check_spelling,
    check_value,
    instant,
)
from kb4_async.protocol.scim.marks import CLEAR, UNSET, Mark
from kb4_async.protocol.scim.schema import (
    BY_FIELD,
    BY_LAST,
    BY_NAME,
    ENTRIES,
    INNER,
    READ_ONLY,
    ROOTS,
    USER_ATTRIBUTES,
    Attribute,
    canonical,
    entries,
    find,
)

Text = str | Mark
Flag = bool | Mark
Moment = str | datetime | Mark


@dataclass(frozen=True, slots=True)
class ScimUser:
    """A user of the account, as SCIM has it.

    A field is a value, ``UNSET`` (not named: an update leaves it alone) or ``CLEAR`` (to be
    emptied). Of a user that was read, what the server did not send is ``UNSET``. KnowBe4 makes
    ``user_name`` the user's e-mail address and ``display_name`` the *manager's* name.

    Args:
        user_name: ``userName``, which identifies the user; compared without regard to case.
        id: The server's own id of the user; only of users that were read.
        external_id: The user's key in your own system.
        active: False for an archived user.
        given_name: First name.
        family_name: Last name.
        email: Address of type work. Sent as ``user_name`` where it is not named.
        display_name: At KnowBe4 the name of the user's manager.
        title: Job title.
        user_type: ``userType``.
        work_address: Address of type work, in one text.
        work_phone: Telephone number of type work.
        mobile_phone: Telephone number of type mobile.
        employee_number: Of the enterprise extension, like the following ones.
        department: Department.
        division: Division.
        organization: Organization.
        manager: The manager's reference, at KnowBe4 the e-mail address.
        custom_field_1: Of KnowBe4's extension, like all that follow.
        custom_field_2: Text.
        custom_field_3: Text.
        custom_field_4: Text.
        custom_date_1: A ``datetime`` (naive ones are UTC) or ISO 8601 text, like all times here.
        custom_date_2: A time.
        out_of_office_end: A time.
        phishing_language: Language of phishing mails.
        training_language: Language of trainings.
        user_role: Role.
        hostname: Name of the user's computer.
        company_name: Company.
        country: Country.
        mail_nick_name: Of the directory.
        on_premises_sam_account_name: Of the directory.
        on_premises_security_identifier: Of the directory.
        user_principal_name: Of the directory.
        last_password_change_date_time: A time.
        extra: Attributes that have no field here, as SCIM spells them; they are sent as given.
        served: The resource as the server sent it, which a replacement is built on; None if it was
            not read.

    Raises:
        ConfigurationError: No user name, a value of the wrong kind, or text no JSON can carry.
    """

    user_name: str
    _: KW_ONLY
    id: str | None = None
    external_id: Text = UNSET
    active: Flag = UNSET
    given_name: Text = UNSET
    family_name: Text = UNSET
    email: Text = UNSET
    display_name: Text = UNSET
    title: Text = UNSET
    user_type: Text = UNSET
    work_address: Text = UNSET
    work_phone: Text = UNSET
    mobile_phone: Text = UNSET
    employee_number: Text = UNSET
    department: Text = UNSET
    division: Text = UNSET
    organization: Text = UNSET
    manager: Text = UNSET
    custom_field_1: Text = UNSET
    custom_field_2: Text = UNSET
    custom_field_3: Text = UNSET
    custom_field_4: Text = UNSET
    custom_date_1: Moment = UNSET
    custom_date_2: Moment = UNSET
    out_of_office_end: Moment = UNSET
    phishing_language: Text = UNSET
    training_language: Text = UNSET
    user_role: Text = UNSET
    hostname: Text = UNSET
    company_name: Text = UNSET
    country: Text = UNSET
    mail_nick_name: Text = UNSET
    on_premises_sam_account_name: Text = UNSET
    on_premises_security_identifier: Text = UNSET
    user_principal_name: Text = UNSET
    last_password_change_date_time: Moment = UNSET
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)
    served: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse what no server should be sent."""
        for attribute in USER_ATTRIBUTES:
            value = getattr(self, attribute.field)
            if value is not UNSET or attribute.field == "user_name":
                check_value(attribute, value)
        if self.id is not None and not isinstance(self.id, str):
            msg = f"id is text, not {type(self.id).__name__} ({self.id!r})."
            raise ConfigurationError(msg)
        if self.extra != {}:
            check_extra(self.extra)

    def __repr__(self) -> str:
        empty: tuple[object, ...] = (UNSET, None, {})
        named = {each: getattr(self, each) for each in SHOWN}
        return f"ScimUser({', '.join(f'{n}={v!r}' for n, v in named.items() if v not in empty)})"

    @property
    def named(self) -> dict[str, Any]:
        """The fields that are not ``UNSET``, by name."""
        found = ((name, getattr(self, name)) for name in BY_FIELD)
        return {name: value for name, value in found if value is not UNSET}

    @staticmethod
    def field_of(name: str) -> str:
        """The field of that name, here or in SCIM: ``given_name``, ``name.givenName``,
        ``department``.

        Raises:
            ConfigurationError: There is none.
        """
        attribute = BY_FIELD.get(name) or BY_NAME.get(name.lower()) or BY_LAST.get(name.lower())
        if attribute is None:
            msg = f"Users have no field {name!r}; they have: {', '.join(BY_FIELD)}."
            raise ConfigurationError(msg)
        return attribute.field

    @classmethod
    def of(cls, given: ScimUser | Mapping[str, Any]) -> ScimUser:
        """Take a user as such, as a SCIM resource, or as a mapping of this class's fields.

        ``null`` and ``CLEAR`` mean to clear; what is missing is not named. A SCIM resource may be
        what ``scim2_models`` dumps.

        Raises:
            ConfigurationError: It is no user, or a value is of the wrong kind.
        """
        if isinstance(given, ScimUser):
            return given
        if not isinstance(given, Mapping):
            msg = f"A user is a ScimUser or a mapping, not {type(given).__name__}."
            raise ConfigurationError(msg)
        if not all(isinstance(name, str) for name in given):
            msg = "The names of a user's attributes are text."
            raise ConfigurationError(msg)
        if "user_name" in given:
            return cls.of_fields(given)
        return cls.of_resource(canonical(given))

    @classmethod
    def of_fields(cls, given: Mapping[str, Any]) -> Self:
        """Take a mapping of this class's fields."""
        unknown = [str(name) for name in given if name not in FIELDS]
        if unknown:
            msg = f"A user has no field {', '.join(sorted(unknown))}: see ScimUser."
            raise ConfigurationError(msg)
        named: dict[str, Any] = {
            name: CLEAR if value is None and name in BY_FIELD else value
            for name, value in given.items()
        }
        return cls(**named)

    @classmethod
    def of_resource(cls, resource: Mapping[str, Any]) -> Self:
        """Take a SCIM resource of canonical spelling as what is wanted."""
        check_shapes(resource)
        check_spelling(resource)
        named: dict[str, Any] = {}
        for attribute in attributes_in(resource):
            value = find(resource, attribute)
            if value is not None:
                named[attribute.field] = value
            elif says_null(resource, attribute):
                named[attribute.field] = CLEAR
        if "user_name" not in named or named["user_name"] is CLEAR:
            msg = "A user needs a userName (or user_name), which KnowBe4 makes the e-mail address."
            raise ConfigurationError(msg)
        return cls(**named, extra=remains(resource))


SHOWN = tuple(each.name for each in fields(ScimUser) if each.name != "served")
FIELDS = frozenset(SHOWN)


def attributes_in(resource: Mapping[str, Any]) -> Iterator[Attribute]:
    """The attributes that a resource of canonical spelling may hold."""
    for attribute in USER_ATTRIBUTES:
        block, root = attribute.root
        if (block or root) in resource:
            yield attribute


def says_null(resource: Mapping[str, Any], attribute: Attribute) -> bool:
    """Whether a resource names the attribute, or what it lies in, as null."""
    outer: Any = resource
    if attribute.block:
        if attribute.block not in outer:
            return False
        outer = outer[attribute.block]
        if outer is None:
            return True
    if attribute.root[1] not in outer:
        return False
    inner = outer[attribute.root[1]]
    if inner is None or inner == []:
        return True
    return isinstance(inner, Mapping) and attribute.leaf in inner and not attribute.entry


def parse_user(resource: Mapping[str, Any], *, keep: bool = True) -> ScimUser:
    """Read a user as a server sent it, leniently: odd values are left out, never the user.

    Args:
        resource: As sent.
        keep: Keep the resource, which a replacement is built on; about 1.5 kB.

    Raises:
        ValueError: It has no id or no userName; the message says which.
    """
    served = canonical(resource)
    identity, name = served.get("id"), served.get("userName")
    if isinstance(identity, int) and not isinstance(identity, bool):
        identity = str(identity)
    if not isinstance(identity, str) or not identity:
        raise ValueError("it has no id")
    if not isinstance(name, str) or not name.strip():
        raise ValueError("it has no userName")
    found: dict[str, Any] = {}
    for attribute in attributes_in(served):
        value = plain(attribute, find(served, attribute))
        if value is not UNSET:
            found[attribute.field] = value
    return ScimUser(**found, id=identity, served=served if keep else None)


def plain(attribute: Attribute, value: object) -> str | bool | Mark:
    """A value as a server sent it, as its field's kind; ``UNSET`` where it cannot be."""
    if attribute.kind == "flag":
        if isinstance(value, str):
            return {"true": True, "false": False}.get(value.strip().lower(), UNSET)
        return value if isinstance(value, bool) else UNSET
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str):
        text = value.encode("utf-8", "replace").decode() if not value.isascii() else value
        # RFC 7643, 2.5: empty and absent are one state.
        if attribute.kind == "moment" and instant(text) is None:
            return UNSET
        return text or UNSET
    return UNSET


def remains(resource: Mapping[str, Any]) -> dict[str, Any]:
    """What of a resource has no field: unknown attributes, and unknown parts of known ones."""
    left: dict[str, Any] = {}
    for name, value in resource.items():
        if name in READ_ONLY or (name in ROOTS and not isinstance(value, dict | list)):
            continue
        if isinstance(value, dict) and name in INNER:
            kept = {key: each for key, each in value.items() if key not in INNER[name]}
            if kept:
                left[name] = kept
        elif name in ENTRIES:
            unknown = [each for each in entries(value) if not represented(name, each)]
            if unknown:
                left[name] = unknown
        elif name not in ROOTS:
            left[name] = value
    return left


def represented(name: str, entry: Mapping[str, Any]) -> bool:
    """Whether an entry of a multi-valued attribute is what a field says, and nothing more."""
    leaf, types = ENTRIES[name]
    return str(entry.get("type", "")).lower() in types and set(entry) <= {"type", "primary", leaf}
