"""The runs of one machine, from its engine and checkpoints: a `Source`."""

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from docpipe.api import shapes
from docpipe.api.machines import Disk
from docpipe.api.schedules import Notifications, Schedule
from docpipe.api.shapes import moment
from docpipe.app import Docpipe
from docpipe.checkpoints import Span, StoredRun, StoredStep
from docpipe.config.config import Config
from docpipe.engine.pace import Pace
from docpipe.engine.run import Change
from docpipe.forget import AtWork, remove_at_work
from docpipe.forget.patient import Kept
from docpipe.model import Activity, Clock, RunState
from docpipe.patients import PatientDatabase
from docpipe.runtime.state_folder import StateFolder
from docpipe.search import SearchIndex
from docpipe.storage import Storage
from docpipe.web.metrics import Metrics
from docpipe.web.overview import disks_view, services_view
from docpipe.web.schedules import schedule_view
from docpipe.web.source import Answers, Trial
from docpipe.web.views import run_view
from docpipe.workers.inline import InlineWorkers

_SLOW: Final = "The {} cannot be written: the disk does not answer."


class OneMachine:
    """See `Source`."""

    def __init__(self, docpipe: Docpipe) -> None:
        self._docpipe = docpipe
        self._engine = docpipe.engine
        self._checkpoints = docpipe.checkpoints
        self._metrics = Metrics(docpipe)
        self._pace = Pace(docpipe.engine, docpipe.checkpoints.listing, docpipe.quotas["docex.search"])
        self._at: dict[str, tuple[object, ...]] = {}
        """What runs under way did when they were last compared."""

    @property
    def config(self) -> Config:
        """See Source."""
        return self._docpipe.config

    @property
    def state(self) -> StateFolder:
        """See Source."""
        return self._docpipe.state

    @property
    def storage(self) -> Storage:
        """See Source."""
        return self._docpipe.storage

    @property
    def patients(self) -> PatientDatabase:
        """See Source."""
        return self._docpipe.patients

    @property
    def index(self) -> SearchIndex | None:
        """See Source."""
        return self._docpipe.index

    @property
    def clock(self) -> Clock:
        """See Source."""
        return self._engine.clock

    @property
    def inline(self) -> bool:
        """See Source."""
        return isinstance(self._docpipe.workers, InlineWorkers)

    @property
    def stopping(self) -> bool:
        """See Source."""
        return self._engine.stopping

    @property
    def slow(self) -> str:
        """See Source."""
        return "Accepted, but not yet written to disk. Check for a full disk."

    @property
    def answers(self) -> Answers:
        """See Source."""
        return self._checkpoints.answers

    @property
    def trials(self) -> Mapping[str, Trial]:
        """See Source."""
        return {
            "checkpoints": Trial(self._checkpoints.ledger.begin_life, _SLOW.format("checkpoints")),
            "storage": Trial(self.storage.check, _SLOW.format("storage")),
        }

    # Runs

    async def page(
        self,
        states: Collection[RunState] = (),
        prefix: str = "",
        *,
        newest: bool = True,
        after: StoredRun | None = None,
        limit: int = 50,
    ) -> list[StoredRun]:
        """See Source."""
        listing = self._checkpoints.listing
        return await listing.page(states, prefix, newest=newest, after=after, limit=limit)

    async def count(self, states: Collection[RunState] = (), prefix: str = "", *, most: int) -> int:
        """See Source."""
        return await self._checkpoints.listing.count(states, prefix, most=most)

    async def runs(self, run_ids: Sequence[str]) -> list[StoredRun]:
        """See Source."""
        return await self._checkpoints.runs(run_ids)

    async def of_patient(self, patient_id: str) -> list[StoredRun]:
        """See Source."""
        return await self._checkpoints.listing.of_patient(patient_id)

    async def run_and_steps(self, run_id: str) -> tuple[StoredRun, list[StoredStep]] | None:
        """See Source."""
        return await self._checkpoints.run_and_steps(run_id)

    async def steps(self, run_id: str) -> list[StoredStep]:
        """See Source."""
        return await self._checkpoints.steps(run_id)

    def waited(self, run: StoredRun) -> Sequence[Span]:
        """See Source."""
        active = self._engine.runs.get(run.run_id)
        if active is not None:
            return active.waited.spans
        return run.doing.waited if run.doing else ()

    def view(self, run: StoredRun) -> shapes.Run:
        """See Source."""
        return run_view(run, self._engine)

    def temporal_url(self, run_id: str) -> str | None:  # noqa: ARG002 -- as of Source
        """See Source."""
        return None

    # Changes

    async def accept(self, patient_ids: Sequence[str], priority: int) -> list[tuple[StoredRun, bool]]:
        """See Source."""
        return await self._engine.accept(patient_ids, priority)

    async def cancel(self, run_id: str) -> StoredRun:
        """See Source."""
        return await self._engine.cancel(run_id)

    async def retry(self, run_id: str, first: Activity | None) -> StoredRun:
        """See Source."""
        return await self._engine.retry(run_id, first)

    async def forget(self, patient_id: str) -> Kept:
        """See Source."""
        docpipe = self._docpipe
        parts = AtWork(
            config=docpipe.config,
            storage=docpipe.storage,
            spool=docpipe.activities.spool,
            patients=docpipe.patients,
            activity_log=docpipe.activity_log,
            index=docpipe.index,
        )
        return await remove_at_work(parts, patient_id)

    async def pause(self, name: str | None) -> None:
        """See Source."""
        await self._docpipe.pause(name)

    async def unpause(self, name: str | None) -> None:
        """See Source."""
        await self._docpipe.unpause(name)

    # How all stands

    def services(self) -> shapes.Services:
        """See Source."""
        return services_view(self._docpipe)

    async def disks(self) -> Disk:
        """See Source."""
        return await disks_view(self.config.state_dir, self.storage.folder)

    async def summary(self) -> shapes.Summary:
        """See Source."""
        return await self._pace.summary()

    async def metrics(self) -> bytes:
        """See Source."""
        return await self._metrics.text()

    def patients_up(self) -> bool:
        """See Source."""
        return self._docpipe.services["patients"].view().up

    # Events

    @contextlib.contextmanager
    def watched(self, changed: Callable[[Iterable[str]], None]) -> Iterator[None]:
        """See Source."""

        def changes(change: Change) -> None:
            self._pace.changed(change)
            if change.activity is None:
                self._at.pop(change.run_id, None)
            changed((change.run_id,))

        self._engine.listeners.append(changes)
        try:
            yield
        finally:
            self._engine.listeners.remove(changes)

    def moved(self, *, read: bool) -> Iterable[str]:  # noqa: ARG002 -- it costs nothing here
        """See Source."""
        under_way, moved = self._engine.runs, []
        for run_id, run in under_way.items():
            if (at := run.position()) != self._at.get(run_id):
                self._at[run_id] = at
                moved.append(run_id)
        for run_id in self._at.keys() - under_way.keys():
            del self._at[run_id]
        return moved

    # Plans

    def schedules(self) -> list[Schedule]:
        """See Source."""
        return [schedule_view(view) for view in self._docpipe.scheduler.views()]

    async def pause_schedule(self, name: str) -> None:
        """See Source."""
        await self._docpipe.scheduler.pause(name)

    async def unpause_schedule(self, name: str) -> None:
        """See Source."""
        await self._docpipe.scheduler.unpause(name)

    async def notifications(self) -> Notifications:
        """See Source."""
        notifier = self._docpipe.notifier
        if notifier is None:
            return Notifications(configured=False, waiting=0, delivered=0, last_at=None, stopped=False)
        view = await notifier.view()
        return Notifications(
            configured=True,
            waiting=view.waiting,
            delivered=view.delivered,
            last_at=moment(view.last_at),
            stopped=view.stopped,
        )
