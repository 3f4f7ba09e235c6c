"""Which requests a rule of a script is for."""

from collections.abc import Callable
from dataclasses import dataclass

from kb4_async.testing.cursors import FIRST
from kb4_async.testing.log import LoggedRequest


@dataclass(slots=True, eq=False, kw_only=True)
class RequestRule:
    """For which requests, from which one on and how often something is done.

    Attributes:
        path: the end of the path (`users`, `groups/*/members`).
        page: the page asked for; a request that names neither page nor cursor asks for page 1.
        method: the HTTP method.
        where: any other condition on the request.
        times: how often at most, None for ever.
        after: how many fitting requests have to come first.
        seen: how many fitting requests came.
    """

    path: str | None = None
    page: int | None = None
    method: str | None = None
    where: Callable[[LoggedRequest], bool] | None = None
    times: int | None = 1
    after: int = 0
    seen: int = 0

    def fits(self, entry: LoggedRequest) -> bool:
        """Say whether the request is one of those this rule is for."""
        if self.page is not None and page_of(entry) != self.page:
            return False
        if self.method is not None and entry.method != self.method:
            return False
        if self.path is not None and not entry.is_at(self.path):
            return False
        return self.where is None or self.where(entry)

    def is_spent(self, used: int) -> bool:
        """Say whether it was used so often that it is not used again."""
        return self.times is not None and used >= self.times


def page_of(entry: LoggedRequest) -> int | None:
    """Return the page a request asks for, None where only its cursor knows."""
    if entry.page is None and entry.cursor not in {None, *FIRST}:
        return None
    return entry.page or 1
