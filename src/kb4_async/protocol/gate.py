"""The pause gate of a key: one pause for everybody after a 429, ended by one probe."""

from __future__ import annotations

from dataclasses import dataclass

from kb4_async.protocol.backoff import pause


@dataclass(slots=True)
class Gate:
    """State of the gate; times are of one monotonic clock.

    Attributes:
        since: When the present incident began; None while the gate is open.
        until: Until when nothing is sent.
        step: Refusals in a row within the incident.
        probing: A probe is on its way.
        last_refusal: When the newest incident was noticed: refusals of requests granted before
            belong to it.
        opened: When the gate last opened.
    """

    since: float | None = None
    until: float = 0.0
    step: int = 0
    probing: bool = False
    last_refusal: float = float("-inf")
    opened: float = float("-inf")

    def wait(self, now: float) -> float | None:
        """Seconds until the next request may leave: 0 now, None when the probe must answer
        first."""
        if self.since is None:
            return 0.0
        if self.probing:
            return None
        return max(0.0, self.until - now)

    def grant(self) -> bool:
        """Let one request through; whether it is the probe."""
        if self.since is None:
            return False
        self.probing = True
        return True

    def refused(
        self, granted: float, now: float, *, probe: bool, chance: float, retry_after: float | None
    ) -> float | None:
        """A 429 came.

        Args:
            granted: When the refused request was granted.
            now: The present time.
            probe: It was the probe.
            chance: A random number from 0 to 1.
            retry_after: What the server asked for, in seconds.

        Returns:
            Length of the pause that begins now; None if the refusal belongs to a known incident.
        """
        if not probe and granted <= self.last_refusal:
            if retry_after is not None and self.since is not None:
                # Several 429s of one moment may ask for different times: the longest is obeyed.
                self.until = max(self.until, now + retry_after)
            return None
        if self.since is None:
            self.since = now
            # Refused again right after opening: the last pause was too short, go on doubling.
            self.step = self.step if now - self.opened < self.until_length() else 0
        self.last_refusal = now
        self.probing = False
        seconds = pause(self.step, chance, retry_after)
        self.until = max(self.until, now + seconds)
        self.step += 1
        return self.until - now

    def until_length(self) -> float:
        """Length of the last own pause: how long the gate must stay open to call it over."""
        return pause(max(0, self.step - 1), 1.0, None)

    def probe_answered(self, now: float) -> None:
        """The probe got an answer other than 429: open for everybody."""
        self.since = None
        self.probing = False
        self.opened = now

    def probe_lost(self, now: float, delay: float = 0.0) -> None:
        """The probe was cancelled (no delay) or failed in transport: the next in line probes."""
        self.probing = False
        self.until = max(self.until, now + delay)
