"""JSON lines: one record a line, as served."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

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
        self.file: FileIO | None = None
        self.digest = hashlib.sha256()
        self.bytes = 0
        self.rows = 0

    def open(self, dataset: Dataset, position: Position | None) -> None:
        """Begin the file, or cut it back to the position.

        Raises:
            SinkError: The file cannot be opened, or does not hold what the position says.
        """
        self.path = self.directory / f"{dataset.name}.jsonl"
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        # Never through a link: what it points to is not ours to truncate.
        flags |= getattr(os, "O_NOFOLLOW", 0)
        keep = int(position["bytes"]) if position else 0
        try:
            # Pages are large and written whole: a buffer would only hide which of them arrived.
            self.file = os.fdopen(os.open(self.path, flags, 0o600), "r+b", buffering=0)
            if hasattr(os, "fchmod"):
                os.fchmod(self.file.fileno(), 0o600)  # it may be there from before
            if position:
                self.rehash(self.file, keep, position.get("sha256"))
            self.file.truncate(keep)
            self.file.seek(keep)
            sync_folder(self.directory)
        except (OSError, SinkError) as error:
            if self.file is not None:
                self.file.close()
            self.file = None
            raise (self.failed(error) if isinstance(error, OSError) else error) from error
        self.bytes = keep
        self.rows = int(position["rows"]) if position else 0

    def rehash(self, file: FileIO, length: int, expected: object) -> None:
        """Take what is kept of an earlier run into the checksum, which tells whether it is that.

        Raises:
            SinkError: It is something else.
        """
        left = length
        while left and (piece := file.read(min(left, 1 << 20))):
            self.digest.update(piece)
            left -= len(piece)
        if left or self.digest.hexdigest() != expected:
            what = "is shorter than" if left else "is not what"
            msg = f"{self.path} {what} the checkpoint says: start over with --fresh (fresh=True)."
            raise SinkError(msg)

    def write(self, page: Page[Any]) -> None:
        """Append a page's records, or nothing.

        Raises:
            SinkError: The disk is full or gone.
        """
        lines = page.json_lines()
        file = self.opened
        try:
            left = memoryview(lines)
            while left:
                left = left[file.write(left) or 0 :]
        except OSError as error:
            with suppress(OSError):  # what is left of it is cut off when the file is opened again
                file.truncate(self.bytes)
                file.seek(self.bytes)
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
    def opened(self) -> FileIO:
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


def sync_folder(folder: Path) -> None:
    """Make it durable that a file was made, where the system lets folders be opened.

    Raises:
        OSError: The disk is gone.
    """
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
