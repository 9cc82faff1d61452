"""The interface to runs: of one machine (`web.onemachine`), or of a fleet (`web.onfleet`)."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from docpipe.api import shapes
from docpipe.api.machines import Disk
from docpipe.api.schedules import Notifications, Schedule
from docpipe.checkpoints import Span, StoredRun, StoredStep
from docpipe.config.config import Config
from docpipe.forget.patient import Kept
from docpipe.model import Activity, Clock, RunState
from docpipe.patients import PatientDatabase
from docpipe.runtime.state_folder import StateFolder
from docpipe.search import SearchIndex
from docpipe.storage import Storage


class Trial(NamedTuple):
    """A part that has to work for the service to be ready."""

    work: Callable[[], Awaitable[None]]
    """Raises a DocpipeError whose sentence says why it does not."""
    slow: str
    """The sentence where it does not end."""


class Answers(Protocol):
    """Answers to requests that bear an Idempotency-Key."""

    async def remembered(self, key: str) -> tuple[str, str] | None:
        """The digest of the request with that key and its answer, None if there is none."""

    async def remember(self, key: str, digest: str, answer: str) -> None:
        """Store an answer unless the key has one; durable when this returns."""


class Source(Protocol):
    """What handlers read and change. Times are seconds since the epoch.

    On a fleet every coroutine may raise Problem 503: Temporal does not answer.
    """

    @property
    def config(self) -> Config:
        """The configuration."""

    @property
    def state(self) -> StateFolder:
        """The state folder of this process."""

    @property
    def storage(self) -> Storage:
        """Where documents are."""

    @property
    def patients(self) -> PatientDatabase:
        """Where patients are looked up."""

    @property
    def index(self) -> SearchIndex | None:
        """Full-text search in the storage; None where there is none."""

    @property
    def clock(self) -> Clock:
        """The wall clock."""

    @property
    def inline(self) -> bool:
        """Whether conversions run inside this process."""

    @property
    def stopping(self) -> bool:
        """Whether the process stops."""

    @property
    def slow(self) -> str:
        """The sentence for a change that was accepted, and is not yet durable after half a minute."""

    @property
    def answers(self) -> Answers:
        """What requests with a key were answered."""

    @property
    def trials(self) -> Mapping[str, Trial]:
        """What has to work, by names for programs."""

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
        """See `checkpoints.listing.Listing.page`."""

    async def count(self, states: Collection[RunState] = (), prefix: str = "", *, most: int) -> int:
        """How many runs match, up to `most`."""

    async def runs(self, run_ids: Sequence[str]) -> list[StoredRun]:
        """Those of these runs that are known."""

    async def of_patient(self, patient_id: str) -> list[StoredRun]:
        """The runs of a patient, newest first."""

    async def run_and_steps(self, run_id: str) -> tuple[StoredRun, list[StoredStep]] | None:
        """A run with its activities, None where it is not known."""

    async def steps(self, run_id: str) -> list[StoredStep]:
        """The activities of a run in the order of their start."""

    def waited(self, run: StoredRun) -> Sequence[Span]:
        """What an unfinished run waited for."""

    def view(self, run: StoredRun) -> shapes.Run:
        """A run as the API has it."""

    def temporal_url(self, run_id: str) -> str | None:
        """Where Temporal's own page has a run; None on one machine, or where `fleet.ui` names no page."""

    # Changes

    async def accept(self, patient_ids: Sequence[str], priority: int) -> list[tuple[StoredRun, bool]]:
        """Add runs, each with whether it is new; a patient with an unfinished run keeps that."""

    async def cancel(self, run_id: str) -> StoredRun:
        """Cancel a run; it is returned as it stands then."""

    async def retry(self, run_id: str, first: Activity | None) -> StoredRun:
        """Retry a finished run; raises UsageError where it cannot be."""

    async def forget(self, patient_id: str) -> Kept:
        """Remove what is kept of a patient; raises UsageError where a run is unfinished."""

    async def pause(self, name: str | None) -> None:
        """Pause a service, or everything; raises UsageError where there is none of this name."""

    async def unpause(self, name: str | None) -> None:
        """Take that back."""

    # How all stands

    def services(self) -> shapes.Services:
        """Services, quotas and workers, without the disks."""

    async def disks(self) -> Disk:
        """Free bytes."""

    async def summary(self) -> shapes.Summary:
        """Counts, throughput, and when all should be done."""

    async def metrics(self) -> bytes:
        """Metrics in Prometheus' text format."""

    def patients_up(self) -> bool:
        """Whether the patients database was reached when it was last asked."""

    # Events

    def watched(self, changed: Callable[[Iterable[str]], None]) -> AbstractContextManager[None]:
        """Call `changed` with the ids of runs that change, until the end of the block."""

    def moved(self, *, read: bool) -> Iterable[str]:
        """Ids of unfinished runs that do or wait for something else than at the last call.

        Args:
            read: whether anybody reads the events.
        """

    # Plans

    def schedules(self) -> list[Schedule]:
        """How the schedules stand."""

    async def pause_schedule(self, name: str) -> None:
        """Begin nothing more of a schedule; raises UsageError where there is none of this name."""

    async def unpause_schedule(self, name: str) -> None:
        """Take that back."""

    async def notifications(self) -> Notifications:
        """How notifications of ended runs stand."""
