"""Durable files and folders: a checkpoint may only refer to data that has been synced."""

import contextlib
import errno
import os
import shutil
from pathlib import Path


def sync_file(path: Path) -> None:
    """Sync the bytes of a file.

    Raises:
        OSError: if the disk refuses.
    """
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


sync_folder = sync_file
"""Sync the names in a folder: files that were created, renamed or removed."""


def sync_tree(folder: Path) -> None:
    """Sync the files of a folder, their names and the folder's own name."""
    for path in folder.iterdir():
        sync_file(path)
    sync_folder(folder)
    sync_folder(folder.parent)
    sync_folder(folder.parent.parent)


def emptied(folder: Path) -> None:
    """Make a private folder anew, without what another attempt left in it; its name is not synced."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)


def make_folder(folder: Path) -> None:
    """Create a private folder with its missing parents, and sync their names.

    Raises:
        OSError: if the disk refuses; EROFS also where a file system has no new folders, as /proc.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:  # another thread created it meanwhile
        pass
    except FileNotFoundError as error:
        reason = "no folder can be made there"
        raise OSError(errno.EROFS, reason, str(folder)) from error
    sync_folder(folder.parent)


def write_all(file: int, data: bytes | bytearray | memoryview) -> None:
    """Write all bytes to an open file: one call of `os.write` may write fewer.

    Raises:
        OSError: if the disk refuses.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def write_new(path: Path, data: bytes) -> None:
    """Write a private file that does not exist yet, and sync its bytes.

    Raises:
        OSError: if it exists, or the disk refuses.
    """
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        write_all(file, data)
        os.fsync(file)
    finally:
        os.close(file)


def replace_file(path: Path, data: bytes) -> None:
    """Write a private file in place of an earlier one, durably; readers see one or the other as a whole.

    One process at a time may do this to a file.

    Raises:
        OSError: if the disk refuses; the earlier file stays.
    """
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    try:
        write_new(draft, data)
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
