"""The engine's interfaces to activities, log and checkpoints. Each has two implementations: the real one, and
that of `plan`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from docpipe.checkpoints import PackedSteps, Statement, StoredRun
from docpipe.gates import Ledger
from docpipe.model import Activity, Patient, RunState, Step
from docpipe.results.files import Appended, Archive, Converted, Digest, Member, Stored, Task, Updated
from docpipe.results.report import Facts
from docpipe.results.search import Ready, Search
from docpipe.runtime.activity_log import Entry


class Activities(Protocol):
    """The ten activities; see activities.Activities."""

    async def get_patient(self, step: Step, patient_id: str) -> Patient:
        """GetPatientFromDB."""

    async def create_task(self, step: Step, run_id: str, patient_id: str) -> Task:
        """TaskTracker_Create."""

    async def search(self, step: Step, patient: Patient) -> Search:
        """DocEx_Search."""

    async def wait_until_ready(self, step: Step, search: Search, patient: Patient) -> Ready:
        """DocEx_CheckStatus."""

    async def download_and_extract(self, step: Step, run_id: str, search: Search, ready: Ready) -> Archive:
        """DocEx_DownloadAndExtract."""

    def extracted(self, run_id: str) -> Callable[[Archive], bool]:
        """Make a check that the files of an extraction still exist."""

    async def convert(
        self, step: Step, place: tuple[str, str, str], member: Member, patient: Patient | None = None
    ) -> Converted:
        """ConvertFile."""

    def converted(self, run_id: str, item: str) -> Callable[[Converted], bool]:
        """Make a check that the files of a conversion still exist."""

    async def store(self, step: Step, place: tuple[str, str, str], member: Member, done: Converted) -> Stored:
        """PutToStorage."""

    async def update_status(self, step: Step, task_id: str, state: str, note: str) -> Updated:
        """TaskTracker_UpdateStatus."""

    async def report(self, step: Step, facts: Facts) -> Digest:
        """GenerateReport."""

    async def append_report(self, step: Step, task_id: str, made: Digest, again: bool) -> Appended:
        """TaskTracker_AppendReport."""

    async def release(self, run_id: str, address: str | None) -> None:
        """Let the exchange delete what it keeps for a search."""

    async def clear_spool(self, run_id: str) -> None:
        """Remove the files of a finished run from the spool."""


class ActivityLog(Protocol):
    """Notes every activity; see activity_log.ActivityLog."""

    def start(self, entry: Entry) -> None:
        """Note that an activity starts."""

    def finish(self, entry: Entry, duration: float, outcome: str) -> None:
        """Note that an activity ended."""

    def write(self) -> None:
        """Pass all lines so far to the operating system."""

    async def flush(self) -> None:
        """Like `write`, from the event loop."""

    def give_up(self) -> None:
        """Stop waiting for a full disk."""


class GrantLedger(Ledger, Protocol):
    """What quotas remember across restarts; see checkpoints.ledger.GrantLedger."""

    def note_alive(self) -> None:
        """Note that this process runs."""

    async def begin_life(self) -> None:
        """The same, before this process spends anything."""

    def end_life(self) -> None:
        """Note that this process stops, and that all it spent is noted."""


class Checkpoints(Protocol):
    """The durable state of runs; see checkpoints.Checkpoints."""

    @property
    def ledger(self) -> GrantLedger:
        """What quotas remember across restarts."""

    async def create_runs(
        self, run_ids: Mapping[str, str], priority: int, note: Statement | None = None
    ) -> list[StoredRun]:
        """Add queued runs."""

    def start_run(self, run_id: str) -> None:
        """Note that the run has started."""

    async def finish_run(
        self, run_id: str, state: RunState, counts: dict[str, int], task_id: str | None, error: str | None
    ) -> None:
        """Set how the run ended."""

    async def cancel_run(self, run_id: str) -> None:
        """Mark a run as being cancelled."""

    async def retry_run(self, run: StoredRun, activity: Activity) -> None:
        """Delete the checkpoints of a finished run from an activity on, and queue it again."""

    def note_doing(self, run_id: str, doing: object) -> None:
        """Note the position of a run, None between steps."""

    def begin_step(self, run_id: str, activity: str, item: str) -> None:
        """Note an attempt at an activity."""

    def save_step(self, run_id: str, activity: str, item: str, state: object) -> Awaitable[None]:
        """Save the state of a step durably."""

    def note_step(self, run_id: str, activity: str, item: str, state: object) -> None:
        """Save the state of a step soon."""

    def finish_step(self, run_id: str, activity: str, item: str, result: object) -> Awaitable[None]:
        """Set the checkpoint of an activity."""

    async def pauses(self) -> dict[str, float]:
        """Return the paused services, with the time each pause started."""

    async def packed_steps(self, run_id: str) -> PackedSteps:
        """Return every activity of the run that was started."""

    async def unfinished(self) -> list[StoredRun]:
        """Return the unfinished runs, oldest first."""

    async def runs(self, run_ids: Sequence[str]) -> list[StoredRun]:
        """Return these runs, in this order."""

    def before_commit(self, work: Callable[[], None]) -> None:
        """Call `work` before each transaction."""

    def give_up(self) -> None:
        """Stop waiting for a full disk."""
