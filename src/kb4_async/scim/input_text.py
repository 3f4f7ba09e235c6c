"""The text of a file: its encoding found, its lines told apart."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from io import StringIO
from pathlib import Path
from typing import BinaryIO

from kb4_async.errors import ConfigurationError

#: Bytes read at once.
BLOCK = 1 << 16
STDIN = "-"


def check_encoding(encoding: str) -> None:
    """Refuse an encoding that Python does not know.

    Raises:
        ConfigurationError: The message names it.
    """
    try:
        codecs.getincrementaldecoder(encoding)()
        b"a".decode(encoding)
    except UnicodeDecodeError:
        return  # half a character, of an encoding that is there
    except (LookupError, UnicodeError, ValueError) as error:
        msg = f"encoding={encoding!r} is no encoding of text: give one like 'cp1252' or 'utf-16'."
        raise ConfigurationError(msg) from error


def open_bytes(path: str) -> AbstractContextManager[BinaryIO]:
    """Open a file, or standard input, which is not closed.

    Raises:
        ConfigurationError: It cannot be opened.
    """
    if path != STDIN:
        try:
            return Path(path).open("rb")
        except (OSError, ValueError) as error:  # the latter for a NUL in its name
            raise ConfigurationError(unreadable(path, error)) from error
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None or stream.closed:
        msg = "standard input cannot be read: name a file instead."
        raise ConfigurationError(msg)
    return nullcontext(stream)


def unreadable(name: str, error: Exception) -> str:
    """The sentence about a file that the system does not give."""
    why = getattr(error, "strerror", None) or error
    return f"{name} cannot be read ({why}): check the path, and that you may read it."


class Text:
    """What a file says, decoded block by block.

    Args:
        file: Read from here.
        name: The file's name, for errors.
        encoding: None finds it by the byte order mark; without one it is UTF-8.

    Attributes:
        cut: The file ended in the middle of a character; ``U+FFFD`` stands for it.
    """

    def __init__(self, file: BinaryIO, name: str, encoding: str | None) -> None:
        self.file = file
        self.name = name
        self.given = encoding is not None
        self.cut = False
        self.taken = 0
        self.breaks = 0
        start = b""
        while len(start) < 3 and (block := self.read()):
            start += block
        if encoding is None:
            wide = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            encoding = "utf-16" if wide else "utf-8"
        self.encoding = encoding
        self.decoder = codecs.getincrementaldecoder(encoding)()
        self.head = self.decode(start).lstrip("\ufeff")

    def read(self) -> bytes:
        """Read what is there, at most a block.

        Raises:
            ConfigurationError: The system cannot.
        """
        # A pipe's lines are delivered as they come.
        read = getattr(self.file, "read1", self.file.read)
        try:
            block: bytes = read(BLOCK)
        except OSError as error:
            raise ConfigurationError(unreadable(self.name, error)) from error
        self.taken += len(block)
        return block

    def decode(self, block: bytes) -> str:
        """Decode a block; an empty one is the end.

        Raises:
            ConfigurationError: It is not in this encoding.
        """
        try:
            text = self.decoder.decode(block, not block)
        except UnicodeError as error:
            if not block:
                self.cut = True
                return "\ufffd"
            raise ConfigurationError(self.undecodable(error)) from error
        self.breaks += text.count("\n") or text.count("\r")
        return text

    def undecodable(self, error: UnicodeError) -> str:
        """Say where the text is in another encoding."""
        where = ""
        if isinstance(error, UnicodeDecodeError):
            before = error.object[: error.start]
            line = self.breaks + (before.count(b"\n") or before.count(b"\r")) + 1
            place = self.taken - len(error.object) + error.start + 1
            where = f"line {line}, byte {place} (0x{error.object[error.start]:02x}) "
        what = f"{self.name}: {where}is no {self.encoding.upper()}"
        if self.given:
            return f"{what}: give the encoding that the file is in."
        if isinstance(error, UnicodeDecodeError) and b"\0" in error.object:
            return f"{what}: save it as UTF-8, or give encoding='utf-16-le' (--encoding)."
        return (
            f"{what}: save it as UTF-8, or give encoding='cp1252' (--encoding) if a Windows "
            "program wrote it."
        )

    def blocks(self) -> Iterator[str]:
        """Everything, in pieces."""
        yield self.head
        self.head = ""
        while not self.cut and (block := self.read()):
            yield self.decode(block)
        yield self.decode(b"")

    def first(self) -> str:
        """The first character that is no white space; empty without one."""
        while not self.head.strip() and (block := self.read()):
            self.head += self.decode(block)
        return self.head.strip()[:1]

    def lines(self) -> Iterator[str]:
        """Lines with their ends: line feed, carriage return, or both; no other sign ends a line."""
        rest: list[str] = []
        for block in self.blocks():
            rest.append(block)
            if "\n" not in block and "\r" not in block:
                continue
            found = StringIO("".join(rest), newline="").readlines()
            # The last is not whole, or what follows its \r is not known yet.
            rest = [] if found[-1].endswith("\n") else [found.pop()]
            yield from found
        yield from StringIO("".join(rest), newline="")
