"""How a listing can end: with proof, or without."""

from __future__ import annotations

from typing import Literal

from kb4_async.errors import IncompleteListingError, IncompleteReason

#: What proves that a listing was read to its end (``max_items``: as far as was asked for).
EndReason = Literal["count_met", "short_page", "empty_page", "cursor_absent", "max_items"]

#: Beyond this many pages (65 million records) a listing is taken for endless.
PAGE_CAP = 131_072
#: Readings in which rows may move before a listing is given up.
READINGS = 3

ADVICE: dict[IncompleteReason, str] = {
    "page_repeated": "page {page} holds the same records as one before: the server does not page.",
    "cursor_repeated": "the cursor behind page {page} was given before: the server circles.",
    "page_cap": "page comes after page, more than any account has: the server never ends.",
    "never_quiet": (
        f"records moved between pages in each of {READINGS} readings: try again when the account "
        "is quieter, for example at night."
    ),
    "no_proof": (
        "nothing proves that this is the end. A server that pages by cursor must show one, and a "
        "listing whose keys do not ascend cannot be read again from a resume token: start without "
        "the token, or choose paging='number' or 'cursor'."
    ),
    "server_limit": (
        "the server stops silently after that many; for training campaigns ask with "
        "exclude_percentages=True."
    ),
}


def incomplete(reason: IncompleteReason, rows: int, page: int) -> IncompleteListingError:
    """The error of a listing that cannot prove its end.

    Args:
        reason: Why.
        rows: Records delivered.
        page: The page at which it stopped.
    """
    what = ADVICE[reason].format(page=page)
    return IncompleteListingError(
        f"The listing is incomplete after {rows} records ({reason}): {what}", reason=reason
    )
