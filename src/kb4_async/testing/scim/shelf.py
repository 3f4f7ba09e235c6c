"""What users and groups have in common as SCIM sees them."""

from collections import Counter

from kb4_async.testing.scim.bodies import Resource, ScimRefusalError
from kb4_async.testing.scim.ids import Ids
from kb4_async.testing.scim.spelling import schemas_of
from kb4_async.testing.tables import Table
from kb4_async.testing.words import SPAN_SECONDS, moment

# Origins of what was created in Test Mode, far from those of any record.
PHANTOM = 1 << 40


class Shelf:
    """The records of a table with what only SCIM knows of them.

    Attributes:
        kept: resources as SCIM last wrote them, by origin.
        phantoms: what Test Mode pretended to create, by origin: no record, but later writes of
            the same run name it.
        writes: how often SCIM wrote each.
    """

    kind: str
    endpoint: str
    core: str

    def __init__(self, table: Table, ids: Ids) -> None:
        """Look at a table."""
        self.table = table
        self.ids = ids
        self.kept: dict[int, Resource] = {}
        self.phantoms: dict[int, Resource] = {}
        self.writes: Counter[int] = Counter()

    def find(self, text: str) -> int:
        """Return the origin of an id; raise a 404."""
        origin = self.ids.origin(text)
        if origin is None or not self.table.holds(origin):
            raise self.unknown(text)
        return origin

    def find_phantom(self, text: str) -> int | None:
        """Return the origin of what Test Mode pretended to create, None if it did not."""
        origin = self.ids.origin(text)
        return origin if origin in self.phantoms else None

    def unknown(self, text: str) -> ScimRefusalError:
        """Return the refusal of an unknown id."""
        return ScimRefusalError(404, f"{self.kind} {text} not found.")

    def pretend(self, document: Resource) -> int:
        """Remember what Test Mode did not create; return its origin."""
        origin = PHANTOM + len(self.phantoms)
        self.phantoms[origin] = document
        return origin

    def stamp(self) -> str:
        """Return the time of the latest write: made up, and later with each."""
        return moment(0, after=SPAN_SECONDS + self.writes.total())

    def wrap(
        self, origin: int, document: Resource, served_id: str | int, created: str, address: str
    ) -> Resource:
        """Return a resource with all that the server adds to it."""
        modified = created
        if self.writes[origin]:
            modified = moment(0, after=SPAN_SECONDS + self.writes[origin])
        return {
            "schemas": schemas_of(self.core, document),
            "id": served_id,
            **document,
            "meta": {
                "resourceType": self.kind,
                "created": created,
                "lastModified": modified,
                "location": f"{address}/{self.endpoint}/{served_id}",
            },
        }
