"""How rows are cut into pages: by number, and in the three ways cursors were seen to work."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias
from urllib.parse import urlencode, urlsplit

from kb4_async.testing.cursors import (
    BadCursorError,
    CursorKind,
    CursorValues,
    Position,
    Spelling,
    first_row,
)
from kb4_async.testing.routes import Query, Rows
from kb4_async.testing.tables import Record

CursorStyle: TypeAlias = Literal["none", "refused", "envelope", "header", "link"]
CursorHeader: TypeAlias = Literal["X-Next-Cursor", "next-cursor", "x-cursor-next"]
PageNumbers: TypeAlias = Literal["work", "refused", "ignored"]
CampaignLimit: TypeAlias = Literal["response", "page"]
LinkForm: TypeAlias = Literal["absolute", "path", "query"]
RefusalStatus: TypeAlias = Literal[400, 405, 410, 422]

DEFAULT_PER_PAGE = 100
MAX_PER_PAGE = 500
SHOWN = frozenset({"envelope", "header", "link"})


@dataclass(frozen=True, slots=True)
class PagingRules:
    """How a simulated server pages.

    Attributes:
        cap: the largest page it gives; more is silently cut down to it.
        cursors: how it shows the next cursor: as `pagination.next_cursor` of an envelope, as a
            header, or as a `Link` header with rel="next". With `none` it ignores the parameter,
            with `refused` it refuses it.
        announce: show the next cursor on pages asked for by number too.
        numbers: whether `page` works, is refused, or is ignored.
        campaign_limit: whether training campaigns with percentages are cut to ten rows in all
            (`response`) or to ten a page (`page`); the documentation can be read both ways.
        cursor_paths: the ends of the paths that know cursors (`training/enrollments`, as in 2025);
            None for all.
        cursor_kind: whether a cursor stays behind the last record (`key`) or shifts when rows
            before it come or go (`offset`).
        cursor_values: whether an envelope's cursors are text or whole numbers.
        cursor_header: the header of `header`, as different clients look for it.
        link_form: whether a link is a whole address, a path, or only a query.
        link_origin: another scheme and host for whole addresses (`https://elsewhere.test`).
        empty_pages: after every so many pages by cursor comes an empty one whose cursor goes on;
            0 for never.
        refusal: the status of a refused `page` or `cursor`.
        cursor_loops_at: from this page on (2 at least) the next cursor leads back to page 2.
        cursor_ends_at: from this page on there is no next cursor, though rows remain.
        page_repeats_from: from this page number on, that page comes again and again.
    """

    cap: int = MAX_PER_PAGE
    cursors: CursorStyle = "none"
    announce: bool = False
    numbers: PageNumbers = "work"
    campaign_limit: CampaignLimit = "response"
    cursor_paths: tuple[str, ...] | None = None
    cursor_kind: CursorKind = "key"
    cursor_values: CursorValues = "text"
    cursor_header: CursorHeader = "X-Next-Cursor"
    link_form: LinkForm = "absolute"
    link_origin: str | None = None
    empty_pages: int = 0
    refusal: RefusalStatus = 400
    cursor_loops_at: int | None = None
    cursor_ends_at: int | None = None
    page_repeats_from: int | None = None

    def cursors_at(self, path: str) -> CursorStyle:
        """Return how cursors work at a path."""
        known = self.cursor_paths is None or any(
            fnmatchcase(path, known) or fnmatchcase(path, f"*/{known}")
            for known in self.cursor_paths
        )
        return self.cursors if known else "none"

    @property
    def spelling(self) -> Spelling:
        """Return how cursors are written."""
        return Spelling(self.cursor_kind, self.cursor_values, self.empty_pages > 0)


@dataclass(frozen=True, slots=True)
class Cut:
    """One page: its records, further headers, and what an envelope says beside the records."""

    records: list[Record]
    headers: Mapping[str, str] = field(default_factory=dict)
    envelope: Record | None = None

    @property
    def body(self) -> Record | list[Record]:
        """Return what goes into the body."""
        if self.envelope is None:
            return self.records
        return {"data": self.records, "pagination": self.envelope}


class PageRefusedError(Exception):
    """The server does not take this way of paging."""

    def __init__(self, status: int, message: str) -> None:
        """Say with which status."""
        super().__init__(message)
        self.status = status


def positive(query: Query, name: str, default: int) -> int:
    """Return a positive number from the query, the default for anything else."""
    text = query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else default


def cut(rows: Rows, query: Query, rules: PagingRules, *, path: str, address: str) -> Cut:
    """Cut the page a query asks for; `address` is the URL asked, without its query."""
    style = rules.cursors_at(path)
    refuse(query, rules, style)
    return Cutter(rows, query, rules, style, address).cut()


def refuse(query: Query, rules: PagingRules, style: CursorStyle) -> None:
    """Refuse a way of paging that this server does not know, and two at once."""
    if "page" in query and "cursor" in query:
        raise PageRefusedError(400, "page and cursor cannot be combined")
    if "page" in query and rules.numbers == "refused":
        message = "the page parameter is no longer supported, use cursor"
        raise PageRefusedError(rules.refusal, message)
    if "cursor" in query and style == "refused":
        raise PageRefusedError(rules.refusal, "the cursor parameter is not supported")


class Cutter:
    """One request for a page of a listing."""

    def __init__(
        self, rows: Rows, query: Query, rules: PagingRules, style: CursorStyle, address: str
    ) -> None:
        """Find out how large the page is, and where the rows end."""
        self.rows = rows.rows
        self.shape = rows.shape
        self.query = query
        self.rules = rules
        self.style = style
        self.address = address
        self.size = min(positive(query, "per_page", DEFAULT_PER_PAGE), rules.cap)
        self.total = len(self.rows)
        if rows.limit is not None and rules.campaign_limit == "page":
            self.size = min(self.size, rows.limit)
        elif rows.limit is not None:
            self.total = min(self.total, rows.limit)

    def cut(self) -> Cut:
        """Cut the page."""
        if self.style not in SHOWN or "cursor" not in self.query:
            page = self.at((self.page_number() - 1) * self.size)
            return page if self.rules.announce and self.style in SHOWN else Cut(page.records)
        try:
            position = self.rules.spelling.read(self.query["cursor"])
        except BadCursorError:
            raise PageRefusedError(400, "invalid cursor") from None
        if position.pause:
            return self.shown([], Position(position.place, position.rank))
        return self.at(first_row(self.rows, position))

    def page_number(self) -> int:
        """Return the page that is served for the number asked."""
        if self.rules.numbers == "ignored":
            return 1
        page, last = positive(self.query, "page", 1), self.rules.page_repeats_from
        return page if last is None else min(page, last)

    def at(self, begin: int) -> Cut:
        """Return the page that begins at a place."""
        end = min(begin + self.size, self.total)
        records: list[Record] = list(self.rows[begin:end]) if begin < end else []
        if self.shape is not None:
            records = [self.shape(record) for record in records]
        return self.shown(records, self.following(begin, end) if records else None)

    def following(self, begin: int, end: int) -> Position | None:
        """Return where the next page begins, or where this server says it does."""
        rules, number = self.rules, begin // self.size + 1
        if rules.cursor_ends_at is not None and number >= rules.cursor_ends_at:
            return None
        if rules.cursor_loops_at is not None and number >= rules.cursor_loops_at:
            return rules.spelling.behind(self.rows, min(self.size, self.total))
        if end >= self.total:
            return None
        behind = rules.spelling.behind(self.rows, end)
        pause = rules.empty_pages > 0 and number % rules.empty_pages == 0
        return Position(behind.place, behind.rank, pause)

    def shown(self, records: list[Record], following: Position | None) -> Cut:
        """Return a page with its next cursor where this server shows it."""
        cursor = None if following is None else self.rules.spelling.write(following)
        if self.style == "envelope":
            return Cut(records, envelope={"per_page": self.size, "next_cursor": cursor})
        if cursor is None or self.style not in SHOWN:
            return Cut(records)
        if self.style == "header":
            return Cut(records, {self.rules.cursor_header: str(cursor)})
        return Cut(records, {"link": f'<{self.link(cursor)}>; rel="next"'})

    def link(self, cursor: str | int) -> str:
        """Return a link to the page at a cursor; the filters stay in it."""
        filters = {name: value for name, value in self.query.items() if name != "page"}
        asked = urlencode({**filters, "per_page": str(self.size), "cursor": str(cursor)})
        form, origin = self.rules.link_form, self.rules.link_origin
        path = "" if form == "query" else urlsplit(self.address).path
        if form != "absolute":
            return f"{path}?{asked}"
        return f"{self.address if origin is None else origin + path}?{asked}"
