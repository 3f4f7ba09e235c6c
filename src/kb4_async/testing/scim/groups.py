"""The groups of an account as SCIM reads and writes them."""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

from kb4_async.testing.account import Account
from kb4_async.testing.indexes import Index
from kb4_async.testing.scim.bodies import Resource, ScimRefusalError, invalid_value
from kb4_async.testing.scim.ids import Ids
from kb4_async.testing.scim.paths import filtered_by
from kb4_async.testing.scim.rules import ScimRules
from kb4_async.testing.scim.shelf import Shelf
from kb4_async.testing.scim.spelling import GROUP, respelled
from kb4_async.testing.scim.users import LONG_AGO, Users


class Groups(Shelf):
    """Groups. Who is a member stands in the users' records, as the Reporting API has it.

    Attributes:
        again: how often more than once a (group, user) is stored, by rule `duplicate_members`;
            only SCIM shows that.
    """

    kind = "Group"
    endpoint = "Groups"
    core = GROUP

    def __init__(self, account: Account, users: Users) -> None:
        """Look at the groups of an account."""
        super().__init__(account.groups, Ids(2))
        self.users = users
        self.again: Counter[tuple[int, int]] = Counter()
        self.by_name = Index(self.table, self.names_of)
        self.by_group = Index(account.users, self.groups_of)

    def name(self, origin: int) -> str:
        """Return a group's name; a glance, for the record would count the members."""
        return str(self.table.glance(origin)["name"])

    def names_of(self, origin: int) -> Iterable[Hashable]:
        """Return under which displayName a group is found."""
        return (self.name(origin).casefold(),)

    def groups_of(self, user: int) -> Iterable[Hashable]:
        """Return the ids, as the Reporting API has them, of a user's groups."""
        return dict.fromkeys(self.users.table.glance(user)["groups"] or ())

    # Reading.

    def listed(self, rules: ScimRules, wanted: str | None) -> Sequence[int]:
        """Return the origins of the groups in a list, perhaps filtered."""
        if wanted is None or rules.filters == "ignored":
            return self.table.order
        if rules.filters == "empty":
            return []
        name = filtered_by(wanted, "displayName")
        found = self.by_name.origins(name.casefold())
        if rules.filters == "case_exact":
            found = [origin for origin in found if self.name(origin) == name]
        return found

    def members(self, origin: int) -> list[int]:
        """Return the origins of a group's users; one that is stored twice is there twice."""
        found = self.by_group.origins(self.table.glance(origin)["id"])
        return [user for user in found for _ in range(1 + self.again[origin, user])]

    def document(self, origin: int) -> Resource:
        """Return what can be written of a group, but for its members."""
        return {**self.kept.get(origin, {}), "displayName": self.name(origin)}

    def of_user(self, user: int, rules: ScimRules, address: str) -> list[Resource]:
        """Return a user's groups, as the user's resource lists them."""
        found = []
        for key in self.groups_of(user):
            origin = self.table.origin_of(key)
            if origin is not None:
                entry = self.reference(self, origin, rules, address)
                found.append({**entry, "display": self.name(origin)})
        return found

    def reference(self, shelf: Shelf, origin: int, rules: ScimRules, address: str) -> Resource:
        """Return how one resource names another."""
        served_id = shelf.ids.served(origin, numeric=rules.numeric_ids)
        return {"value": served_id, "$ref": f"{address}/{shelf.endpoint}/{served_id}"}

    def present(
        self,
        origin: int,
        document: Resource,
        members: Sequence[int],
        rules: ScimRules,
        address: str,
    ) -> Resource:
        """Return a group as served."""
        shown = members if rules.members_shown is None else members[: rules.members_shown]
        listed = [
            {**self.reference(self.users, user, rules, address), "type": "User"} for user in shown
        ]
        whole = {**document, "members": listed} if listed else document
        served_id = self.ids.served(origin, numeric=rules.numeric_ids)
        return self.wrap(origin, whole, served_id, LONG_AGO, address)

    # Writing.

    def named_members(self, value: object, rules: ScimRules) -> list[int]:
        """Return the origins of the users that a value names; raise if one is unknown."""
        entries = value if isinstance(value, list) else [value]
        found = []
        for entry in respelled(entries):
            text = entry.get("value") if isinstance(entry, dict) else None
            if not isinstance(text, str | int) or isinstance(text, bool):
                raise invalid_value("A member is an object with a value.")
            origin = self.users.ids.origin(str(text))
            pretended = rules.test_mode and origin in self.users.phantoms
            if origin is None or not (self.users.table.holds(origin) or pretended):
                raise invalid_value(f"There is no user {text}.")
            found.append(origin)
        return found

    def check(self, document: Resource, origin: int | None, rules: ScimRules) -> None:
        """Refuse what cannot be written."""
        name = document.get("displayName")
        if origin is not None and self.table.holds(origin) and name == self.name(origin):
            return
        if not isinstance(name, str) or not name.strip():
            raise invalid_value("displayName is required.")
        if rules.unique_groups and self.by_name.origins(name.casefold()):
            raise ScimRefusalError(409, "The displayName is taken.", "uniqueness")

    def create(self, document: Resource, members: Sequence[int]) -> int:
        """Write a new group; return its origin."""
        origin = self.table.newest
        self.writes[origin] += 1
        record = {
            "id": self.table.next_key(),
            "name": document["displayName"],
            "group_type": "provisioning_managed_group",
            "provisioning_guid": self.ids.text(origin),
            "member_count": 0,
            "current_risk_score": 0.0,
            "status": "active",
        }
        self.table.put(record, {}, None)  # nothing by hand, so that members are counted
        self.kept[origin] = document
        self.enrol(origin, members)
        return origin

    def write(self, origin: int, document: Resource, members: Sequence[int]) -> None:
        """Write a group that is there."""
        self.writes[origin] += 1
        if document["displayName"] != self.name(origin):
            self.table.update(self.table.glance(origin)["id"], name=document["displayName"])
        self.kept[origin] = document
        self.enrol(origin, members)

    def enrol(self, origin: int, members: Sequence[int]) -> None:
        """Make these users the group's members, and nobody else."""
        before, after = set(self.members(origin)), Counter(members)
        for user in before - after.keys():
            self.move(origin, user, joins=False)
        for user in after.keys() - before:
            self.move(origin, user, joins=True)
        for user in before | after.keys():
            if after[user] > 1:
                self.again[origin, user] = after[user] - 1
            else:
                self.again.pop((origin, user), None)

    def move(self, origin: int, user: int, *, joins: bool) -> None:
        """Put a user into the group, or out of it."""
        key, table = self.table.glance(origin)["id"], self.users.table
        glance = table.glance(user)
        groups = [each for each in glance["groups"] or () if each != key]
        table.update(glance["id"], groups=[*groups, key] if joins else groups)

    def delete(self, origin: int) -> None:
        """Delete a group; its members stay."""
        self.enrol(origin, ())
        self.table.delete(self.table.glance(origin)["id"])
        self.kept.pop(origin, None)
