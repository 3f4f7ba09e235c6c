"""Frozen option classes: limits, retries, timeouts."""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, Self, get_args

from kb4_async.errors import ConfigurationError

#: What no option raises: at most this many requests of a key in any minute.
CAP_REQUESTS = 1000
CAP_SECONDS = 60.0

#: How a listing is paged. ``auto`` starts by number and changes to cursors when the server shows
#: one, refuses ``page``, or ignores it.
Paging = Literal["auto", "number", "cursor"]

DAY = 86_400.0
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY}


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """At most ``requests`` arrivals at the server in any ``seconds``; a window of a day is counted
    from its first request instead."""

    requests: int
    seconds: float

    def __post_init__(self) -> None:
        """Refuse what could never admit a request, or never refuse one."""
        if self.requests < 1 or not 0 < self.seconds <= DAY:
            msg = (
                f"A limit needs at least 1 request in more than 0 seconds and at most a day, not "
                f"{self.requests}/{self.seconds:g}s."
            )
            raise ConfigurationError(msg)

    def __str__(self) -> str:
        """As ``parse`` reads it."""
        if self.seconds == DAY:
            return f"{self.requests}/1d"
        return f"{self.requests}/{f'{self.seconds:.9f}'.rstrip('0').rstrip('.')}s"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``"50/60s"``, ``"4/1s"``, ``"100/2m"``, ``"2000/1d"``.

        Raises:
            ConfigurationError: The text is not of that form.
        """
        match = re.fullmatch(
            r"\s*(\d{1,9})\s*/\s*(\d{1,9}(?:\.\d{1,9})?)\s*([smhd])\s*", text, re.ASCII
        )
        if match is None:
            msg = f"A limit is written like '50/60s', '4/1s' or '2000/1d', not {text!r}."
            raise ConfigurationError(msg)
        return cls(int(match[1]), float(match[2]) * UNITS[match[3]])


CAP = Window(CAP_REQUESTS, CAP_SECONDS)


#: What KnowBe4 publishes besides the day: 4 a second, 50 a minute.
PUBLISHED = (Window(4, 1.0), Window(50, 60.0))
PUBLISHED_A_DAY = 2000


@dataclass(frozen=True, slots=True)
class Limits:
    """What a key is held to, besides the cap of 1,000 requests in any 60 s that always holds.

    Args:
        windows: Further windows. Shorter than a day they are sliding, and a request that would go
            beyond one waits. A window of a day is a quota: it is counted from the first request of
            its day, without a ledger for this process alone, and who has spent it gets
            ``QuotaExhaustedError``.
        max_lag: Seconds a request may take to reach the server after we stopped waiting for it.
            A slot of a request that ended unanswered stays taken for that much longer.

    Raises:
        ConfigurationError: ``max_lag`` is negative.

    Warns:
        UserWarning: A window above the cap, which is lowered to it.
    """

    windows: tuple[Window, ...] = ()
    max_lag: float = 30.0

    def __post_init__(self) -> None:
        """Refuse what no server does, and lower what the cap would hold anyway."""
        if not self.max_lag >= 0 or math.isinf(self.max_lag):
            msg = f"max_lag is a number of seconds, 0 or more, not {self.max_lag}."
            raise ConfigurationError(msg)
        object.__setattr__(self, "windows", tuple(map(lowered, self.windows)))

    @classmethod
    def of(cls, *texts: str, max_lag: float = 30.0) -> Self:
        """Read limits as written on the command line, for example ``Limits.of("4/1s", "50/60s",
        "2000/1d")``, or ``Limits.of("published:250")`` for ``published(licensed_users=250)``.

        Raises:
            ConfigurationError: A text is of another form.
        """
        windows = (window for text in texts for window in parse(text))
        # Lowered here, so that the warning names who called this.
        return cls(tuple(map(partial(lowered, level=3), windows)), max_lag)

    @classmethod
    def published(cls, *, licensed_users: int, max_lag: float = 30.0) -> Self:
        """The limits KnowBe4 publishes: 4 a second, 50 a minute, 2,000 and one a licensed user a
        day.

        Args:
            licensed_users: Licensed users of the account; ``number_of_seats`` of its record.
            max_lag: As for the class.

        Raises:
            ConfigurationError: The number is negative.
        """
        if licensed_users < 0:
            msg = f"licensed_users is 0 or more, not {licensed_users}."
            raise ConfigurationError(msg)
        day = lowered(a_day(licensed_users), level=3)
        return cls((*PUBLISHED, day), max_lag)

    @property
    def stack(self) -> tuple[Window, ...]:
        """Every sliding window in force, the cap included, without repeats, shortest first."""
        sliding = {CAP, *(each for each in self.windows if each.seconds < DAY)}
        return tuple(sorted(sliding, key=lambda w: (w.seconds, w.requests)))

    @property
    def quota(self) -> Window | None:
        """The daily quota, the smallest where there are several; None without one."""
        return min((each for each in self.windows if each.seconds == DAY), default=None)


def a_day(licensed_users: int) -> Window:
    """The quota KnowBe4 publishes."""
    return Window(PUBLISHED_A_DAY + licensed_users, DAY)


def parse(text: str) -> tuple[Window, ...]:
    """The windows of one text: one, or the three of ``published:250``.

    Raises:
        ConfigurationError: It is of another form.
    """
    name, colon, number = text.strip().partition(":")
    if name != "published":
        return (Window.parse(text),)
    if not re.fullmatch(r"\d{1,9}", number, re.ASCII):
        given = repr(text) if colon else f"{text!r} alone"
        msg = f"Licensed users are written as in 'published:500', not {given}."
        raise ConfigurationError(msg)
    return (*PUBLISHED, a_day(int(number)))


def lowered(window: Window, level: int = 4) -> Window:
    """A window, lowered to what the cap lets through in its time.

    Args:
        window: As given.
        level: How many calls up the warning points.
    """
    most = CAP_REQUESTS * math.ceil(window.seconds / CAP_SECONDS)
    if window.requests <= most:
        return window
    warnings.warn(
        f"A limit of {window} is above the cap of {CAP}, which no option raises: {most} are held.",
        stacklevel=level,
    )
    return Window(most, window.seconds)


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how long a failed request is tried again. Pauses after a 429 count as neither.

    Args:
        max_attempts: Attempts of one request, the first included.
        max_elapsed: Seconds after the first attempt began in which another may begin.
        base: Upper bound, in seconds, of the first delay; it doubles with each attempt.
        ceiling: Upper bound, in seconds, of any delay.
    """

    max_attempts: int = 6
    max_elapsed: float = 300.0
    base: float = 0.5
    ceiling: float = 30.0

    def __post_init__(self) -> None:
        """Refuse values that would never send a request."""
        if self.max_attempts < 1 or self.max_elapsed < 0 or self.base < 0 or self.ceiling < 0:
            msg = "Retry needs max_attempts of at least 1 and no negative times."
            raise ConfigurationError(msg)


@dataclass(frozen=True, slots=True)
class Timeout:
    """Seconds one attempt may take; waiting for a slot or a permit does not count.

    Args:
        connect: To open the connection.
        read: Between two pieces of the answer.
        total: For the whole attempt.
    """

    connect: float = 10.0
    read: float = 60.0
    total: float = 300.0

    def __post_init__(self) -> None:
        """Refuse times that every request would miss."""
        if min(self.connect, self.read, self.total) <= 0:
            msg = "Every Timeout is a number of seconds above 0."
            raise ConfigurationError(msg)


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """What the engine needs to know of a client; the clients' own keywords fill it."""

    limits: Limits = field(default_factory=Limits)
    max_concurrency: int = 32
    retry: Retry = field(default_factory=Retry)
    timeout: Timeout = field(default_factory=Timeout)
    max_pause: float = 1800.0
    paging: Paging = "auto"

    def __post_init__(self) -> None:
        """Refuse a client that could never send."""
        if self.max_concurrency < 1:
            msg = f"max_concurrency is at least 1, not {self.max_concurrency}."
            raise ConfigurationError(msg)
        if self.paging not in get_args(Paging):
            msg = f"paging is 'auto', 'number' or 'cursor', not {self.paging!r}."
            raise ConfigurationError(msg)
        if self.max_pause < 0:
            msg = f"max_pause is a number of seconds, 0 or more, not {self.max_pause}."
            raise ConfigurationError(msg)
