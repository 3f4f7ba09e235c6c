"""What is known of a key in this process: plain data under a lock, outliving every client.

The state belongs to an origin and a key's fingerprint, never to a client: closing and reopening a
client forgets nothing, and all clients of a key share its windows and its pause.
"""

from __future__ import annotations

import asyncio
import os
import threading
from dataclasses import dataclass, field

from kb4_async.options import CAP, Limits
from kb4_async.protocol.gate import Gate
from kb4_async.protocol.windows import WindowStack
from kb4_async.runtime.turnstile import Turnstile

#: Requests a second on first contact and after a refusal; doubled with each quiet second.
SLOW_START = 4.0


@dataclass(slots=True)
class Permit:
    """The right to send one request now. Exactly one of the three endings is reported.

    Attributes:
        granted: When it was granted.
        probe: The request is the probe that may end a pause.
    """

    granted: float
    probe: bool = False


@dataclass(slots=True, eq=False)
class KeyState:
    """Windows, pause and slow start of one key. Every method is called under ``lock``.

    Attributes:
        turnstiles: Who waits, in each event loop.
        ramp: When the slow start began; None before the first request.
        granted: Permits granted so far.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    windows: WindowStack = field(default_factory=lambda: WindowStack((CAP,)))
    gate: Gate = field(default_factory=Gate)
    limits: list[Limits] = field(default_factory=list)
    turnstiles: dict[asyncio.AbstractEventLoop, Turnstile] = field(default_factory=dict)
    ramp: float | None = None
    granted: int = 0

    def join(self, limits: Limits) -> None:
        """A client opened: the tightest of all open clients' limits is held."""
        self.limits.append(limits)
        self.windows.hold({window for each in self.limits for window in each.stack})

    def leave(self, limits: Limits) -> None:
        """A client closed; what it sent stays counted."""
        self.limits.remove(limits)
        self.windows.hold({CAP}.union(*(each.stack for each in self.limits)))

    def turnstile(self, loop: asyncio.AbstractEventLoop) -> Turnstile:
        """Who waits in this loop; loops that have closed are forgotten."""
        for closed in [other for other in self.turnstiles if other.is_closed()]:
            del self.turnstiles[closed]
        return self.turnstiles.setdefault(loop, Turnstile(loop))

    def wait(self, now: float) -> float | None:
        """Seconds until a request may leave; None if only an answer can tell."""
        gate = self.gate.wait(now)
        if gate is None:
            return None
        windows = self.windows.wait(now)
        return None if windows is None else max(gate, windows)

    def grant(self, now: float) -> Permit:
        """Take a slot in every window; only after ``wait`` returned 0."""
        self.windows.take()
        self.granted += 1
        if self.ramp is None:
            self.ramp = now
        return Permit(now, self.gate.grant())

    def pace(self, now: float) -> float:
        """Requests a second that the slow start allows now; doubles each second since it began."""
        if self.ramp is None:
            return SLOW_START
        return SLOW_START * 2.0 ** min(32, int(now - self.ramp))

    def answered(self, permit: Permit, now: float, latest: float, *, refused: bool) -> None:
        """Headers came: the request arrived at ``latest`` at the latest."""
        self.windows.stamp(latest)
        if permit.probe and not refused:
            self.gate.probe_answered(now)
            self.ramp = now

    def unanswered(self, permit: Permit, now: float, max_lag: float, delay: float) -> None:
        """No answer: the request may still arrive until ``max_lag`` from now."""
        self.windows.stamp(now + max_lag)
        if permit.probe:
            self.gate.probe_lost(now, delay)

    def unsent(self, permit: Permit, now: float, delay: float) -> None:
        """Nothing left this machine: the permit returns."""
        self.windows.give_back()
        if permit.probe:
            self.gate.probe_lost(now, delay)


registry_lock = threading.Lock()
registry: dict[tuple[str, str], KeyState] = {}


def key_state(origin: str, fingerprint: str) -> KeyState:
    """The state of a key at an origin; made on first use, kept for the life of the process."""
    with registry_lock:
        return registry.setdefault((origin, fingerprint), KeyState())


def after_fork() -> None:
    """A child keeps what was sent and paused, and drops what waits in the parent's loops."""
    global registry_lock  # noqa: PLW0603  # the parent may have held it at the fork
    registry_lock = threading.Lock()
    for state in registry.values():
        state.lock = threading.Lock()
        state.turnstiles.clear()
        state.limits.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=after_fork)
