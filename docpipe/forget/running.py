"""Removes the data of one patient while docpipe is running, with what it holds open."""

import asyncio
from dataclasses import dataclass

import structlog

from docpipe.checkpoints import forget_patient
from docpipe.config.config import Config
from docpipe.forget.logs import is_about, remove_lines
from docpipe.forget.patient import Kept, find_in, has_own_patients
from docpipe.model import Spool
from docpipe.patients import PatientDatabase
from docpipe.runtime.activity_log import ActivityLog
from docpipe.search import SearchIndex
from docpipe.storage import Storage

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AtWork:
    """The parts of a running docpipe that know patients."""

    config: Config
    storage: Storage
    spool: Spool
    patients: PatientDatabase
    activity_log: ActivityLog
    index: SearchIndex | None


async def remove_at_work(parts: AtWork, patient_id: str) -> Kept:
    """Remove what docpipe keeps of a patient; returns what was removed.

    Raises:
        UsageError: if the id is invalid, or the patient has an unfinished run, or gets one meanwhile. What
            was removed by then is gone; a repetition removes the rest.
        StateError: if the checkpoint database or the search index cannot be written.
        OSError: if the storage or a log cannot be written.
    """
    config, storage = parts.config, parts.storage
    kept = await find_in(config, storage, patient_id)
    if kept.files:
        await asyncio.to_thread(storage.tree().remove, storage.folder_of(patient_id))
    if parts.index is not None:
        await parts.index.forget(patient_id)
    for run_id in kept.runs:
        await parts.spool.drop(run_id)
    ids = frozenset(kept.runs)
    await parts.activity_log.remove(lambda line: is_about(line, patient_id, ids))
    await asyncio.to_thread(remove_lines, config.state_dir, patient_id, ids, put_aside=True)
    if has_own_patients(config):
        kept.in_patients = await parts.patients.remove(patient_id)
    await asyncio.to_thread(forget_patient, config.state_dir, patient_id)
    if config.fleet.temporal:
        kept.beyond_reach.append("histories of the runs in Temporal: `docpipe forget` removes them")
    log.info("patient_forgotten", runs=len(kept.runs), files=kept.files)
    return kept
