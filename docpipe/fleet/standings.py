"""What displayed runs do now: queried from Temporal, as long as somebody displays them."""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from temporalio.service import RPCError

from docpipe.checkpoints import Span, StoredRun
from docpipe.errors import DocpipeError
from docpipe.fleet.client import FleetRuns
from docpipe.fleet.mirroring import Mirroring
from docpipe.fleet.views import FleetRun

log = structlog.get_logger(__name__)

FRESH_S: Final = 1.0
"""What was asked so lately is not asked again."""
MOST: Final = 100
"""Of so many runs at a time it is asked; each costs a worker some milliseconds."""
_WITHIN_S: Final = 3.0
_LOOKED_AT_S: Final = 20.0
"""A run that nobody has asked for in this time is not looked at any more."""
_READ_S: Final = 900.0
"""The same while a page reads the events: it may still show the run."""


@dataclass(frozen=True, slots=True)
class Now:
    """How a run stood a moment ago."""

    run: StoredRun
    files: int | None
    """The number of all files, None while that is unknown."""
    waits: Sequence[Span]
    at: float
    """When, by the loop's clock."""


class RunSummaries:
    """What is known of unfinished runs.

    Args:
        runs: of the fleet.
        mirror: knows where Temporal has them.
    """

    def __init__(self, runs: FleetRuns, mirror: Mirroring) -> None:
        self._runs = runs
        self._mirror = mirror
        self._known: dict[str, Now] = {}
        self._wanted: dict[str, float] = {}
        """When each was last asked for, the latest last."""
        self._moved: set[str] = set()
        self._lock = asyncio.Lock()

    def of(self, run: StoredRun) -> Now | None:
        """How an unfinished run stood, None where that is not known."""
        now = self._known.get(run.run_id)
        if run.state.finished or now is None or now.run.retries != run.retries or now.run.state.finished:
            return None
        return now

    def moved(self) -> set[str]:
        """Those that do or wait for something else than at the last call."""
        moved, self._moved = self._moved, set()
        return moved

    async def look(self, run_ids: Iterable[str], fresh_s: float = FRESH_S) -> None:
        """Query the unfinished ones of these runs, now and for a while.

        What does not come within a moment is left for the next time.

        Args:
            run_ids: those that somebody looks at.
            fresh_s: what was asked within so many seconds is not asked again.
        """
        now = asyncio.get_running_loop().time()
        wanted = []
        for run_id in run_ids:
            run = self._mirror.run(run_id)
            if run is None or run.stored.state.finished:
                continue
            wanted.append(run_id)
            self._wanted.pop(run_id, None)
            self._wanted[run_id] = now
        await self._refresh(wanted[:MOST], fresh_s)

    async def keep(self, *, read: bool) -> None:
        """Ask again for those that somebody looks at; `read`: whether somebody reads the events."""
        since = asyncio.get_running_loop().time() - (_READ_S if read else _LOOKED_AT_S)
        for run_id, last in list(self._wanted.items()):
            run = self._mirror.run(run_id)
            if last < since or run is None or run.stored.state.finished:
                del self._wanted[run_id]
                self._known.pop(run_id, None)
        await self._refresh(list(self._wanted)[-MOST:], FRESH_S)

    async def _refresh(self, run_ids: Collection[str], fresh_s: float) -> None:
        async with self._lock:
            since = asyncio.get_running_loop().time() - fresh_s
            stale = [
                run
                for run_id in run_ids
                if (run := self._mirror.run(run_id)) is not None
                and ((known := self._known.get(run_id)) is None or known.at < since)
            ]
            if not stale:
                return
            try:
                async with asyncio.timeout(_WITHIN_S):
                    await self._query(stale)
            except TimeoutError:
                log.info("runs_not_asked", runs=len(stale))
            except (DocpipeError, RPCError) as error:
                log.info("runs_not_asked", runs=len(stale), reason=str(error))

    async def _query(self, runs: list[FleetRun]) -> None:
        loop = asyncio.get_running_loop()
        ended = []
        for stand in await self._runs.statuses_of(runs, asks=bool(await self._runs.workers())):
            run_id, before, standing = stand.now.run_id, self._known.get(stand.now.run_id), stand.standing
            if stand.now.state.finished:
                ended.append(stand.run)
                continue
            files, waits = (standing.files, standing.waits) if standing else (None, [])
            now = Now(stand.now, files, waits, loop.time())
            self._known[run_id] = now
            if before is None or (before.run, before.files) != (now.run, now.files):
                self._moved.add(run_id)
        if ended:
            await self._mirror.learn(ended)
