"""The runs of a fleet, from Temporal: a `Source`."""

import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar
from urllib.parse import quote

from docpipe.activities.spool import FolderSpool
from docpipe.api import shapes
from docpipe.api.machines import Disk
from docpipe.api.schedules import Notifications, Schedule
from docpipe.checkpoints import Span, StoredRun, StoredStep
from docpipe.config.config import Config
from docpipe.errors import ConfigError, UnreachableError
from docpipe.fleet.forgetting import remove_histories
from docpipe.fleet.serving import FleetServing
from docpipe.forget import AtWork, remove_at_work
from docpipe.forget.patient import Kept
from docpipe.model import Activity, Clock, RunState
from docpipe.patients import PatientDatabase
from docpipe.runtime.state_folder import StateFolder
from docpipe.search import SearchIndex
from docpipe.storage import Storage
from docpipe.web.fleetfigures import Figures
from docpipe.web.overview import disks_view
from docpipe.web.problems import Problem
from docpipe.web.schedules import schedule_view
from docpipe.web.source import Answers, Trial
from docpipe.web.views import position_view, stored_view, waiting_view

_T = TypeVar("_T")


class OnFleet:
    """See `Source`."""

    def __init__(self, serving: FleetServing) -> None:
        self._serving = serving
        self._mirror = serving.mirror
        self._standings = serving.standings
        self._figures = Figures(serving)

    @property
    def config(self) -> Config:
        """See Source."""
        return self._serving.config

    @property
    def state(self) -> StateFolder:
        """See Source."""
        return self._serving.state

    @property
    def storage(self) -> Storage:
        """See Source."""
        return self._serving.storage

    @property
    def patients(self) -> PatientDatabase:
        """See Source."""
        return self._serving.patients

    @property
    def index(self) -> SearchIndex | None:
        """See Source."""
        return self._serving.index

    @property
    def clock(self) -> Clock:
        """See Source."""
        return self._serving.clock

    @property
    def inline(self) -> bool:
        """See Source. Charts are made by a worker process of this machine."""
        return False

    @property
    def stopping(self) -> bool:
        """See Source."""
        return self._serving.stopping

    @property
    def slow(self) -> str:
        """See Source."""
        return "Accepted, but Temporal has not taken all of it yet: look again in a minute."

    @property
    def answers(self) -> Answers:
        """See Source."""
        return self._serving.replies

    @property
    def trials(self) -> Mapping[str, Trial]:
        """See Source."""
        return {
            "temporal": Trial(self._serving.check, "Temporal does not answer."),
            "storage": Trial(self.storage.check, "The storage does not answer."),
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
        listing = self._mirror.rows.listing
        runs = await listing.page(states, prefix, newest=newest, after=after, limit=limit)
        return await self._looked_at(runs)

    async def count(self, states: Collection[RunState] = (), prefix: str = "", *, most: int) -> int:
        """See Source."""
        return await self._mirror.rows.listing.count(states, prefix, most=most)

    async def runs(self, run_ids: Sequence[str]) -> list[StoredRun]:
        """See Source. The caller is a reader of events, or of one run."""
        return await self._looked_at(await _answer_of(self._serving.stored(run_ids)))

    async def of_patient(self, patient_id: str) -> list[StoredRun]:
        """See Source."""
        return await self._looked_at(await self._mirror.rows.listing.of_patient(patient_id))

    async def _looked_at(self, runs: list[StoredRun]) -> list[StoredRun]:
        """The same, after the positions of unfinished runs have been read."""
        ids = [run.run_id for run in runs]
        await self._standings.look(ids)
        now = {run.run_id: run for run in await self._mirror.rows.runs(ids)}
        return [now.get(run.run_id, run) for run in runs]

    async def run_and_steps(self, run_id: str) -> tuple[StoredRun, list[StoredStep]] | None:
        """See Source."""
        runs = await self.runs([run_id])
        if not runs:
            return None
        return runs[0], await self.steps(run_id)

    async def steps(self, run_id: str) -> list[StoredStep]:
        """See Source."""
        return await _answer_of(self._serving.steps(run_id))

    def waited(self, run: StoredRun) -> Sequence[Span]:
        """See Source."""
        now = self._standings.of(run)
        return () if now is None else now.waits

    def view(self, run: StoredRun) -> shapes.Run:
        """See Source."""
        if run.state.finished:
            return stored_view(run, sum(run.counts.values()) if run.counts else None, None)
        now = self._standings.of(run)
        if now is None:
            return stored_view(run, None, None)
        doing = None if now.run.doing is None else position_view(now.run.doing)
        if now.run.state is RunState.QUEUED:
            doing = waiting_view(now.run, self._figures.paused_since)
        return stored_view(now.run, now.files, doing)

    def temporal_url(self, run_id: str) -> str | None:
        """See Source."""
        fleet, run = self.config.fleet, self._mirror.run(run_id)
        if not fleet.ui or run is None:
            return None
        words = (quote(word, safe="") for word in (fleet.namespace, run.workflow, run.execution))
        return "{}/namespaces/{}/workflows/{}/{}/history".format(fleet.ui, *words)

    # Changes

    async def accept(self, patient_ids: Sequence[str], priority: int) -> list[tuple[StoredRun, bool]]:
        """See Source."""
        return await _answer_of(self._serving.accept(patient_ids, priority))

    async def cancel(self, run_id: str) -> StoredRun:
        """See Source."""
        return await _answer_of(self._serving.cancel(run_id))

    async def retry(self, run_id: str, first: Activity | None) -> StoredRun:
        """See Source."""
        return await _answer_of(self._serving.retry(run_id, first))

    async def forget(self, patient_id: str) -> Kept:
        """See Source."""
        serving = self._serving
        histories = await _answer_of(remove_histories(serving.config, patient_id))
        runs = [run.run_id for run in await self._mirror.rows.listing.of_patient(patient_id)]
        parts = AtWork(
            config=serving.config,
            storage=serving.storage,
            spool=FolderSpool(serving.state.spool),
            patients=serving.patients,
            activity_log=serving.activity_log,
            index=serving.index,
        )
        kept = await remove_at_work(parts, patient_id)
        await self._mirror.drop(runs)
        kept.runs, kept.histories = sorted({*kept.runs, *runs}), histories
        kept.beyond_reach = [text for text in kept.beyond_reach if "histories of the runs" not in text]
        return kept

    async def pause(self, name: str | None) -> None:
        """See Source."""
        await _answer_of(self._figures.pause(name))

    async def unpause(self, name: str | None) -> None:
        """See Source."""
        await _answer_of(self._figures.unpause(name))

    # How all stands

    def services(self) -> shapes.Services:
        """See Source."""
        return self._figures.services()

    async def disks(self) -> Disk:
        """See Source."""
        return await disks_view(self.config.state_dir, self.storage.folder)

    async def summary(self) -> shapes.Summary:
        """See Source."""
        return await self._figures.summary()

    async def metrics(self) -> bytes:
        """See Source."""
        return await self._figures.metrics()

    def patients_up(self) -> bool:
        """See Source."""
        return self._serving.gates.services["patients"].view().up

    # Events

    @contextlib.contextmanager
    def watched(self, changed: Callable[[Iterable[str]], None]) -> Iterator[None]:
        """See Source."""
        self._mirror.listeners.append(changed)
        try:
            yield
        finally:
            self._mirror.listeners.remove(changed)

    def moved(self, *, read: bool) -> Iterable[str]:
        """See Source."""
        self._serving.read = read
        return self._standings.moved()

    # Plans

    def schedules(self) -> list[Schedule]:
        """See Source."""
        return [schedule_view(view) for view in self._serving.scheduler.views()]

    async def pause_schedule(self, name: str) -> None:
        """See Source."""
        await _answer_of(self._serving.scheduler.pause(name))

    async def unpause_schedule(self, name: str) -> None:
        """See Source."""
        await _answer_of(self._serving.scheduler.unpause(name))

    async def notifications(self) -> Notifications:
        """See Source."""
        configured = bool(self.config.notify.url)
        waiting = delivered = 0
        if configured:
            waiting = await _answer_of(self._serving.count_notices("Running"))
            delivered = await _answer_of(self._serving.count_notices("Completed"))
        return Notifications(
            configured=configured, waiting=waiting, delivered=delivered, last_at=None, stopped=False
        )


async def _answer_of(answer: Awaitable[_T]) -> _T:
    """What a fleet answers; raises Problem 503 where Temporal, Redis or the storage does not."""
    try:
        return await answer
    except UnreachableError as error:
        raise Problem(503, str(error), "fleet", headers={"Retry-After": "10"}) from error
    except OSError as error:
        raise Problem(503, f"The storage cannot be used: {error.strerror}.", "storage") from error
    except ConfigError as error:  # a key is missing here
        raise Problem(503, str(error), "fleet") from error
