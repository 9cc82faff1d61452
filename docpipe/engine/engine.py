"""Runs: submits, admits in order, resumes, retries, cancels and stops them."""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, Self, TypeVar

import structlog

from docpipe.checkpoints import StoredRun
from docpipe.engine.pipeline import Ending, give_up, retrieve
from docpipe.engine.ports import Activities, ActivityLog, Checkpoints
from docpipe.engine.restart import comes_before, restart_point
from docpipe.engine.run import ActiveRun, Change, Listener
from docpipe.errors import DocpipeError, UsageError
from docpipe.gates.line import waiting
from docpipe.model import Activity, Clock, RunIds, RunState, Ticket, Wait, WaitKind
from docpipe.runtime.logs import place_of

__all__ = ["Change", "Engine", "Listener"]

log = structlog.get_logger(__name__)

ADMITTED: Final = 64
"""Runs admitted that have not searched yet; more would only wait for the search quota."""
STOP_S: Final = 8.0
"""How long running activities may take to end when docpipe stops."""
_NOTE_S: Final = 1.0
_SLICE: Final = 1000
"""Runs handled in one turn of the loop."""
_T = TypeVar("_T")


class Engine:
    """Runs patients. Use as an async context manager; `stop` makes it end early, resumable."""

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
        """Set up; nothing runs yet.

        Args:
            checkpoints: what survives the process.
            activity_log: gets a line at the start and finish of every activity.
            activities: what runs do.
            clock: the wall clock.
            ids: makes run ids.
            refresh: updates what tickets say of their places in line.
            paused: when a pause started, None if not paused.
            until: the last activity that may start; runs stop before the next one, and can be resumed.
        """
        self.checkpoints = checkpoints
        self.activity_log = activity_log
        checkpoints.write_first(activity_log.write)
        self.clock = clock
        self.stopping = False
        self.runs: dict[str, ActiveRun] = {}
        """The runs in progress."""
        self.listeners: list[Listener] = []
        self._activities = activities
        self._ids = ids
        self._refresh = refresh
        self._queue: list[tuple[float, int, StoredRun]] = []
        self._order = itertools.count()
        self._given_up: set[str] = set()
        """Cancelled runs, so that a caller who read them before the cancellation does not enqueue them."""
        self._starting: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._cancelled: set[asyncio.Task[None]] = set()
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
        return len(self._queue)

    # Pausing

    @property
    def paused_since(self) -> float | None:
        """When the pause started, None while not paused."""
        return None if self._paused is None else self._paused.since

    def pause(self, since: float | None = None) -> None:
        """Begin no run and no activity until `unpause`; what is in progress ends.

        Args:
            since: when the pause started, if before this process.
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

    # Beginning and ending

    async def submit(self, patient_ids: Iterable[str], priority: int = 0) -> list[StoredRun]:
        """Add a run for each patient; a patient with an unfinished run keeps that one."""
        return [run for run, _ in await self.accept(patient_ids, priority)]

    async def accept(self, patient_ids: Iterable[str], priority: int = 0) -> list[tuple[StoredRun, bool]]:
        """Like `submit`, with whether each run is new. Every run is durable when this returns."""
        wanted: dict[str, str] = {}
        for some in _slices(patient_ids):
            wanted |= {patient_id: self._ids.new() for patient_id in some}
            await asyncio.sleep(0)
        runs = await self.checkpoints.create_runs(wanted, priority)
        accepted: list[tuple[StoredRun, bool]] = []
        for part in _slices(runs):
            accepted += [(run, run.run_id == wanted[run.patient_id]) for run in part]
            self._enqueue(part)
            await asyncio.sleep(0)
        return accepted

    async def resume(self, patient_ids: Sequence[str] = ()) -> list[StoredRun]:
        """Resume every unfinished run, or those of some patients."""
        runs = await self.checkpoints.unfinished()
        if patient_ids:
            wanted = set(patient_ids)
            runs = [run for run in runs if run.patient_id in wanted]
        await self._enqueue_all(await asyncio.to_thread(sorted, runs, key=_urgency))
        return runs

    async def retry(self, run_id: str, wanted: Activity | None = None) -> StoredRun:
        """Retry a finished run, from an activity on or from what failed; see restart.restart_point.

        Raises:
            UsageError: if there is no such run, it cannot be retried, or its patient has an unfinished run.
        """
        run = await self._stored(run_id)
        if run.state.finished and (task := self._task_of(run_id)):  # it still cleans up
            await asyncio.wait([task])
        first = restart_point(run, await self.checkpoints.steps(run_id), wanted)
        await self.checkpoints.retry_run(run, first)
        again = await self._stored(run_id)
        if again.retries == run.retries:
            raise UsageError(
                f"Patient {run.patient_id} has another run, which is unfinished: resume or cancel that first."
            )
        self._given_up.discard(run_id)
        log.info("run_retried", run_id=run_id, activity=first, retries=again.retries)
        self._enqueue([again])
        return again

    async def cancel(self, run_id: str) -> StoredRun:
        """Cancel a run: it stops where it is, and then only updates its task.

        That update is part of the run: `wait` waits for it, a crash or a stop leaves it to `resume`. A run
        that has ended stays as it is.

        Returns:
            The run as it stands when its own work has stopped.

        Raises:
            UsageError: if there is no such run.
        """
        self._given_up.add(run_id)
        await self.checkpoints.cancel_run(run_id)
        self._queue = [entry for entry in self._queue if entry[2].run_id != run_id]
        heapq.heapify(self._queue)
        if task := self._task_of(run_id):
            under_way = self.runs.get(run_id)
            if under_way is None or not (under_way.ending or under_way.gives_up):
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
        """Enqueue in slices: there may be 100,000, and the loop must not be held up."""
        for some in _slices(runs):
            self._enqueue(some)
            await asyncio.sleep(0)

    def _enqueue(self, runs: Iterable[StoredRun]) -> None:
        for run in runs:
            if run.state is RunState.CANCELLING:  # needs no admission: it does not search
                self._begin(run)
            elif run.run_id not in self._given_up:
                heapq.heappush(self._queue, (_urgency(run), next(self._order), run))
        self._admit()

    def _admit(self) -> None:
        """Start runs in order while fewer than `ADMITTED` have not searched yet."""
        while self._queue and len(self._starting) < ADMITTED and not self.stopping and not self._paused:
            self._begin(heapq.heappop(self._queue)[2])

    def _begin(self, run: StoredRun) -> None:
        if run.run_id in self.runs or run.run_id in self._starting or self.stopping:
            return
        self._starting.add(run.run_id)
        task = asyncio.create_task(self._run(run), name=run.run_id)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        self._idle.clear()

    def release_admission(self, run_id: str) -> None:
        """Free the admission place of a run that has searched, and admit the next run."""
        self._starting.discard(run_id)
        self._admit()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Clean up here, not at the end of `_run`: a task cancelled before it first runs never gets there."""
        self._tasks.discard(task)
        self._cancelled.discard(task)
        self.runs.pop(task.get_name(), None)
        self.release_admission(task.get_name())
        if not self._tasks:
            self._idle.set()

    async def _run(self, stored: StoredRun) -> None:
        run = ActiveRun(self, replace(stored, started_at=stored.started_at or self.clock()), {})
        run.steps = {(step.activity, step.item): step for step in await self.checkpoints.steps(run.id)}
        if run.gives_up or run.results(Activity.SEARCH):
            self.release_admission(run.id)
        self.runs[run.id] = run
        if stored.state is RunState.QUEUED:  # thousands that are resumed have begun already
            self.checkpoints.start_run(run.id)
        ending = await self._outcome(run)
        run.ending = True
        await asyncio.shield(self._finish(run, ending))

    async def _outcome(self, run: ActiveRun) -> Ending:
        """A failure becomes an outcome here; only cancellation passes."""
        try:
            return await (give_up if run.gives_up else retrieve)(run, self._activities)
        except DocpipeError as error:
            message = str(error)
        except Exception as error:
            log.exception("run_broken", run_id=run.id)
            message = f"docpipe itself failed ({place_of(error)}): please report this."
        created = run.steps.get((Activity.CREATE_TASK, ""))
        task_id = created.result.get("task_id") if created is not None and created.result else None
        return Ending(RunState.CANCELLED if run.gives_up else RunState.FAILED, {}, task_id, message)

    async def _finish(self, run: ActiveRun, ending: Ending) -> None:
        await self.checkpoints.finish_run(run.id, ending.state, ending.counts, ending.task_id, ending.error)
        await self._activities.clear_spool(run.id)
        log.info("run_finished", run_id=run.id, state=ending.state, **ending.counts)
        self.notify(Change(run.id, run.patient_id, None, outcome=ending.state))

    async def wait(self) -> None:
        """Return when every run has ended or stopped."""
        await self._idle.wait()

    async def stop(self, grace: float = STOP_S) -> None:
        """Start nothing new, let activities end within `grace` seconds, then cancel them; all can resume."""
        self.stopping = True
        now = asyncio.get_running_loop().time
        deadline = now() + grace
        while self._tasks:
            if now() >= deadline:  # a full disk must not hold up the stop
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
                self.checkpoints.note_alive()
                self._refresh()
            for some in _slices(list(self.runs.values())):
                for run in some:
                    self._note(run)
                await asyncio.sleep(0)

    def _note(self, run: ActiveRun) -> None:
        if (position := run.position()) != run.last_noted and run.id in self.runs:
            run.last_noted = position
            run.note_wait()
            self.checkpoints.note_doing(run.id, run.doing())


def _urgency(run: StoredRun) -> float:
    return Ticket(run.run_id, run.priority).urgency(run.created_at)


def _slices(many: Iterable[_T]) -> Iterator[list[_T]]:
    rest = iter(many)
    while some := list(itertools.islice(rest, _SLICE)):
        yield some
