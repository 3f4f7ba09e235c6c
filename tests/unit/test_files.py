"""Files that are whole at every moment, and what they are never put in the place of."""

import errno
import os
import stat
from pathlib import Path

import pytest

from kb4_async.runtime.files import write_whole


def test_a_file_is_replaced_and_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for data in (b"one", b"two"):
        write_whole(path, data)
        assert path.read_bytes() == data
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "target", tmp_path / "link"
    link.symlink_to(target)
    for data in (b"one", b"two"):  # the first time it leads nowhere yet
        write_whole(link, data)
        assert link.is_symlink()
        assert target.read_bytes() == data
    assert len(list(tmp_path.rglob("*"))) == 3


@pytest.mark.parametrize("what", ["pipe", "folder", "link to itself", "link to a pipe"])
def test_what_is_no_file_is_left_alone(tmp_path: Path, what: str) -> None:
    path = tmp_path / "a"
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    elif what == "link to itself":
        path.symlink_to(path)
    else:
        os.mkfifo(tmp_path / "pipe")
        path.symlink_to(tmp_path / "pipe")
    before = {each: each.lstat() for each in tmp_path.iterdir()}
    with pytest.raises(OSError, match=r"Is a directory|what is there is no file"):
        write_whole(path, b"x")
    assert {each: each.lstat() for each in tmp_path.iterdir()} == before


def test_a_full_disk_leaves_what_was_there_and_nothing_besides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["a"]
