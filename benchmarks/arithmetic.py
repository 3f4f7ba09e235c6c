"""The arithmetic of the benchmarks, pure: percentiles, ratios, what could be at best."""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

PER_PAGE = 500


def percentile(values: Iterable[float], percent: float) -> float:
    """The value that so many per cent of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """What is above divided by what is below, round by round."""
    return [a / b for a, b in zip(above, below, strict=True)]


def added(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """How much more is above than below, round by round."""
    return [a - b for a, b in zip(above, below, strict=True)]


def deviation(longer: Sequence[float], shorter: Sequence[float], times: float) -> list[float]:
    """How far a run ``times`` as large is from taking ``times`` as long; 0 is linear."""
    return [ratio / times - 1 for ratio in ratios(longer, shorter)]


def pages(records: int) -> int:
    """Pages that hold so many records; what is empty is asked once."""
    return max(1, -(-records // PER_PAGE))


@dataclass(frozen=True, slots=True)
class Shape:
    """How many records an account holds.

    Attributes:
        listings: Records of each listing that is asked for by itself.
        children: Records of each group and security test; their parents say how many there are,
            so an empty one need not be asked.
        single: Things that are one request each, such as the account.
    """

    listings: Sequence[int]
    children: Sequence[int]
    single: int


def smallest_number(shape: Shape) -> int:
    """The fewest requests that can bring every record once.

    A client that made no more than these would have to know where each listing ends, and nothing
    would have been proven at the end or looked at again: no client can need fewer.
    """
    children = sum(pages(records) for records in shape.children if records)
    return shape.single + sum(map(pages, shape.listings)) + children


def clairvoyant_seconds(
    requests: int, windows: Sequence[tuple[int, float]], latency: float, concurrency: int
) -> float:
    """How long the best possible client takes, from its first request to its last answer.

    It knows the server's sliding windows and sends each request so that it arrives in the moment
    in which there is room for it. It waits for nothing else: no listing depends on another.

    Args:
        requests: How many.
        windows: The server's limits: requests, and the seconds in which they may arrive.
        latency: Seconds from a request to its answer; half of it each way.
        concurrency: Requests in flight at a time.
    """
    if requests < 1:
        return 0.0
    # How far back each rule looks, and how much later than that arrival the next one may be.
    rules = [(concurrency, latency), *windows]
    arrivals: deque[float] = deque(maxlen=max(count for count, _ in rules))
    for _ in range(requests):
        moment = latency / 2
        for count, seconds in rules:
            if len(arrivals) >= count:
                moment = max(moment, arrivals[-count] + seconds)
        arrivals.append(moment)
    return arrivals[-1] + latency / 2
