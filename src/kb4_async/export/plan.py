"""``plan_export``: what an export will cost, before it is begun."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from kb4_async.errors import KB4Error
from kb4_async.export.estimate import Choice, ResourcePlan, number_of_seats, price
from kb4_async.export.resources import NEEDS, Members, choose_resources, needed
from kb4_async.export.reuse import Earlier
from kb4_async.export.survey import Survey, survey
from kb4_async.options import DAY, Limits, Window
from kb4_async.protocol.asks import Verify
from kb4_async.protocol.pricing import duration, quota_days
from kb4_async.reporting.base import check_verify
from kb4_async.reporting.client import ReportingClient


@dataclass(frozen=True, slots=True)
class PlanTiming:
    """How long an export takes under some limits.

    The slow start on a key's first requests is left out; it costs some seconds.

    Attributes:
        limits: The windows, shortest first.
        seconds: From the first request to the last answer, waiting for a next day included.
        quota: Requests a day, where a window of a day is among the limits; otherwise None.
        days: How many days' quotas it takes, that is runs of an export that goes on each day where
            it was; None without such a window.
        binds: The window that most of the time is spent waiting for; None where that is answers:
            only more requests in flight, or a quicker server, would shorten it.
    """

    limits: tuple[Window, ...]
    seconds: float
    quota: int | None
    days: int | None
    binds: Window | None

    def to_json(self) -> dict[str, Any]:
        """As the command prints it."""
        return {
            "limits": [str(window) for window in self.limits],
            "seconds": round(self.seconds, 3),
            "quota": self.quota,
            "days": self.days,
            "binds": "latency" if self.binds is None else str(self.binds),
        }


@dataclass(frozen=True, slots=True)
class Saving:
    """A choice that would cost less.

    Attributes:
        what: What to do.
        requests: Requests it saves.
    """

    what: str
    requests: int


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """What an export will cost.

    Attributes:
        resources: One entry a resource, by name; those that others need are among them.
        planning_requests: Attempts that planning made.
        latency: Seconds from a request to its answer: the median of planning's own.
        max_concurrency: Requests in flight at a time, as the client has it.
        in_force: Time under the limits that the key is held to now: those of its clients, and what
            the server told and taught.
        published: Time under the limits that KnowBe4 publishes, which real keys often have.
        licensed_users: Licensed users that those are counted for.
        assumed: What that number is.
        savings: What would cost less, most first.
    """

    resources: Mapping[str, ResourcePlan]
    planning_requests: int
    latency: float
    max_concurrency: int
    in_force: PlanTiming
    published: PlanTiming
    licensed_users: int
    assumed: str
    savings: tuple[Saving, ...]

    @property
    def requests(self) -> int:
        """Requests of the whole export."""
        return total(self.resources)

    @property
    def exact(self) -> bool:
        """Whether every resource's requests are exact."""
        return all(entry.exact for entry in self.resources.values())

    def to_json(self) -> dict[str, Any]:
        """As the command prints it."""
        return {
            "requests": self.requests,
            "exact": self.exact,
            "planning_requests": self.planning_requests,
            "latency": round(self.latency, 6),
            "max_concurrency": self.max_concurrency,
            "in_force": self.in_force.to_json(),
            "published": self.published.to_json(),
            "licensed_users": self.licensed_users,
            "assumed": self.assumed,
            "resources": {name: entry.to_json() for name, entry in self.resources.items()},
            "savings": [{"what": each.what, "requests": each.requests} for each in self.savings],
        }


async def plan_export(
    kb: ReportingClient,
    resources: Iterable[str] | None = None,
    *,
    members: Members = "fetched",
    verify: Verify = "tail",
    reuse: str | os.PathLike[str] | None = None,
) -> ExportPlan:
    """Learn what an export will cost, without reading anything whole.

    A resource that cannot be read does not stop the plan: its entry says why.

    Args:
        kb: The account's client.
        resources: As for ``export_account``.
        members: As for ``export_account``.
        verify: As for ``export_account``.
        reuse: As for ``export_account``.

    Returns:
        The plan. Its exact entries are what reading costs if nothing changes until then.

    Raises:
        ConfigurationError: An unknown resource or choice. No request was made.
        AuthenticationError: The key is not known here.
        KB4Error: Nothing was answered, or nothing more may be asked.

    Requests: one for the account and at most 2 log2(pages) + 2 for each listing that is chosen or
    needed, side by side; none for members, recipients and histories of users or groups. Memory: the
    records of the few pages of groups and phishing that are read.
    """
    names = choose_resources(resources, members)
    check_verify(verify)
    earlier = None if reuse is None else await asyncio.to_thread(Earlier, reuse)
    # The account is no listing; children are priced by their parents.
    listings = [name for name in needed(names) if name != "account" and name not in NEEDS]
    found = await survey(kb, listings)
    if earlier is not None and not isinstance(found.account, KB4Error):
        earlier.check_account({"origin": kb.address.origin, **found.account})
    # Arithmetic on a large account takes some tenths of a second, which the event loop needs.
    choice = Choice(names, members, verify, earlier)
    concurrency = kb.options.max_concurrency
    held = tuple(each.window for each in kb.rate_status().held)
    return await asyncio.to_thread(make_plan, found, choice, held, concurrency)


def make_plan(
    found: Survey, choice: Choice, held: tuple[Window, ...], concurrency: int
) -> ExportPlan:
    """Price what was found. Pure."""
    resources = price(found, choice)
    requests = total(resources)
    licensed, assumed = licensed_users(found)
    published = Limits.published(licensed_users=licensed)
    kept = sorted(
        (each.pages.bit_length() for e in found.listings.values() for each in e), reverse=True
    )
    time = partial(timing, requests, kept, latency=found.latency, concurrency=concurrency)
    return ExportPlan(
        resources=resources,
        planning_requests=found.requests,
        latency=found.latency,
        max_concurrency=concurrency,
        in_force=time(held),
        published=time(
            (*published.stack, *(() if published.quota is None else (published.quota,)))
        ),
        licensed_users=licensed,
        assumed=assumed,
        savings=savings(found, choice, requests),
    )


def total(resources: Mapping[str, ResourcePlan]) -> int:
    """Requests of all resources."""
    return sum(entry.requests for entry in resources.values())


def timing(
    requests: int,
    kept: Sequence[int],
    windows: tuple[Window, ...],
    *,
    latency: float,
    concurrency: int,
) -> PlanTiming:
    """The time that so many requests take, and the days; ``kept`` as in ``quota_days``."""
    takes = duration(requests, windows, latency, concurrency)
    quota = min((each.requests for each in windows if each.seconds == DAY), default=None)
    days = None if quota is None else quota_days(requests, quota, kept)
    return PlanTiming(windows, takes.seconds, quota, days, takes.binds)


def licensed_users(found: Survey) -> tuple[int, str]:
    """The licensed users that the published limits count, and how they are known."""
    seats = number_of_seats(found)
    if seats is not None:
        return seats, "number_of_seats of the account"
    users = [each.rows for each in found.listings.get("users", ())]
    if users and users[0] is not None:
        return users[0], "the number of users, for the account gives no number_of_seats"
    return 0, "none, for neither number_of_seats nor the number of users is known"


def savings(found: Survey, choice: Choice, requests: int) -> tuple[Saving, ...]:
    """Cheaper choices: each is priced as a plan of its own."""
    names, members, verify = choice.names, choice.members, choice.verify
    with_reuse = partial(Choice, reuse=choice.reuse)
    others: dict[str, Choice] = {}
    if members == "fetched" and {"users", "groups", "members"} <= set(names):
        what = 'take members out of the users\' own groups (members="derived")'
        others[what] = with_reuse(names, "derived", verify)
    for name in ("recipients", "user_risk_history", "group_risk_history"):
        rest = tuple(each for each in names if each != name)
        if name in names and rest:
            others[f"leave out {name}"] = with_reuse(rest, members, verify)
    if verify == "full":
        others['read everything once (verify="tail")'] = with_reuse(names, members, "tail")
    if verify != "none":
        what = 'never look whether rows moved meanwhile (verify="none")'
        others[what] = with_reuse(names, members, "none")
    saved = [Saving(what, requests - total(price(found, it))) for what, it in others.items()]
    saved.sort(key=lambda saving: -saving.requests)
    return tuple(saving for saving in saved if saving.requests > 0)
