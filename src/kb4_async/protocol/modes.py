"""Which machine reads a listing, and when another takes over."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from kb4_async.options import Paging
from kb4_async.protocol.cursor_paging import CursorListing
from kb4_async.protocol.one_answer import OneAnswer
from kb4_async.protocol.paging import NumberedListing
from kb4_async.protocol.reader import Reader, Setup
from kb4_async.protocol.token import Place


def begin(
    setup: Setup,
    paging: Paging,
    kind: Literal["pages", "one_answer", "unsure"],
    place: Place | None,
) -> Reader:
    """Choose how to read a listing.

    Args:
        setup: The listing.
        paging: What the client was told.
        kind: What the endpoint table says.
        place: Where to go on; it says itself how it was paged.

    Raises:
        IncompleteListingError: The place can neither be proven again nor left.
    """
    if kind == "one_answer":
        if place is None or (place.number == 1 and not place.moved):
            return OneAnswer(setup, place or Place(size=setup.per_page))
        setup = in_pages(setup)
    if place is not None and place.end_reason is None and place.number > 1:
        by_cursor = place.mode == "cursor"
    else:
        by_cursor = paging == "cursor" or (
            paging == "auto" and setup.habits.modes.get(setup.resource) == "cursor"
        )
    return (CursorListing if by_cursor else NumberedListing)(setup, place)


def in_pages(setup: Setup) -> Setup:
    """The same listing of one answer, where the answer was no more than a page."""
    return replace(setup, doubtful=frozenset(), server_limit=0)


def changed(reader: Reader) -> Reader:
    """The reader that takes over, if the listing has to be paged the other way; else the same.

    Raises:
        IncompleteListingError: It would have to be read again, but what was delivered is not known.
    """
    change = reader.change
    setup = in_pages(reader.setup) if isinstance(reader, OneAnswer) else reader.setup
    if change is None:
        return reader
    successor: Reader
    if change.cursor is not None:
        place = Place(size=reader.size)
        successor = CursorListing(setup, place, reader.delivery, change.cursor)
    else:
        # Whatever was delivered by the one way is told again by its key in the other.
        reader.delivery.begin_again(reader.position)
        other = CursorListing if isinstance(reader, NumberedListing) else NumberedListing
        successor = other(setup, Place(size=reader.size), reader.delivery)
    successor.first_error = change.error
    successor.count, successor.expected = reader.count, reader.expected
    return successor
