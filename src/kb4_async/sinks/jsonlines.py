"""JSON lines: one record a line, as served."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, BinaryIO

from kb4_async.errors import SinkError
from kb4_async.protocol.page import Page
from kb4_async.sinks.base import Dataset, Position


class JsonLinesSink:
    """Writes ``<directory>/<dataset>.jsonl``.

    Each line is the served record, byte for byte, with only a missing parent's key appended;
    nothing is decoded. Files are created with mode 0600, for they hold personal data. Lines are
    separated by a single line feed; other line separators of Unicode may stand inside strings.

    Args:
        directory: An existing folder.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        self.path = self.directory
        self.file: BinaryIO | None = None
        self.digest = hashlib.sha256()
        self.bytes = 0
        self.rows = 0

    def open(self, dataset: Dataset, position: Position | None) -> None:
        """Begin the file, or cut it back to the position.

        Raises:
            SinkError: The file cannot be opened, or is shorter than the position says.
        """
        self.path = self.directory / f"{dataset.name}.jsonl"
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        # Never through a link: what it points to is not ours to truncate.
        flags |= getattr(os, "O_NOFOLLOW", 0)
        try:
            self.file = os.fdopen(os.open(self.path, flags, 0o600), "r+b")
            if hasattr(os, "fchmod"):
                os.fchmod(self.file.fileno(), 0o600)  # it may be there from before
            keep = int(position["bytes"]) if position else 0
            self.rehash(self.file, keep)
            self.file.truncate(keep)
            self.file.seek(keep)
        except OSError as error:
            raise self.failed(error) from error
        self.bytes = keep
        self.rows = int(position["rows"]) if position else 0

    def rehash(self, file: BinaryIO, length: int) -> None:
        """Take what is kept of an earlier run into the checksum."""
        left = length
        while left:
            piece = file.read(min(left, 1 << 20))
            if not piece:
                msg = f"{self.path} is shorter than the checkpoint says: start over with --fresh."
                raise SinkError(msg)
            self.digest.update(piece)
            left -= len(piece)

    def write(self, page: Page[Any]) -> None:
        """Append a page's records.

        Raises:
            SinkError: The disk is full or gone.
        """
        lines = page.json_lines()
        try:
            self.opened.write(lines)
        except OSError as error:
            raise self.failed(error) from error
        self.digest.update(lines)
        self.bytes += len(lines)
        self.rows += len(page)

    def commit(self) -> Position:
        """Flush to the disk.

        Raises:
            SinkError: The disk is full or gone.
        """
        try:
            self.opened.flush()
            os.fsync(self.opened.fileno())
        except OSError as error:
            raise self.failed(error) from error
        return {
            "file": self.path.name,
            "bytes": self.bytes,
            "rows": self.rows,
            "sha256": self.digest.hexdigest(),
        }

    def close(self, complete: bool) -> None:  # noqa: ARG002, FBT001  # the file is the same either way
        """Close the file.

        Raises:
            SinkError: The disk is full or gone.
        """
        if self.file is None:
            return
        file, self.file = self.file, None
        try:
            file.close()
        except OSError as error:
            raise self.failed(error) from error

    @property
    def opened(self) -> BinaryIO:
        """The open file."""
        if self.file is None:
            msg = "The sink is not open."
            raise SinkError(msg)
        return self.file

    def failed(self, error: OSError) -> SinkError:
        """One sentence for the person who must act."""
        reason = error.strerror or type(error).__name__
        return SinkError(
            f"{self.path} cannot be written ({reason}): free space or mend the destination, then "
            "run the same command again."
        )
