"""What each resource of an export costs, by what was found of the account. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kb4_async.errors import KB4Error
from kb4_async.export.parents import id_of
from kb4_async.export.resources import NEEDS, Members, needed
from kb4_async.export.reuse import Earlier
from kb4_async.export.survey import Found, Survey
from kb4_async.protocol.asks import Verify
from kb4_async.protocol.codec import Key
from kb4_async.protocol.endpoints import ENDPOINTS
from kb4_async.protocol.pricing import listing_requests
from kb4_async.reporting.parents import count_in, users_counts


@dataclass(frozen=True, slots=True)
class ResourcePlan:
    """What one resource will cost.

    Attributes:
        name: ``users``.
        rows: Records it holds, as far as known; otherwise None.
        requests: Requests it takes.
        exact: That is what it takes if nothing changes and the counts that the account gives are
            right; otherwise it is estimated, or the least.
        basis: How it is known, in one sentence.
        chosen: False where it is only read because something else needs it.
        error: Name of the error, for example ``PermissionDeniedError``, where it cannot be read.
    """

    name: str
    rows: int | None
    requests: int
    exact: bool
    basis: str
    chosen: bool = True
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As the command prints it."""
        return {
            "rows": self.rows,
            "requests": self.requests,
            "exact": self.exact,
            "basis": self.basis,
            "chosen": self.chosen,
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be exported, and how."""

    names: tuple[str, ...]
    members: Members
    verify: Verify
    reuse: Earlier | None = None


def number_of_seats(found: Survey) -> int | None:
    """``number_of_seats``, where the account gives it."""
    account = found.account
    return None if isinstance(account, KB4Error) else count_in(account, "number_of_seats")


def price(found: Survey, choice: Choice) -> dict[str, ResourcePlan]:
    """Price every resource that will be read."""
    return {name: entry_of(name, found, choice) for name in needed(("account", *choice.names))}


def entry_of(name: str, found: Survey, choice: Choice) -> ResourcePlan:
    """Price one resource."""
    if name == "account":
        parts = [account_part(found)]
    elif name == "members":
        parts = members_parts(found, choice)
    elif name == "recipients":
        parts = recipients_parts(found, choice)
    elif name == "derived_members":
        parts = [derived_part(found)]
    elif name in NEEDS:
        parts = [history_part(name, found, choice)]
    else:
        parts = listing_parts(name, found, choice)
    rows = [part.rows for part in parts]
    basis = "; callback: ".join(part.basis for part in parts)
    return ResourcePlan(
        name=name,
        rows=None if None in rows else sum(each or 0 for each in rows),
        requests=sum(part.requests for part in parts),
        exact=all(part.exact for part in parts),
        basis=basis + reason_to_read(name, choice),
        chosen=name in choice.names,
        error=next((type(part.error).__name__ for part in parts if part.error), None),
    )


def reason_to_read(name: str, choice: Choice) -> str:
    """Why a resource that was not chosen is read."""
    if name in choice.names:
        return ""
    if name == "account":
        return "; read first, to know whose account it is"
    needing = [child for child in choice.names if NEEDS.get(child) == name]
    return f"; read for the sake of {' and '.join(needing)}"


@dataclass(frozen=True, slots=True)
class Part:
    """The price of one pass over a resource; attributes as in ``ResourcePlan``."""

    rows: int | None
    requests: int
    exact: bool
    basis: str
    error: KB4Error | None = None


def unreadable(error: KB4Error, requests: int, what: str = "") -> Part:
    """The price of what cannot be read."""
    # The first sentence says what happened; the others, what to do.
    why = str(error).partition(". ")[0]
    return Part(None, requests, exact=False, basis=f"{what}could not be read: {why}", error=error)


def account_part(found: Survey) -> Part:
    """The price of the account's own record."""
    if isinstance(found.account, KB4Error):
        return unreadable(found.account, 1)
    return Part(1, 1, exact=True, basis="one record")


# -- listings -------------------------------------------------------------------------------------


def listing_parts(name: str, found: Survey, choice: Choice) -> list[Part]:
    """The price of each pass over a listing."""
    # The account's own record counts nothing else.
    known = number_of_seats(found) if name == "users" else None
    return [listing_part(each, known, choice.verify) for each in found.listings[name]]


def listing_part(found: Found, known: int | None, verify: Verify) -> Part:
    """The price of a listing.

    Args:
        found: What was learned of it.
        known: Records it may hold, from elsewhere.
        verify: As chosen.
    """
    if found.error is not None:
        return unreadable(found.error, found.asked)
    if found.by_cursor and found.rows is not None:
        # One more, to prove that the server knows cursors.
        basis = f"one page by cursor: {found.by_cursor}"
        return Part(found.rows, found.asked + 1, exact=False, basis=basis)
    if found.rows is not None:
        requests = listing_requests(
            found.rows,
            per_page=found.size,
            served=found.served,
            paged=found.paged,
            verify=verify,
        )
        return Part(found.rows, requests, exact=True, basis=end_of(found))
    if found.by_cursor and known is not None:
        basis = f"estimated from the account's number_of_seats: {found.by_cursor}"
        return Part(known, max(1, -(-known // found.size)), exact=False, basis=basis)
    # By cursor, at least one more request comes after those that planning made.
    least = found.asked + bool(found.by_cursor)
    basis = f"at least, for the end cannot be found: {found.by_cursor or found.puzzle}"
    return Part(None, least, exact=False, basis=basis)


def end_of(found: Found) -> str:
    """How the end of a listing is known."""
    if not found.paged:
        return "one answer holds everything"
    if not found.pages:
        return "it is empty"
    size = f" of {found.served}, for the server gives no larger ones" if found.served else ""
    return f"the end was found: {number_of(found.pages, 'page')}{size}"


def number_of(count: int, what: str) -> str:
    """A count in words: ``1 page``, ``1,200 pages``."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


# -- listings of many parents ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Child:
    """The listing of one parent: its records, None where no count is given, and its price."""

    rows: int | None
    requests: int


def child(count: int | None, verify: Verify) -> Child:
    """The price of one parent's listing."""
    if count is None:
        return Child(None, listing_requests(1, verify=verify))
    return Child(count, listing_requests(count, counted=True, verify=verify))


def members_parts(found: Survey, choice: Choice) -> list[Part]:
    """The price of group members."""
    # Without the users nothing can be derived, so that an export fetches every group.
    derived = choice.members == "derived" and found.listings["users"][0].error is None

    def one(group: Mapping[str, Any]) -> Child | None:
        count = count_in(group, "member_count")
        if id_of(group, "id") is None:
            return None
        # Without a count it cannot be told whether the derived members are all.
        return Child(count, 0) if count == 0 or (derived and count) else child(count, choice.verify)

    (groups,) = found.listings["groups"]
    part = children_part(groups, "group", "member_count", one, choice.verify)
    if derived and groups.error is None:
        basis = "derived from the users, unless a group's member_count differs from that"
        return [Part(part.rows, part.requests, part.exact, basis)]
    return [part]


def derived_part(found: Survey) -> Part:
    """The price of memberships that are derived while the users are read."""
    (users,) = found.listings["users"]
    if users.error is not None:
        return unreadable(users.error, 0, "users ")
    return Part(None, 0, exact=True, basis="derived from the users, for no request")


def recipients_parts(found: Survey, choice: Choice) -> list[Part]:
    """The price of the recipients of each pass over the security tests."""
    campaigns = found.listings["phishing_campaigns"] if counted_by_campaigns(choice) else ()
    users: dict[Key, int | None] = {}
    for campaign in (record for each in campaigns for record in each.records):
        users.update(users_counts(campaign))

    def one(test: Mapping[str, Any]) -> Child | None:
        key = id_of(test, "pst_id")
        if key is None:
            return None
        count = users.get(key)
        if count == 0:
            return Child(0, 0)
        if carried(test, count, choice.reuse):
            return Child(choice.reuse.rows[key] if choice.reuse else 0, 0)
        scheduled = count_in(test, "scheduled_count")
        return child(scheduled if count is None else count, choice.verify)

    count = "users_count or scheduled_count" if campaigns else "scheduled_count"
    every = all(each.whole for each in campaigns)
    parts = [
        children_part(tests, "security test", count, one, choice.verify)
        for tests in found.listings["security_tests"]
    ]
    if choice.reuse is not None:
        parts = [
            tell_carried(part, tests.records, choice.reuse)
            for part, tests in zip(parts, found.listings["security_tests"], strict=True)
        ]
    return [part if every or not part.requests else unsure(part) for part in parts]


def tell_carried(part: Part, tests: Sequence[Mapping[str, Any]], reuse: Earlier) -> Part:
    """The same price, which says how many tests cost nothing."""
    count = sum(reuse.holds(test) for test in tests)
    return replace(part, basis=f"{part.basis}; {count:,} of them carried over") if count else part


def carried(test: Mapping[str, Any], count: int | None, reuse: Earlier | None) -> bool:
    """Whether a test's recipients will be carried over from an earlier export."""
    if reuse is None or not reuse.holds(test):
        return False
    return count is None or count == reuse.rows[id_of(test, "pst_id")]


def counted_by_campaigns(choice: Choice) -> bool:
    """Whether campaigns, which count the users of their tests, are read anyway."""
    return "phishing_campaigns" in choice.names


def unsure(part: Part) -> Part:
    """The same price where some counts come from campaigns that were not read."""
    basis = f"{part.basis}; not every campaign's users_count is known yet"
    return Part(part.rows, part.requests, exact=False, basis=basis, error=part.error)


def children_part(
    parents: Found,
    what: str,
    count: str,
    one: Callable[[Mapping[str, Any]], Child | None],
    verify: Verify,
) -> Part:
    """The price of the listings of many parents, of which only some may be known.

    Args:
        parents: What was found of them.
        what: What one of them is called.
        count: What their records call the number of children.
        one: Prices one; None where nothing is asked.
        verify: As chosen.
    """
    children = [each for each in map(one, parents.records) if each is not None]
    requests = sum(each.requests for each in children)
    unknown = sum(each.rows is None for each in children)
    rows = None if unknown else sum(each.rows or 0 for each in children)
    if parents.error is not None:
        return unreadable(parents.error, requests, f"{what}s ")
    seen = len(parents.records)
    if parents.rows is None:
        basis = f"at least: of the {what}s only {seen:,} are known yet"
        return Part(None, requests, exact=False, basis=basis)
    without = ""
    if unknown:
        each = number_of(listing_requests(1, verify=verify), "request")
        without = f", and {each} for each of {unknown:,} without it"
    if parents.whole:
        basis = f"sum of {count} over {number_of(seen, what)}{without}"
        return Part(rows, requests, exact=not unknown, basis=basis)
    share = parents.rows / seen
    pages = f"{parents.read:,} of {parents.pages:,} pages"
    basis = f"estimated from {pages} of {what}s, by their {count}{without}"
    rows = None if rows is None else round(rows * share)
    return Part(rows, round(requests * share), exact=False, basis=basis)


def history_part(name: str, found: Survey, choice: Choice) -> Part:
    """The price of the risk histories of all users or all groups."""
    parent = NEEDS[name]
    parts = listing_parts(parent, found, choice)
    if parts[0].error is not None:
        return unreadable(parts[0].error, 0, f"{parent} ")
    count = parts[0].rows
    if count is None:
        return Part(None, 0, exact=False, basis=f"at least: how many {parent} there are is unknown")
    if count == 0:
        return Part(0, 0, exact=parts[0].exact, basis=f"there are no {parent}")
    one_each = ENDPOINTS[name].paging == "one_answer"
    each = 1 if one_each else listing_requests(1, verify=choice.verify)
    basis = f"{number_of(each, 'request')} for each of {number_of(count, parent[:-1])}"
    if one_each:
        return Part(None, count, exact=parts[0].exact, basis=basis)
    basis = f"estimated: {basis}, as long as none has more than 500 days"
    return Part(None, each * count, exact=False, basis=basis)
