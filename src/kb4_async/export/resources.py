"""The resources of an export, and which are chosen."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Literal

from kb4_async.errors import ConfigurationError
from kb4_async.protocol.endpoints import ENDPOINTS
from kb4_async.sinks import Dataset

Members = Literal["fetched", "derived"]

#: What an export holds unless told otherwise, in the order it is shown.
DEFAULT_RESOURCES = (
    "account",
    "users",
    "groups",
    "members",
    "enrollments",
    "training_campaigns",
    "phishing_campaigns",
    "security_tests",
    "recipients",
    "store_purchases",
    "policies",
    "account_risk_history",
)
#: What is exported only on request: derived data, and histories at a request or more a parent.
ON_REQUEST = ("derived_members", "group_risk_history", "user_risk_history")
#: The resources that others are read by.
NEEDS: Mapping[str, str] = {
    "members": "groups",
    "recipients": "security_tests",
    "derived_members": "users",
    "group_risk_history": "groups",
    "user_risk_history": "users",
}


def choose_resources(names: Iterable[str] | None, members: str) -> tuple[str, ...]:
    """Check the chosen names; without any, the default ones.

    Raises:
        ConfigurationError: An unknown name, or a choice that cannot be made.
    """
    if isinstance(names, str):
        names = (names,)
    chosen = DEFAULT_RESOURCES if names is None else tuple(dict.fromkeys(names))
    every = (*DEFAULT_RESOURCES, *ON_REQUEST)
    unknown = [name for name in chosen if name not in every]
    if unknown or not chosen:
        what = f"{unknown[0]!r} is not a resource" if unknown else "No resource was chosen"
        msg = f"{what}: choose from {', '.join(every)}."
        raise ConfigurationError(msg)
    if members not in {"fetched", "derived"}:
        msg = f"members is 'fetched' or 'derived', not {members!r}."
        raise ConfigurationError(msg)
    if members == "derived" and "members" in chosen and not {"users", "groups"} <= set(chosen):
        msg = "members='derived' is made of users and groups: export these two as well."
        raise ConfigurationError(msg)
    return tuple(name for name in every if name in chosen)


def needed(names: Collection[str]) -> list[str]:
    """The resources that are read for the chosen ones, these included."""
    wanted = {*names, *(NEEDS[name] for name in names if name in NEEDS)}
    return [name for name in (*DEFAULT_RESOURCES, *ON_REQUEST) if name in wanted]


def dataset(name: str) -> Dataset:
    """What a sink is told of a resource."""
    row = ENDPOINTS["members" if name == "derived_members" else name]
    return Dataset(name, row.key, row.parent)
