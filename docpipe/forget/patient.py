"""Finds and removes what docpipe keeps of one patient: storage, state, logs and search index."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import structlog
from msgspec import Struct, field

from docpipe.checkpoints import StoredRun, forget_patient, read_runs, unfinished_runs
from docpipe.config.config import Config
from docpipe.config.parsing import FAKE
from docpipe.errors import UsageError
from docpipe.forget.logs import count_lines, remove_lines
from docpipe.patients import PatientDatabase, is_impossible_id
from docpipe.runtime.state_folder import StateFolder
from docpipe.search import open_index
from docpipe.storage import METADATA, Storage
from docpipe.wiring.backends import index_path, open_storage, patients_url
from docpipe.workers.rooms import sweep

log = structlog.get_logger(__name__)

_ALL: Final = -1
"""As many runs as there are."""


class Kept(Struct, kw_only=True):
    """What docpipe keeps of a patient, or has removed."""

    patient_id: str
    documents: int = 0
    """Documents in the storage."""
    files: int = 0
    """Files in the storage, reports included."""
    bytes: int = 0
    """Their size."""
    location: str = ""
    """The patient's folder in the storage."""
    runs: list[str] = []
    """Ids of the runs in the checkpoint database."""
    spools: int = 0
    """Folders of such runs in the spool."""
    log_lines: int = 0
    """Lines of the activity log, and of rotated logs."""
    histories: int = 0
    """Histories of runs in the Temporal of a fleet."""
    in_patients: bool = False
    """Whether the patient was in docpipe's own patients database; not known before the removal."""
    tasks: list[str] = []
    """Ids of the tasks in the TaskTracker, which stay."""
    beyond_reach: list[str] = field(default_factory=list)
    """What may still hold data of the patient, and who has to remove it."""

    @property
    def nothing(self) -> bool:
        """Whether docpipe keeps nothing of the patient."""
        return not (self.files or self.runs or self.spools or self.log_lines or self.histories)


async def find(config: Config, patient_id: str) -> Kept:
    """Find what docpipe keeps of a patient; changes nothing.

    Raises:
        UsageError: if the id is invalid, or the patient has an unfinished run.
        StateError: if the checkpoint database cannot be read.
        OSError: if the storage cannot be read.
    """
    async with _opened(config) as storage:
        return await find_in(config, storage, patient_id)


async def find_in(config: Config, storage: Storage, patient_id: str) -> Kept:
    """The same with a storage that is open."""
    if is_impossible_id(patient_id):
        raise UsageError("The patient's id is empty or has control characters.")
    state = config.state_dir
    runs = await asyncio.to_thread(_runs_of, state, patient_id)
    unfinished = [run.run_id for run in runs if not run.state.finished]
    if unfinished:
        raise UsageError(
            f"Patient {patient_id} has an unfinished run ({unfinished[0]}): "
            f"`docpipe cancel {patient_id}` ends it, then try again."
        )
    run_ids = [run.run_id for run in runs]
    folder = storage.folder_of(patient_id)
    listing = await asyncio.to_thread(storage.tree().listing, folder)
    location = storage.location(patient_id)
    return Kept(
        patient_id=patient_id,
        documents=sum(path.count("/") == 1 and path.endswith(f"/{METADATA}") for path in listing.files),
        files=len(listing.files),
        bytes=sum(listing.files.values()),
        location=location,
        runs=run_ids,
        spools=sum((state / "spool" / run_id).exists() for run_id in run_ids),
        log_lines=await asyncio.to_thread(count_lines, state, patient_id, set(run_ids)),
        tasks=sorted({run.task_id for run in runs if run.task_id}),
        beyond_reach=_beyond_reach(config, runs),
    )


async def remove(config: Config, patient_id: str) -> Kept:
    """Remove what docpipe keeps of a patient; returns what was removed.

    The checkpoint database comes last, so that after a crash a repetition still knows the runs.

    Raises:
        InUseError: if a process owns the state folder.
        UsageError: if the id is invalid, or the patient has an unfinished run.
        StateError: if the checkpoint database or the search index cannot be written.
        OSError: if the storage or a log cannot be written.
    """
    with StateFolder(config.state_dir) as state:
        kept = await find(config, patient_id)
        async with _opened(config) as storage:
            if kept.files:
                await asyncio.to_thread(storage.tree().remove, storage.folder_of(patient_id))
            index = index_path(config)
            if index.exists():
                async with open_index(index, storage) as searched:
                    await searched.forget(patient_id)
        # A process that was killed may have left documents of any patient in rooms of workers and charts.
        await asyncio.to_thread(lambda: sweep(state.spool, unfinished_runs(state.path)))
        await asyncio.to_thread(remove_lines, state.path, patient_id, set(kept.runs))
        if has_own_patients(config):
            async with contextlib.aclosing(
                PatientDatabase(patients_url(config), config.patients)
            ) as database:
                kept.in_patients = await database.remove(patient_id)
        await asyncio.to_thread(forget_patient, state.path, patient_id)
        log.info("patient_forgotten", runs=len(kept.runs), files=kept.files)
    return kept


@contextlib.asynccontextmanager
async def _opened(config: Config) -> AsyncIterator[Storage]:
    storage = open_storage(config)
    try:
        yield storage
    finally:
        await storage.close()


def _runs_of(state: Path, patient_id: str) -> list[StoredRun]:
    return [run for run in read_runs(state, patient_id, _ALL) if run.patient_id == patient_id]


def has_own_patients(config: Config) -> bool:
    """Whether patients are looked up in a file of the state folder that docpipe itself filled."""
    if config.patients.url not in ("", FAKE):
        return False
    return Path(patients_url(config).removeprefix("sqlite:///")).exists()


def _beyond_reach(config: Config, runs: list[StoredRun]) -> list[str]:
    tasks = sorted({run.task_id for run in runs if run.task_id})
    texts = [
        "backups and snapshots of the storage and the state folder, and older versions that a bucket keeps",
        "the exchange, with its own record of the searches",
        "idempotency keys that a caller made of the patient's id, for seven days",
        "files written elsewhere: `docpipe convert`, `--trace-http`, downloads, collected logs and traces",
    ]
    if tasks:
        texts.insert(0, f"the TaskTracker: {', '.join(tasks)}, with notes and reports")
    if config.schedule:
        names = ", ".join(one.name for one in config.schedule)
        texts.append(f"schedules that may retrieve the patient again, and their files of ids: {names}")
    if config.fleet.temporal:
        texts.append("activity logs in the state folders of the fleet's workers, and backups of Temporal")
    if config.patients.url not in ("", FAKE):
        texts.append("the patients database that patients.url names")
    return texts
