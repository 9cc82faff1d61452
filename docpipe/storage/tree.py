"""A storage as a tree of names, for reading all of it: plain functions, called in a thread.

A path is written with slashes, from the patient's folder down.
"""

import hashlib
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from docpipe.storage.names import FLEET, TEMPORARY
from docpipe.util.fsync import sync_folder


@dataclass(frozen=True, slots=True)
class Listing:
    """What is in a patient's folder, by path from there, without links."""

    folders: set[str] = field(default_factory=set)
    files: dict[str, int] = field(default_factory=dict)
    """With their bytes."""

    def within(self, folder: str) -> dict[str, int]:
        """The files of a folder by name."""
        start = f"{folder}/"
        return {
            path.removeprefix(start): size
            for path, size in self.files.items()
            if path.startswith(start) and "/" not in path.removeprefix(start)
        }


class Tree(Protocol):
    """What a storage holds. Methods raise FileNotFoundError for what is not there, else OSError."""

    def patients(self) -> list[str]:
        """The folders of patients, in order."""

    def orphans(self) -> list[str]:
        """Temporary files that a crash left at the top."""

    def listing(self, patient: str) -> Listing:
        """All of a patient's."""

    def names(self, folder: str) -> list[str]:
        """The names in a folder, in order, without what is below them; none where there is no such folder."""

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""

    def read(self, path: str) -> bytes:
        """A small file."""

    def sha256(self, path: str) -> str:
        """In hex digits, of a file of any size."""

    def copy(self, path: str, target: Path) -> None:
        """Copy a file, sharing no bytes on the disk."""

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with its content."""

    def where(self, path: str = "") -> str:
        """A path for people."""


class FolderTree:
    """A folder."""

    def __init__(self, root: Path, refuse_other: Callable[[], None] = lambda: None) -> None:
        self._root = root
        self._refuse_other = refuse_other
        """Raises OSError if the disk with the storage is not mounted: nothing is missing then."""

    def patients(self) -> list[str]:
        """See Tree."""
        self._refuse_other()
        if not self._root.is_dir():
            return []
        with os.scandir(self._root) as entries:
            return sorted(
                entry.name
                for entry in entries
                if entry.is_dir(follow_symlinks=False) and not entry.name.startswith((TEMPORARY, FLEET))
            )

    def orphans(self) -> list[str]:
        """See Tree."""
        if not self._root.is_dir():
            return []
        return sorted(name for name in os.listdir(self._root) if name.startswith(TEMPORARY))  # noqa: PTH208

    def listing(self, patient: str) -> Listing:
        """See Tree."""
        listing, top = Listing(), self._root / patient
        if not top.exists():
            self._refuse_other()
        for folder, inner, files in os.walk(top):
            here = os.path.relpath(folder, top)
            start = "" if here == os.curdir else f"{here}/"
            listing.folders.update(f"{start}{name}" for name in inner if not Path(folder, name).is_symlink())
            for name in files:
                try:
                    seen = os.lstat(os.path.join(folder, name))  # noqa: PTH118 -- of each file there is
                except FileNotFoundError:
                    continue
                if stat.S_ISREG(seen.st_mode):
                    listing.files[f"{start}{name}"] = seen.st_size
        return listing

    def names(self, folder: str) -> list[str]:
        """See Tree."""
        try:
            return sorted(os.listdir(self._root / folder))  # noqa: PTH208 -- a Path for each costs more
        except FileNotFoundError:
            self._refuse_other()
            return []

    def exists(self, path: str) -> bool:
        """See Tree."""
        if (self._root / path).exists():
            return True
        self._refuse_other()
        return False

    def read(self, path: str) -> bytes:
        """See Tree."""
        return (self._root / path).read_bytes()

    def sha256(self, path: str) -> str:
        """See Tree."""
        with (self._root / path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def copy(self, path: str, target: Path) -> None:
        """See Tree."""
        shutil.copyfile(self._root / path, target)

    def remove(self, path: str) -> None:
        """See Tree."""
        gone = self._root / path
        if gone.is_dir() and not gone.is_symlink():
            shutil.rmtree(gone)
        else:
            gone.unlink(missing_ok=True)
        if gone.parent.is_dir():
            sync_folder(gone.parent)

    def where(self, path: str = "") -> str:
        """See Tree."""
        return str(self._root / path)
