"""Running a command: connection options, signals, and one exit code for each kind of end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Annotated, Any, Never, TypeVar
from urllib.request import getproxies

import typer

import kb4_async

T = TypeVar("T")

COMPLETE, DEFECT, USAGE, INCOMPLETE, CREDENTIALS, GUARD, PENDING, QUOTA = 0, 1, 2, 3, 4, 5, 6, 75
INTERRUPTED = {signal.SIGINT: 130, signal.SIGTERM: 143}

#: The limits KnowBe4 publishes, for a number of users that the account itself says.
PUBLISHED = "published"

Region = Annotated[
    str | None,
    typer.Option(help="us, eu, ca, uk or de; us if nothing is given.  [env: KB4_REGION]"),
]
BaseUrl = Annotated[
    str | None,
    typer.Option(help="Whole address instead of a region, version included.  [env: KB4_BASE_URL]"),
]
LimitTexts = Annotated[
    list[str] | None,
    typer.Option(
        "--limits",
        help="Hold these too, besides 1000/60s: '4/1s 50/60s 2000/1d' (a day's is a quota: 75 when "
        "it is spent), or 'published' for what KnowBe4 publishes ('published:500' for 500 licensed "
        "users).",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Concurrency = Annotated[int, typer.Option(help="Requests in flight.", min=1)]


def connect(
    region: str | None,
    base_url: str | None,
    limits: kb4_async.Limits,
    max_concurrency: int,
    on_event: Callable[[kb4_async.Event], None] | None = None,
    api_key: str | None = None,
    *,
    ledger: bool = True,
) -> kb4_async.ReportingClient:
    """Make the client; the key comes from the environment, never from an argument."""
    if region is None and base_url is None:
        # What is said on the command line replaces both, and an address says more than a region.
        base_url = os.environ.get("KB4_BASE_URL") or None
        region = None if base_url else os.environ.get("KB4_REGION") or None
    return kb4_async.ReportingClient(
        api_key,
        region=region,
        base_url=base_url,
        limits=limits,
        max_concurrency=max_concurrency,
        # Only where there are proxies, for it makes aiohttp read ~/.netrc at each request.
        trust_env=bool(getproxies()),
        on_event=on_event,
        ledger=ledger,
    )


def write_line(text: str) -> None:
    """Tell a person something, on stderr."""
    with suppress(OSError):  # nobody reads it
        sys.stderr.write(f"{text}\n")


async def read_limits(
    texts: list[str] | None,
    region: str | None,
    base_url: str | None,
    say: Callable[[str], None] = write_line,
) -> kb4_async.Limits:
    """The limits of ``--limits``.

    One request for ``published`` without a number: the account says how many users are licensed.

    Args:
        texts: As given.
        region: As given.
        base_url: As given.
        say: Told what was assumed, and what was lowered.

    Raises:
        ConfigurationError: They are no limits.
    """
    words = words_of(texts)
    with warnings.catch_warnings(record=True) as lowered:
        warnings.simplefilter("always")
        chosen = kb4_async.Limits.of(*(word for word in words if word != PUBLISHED))
        if PUBLISHED in words:
            published = await read_published(region, base_url, say)
            chosen = kb4_async.Limits((*chosen.windows, *published.windows))
    for warning in lowered:
        say(str(warning.message))
    return chosen


def words_of(texts: list[str] | None) -> list[str]:
    """The limits of ``--limits``, each by itself."""
    return [word for text in texts or () for word in text.replace(",", " ").split()]


async def read_published(
    region: str | None, base_url: str | None, say: Callable[[str], None]
) -> kb4_async.Limits:
    """What KnowBe4 publishes, for as many licensed users as the account has seats."""
    # Without the day's quota, which is what is asked for.
    few = kb4_async.Limits(kb4_async.Limits.published(licensed_users=0).windows[:2])
    async with connect(region, base_url, few, 1, note) as kb:
        seats = (await kb.account.get()).get("number_of_seats")
    known = isinstance(seats, int) and seats >= 0
    limits = kb4_async.Limits.published(licensed_users=seats if known and seats else 0)
    whence = "the account's number_of_seats" if known else "the account does not say"
    say(
        f"Holding what KnowBe4 publishes: {', '.join(map(str, limits.windows))}, assuming "
        f"{seats if known else 0:,} licensed users ({whence}). Another number: "
        "--limits published:NUMBER."
    )
    return limits


def note(event: kb4_async.Event) -> None:
    """Tell a person what no command must keep to itself."""
    words = happened_to_key(event)
    if words is not None:
        write_line(f"kb4: {words}")


def local(time: str) -> str:
    """A time in UTC as a person here has it."""
    return f"{datetime.fromisoformat(time).astimezone():%Y-%m-%d %H:%M:%S}"


def happened_to_key(event: kb4_async.Event) -> str | None:
    """What happened to the key, in words; None for other events."""
    if isinstance(event, kb4_async.KeyPaused):
        until = datetime.now().astimezone() + timedelta(seconds=event.seconds)
        return (
            f"429: the server asks to slow down; silent for {event.seconds:.0f} s, until "
            f"{until:%H:%M:%S}"
        )
    if isinstance(event, kb4_async.LimitChanged):
        return f"now {event}"
    if isinstance(event, kb4_async.LedgerUnavailable):
        return f"cannot use the ledger {event.reason}"
    return None


def run(
    work: Callable[[], Awaitable[T]], interrupted: str = "Interrupted. Run the same command again."
) -> T:
    """Run a command's coroutine; end the process with the documented code if it fails.

    SIGINT and SIGTERM cancel the work, which then commits what is whole.

    Args:
        work: Makes the coroutine.
        interrupted: What a person reads after a signal.
    """
    caught: list[signal.Signals] = []

    async def main() -> T:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()

        def stop(number: signal.Signals) -> None:
            caught.append(number)
            if task is not None:
                task.cancel()

        for number in INTERRUPTED:
            try:
                loop.add_signal_handler(number, stop, number)
            except NotImplementedError:  # Windows: SIGINT arrives as KeyboardInterrupt
                break
        return await work()

    try:
        for name in kb4_async.__all__:
            getattr(kb4_async, name)  # imports it: within the loop that would hold everything up
        return asyncio.run(main())
    except (asyncio.CancelledError, KeyboardInterrupt):
        number = caught[0] if caught else signal.SIGINT
        fail(INTERRUPTED[number], interrupted)
    except BrokenPipeError:
        leave_quietly()
    except kb4_async.KB4Error as error:
        fail(exit_code(error), str(error))
    except Exception as error:  # the last stop: said in one sentence
        traceback.print_exc()
        fail(
            DEFECT,
            f"{type(error).__name__}: this is a defect of kb4_async. Please report it with the "
            "lines above (they hold no key).",
        )


def exit_code(error: kb4_async.KB4Error) -> int:
    """The documented exit code of an error."""
    if isinstance(error, kb4_async.ConfigurationError | kb4_async.CheckpointMismatchError):
        return USAGE
    if isinstance(error, kb4_async.AuthenticationError | kb4_async.PermissionDeniedError):
        return CREDENTIALS
    if isinstance(error, kb4_async.APIError) and error.wrong_address:
        return CREDENTIALS
    if isinstance(error, kb4_async.ChangeGuardError):
        return GUARD
    return QUOTA if isinstance(error, kb4_async.QuotaExhaustedError) else INCOMPLETE


def report_code(report: kb4_async.ExportReport) -> int:
    """The documented exit code of an export that ran to its end."""
    if report.complete:
        return COMPLETE
    errors = [{gap.error for gap in entry.gaps} for entry in report.resources.values()]
    found = set().union(*errors)
    # Children without parents to read them of are a consequence, not a finding of their own.
    denied = {"PermissionDeniedError", "ParentsIncomplete"}
    if "AuthenticationError" in found or all(e and e <= denied for e in errors):
        return CREDENTIALS
    return QUOTA if "QuotaExhaustedError" in found else INCOMPLETE


def fail(code: int, message: str) -> Never:
    """Say why, on stderr, and end."""
    with suppress(OSError):  # nobody reads it any more; the code still tells
        sys.stderr.write(f"kb4: {message}\n")
        sys.stderr.flush()
    raise typer.Exit(code)


def leave_quietly() -> Never:
    """Whoever read stdout has had enough (``| head``): that is no error."""
    # Python flushes stdout once more at exit; give it somewhere to go.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(COMPLETE)


def print_bytes(data: bytes) -> None:
    """Write to stdout as it is.

    Raises:
        BrokenPipeError: Nobody reads it any more.
        SinkError: It cannot be written otherwise.
    """
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        msg = f"The output cannot be written ({error.strerror}): mend it, then run again."
        raise kb4_async.SinkError(msg) from error


def print_text(text: str) -> None:
    """Write to stdout for people. What servers and files call their things moves no cursor."""
    print_bytes("".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text).encode())


def to_json(value: Any) -> bytes:  # noqa: ANN401  # JSON holds anything
    """Write one line of JSON; integers of any length stay exact."""
    import json  # noqa: PLC0415, TID251  # the command line knows public names only, not the codec

    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
