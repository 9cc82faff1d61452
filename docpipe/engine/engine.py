"""Runs: submits, admits in order, resumes, retries, cancels and stops them."""

import asyncio
import gc
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, Self, TypeVar

import structlog

from docpipe.checkpoints import PackedSteps, Statement, StoredRun
from docpipe.engine.admission import Admission, urgency
from docpipe.engine.pipeline import Ending, conclude
from docpipe.engine.ports import Activities, ActivityLog, Checkpoints
from docpipe.engine.restart import comes_before, restart_point
from docpipe.engine.run import ActiveRun, Change, Listener
from docpipe.errors import UsageError
from docpipe.gates.line import waiting
from docpipe.model import Activity, Clock, RunIds, RunState, Ticket, Wait, WaitKind

__all__ = ["Change", "Engine", "Listener"]

log = structlog.get_logger(__name__)

STOP_S: Final = 8.0
"""Seconds that running activities may take to end when docpipe stops."""
_NOTE_S: Final = 1.0
_COLLECT_EVERY: Final = 1000
"""Runs that end between two full collections of garbage: by itself Python comes to old objects only after
millions of new ones (`runtime.interpreter`), and closed connections are cycles of 1 KB."""
_SLICE: Final = 1000
"""Runs handled in one turn of the loop."""
_T = TypeVar("_T")


class Engine:
    """Runs the pipeline for patients. Use as an async context manager; stopped runs can be resumed."""

    def __init__(
        self,
        *,
        checkpoints: Checkpoints,
        activity_log: ActivityLog,
        activities: Activities,
        clock: Clock,
        ids: RunIds,
        refresh: Callable[[], None] = lambda: None,
        paused: float | None = None,
        until: Activity | None = None,
    ) -> None:
        """Set up; no run starts yet.

        Args:
            checkpoints: the database of runs and their checkpoints.
            activity_log: gets a line at the start and finish of every activity.
            activities: the ten activities.
            clock: the wall clock.
            ids: makes run ids.
            refresh: updates the places in line of all tickets.
            paused: when a pause started, None if not paused.
            until: the last activity that may start; runs stop before the next one, and can be resumed.
        """
        self.checkpoints = checkpoints
        self.activity_log = activity_log
        checkpoints.before_commit(activity_log.write)
        self.clock = clock
        self.stopping = False
        self.runs: dict[str, ActiveRun] = {}
        """The runs in progress."""
        self.listeners: list[Listener] = []
        self._activities = activities
        self._ids = ids
        self._refresh = refresh
        self._admission = Admission()
        self._tasks: set[asyncio.Task[None]] = set()
        self._cancelled: set[asyncio.Task[None]] = set()
        self._uncollected = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._noter: asyncio.Task[None] | None = None
        self._paused: Wait | None = None
        self._unpaused = asyncio.Event()
        self._until = until
        if paused is not None:
            self.pause(paused)

    async def __aenter__(self) -> Self:
        self._noter = asyncio.create_task(self._note_forever(), name="note-doing")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop(grace=0)
        if self._noter is not None:
            self._noter.cancel()

    def notify(self, change: Change) -> None:
        """Call the listeners; one that fails stops no run."""
        for listener in self.listeners:
            try:
                listener(change)
            except Exception:
                log.exception("listener_failed", run_id=change.run_id, activity=change.activity)

    @property
    def waiting(self) -> int:
        """How many runs wait for admission."""
        return self._admission.waiting

    @property
    def queued(self) -> list[StoredRun]:
        """The runs that wait for admission, in their order."""
        return self._admission.queued

    # Pausing

    @property
    def paused_since(self) -> float | None:
        """When the pause started, None while not paused."""
        return None if self._paused is None else self._paused.since

    def pause(self, since: float | None = None) -> None:
        """Start no run and no activity until `unpause`; running activities end.

        Args:
            since: when the pause started, if that was before this process.
        """
        if self._paused is None:
            self._paused = Wait(WaitKind.PAUSE, "", self.clock() if since is None else since)
            self._unpaused.clear()
            log.info("paused")

    def unpause(self) -> None:
        """End a pause."""
        if self._paused is not None:
            self._paused = None
            self._unpaused.set()
            log.info("unpaused")
            self._admit()

    async def wait_until_allowed(self, ticket: Ticket, activity: Activity) -> None:
        """See `run.RunHost.wait_until_allowed`."""
        if self.stopping or not (self._until is None or comes_before(activity, self._until)):
            raise asyncio.CancelledError
        while self._paused is not None:
            with waiting(ticket, self._paused):
                await self._unpaused.wait()

    # Starting and ending runs

    async def submit(self, patient_ids: Iterable[str], priority: int = 0) -> list[StoredRun]:
        """Add a run for each patient; a patient with an unfinished run keeps that one."""
        return [run for run, _ in await self.accept(patient_ids, priority)]

    async def accept(
        self, patient_ids: Iterable[str], priority: int = 0, note: Statement | None = None
    ) -> list[tuple[StoredRun, bool]]:
        """Like `submit`, with whether each run is new. Every run is durable when this returns.

        Args:
            patient_ids: whose runs; an unfinished run of lower priority is raised to this one.
            priority: of these runs.
            note: what the checkpoint database notes in the same transaction.
        """
        wanted: dict[str, str] = {}
        for ids in _slices(patient_ids):
            wanted |= {patient_id: self._ids.new() for patient_id in ids}
            await asyncio.sleep(0)
        accepted: list[tuple[StoredRun, bool]] = []
        with self._admission.reading():
            runs = await self.checkpoints.create_runs(wanted, priority, note)
            for part in _slices(runs):
                accepted += [(run, run.run_id == wanted[run.patient_id]) for run in part]
                for run in part:
                    if (active := self.runs.get(run.run_id)) is not None:  # its next activities go first
                        active.stored = replace(active.stored, priority=run.priority)
                self._enqueue(part)
                await asyncio.sleep(0)
        return accepted

    async def resume(self, patient_ids: Sequence[str] = ()) -> list[StoredRun]:
        """Resume every unfinished run, or those of some patients."""
        with self._admission.reading():
            runs = await self.checkpoints.unfinished()
            if patient_ids:
                wanted = set(patient_ids)
                runs = [run for run in runs if run.patient_id in wanted]
            await self._enqueue_all(await asyncio.to_thread(sorted, runs, key=urgency))
        return runs

    async def retry(self, run_id: str, wanted: Activity | None = None) -> StoredRun:
        """Retry a finished run, from an activity on or from what failed; see restart.restart_point.

        Raises:
            UsageError: if there is no such run, it cannot be retried, or its patient has an unfinished run.
        """
        run = await self._stored(run_id)
        if run.state.finished and (task := self._task_of(run_id)):  # it is still cleaning up
            await asyncio.wait([task])
        steps = await self.checkpoints.packed_steps(run_id)
        first = restart_point(run, steps.values(), wanted)
        with self._admission.reading():
            await self.checkpoints.retry_run(run, first)
            again = await self._stored(run_id)
            if again.retries == run.retries:
                raise UsageError(
                    f"Patient {run.patient_id} has another run, which is unfinished: "
                    "resume or cancel that first."
                )
            self._admission.readmit(run_id)
            log.info("run_retried", run_id=run_id, activity=first, retries=again.retries)
            self._enqueue([again])
        return again

    async def cancel(self, run_id: str) -> StoredRun:
        """Cancel a run: it stops, and then only updates its task.

        That update is part of the run: `wait` waits for it, and after a crash or a stop `resume` makes it. A
        run that has ended is not changed.

        Returns:
            The run once its own work has stopped.

        Raises:
            UsageError: if there is no such run.
        """
        with self._admission.reading():  # who reads it before that is stored must not add it
            self._admission.withdraw(run_id)
            await self.checkpoints.cancel_run(run_id)
        if task := self._task_of(run_id):
            active = self.runs.get(run_id)
            if active is None or not (active.ending or active.gives_up):
                self._cancel(task)
                await asyncio.wait([task])
        run = await self._stored(run_id)
        if run.state is RunState.CANCELLING:
            self._enqueue([run])
        return run

    def _task_of(self, run_id: str) -> asyncio.Task[None] | None:
        return next((task for task in self._tasks if task.get_name() == run_id), None)

    async def _stored(self, run_id: str) -> StoredRun:
        runs = await self.checkpoints.runs([run_id])
        if not runs:
            raise UsageError(f"There is no run {run_id}.")
        return runs[0]

    async def _enqueue_all(self, runs: Iterable[StoredRun]) -> None:
        """Enqueue in slices: there may be 100,000, and the loop must not be blocked."""
        for part in _slices(runs):
            self._enqueue(part)
            await asyncio.sleep(0)

    def _enqueue(self, runs: Iterable[StoredRun]) -> None:
        for run in runs:
            if run.state is RunState.CANCELLING:  # needs no admission: it does not search
                self._begin(run)
            elif run.run_id not in self.runs and not self._admission.is_holding(run.run_id):
                self._admission.add(run)
        self._admit()

    def _admit(self) -> None:
        """Start queued runs while admissions are free."""
        while not (self.stopping or self._paused) and (run := self._admission.next()) is not None:
            self._begin(run)

    def _begin(self, run: StoredRun) -> None:
        if run.run_id in self.runs or self._admission.is_holding(run.run_id) or self.stopping:
            return
        if not self._tasks:
            # From now on something may be spent; while idle nothing is noted.
            self.checkpoints.ledger.note_alive()
        self._admission.hold(run.run_id)
        task = asyncio.create_task(self._run(run), name=run.run_id)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        self._idle.clear()

    def release_admission(self, run_id: str) -> None:
        """Free the admission of a run that has searched, and admit the next run."""
        self._admission.release(run_id)
        self._admit()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Clean up after a task. Not in `_run`: a task cancelled before its first step never executes it."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("run_not_ended", run_id=task.get_name(), cure="docpipe resume", exc_info=error)
        self._tasks.discard(task)
        self._cancelled.discard(task)
        self.runs.pop(task.get_name(), None)
        self.release_admission(task.get_name())
        self._uncollected += 1
        if self._uncollected >= _COLLECT_EVERY:
            self._uncollected = 0
            gc.collect()
        if not self._tasks:
            self._idle.set()

    async def _run(self, stored: StoredRun) -> None:
        run = ActiveRun(self, replace(stored, started_at=stored.started_at or self.clock()), PackedSteps())
        if not _is_unbegun(stored):
            run.steps = await self.checkpoints.packed_steps(run.id)
        if run.gives_up or run.results(Activity.SEARCH):
            self.release_admission(run.id)
        self.runs[run.id] = run
        if stored.state is RunState.QUEUED:  # a resumed run has started already
            self.checkpoints.start_run(run.id)
        ending = await conclude(run, self._activities)
        run.ending = True
        await asyncio.shield(self._finish(run, ending))

    async def _finish(self, run: ActiveRun, ending: Ending) -> None:
        await self.checkpoints.finish_run(run.id, ending.state, ending.counts, ending.task_id, ending.error)
        try:
            await self._activities.clear_spool(run.id)
        except Exception:  # the next start removes the files; the run has ended anyway
            log.exception("spool_not_cleared", run_id=run.id)
        log.info("run_finished", run_id=run.id, state=ending.state, **ending.counts)
        self.notify(Change(run.id, run.patient_id, None, outcome=ending.state))

    async def wait(self) -> None:
        """Wait until every run has ended or stopped."""
        await self._idle.wait()

    async def stop(self, grace: float = STOP_S) -> None:
        """Start nothing new, let activities end within `grace` seconds, then cancel them, resumable."""
        self.stopping = True
        now = asyncio.get_running_loop().time
        deadline = now() + grace
        while self._tasks:
            if now() >= deadline:  # a full disk must not delay the stop
                self.checkpoints.give_up()
                self.activity_log.give_up()
            for task in self._tasks - self._cancelled:
                if now() >= deadline or self._only_waits(task.get_name()):
                    self._cancel(task)
            await asyncio.wait(self._tasks, timeout=0.1)

    def _cancel(self, task: asyncio.Task[None]) -> None:
        """Cancel a task once: a second cancellation would interrupt its last checkpoint."""
        if task not in self._cancelled:
            self._cancelled.add(task)
            task.cancel()

    def _only_waits(self, run_id: str) -> bool:
        run = self.runs.get(run_id)
        return run is None or all(step.ticket.wait is not None for step in run.active.values())

    async def _note_forever(self) -> None:
        """Store the position of each run every second, for `status` in another process."""
        while True:
            await asyncio.sleep(_NOTE_S)
            if self.runs:
                self.checkpoints.ledger.note_alive()
                self._refresh()
            for part in _slices(list(self.runs.values())):
                for run in part:
                    self._note(run)
                await asyncio.sleep(0)

    def _note(self, run: ActiveRun) -> None:
        if (position := run.position()) != run.last_noted and run.id in self.runs:
            run.last_noted = position
            run.note_wait()
            self.checkpoints.note_doing(run.id, run.doing())


def _is_unbegun(run: StoredRun) -> bool:
    """Whether a run has no steps: its start is written with the first of them, or before."""
    return run.state is RunState.QUEUED and run.started_at is None and not run.retries


def _slices(many: Iterable[_T]) -> Iterator[list[_T]]:
    rest = iter(many)
    while part := list(itertools.islice(rest, _SLICE)):
        yield part
