"""How a simulated server tells of its limits, rightly or not."""

import time
from collections.abc import Mapping
from email.utils import formatdate
from math import ceil
from typing import Literal, TypeAlias

from kb4_async.testing.limits import Gate, Refusal

RetryAfter: TypeAlias = bool | float | Literal["date"]
RateHeaders: TypeAlias = bool | Mapping[str, str]

# What is said where the truth is "never".
A_DAY = 86_400.0


def come_again(refusal: Refusal, how: RetryAfter) -> dict[str, str]:
    """Return the headers of a 429: when to come again, or a number that was told to be said."""
    if how is False:
        return {}
    seconds = ceil(min(refusal.retry_after, A_DAY))
    if how == "date":
        return {"retry-after": formatdate(time.time() + seconds, usegmt=True)}
    return {"retry-after": f"{seconds if how is True else how}"}


def room(gate: Gate | None, now: float, how: RateHeaders) -> dict[str, str]:
    """Return the headers that tell what is left of the limits, or what was told to be said."""
    if isinstance(how, Mapping):
        return {name.lower(): value for name, value in how.items()}
    left = gate.remaining(now) if how and gate is not None else None
    if left is None:
        return {}
    return {"x-ratelimit-limit": str(left[0]), "x-ratelimit-remaining": str(left[1])}
