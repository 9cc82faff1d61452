"""The runs of a fleet for commands, with the values that a state folder gives."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, TypeVar

import structlog
from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.common import Priority, WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from docpipe.checkpoints import StoredRun, StoredStep
from docpipe.engine.restart import restart_point
from docpipe.errors import UnreachableError, UsageError
from docpipe.fleet.flow import CARD, NAME
from docpipe.fleet.keys import Keyring
from docpipe.fleet.messages import Card, Doing, Ended, Standing, Start
from docpipe.fleet.queues import PIPELINE, priority_key, run_queue
from docpipe.fleet.requests import PATIENCE_S, all_of, answered, moment_of, pollers_of, quoted
from docpipe.fleet.views import FleetRun, Stand, as_it_stands, pending_of, run_of, steps_before
from docpipe.model import Activity, Clock, RunIds, time_of

log = structlog.get_logger(__name__)

_EVERY_S: Final = 1.0
_FEW: Final = 50
"""As many runs are asked one by one; of more the server lists what has ended."""
_SOME: Final = 200
"""Of as many runs workers are asked how they stand, which costs each a replay where it is not in memory."""
_MARGIN_S: Final = 60.0
_PAGE: Final = 500
_LATEST: Final = 1000
_SKEW_S: Final = 3600.0
"""So much the clocks of machines may differ."""
_QUERY_S: Final = 3.0
"""So long a worker may take to say how a run stands."""
_ULID: Final = 26

_Handle = WorkflowHandle[Any, Any]
_T = TypeVar("_T")


@dataclass(eq=False)
class FleetRuns:
    """Submits, lists, waits for, cancels and retries runs.

    Args:
        client: the connection.
        keys: of the fleet; workflows are named by a keyed hash of their patients.
        prefix: the name of the fleet.
        clock: the wall clock.

    Every method raises UnreachableError where Temporal does not answer.
    """

    client: Client
    keys: Keyring
    prefix: str
    clock: Clock = time.time
    longest: int = 0
    """See `Start.longest`."""
    notify: bool = False
    """See `Start.notify`."""
    pipeline: int = PIPELINE
    """Of the release that begins runs."""
    patience: float = PATIENCE_S
    """Seconds for which Temporal is asked while it is away."""
    _ids: RunIds = field(default_factory=RunIds)

    async def _answered(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        return await answered(ask, self.patience)

    def _names(self, patient_id: str) -> list[str]:
        """The names of a patient's workflows, that of the key in use first."""
        return [f"{self.prefix}:{hashed}" for hashed in self.keys.hashed(patient_id)]

    async def submit(self, patient_ids: Iterable[str], priority: int = 0) -> list[FleetRun]:
        """Begin a run for each patient; one with an unfinished run keeps that."""
        return [run for run, _ in await self.accept(patient_ids, priority)]

    async def accept(self, patient_ids: Iterable[str], priority: int = 0) -> list[tuple[FleetRun, bool]]:
        """Like `submit`, with whether each run is new."""
        patients = list(dict.fromkeys(patient_ids))
        return await all_of(lambda patient: self._submit(patient, priority), patients)

    async def begin_due(self, due: Mapping[str, float], priority: int) -> list[FleetRun]:
        """Like `submit`, for patients with when each was due; one with a run since then keeps that."""
        return await all_of(lambda each: self._submit_due(each[0], each[1], priority), list(due.items()))

    async def _submit_due(self, patient_id: str, at: float, priority: int) -> FleetRun:
        latest = await self.described(self._names(patient_id)[0])
        if latest is not None and latest.stored.created_at >= at:
            return latest
        return (await self._submit(patient_id, priority))[0]

    async def _submit(self, patient_id: str, priority: int) -> tuple[FleetRun, bool]:
        for older in self._names(patient_id)[1:]:  # of a key that was in use before
            known = await self.described(older)
            if known is not None and not known.stored.state.finished:
                return known, False
        now, run_id = self.clock(), self._ids.new()
        start = Start(
            run_id=run_id,
            patient_id=patient_id,
            prefix=self.prefix,
            pipeline=self.pipeline,
            priority=priority,
            created_at=now,
            longest=self.longest,
            notify=self.notify,
        )
        handle = await self._start(start, WorkflowIDConflictPolicy.USE_EXISTING)
        known = await self.described(handle.id)
        if known is None:
            raise UnreachableError(f"Temporal has lost the run {run_id} that it accepted: submit it again.")
        if known.stored.priority < priority and not known.stored.state.finished:
            await self._raised(known, priority)
        return known, known.stored.run_id == run_id

    async def _raised(self, run: FleetRun, priority: int) -> None:
        """Raise the priority of a run; one that has ended meanwhile is left alone."""
        handle = self.client.get_workflow_handle(run.workflow, run_id=run.execution)
        try:
            await self._answered(lambda: handle.signal("raise_priority", priority))
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    async def _start(self, start: Start, conflict: WorkflowIDConflictPolicy) -> _Handle:
        card = Card(
            run_id=start.run_id,
            patient_id=start.patient_id,
            priority=start.priority,
            created_at=start.created_at,
            started_at=start.started_at or None,
            retries=start.retries,
            retried_from=start.retried_from,
        )
        return await self._answered(
            lambda: self.client.start_workflow(
                NAME,
                start,
                id=self._names(start.patient_id)[0],
                task_queue=run_queue(self.prefix, self.pipeline),
                id_conflict_policy=conflict,
                memo={CARD: card},
                priority=Priority(priority_key=priority_key(start.priority, Activity.CREATE_TASK)),
            )
        )

    async def described(self, workflow: str) -> FleetRun | None:
        """The latest run of a workflow, None where Temporal knows none."""
        handle = self.client.get_workflow_handle(workflow)
        try:
            described = await self._answered(handle.describe)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        return await run_of(described)

    async def runs(self, which: str | None = None, latest: int = _LATEST) -> list[FleetRun]:
        """Unfinished runs and the latest others, oldest first, as of `checkpoints.read_runs`.

        Args:
            which: a patient id or run id; None for all.
            latest: how many at most.
        """
        by_id: dict[str, FleetRun] = {}
        for name in self._names(which) if which else ():  # what was submitted just now is not listed yet
            if (run := await self.described(name)) is not None:
                by_id[run.stored.run_id] = run
        for query in await self._queries(which):
            async for run in self._listed(query):
                if len(by_id) >= latest:
                    break
                stored = run.stored
                if which is not None and which not in (stored.run_id, stored.patient_id):
                    continue
                known = by_id.get(stored.run_id)
                if known is None or known.stored.retries < stored.retries:
                    by_id[stored.run_id] = run
        return sorted(by_id.values(), key=lambda run: (not run.stored.state.finished, run.stored.run_id))

    async def _queries(self, which: str | None) -> list[str]:
        if which is None:
            return ["ExecutionStatus = 'Running'", "ExecutionStatus != 'Running'"]
        names = self._names(which)
        if len(which) == _ULID:
            names += await self._workflows_of(which)
        return [f"WorkflowId IN ({', '.join(map(quoted, names))})"]

    async def _workflows_of(self, run_id: str) -> list[str]:
        """The workflow of a run: a run's id says when it was submitted."""
        at = time_of(run_id)
        if at is None:
            return []
        around = f"StartTime BETWEEN {moment_of(at - _SKEW_S)} AND {moment_of(at + _SKEW_S)}"
        for query in (around, ""):
            async for run in self._listed(query):
                if run.stored.run_id == run_id:
                    return [run.workflow]
        return []

    async def _listed(self, query: str) -> AsyncIterator[FleetRun]:
        async for execution in self.executions(query):
            yield await run_of(execution)

    async def executions(self, query: str) -> AsyncIterator[WorkflowExecution]:
        """Executions of runs as Temporal lists them, that of an earlier history of a run left out.

        Args:
            query: in Temporal's words; empty for all.
        """
        mine = f"WorkflowType = '{NAME}' AND ExecutionStatus != 'ContinuedAsNew'"
        listed = self.client.list_workflows(f"{mine} AND {query}" if query else mine, page_size=_PAGE)
        pages = listed.__aiter__()
        while True:
            try:
                execution = await self._answered(lambda: anext(pages))
            except StopAsyncIteration:
                return
            if execution.id.startswith(f"{self.prefix}:"):
                yield execution

    async def wait(
        self, runs: Sequence[FleetRun], each: Callable[[StoredRun], None] = lambda _: None
    ) -> list[StoredRun]:
        """Wait until runs have ended; calls `each` with every one. In the order of `runs`."""
        ended = {run.stored.run_id: run.stored for run in runs if run.stored.state.finished}
        left = {run.stored.run_id: run for run in runs if run.stored.run_id not in ended}
        for run in ended.values():
            each(run)
        since = self.clock() - _SKEW_S
        while left:
            newly, since = await self._newly_ended(list(left.values()), since)
            for run in newly:
                if left.pop(run.run_id, None) is not None:
                    ended[run.run_id] = run
                    each(run)
            if left:
                await asyncio.sleep(_EVERY_S)
        return [ended[run.stored.run_id] for run in runs]

    async def _newly_ended(self, left: Sequence[FleetRun], since: float) -> tuple[list[StoredRun], float]:
        """Those that have ended, and from when on others are to be listed the next time."""
        if len(left) <= _FEW:
            names = [run.workflow for run in left]
            known = [run.stored for run in await all_of(self.described, names) if run is not None]
            return [run for run in known if run.state.finished], since
        ended, retries = [], {run.stored.run_id: run.stored.retries for run in left}
        latest = since
        async for run in self._listed(f"ExecutionStatus != 'Running' AND CloseTime > {moment_of(since)}"):
            stored = run.stored
            latest = max(latest, (stored.finished_at or since) - _MARGIN_S)
            if retries.get(stored.run_id) == stored.retries:
                ended.append(stored)
        return ended, latest

    async def with_progress(self, runs: Sequence[FleetRun]) -> list[StoredRun]:
        """The same runs; unfinished ones with what they are at, and their task and documents so far."""
        unfinished = [run for run in runs if not run.stored.state.finished]
        asks = 0 < len(unfinished) <= _SOME and bool(await self.workers())
        now = {run.run_id: run for run, _, _ in await self.statuses_of(unfinished, asks=asks)}
        return [now.get(run.stored.run_id, run.stored) for run in runs]

    async def statuses_of(self, runs: Sequence[FleetRun], *, asks: bool) -> list[Stand]:
        """How unfinished runs stand, with what their workflows answered.

        Args:
            runs: some.
            asks: whether a worker says it, for documents and task so far; else only Temporal.
        """
        return await all_of(lambda run: self._at(run, asks=asks), runs)

    async def _at(self, run: FleetRun, *, asks: bool) -> Stand:
        handle = self.client.get_workflow_handle(run.workflow)
        described = await self._answered(handle.describe)
        newest = await run_of(described)
        if newest.stored.run_id != run.stored.run_id or newest.stored.state.finished:
            newest = newest if newest.stored.run_id == run.stored.run_id else run
            return Stand(newest.stored, newest, None)
        cancelling = described.raw_description.workflow_extended_info.cancel_requested
        pending, standing = await pending_of(described), await self._standing(newest) if asks else None
        now = as_it_stands(newest.stored, cancelling=cancelling, pending=pending, standing=standing)
        return Stand(now, newest, standing)

    async def workers(self) -> list[str]:
        """The workers that ask for runs now, by their names."""
        return sorted(await self.pollers())

    async def pollers(self) -> dict[str, float]:
        """The same, with when each last asked."""
        queue = run_queue(self.prefix, self.pipeline)
        names = await self._answered(lambda: pollers_of(self.client, queue))
        since = self.clock() - _MARGIN_S
        return {name: last for name, last in names.items() if last > since}

    async def doing(self, run: FleetRun) -> Doing | None:
        """What the workflow says of itself; None where no worker answers in time."""
        return await self._query_run(run, "doing", Doing)

    async def _standing(self, run: FleetRun) -> Standing | None:
        """The same in brief."""
        return await self._query_run(run, "standing", Standing)

    async def _query_run(self, run: FleetRun, query: str, kind: type[_T]) -> _T | None:
        handle = self.client.get_workflow_handle(run.workflow, run_id=run.execution)
        try:
            timeout = timedelta(seconds=_QUERY_S)
            answer: _T = await handle.query(query, result_type=kind, rpc_timeout=timeout)
        except (RPCError, WorkflowQueryFailedError):
            return None
        return answer

    async def steps(self, run: FleetRun) -> list[StoredStep]:
        """The activities of a run in the order of their start.

        Raises:
            UnreachableError: if it is unfinished, and no worker can say.
        """
        if run.stored.state.finished and (ended := await self._ended(run)) is not None:
            return ended.steps
        doing = await self.doing(run)
        if doing is None:
            raise UnreachableError(
                f"No worker says how run {run.stored.run_id} stands: `docpipe worker` starts one."
            )
        active = [StoredStep(one.activity, one.item, 1, one.since, None, None, None) for one in doing.active]
        return [*doing.steps, *active]

    async def _ended(self, run: FleetRun) -> Ended | None:
        """What a finished run returned; None where it did not end by itself."""
        handle = self.client.get_workflow_handle(run.workflow, run_id=run.execution, result_type=Ended)
        try:
            return await self._answered(handle.result)
        except WorkflowFailureError:
            return None

    async def cancel(self, run: FleetRun) -> None:
        """Cancel a run; `wait` waits for its end. One that has ended is not changed."""
        handle = self.client.get_workflow_handle(run.workflow, run_id=run.execution)
        try:
            await self._answered(handle.cancel)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    async def retry(self, run: FleetRun, wanted: Activity | None = None) -> FleetRun:
        """Retry a finished run, from an activity on or from what failed; see restart.restart_point.

        Raises:
            UsageError: if it cannot be retried, or its patient has an unfinished run.
        """
        stored = run.stored
        ended = await self._ended(run) if stored.state.finished else None
        steps = ended.steps if ended else []
        first = restart_point(stored, steps, wanted)
        start = Start(
            run_id=stored.run_id,
            patient_id=stored.patient_id,
            prefix=self.prefix,
            pipeline=self.pipeline,
            priority=stored.priority,
            created_at=stored.created_at,
            started_at=stored.started_at or 0.0,
            retries=stored.retries + 1,
            retried_from=first,
            steps=steps_before(steps, first),
            begun=ended.begun if ended else [Activity.CREATE_TASK],
            longest=self.longest,
            notify=self.notify,
        )
        try:
            handle = await self._start(start, WorkflowIDConflictPolicy.FAIL)
        except WorkflowAlreadyStartedError as error:
            raise UsageError(
                f"Patient {stored.patient_id} has another run, which is unfinished: wait for it, or cancel "
                "it first."
            ) from error
        log.info("run_retried", run_id=stored.run_id, activity=first, retries=start.retries)
        again = await self.described(handle.id)
        if again is None:
            raise UnreachableError(f"Temporal has lost the run {stored.run_id}: retry it again.")
        return again
