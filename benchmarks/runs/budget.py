"""``... budget virtual FOLDER`` or ``... budget sockets FOLDER ADDRESS KEY [SECONDS]``.

A full export of a large account, against a server that counts: on the virtual clock with the limits
as they are, or over sockets against the simulator (``runs.simulator``), where the minute of the cap
is as many seconds as said, or there is none.
"""

import asyncio
import json
import statistics
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import aiohttp

from benchmarks.arithmetic import Shape
from benchmarks.runs.road import Road, answers_of
from benchmarks.runs.unbound import replace_cap, unbind
from kb4_async import Event, Limits, ReportingClient, RequestFinished, export_account
from kb4_async.export import writer
from kb4_async.testing import Account, Limit, generate_account, published_limits, run_virtual
from kb4_async.testing.answers import Answers

P = ParamSpec("P")
T = TypeVar("T")

USERS, GROUPS, ENROLLMENTS = 20_000, 200, 150_000
#: Three tests of each of 15 phishing and 5 callback campaigns: 60.
CAMPAIGNS, TESTS_A_CAMPAIGN, RECIPIENTS_A_TEST = 15, 3, 5_000
KEY = "budget-key"
LATENCY = 0.2
#: Longer than the slow start, and than every window of a minute.
QUIET = 200.0


def large_account() -> Account:
    """The account that is exported."""
    account = generate_account(
        users=USERS,
        groups=GROUPS,
        enrollments=ENROLLMENTS,
        phishing_campaigns=CAMPAIGNS,
        tests_a_campaign=TESTS_A_CAMPAIGN,
        recipients_a_test=RECIPIENTS_A_TEST,
    )
    tests = len(account.security_tests) + len(account.callback_security_tests)
    assert tests == 60, tests
    return account


def shape(account: Account) -> Shape:
    """How many records it holds."""
    tests = [*account.security_tests, *account.callback_security_tests]
    listings = (
        account.users,
        account.groups,
        account.enrollments,
        account.training_campaigns,
        account.phishing_campaigns,
        account.callback_campaigns,
        account.security_tests,
        account.callback_security_tests,
        account.store_purchases,
        account.policies,
        account.risk_history,
    )
    children = [len(account.members[group["id"]]) for group in account.groups]
    children += [len(account.recipients[test["pst_id"]]) for test in tests]
    return Shape([len(rows) for rows in listings], children, single=1)


def told_of(shape: Shape) -> dict[str, Any]:
    """A shape as JSON."""
    return {"listings": list(shape.listings), "children": list(shape.children)} | {
        "single": shape.single
    }


class Inline(Executor):
    """Runs what is handed to it at once, in the same thread.

    On the virtual clock the export's writing thread must cost no time: the clock would jump while
    it works, by chance more or less.
    """

    def __init__(self, **options: object) -> None:
        del options

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """Run it."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # whoever asks for the result gets it
            future.set_exception(error)
        return future


async def virtually(
    answers: Answers, served: Iterable[Limit], limits: Limits, folder: Path
) -> dict[str, Any]:
    """One export on the virtual clock, its slow start long past."""
    loop = asyncio.get_running_loop()
    loop.set_debug(enabled=False)
    road = Road(answers, served, LATENCY)
    lent = cast("aiohttp.ClientSession", road)
    async with ReportingClient(
        KEY, base_url="https://kb4.example.test/v1", session=lent, limits=limits
    ) as kb:
        await kb.account.get()
        await asyncio.sleep(QUIET)
        road.forget()
        begun = loop.time()
        report = await export_account(kb, folder)
        took = loop.time() - begun
    assert report.complete, [entry.gaps for entry in report.resources.values()]
    return {
        "requests": len(road.arrivals),
        "refusals": road.refusals,
        "seconds": took,
        "latency": LATENCY,
        "rows": report.rows,
    }


def virtual(folder: Path) -> dict[str, Any]:
    """Both sets of limits."""
    assert vars(writer)["ThreadPoolExecutor"] is ThreadPoolExecutor
    vars(writer)["ThreadPoolExecutor"] = Inline
    account = large_account()
    answers = answers_of(account)
    seats = account.account["number_of_seats"]
    cap = virtually(answers, [Limit(1000, 60.0)], Limits(), folder / "cap")
    found = {"cap": run_virtual(cap)}
    published = Limits.published(licensed_users=seats)
    slowly = virtually(answers, published_limits(seats), published, folder / "published")
    found["published"] = run_virtual(slowly)
    return found | {"shape": told_of(shape(account))}


async def over_sockets(folder: Path, address: str, key: str) -> dict[str, Any]:
    """One export over sockets."""
    times: list[float] = []
    requests = refusals = 0

    def note(event: Event) -> None:
        nonlocal requests, refusals
        if isinstance(event, RequestFinished):
            times.append(event.seconds)
            requests += 1
            refusals += event.status == 429

    loop = asyncio.get_running_loop()
    async with ReportingClient(key, base_url=address, on_event=note) as kb:
        begun = loop.time()
        report = await export_account(kb, folder / "out")
        took = loop.time() - begun
    assert report.complete, [entry.gaps for entry in report.resources.values()]
    return {
        "requests": requests,
        "refusals": refusals,
        "seconds": took,
        "latency": statistics.median(times),
        "rows": report.rows,
    }


def main(how: str, folder: str, address: str = "", key: str = "", seconds: str = "") -> None:
    """Export and tell."""
    if how == "virtual":
        found = virtual(Path(folder))
    else:
        if seconds:
            replace_cap(1000, float(seconds))
        else:
            unbind()
        found = asyncio.run(over_sockets(Path(folder), address, key))
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
