"""Runs: admits them in order, checkpoints their activities, replays those checkpoints after a crash."""

import asyncio
import contextlib
import heapq
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, Self

import structlog

from docpipe.activities import Activities
from docpipe.activity_log import ActivityLog, Entry
from docpipe.checkpoints import Checkpoints, StoredRun, StoredStep
from docpipe.errors import DocpipeError, RunError
from docpipe.logs import place_of
from docpipe.model import Activity, Clock, Json, RunIds, RunState, Ticket
from docpipe.pipeline import Ending, retrieve

log = structlog.get_logger(__name__)

ADMITTED: Final = 64
"""Runs between their begin and their search; more would only wait in line for the search quota."""
STOP_S: Final = 8.0
"""What is under way when docpipe is told to stop may take this long to end."""
_NOTE_S: Final = 1.0
_ERROR: Final = "error!"
"""The key under which a checkpoint holds an error instead of a result."""


@dataclass(frozen=True, slots=True)
class Change:
    """What listeners are told: an activity that begins or ends, a run that ends."""

    run_id: str
    patient_id: str
    activity: Activity | None
    """None when the run as a whole has ended."""
    item: str = ""
    outcome: str | None = None
    """None when it begins."""
    result: Json = None


Listener = Callable[[Change], None]


@dataclass(slots=True, eq=False)
class _Step:
    """One try of an activity; what activities know as model.Step."""

    run: "_Run"
    activity: Activity
    item: str
    attempt: int
    started: float
    ticket: Ticket
    state: Json | None

    @property
    def key(self) -> str:
        return ":".join(filter(None, (self.run.id, self.activity, self.item)))

    async def save(self, state: Json) -> None:
        self.state = state
        await self.run.engine.checkpoints.save_step(self.run.id, self.activity, self.item, state)

    def note(self, state: Json) -> None:
        self.state = state
        self.run.engine.checkpoints.note_step(self.run.id, self.activity, self.item, state)


@dataclass(slots=True, eq=False)
class _Run:
    """One run under way; what the pipeline knows as pipeline.Run."""

    engine: "Engine"
    stored: StoredRun
    steps: dict[tuple[str, str], StoredStep]
    active: dict[tuple[str, str], _Step] = field(default_factory=dict)
    told: tuple[Any, ...] = ()

    @property
    def id(self) -> str:
        return self.stored.run_id

    @property
    def patient_id(self) -> str:
        return self.stored.patient_id

    async def do(
        self,
        activity: Activity,
        work: Callable[..., Awaitable[Json]],
        *args: Json,
        item: str = "",
        about: Json = None,
        valid: Callable[[Json], bool] | None = None,
    ) -> Json:
        """See pipeline.Run.do."""
        past = self.steps.get((activity, item))
        if past is not None and past.result is not None:
            if isinstance(past.result, dict) and _ERROR in past.result:
                raise RunError(past.result[_ERROR])
            if valid is None or valid(past.result):
                return past.result
        async with self._try(activity, item, past, about or {}) as step:
            step.result = await work(step.step, *args)
        return step.result

    @contextlib.asynccontextmanager
    async def _try(
        self, activity: Activity, item: str, past: StoredStep | None, about: Json
    ) -> AsyncIterator["_Try"]:
        """Around each try: the log's start and finish, the times, the checkpoint of a result or an error."""
        engine = self.engine
        if engine.stopping:
            raise asyncio.CancelledError
        step = _Step(
            self,
            activity,
            item,
            attempt=1 if past is None else past.attempts + 1,
            started=engine.clock(),
            ticket=Ticket(self.id, self.stored.priority),
            state=None if past is None else past.state,
        )
        entry = Entry(self.id, self.patient_id, activity, step.attempt, about)
        self.active[activity, item] = step
        engine.checkpoints.begin_step(self.id, activity, item)
        engine.tell(Change(self.id, self.patient_id, activity, item))
        await engine.activity_log.start(entry)
        this = _Try(step)
        outcome = "ok"
        try:
            yield this
        except RunError as error:
            outcome, this.result = "failed", {_ERROR: str(error)}
            raise
        except BaseException as error:
            outcome = "stopped" if isinstance(error, asyncio.CancelledError) else "failed"
            raise
        finally:
            del self.active[activity, item]
            duration = engine.clock() - step.started
            await asyncio.shield(engine.activity_log.finish(entry, duration, outcome))
            if this.result is not None:
                await asyncio.shield(engine.checkpoints.finish_step(self.id, activity, item, this.result))
                self._remember(step, this.result)
            engine.tell(Change(self.id, self.patient_id, activity, item, outcome, this.result))

    def _remember(self, step: _Step, result: Json) -> None:
        if step.activity is Activity.SEARCH:
            self.engine.past_search(self.id)
        self.steps[step.activity, step.item] = StoredStep(
            step.activity, step.item, step.attempt, step.started, self.engine.clock(), None, result
        )

    def story(self) -> Json:
        """See pipeline.Run.story."""
        timeline = [
            {
                "activity": past.activity,
                "item": past.item,
                "attempts": past.attempts,
                "started": _iso(past.started_at),
                "finished": None if past.finished_at is None else _iso(past.finished_at),
                "outcome": "failed" if isinstance(past.result, dict) and _ERROR in past.result else "ok",
            }
            for past in sorted(self.steps.values(), key=lambda step: (step.started_at, step.item))
        ]
        return {"started": _iso(self.stored.started_at or self.engine.clock()), "timeline": timeline}

    def at(self) -> tuple[Any, ...]:
        """The activity begun first that is not over, and what it waits for, to compare with a second ago."""
        step = next(iter(self.active.values()), None)
        wait = step and step.ticket.wait
        return (step, *((wait.kind, wait.what, wait.place, round(wait.until or 0)) if wait else ()))

    def doing(self) -> Json:
        """The same as JSON."""
        step = next(iter(self.active.values()), None)
        if step is None:
            return {}
        wait = step.ticket.wait
        doing = {"activity": step.activity, "since": step.started, "wait": wait and asdict(wait)}
        if step.activity is Activity.CHECK_STATUS and step.state:
            doing["progress"] = step.state["progress"]
        return doing


@dataclass(slots=True)
class _Try:
    step: _Step
    result: Json = None


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
    ) -> None:
        """Set up; nothing runs yet. `refresh` brings what tickets say of lines up to date."""
        self.checkpoints = checkpoints
        self.activity_log = activity_log
        self.clock = clock
        self.stopping = False
        self.runs: dict[str, _Run] = {}
        """The runs under way."""
        self.listeners: list[Listener] = []
        self._activities = activities
        self._ids = ids
        self._refresh = refresh
        self._queue: list[tuple[float, int, StoredRun]] = []
        self._order = itertools.count()
        self._starting: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._noter: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._noter = asyncio.create_task(self._note_forever(), name="note-doing")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop(grace=0)
        if self._noter is not None:
            self._noter.cancel()

    def tell(self, change: Change) -> None:
        """Tell the listeners."""
        for listener in self.listeners:
            listener(change)

    @property
    def waiting(self) -> int:
        """How many runs wait for their turn to begin."""
        return len(self._queue)

    async def submit(self, patient_ids: Iterable[str], priority: int = 0) -> list[StoredRun]:
        """Add a run for each patient; one that has an unfinished run goes on with that."""
        wanted = list(dict.fromkeys(patient_ids))
        unfinished = {run.patient_id for run in await self.checkpoints.unfinished()}
        new = [patient_id for patient_id in wanted if patient_id not in unfinished]
        await asyncio.gather(
            *(self.checkpoints.create_run(self._ids.new(), patient_id, priority) for patient_id in new)
        )
        by_patient = {run.patient_id: run for run in await self.checkpoints.unfinished()}
        runs = [by_patient[patient_id] for patient_id in wanted]
        self._enqueue(runs)
        return runs

    async def resume(self, patient_ids: Sequence[str] = ()) -> list[StoredRun]:
        """Go on with every unfinished run, or with those of some patients."""
        runs = await self.checkpoints.unfinished()
        if patient_ids:
            runs = [run for run in runs if run.patient_id in patient_ids]
        self._enqueue(runs)
        return runs

    def _enqueue(self, runs: Iterable[StoredRun]) -> None:
        for run in runs:
            ticket = Ticket(run.run_id, run.priority)
            heapq.heappush(self._queue, (ticket.urgency(run.created_at), next(self._order), run))
        self._admit()

    def _admit(self) -> None:
        """Begin runs in order, as long as few enough stand before their search."""
        while self._queue and len(self._starting) < ADMITTED and not self.stopping:
            run = heapq.heappop(self._queue)[2]
            if run.run_id in self.runs or run.run_id in self._starting:
                continue
            self._starting.add(run.run_id)
            task = asyncio.create_task(self._run(run), name=run.run_id)
            self._tasks.add(task)
            task.add_done_callback(self._ended)
            self._idle.clear()

    def past_search(self, run_id: str) -> None:
        """The run no longer stands before its search: another may begin."""
        self._starting.discard(run_id)
        self._admit()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not self._tasks:
            self._idle.set()

    async def _run(self, stored: StoredRun) -> None:
        run = _Run(self, replace(stored, started_at=stored.started_at or self.clock()), {})
        try:
            run.steps = {(step.activity, step.item): step for step in await self.checkpoints.steps(run.id)}
            if any(key[0] == Activity.SEARCH and past.result for key, past in run.steps.items()):
                self.past_search(run.id)
            self.runs[run.id] = run
            self.checkpoints.start_run(run.id)
            ending = await self._outcome(run)
            await asyncio.shield(self._finish(run, ending))
        finally:
            self.runs.pop(run.id, None)
            self.past_search(run.id)

    async def _outcome(self, run: _Run) -> Ending:
        """A failure becomes an outcome here; only cancellation passes."""
        try:
            return await retrieve(run, self._activities)
        except DocpipeError as error:
            message = str(error)
        except Exception as error:
            log.exception("run_broken", run_id=run.id)
            message = f"docpipe itself failed ({place_of(error)}): please report this."
        created = run.steps.get((Activity.CREATE_TASK, ""))
        task_id = created.result.get("task_id") if created is not None and created.result else None
        return Ending(RunState.FAILED, {}, task_id, message)

    async def _finish(self, run: _Run, ending: Ending) -> None:
        await self.checkpoints.finish_run(run.id, ending.state, ending.counts, ending.task_id, ending.error)
        await self._activities.clear_spool(run.id)
        log.info("run_finished", run_id=run.id, state=ending.state, **ending.counts)
        self.tell(Change(run.id, run.patient_id, None, outcome=ending.state))

    async def wait(self) -> None:
        """Return when every run is over, or all have stopped."""
        await self._idle.wait()

    async def stop(self, grace: float = STOP_S) -> None:
        """Begin nothing new, give what is under way a while to end, then cancel it; all of it resumes."""
        self.stopping = True
        now = asyncio.get_running_loop().time
        deadline = now() + grace
        cancelled: set[asyncio.Task[None]] = set()  # once each: a second time would hurt its last checkpoint
        while self._tasks:
            for task in self._tasks - cancelled:
                if now() >= deadline or self._only_waits(task.get_name()):
                    task.cancel()
                    cancelled.add(task)
            await asyncio.wait(self._tasks, timeout=0.1)

    def _only_waits(self, run_id: str) -> bool:
        run = self.runs.get(run_id)
        return run is None or all(step.ticket.wait is not None for step in run.active.values())

    async def _note_forever(self) -> None:
        """Keep what each run is at in the database, for `status` in another process."""
        while True:
            await asyncio.sleep(_NOTE_S)
            if self.runs:
                self.checkpoints.note_alive()
                self._refresh()
            for run in self.runs.values():
                if (at := run.at()) != run.told:
                    run.told = at
                    self.checkpoints.note_doing(run.id, run.doing())


def _iso(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds")
