"""How rows are cut into pages: by number, and in the three ways cursors were seen to work."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as BadBase64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from kb4_async.testing.routes import Query, Rows
from kb4_async.testing.tables import Record

CursorStyle: TypeAlias = Literal["none", "envelope", "header", "link"]
PageNumbers: TypeAlias = Literal["work", "refused", "ignored"]
CampaignLimit: TypeAlias = Literal["response", "page"]

DEFAULT_PER_PAGE = 100
MAX_PER_PAGE = 500


@dataclass(frozen=True, slots=True)
class PagingRules:
    """How a simulated server pages.

    Attributes:
        cap: the largest page it gives; more is silently cut down to it.
        cursors: how it shows the next cursor: not at all, as `pagination.next_cursor` of an
            envelope, as the header `X-Next-Cursor`, or as a `Link` header with rel="next".
        announce: show the next cursor on pages asked for by number too.
        numbers: whether `page` works, is refused with 400, or is ignored.
        campaign_limit: whether training campaigns with percentages are cut to ten rows in all
            (`response`) or to ten a page (`page`); the documentation can be read both ways.
    """

    cap: int = MAX_PER_PAGE
    cursors: CursorStyle = "none"
    announce: bool = False
    numbers: PageNumbers = "work"
    campaign_limit: CampaignLimit = "response"


@dataclass(frozen=True, slots=True)
class Cut:
    """One page: what goes into the body, how many records that is, and further headers."""

    body: Any
    rows: int
    headers: Mapping[str, str] = field(default_factory=dict)


class PageRefusedError(Exception):
    """The server does not take this way of paging."""


def positive(query: Query, name: str, default: int) -> int:
    """Return a positive number from the query, the default for anything else."""
    text = query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else default


def cut(rows: Rows, query: Query, rules: PagingRules, *, address: str) -> Cut:
    """Cut the page a query asks for; `address` is where a Link header points."""
    size = min(positive(query, "per_page", DEFAULT_PER_PAGE), rules.cap)
    total = len(rows.rows)
    if rows.limit is not None and rules.campaign_limit == "page":
        size = min(size, rows.limit)
    elif rows.limit is not None:
        total = min(total, rows.limit)
    by_cursor = rules.cursors != "none" and "cursor" in query
    if "page" in query and rules.numbers == "refused":
        message = "the page parameter is no longer supported, use cursor"
        raise PageRefusedError(message)
    if by_cursor:
        begin = cursor_place(rows, query["cursor"])
    else:
        begin = 0 if rules.numbers == "ignored" else (positive(query, "page", 1) - 1) * size
    end = min(begin + size, total)
    records: list[Record] = list(rows.rows[begin:end]) if begin < end else []
    following = cursor_after(rows, records, end) if records and end < total else None
    if rows.shape is not None:
        records = [rows.shape(record) for record in records]
    if not (by_cursor or rules.announce):
        return Cut(records, len(records))
    return shown(records, following, rules.cursors, size, address)


def shown(
    records: list[Record], following: str | None, style: CursorStyle, size: int, address: str
) -> Cut:
    """Return the page with its next cursor where this server shows it."""
    if style == "envelope":
        body = {"data": records, "pagination": {"per_page": size, "next_cursor": following}}
        return Cut(body, len(records))
    headers = {}
    if following is not None and style == "header":
        headers["x-next-cursor"] = following
    if following is not None and style == "link":
        headers["link"] = f'<{address}?per_page={size}&cursor={following}>; rel="next"'
    return Cut(records, len(records), headers)


def cursor_after(rows: Rows, records: list[Record], end: int) -> str:
    """Return a cursor that stays behind the last record even if rows before it come or go."""
    return urlsafe_b64encode(f"{end}:{records[-1][rows.key]}".encode()).decode().rstrip("=")


def cursor_place(rows: Rows, cursor: str) -> int:
    """Return the place of the first row behind a cursor."""
    if cursor in {"true", "0", ""}:
        return 0
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        place, key = (int(part) for part in text.split(":"))
    except (BadBase64, ValueError):
        message = "invalid cursor"
        raise PageRefusedError(message) from None
    place = min(place, len(rows.rows))
    while place and int(rows.rows[place - 1][rows.key]) > key:
        place -= 1
    while place < len(rows.rows) and int(rows.rows[place][rows.key]) <= key:
        place += 1
    return place
