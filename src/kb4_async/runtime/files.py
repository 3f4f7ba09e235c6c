"""Small files that are whole at every moment."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that only its owner reads; whoever looks finds the old one or the new one.

    A link stays, and what it leads to is written.

    Raises:
        OSError: The disk is full or gone, or there is something that is no file, such as a pipe or
            a device; what was there before is there still, and nothing besides.
    """
    path = Path(os.path.realpath(path))
    check_replaceable(path)
    draft = path.with_name(f".{path.name}.tmp")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with suppress(OSError):  # what went wrong first is what is told
            draft.unlink()
        raise


def check_replaceable(path: Path) -> None:
    """Refuse to put a file in the place of something else.

    Raises:
        OSError: There is something that is no file.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "what is there is no file", str(path))
