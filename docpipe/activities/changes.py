"""What has changed at the exchange since the last retrieval, by the manifests of earlier runs."""

import asyncio
from typing import Final

import msgspec
import structlog
from msgspec import Struct

from docpipe.model import Outcome, RunState
from docpipe.report.words import title_of
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


class _Manifest(Struct, frozen=True, kw_only=True):
    """What is needed of manifest.json."""

    run: _Run
    files: list[Entry]


async def changes_of(storage: Storage, facts: Facts) -> Changes | None:
    """What is new and what is gone, as the page has it; None where nothing was retrieved before.

    A document is new if no earlier run has it, and gone if one has it and this run, which has everything that
    the exchange has, does not. Where the storage cannot be read now, the report does without.
    """
    if facts.run.state not in _COMPLETE:
        return None
    try:
        earlier = await asyncio.to_thread(_earlier, storage, facts.run.patient_id, facts.run.run_id)
    except OSError as error:
        log.warning("earlier_runs_not_read", run_id=facts.run.run_id, reason=error.strerror)
        return None
    complete = [manifest for manifest in earlier if manifest.run.state in _COMPLETE]
    if not complete:
        return None
    before = {file.id: file for manifest in earlier for file in manifest.files if _is_kept(file)}
    now = {file.id: file for file in facts.documents if _is_kept(file)}
    return Changes(
        since=complete[-1].run.finished,
        since_run=complete[-1].run.run_id,
        new=[_mention(file) for id_, file in now.items() if id_ not in before],
        gone=[_mention(file) for id_, file in before.items() if id_ not in now],
    )


def _is_kept(file: Entry) -> bool:
    return file.id is not None and file.outcome not in _NOT_KEPT


def _mention(file: Entry) -> Mention:
    return Mention(
        path=file.path,
        id=file.id,
        title=title_of(file),
        date=file.date,
        key=file.key,
        original=file.original,
    )


def _earlier(storage: Storage, patient_id: str, run_id: str) -> list[_Manifest]:
    """The manifests of earlier runs, oldest first; those that cannot be understood are left out."""
    tree, folder = storage.tree(), storage.folder_of(patient_id)
    try:
        paths = [path.split("/") for path in tree.listing(folder).files]
    except FileNotFoundError:
        return []
    runs = sorted(parts[1] for parts in paths if parts[0] == "runs" and parts[2:] == [_MANIFEST])
    manifests = []
    for run in [run for run in runs if run < run_id][-LATEST:]:
        try:
            data = tree.read(f"{folder}/runs/{run}/{_MANIFEST}")
            manifests.append(msgspec.json.decode(data, type=_Manifest))
        except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
            continue  # `docpipe check` reports it
    return manifests
