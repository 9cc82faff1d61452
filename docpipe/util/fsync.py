"""Durable files and folders: a checkpoint may only refer to data that has been synced."""

import contextlib
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
    """Create a private folder with its missing parents, and sync their names."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):  # another thread created it meanwhile
        folder.mkdir(mode=0o700)
    sync_folder(folder.parent)


def write_all(file: int, data: bytes | bytearray | memoryview) -> None:
    """Write all bytes to an open file: one call of `os.write` may write fewer.

    Raises:
        OSError: if the disk refuses.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
