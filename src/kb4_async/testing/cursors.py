"""What the cursors of a simulated server hold, and how they are spelled."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as BadBase64
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from kb4_async.testing.tables import Table, View

CursorKind: TypeAlias = Literal["key", "offset"]
CursorValues: TypeAlias = Literal["text", "integer"]

# KnowBe4's own words: "Set cursor=0 or cursor=true in your first request to begin pagination."
FIRST = frozenset({"true", "0", ""})


class BadCursorError(ValueError):
    """No cursor of this server looks like that."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page begins.

    Attributes:
        place: the number of rows before it, when the cursor was given.
        rank: the key of the row before it as a number; 0 where the cursor holds none.
        pause: whether an empty page comes first.
    """

    place: int = 0
    rank: int = 0
    pause: bool = False


START = Position()


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a server writes its cursors.

    Attributes:
        kind: `key` stays behind the last record even if rows before it come or go, `offset` counts
            rows and shifts with them.
        values: opaque text, or whole numbers.
        pauses: whether a cursor may stand for an empty page.
    """

    kind: CursorKind
    values: CursorValues
    pauses: bool

    def write(self, position: Position) -> str | int:
        """Return the cursor that stands for a position."""
        if self.values == "integer":
            number = position.rank if self.kind == "key" else position.place
            return 2 * number + position.pause if self.pauses else number
        numbers = (position.place, position.rank, int(position.pause))
        return urlsafe_b64encode(":".join(map(str, numbers)).encode()).decode().rstrip("=")

    def read(self, text: str) -> Position:
        """Return the position a cursor stands for."""
        if text in FIRST:
            return START
        try:
            return self.read_number(text) if self.values == "integer" else read_text(text)
        except (BadBase64, ValueError):
            raise BadCursorError(text) from None

    def read_number(self, text: str) -> Position:
        """Return the position a whole number stands for."""
        number, pause = divmod(whole(text), 2) if self.pauses else (whole(text), 0)
        if self.kind == "key":
            return Position(rank=number, pause=bool(pause))
        return Position(place=number, pause=bool(pause))

    def behind(self, rows: Table | View, place: int) -> Position:
        """Return the position behind the first `place` rows."""
        return Position(place, rank(rows.key_at(place - 1)) if self.kind == "key" and place else 0)


def read_text(text: str) -> Position:
    """Return the position that opaque text stands for."""
    padded = text + "=" * (-len(text) % 4)
    place, number, pause = map(whole, urlsafe_b64decode(padded).decode().split(":"))
    return Position(place, number, bool(pause))


def whole(text: str) -> int:
    """Return the number that digits stand for, and nothing else does."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(text)
    return int(text)


def rank(key: Any) -> int:  # noqa: ANN401 - whatever the key's field holds
    """Return a key as a number, in the order of the keys; keys are ids or dates."""
    return key if isinstance(key, int) else int(str(key).replace("-", ""))


def first_row(rows: Table | View, position: Position) -> int:
    """Return the place of the first row at a position, as the rows are now."""
    if not position.rank:
        return min(position.place, len(rows))

    def at(place: int) -> int:
        return rank(rows.key_at(place))

    place = min(position.place, len(rows))
    if place and at(place - 1) == position.rank:
        return place
    place = bisect_right(range(len(rows)), position.rank, key=at)
    if place and at(place - 1) == position.rank:
        return place
    # The row before is gone, or a row put in by hand broke the order of keys.
    found = (each + 1 for each in range(len(rows)) if at(each) == position.rank)
    return next(found, place)
