"""What the engine needs of the world. There are two of each: the real one, and what `plan` makes up."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from docpipe.checkpoints import StoredRun, StoredStep
from docpipe.gates import Ledger
from docpipe.model import Activity, Json, RunState, Step
from docpipe.runtime.activity_log import Entry


class Activities(Protocol):
    """The ten activities; see activities.Activities."""

    async def get_patient(self, step: Step, patient_id: str) -> Json:
        """GetPatientFromDB."""

    async def create_task(self, step: Step, run_id: str, patient_id: str) -> Json:
        """TaskTracker_Create."""

    async def search(self, step: Step, patient: Json) -> Json:
        """DocEx_Search."""

    async def wait_until_ready(self, step: Step, search: Json, patient: Json) -> Json:
        """DocEx_CheckStatus."""

    async def download_and_extract(self, step: Step, run_id: str, search: Json, ready: Json) -> Json:
        """DocEx_DownloadAndExtract."""

    def extracted(self, run_id: str) -> Callable[[Json], bool]:
        """Whether what a checkpoint of the extraction points to is still there."""

    async def convert(
        self, step: Step, place: tuple[str, str, str], member: Json, siblings: list[str]
    ) -> Json:
        """ConvertFile."""

    def converted(self, run_id: str, item: str) -> Callable[[Json], bool]:
        """Whether what a checkpoint of a conversion points to is still there."""

    async def store(self, step: Step, place: tuple[str, str, str], member: Json, done: Json) -> Json:
        """PutToStorage."""

    async def update_status(self, step: Step, task_id: str, state: str, note: str) -> Json:
        """TaskTracker_UpdateStatus."""

    async def report(self, step: Step, facts: Json) -> Json:
        """GenerateReport."""

    async def append_report(self, step: Step, task_id: str, made: Json, again: Json) -> Json:
        """TaskTracker_AppendReport."""

    async def release(self, run_id: str, search: Json) -> None:
        """Let the exchange delete what it keeps for a search."""

    async def clear_spool(self, run_id: str) -> None:
        """Remove what a finished run left in the spool."""


class ActivityLog(Protocol):
    """Told of every activity; see activity_log.ActivityLog."""

    def start(self, entry: Entry) -> None:
        """An activity begins."""

    def finish(self, entry: Entry, duration: float, outcome: str) -> None:
        """An activity is over."""

    def write(self) -> None:
        """Hand all lines until now to the operating system."""

    async def flush(self) -> None:
        """The same, from the event loop."""

    def give_up(self) -> None:
        """Wait for room on a full disk no more."""


class Checkpoints(Ledger, Protocol):
    """What survives the process; see checkpoints.Checkpoints."""

    async def create_runs(self, run_ids: Mapping[str, str], priority: int) -> list[StoredRun]:
        """Add queued runs."""

    def start_run(self, run_id: str) -> None:
        """Note that the run has begun."""

    async def finish_run(
        self, run_id: str, state: RunState, counts: dict[str, int], task_id: str | None, error: str | None
    ) -> None:
        """Set how the run ended."""

    async def cancel_run(self, run_id: str) -> None:
        """Note that a run is to be cancelled."""

    async def retry_run(self, run: StoredRun, activity: Activity) -> None:
        """Forget the checkpoints of a finished run from an activity on, and queue it again."""

    def note_doing(self, run_id: str, doing: Json) -> None:
        """Note what the run is at."""

    def begin_step(self, run_id: str, activity: str, item: str) -> None:
        """Note a try of an activity."""

    def save_step(self, run_id: str, activity: str, item: str, state: Json) -> Awaitable[None]:
        """Keep what a later try has to know."""

    def note_step(self, run_id: str, activity: str, item: str, state: Json) -> None:
        """Keep what a later try would like to know."""

    def finish_step(self, run_id: str, activity: str, item: str, result: Json) -> Awaitable[None]:
        """Set the checkpoint of an activity."""

    def note_alive(self) -> None:
        """Note that this process lives."""

    async def begin_life(self) -> None:
        """The same, before this process spends anything."""

    async def pauses(self) -> dict[str, float]:
        """What is paused, and since when."""

    async def steps(self, run_id: str) -> list[StoredStep]:
        """Every activity of the run that was begun."""

    async def unfinished(self) -> list[StoredRun]:
        """Runs that are not finished, oldest first."""

    async def runs(self, run_ids: Sequence[str]) -> list[StoredRun]:
        """These runs, in this order."""

    def write_first(self, work: Callable[[], None]) -> None:
        """Call this before each transaction: it writes what has to be on its way before that is."""

    def give_up(self) -> None:
        """Wait for room on a full disk no more."""
