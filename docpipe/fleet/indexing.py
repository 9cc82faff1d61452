"""The search index of a fleet: a process that serves it indexes the documents of each run that ends."""

import asyncio
import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
import structlog

from docpipe.checkpoints import StoredRun
from docpipe.fleet.mirroring import Mirroring
from docpipe.model import RunState
from docpipe.results.report import Entry
from docpipe.search import SearchIndex
from docpipe.storage import Storage

log = structlog.get_logger(__name__)

_FILE: Final = "indexed-until"
_MARGIN_S: Final = 300.0
"""Ends may come to be known so much later than others; what is indexed already is not read again."""
_MANIFEST: Final = "manifest.json"
_AGAIN_S: Final = 30.0
_DELIVERED: Final = (RunState.COMPLETED, RunState.COMPLETED_WITH_ERRORS)


class _Files(msgspec.Struct):
    """What is needed of manifest.json."""

    files: list[Entry]


class Indexing:
    """Indexes runs that have ended since it was last at work, and then each that ends.

    Args:
        index: the search index.
        storage: has the manifests and texts.
        mirror: knows of runs that end.
        folder: the state folder, for how far it is.
    """

    def __init__(self, index: SearchIndex, storage: Storage, mirror: Mirroring, folder: Path) -> None:
        self._index = index
        self._storage = storage
        self._mirror = mirror
        self._path = folder / _FILE
        self._until = self._read()
        self._waiting: dict[str, None] = {}  # a set that keeps its order
        self._wake = asyncio.Event()
        mirror.listeners.append(self._ended)

    def _read(self) -> float:
        with contextlib.suppress(OSError, ValueError):
            return float(self._path.read_text("ascii"))
        return 0.0

    def _ended(self, run_ids: Iterable[str]) -> None:
        self._waiting |= dict.fromkeys(run_ids)
        self._wake.set()

    async def keep(self) -> None:
        """Index for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            waiting, self._waiting = list(self._waiting), {}
            for run in await self._mirror.rows.runs(waiting):
                await self._take(run)

    async def _take(self, run: StoredRun) -> None:
        """Index a run; while the storage is away, try again."""
        ended = run.finished_at
        if run.state not in _DELIVERED or ended is None or ended < self._until - _MARGIN_S:
            return
        while True:
            try:
                manifest = await self._storage.get_run_file(run.patient_id, run.run_id, _MANIFEST)
                break
            except OSError as error:
                log.warning("run_not_indexed", run_id=run.run_id, reason=error.strerror, retry_s=_AGAIN_S)
                await asyncio.sleep(_AGAIN_S)
        if manifest is not None:
            decoded = await asyncio.to_thread(msgspec.json.decode, manifest, type=_Files)
            await self._index.complete(run.patient_id, decoded.files)
        self._until = max(self._until, ended)
        with contextlib.suppress(OSError):  # it is done again, then
            await asyncio.to_thread(self._path.write_text, repr(self._until), "ascii")
