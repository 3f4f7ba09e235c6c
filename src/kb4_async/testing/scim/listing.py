"""Lists: pages by startIndex and count, and which attributes are served."""

from collections.abc import Callable, Mapping, Sequence

from kb4_async.testing.answers import Answer
from kb4_async.testing.scim.bodies import Resource, invalid_value, served
from kb4_async.testing.scim.rules import ScimRules
from kb4_async.testing.scim.spelling import LIST_RESPONSE, get

# What no one can leave out (RFC 7643 7, returned: always).
ALWAYS = frozenset({"schemas", "id"})


def whole_number(query: Mapping[str, str], name: str) -> int | None:
    """Return a number given as a parameter, None where none is."""
    text = get(query, name)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise invalid_value(f"{name} must be an integer.") from error


def listed(
    origins: Sequence[int],
    show: Callable[[int], Resource],
    query: Mapping[str, str],
    rules: ScimRules,
) -> Answer:
    """Return the page of a list that is asked for."""
    start = max(1, whole_number(query, "startIndex") or 1)
    asked = whole_number(query, "count")
    size = rules.page_size if asked is None else max(0, asked)
    if rules.page_cap is not None:
        size = min(size, rules.page_cap)
    if start > len(origins) and rules.past_end == "first_page":
        start = 1
    rows = [show(origin) for origin in origins[start - 1 : start - 1 + size]]
    body: Resource = {"schemas": [LIST_RESPONSE]}
    if rules.total != "missing":
        body["totalResults"] = len(origins) if rules.total == "right" else len(rows)
    body |= {"startIndex": start, "itemsPerPage": len(rows), "Resources": rows}
    return served(body, rows=len(rows))


def projected(document: Resource, query: Mapping[str, str]) -> Resource:
    """Return a resource with the attributes asked for, or without those that are not wanted."""
    wanted, unwanted = names(query, "attributes"), names(query, "excludedAttributes")
    return {
        name: value
        for name, value in document.items()
        if name in ALWAYS
        or (name.casefold() not in unwanted and (not wanted or name.casefold() in wanted))
    }


def excludes(query: Mapping[str, str], name: str) -> bool:
    """Say whether an attribute is not wanted, which may spare the making of it."""
    return name.casefold() in names(query, "excludedAttributes")


def names(query: Mapping[str, str], parameter: str) -> set[str]:
    """Return the attributes that a parameter lists; only whole ones are understood."""
    listed_names = (get(query, parameter) or "").split(",")
    return {name.strip().casefold() for name in listed_names if name.strip()}
