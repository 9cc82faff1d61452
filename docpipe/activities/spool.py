"""The spool as a folder of this machine, and the names that are in it beside the files of an archive."""

import asyncio
import json
import os
import shutil
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from docpipe.results.files import Archive, item_of
from docpipe.util.fsync import make_folder, sync_folder

SIBLINGS: Final = "siblings.json"
"""The names of the files of an archive, for documents that refer to them."""
OUT: Final = "out"
"""The folder of a run with a folder for the outputs of each conversion."""
_TOGETHER: Final = 256
"""At most so many folders of a run are made at once."""


@dataclass(frozen=True, slots=True)
class FolderSpool:
    """A folder that only this process uses, so that what it wrote is there; see model.Spool."""

    folder: Path

    def path(self, run_id: str) -> Path:
        """See model.Spool."""
        return self.folder / run_id

    async def keep(self, run_id: str, names: Iterable[str]) -> None:
        """Nothing is to be done: nobody else needs them."""

    async def need(self, run_id: str, names: Iterable[str]) -> None:
        """Nothing is to be done: the engine checks before that they are there."""

    async def drop(self, run_id: str) -> None:
        """See model.Spool."""
        await asyncio.to_thread(shutil.rmtree, self.path(run_id), ignore_errors=True)


@dataclass(frozen=True, slots=True)
class OutFolders:
    """Folders for the outputs of a run's conversions, made together, so that one fsync holds all their names.

    It knows only those that this process has made; for all others there is `make_empty`.
    """

    _made: dict[str, set[str]] = field(default_factory=dict)
    """Names below OUT by run id; each is empty, and its name is on the disk."""

    def make(self, folder: Path, items: Sequence[str]) -> None:
        """Make the first of them below the folder of a run, in a thread."""
        out, made = folder / OUT, set()
        for item in items[:_TOGETHER]:
            try:
                os.mkdir(f"{out}/{item}", 0o700)  # noqa: PTH102 -- a Path costs as much as the call
            except FileExistsError:  # of an earlier attempt
                continue
            made.add(item)
        if made:
            sync_folder(out)
        self._made[folder.name] = made

    def take(self, run_id: str, item: str) -> bool:
        """Whether a folder is there, empty and durable; from now on the caller uses it."""
        made = self._made.get(run_id, set())
        if item not in made:
            return False
        made.remove(item)
        return True

    def forget(self, run_id: str) -> None:
        """Forget a run that has ended."""
        self._made.pop(run_id, None)


def _names(done: Archive) -> list[str]:
    """The names of the files of an archive."""
    return [member.path for member in done.members if member.file]


def prepare_spool(folders: OutFolders, folder: Path, done: Archive) -> str:
    """Write what conversions need beside the files; returns the name of what all of them read."""
    files = [item_of(number) for number, one in enumerate(done.members, 1) if one.file and not one.outcome]
    folders.make(folder, files)
    write_siblings(folder, _names(done))
    return SIBLINGS


def mend_siblings(folder: Path, done: Archive) -> None:
    """Write the names where they are missing: docpipe 0.1 left that to the first conversion."""
    if not (folder / SIBLINGS).exists() and (names := _names(done)):
        write_siblings(folder, names)


def write_siblings(folder: Path, names: Sequence[str]) -> None:
    """Write the names of the files of an archive into the folder of a run."""
    file = folder / SIBLINGS
    part = file.with_name(f"{file.name}.{threading.get_ident()}")
    part.write_text(json.dumps(names), "utf-8")
    part.replace(file)


def make_empty(folder: Path) -> None:
    """Make an empty folder for a conversion."""
    try:
        folder.mkdir(mode=0o700)
    except FileNotFoundError:  # its parent was made by an older docpipe, or by `check --repair`
        make_folder(folder.parent)
        folder.mkdir(mode=0o700)
    except FileExistsError:  # of an earlier attempt
        shutil.rmtree(folder)
        folder.mkdir(mode=0o700)
    sync_folder(folder.parent)
