"""Changes at the exchange since the last retrieval, by the manifests of earlier runs."""

from dataclasses import dataclass, field
from typing import Final

import msgspec
import structlog
from msgspec import Struct

from docpipe.model import Outcome, RunState
from docpipe.report.labels import named
from docpipe.results.report import Changes, Entry, Facts, Mention
from docpipe.storage import Storage

log = structlog.get_logger(__name__)

LATEST: Final = 200
"""As many earlier runs are read; more would take too long."""
_NOT_KEPT: Final = (Outcome.DUPLICATE, Outcome.IGNORED, Outcome.REFUSED)
_COMPLETE: Final = (RunState.COMPLETED, RunState.COMPLETED_WITH_ERRORS)
_MANIFEST: Final = "manifest.json"


class _Run(Struct, frozen=True, kw_only=True):
    run_id: str
    state: str
    finished: str


class _File(Struct, frozen=True, kw_only=True):
    """What is needed of an entry."""

    path: str
    id: str | None
    outcome: str
    title: str | None = None
    date: str | None = None
    key: str | None = None
    original: str | None = None


class _Manifest(Struct, frozen=True, kw_only=True):
    """What is needed of manifest.json."""

    run: _Run
    files: list[_File]


@dataclass(slots=True)
class _Earlier:
    """The earlier runs together: a patient with 10,000 documents has as many in each of 200 manifests."""

    last: _Run | None = None
    """The latest that was completed."""
    files: dict[str, _File] = field(default_factory=dict)
    """Each document that was kept, by its id, as the latest manifest has it."""

    def add(self, manifest: _Manifest) -> None:
        """Add the next one."""
        if manifest.run.state in _COMPLETE:
            self.last = manifest.run
        for file in manifest.files:
            if file.id is not None and file.outcome not in _NOT_KEPT:
                self.files[file.id] = file


def changes_of(storage: Storage, facts: Facts) -> Changes | None:
    """What is new and what is gone, as the page has it; None where nothing was retrieved before.

    Called in a thread: it reads the storage.

    A document is new if no earlier run has it, and gone if one has it and this run, which has everything that
    the exchange has, does not. Where the storage cannot be read now, the report does without.
    """
    if facts.run.state not in _COMPLETE:
        return None
    try:
        earlier = _earlier(storage, facts.run.patient_id, facts.run.run_id)
    except OSError as error:
        log.warning("earlier_runs_not_read", run_id=facts.run.run_id, reason=error.strerror)
        return None
    if earlier.last is None:
        return None
    now = {file.id: file for file in facts.documents if file.id and file.outcome not in _NOT_KEPT}
    return Changes(
        since=earlier.last.finished,
        since_run=earlier.last.run_id,
        new=[_mention(file) for id_, file in now.items() if id_ not in earlier.files],
        gone=[_mention(file) for id_, file in earlier.files.items() if id_ not in now],
    )


def _mention(file: Entry | _File) -> Mention:
    return Mention(
        path=file.path,
        id=file.id,
        title=named(file.title, file.path),
        date=file.date,
        key=file.key,
        original=file.original,
    )


def _earlier(storage: Storage, patient_id: str, run_id: str) -> _Earlier:
    """The manifests of earlier runs, oldest first; those that cannot be understood are left out."""
    tree, folder, earlier = storage.tree(), storage.folder_of(patient_id), _Earlier()
    runs = [run for run in tree.names(f"{folder}/runs") if run < run_id]
    for run in runs[-LATEST:]:
        try:
            data = tree.read(f"{folder}/runs/{run}/{_MANIFEST}")
            earlier.add(msgspec.json.decode(data, type=_Manifest))
        except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError, UnicodeDecodeError):
            continue  # `docpipe check` reports it
    return earlier
