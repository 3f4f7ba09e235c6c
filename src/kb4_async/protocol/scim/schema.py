"""Which field of a user is which SCIM attribute: names, places, kinds.

The attributes are those that Microsoft's provisioning tutorial for KnowBe4 lists (core, enterprise
extension, KnowBe4's own extension); ``emails``, which it lacks, is what Okta always sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

CORE_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
CORE_GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
KMSAT = "urn:ietf:params:scim:schemas:extension:knowbe4:kmsat:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

#: What only the server sets (RFC 7643, 2.2 and 3.1); it is never sent.
READ_ONLY = frozenset({"schemas", "id", "meta", "groups"})

Kind = Literal["text", "flag", "moment"]


@dataclass(frozen=True)
class Attribute:
    """One attribute of a user, and where it lies in the resource.

    Attributes:
        field: Name of the field of ``ScimUser``.
        leaf: The innermost name.
        parent: The complex or multi-valued attribute around it; empty for none.
        entry: Of a multi-valued one: the ``type`` of the entry.
        block: The extension's URN; empty for the core.
        kind: What its value is.
    """

    field: str
    leaf: str
    parent: str = ""
    entry: str = ""
    block: str = ""
    kind: Kind = "text"

    @cached_property
    def name(self) -> str:
        """As SCIM spells it in a path: ``name.givenName``, ``urn:...:User:department``."""
        inner = f'{self.parent}[type eq "{self.entry}"]' if self.entry else self.parent
        inner = f"{inner}.{self.leaf}" if inner else self.leaf
        return f"{self.block}:{inner}" if self.block else inner

    @cached_property
    def root(self) -> tuple[str, str]:
        """Block and outermost name."""
        return self.block, self.parent or self.leaf


USER_NAME = Attribute("user_name", "userName")
ACTIVE = Attribute("active", "active", kind="flag")
EMAIL = Attribute("email", "value", parent="emails", entry="work")

#: Every attribute that has a field, in the order in which differences are shown.
USER_ATTRIBUTES = (
    USER_NAME,
    ACTIVE,
    Attribute("external_id", "externalId"),
    Attribute("given_name", "givenName", parent="name"),
    Attribute("family_name", "familyName", parent="name"),
    EMAIL,
    Attribute("display_name", "displayName"),
    Attribute("title", "title"),
    Attribute("user_type", "userType"),
    Attribute("work_address", "formatted", parent="addresses", entry="work"),
    Attribute("work_phone", "value", parent="phoneNumbers", entry="work"),
    Attribute("mobile_phone", "value", parent="phoneNumbers", entry="mobile"),
    Attribute("employee_number", "employeeNumber", block=ENTERPRISE),
    Attribute("department", "department", block=ENTERPRISE),
    Attribute("division", "division", block=ENTERPRISE),
    Attribute("organization", "organization", block=ENTERPRISE),
    Attribute("manager", "value", parent="manager", block=ENTERPRISE),
    Attribute("custom_field_1", "customField1", block=KMSAT),
    Attribute("custom_field_2", "customField2", block=KMSAT),
    Attribute("custom_field_3", "customField3", block=KMSAT),
    Attribute("custom_field_4", "customField4", block=KMSAT),
    Attribute("custom_date_1", "customDate1", block=KMSAT, kind="moment"),
    Attribute("custom_date_2", "customDate2", block=KMSAT, kind="moment"),
    Attribute("out_of_office_end", "outOfOfficeEnd", block=KMSAT, kind="moment"),
    Attribute("phishing_language", "phishingLanguage", block=KMSAT),
    Attribute("training_language", "trainingLanguage", block=KMSAT),
    Attribute("user_role", "userRole", block=KMSAT),
    Attribute("hostname", "hostname", block=KMSAT),
    Attribute("company_name", "companyName", block=KMSAT),
    Attribute("country", "country", block=KMSAT),
    Attribute("mail_nick_name", "mailNickName", block=KMSAT),
    Attribute("on_premises_sam_account_name", "onPremisesSamAccountName", block=KMSAT),
    Attribute("on_premises_security_identifier", "onPremisesSecurityIdentifier", block=KMSAT),
    Attribute("user_principal_name", "userPrincipalName", block=KMSAT),
    Attribute(
        "last_password_change_date_time", "lastPasswordChangeDateTime", block=KMSAT, kind="moment"
    ),
)

BY_FIELD: Mapping[str, Attribute] = {each.field: each for each in USER_ATTRIBUTES}
#: Attributes by their names as shown, in lower case.
BY_NAME: Mapping[str, Attribute] = {each.name.lower(): each for each in USER_ATTRIBUTES}

#: The same by their last part, where that says which is meant: ``department``, ``givenName``.
BY_LAST: Mapping[str, Attribute] = {
    each.leaf.lower(): each for each in USER_ATTRIBUTES if not each.entry and each.leaf != "value"
}
#: Canonical spellings, for servers that spell names otherwise (RFC 7643, 2.1).
SPELLINGS: Mapping[str, str] = {
    name.lower(): name
    for name in (
        *READ_ONLY,
        *(part for each in USER_ATTRIBUTES for part in (each.leaf, each.parent, each.block)),
        *("members", "type", "primary", "formatted", "Resources", "totalResults"),
        *("startIndex", "itemsPerPage", "display", "version", "lastModified", "resourceType"),
    )
    if name
}


#: Whose inner names are SCIM's own; what else a server invents keeps its spelling throughout.
CONTAINERS = frozenset(
    {"name", "emails", "addresses", "phoneNumbers", "members", "meta", "manager", ENTERPRISE, KMSAT}
)


def canonical(resource: Mapping[str, Any], depth: int = 3) -> dict[str, Any]:
    """A resource with the names SCIM knows in their canonical spelling; others stay as they are.

    Args:
        resource: As sent.
        depth: Containers within containers that are looked into; SCIM has two.
    """
    found: dict[str, Any] = {}
    for sent, value in resource.items():
        name = SPELLINGS.get(sent.lower(), sent)
        found[name] = spelled(value, depth - 1) if depth and name in CONTAINERS else value
    return found


def spelled(value: Any, depth: int) -> Any:  # noqa: ANN401  # JSON holds anything
    """The inside of a container, in canonical spelling."""
    if isinstance(value, dict):
        return canonical(value, depth)
    if isinstance(value, list):
        return [canonical(each, depth) if isinstance(each, dict) else each for each in value]
    return value


def find(resource: Mapping[str, Any], attribute: Attribute) -> Any:  # noqa: ANN401
    """The attribute's value in a resource of canonical spelling, as it lies there; None without."""
    outer: Any = resource
    if attribute.block:
        outer = outer.get(attribute.block)
        if not isinstance(outer, Mapping):
            return None
    if not attribute.parent:
        return outer.get(attribute.leaf)
    inner = outer.get(attribute.parent)
    if attribute.entry:
        inner = pick(entries(inner), attribute)
    if isinstance(inner, Mapping):
        return inner.get(attribute.leaf)
    # A manager that is a plain text is its value: Entra sends it so.
    return inner if attribute.leaf == "value" and isinstance(inner, str) else None


def entries(value: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """A multi-valued attribute's entries; some servers give a single one without a list."""
    found = value if isinstance(value, list) else [value]
    return [each for each in found if isinstance(each, dict)]


def pick(found: list[dict[str, Any]], attribute: Attribute) -> dict[str, Any] | None:
    """The entry that an attribute means, which is the first of those it can mean; of addresses for
    mail without a type it is the primary one."""
    able = meant(found, attribute)
    typed = (each for each in able if each.get("type"))
    primary = (each for each in able if each.get("primary") is True)
    return next(typed, None) or next(primary, None) or next(iter(able), None)


def meant(found: list[dict[str, Any]], attribute: Attribute) -> list[dict[str, Any]]:
    """The entries that an attribute can mean: those of its type. An address for mail needs none;
    one of another type, say home, is another address."""
    wanted = {attribute.entry, ""} if attribute is EMAIL else {attribute.entry}
    return [each for each in found if str(each.get("type") or "").lower() in wanted]


#: Outermost names of the core that fields stand for.
ROOTS = frozenset(each.root[1] for each in USER_ATTRIBUTES if not each.block)
#: Of complex attributes and extensions: the inner names that fields stand for.
INNER: Mapping[str, frozenset[str]] = {
    name: frozenset(
        each.root[1] if each.block == name else each.leaf
        for each in USER_ATTRIBUTES
        if name in {each.block, each.parent} and not each.entry
    )
    for name in {each.block or each.parent for each in USER_ATTRIBUTES if not each.entry} - {""}
}
#: Of multi-valued attributes: the name within, and the types, that fields stand for.
ENTRIES: Mapping[str, tuple[str, frozenset[str]]] = {
    each.parent: (
        each.leaf,
        frozenset(other.entry for other in USER_ATTRIBUTES if other.parent == each.parent),
    )
    for each in USER_ATTRIBUTES
    if each.entry
}
