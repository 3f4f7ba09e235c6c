"""``ScimGroup``, what is wanted of one, and the PATCHes that change its members."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal

from kb4_async.errors import ConfigurationError
from kb4_async.protocol import codec
from kb4_async.protocol.scim.changes import patch
from kb4_async.protocol.scim.marks import UNSET, Unset
from kb4_async.protocol.scim.schema import CORE_GROUP, canonical, entries

#: How members are removed: ``filter`` is ``members[value eq "id"]`` (the RFC's, Okta's), ``value``
#: a list of values beside the path (Entra's). Servers understand one of them, or both.
MemberRemoval = Literal["filter", "value"]

#: Members of one PATCH that adds: AWS documents this cap, and 500 were quick on recorded servers.
ADD_CHUNK = 100
#: Members of one PATCH that removes by filter, which servers work through one by one.
REMOVE_CHUNK = 25


@dataclass(frozen=True, slots=True)
class ScimGroup:
    """A group of the account, as SCIM has it.

    Attributes:
        display_name: Name. SCIM does not make names unique.
        id: The server's own id.
        external_id: The group's key in your own system.
        members: Ids of the members, each once; ``UNSET`` where they were not asked for.
        served: The resource as sent.
    """

    display_name: str
    _: KW_ONLY
    id: str
    external_id: str | Unset = UNSET
    members: tuple[str, ...] | Unset = UNSET
    served: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class DesiredGroup:
    """A group as it is wanted.

    Args:
        display_name: Name, compared exactly.
        members: User names of all who are to be members, and nobody else; ``UNSET`` leaves the
            members alone.
        external_id: The group's key in your own system; only sent when the group is made.

    Raises:
        ConfigurationError: No name, or members that are no user names.
    """

    display_name: str
    members: Sequence[str] | Unset = UNSET
    external_id: str | Unset = UNSET

    def __post_init__(self) -> None:
        """Refuse what no server should be sent."""
        if not isinstance(self.display_name, str) or not self.display_name.strip():
            msg = f"A group needs a displayName that is text, not {self.display_name!r}."
            raise ConfigurationError(msg)
        if self.external_id is not UNSET and not isinstance(self.external_id, str):
            msg = f"external_id of {self.display_name!r} is text, not {self.external_id!r}."
            raise ConfigurationError(msg)
        if self.members is UNSET:
            return
        if isinstance(self.members, str) or not isinstance(self.members, Sequence):
            msg = f"members of {self.display_name!r} is a list of user names, not {self.members!r}."
            raise ConfigurationError(msg)
        wrong = [each for each in self.members if not isinstance(each, str) or not each.strip()]
        if wrong:
            msg = f"members of {self.display_name!r} are user names, not {wrong[0]!r}."
            raise ConfigurationError(msg)

    @classmethod
    def of(cls, given: DesiredGroup | Mapping[str, Any]) -> DesiredGroup:
        """Take a group as such, or as a mapping: ``displayName`` (or ``display_name``),
        ``members`` (user names) and ``externalId``.

        Raises:
            ConfigurationError: It is no group.
        """
        if isinstance(given, DesiredGroup):
            return given
        if not isinstance(given, Mapping):
            msg = f"A group is a DesiredGroup or a mapping, not {type(given).__name__}."
            raise ConfigurationError(msg)
        named = canonical({str(name): value for name, value in given.items()})
        members = named.get("members", UNSET)
        unknown = set(named) - {"displayName", "display_name", "members", "externalId", "schemas"}
        if unknown:
            msg = f"A group has no {min(map(str, unknown))!r}: see DesiredGroup."
            raise ConfigurationError(msg)
        return cls(
            named.get("displayName", named.get("display_name")),  # type: ignore[arg-type]  # checked
            members if members is not None else UNSET,
            named.get("externalId") or UNSET,
        )


def parse_group(resource: Mapping[str, Any]) -> ScimGroup:
    """Read a group as a server sent it, leniently.

    Raises:
        ValueError: It has no id or no displayName.
    """
    served = canonical(resource)
    identity, name = served.get("id"), served.get("displayName")
    if isinstance(identity, int) and not isinstance(identity, bool):
        identity = str(identity)
    if not isinstance(identity, str) or not identity:
        raise ValueError("it has no id")
    if not isinstance(name, str) or not name:
        raise ValueError("it has no displayName")
    external = served.get("externalId")
    return ScimGroup(
        name,
        id=identity,
        external_id=external if isinstance(external, str) and external else UNSET,
        members=member_ids(served["members"]) if "members" in served else UNSET,
        served=served,
    )


def member_ids(members: Any) -> tuple[str, ...]:  # noqa: ANN401  # JSON holds anything
    """Ids of members, each once: one recorded server stores a member twice when asked twice."""
    values = (each.get("value") for each in entries(members))
    # True is an int, and no id.
    found = (
        str(each)
        for each in values
        if isinstance(each, str | int) and not isinstance(each, bool) and each != ""
    )
    return tuple(dict.fromkeys(found))


def group_document(group: DesiredGroup) -> dict[str, Any]:
    """What creates a group: without members, which one recorded server drops from a POST."""
    body: dict[str, Any] = {"schemas": [CORE_GROUP], "displayName": group.display_name}
    if group.external_id is not UNSET:
        body["externalId"] = group.external_id
    return body


def add_patch(ids: Sequence[str]) -> dict[str, Any]:
    """The PATCH that adds members: one operation for all, which is 10 to 60 times as fast as one
    for each."""
    return patch([{"op": "add", "path": "members", "value": [{"value": each} for each in ids]}])


def remove_patch(ids: Sequence[str], form: MemberRemoval) -> dict[str, Any]:
    """The PATCH that removes members."""
    if form == "value":
        values = [{"value": each} for each in ids]
        return patch([{"op": "remove", "path": "members", "value": values}])
    quoted = (codec.encode(each).decode() for each in ids)
    return patch([{"op": "remove", "path": f"members[value eq {each}]"} for each in quoted])


def in_chunks(ids: Iterable[str], size: int) -> list[list[str]]:
    """Ids in lists of at most that many."""
    whole = list(ids)
    return [whole[place : place + size] for place in range(0, len(whole), size)]
