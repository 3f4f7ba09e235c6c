"""What the Reporting API answers at which path: one row in `ROUTES` and one handler a route."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from kb4_async.testing.account import Account
from kb4_async.testing.tables import Record, Table, View

Query: TypeAlias = Mapping[str, str]
Shape: TypeAlias = Callable[[Record], Record]

# Without exclude_percentages=true the documentation sets "the response limit" to this.
CAMPAIGN_LIMIT = 10


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a list route before they are cut into pages.

    Attributes:
        rows: all rows, filters applied.
        key: the field a cursor can hold on to.
        shape: what the query makes of each record.
        limit: at most so many rows in a response, whatever `per_page` says.
    """

    rows: Sequence[Record]
    key: str
    shape: Shape | None = None
    limit: int | None = None


Found: TypeAlias = Rows | Record | list[Record] | None
Ids: TypeAlias = Sequence[int]
Handler: TypeAlias = Callable[[Account, Ids, Query], Found]


def flag(query: Query, name: str) -> bool:
    """Say whether a boolean parameter is on."""
    return query.get(name, "").lower() in {"true", "1"}


def number(query: Query, name: str) -> int | None:
    """Return an id given as a parameter; -1, which no record has, where it is no number."""
    text = query.get(name)
    if text is None:
        return None
    return int(text) if text.isascii() and text.isdigit() else -1


def filtered(table: Table, wanted: Callable[[Record], bool], *, anything: bool) -> Sequence[Record]:
    """Return the rows that are wanted, or the table itself if nothing was filtered."""
    return View(table, table.select(wanted)) if anything else table


def account(held: Account, _: Ids, query: Query) -> Found:
    """Answer /account."""
    del query
    return held.account


def users(held: Account, _: Ids, query: Query) -> Found:
    """Answer /users."""
    status, group_id = query.get("status"), number(query, "group_id")

    def wanted(user: Record) -> bool:
        return (status is None or user["status"] == status) and (
            group_id is None or group_id in (user["groups"] or ())
        )

    def with_groups(user: Record) -> Record:
        found = [held.groups.find(each) for each in user["groups"] or ()]
        return {**user, "groups": [group for group in found if group is not None]}

    rows = filtered(held.users, wanted, anything=status is not None or group_id is not None)
    return Rows(rows, "id", with_groups if query.get("expand") == "group" else None)


def user(held: Account, ids: Ids, _: Query) -> Found:
    """Answer /users/{id}."""
    return held.users.find(ids[0])


def groups(held: Account, _: Ids, query: Query) -> Found:
    """Answer /groups."""
    status = query.get("status")
    rows = filtered(
        held.groups, lambda group: group["status"] == status, anything=status is not None
    )
    return Rows(rows, "id")


def group(held: Account, ids: Ids, _: Query) -> Found:
    """Answer /groups/{id}."""
    return held.groups.find(ids[0])


def members(held: Account, ids: Ids, _: Query) -> Found:
    """Answer /groups/{id}/members."""
    rows = held.members.get(ids[0])
    return None if rows is None else Rows(rows, "id")


def as_asked(query: Query) -> Shape:
    """Return what drops the fields of an enrollment that were not asked for."""
    unasked = {
        name for name in ("campaign_id", "store_purchase_id") if not flag(query, f"include_{name}")
    }
    numbered = flag(query, "include_employee_number")

    def shape(record: Record) -> Record:
        served = {name: value for name, value in record.items() if name not in unasked}
        person = served["user"]
        if person is not None and not numbered:
            served["user"] = {
                name: value for name, value in person.items() if name != "employee_number"
            }
        return served

    return shape


def enrollments(held: Account, _: Ids, query: Query) -> Found:
    """Answer /training/enrollments."""
    campaign_id, user_id = number(query, "campaign_id"), number(query, "user_id")
    purchase_id = number(query, "store_purchase_id")
    only_active = flag(query, "exclude_archived_users")

    def wanted(record: Record) -> bool:
        person = record["user"]
        if user_id is not None and (person is None or person["id"] != user_id):
            return False
        if campaign_id is not None and record["campaign_id"] != campaign_id:
            return False
        if purchase_id is not None and record["store_purchase_id"] != purchase_id:
            return False
        return not (only_active and is_archived(held, person))

    anything = only_active or any(each is not None for each in (campaign_id, user_id, purchase_id))
    rows = filtered(held.enrollments, wanted, anything=anything)
    return Rows(rows, "enrollment_id", as_asked(query))


def is_archived(held: Account, person: Record | None) -> bool:
    """Say whether the user an enrollment names is archived."""
    origin = None if person is None else held.users.origin_of(person["id"])
    return origin is not None and held.users.glance(origin)["status"] == "archived"


def enrollment(held: Account, ids: Ids, query: Query) -> Found:
    """Answer /training/enrollments/{id}."""
    record = held.enrollments.find(ids[0])
    return None if record is None else as_asked(query)(record)


def without_percentage(record: Record) -> Record:
    """Return a training campaign as exclude_percentages=true serves it."""
    return {name: value for name, value in record.items() if name != "completion_percentage"}


def training_campaigns(held: Account, _: Ids, query: Query) -> Found:
    """Answer /training/campaigns."""
    if flag(query, "exclude_percentages"):
        return Rows(held.training_campaigns, "campaign_id", without_percentage)
    return Rows(held.training_campaigns, "campaign_id", limit=CAMPAIGN_LIMIT)


def training_campaign(held: Account, ids: Ids, query: Query) -> Found:
    """Answer /training/campaigns/{id}."""
    record = held.training_campaigns.find(ids[0])
    if record is None or not flag(query, "exclude_percentages"):
        return record
    return without_percentage(record)


def phishing_table(held: Account, query: Query) -> Table:
    """Return the table a campaign_type names: callback campaigns live apart."""
    return (
        held.callback_campaigns
        if query.get("campaign_type") == "callback"
        else held.phishing_campaigns
    )


def phishing_campaigns(held: Account, _: Ids, query: Query) -> Found:
    """Answer /phishing/campaigns."""
    return Rows(phishing_table(held, query), "campaign_id")


def phishing_campaign(held: Account, ids: Ids, query: Query) -> Found:
    """Answer /phishing/campaigns/{id}: an array with one object, as documented."""
    record = phishing_table(held, query).find(ids[0])
    return None if record is None else [record]


ROUTES: Mapping[str, Handler] = {
    "account": account,
    "users": users,
    "users/*": user,
    "groups": groups,
    "groups/*": group,
    "groups/*/members": members,
    "training/enrollments": enrollments,
    "training/enrollments/*": enrollment,
    "training/campaigns": training_campaigns,
    "training/campaigns/*": training_campaign,
    "phishing/campaigns": phishing_campaigns,
    "phishing/campaigns/*": phishing_campaign,
}


def find(held: Account, path: str, query: Query) -> Found:
    """Return what lies at a path behind /v1/, None for a 404."""
    parts = path.split("/")
    numbered = [part.isascii() and part.isdigit() for part in parts]
    pattern = "/".join("*" if is_id else part for part, is_id in zip(parts, numbered, strict=True))
    handler = ROUTES.get(pattern)
    ids = [int(part) for part, is_id in zip(parts, numbered, strict=True) if is_id]
    return None if handler is None else handler(held, ids, query)
