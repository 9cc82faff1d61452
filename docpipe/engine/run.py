"""One run under way: replays the checkpoints of its activities, and checkpoints what has none."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from docpipe.checkpoints import StoredRun, StoredStep
from docpipe.engine.ports import ActivityLog, Checkpoints
from docpipe.engine.restart import ERROR, comes_before, failed, failure
from docpipe.engine.wait_history import Waited
from docpipe.errors import RunError
from docpipe.model import Activity, Clock, Json, RunState, Ticket, Wait
from docpipe.runtime.activity_log import Entry


class Change(NamedTuple):  # two for each activity, and a tuple is made in a third of the time
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


class Keeper(Protocol):
    """What a run needs of the engine that it is part of."""

    checkpoints: Checkpoints
    activity_log: ActivityLog
    clock: Clock

    def tell(self, change: Change) -> None:
        """Tell the listeners."""

    def past_search(self, run_id: str) -> None:
        """The run no longer stands before its search."""

    async def turn(self, ticket: Ticket, activity: Activity) -> None:
        """Return when an activity may begin: at once, unless docpipe is paused.

        Raises:
            CancelledError: if it may not begin in this process any more; siblings that are under way end.
        """


@dataclass(slots=True, eq=False)
class OneStep:
    """One try of an activity; what activities know as model.Step."""

    run: "OneRun"
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
class OneRun:
    """One run under way; what the pipeline knows as pipeline.Run."""

    engine: Keeper
    stored: StoredRun
    steps: dict[tuple[str, str], StoredStep]
    active: dict[tuple[str, str], OneStep] = field(default_factory=dict)
    told: tuple[Any, ...] = ()
    ending: bool = False
    """Whether all is done but to write it down."""
    waited: Waited = field(init=False)

    def __post_init__(self) -> None:
        self.waited = Waited(self.stored.doing.get("waited"))

    @property
    def id(self) -> str:
        """See pipeline.Run.id."""
        return self.stored.run_id

    @property
    def patient_id(self) -> str:
        """See pipeline.Run.patient_id."""
        return self.stored.patient_id

    @property
    def gives_up(self) -> bool:
        """Whether all that is left to do is to tell the tracker."""
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
        step = await self._begun(activity, item, past, about)
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
            await self._over(step, outcome, result)
        return result

    async def _begun(self, activity: Activity, item: str, past: StoredStep | None, about: Json) -> OneStep:
        """Before each try: wait until it may begin, and let all know that it does."""
        engine = self.engine
        step = OneStep(
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
            await engine.turn(step.ticket, activity)
        except BaseException:
            del self.active[activity, item]
            raise
        step.entry = Entry(self.id, self.patient_id, activity, step.attempt, about)
        engine.checkpoints.begin_step(self.id, activity, item)
        engine.activity_log.start(step.entry)
        engine.tell(Change(self.id, self.patient_id, activity, item))
        return step

    async def _over(self, step: OneStep, outcome: str, result: Json) -> None:
        """After each try: the log's finish, then the checkpoint of a result or an error.

        The line is handed in first, and both without a pause between: a cancellation parts them no more.
        """
        engine, activity, item = self.engine, step.activity, step.item
        del self.active[activity, item]
        engine.activity_log.finish(step.entry, engine.clock() - step.started, outcome)
        if result is None:
            await engine.activity_log.flush()
        else:
            await engine.checkpoints.finish_step(self.id, activity, item, result)
            self._remember(step, result)
        engine.tell(Change(self.id, self.patient_id, activity, item, outcome, result))

    def redoes(self, activity: Activity) -> bool:
        """See pipeline.Run.redoes."""
        first = self.stored.retried_from
        return first is not None and comes_before(first, activity)

    @property
    def _all_stored(self) -> bool:
        """Whether a retry began after all documents were stored, so that nothing of the spool is needed."""
        return self.stored.retried_from is not None and not self.redoes(Activity.STORE)

    def results(self, activity: Activity) -> dict[str, Json]:
        """See pipeline.Run.results."""
        steps = (step for step in self.steps.values() if step.activity == activity)
        return {step.item: step.result for step in steps if step.result and not failed(step.result)}

    def sent(self, activity: Activity) -> bool:
        """See pipeline.Run.sent."""
        past = self.steps.get((activity, ""))
        return past is not None and (past.state is not None or past.result is not None)

    def _remember(self, step: OneStep, result: Json) -> None:
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
        """When a search was asked after, as far back as that is kept."""
        sent = self.steps.get((Activity.SEARCH, past.item))
        told = past.result
        if past.activity != Activity.CHECK_STATUS or sent is None or failed(sent.result) or failed(told):
            return {}
        if sent.result is None or told is None:
            return {}
        end = past.finished_at or self.engine.clock()  # the times kept are rounded
        return {"polls": [_iso(min(sent.result["at"] + after, end)) for after in told.get("asked", ())]}

    def at(self) -> tuple[Any, ...]:
        """The activity begun first that is not over, and what it waits for, to compare with a second ago."""
        step = next(iter(self.active.values()), None)
        wait = step and step.ticket.wait
        return (step, *((wait.kind, wait.what, wait.place, round(wait.until or 0)) if wait else ()))

    def note_wait(self) -> None:
        """Note what the run waits for now, for its report."""
        step = next(iter(self.active.values()), None)
        wait = None if step is None else step.ticket.wait
        self.waited.note(step.activity if step else "", wait, self.engine.clock())

    def doing(self) -> Json:
        """The same as JSON, and what the run has waited for so far, for a process that resumes it."""
        step = next(iter(self.active.values()), None)
        if step is None:
            return {}
        wait = _told(step.ticket.wait)
        doing = {"activity": step.activity, "since": step.started, "wait": wait}
        if self.waited.spans:
            doing["waited"] = self.waited.spans
        if step.activity is Activity.CHECK_STATUS and step.state:
            doing["progress"] = step.state["progress"]
        return doing


def _told(wait: Wait | None) -> Json:
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


def current_waits(runs: Iterable[OneRun]) -> Iterator[tuple[OneRun, Wait]]:
    """What each of these runs waits for now, where it waits."""
    for run in runs:
        step = next(iter(run.active.values()), None)
        if step is not None and step.ticket.wait is not None:
            yield run, step.ticket.wait
