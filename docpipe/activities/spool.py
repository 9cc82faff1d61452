"""The spool as a folder of this machine, and the names that are in it beside the files of an archive."""

import asyncio
import json
import shutil
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from docpipe.util.fsync import make_folder, sync_folder

SIBLINGS: Final = "siblings.json"
"""The names of the files of an archive, for documents that refer to them."""


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
