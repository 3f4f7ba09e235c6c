"""What the Reporting API answers at which path: one row in `ROUTES` and one handler a route."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from kb4_async.testing.account import Account
from kb4_async.testing.holdings import PhishingTables
from kb4_async.testing.tables import Record, Table, View
from kb4_async.testing.words import TODAY, day_after

Query: TypeAlias = Mapping[str, str]
Shape: TypeAlias = Callable[[Record], Record]

# Without exclude_percentages=true the documentation sets "the response limit" to this.
CAMPAIGN_LIMIT = 10
SIX_MONTHS = 183
# The history of a user is "outside pagination, with up to 1,000 records".
MAX_USER_SCORES = 1000


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a list route before they are cut into pages.

    Attributes:
        rows: all rows, filters applied.
        shape: what the query makes of each record.
        limit: at most so many rows in a response, whatever `per_page` says.
    """

    rows: Table | View
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


def filtered(table: Table, wanted: Callable[[Record], bool], *, anything: bool) -> Table | View:
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
    return Rows(rows, with_groups if query.get("expand") == "group" else None)


def user(held: Account, ids: Ids, _: Query) -> Found:
    """Answer /users/{id}."""
    return held.users.find(ids[0])


def groups(held: Account, _: Ids, query: Query) -> Found:
    """Answer /groups."""
    status = query.get("status")
    rows = filtered(
        held.groups, lambda group: group["status"] == status, anything=status is not None
    )
    return Rows(rows)


def group(held: Account, ids: Ids, _: Query) -> Found:
    """Answer /groups/{id}."""
    return held.groups.find(ids[0])


def members(held: Account, ids: Ids, _: Query) -> Found:
    """Answer /groups/{id}/members."""
    rows = held.members.get(ids[0])
    return None if rows is None else Rows(rows)


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
    return Rows(rows, as_asked(query))


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
        return Rows(held.training_campaigns, without_percentage)
    return Rows(held.training_campaigns, limit=CAMPAIGN_LIMIT)


def training_campaign(held: Account, ids: Ids, query: Query) -> Found:
    """Answer /training/campaigns/{id}."""
    record = held.training_campaigns.find(ids[0])
    if record is None or not flag(query, "exclude_percentages"):
        return record
    return without_percentage(record)


def store_purchases(held: Account, _: Ids, query: Query) -> Found:
    """Answer /training/store_purchases."""
    del query
    return Rows(held.store_purchases)


def store_purchase(held: Account, ids: Ids, _: Query) -> Found:
    """Answer /training/store_purchases/{id}."""
    return held.store_purchases.find(ids[0])


def policies(held: Account, _: Ids, query: Query) -> Found:
    """Answer /training/policies."""
    del query
    return Rows(held.policies)


def policy(held: Account, ids: Ids, _: Query) -> Found:
    """Answer /training/policies/{id}."""
    return held.policies.find(ids[0])


def phishing(held: Account, query: Query) -> PhishingTables:
    """Return the tables a campaign_type names: callback campaigns and all of theirs live apart."""
    return held.callback if query.get("campaign_type") == "callback" else held.ordinary


def alone(table: Table | None, key: int) -> Found:
    """Return a record as phishing endpoints serve a single one: in an array, as documented."""
    record = None if table is None else table.find(key)
    return None if record is None else [record]


def phishing_campaigns(held: Account, _: Ids, query: Query) -> Found:
    """Answer /phishing/campaigns."""
    return Rows(phishing(held, query).campaigns)


def phishing_campaign(held: Account, ids: Ids, query: Query) -> Found:
    """Answer /phishing/campaigns/{id}."""
    return alone(phishing(held, query).campaigns, ids[0])


def campaign_tests(held: Account, ids: Ids, query: Query) -> Found:
    """Answer /phishing/campaigns/{id}/security_tests."""
    rows = phishing(held, query).by_campaign.get(ids[0])
    return None if rows is None else Rows(rows)


def security_tests(held: Account, _: Ids, query: Query) -> Found:
    """Answer /phishing/security_tests."""
    return Rows(phishing(held, query).tests)


def security_test(held: Account, ids: Ids, query: Query) -> Found:
    """Answer /phishing/security_tests/{id}."""
    return alone(phishing(held, query).tests, ids[0])


def recipients(held: Account, ids: Ids, query: Query) -> Found:
    """Answer /phishing/security_tests/{id}/recipients."""
    rows = phishing(held, query).recipients.get(ids[0])
    return None if rows is None else Rows(rows)


def recipient(held: Account, ids: Ids, query: Query) -> Found:
    """Answer /phishing/security_tests/{id}/recipients/{id}."""
    return alone(phishing(held, query).recipients.get(ids[0]), ids[1])


def scores(table: Table, query: Query) -> Table | View:
    """Return risk scores: those of the last six months unless full=true."""
    since = day_after(TODAY, -SIX_MONTHS)
    return filtered(table, lambda score: score["date"] > since, anything=not flag(query, "full"))


def risk_history(held: Account, _: Ids, query: Query) -> Found:
    """Answer /account/risk_score_history."""
    return Rows(scores(held.risk_history, query))


def group_history(held: Account, ids: Ids, query: Query) -> Found:
    """Answer /groups/{id}/risk_score_history."""
    table = held.group_histories.get(ids[0])
    return None if table is None else Rows(scores(table, query))


def user_history(held: Account, ids: Ids, query: Query) -> Found:
    """Answer /users/{id}/risk_score_history: the newest scores at once, whatever page is asked."""
    table = held.user_histories.get(ids[0])
    return None if table is None else list(scores(table, query)[-MAX_USER_SCORES:])


ROUTES: Mapping[str, Handler] = {
    "account": account,
    "account/risk_score_history": risk_history,
    "users": users,
    "users/*": user,
    "users/*/risk_score_history": user_history,
    "groups": groups,
    "groups/*": group,
    "groups/*/members": members,
    "groups/*/risk_score_history": group_history,
    "training/enrollments": enrollments,
    "training/enrollments/*": enrollment,
    "training/campaigns": training_campaigns,
    "training/campaigns/*": training_campaign,
    "training/store_purchases": store_purchases,
    "training/store_purchases/*": store_purchase,
    "training/policies": policies,
    "training/policies/*": policy,
    "phishing/campaigns": phishing_campaigns,
    "phishing/campaigns/*": phishing_campaign,
    "phishing/campaigns/*/security_tests": campaign_tests,
    "phishing/security_tests": security_tests,
    "phishing/security_tests/*": security_test,
    "phishing/security_tests/*/recipients": recipients,
    "phishing/security_tests/*/recipients/*": recipient,
}


def find(held: Account, path: str, query: Query) -> Found:
    """Return what lies at a path behind /v1/, None for a 404."""
    parts = path.split("/")
    numbered = [part.isascii() and part.isdigit() for part in parts]
    pattern = "/".join("*" if is_id else part for part, is_id in zip(parts, numbered, strict=True))
    handler = ROUTES.get(pattern)
    ids = [int(part) for part, is_id in zip(parts, numbered, strict=True) if is_id]
    return None if handler is None else handler(held, ids, query)
