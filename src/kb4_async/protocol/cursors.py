"""Cursors as the Reporting API was seen to show them: in an envelope, a header or a Link.

Sources: the envelope stands in production code for enrollments, the header in a connector, the Link
in another; KnowBe4 documents only the request's ``cursor`` parameter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, urljoin, urlsplit

from kb4_async.errors import IncompleteListingError
from kb4_async.protocol.codec import STATED

#: Response headers that carry the next cursor.
HEADERS = ("x-next-cursor", "next-cursor", "x-cursor-next")

#: ``<https://...>; rel="next"; ...``, several of them separated by commas.
PARAMETER = r'\s*;\s*([^;,="\s]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^",;\s]+)))?'
PARAMETERS = re.compile(PARAMETER)
LINK = re.compile(rf"<([^>]*)>((?:{PARAMETER})*)")


class Cursor(NamedTuple):
    """Where the next page begins, as the server said it.

    Attributes:
        value: The cursor; or, of a link, its whole query.
        link: It came as a link.
    """

    value: str
    link: bool = False


#: The server says itself that there is no next page.
NO_CURSOR = Cursor("")

#: "Set cursor=0 or cursor=true in your first request to begin pagination."
FIRST = Cursor("true")
ALSO_FIRST = Cursor("0")


def shown_cursor(
    given: object, headers: Mapping[str, str], url: str
) -> Cursor | IncompleteListingError | None:
    """The cursor an answer shows, in whichever form.

    Args:
        given: ``pagination.next_cursor`` of an envelope, ``codec.STATED`` where that is empty; None
            where there is none.
        headers: Response headers, names in lower case.
        url: The URL that was asked, without its query: where links begin and must stay.

    Returns:
        The cursor, ``NO_CURSOR`` where the server says that there is none, None where it says
        nothing; or the error of a link that leaves the origin, to be raised when the listing would
        have to follow it.
    """
    for value in (given, *(headers.get(name) for name in HEADERS)):
        if isinstance(value, int | str) and not isinstance(value, bool) and value != "":
            return Cursor(str(value)) if is_text(str(value)) else unsendable()
    target = next(next_links(headers.get("link", "")), None)
    if target is not None:
        return link_cursor(target, url)
    return NO_CURSOR if given is STATED else None


def next_links(header: str) -> Iterator[str]:
    """Targets of a Link header (RFC 8288) whose relation is ``next``."""
    for target, parameters, *_ in LINK.findall(header):
        relations = (
            (quoted or token).lower().split()
            for name, quoted, token in PARAMETERS.findall(parameters)
            if name.lower() == "rel"
        )
        if "next" in next(relations, ()):  # only the first rel counts
            yield target


def link_cursor(target: str, url: str) -> Cursor | IncompleteListingError | None:
    """The cursor of a link; None for a link that only names the next page's number."""
    try:
        there = urlsplit(urljoin(url, target))
        same = origin_of(there) == origin_of(urlsplit(url))
        query = parse_qsl(there.query, keep_blank_values=True)
    except ValueError:
        return foreign("an address that cannot be read")
    names = {name for name, _ in query}
    if not query or ("page" in names and "cursor" not in names):
        return None
    if not is_text(there.query):
        return unsendable()
    if not same:
        return foreign(f"{there.scheme}://{there.hostname}")
    # The path stays the listing's own, so that a link leads nowhere else on the origin either.
    return Cursor(there.query, link=True)


def is_text(value: str) -> bool:
    """Whether a cursor can be sent at all: JSON can hold halves of characters."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def unsendable() -> IncompleteListingError:
    """The error of a cursor that no request can carry."""
    return IncompleteListingError(
        "The server's cursor for the next page is not text that can be sent back: report it to "
        "KnowBe4.",
        reason="no_proof",
    )


def origin_of(url: SplitResult) -> tuple[str, str | None, int | None]:
    """Scheme, host and port.

    Raises:
        ValueError: The port is no number.
    """
    return url.scheme, url.hostname, url.port or {"https": 443, "http": 80}.get(url.scheme)


def foreign(where: str) -> IncompleteListingError:
    """The error of a link to another origin."""
    return IncompleteListingError(
        f"The server's link to the next page leads to {where}, another origin, where the key is "
        "never sent. If that is a proxy's doing, make it rewrite Link headers.",
        reason="no_proof",
    )


def cursor_query(cursor: Cursor, query: Mapping[str, str], per_page: int) -> dict[str, str]:
    """The query that asks for the page at a cursor, never with a page number.

    Args:
        cursor: Where the page begins.
        query: The listing's filters.
        per_page: Page size.
    """
    if not cursor.link:
        return {**query, "per_page": str(per_page), "cursor": cursor.value}
    given = dict(parse_qsl(cursor.value, keep_blank_values=True))
    given.pop("page", None)
    # A server may leave the filters out of its link; without them it would list something else.
    return {**query, "per_page": str(per_page), **given}
