"""Private files that are written anew: as a whole, or not at all."""

import errno
from pathlib import Path

import pytest

from docpipe.util import fsync
from docpipe.util.fsync import replace_file


def test_a_file_is_replaced(tmp_path: Path) -> None:
    """It is private, and what a process that was killed has left does not matter."""
    file = tmp_path / "file"
    (tmp_path / "file.new").write_bytes(b"half")
    for data in (b"first", b"second"):
        replace_file(file, data)
        assert file.read_bytes() == data
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_a_full_disk_leaves_the_earlier_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing beside it."""
    file = tmp_path / "file"
    replace_file(file, b"first")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(fsync, "write_all", full)
    with pytest.raises(OSError, match="full"):
        replace_file(file, b"second")
    assert file.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Neither one in place of the file, nor one in place of the draft."""
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    (tmp_path / "file").symlink_to(precious)
    (tmp_path / "file.new").symlink_to(precious)
    replace_file(tmp_path / "file", b"new")
    assert precious.read_bytes() == b"precious"
    assert (tmp_path / "file").read_bytes() == b"new"
