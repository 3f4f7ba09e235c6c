"""``kb4 export --accounts``: many accounts in one command."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress
from urllib.request import getproxies

import typer

import kb4_async
from kb4_async.cli.accounts_view import AccountsView, print_accounts
from kb4_async.cli.running import (
    COMPLETE,
    CREDENTIALS,
    INCOMPLETE,
    PUBLISHED,
    QUOTA,
    USAGE,
    exit_code,
    print_bytes,
    report_code,
    run,
    to_json,
    words_of,
)

#: As ``export_accounts`` has them: accounts side by side, and requests in flight of each.
AT_ONCE, OF_EACH = 8, 8


def export_many(
    file: str,
    dest: str,
    options: kb4_async.ExportOptions,
    *,
    refused: Sequence[str],
    at_once: int | None,
    limits: list[str] | None,
    max_concurrency: int | None,
    json: bool,
    quiet: bool,
) -> None:
    """Export the accounts of a file; show how it ended, and end with one code.

    Args:
        file: The TOML file.
        dest: The folder of the accounts' folders.
        options: Keywords of every export.
        refused: Options that were given and that only the file may say.
        at_once: Accounts side by side.
        limits: Those of accounts that name none.
        max_concurrency: Requests in flight of each account.
        json: Print the report as JSON.
        quiet: Show no progress and no summary.
    """

    async def work() -> kb4_async.AccountsReport:
        if refused:
            msg = f"{refused[0]} does not go with --accounts: {file} says it of each account."
            raise kb4_async.ConfigurationError(msg)
        with warnings.catch_warnings(record=True) as lowered:
            warnings.simplefilter("always")
            entries = kb4_async.read_accounts(file)
            held = limits_of(limits)
        resources = options.get("resources")
        view = AccountsView(
            len(entries), len(tuple(resources or kb4_async.DEFAULT_RESOURCES)), quiet=quiet
        )
        for warning in lowered:
            view.say(str(warning.message))
        with view:
            return await kb4_async.export_accounts(
                entries,
                dest,
                at_once=at_once or AT_ONCE,
                limits=held,
                max_concurrency=max_concurrency or OF_EACH,
                # Only where there are proxies, for it makes aiohttp read ~/.netrc at each request.
                trust_env=bool(getproxies()),
                ledger=True,
                on_event=view,
                **options,
            )

    report = run(work)
    with suppress(OSError):  # nobody reads stderr any more
        print_accounts(report, quiet=quiet)

    async def show() -> None:
        print_bytes(to_json(report.to_json()))

    if json:
        run(show)
    raise typer.Exit(accounts_code(report))


def limits_of(texts: list[str] | None) -> kb4_async.Limits | None:
    """The limits of accounts that name none.

    Raises:
        ConfigurationError: They are no limits, or need the account to be asked.
    """
    words = words_of(texts)
    if PUBLISHED in words:
        msg = (
            "With --accounts the licensed users are given as a number, as in 'published:500', best "
            'in the file for each account: limits = ["published:500"].'
        )
        raise kb4_async.ConfigurationError(msg)
    return kb4_async.Limits.of(*words) if words else None


def accounts_code(report: kb4_async.AccountsReport) -> int:
    """The documented exit code of many exports that ran to their end: the first that applies.

    Each account has the code that it alone would have ended with, and of these the first in the
    order of all commands is the whole's, for a script must learn of the worst:

    - 2 only where every account was refused before it was begun, for otherwise something was
      written. A folder that held its complete export already is such a refusal, so that a nightly
      job that forgot ``--fresh`` is told; but beside others it is neither work nor failure, so that
      running again after a failure ends with 0 once the last account is there.
    - 4 for one key that is not known or may read nothing: no waiting mends it.
    - 75 for one spent quota: running again at its time goes on, and mends what 3 stands for if
      waiting can.
    - 3 for whatever else is missing from any account, one that was refused included.
    """
    codes = {code_of(each) for each in report.accounts.values()}
    if codes == {USAGE} or report.count("kept") == len(report.accounts):
        return USAGE
    return next((code for code in (CREDENTIALS, QUOTA) if code in codes), worst_of(codes))


def worst_of(codes: set[int]) -> int:
    """What is left once no key and no quota is the matter."""
    return INCOMPLETE if codes - {COMPLETE} else COMPLETE


def code_of(outcome: kb4_async.ExportReport | kb4_async.KB4Error) -> int:
    """The exit code of one account beside others."""
    if isinstance(outcome, kb4_async.ExportReport):
        return report_code(outcome)
    return COMPLETE if isinstance(outcome, kb4_async.AlreadyCompleteError) else exit_code(outcome)
