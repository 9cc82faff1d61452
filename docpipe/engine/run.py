"""One run in progress: replays the checkpoints of its activities, and checkpoints what has none."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from docpipe.checkpoints import StoredRun, StoredStep
from docpipe.engine.ports import ActivityLog, Checkpoints
from docpipe.engine.restart import ERROR, comes_before, failed, failure
from docpipe.engine.wait_history import WaitHistory
from docpipe.errors import RunError
from docpipe.model import Activity, Clock, Json, RunState, Ticket, Wait
from docpipe.runtime.activity_log import Entry


class Change(NamedTuple):  # two for each activity, and a tuple is made in a third of the time
    """An event for listeners: an activity starts or ends, or a run ends."""

    run_id: str
    patient_id: str
    activity: Activity | None
    """None when the run as a whole has ended."""
    item: str = ""
    outcome: str | None = None
    """None when the activity starts."""
    result: Json = None


Listener = Callable[[Change], None]


class RunHost(Protocol):
    """What a run needs of its engine."""

    checkpoints: Checkpoints
    activity_log: ActivityLog
    clock: Clock

    def notify(self, change: Change) -> None:
        """Call the listeners."""

    def release_admission(self, run_id: str) -> None:
        """The run has searched: its place among admitted runs is free."""

    async def wait_until_allowed(self, ticket: Ticket, activity: Activity) -> None:
        """Return when an activity may start: at once, unless docpipe is paused.

        Raises:
            CancelledError: if it may no longer start in this process; activities that are running end.
        """


@dataclass(slots=True, eq=False)
class ActiveStep:
    """One attempt at an activity; activities know it as `model.Step`."""

    run: "ActiveRun"
    activity: Activity
    item: str
    attempt: int
    started: float
    ticket: Ticket
    state: Json | None
    entry: Entry = field(init=False)
    """Its lines in the activity log."""

    @property
    def key(self) -> str:
        """See model.Step."""
        retries = self.run.stored.retries  # the key of an earlier time would bring its answer back
        words = (self.run.id, self.activity, self.item, f"retry{retries}" if retries else "")
        return ":".join(filter(None, words))

    async def save(self, state: Json) -> None:
        """See model.Step."""
        self.state = state
        await self.run.engine.checkpoints.save_step(self.run.id, self.activity, self.item, state)

    def note(self, state: Json) -> None:
        """See model.Step."""
        self.state = state
        self.run.engine.checkpoints.note_step(self.run.id, self.activity, self.item, state)


@dataclass(slots=True, eq=False)
class ActiveRun:
    """One run in progress; the pipeline knows it as `pipeline.Run`."""

    engine: RunHost
    stored: StoredRun
    steps: dict[tuple[str, str], StoredStep]
    active: dict[tuple[str, str], ActiveStep] = field(default_factory=dict)
    last_noted: tuple[Any, ...] = ()
    """What `position` returned when the run was noted last."""
    ending: bool = False
    """Whether only the final state remains to be written."""
    waited: WaitHistory = field(init=False)

    def __post_init__(self) -> None:
        self.waited = WaitHistory(self.stored.doing.get("waited"))

    @property
    def id(self) -> str:
        """See pipeline.Run.id."""
        return self.stored.run_id

    @property
    def patient_id(self) -> str:
        """See pipeline.Run.patient_id."""
        return self.stored.patient_id

    @property
    def current(self) -> ActiveStep | None:
        """The step that started first of those that have not ended, None between steps."""
        return next(iter(self.active.values()), None)

    @property
    def gives_up(self) -> bool:
        """Whether the run is being cancelled: all that is left is to update the task."""
        return self.stored.state is RunState.CANCELLING

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
            if failed(past.result):
                raise RunError(past.result[ERROR])
            if valid is None or self._all_stored or valid(past.result):
                return past.result
        step = await self._start(activity, item, past, about)
        result, outcome = None, "ok"
        try:
            result = await work(step, *args)
        except RunError as error:
            outcome, result = "failed", failure(error)
            raise
        except BaseException as error:
            outcome = "stopped" if isinstance(error, asyncio.CancelledError) else "failed"
            raise
        finally:
            await self._finish(step, outcome, result)
        return result

    async def _start(self, activity: Activity, item: str, past: StoredStep | None, about: Json) -> ActiveStep:
        """Before each attempt: wait until it may start, then log and publish that it does."""
        engine = self.engine
        step = ActiveStep(
            run=self,
            activity=activity,
            item=item,
            attempt=1 if past is None else past.attempts + 1,
            started=engine.clock(),
            ticket=Ticket(self.id, self.stored.priority),
            state=None if past is None else past.state,
        )
        self.active[activity, item] = step
        try:
            await engine.wait_until_allowed(step.ticket, activity)
        except BaseException:
            del self.active[activity, item]
            raise
        step.entry = Entry(self.id, self.patient_id, activity, step.attempt, about)
        engine.checkpoints.begin_step(self.id, activity, item)
        engine.activity_log.start(step.entry)
        engine.notify(Change(self.id, self.patient_id, activity, item))
        return step

    async def _finish(self, step: ActiveStep, outcome: str, result: Json) -> None:
        """After each attempt: the finish line of the log, then the checkpoint of a result or an error.

        There is no await between the two, so that a cancellation cannot separate them.
        """
        engine, activity, item = self.engine, step.activity, step.item
        del self.active[activity, item]
        engine.activity_log.finish(step.entry, engine.clock() - step.started, outcome)
        if result is None:
            await engine.activity_log.flush()
        else:
            await engine.checkpoints.finish_step(self.id, activity, item, result)
            self._remember(step, result)
        engine.notify(Change(self.id, self.patient_id, activity, item, outcome, result))

    def is_repeating(self, activity: Activity) -> bool:
        """See pipeline.Run.is_repeating."""
        first = self.stored.retried_from
        return first is not None and comes_before(first, activity)

    @property
    def _all_stored(self) -> bool:
        """Whether a retry starts after all documents were stored, and so needs nothing of the spool."""
        return self.stored.retried_from is not None and not self.is_repeating(Activity.STORE)

    def results(self, activity: Activity) -> dict[str, Json]:
        """See pipeline.Run.results."""
        steps = (step for step in self.steps.values() if step.activity == activity)
        return {step.item: step.result for step in steps if step.result and not failed(step.result)}

    def may_have_started(self, activity: Activity) -> bool:
        """See pipeline.Run.may_have_started."""
        past = self.steps.get((activity, ""))
        return past is not None and (past.state is not None or past.result is not None)

    def _remember(self, step: ActiveStep, result: Json) -> None:
        if step.activity is Activity.SEARCH:
            self.engine.release_admission(self.id)
        self.steps[step.activity, step.item] = StoredStep(
            step.activity, step.item, step.attempt, step.started, self.engine.clock(), None, result
        )

    def history(self) -> Json:
        """See pipeline.Run.history."""
        timeline = [
            {
                "activity": past.activity,
                "item": past.item,
                "attempts": past.attempts,
                "started": _iso(past.started_at),
                "finished": None if past.finished_at is None else _iso(past.finished_at),
                "outcome": "failed" if failed(past.result) else "ok",
                **self._polls(past),
            }
            for past in sorted(self.steps.values(), key=lambda step: (step.started_at, step.item))
        ]
        now = self.engine.clock()
        waits = [
            span | {"since": _iso(span["since"]), "until": _iso(span["until"] or now)}
            for span in self.waited.spans
        ]
        started = self.stored.started_at or now
        return {"started": _iso(started), "timeline": timeline, "waits": waits}

    def _polls(self, past: StoredStep) -> dict[str, Json]:
        """When a search was polled, as far back as that is kept."""
        search = self.steps.get((Activity.SEARCH, past.item))
        result = past.result
        if (
            past.activity != Activity.CHECK_STATUS
            or search is None
            or failed(search.result)
            or failed(result)
        ):
            return {}
        if search.result is None or result is None:
            return {}
        end = past.finished_at or self.engine.clock()  # the times kept are rounded
        return {"polls": [_iso(min(search.result["at"] + after, end)) for after in result.get("asked", ())]}

    def position(self) -> tuple[Any, ...]:
        """The current step and what it waits for, to compare with those of a second ago."""
        step = self.current
        wait = step and step.ticket.wait
        return (step, *((wait.kind, wait.what, wait.place, round(wait.until or 0)) if wait else ()))

    def note_wait(self) -> None:
        """Add what the run waits for now to its wait history."""
        step = self.current
        wait = None if step is None else step.ticket.wait
        self.waited.note(step.activity if step else "", wait, self.engine.clock())

    def doing(self) -> Json:
        """The current step as JSON, with the wait history, for a process that resumes the run."""
        step = self.current
        if step is None:
            return {}
        wait = _wait_as_json(step.ticket.wait)
        doing = {"activity": step.activity, "since": step.started, "wait": wait}
        if self.waited.spans:
            doing["waited"] = self.waited.spans
        if step.activity is Activity.CHECK_STATUS and step.state:
            doing["progress"] = step.state["progress"]
        return doing


def _wait_as_json(wait: Wait | None) -> Json:
    """A wait as JSON. dataclasses.asdict would copy each value deeply, for every run every second."""
    if wait is None:
        return None
    return {
        "kind": wait.kind,
        "what": wait.what,
        "since": wait.since,
        "until": wait.until,
        "place": wait.place,
    }


def _iso(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds")


def current_waits(runs: Iterable[ActiveRun]) -> Iterator[tuple[ActiveRun, Wait]]:
    """What each of these runs waits for now, where it waits."""
    for run in runs:
        step = run.current
        if step is not None and step.ticket.wait is not None:
            yield run, step.ticket.wait
