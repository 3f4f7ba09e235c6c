"""What a client is given, and what it gives: the right to send a request, and its limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kb4_async.events import Event
from kb4_async.options import Limits


@dataclass(slots=True)
class Permit:
    """The right to send one request now. Exactly one of the endings is reported.

    Attributes:
        granted: When it was granted.
        probe: The request is the probe that may end a pause.
        place: Which of the last 60 s' requests it is, those in flight included.
        taken: The same, with requests of others that the server's headers told of.
        number: What had been counted on the key when it was granted.
    """

    granted: float
    probe: bool = False
    place: int = 1
    taken: int = 1
    number: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """An open client of the key.

    Attributes:
        limits: What it wants to be held.
        tell: Told what happens to the key, from any thread.
    """

    limits: Limits
    tell: Callable[[Event], None]
