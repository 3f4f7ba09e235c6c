"""An event loop whose clock jumps over waiting, for tests that own their whole world.

Nothing passes in such a world but what its own coroutines do: when nothing is ready to run, the
clock jumps to the next timer, so a test of a day of pauses takes milliseconds and gives the same
times each run. Real sockets and threads live outside that world. Work handed to a thread stops
the clock until it is back. For sockets the loop waits a short real time before each jump
(`socket_grace`), which is enough for loopback most of the time and a guarantee of nothing: test
code that talks over sockets on the real clock, with limits scaled down.
"""

import asyncio
import math
import selectors
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# Each pass of the loop takes this long: code that re-arms a timer for "now" would otherwise spin
# for ever, as aiolimiter does on a clock that stands still.
EPSILON = 1e-9
START = 1_000.0


class JumpingSelector(selectors.BaseSelector):
    """A real selector that moves a virtual clock instead of sleeping."""

    def __init__(self, *, socket_grace: float, stuck_after: float) -> None:
        """Start the clock."""
        self.real = selectors.DefaultSelector()
        self.now = START
        self.threads = 0
        self.socket_grace = socket_grace
        self.stuck_after = stuck_after

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready, or jump by `timeout`."""
        if timeout is not None and timeout <= 0:
            self.advance(0.0)
            return self.real.select(0)
        patience = self.stuck_after if timeout is None or self.threads else self.grace()
        ready = self.real.select(patience)
        if ready:
            return ready
        if timeout is None or self.threads:
            message = f"nothing happened for {self.stuck_after} real seconds and no timer is set"
            raise RuntimeError(message)
        self.advance(timeout)
        return []

    def grace(self) -> float:
        """Return the real seconds to wait for sockets; the loop's own wake-up pipe is not one."""
        own = 1
        return self.socket_grace if len(self.real.get_map()) > own else 0.0

    def advance(self, seconds: float) -> None:
        """Move the clock, always a little past a timer."""
        self.now = max(self.now + seconds + EPSILON, math.nextafter(self.now + seconds, math.inf))

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:  # noqa: ANN401 - as inherited
        """Watch a file object."""
        return self.real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:  # noqa: ANN401 - as inherited
        """Watch a file object no longer."""
        return self.real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:  # noqa: ANN401 - as inherited
        """Change what a file object is watched for."""
        return self.real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """Return what is watched."""
        return self.real.get_map()

    def close(self) -> None:
        """Close the real selector."""
        self.real.close()


class VirtualClockEventLoop(asyncio.SelectorEventLoop):
    """A selector event loop on a virtual clock; see the module's text for its borders."""

    def __init__(self, *, socket_grace: float = 0.005, stuck_after: float = 10.0) -> None:
        """Start the clock.

        Args:
            socket_grace: real seconds to wait for open sockets before each jump.
            stuck_after: real seconds after which a world in which nothing can happen any more
                (no timer, no thread, no socket speaks) raises `RuntimeError` instead of hanging.
        """
        self.jumping = JumpingSelector(socket_grace=socket_grace, stuck_after=stuck_after)
        super().__init__(self.jumping)

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self.jumping.now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run a function in a thread; the clock stands still until it is back."""
        future = super().run_in_executor(executor, func, *args)
        self.jumping.threads += 1
        future.add_done_callback(self.thread_is_back)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109 - a virtual timeout would end at once
        """Join the threads of the default executor, however long that takes."""
        self.jumping.threads += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self.jumping.threads -= 1

    def thread_is_back(self, future: asyncio.Future[Any]) -> None:  # noqa: ARG002 - as called back
        """Let the clock run again once no thread is out."""
        self.jumping.threads -= 1


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a fresh `VirtualClockEventLoop` and return its result."""
    with asyncio.Runner(loop_factory=VirtualClockEventLoop) as runner:
        return runner.run(main)
