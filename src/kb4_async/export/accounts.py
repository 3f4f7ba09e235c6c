"""``export_accounts``: many accounts side by side, each into a folder of its own."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from kb4_async.errors import AlreadyCompleteError, ConfigurationError, KB4Error
from kb4_async.events import Event, Observer
from kb4_async.export.account_entry import AccountEntry, check_entries
from kb4_async.export.accounts_report import AccountsReport, reason_of, state_of
from kb4_async.export.destination import find_folder
from kb4_async.export.events import AccountEvent, AccountFinished
from kb4_async.export.manifest import FILE_NAME, ExportReport, read_manifest
from kb4_async.export.resources import Members, choose_resources
from kb4_async.export.reuse import REQUIRED
from kb4_async.export.runner import export_account
from kb4_async.options import Limits, Paging, Retry, Timeout
from kb4_async.protocol.asks import Verify
from kb4_async.reporting.base import check_verify
from kb4_async.reporting.client import ReportingClient
from kb4_async.runtime.observing import tell
from kb4_async.sinks import SinkFactory

if TYPE_CHECKING:
    import ssl as ssl_module

    import aiohttp

#: Accounts at a time. Most wait for their own key's limits most of the time, so more would be
#: quicker; but each holds its connections, a file for each resource and a thread, and with more
#: than these a process meets the 256 open files that macOS allows it.
AT_ONCE = 8
#: Requests in flight of each account: with the above no more than 64 pages in memory, and twice
#: what one client alone has in flight.
PER_ACCOUNT = 8

log = logging.getLogger("kb4_async")


class ExportOptions(TypedDict, total=False):
    """Keywords of ``export_account`` that ``export_accounts`` takes for all accounts alike.

    Attributes:
        resources: Names of resources; None for ``DEFAULT_RESOURCES``.
        members: ``fetched`` or ``derived``.
        verify: ``tail``, ``full`` or ``none``.
        fresh: Replace earlier exports of the same accounts.
        wait: Where an account's daily quota is spent, sleep until it is free again and go on. It
            keeps its place meanwhile: let ``at_once`` be no less than the accounts that may wait.
        reuse: Where earlier exports of the accounts are, each in a folder of the account's name.
            One that has none there, or none whose tests and recipients are whole, is read anew.
    """

    resources: Iterable[str] | None
    members: Members
    verify: Verify
    fresh: bool
    wait: bool
    reuse: str | os.PathLike[str] | None


async def export_accounts(
    accounts: Iterable[AccountEntry],
    destination: str | os.PathLike[str],
    *,
    at_once: int = AT_ONCE,
    limits: Limits | None = None,
    max_concurrency: int = PER_ACCOUNT,
    retry: Retry | None = None,
    timeout: Timeout | None = None,  # noqa: ASYNC109  # of one attempt, as the client's
    max_pause: float = 1800.0,
    paging: Paging = "auto",
    session: aiohttp.ClientSession | None = None,
    ssl: ssl_module.SSLContext | None = None,
    trust_env: bool = False,
    ledger: bool | str | os.PathLike[str] | None = None,
    on_event: Observer | None = None,
    sink: Callable[[str], SinkFactory] | None = None,
    **options: Unpack[ExportOptions],
) -> AccountsReport:
    """Export many accounts, each by ``export_account`` into ``destination/NAME``.

    Accounts are begun in the order given, ``at_once`` of them side by side. Each has a client and a
    limiter of its own, for a key's limits are its own; one that fails stops no other. An account
    whose folder holds the complete export that is asked for is left as it is and asked nothing
    (``AlreadyCompleteError``), so that running again finishes what is left; ``fresh=True`` replaces
    all.

    Args:
        accounts: The accounts; ``read_accounts`` reads them from a file.
        destination: A folder; made if it does not exist.
        at_once: Accounts side by side. The default fits into 256 open files; a process that may
            open more can take more.
        limits: Limits of each account whose entry names none.
        max_concurrency: Requests in flight, and pages in memory, of each account.
        retry: As for ``ReportingClient``, as are those that follow.
        timeout: Times of one attempt.
        max_pause: Longest pause after a 429.
        paging: How listings are paged.
        session: Your own ``aiohttp.ClientSession``, for all of them.
        ssl: An SSL context.
        trust_env: Use proxies from the environment.
        ledger: One ledger for all keys.
        on_event: Called with an ``AccountEvent`` for each event of any account; must return at
            once.
        sink: Called with an account's name; makes what ``export_account`` takes as ``sink``. JSON
            lines if left out.
        **options: Further keywords of ``export_account``, the same for all (``ExportOptions``).

    Returns:
        How each account ended. ``report.complete`` is true, or ``report.reason(name)`` says why an
        account is not.

    Raises:
        ConfigurationError: No account, two of one name or one key, an unknown resource, a
            destination that is none. Nothing was touched, and no request was made.
        CancelledError: After every account under way has committed what is whole.

    Requests: those of each export. Memory: that of ``at_once`` exports, and a report an account.
    """
    entries = tuple(accounts)
    check_entries(entries)
    if at_once < 1:
        msg = f"at_once is at least 1, not {at_once}."
        raise ConfigurationError(msg)
    chosen = check_options(options)
    folder = await asyncio.to_thread(check_destination, destination)
    connect = partial(
        ReportingClient,
        max_concurrency=max_concurrency,
        retry=retry,
        timeout=timeout,
        max_pause=max_pause,
        paging=paging,
        session=session,
        ssl=ssl,
        trust_env=trust_env,
        ledger=ledger,
    )
    clients: dict[str, ReportingClient] = {}
    for entry in entries:
        told = None if on_event is None else partial(pass_on, on_event, entry.name)
        held = limits if entry.limits is None else entry.limits
        clients[entry.name] = connect(
            entry.secret.text,
            region=entry.region,
            base_url=entry.base_url,
            limits=held,
            on_event=told,
        )
    run = Run(clients, folder, chosen, on_event, sink)
    return await run.all(at_once)


def check_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse, before any account is begun, what each of them would refuse.

    Raises:
        ConfigurationError: An unknown resource, or a choice that cannot be made.
        TypeError: ``export_account`` takes no such keyword.
    """
    known = inspect.signature(export_account).parameters
    for name in options:
        if name not in known or known[name].kind is not inspect.Parameter.KEYWORD_ONLY:
            msg = f"export_accounts() got an unexpected keyword argument {name!r}"
            raise TypeError(msg)
    chosen = dict(options)
    names = choose_resources(chosen.get("resources"), chosen.get("members", "fetched"))
    check_verify(chosen.get("verify", "tail"))
    if chosen.get("reuse") is not None:
        chosen["reuse"] = check_reuse(chosen["reuse"])
    # An iterator would be used up by the first account.
    return {**chosen, "resources": names}


def check_reuse(previous: str | os.PathLike[str]) -> Path:
    """Refuse a folder that can hold no account's earlier export.

    Raises:
        ConfigurationError: It is none, or the export of one account.
    """
    folder = Path(previous).expanduser().absolute()
    if not folder.is_dir() or (folder / FILE_NAME).exists():
        what = "holds the export of one account" if folder.is_dir() else "is no folder"
        msg = f"{folder} {what}: reuse names the folder of an earlier export of many accounts."
        raise ConfigurationError(msg)
    return folder


def check_destination(destination: str | os.PathLike[str]) -> Path:
    """Look at the folder of the accounts' folders without touching it.

    Raises:
        ConfigurationError: It is no folder, or holds the export of one account.
    """
    folder = find_folder(destination)
    if (folder / FILE_NAME).exists():
        msg = f"{folder} holds the export of one account: choose another folder for many."
        raise ConfigurationError(msg)
    return folder


class Run:
    """The exports under way.

    Args:
        clients: A client an account, by name; none has been used.
        folder: Where the accounts' folders are.
        options: Keywords of ``export_account``.
        observer: Told everything.
        sink: Makes an account's sinks.
    """

    def __init__(
        self,
        clients: dict[str, ReportingClient],
        folder: Path,
        options: Mapping[str, Any],
        observer: Observer | None,
        sink: Callable[[str], SinkFactory] | None,
    ) -> None:
        self.clients = clients
        self.folder = folder
        self.options = options
        self.observer = observer
        self.sink = sink
        self.outcomes: dict[str, ExportReport | KB4Error] = {}

    async def all(self, at_once: int) -> AccountsReport:
        """Export every account, some at a time."""
        clock = asyncio.get_running_loop().time
        began, started = clock(), now()
        names = tuple(self.clients)
        waiting = iter(names)
        async with asyncio.TaskGroup() as tasks:
            for number in range(min(at_once, len(names))):
                tasks.create_task(self.some(waiting), name=f"kb4 accounts {number}")
        accounts = {name: self.outcomes[name] for name in names}
        return AccountsReport(self.folder, accounts, started, now(), clock() - began)

    async def some(self, waiting: Iterator[str]) -> None:
        """Export one account after another, while there are any that nobody has begun."""
        for name in waiting:
            outcome = self.outcomes[name] = await self.one(name)
            if self.observer is None:
                continue
            report = outcome if isinstance(outcome, ExportReport) else None
            event = AccountFinished(
                state_of(outcome),
                rows=report.rows if report else 0,
                requests=report.requests if report else 0,
                detail=reason_of(outcome),
            )
            pass_on(self.observer, name, event)

    async def one(self, name: str) -> ExportReport | KB4Error:
        """Export one account; whatever ends it stays its own."""
        client, folder = self.clients.pop(name), self.folder / name
        told = None if self.observer is None else partial(pass_on, self.observer, name)
        try:
            sink = None if self.sink is None else self.sink(name)
            own = await asyncio.to_thread(self.options_of, name)
            async with client:
                return await export_account(client, folder, on_event=told, sink=sink, **own)
        except ConfigurationError as error:
            if await asyncio.to_thread(self.is_there, folder, client.address.origin):
                return AlreadyCompleteError(str(error))
            return error
        except KB4Error as error:
            return error
        except Exception as error:  # a defect ends its own account, not the others
            log.exception("%s: a defect of kb4_async", name)
            msg = f"{error!r}: this is a defect of kb4_async, please report it with the log."
            return KB4Error(msg)

    def options_of(self, name: str) -> dict[str, Any]:
        """The keywords of an account's export: what it reuses is its own."""
        options, previous = dict(self.options), self.options.get("reuse")
        if previous is not None:
            manifest = read_manifest(previous / name)
            entries = {} if manifest is None else manifest["resources"]
            whole = all(entries.get(each, {}).get("complete") for each in REQUIRED)
            options["reuse"] = previous / name if whole else None
        return options

    def is_there(self, folder: Path, origin: str) -> bool:
        """Whether a folder that was refused holds the complete export that was asked for."""
        if self.options.get("fresh"):
            return False
        try:
            manifest = read_manifest(folder)
        except KB4Error:
            return False
        wanted = {
            "resources": list(self.options["resources"]),
            "members": self.options.get("members", "fetched"),
            "verify": self.options.get("verify", "tail"),
        }
        if manifest is None or manifest.get("complete") is not True:
            return False
        there = manifest.get("parameters", {})
        return (
            manifest["account"].get("origin") == origin
            and {name: there.get(name) for name in wanted} == wanted
            and (there.get("sink", "jsonl") == "jsonl") == (self.sink is None)
        )


def pass_on(observer: Observer, account: str, event: Event) -> None:
    """Tell what happened to an account."""
    tell(observer, AccountEvent(account, event))


def now() -> str:
    """The present time in UTC, ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
