"""Pages as they were first seen in a reading, asked again at its end to see whether they moved."""

from __future__ import annotations

from collections.abc import Sequence

from kb4_async.protocol.asks import Edges
from kb4_async.protocol.codec import Key

#: Listings of so many pages are read by probes alone.
MAX_PROBED = 3
#: From this many pages on one look more costs less than 3 % of the requests.
MANY_PAGES = 33


class Watch:
    """What one reading remembers of its pages.

    Attributes:
        tails: Edges of pages that may be the last, as first seen.
        guards: Edges of pages 1 and 2, where they were probed.
        pressed: Pages behind which nothing was before they were seen, so that a row may have been
            pushed there meanwhile.
        looks: Pages still to be asked again.
        behind: Rows found behind the last page.
    """

    def __init__(self) -> None:
        self.tails: dict[int, Edges] = {}
        self.guards: dict[int, Edges] = {}
        self.pressed: set[int] = set()
        self.looks: list[int] = []
        self.behind = 0

    def probed(self, number: int, edges: Edges, *, guards: bool) -> None:
        """A page was probed."""
        self.tails[number] = edges
        if guards and number <= MAX_PROBED - 1:
            self.guards[number] = edges

    def repeats(self, number: int, edges: Edges | None) -> bool:
        """Whether another page was the same."""
        return any(tail == edges for page, tail in self.tails.items() if page != number)

    def taken(self, number: int, edges: Edges | None, highest: int) -> bool:
        """A page is delivered; those below it can no longer be the last.

        Returns:
            Whether it moved since it was probed.
        """
        moved = edges is not None and self.tails.setdefault(number, edges)[0] != edges[0]
        kept = min(number, highest)
        self.tails = {page: tail for page, tail in self.tails.items() if page >= kept}
        return moved

    def begin(self, end: int, size: int) -> None:
        """Choose the pages to look at again."""
        tail = self.tails.get(end)
        full = tail is None or tail[2] >= size
        self.looks = worth_looking(
            end, full=full, probed=1 in self.guards, pressed=end in self.pressed
        )

    def saw(self, number: int, keys: Sequence[Key], end: int, size: int) -> bool:
        """A page was asked again.

        Args:
            number: The page.
            keys: Its keys now.
            end: The last page with rows.
            size: Rows of a full page.

        Returns:
            Whether it moved.
        """
        self.looks.remove(number)
        before = self.tails.get(end) if number == end else self.guards.get(number)
        if before is None:
            self.behind = len(keys) if number > end else 0
            return False
        first, last, rows = before
        # A full page must be the same at both ends; a short one, the last, may have grown.
        return not keys or keys[0] != first or (rows >= size and keys[-1] != last)


def worth_looking(end: int, *, full: bool, probed: bool, pressed: bool) -> list[int]:
    """The pages to ask again once all were read, to see whether rows moved meanwhile.

    One page, or two where the last is full. The last page tells what moved since it was first seen;
    page 1 tells of a row deleted there before that, which nothing else would show: the next page
    begins one row later, and no record comes twice. The page behind a full last one tells of a row
    that was pushed there, where it was seen empty too early. Up to 3 pages all are read by the time
    the last one is seen, so that looking at it again would tell nothing that matters.

    Args:
        end: The last page with rows, 2 or more.
        full: It is full.
        probed: The pages were probed in order, in a first reading from page 1.
        pressed: The page behind it was seen empty before it was itself seen.
    """
    if not probed:
        return [end, end + 1] if full else [end]
    if end <= MAX_PROBED:
        return [1, end + 1 if pressed else 2] if full else [1]
    if full:
        return [end, end + 1 if pressed else 1]
    return [end, 1] if end >= MANY_PAGES else [end]
