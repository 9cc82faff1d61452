"""Creates folders when they are needed, and syncs their names to the disk."""

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Final

from docpipe.util.fsync import make_folder, sync_folder

_REMEMBERED: Final = 4096


class MadeFolders:
    """Makes folders below a root. May be used by several threads.

    A name that has been synced once needs no second fsync: the latest folders that others are in are
    remembered. Somebody may remove one of them all the same; then it is made anew, with those above it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: OrderedDict[Path, None] = OrderedDict()
        self._lock = threading.Lock()

    def make(self, folder: Path) -> bool:
        """Make a folder private, with those above it that are missing; all names are on the disk then.

        Returns: whether it is new, and so empty.

        Raises:
            OSError: as the disk has it.
        """
        try:
            return self._make(folder)
        except FileNotFoundError:  # one that was known is gone
            with self._lock:
                self._known.clear()
            return self._make(folder)

    def move(self, source: str, folder: Path) -> None:
        """Rename a folder that is on the disk, with what is in it, to one below the root; durably.

        Raises:
            OSError: as the disk has it; the name is taken, or on another file system.
        """
        try:
            self._move(source, folder)
        except FileNotFoundError:
            with self._lock:
                self._known.clear()
            self._move(source, folder)

    def _move(self, source: str, folder: Path) -> None:
        self._make_parent(folder.parent)
        os.rename(source, folder)  # noqa: PTH104 -- a Path costs as much as the call
        sync_folder(folder.parent)

    def _make_parent(self, parent: Path) -> None:
        if not self._knows(parent):
            if parent == self._root:
                make_folder(parent)
            else:
                self._make(parent)
            self._know(parent)

    def _make(self, folder: Path) -> bool:
        parent = folder.parent
        self._make_parent(parent)
        try:
            folder.mkdir(mode=0o700)
            new = True
        except FileExistsError:
            new = False
        sync_folder(parent)  # also where it was there: a crash may have come before this
        return new

    def _knows(self, folder: Path) -> bool:
        with self._lock:
            if folder not in self._known:
                return False
            self._known.move_to_end(folder)
            return True

    def _know(self, folder: Path) -> None:
        with self._lock:
            self._known[folder] = None
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
