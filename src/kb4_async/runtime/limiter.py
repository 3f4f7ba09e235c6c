"""The limiter: turns a key's state into permits, for the waiters of one event loop.

Order of each grant: turnstile, pause gate, windows, spacing (aiolimiter), then the gate and all
windows once more in one step that does not wait; that grant is the last await before the send.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from kb4_async.errors import RateLimitError
from kb4_async.options import Limits
from kb4_async.runtime.keystate import KeyState, Permit
from kb4_async.runtime.turnstile import Rank, Waiter


class Limiter:
    """A client's access to the permits of its key, in the running event loop.

    Args:
        state: The key's state, shared with other loops and clients.
        limits: This client's limits, held for all clients of the key while this one is open.
        max_pause: Longest pause of the key, in seconds, that a request waits for.
        chance: Source of random numbers from 0 to 1.
    """

    def __init__(
        self,
        state: KeyState,
        limits: Limits,
        *,
        max_pause: float = 1800.0,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.state = state
        self.limits = limits
        self.max_pause = max_pause
        self.chance = chance
        self.loop = asyncio.get_running_loop()
        self.open = True
        with state.lock:
            state.join(limits)
            self.turnstile = state.turnstile(self.loop)

    def close(self) -> None:
        """Stop holding this client's limits. What was sent stays counted."""
        if self.open:
            self.open = False
            with self.state.lock:
                self.state.leave(self.limits)

    async def acquire(self, rank: Rank = Rank.PAGES) -> Permit:
        """Wait for a permit; send at once when it is there, and report how that ended.

        Raises:
            RateLimitError: The key is paused for longer than ``max_pause``.
        """
        line, state = self.turnstile, self.state
        waiter = Waiter(rank)
        line.queues[rank].append(waiter)
        granted = False
        try:
            while True:
                with state.lock:
                    self.check_pause(self.loop.time())
                if line.first() is not waiter:
                    await line.wait(waiter, None)
                    continue
                with state.lock:
                    now = self.loop.time()
                    delay = state.wait(now)
                    pace, windows = state.pace(now), tuple(state.windows.held)
                if delay != 0.0:
                    await line.wait(waiter, delay)
                    continue
                line.launching = waiter
                await line.spacing.launch(pace, windows)
                with state.lock:
                    now = self.loop.time()
                    if state.wait(now) == 0.0:
                        granted = True
                        return state.grant(now)
                # Another loop was faster, or a pause began: whoever is first now looks again.
                line.launching = None
                line.nudge_first()
        finally:
            line.leave(waiter, granted=granted)

    def check_pause(self, now: float) -> None:
        """Refuse to wait for a pause that is too long."""
        gate = self.state.gate
        left = gate.until - now
        if gate.since is not None and left > 0 and gate.until - gate.since > self.max_pause:
            msg = (
                f"The server refuses this key (429), for at least {left:.0f} s more, which is "
                f"longer than max_pause ({self.max_pause:.0f} s). Run again later, with fewer "
                "programs on the key."
            )
            raise RateLimitError(msg, retry_after=left)

    def answered(self, permit: Permit, *, arrived: bool = True) -> None:
        """An answer other than 429 came.

        Args:
            permit: The request's permit.
            arrived: The server itself answered; a proxy may do so before the request reaches it.
        """
        with self.state.lock:
            now = self.loop.time()
            latest = now if arrived else now + self.limits.max_lag
            self.state.answered(permit, now, latest, refused=False)
        self.tell()

    def refused(self, permit: Permit, retry_after: float | None) -> float | None:
        """A 429 came.

        Returns:
            Seconds of the pause that begins now; None where it belongs to one that is known.
        """
        with self.state.lock:
            now = self.loop.time()
            self.state.answered(permit, now, now, refused=True)
            seconds = self.state.gate.refused(
                permit.granted,
                now,
                probe=permit.probe,
                chance=self.chance(),
                retry_after=retry_after,
            )
        # Each waiter decides for itself whether the pause is too long for it.
        self.tell(everyone=True)
        return seconds

    def unanswered(self, permit: Permit, *, hand_over: float = 0.0) -> None:
        """No answer came.

        Args:
            permit: The request's permit.
            hand_over: If it was the probe: seconds until the next one probes.
        """
        with self.state.lock:
            now = self.loop.time()
            self.state.unanswered(permit, now, self.limits.max_lag, hand_over)
        self.tell()

    def unsent(self, permit: Permit, *, hand_over: float = 0.0) -> None:
        """Nothing was sent: the permit returns."""
        with self.state.lock:
            self.state.unsent(permit, self.loop.time(), hand_over)
        self.tell()

    def tell(self, *, everyone: bool = False) -> None:
        """Something changed: whoever is first in line, in any loop, or everyone, looks again."""
        for turnstile in tuple(self.state.turnstiles.values()):
            turnstile.look_again(everyone=everyone)
