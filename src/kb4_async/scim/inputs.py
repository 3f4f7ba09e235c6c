"""Users and groups as they are wanted, read from files or taken from anything iterable.

What cannot be used is not raised but handed out in its place, as ``Rejected``: one bad line never
costs the others.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import AsyncIterable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Generic, Literal, TypeVar, get_args

from kb4_async.errors import ConfigurationError
from kb4_async.protocol.scim.columns import GROUPS, USERS, Empty, Rejected, Wanted, read_wanted
from kb4_async.protocol.scim.groups import DesiredGroup
from kb4_async.protocol.scim.users import ScimUser
from kb4_async.scim.input_groups import GroupAssembler
from kb4_async.scim.input_json import json_items
from kb4_async.scim.input_reading import (
    BATCH,
    FileIteration,
    ItemIteration,
    Iteration,
    Reader,
    is_iterator,
)
from kb4_async.scim.input_rows import Assembler, csv_rows
from kb4_async.scim.input_text import STDIN, Text, check_encoding, open_bytes
from kb4_async.scim.input_users import Headers, UserAssembler

T = TypeVar("T")

Format = Literal["auto", "csv", "json"]
#: A path, or what gives out users (groups) as such, as mappings, or both.
UserInput = (
    str
    | os.PathLike[str]
    | Iterable[ScimUser | Mapping[str, Any]]
    | AsyncIterable[ScimUser | Mapping[str, Any]]
)
GroupInput = (
    str
    | os.PathLike[str]
    | Iterable[DesiredGroup | Mapping[str, Any]]
    | AsyncIterable[DesiredGroup | Mapping[str, Any]]
)
#: The same, looked at.
Given = str | Iterable[object] | AsyncIterable[object]

SUFFIXES: Mapping[str, Format] = {
    **dict.fromkeys((".csv", ".tsv", ".txt"), "csv"),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), "json"),
}


def read_users(
    source: UserInput,
    *,
    columns: Mapping[str, str | None] | None = None,
    format: Format = "auto",  # noqa: A002  # what it is
    encoding: str | None = None,
    delimiter: str | None = None,
    empty: Empty = "leave",
) -> UserSource:
    """Read the users that are wanted.

    Args:
        source: The path of a CSV or JSON file (``-`` is standard input), or an iterable or async
            iterable of ``ScimUser`` and mappings.
        columns: Fields (or SCIM names) by header, for headers that are not understood by
            themselves; None ignores a column.
        format: Of a file; ``auto`` tells by its name, then by its first character.
        encoding: Of a file; None for UTF-8, and for UTF-16 with a byte order mark.
        delimiter: Of a CSV file; None finds it in the header line.
        empty: What an empty cell says: nothing, or that the field is to be cleared.

    Raises:
        ConfigurationError: An argument cannot be. What is wrong with a file as a whole is raised
            when it is read.
    """
    if empty not in get_args(Empty):
        msg = f"empty is 'leave' or 'clear', not {empty!r}."
        raise ConfigurationError(msg)
    wanted = read_wanted(columns, USERS)
    form = Form(format, encoding, delimiter)
    return UserSource(check_source(source), wanted, form, empty)


def read_groups(
    source: GroupInput,
    *,
    columns: Mapping[str, str | None] | None = None,
    format: Format = "auto",  # noqa: A002  # what it is
    encoding: str | None = None,
    delimiter: str | None = None,
) -> GroupSource:
    """Read the groups that are wanted: one membership a row.

    Args:
        source: The path of a CSV or JSON file (``-`` is standard input), or an iterable or async
            iterable of ``DesiredGroup`` and mappings.
        columns: ``display_name`` and ``members`` by header; None ignores a column.
        format: Of a file; ``auto`` tells by its name, then by its first character.
        encoding: Of a file; None for UTF-8, and for UTF-16 with a byte order mark.
        delimiter: Of a CSV file; None finds it in the header line.

    Raises:
        ConfigurationError: An argument cannot be.
    """
    wanted = read_wanted(columns, GROUPS)
    return GroupSource(check_source(source), wanted, Form(format, encoding, delimiter))


def check_source(source: object) -> Given:
    """A path as text; anything iterable as it is.

    Raises:
        ConfigurationError: It is neither.
    """
    if isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        if isinstance(path, str) and path:
            return path
    elif not isinstance(source, bytes | Mapping) and isinstance(source, Iterable | AsyncIterable):
        return source
    msg = f"source is a path, or an iterable of objects, not {source!r:.80}."
    raise ConfigurationError(msg)


@dataclass(frozen=True, slots=True)
class Form:
    """How a file is written, as far as the caller says.

    Raises:
        ConfigurationError: It cannot be.
    """

    format: Format
    encoding: str | None
    delimiter: str | None

    def __post_init__(self) -> None:
        """Refuse what is none."""
        if self.format not in get_args(Format):
            msg = f"format is 'auto', 'csv' or 'json', not {self.format!r}."
            raise ConfigurationError(msg)
        if self.encoding is not None:
            check_encoding(self.encoding)
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n\0'):
            msg = f"delimiter is one character such as ',' or ';', not {self.delimiter!r}."
            raise ConfigurationError(msg)

    def is_json(self, path: str, text: Text) -> bool:
        """Whether a file is JSON."""
        chosen = self.format
        if chosen == "auto":
            chosen = SUFFIXES.get(PurePath(path).suffix.lower(), "auto")
        return text.first() in {"{", "["} if chosen == "auto" else chosen == "json"


class Source(Generic[T]):
    """What is wanted, read anew by every iteration, and never held as a whole.

    A source that can be read but once (standard input, an iterator) is refused the second time, so
    that nobody takes it for empty.
    """

    def __init__(self, source: Given, wanted: Wanted, form: Form) -> None:
        self.source = source
        self.wanted = wanted
        self.form = form
        self.read = False
        self.headers = Headers(wanted)
        self.open: weakref.WeakSet[Iteration[T]] = weakref.WeakSet()

    def __aiter__(self) -> Iteration[T]:
        """Begin to read.

        Raises:
            ConfigurationError: It was read before, and can be read once only.
        """
        source = self.source
        if self.read and (source == STDIN or is_iterator(source)):
            msg = "This source can be read only once: give a file or a list to read it again."
            raise ConfigurationError(msg)
        self.read = True
        self.headers = Headers(self.wanted)
        made = self.assemble()
        found: Iteration[T]
        if isinstance(source, str):
            found = FileIteration(Reader(self.batches(source, made)))
        else:
            found = ItemIteration(source, made)
        self.open.add(found)
        return found

    async def aclose(self) -> None:
        """End every iteration; returns when the files are closed."""
        for each in list(self.open):
            await each.aclose()

    @property
    def columns(self) -> dict[str, str]:
        """The field of each header that was used, as far as was read."""
        return dict(self.headers.columns)

    @property
    def ignored(self) -> tuple[str, ...]:
        """Headers that were not understood, or not wanted, as far as was read."""
        return tuple(self.headers.ignored)

    def assemble(self) -> Assembler[T]:
        """What makes users, or groups, in one iteration."""
        raise NotImplementedError

    def batches(
        self, path: str, made: Assembler[T]
    ) -> Generator[Sequence[T | Rejected], None, None]:
        """Read a file, in a thread; between batches it can be left."""
        batch: list[T | Rejected] = []
        with open_bytes(path) as file:
            text = Text(file, "standard input" if path == STDIN else path, self.form.encoding)
            rows = (
                json_items(text, made)
                if self.form.is_json(path, text)
                else csv_rows(text, self.form.delimiter, self.wanted, made)
            )
            for number, found in enumerate(rows, 1):
                batch.extend(found)
                if number % BATCH == 0:
                    yield batch
                    batch = []
        yield [*batch, *made.end()]


class UserSource(Source[ScimUser]):
    """Gives out ``ScimUser``, and ``Rejected`` in the place of what is none."""

    def __init__(self, source: Given, wanted: Wanted, form: Form, empty: Empty) -> None:
        super().__init__(source, wanted, form)
        self.empty = empty

    def assemble(self) -> Assembler[ScimUser]:
        """What makes users in one iteration."""
        return UserAssembler(self.headers, self.empty)


class GroupSource(Source[DesiredGroup]):
    """Gives out ``Rejected`` for what is no membership; then every ``DesiredGroup``, in the order
    in which they are first named."""

    def assemble(self) -> Assembler[DesiredGroup]:
        """What makes groups in one iteration."""
        return GroupAssembler(self.headers)
