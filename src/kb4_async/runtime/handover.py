"""Handing pages from fetchers to a consumer: the half that every stream shares."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from kb4_async.errors import KB4Error


@dataclass(frozen=True, slots=True)
class ChildFailure:
    """A child listing that failed under ``on_error="skip"``.

    Attributes:
        scope: The parent's key, for example ``{"group_id": 789}``.
        error: Why.
    """

    scope: Mapping[str, object]
    error: KB4Error


class Handover:
    """A consumer that waits, fetchers that wake it, and the ways it may leave."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.stopped = False
        self.error: BaseException | None = None
        self.waiters: set[asyncio.Future[None]] = set()

    @property
    def failures(self) -> Sequence[ChildFailure]:
        """Child listings that failed and were passed over."""
        return ()

    def requests_left(self) -> int | None:
        """Requests still to come as far as known; None where they are not."""
        return None

    def check_loop(self) -> None:
        """Raise if the consumer moved to another event loop."""
        if asyncio.get_running_loop() is not self.loop:
            msg = "This iterator belongs to another event loop: make a new client there."
            raise RuntimeError(msg)

    async def news(self) -> None:
        """Wait until something may have changed. Being cancelled here takes nothing."""
        waiter = self.loop.create_future()
        self.waiters.add(waiter)
        try:
            await waiter
        finally:
            self.waiters.discard(waiter)

    def wake(self) -> None:
        """Let the consumer look again."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)

    def shut(self) -> None:
        """Cancel every fetcher and forget every page."""
        raise NotImplementedError

    def stop(self) -> None:
        """The consumer left."""
        if not self.stopped:
            self.stopped = True
            self.shut()

    def abandon(self) -> None:
        """The iterator was dropped, possibly in another thread or after its loop closed."""
        try:
            here = asyncio.get_running_loop() is self.loop
        except RuntimeError:
            here = False
        if here:
            self.stop()
        else:
            with suppress(RuntimeError):  # the loop has closed, and its tasks with it
                self.loop.call_soon_threadsafe(self.stop)
