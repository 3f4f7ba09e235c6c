"""Client options that suit tests."""

from kb4_async import Retry

#: As many attempts as ever, without the waiting.
QUICK = Retry(base=0.002, ceiling=0.01)
