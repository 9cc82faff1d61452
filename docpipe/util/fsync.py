"""What has to be on the disk before a checkpoint may point to it."""

import contextlib
import os
from pathlib import Path


def sync_file(path: Path) -> None:
    """Bring a file's bytes to the disk.

    Raises:
        OSError: as the disk has it.
    """
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


sync_folder = sync_file
"""Bring a folder's names to the disk: what was made, renamed or removed in it."""


def sync_tree(folder: Path) -> None:
    """Bring the files of a folder, their names and the folder's own name to the disk."""
    for path in folder.iterdir():
        sync_file(path)
    sync_folder(folder)
    sync_folder(folder.parent)
    sync_folder(folder.parent.parent)


def make_folder(folder: Path) -> None:
    """Make a private folder and those above it that are missing, and bring their names to the disk."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):  # somebody else made it meanwhile
        folder.mkdir(mode=0o700)
    sync_folder(folder.parent)


def write_all(file: int, data: bytes | bytearray | memoryview) -> None:
    """Write everything to a file that is open: a call may take less than it is given.

    Raises:
        OSError: as the disk has it.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
