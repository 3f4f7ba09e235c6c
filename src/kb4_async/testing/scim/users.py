"""The users of an account as SCIM reads and writes them."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace

from kb4_async.testing.account import Account
from kb4_async.testing.indexes import Index
from kb4_async.testing.scim.bodies import Resource, ScimRefusalError
from kb4_async.testing.scim.fields import check, check_name, document_of, fields_of
from kb4_async.testing.scim.ids import Ids
from kb4_async.testing.scim.paths import filtered_by
from kb4_async.testing.scim.rules import ScimRules
from kb4_async.testing.scim.shelf import Shelf
from kb4_async.testing.scim.spelling import KMSAT, USER
from kb4_async.testing.tables import Record

LONG_AGO = "2019-01-01T00:00:00.000Z"


class Users(Shelf):
    """Users: their fields lie in the Reporting record, what it has no field for lies here.

    Attributes:
        created: those that SCIM created.
        deleted: those that SCIM deleted, which archived them.
    """

    kind = "User"
    endpoint = "Users"
    core = USER

    def __init__(self, account: Account) -> None:
        """Look at the users of an account."""
        super().__init__(account.users, Ids(1))
        self.people = account.sources.people
        self.created: set[int] = set()
        self.deleted: set[int] = set()
        self.by_name = Index(self.table, self.names_of)

    def names_of(self, origin: int) -> Iterable[Hashable]:
        """Return under which userName a user is found, without making the whole record."""
        by_hand = self.table.by_hand.get(origin, {})
        if "email" in by_hand:
            name = by_hand["email"]
        elif origin in self.table.inserted:
            name = self.table.inserted[origin].get("email")
        else:
            name = self.people.identity(origin).email
        return () if name is None else (name.casefold(),)

    # Reading.

    def get(self, text: str, rules: ScimRules) -> int:
        """Return the origin of an id; raise a 404, as for a deleted user under some rules."""
        origin = self.find(text)
        if self.is_hidden(origin, rules):
            raise self.unknown(text)
        return origin

    def is_hidden(self, origin: int, rules: ScimRules) -> bool:
        """Say whether a user is not served because SCIM deleted it."""
        if rules.after_delete == "inactive" or origin not in self.deleted:
            return False
        return bool(self.table.glance(origin)["status"] == "archived")

    def listed(self, rules: ScimRules, wanted: str | None) -> Sequence[int]:
        """Return the origins of the users in a list, perhaps filtered."""
        if wanted is not None and rules.filters == "empty":
            return []
        rows = self.table.order
        if wanted is not None and rules.filters != "ignored":
            rows = self.named(filtered_by(wanted, "userName"), exact=rules.filters == "case_exact")
        if not rules.shows_others:
            rows = [origin for origin in rows if origin in self.created]
        if rules.after_delete == "not_found" and self.deleted:
            rows = [origin for origin in rows if not self.is_hidden(origin, rules)]
        return rows

    def named(self, name: str, *, exact: bool = False) -> list[int]:
        """Return the origins of the users with a userName."""
        found = self.by_name.origins(name.casefold())
        if not exact:
            return found
        return [origin for origin in found if self.table.record(origin)["email"] == name]

    def document(self, origin: int) -> Resource:
        """Return what can be written of a user."""
        return document_of(self.table.record(origin), self.kept.get(origin, {}))

    def present(
        self,
        origin: int,
        document: Resource,
        rules: ScimRules,
        address: str,
        groups: list[Resource],
    ) -> Resource:
        """Return a user as served."""
        document = dict(document)
        if rules.hide_kmsat:
            document.pop(KMSAT, None)
        if rules.hide_active:
            document.pop("active", None)
        if groups:
            document["groups"] = groups
        created = None
        if self.table.holds(origin):
            created = self.table.record(origin)["joined_on"]
        served_id = self.ids.served(origin, numeric=rules.numeric_ids)
        return self.wrap(origin, document, served_id, created or LONG_AGO, address)

    # Writing.

    def check(self, document: Resource, origin: int | None, rules: ScimRules) -> None:
        """Refuse what cannot be written."""
        held = origin is not None and self.table.holds(origin)
        before = list(self.names_of(origin)) if held and origin is not None else []
        if not (held and not before and "userName" not in document):
            check_name(document)
        check(document)
        document.setdefault("active", True)
        names = [document["userName"].casefold()] if "userName" in document else []
        # As it was it may stay, be there others of that name or not.
        if rules.unique_users and names != before and self.by_name.origins(names[0]):
            raise ScimRefusalError(409, "The userName is taken.", "uniqueness")

    def create(self, document: Resource) -> int:
        """Write a new user; return its origin."""
        origin = self.table.newest
        people = replace(self.people, extra_keys=False, old_spellings=False)
        record: Record = dict.fromkeys(people.user(origin))
        self.writes[origin] += 1
        record |= {
            "id": self.table.next_key(),
            "groups": [],
            "aliases": [],
            "current_risk_score": 0.0,
            "provisioning_managed": True,
            "provisioning_guid": self.ids.text(origin),
            "joined_on": self.stamp(),
            "status": "active",
        }
        self.table.insert(record | self.changes(document, record))
        self.kept[origin] = document
        self.created.add(origin)
        return origin

    def write(self, origin: int, document: Resource) -> None:
        """Write a user that is there."""
        self.writes[origin] += 1
        record = self.table.record(origin)
        self.kept[origin] = document
        if document["active"]:
            self.deleted.discard(origin)
        self.table.update(record["id"], **self.changes(document, record))

    def changes(self, document: Resource, record: Record) -> Record:
        """Return the fields of the Reporting record as a resource wants them."""
        fields = fields_of(document)
        if "assigned_training_language" in record:  # a field that was served stays
            fields.setdefault("assigned_training_language", None)
        active = document["active"]
        fields["status"] = "active" if active else "archived"
        if active:
            fields["archived_at"] = None
        elif record["status"] == "active":
            fields["archived_at"] = self.stamp()
        return fields

    def delete(self, origin: int) -> None:
        """Archive a user, which is all that deleting does."""
        self.deleted.add(origin)
        self.write(origin, {**self.document(origin), "active": False})
