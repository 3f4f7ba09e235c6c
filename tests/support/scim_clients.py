"""What the tests of the SCIM client share: clients that try again quickly, people, and what a
proxy's log says of them."""

import asyncio
import http.client
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar
from urllib.parse import unquote_plus

from support.losing_proxy import Action, Exchange, LosingProxy, Name, Script
from support.scim_servers import MEDIA, Peer
from yarl import URL

from kb4_async import (
    UNSET,
    Limits,
    Retry,
    ScimClient,
    ScimGroup,
    ScimOutcome,
    ScimPlan,
    ScimUser,
    ScimWriter,
)
from kb4_async.testing import Simulator

T = TypeVar("T")
R = TypeVar("R")

#: No window but the cap's.
WIDE = Limits(max_lag=1.0)
#: For storms: of requests of which a fifth is lost, one in 10 ** 14 is lost so often.
STUBBORN = Retry(max_attempts=20, base=0.002, ceiling=0.02)

LOSSES: tuple[Name, ...] = ("lose_before", "lose_after", "cut_after", "502_before", "502_after")
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
MEMBER_FORMS = {
    "scim2-server": ("filter",),
    "django-scim2": ("value",),
    "scimmy": ("filter", "value"),
}
#: Fields that every one of the servers keeps.
KEPT = ("user_name", "active", "given_name", "family_name", "email", "external_id")


def client(server: Peer, **options: Any) -> ScimClient:
    """A client of a peer. It removes members in a form that the peer knows."""
    form = MEMBER_FORMS[server.name][0]
    given: dict[str, Any] = {
        "limits": WIDE,
        "retry": STUBBORN,
        "max_concurrency": 16,
        "member_removal": form,
        "ledger": False,
    }
    return ScimClient(server.token, tenant_url=server.tenant_url, **(given | options))


def client_of(sim: Simulator, **options: Any) -> ScimClient:
    """A client of a simulator."""
    given: dict[str, Any] = {
        "limits": WIDE,
        "retry": STUBBORN,
        "max_concurrency": 8,
        "ledger": False,
    }
    return ScimClient(sim.scim_token, tenant_url=sim.tenant_url, **(given | options))


def person(number: int, **more: Any) -> ScimUser:
    """A user with what every server keeps, and more where it is named."""
    name = f"user{number:05}@example.com"
    given: dict[str, Any] = {
        "given_name": f"Given {number}",
        "family_name": f"Family {number}",
        "email": name,
        "active": True,
    }
    return ScimUser(name, **(given | more))


def people(count: int, **more: Any) -> list[ScimUser]:
    """So many of them."""
    return [person(number, **more) for number in range(count)]


async def each_of(
    things: Iterable[T], work: Callable[[T], Awaitable[R]], at_once: int = 16
) -> list[R]:
    """Do it to each, several at once; results in their order."""
    waiting = list(enumerate(things))
    waiting.reverse()
    found: dict[int, R] = {}

    async def worker() -> None:
        while waiting:
            place, thing = waiting.pop()
            found[place] = await work(thing)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())
    return [found[place] for place in range(len(found))]


async def applied(writer: ScimWriter, plan: ScimPlan) -> list[ScimOutcome]:
    """Apply a plan to its end."""
    return [found async for found in writer.apply(plan)]


async def members_of(scim: ScimClient, group: ScimGroup) -> list[str]:
    """A group's members, as the client reads them."""
    members = (await scim.groups.get(group)).members
    return [] if members is UNSET else sorted(members)


def tally(outcomes: Iterable[ScimOutcome]) -> Counter[str]:
    """How often each result came."""
    return Counter(found.result for found in outcomes)


def mixture(probability: float, seed: int, methods: Iterable[str] = ()) -> Script:
    """Lose so large a share of the requests, in all the ways there are."""
    only = frozenset(methods)

    def script(number: int, method: str, _: str) -> Name:
        chance = random.Random(f"{seed} {number}")
        if (only and method not in only) or chance.random() >= probability:
            return "pass"
        return chance.choice(LOSSES)

    return script


def all_of(*scripts: Script) -> Script:
    """Several scripts at once: the first that loses a request decides."""

    def script(number: int, method: str, path: str) -> Action | Name:
        chosen = [each(number, method, path) for each in scripts]
        return next((each for each in chosen if each != "pass"), "pass")

    return script


def written(proxy: LosingProxy, since: int = 0) -> list[Exchange]:
    """The writes that the proxy saw."""
    return [seen for seen in proxy.log[since:] if seen.method in WRITES]


def about(seen: Exchange) -> str:
    """What a write is of: the resource's path, or the name of what it creates."""
    if seen.method != "POST":
        return seen.path
    body = json.loads(seen.body)
    return str(body.get("userName", body.get("displayName")))


def shows(seen: Exchange, kind: str, subject: str) -> bool:
    """Whether a request could have found out about a subject, and was answered."""
    if seen.method != "GET" or seen.action != "pass":
        return False
    if subject in seen.path or f'"{subject}"' in unquote_plus(seen.path):
        return True
    path = seen.path.partition("?")[0]
    return path.endswith(kind) and "filter=" not in seen.path


def blind(log: Sequence[Exchange]) -> list[str]:
    """Writes sent again, after one that was lost, without a look between the two."""
    lost: dict[str, str] = {}
    found: list[str] = []
    for seen in log:
        if seen.method in WRITES:
            subject = about(seen)
            if subject in lost:
                found.append(f"{seen.method} {subject}")
            lost.pop(subject, None)
            if seen.action != "pass":
                lost[subject] = seen.path.partition("?")[0]
            continue
        for subject in [each for each, kind in lost.items() if shows(seen, kind, each)]:
            del lost[subject]
    return found


def is_kept(row: dict[str, Any], user: ScimUser) -> bool:
    """Whether a server's row is the person that was sent."""
    mail = [each["value"] for each in row.get("emails", [])]
    return (
        row["userName"] == user.user_name
        and row["name"]["givenName"] == user.given_name
        and row["name"]["familyName"] == user.family_name
        and row["active"] is user.active
        and mail == [user.email]
    )


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """A resource without what changes with each write."""
    meta = {key: each for key, each in row["meta"].items() if key in {"resourceType", "location"}}
    return {**row, "meta": meta}


def quickly(peer: Peer, method: str, path: str, body: object) -> int:
    """The status of one request, made at once: nothing else happens in the event loop meanwhile."""
    connection = http.client.HTTPConnection(peer.origin.removeprefix("http://"), timeout=30)
    try:
        headers = {"Authorization": f"Bearer {peer.token}", "Content-Type": MEDIA}
        where = URL(peer.tenant_url).path + path
        connection.request(method, where, json.dumps(body), headers)
        return connection.getresponse().status
    finally:
        connection.close()
