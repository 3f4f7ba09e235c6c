"""The rows of a CSV file, each with the place where it stands."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

from kb4_async.errors import ConfigurationError
from kb4_async.protocol.scim.columns import Rejected, Vocabulary, is_address, normal
from kb4_async.scim.input_text import Text

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

DELIMITERS = ",;\t|"
#: Stripped from headers and cells: white space, and NUL, which databases fill fields with.
PADDING = "".join(sign for sign in map(chr, range(0x3001)) if sign.isspace()) + "\0"

INSIDE = "the file is cut off: it ends inside a quoted field"
WITHIN = "the file is cut off: it ends within a character"


class Assembler(Protocol[T_co]):
    """Makes users, or groups, of rows and items."""

    vocabulary: Vocabulary

    def header(self, headers: Sequence[str]) -> None:
        """Take a file's headers."""
        ...

    def row(self, place: str, cells: Sequence[str]) -> Sequence[T_co | Rejected]:
        """Take a row: as many cells as there are headers, stripped."""
        ...

    def item(self, place: str, given: object) -> Sequence[T_co | Rejected]:
        """Take an item."""
        ...

    def torn(self, place: str, cells: Sequence[str], reason: str) -> Rejected:
        """Refuse a row that is not whole."""
        ...

    def end(self) -> Sequence[T_co]:
        """Nothing more comes."""
        ...


class Feed:
    """Lines for the csv module, which can be given back."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.lines = lines
        self.back: deque[str] = deque()
        self.taken: list[str] = []
        self.number = 0

    def __iter__(self) -> Feed:
        return self

    def __next__(self) -> str:
        line = self.back.popleft() if self.back else next(self.lines)
        self.taken.append(line)
        self.number += 1
        return line

    def give_back(self, kept: int) -> None:
        """Give back the lines taken, all but the first ones."""
        again = self.taken[kept:]
        self.back.extendleft(reversed(again))
        self.number -= len(again)
        self.taken = []


def reader(lines: Iterator[str], delimiter: str) -> Iterator[list[str]]:
    """The csv module's reader: what RFC 4180 does not allow is an error, never a guess."""
    # Blanks before a quote are skipped, for they would make it a letter.
    blank = delimiter != " "
    return csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=blank)


def read_header(
    feed: Feed, delimiter: str | None, vocabulary: Vocabulary, columns: Mapping[str, object]
) -> tuple[list[str], str]:
    """The first line that is not blank, and its delimiter; no headers if there is none.

    Without a delimiter it is the one that finds the most headers that are understood, then the most
    headers.

    Raises:
        ConfigurationError: It cannot be read.
    """
    for line in feed:
        if line.strip(PADDING):
            break
    else:
        return [], ","
    feed.taken = [feed.taken[-1]]
    hint = re.fullmatch(r"sep=(.)\s*", line)
    if hint:  # Excel writes it
        feed.taken = []
        return read_header(feed, delimiter or hint[1], vocabulary, columns)
    feed.give_back(0)
    found: list[tuple[int, int, list[str], str, int]] = []
    wrong: csv.Error | None = None
    for each in delimiter or DELIMITERS:
        try:
            headers = [cell.strip(PADDING) for cell in next(reader(feed, each))]
        except csv.Error as error:
            wrong = error
        else:
            known = sum(normal(h) in vocabulary.words or normal(h) in columns for h in headers)
            found.append((known, len(headers), headers, each, len(feed.taken)))
        feed.give_back(0)
    if not found:
        msg = f"line {feed.number + 1}, which must name the columns, is no CSV ({wrong})."
        raise ConfigurationError(msg)
    _, _, headers, chosen, lines = max(found, key=lambda each: each[:2])
    for _ in range(lines):
        next(feed)
    return headers, chosen


def csv_rows(
    text: Text, delimiter: str | None, columns: Mapping[str, object], made: Assembler[T]
) -> Iterator[Sequence[T | Rejected]]:
    """Read a CSV file: of each row what was made of it.

    Raises:
        ConfigurationError: It has no usable header line.
    """
    feed = Feed(text.lines())
    try:
        headers, delimiter = read_header(feed, delimiter, made.vocabulary, columns)
        if not headers:
            return
        if any("\0" in each for each in headers):
            msg = "the first line holds NUL bytes: give encoding='utf-16-le' if it is UTF-16."
            raise ConfigurationError(msg)
        most = len(headers)
        while headers and not headers[-1]:  # spreadsheets close lines by empty cells
            headers.pop()
        made.header(headers)
    except ConfigurationError as error:
        msg = f"{text.name}: {error}"
        raise ConfigurationError(msg) from error
    yield from table(text, feed, delimiter, range(len(headers), most + 1), made)


def table(
    text: Text, feed: Feed, delimiter: str, widths: range, made: Assembler[T]
) -> Iterator[Sequence[T | Rejected]]:
    """Read the rows below the header."""
    rows = reader(feed, delimiter)
    width = widths.start
    while True:
        feed.taken = []
        place = f"line {feed.number + 1}"
        try:
            cells = [cell.strip(PADDING) for cell in next(rows)]
        except StopIteration:
            return
        except csv.Error as error:
            start = guess(feed.taken[0], delimiter)
            yield [made.torn(place, start, broken(feed, delimiter, str(error), width))]
            continue
        if not any(cells):
            yield ()
            continue
        if len(cells) >= widths.stop and any(cells[widths.stop - 1 :]):
            why = f"{counts(cells, width)}: quote a value that holds the delimiter"
            yield [made.torn(place, cells, why)]
        elif text.cut:  # known with the last line
            yield [made.torn(place, cells, WITHIN)]
        elif len(cells) < width:
            why = f"{counts(cells, width)}: the line is cut off, or lacks delimiters"
            yield [made.torn(place, cells, why)]
        else:
            yield made.row(place, cells[:width])


def counts(cells: Sequence[str], width: int) -> str:
    """How many cells there are, and how many there should be."""
    cell, column = ("cell" if len(cells) == 1 else "cells"), ("column" if width == 1 else "columns")
    return f"it has {len(cells)} {cell} for {width} {column}"


def broken(feed: Feed, delimiter: str, error: str, width: int) -> str:
    """Say why a row cannot be read, and go on below its first line where rows follow.

    A quote that is never closed takes all lines up to the next one, or to the end of the file: they
    are rows of their own, unless the file was cut off inside a field that has line breaks.
    """
    ended = "end of data" in error
    following = feed.taken[1:]
    if ended and not any(looks_whole(each, delimiter, width) for each in following):
        return INSIDE
    lines = len(feed.taken)
    feed.give_back(1)
    if ended or "field limit" in error:
        return "a quote that opens here is never closed: close or double it"
    if lines > 1:
        return "a quote that opens here is not closed before another opens: close or double it"
    return "a quote stands inside a quoted field: double it"


def looks_whole(line: str, delimiter: str, width: int) -> bool:
    """Whether a line is a row for itself."""
    try:
        return len(next(reader(iter([line]), delimiter))) == width
    except csv.Error:
        return False


def guess(line: str, delimiter: str) -> list[str]:
    """The cells of a line that cannot be read, as far as nothing is wrong: whose line it was is
    worth knowing, and its name stands before most of what can be wrong."""
    try:
        cells = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []
    return [cell.strip(PADDING) if is_address(cell.strip(PADDING)) else "" for cell in cells]
