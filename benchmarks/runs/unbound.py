"""For benchmarks alone: the cap and the spacing of launches are lifted, or scaled.

At 1,000 requests a minute every client would wait, and a comparison would show nothing but that.
What is changed are constants; the limiter still grants, counts and stamps every request. Nobody
should do this to a real account, and no option of the library can. ``report.py`` says so in the
results.
"""

from kb4_async import options
from kb4_async.options import Window
from kb4_async.protocol import learning
from kb4_async.runtime import keystate, spacing

HIGH = 10_000_000


def replace_cap(requests: int, seconds: float) -> None:
    """Have another cap, and no slow start, in this process from now on."""
    cap = {"CAP": Window(requests, seconds), "CAP_REQUESTS": requests, "CAP_SECONDS": seconds}
    for module in (options, keystate, learning):
        for name in cap.keys() & vars(module).keys():
            setattr(module, name, cap[name])
    setattr(keystate, "SLOW_START", float(HIGH))  # noqa: B010  # as above: a constant elsewhere


def unbind() -> None:
    """Wait for nothing but answers, in this process from now on."""
    replace_cap(HIGH, 60.0)
    setattr(spacing, "FULL_PACE", float(HIGH))  # noqa: B010
