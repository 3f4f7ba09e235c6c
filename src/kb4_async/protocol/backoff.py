"""How long to wait before the next attempt, and how long a refused key stays silent."""

from __future__ import annotations

FIRST_PAUSE = 2.0
LONGEST_PAUSE = 300.0
#: Of a key refused again, whatever the server asks for.
SHORTEST_PAUSE = 5.0


def backoff(attempt: int, chance: float, *, base: float, ceiling: float) -> float:
    """Delay before the attempt after ``attempt``: exponential, with full jitter.

    Full jitter (anything from nothing to the bound) spreads clients that failed together best:
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/

    Args:
        attempt: Attempts made so far, 1 or more.
        chance: A random number from 0 to 1.
        base: Bound of the first delay, in seconds.
        ceiling: Bound of any delay, in seconds.
    """
    # 2.0**1023 is the largest power of two a float holds.
    return chance * min(ceiling, base * 2.0 ** min(attempt - 1, 1000))


def pause(step: int, chance: float, retry_after: float | None) -> float:
    """Length of a key's pause after a 429.

    KnowBe4 sends no Retry-After, so pauses double from 2 s to 300 s; a Retry-After that does come
    is obeyed. Jitter only ever lengthens: no request leaves before the server asked for it.

    Args:
        step: Refusals in a row before this one, 0 for the first.
        chance: A random number from 0 to 1.
        retry_after: What the server asked for, in seconds.
    """
    own = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(step, 20))
    if retry_after is not None:
        # A server that asks for nothing and refuses again (or whose date has passed) would be
        # hammered: refused twice, a key is silent for some seconds at least.
        least = retry_after if step == 0 else max(retry_after, min(own / 2, SHORTEST_PAUSE))
        return least + chance * min(1.0, 0.1 * least)
    return own * (1.0 + 0.25 * chance)
