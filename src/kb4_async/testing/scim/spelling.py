"""The names of SCIM: reading does not mind their case, serving does (RFC 7643 2.1)."""

from collections.abc import Mapping
from typing import Any

from kb4_async.testing.scim.bodies import Resource, invalid_syntax

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
KMSAT = "urn:ietf:params:scim:schemas:extension:knowbe4:kmsat:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
LIST_RESPONSE = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
PROVIDER_CONFIG = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"

TOP = (
    *("schemas", "id", "externalId", "meta", "userName", "name", "displayName", "nickName"),
    *("profileUrl", "title", "userType", "preferredLanguage", "locale", "timezone", "active"),
    *("password", "emails", "phoneNumbers", "ims", "photos", "addresses", "groups"),
    *("entitlements", "roles", "x509Certificates", "members"),
)
BELOW = (
    *("formatted", "familyName", "givenName", "middleName", "honorificPrefix", "honorificSuffix"),
    *("value", "display", "type", "primary", "$ref"),
    *("streetAddress", "locality", "region", "postalCode", "country"),
    *("employeeNumber", "costCenter", "organization", "division", "department", "manager"),
    *("displayName", "customField1", "customField2", "customField3", "customField4"),
    *("customDate1", "customDate2", "outOfOfficeEnd", "phishingLanguage", "trainingLanguage"),
    *("userRole", "hostname", "companyName", "mailNickName", "userPrincipalName"),
    *("onPremisesSamAccountName", "onPremisesSecurityIdentifier", "lastPasswordChangeDateTime"),
)
TOP_NAMES: Mapping[str, str] = {
    name.casefold(): name for name in (*TOP, ENTERPRISE, KMSAT, USER, GROUP)
}
SUB_NAMES: Mapping[str, str] = {name.casefold(): name for name in BELOW}
# What the server alone decides.
READ_ONLY = frozenset({"id", "meta", "groups", "schemas"})


def top_name(name: str) -> str:
    """Return an attribute's name, or an extension's, as it is served."""
    return TOP_NAMES.get(name.casefold(), name)


def sub_name(name: str) -> str:
    """Return the name of an attribute within another one, or an extension, as it is served."""
    return SUB_NAMES.get(name.casefold(), name)


def is_known(name: str) -> bool:
    """Say whether an attribute or extension is one of those whose parts are known."""
    return name.casefold() in TOP_NAMES


def respelled(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value of a known attribute with the names in it as they are served.

    What is null or an empty list is left out: to SCIM that is the same as absent (RFC 7643 2.5).
    """
    if isinstance(value, list):
        return [respelled(each) for each in value if each is not None]
    if isinstance(value, dict):
        parts = {sub_name(name): respelled(part) for name, part in value.items()}
        return {name: part for name, part in parts.items() if part is not None and part != []}
    return value


def resource(body: object) -> Resource:
    """Return the resource in a body, without what the server alone decides."""
    if not isinstance(body, dict):
        raise invalid_syntax("The request body must be a JSON object.")
    found: Resource = {}
    for name, value in body.items():
        kept = respelled(value) if is_known(name) else value
        if kept is not None and kept not in ([], {}) and top_name(name) not in READ_ONLY:
            found[top_name(name)] = kept
    return found


def schemas_of(core: str, document: Resource) -> list[str]:
    """Return the schemas of a resource: its own, and one for each extension that is there."""
    return [core, *(name for name in document if name.casefold().startswith("urn:"))]


def get(body: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value of a name in any case, None where there is none."""
    for key, value in body.items():
        if key.casefold() == name.casefold():
            return value
    return None
