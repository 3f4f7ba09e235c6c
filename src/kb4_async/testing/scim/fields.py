"""Which attribute of SCIM is which field of the Reporting API, and what they may hold."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import date
from typing import Any

from kb4_async.testing.scim.bodies import Resource, invalid_value
from kb4_async.testing.scim.spelling import ENTERPRISE, KMSAT
from kb4_async.testing.tables import Record

DATE_LENGTH = len("2026-01-31")
LISTS = ("emails", "phoneNumbers", "addresses", "ims", "photos", "entitlements", "roles")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an attribute lies: behind names, in the element of a list with some type if given."""

    names: tuple[str, ...]
    type: str | None = None

    def __str__(self) -> str:
        """Return it as a PATCH path would have it, nearly."""
        return ".".join(self.names)


def at(*names: str, element: str | None = None) -> Place:
    """Return a place."""
    return Place(names, element)


PLACES: Mapping[str, Place] = {
    "email": at("userName"),
    "first_name": at("name", "givenName"),
    "last_name": at("name", "familyName"),
    "job_title": at("title"),
    # Not the user's own name: the console's field for displayName is Manager Name.
    "manager_name": at("displayName"),
    "employee_number": at(ENTERPRISE, "employeeNumber"),
    "department": at(ENTERPRISE, "department"),
    "division": at(ENTERPRISE, "division"),
    "organization": at(ENTERPRISE, "organization"),
    "manager_email": at(ENTERPRISE, "manager", "value"),
    "phone_number": at("phoneNumbers", "value", element="work"),
    "mobile_phone_number": at("phoneNumbers", "value", element="mobile"),
    "location": at("addresses", "formatted", element="work"),
    "custom_field_1": at(KMSAT, "customField1"),
    "custom_field_2": at(KMSAT, "customField2"),
    "custom_field_3": at(KMSAT, "customField3"),
    "custom_field_4": at(KMSAT, "customField4"),
    "custom_date_1": at(KMSAT, "customDate1"),
    "custom_date_2": at(KMSAT, "customDate2"),
    "language": at(KMSAT, "phishingLanguage"),
    "assigned_training_language": at(KMSAT, "trainingLanguage"),
}
# Fields that the Reporting API serves only where there is something to serve.
SPARSE = frozenset({"assigned_training_language"})
DATES = frozenset({"custom_date_1", "custom_date_2"})


def read(document: Resource, place: Place) -> Any:  # noqa: ANN401 - any JSON value
    """Return what lies at a place, None where nothing does."""
    value: Any = document.get(place.names[0])
    for name in place.names[1:]:
        if isinstance(value, list):
            value = next((each for each in value if is_of_type(each, place.type)), None)
        elif place.type is not None:
            return None
        value = value.get(name) if isinstance(value, dict) else None
    return value


def write(document: Resource, place: Place, value: object) -> None:
    """Put a value at a place, or with None nothing, and leave no empty object behind."""
    if place.type is not None:
        write_element(document, place, value)
        return
    holders = [document]
    for name in place.names[:-1]:
        part = holders[-1].get(name)
        if not isinstance(part, dict):
            part = holders[-1][name] = {}
        holders.append(part)
    holders[-1][place.names[-1]] = value
    if value is not None:
        return
    for holder, name in zip(reversed(holders), reversed(place.names), strict=True):
        if not holder[name]:
            del holder[name]


def write_element(document: Resource, place: Place, value: object) -> None:
    """Put a value into the element with a type; an element with nothing but a type goes."""
    elements: list[Any] = list(document.get(place.names[0], ()))
    element = next((each for each in elements if is_of_type(each, place.type)), None)
    if value is not None:
        if element is None:
            element = {"type": place.type}
            elements.append(element)
        element[place.names[1]] = value
    elif element is not None:
        element.pop(place.names[1], None)
        if not set(element) - {"type", "primary"}:
            elements = [each for each in elements if each is not element]
    document[place.names[0]] = elements
    if not elements:
        del document[place.names[0]]


def is_of_type(element: object, wanted: str | None) -> bool:
    """Say whether an element of a list has that type."""
    return isinstance(element, dict) and str(element.get("type", "")).casefold() == wanted


def document_of(record: Record, kept: Resource) -> Resource:
    """Return a user's resource: the record says what it knows, the rest is as it was written."""
    document = deepcopy(kept)
    for field, place in PLACES.items():
        value = record.get(field)
        if field in DATES and value is not None:
            before = read(document, place)
            same = isinstance(before, str) and before[:DATE_LENGTH] == value
            value = before if same else f"{value}T00:00:00Z"
        write(document, place, value)
    document["active"] = record["status"] == "active"
    return document


def fields_of(document: Resource) -> Record:
    """Return what the Reporting API serves of a user's resource."""
    fields: Record = {}
    for field, place in PLACES.items():
        value = read(document, place)
        if field in DATES and value is not None:
            value = value[:DATE_LENGTH]
        if value is not None or field not in SPARSE:
            fields[field] = value
    return fields


def check_name(document: Resource) -> None:
    """Refuse a user without a name."""
    name = document.get("userName")
    if not isinstance(name, str) or not name.strip():
        raise invalid_value("userName is required.")


def check(document: Resource) -> None:
    """Refuse a user whose attributes hold what they cannot."""
    if not isinstance(document.get("active", True), bool):
        raise invalid_value("active must be a boolean.")
    for attribute in LISTS:
        value = document.get(attribute, [])
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise invalid_value(f"{attribute} must be a list of objects.")
    for attribute in ("name", ENTERPRISE, KMSAT):
        if not isinstance(document.get(attribute, {}), dict):
            raise invalid_value(f"{attribute} must be an object.")
    if not isinstance(document.get(ENTERPRISE, {}).get("manager", {}), dict):
        raise invalid_value("manager must be an object.")
    for field, place in PLACES.items():
        check_text(read(document, place), place, is_date=field in DATES)


def check_text(value: object, place: Place, *, is_date: bool) -> None:
    """Refuse what is no text, or no date where one is wanted."""
    if value is None:
        return
    if not isinstance(value, str):
        raise invalid_value(f"{place} must be a string.")
    if is_date:
        try:
            date.fromisoformat(value[:DATE_LENGTH])
        except ValueError as error:
            raise invalid_value(f"{place} must be a DateTime.") from error
