"""A copy of all runs of a fleet in the memory of a serving process, kept current from Temporal's lists.

Temporal can list runs neither by what its values say, which are encrypted, nor in pages of our order. So all
are read once, and then every second what has begun or ended since.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Final

import structlog
from temporalio.client import WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError

from docpipe.checkpoints.mirror import Mirror
from docpipe.errors import ConfigError, UnreachableError
from docpipe.fleet.client import FleetRuns
from docpipe.fleet.requests import moment_of
from docpipe.fleet.views import FleetRun, run_of

log = structlog.get_logger(__name__)

EVERY_S: Final = 1.0
MOST: Final = 100_000
"""So many ended runs are kept, the latest; an older one is known by its id only."""
_FIRST: Final = 1000
"""So many of them are read before the service begins; the others follow."""
_MARGIN_S: Final = 15.0
"""What has begun or ended may be listed so much later."""
_AGAIN_S: Final = 300.0
"""So often all unfinished runs are listed: one may have ended unnoticed."""
_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class _Mirrored:
    run: FleetRun
    began: float
    """The execution; by Temporal's clock."""


class Mirroring:
    """Keeps a mirror of the runs.

    Args:
        runs: of the fleet.
    """

    def __init__(self, runs: FleetRuns) -> None:
        self.rows = Mirror()
        self.trouble: str | None = None
        """Why Temporal was not read at the last try, None if it was."""
        self.listeners: list[Callable[[Iterable[str]], None]] = []
        """Called with the ids of runs that are new or have ended."""
        self._runs = runs
        self._known: dict[str, _Mirrored] = {}
        self._seen: dict[str, WorkflowExecutionStatus | None] = {}
        """Executions that are known, with their status then: the others are decrypted."""
        self._began = self._ended = 0.0
        """The latest times that were listed."""
        self._lock = asyncio.Lock()

    def run(self, run_id: str) -> FleetRun | None:
        """A run and where Temporal has it, None where it is not known."""
        known = self._known.get(run_id)
        return None if known is None else known.run

    async def load(self) -> None:
        """Read all that are unfinished, and the latest others.

        Raises:
            UnreachableError: if Temporal does not answer.
        """
        await self._read("ExecutionStatus = 'Running'")
        await self._read("ExecutionStatus != 'Running'", most=_FIRST)

    async def keep(self) -> None:
        """Read the rest, and then what begins and ends, for ever."""
        loop = asyncio.get_running_loop()
        rest, again_at = True, loop.time() + _AGAIN_S
        while True:
            try:
                if rest:
                    await self._read("ExecutionStatus != 'Running'", most=MOST)
                    rest = False
                await self.refresh()
                if loop.time() >= again_at:
                    await self._look_for_lost()
                    again_at = loop.time() + _AGAIN_S
                self.trouble = None
            except (UnreachableError, RPCError) as error:
                self.trouble = str(error)
            except (ConfigError, OSError) as error:  # a key or a payload is missing: others are served
                log.warning("runs_not_read", reason=str(error))
            await asyncio.sleep(EVERY_S)

    async def refresh(self) -> None:
        """Read what has begun or ended since the last time."""
        began, ended = (moment_of(max(0.0, last - _MARGIN_S)) for last in (self._began, self._ended))
        await self._read(f"ExecutionStatus = 'Running' AND StartTime >= {began}")
        await self._read(f"ExecutionStatus != 'Running' AND CloseTime >= {ended}")

    async def _read(self, query: str, most: int = MOST) -> None:
        number = 0
        batch: list[WorkflowExecution] = []
        async for execution in self._listed(query):
            number += 1
            if self._seen.get(execution.run_id, 0) != execution.status:
                batch.append(execution)
            if len(batch) >= _BATCH:
                await self._learn_all(batch)
                batch = []
            if number >= most:
                break
        await self._learn_all(batch)

    async def _listed(self, query: str) -> AsyncIterator[WorkflowExecution]:
        async for execution in self._runs.executions(query):
            self._began = max(self._began, execution.start_time.timestamp())
            if execution.close_time is not None:
                self._ended = max(self._ended, execution.close_time.timestamp())
            yield execution

    async def _learn_all(self, executions: list[WorkflowExecution]) -> None:
        known = []
        for execution in executions:
            known.append(_Mirrored(await run_of(execution), execution.start_time.timestamp()))
            self._seen[execution.run_id] = execution.status
        await self._take(known)

    async def learn(self, runs: Iterable[FleetRun]) -> None:
        """Take over runs as they were just described: nothing older comes after that."""
        known = []
        for run in runs:
            before = self._known.get(run.stored.run_id)
            same = before is not None and before.run.execution == run.execution
            known.append(_Mirrored(run, before.began if before is not None and same else self._began))
        await self._take(known)

    async def _take(self, several: Iterable[_Mirrored]) -> None:
        async with self._lock:
            fresh: dict[str, _Mirrored] = {}
            for one in several:
                stored = one.run.stored
                before = fresh.get(stored.run_id) or self._known.get(stored.run_id)
                if before is None or _is_newer(one, before):
                    fresh[stored.run_id] = one
            if not fresh:
                return
            await self.rows.put([one.run.stored for one in fresh.values()])
            self._known |= fresh
        for listener in self.listeners:
            listener(fresh)

    async def drop(self, run_ids: list[str]) -> None:
        """Forget runs that Temporal has deleted."""
        async with self._lock:
            for run_id in run_ids:
                self._known.pop(run_id, None)
            await self.rows.drop(run_ids)

    async def _look_for_lost(self) -> None:
        """Ask for each unfinished run that Temporal does not list as running."""
        listed = {execution.run_id async for execution in self._listed("ExecutionStatus = 'Running'")}
        for run_id, known in list(self._known.items()):
            if known.run.stored.state.finished or known.run.execution in listed:
                continue
            if (run := await self._runs.described(known.run.workflow)) is None:
                await self.drop([run_id])
            elif run.stored.run_id == run_id:
                await self.learn([run])


def _is_newer(one: _Mirrored, before: _Mirrored) -> bool:
    """Whether a run is as it was later: after a retry, in a later history, or at its end."""

    def at(known: _Mirrored) -> tuple[int, float, bool]:
        return known.run.stored.retries, known.began, known.run.stored.state.finished

    return at(one) > at(before)
