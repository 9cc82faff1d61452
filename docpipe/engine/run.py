"""One run in progress: replays the checkpoints of its activities, and makes the missing ones."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec
from msgspec import Struct

from docpipe.checkpoints import PackedSteps, Position, Results, StoredRun, StoredStep, is_redacted
from docpipe.engine.past import history_of
from docpipe.engine.ports import ActivityLog, Checkpoints
from docpipe.engine.restart import ERROR, comes_before, failed, failure, failure_in
from docpipe.engine.wait_history import WaitHistory
from docpipe.errors import RunError
from docpipe.gates.line import waiting
from docpipe.gates.local_trouble import trouble_of, wait_out
from docpipe.model import Activity, Clock, RunState, Ticket, Wait
from docpipe.results.report import History
from docpipe.runtime.activity_log import Entry
from docpipe.sources.polling import Polls


class Change(NamedTuple):  # two per activity, and a tuple is made in a third of the time
    """An event for listeners: an activity starts or ends, or a run ends."""

    run_id: str
    patient_id: str
    activity: Activity | None
    """None when the run as a whole has ended."""
    item: str = ""
    outcome: str | None = None
    """None when the activity starts."""
    result: Any = None
    """The checkpoint of an activity that ended, as JSON."""


Listener = Callable[[Change], None]
_T = TypeVar("_T")
_S = TypeVar("_S", bound=Struct)


class RunHost(Protocol):
    """The part of the engine that a run uses."""

    checkpoints: Checkpoints
    activity_log: ActivityLog
    clock: Clock

    def notify(self, change: Change) -> None:
        """Call the listeners."""

    def release_admission(self, run_id: str) -> None:
        """Free the admission of a run that has searched."""

    async def wait_until_allowed(self, ticket: Ticket, activity: Activity) -> None:
        """Wait until an activity may start: at once unless docpipe is paused.

        Raises:
            CancelledError: if it may no longer start in this process.
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
    state: object
    """The latest: a Struct, or the JSON that an earlier process saved; None if there is none."""
    entry: Entry = field(init=False)
    """Its lines in the activity log."""

    @property
    def key(self) -> str:
        """See model.Step."""
        retries = self.run.stored.retries  # with the old key a service would repeat its old answer
        words = (self.run.id, self.activity, self.item, f"retry{retries}" if retries else "")
        return ":".join(filter(None, words))

    def saved(self, kind: type[_S]) -> _S | None:
        """See model.Step."""
        if self.state is None or isinstance(self.state, kind):
            return self.state
        return msgspec.convert(self.state, kind)

    @property
    def progress(self) -> float | None:
        """The part of a search that is done, as the exchange reports it; None for other activities."""
        polls = self.saved(Polls) if self.activity is Activity.CHECK_STATUS else None
        return polls.progress if polls is not None else None

    async def save(self, state: Struct) -> None:
        """See model.Step."""
        self.state = state
        await self.run.engine.checkpoints.save_step(self.run.id, self.activity, self.item, state)

    def note(self, state: Struct) -> None:
        """See model.Step."""
        self.state = state
        self.run.engine.checkpoints.note_step(self.run.id, self.activity, self.item, state)

    async def until(self, when: float, wait: Wait) -> None:
        """See model.Step."""
        if (left := when - self.run.engine.clock()) > 0:
            with waiting(self.ticket, wait):
                await asyncio.sleep(left)


@dataclass(slots=True, eq=False)
class ActiveRun:
    """One run in progress; the pipeline knows it as `pipeline.Run`."""

    engine: RunHost
    stored: StoredRun
    steps: PackedSteps
    active: dict[tuple[str, str], ActiveStep] = field(default_factory=dict)
    last_noted: tuple[Any, ...] = ()
    """What `position` returned when the run was noted last."""
    ending: bool = False
    """Whether only the final state remains to be written."""
    waited: WaitHistory = field(init=False)
    id: str = field(init=False)
    """See pipeline.Run.id."""
    patient_id: str = field(init=False)
    """See pipeline.Run.patient_id."""

    def __post_init__(self) -> None:
        self.id, self.patient_id = self.stored.run_id, self.stored.patient_id
        self.waited = WaitHistory(self.stored.doing.waited if self.stored.doing else ())

    @property
    def current(self) -> ActiveStep | None:
        """The oldest step that has not ended, None between steps."""
        return next(iter(self.active.values()), None)

    @property
    def gives_up(self) -> bool:
        """Whether the run is being cancelled: it only updates its task."""
        return self.stored.state is RunState.CANCELLING

    async def do(
        self,
        activity: Activity,
        work: Callable[..., Awaitable[_T]],
        *args: Any,
        kind: type[_T],
        item: str = "",
        about: Mapping[str, object] | None = None,
        valid: Callable[[_T], bool] | None = None,
    ) -> _T:
        """See pipeline.Run.do."""
        past = self.steps.get((activity, item))
        if past is not None and past.result is not None:
            if (failure_then := failure_in(past.result)) is not None:
                raise RunError(failure_then.error)
            if self._is_replayable(activity, past.result):
                replayed = msgspec.convert(past.result, kind)
                if valid is None or self._all_stored or valid(replayed):
                    return replayed
        step = await self._start(activity, item, past, about)
        kept: object = None
        outcome = "ok"
        try:
            result = await self._attempted(step, work, *args)
            kept = msgspec.to_builtins(result)
        except RunError as error:
            outcome, kept = "failed", failure(error)
            raise
        except BaseException as error:
            outcome = "stopped" if isinstance(error, asyncio.CancelledError) else "failed"
            raise
        finally:
            await self._finish(step, outcome, kept)
        return result

    async def _attempted(self, step: ActiveStep, work: Callable[..., Awaitable[_T]], *args: Any) -> _T:
        """Do the work; repeat it after a trouble of this machine that passes, such as a full disk."""
        while True:
            try:
                return await work(step, *args)
            except Exception as error:
                if (trouble := trouble_of(error)) is None:
                    raise
            await wait_out(trouble, step.ticket, "spool", self.engine.clock)

    async def _start(
        self, activity: Activity, item: str, past: StoredStep | None, about: Mapping[str, object] | None
    ) -> ActiveStep:
        """Start an attempt: wait until it may start, then log and publish it."""
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

    async def _finish(self, step: ActiveStep, outcome: str, result: object) -> None:
        """End an attempt: write its line of the log, then the checkpoint of its result or error.

        No await stands between the two, so that a cancellation cannot separate them.
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

    def _is_replayable(self, activity: Activity, result: object) -> bool:
        """Whether a checkpoint is complete enough: the end of a run removes personal data."""
        return not is_redacted(result) or (self._all_stored and activity is Activity.CHECK_STATUS)

    @property
    def _all_stored(self) -> bool:
        """Whether a retry starts after all documents were stored, and so needs no file of the spool."""
        return self.stored.retried_from is not None and not self.is_repeating(Activity.STORE)

    def results(self, activity: Activity) -> Results[Any]:
        """See pipeline.Run.results."""
        return self.steps.results(activity, unless=failed)

    def may_have_started(self, activity: Activity) -> bool:
        """See pipeline.Run.may_have_started."""
        past = self.steps.get((activity, ""))
        return past is not None and (past.state is not None or past.result is not None)

    def _remember(self, step: ActiveStep, result: object) -> None:
        if step.activity is Activity.SEARCH:
            self.engine.release_admission(self.id)
        finished = self.engine.clock()
        self.steps.put(
            StoredStep(step.activity, step.item, step.attempt, step.started, finished, None, result)
        )

    def history(self) -> History:
        """See pipeline.Run.history."""
        now = self.engine.clock()
        steps = self.steps.outline((Activity.SEARCH, Activity.CHECK_STATUS), ERROR)
        return history_of(self.stored.started_at or now, steps, self.waited.spans, now)

    def position(self) -> tuple[Any, ...]:
        """The current step and its wait, to compare with those of a second ago."""
        step = self.current
        wait = step and step.ticket.wait
        moved = step and step.ticket.transfer and step.ticket.transfer.received
        # Not the step itself, which refers to the run: a cycle.
        which = step and (step.activity, step.item, step.attempt)
        return (which, moved, *((wait.kind, wait.what, wait.place, round(wait.until or 0)) if wait else ()))

    def note_wait(self) -> None:
        """Add the current wait of the run to its wait history."""
        step = self.current
        wait = None if step is None else step.ticket.wait
        self.waited.note(step.activity if step else "", wait, self.engine.clock())

    def doing(self) -> Position | None:
        """The current step with the wait history, for a process that resumes the run; None between steps."""
        step = self.current
        if step is None:
            return None
        return Position(
            activity=step.activity,
            since=step.started,
            wait=step.ticket.wait,
            waited=self.waited.spans,
            progress=step.progress,
            transfer=step.ticket.transfer,
        )


def current_waits(runs: Iterable[ActiveRun]) -> Iterator[tuple[ActiveRun, Wait]]:
    """Yield the runs that wait, each with its current wait."""
    for run in runs:
        step = run.current
        if step is not None and step.ticket.wait is not None:
            yield run, step.ticket.wait
