"""The documents of a patient's chart, from the reports of the runs."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import msgspec

from docpipe.errors import UsageError
from docpipe.model import Outcome
from docpipe.report.findings import ARCHIVES
from docpipe.report.labels import title_of
from docpipe.report.reasons import plain_words
from docpipe.results.report import Entry, PatientFacts, Report
from docpipe.storage import RUNS, Listing, Storage, Tree

PDF: Final = "document.pdf"
_REPORT: Final = "report.json"
_NOT_COUNTED: Final = (Outcome.DUPLICATE, Outcome.IGNORED)
"""The same bytes as another document, or no document at all."""
_NO_PDF: Final = "It is kept as it is; open the original."


@dataclass(frozen=True, slots=True)
class Contents:
    """The documents of a patient, or of one run."""

    patient_id: str
    patient: PatientFacts | None
    retrieved: list[str]
    """When each run ended, ISO 8601, in order."""
    documents: list[Entry]
    """Every stored document in order of date, those without a date at the end."""
    sizes: dict[str, int]
    """Bytes of `document.pdf` by document id, of those that have it."""
    missing: list[tuple[str, str]]
    """Title and reason of what has no readable pages, in the same order."""
    lost: list[tuple[str, str]]
    """Title and reason of those among them that are not stored at all."""

    @property
    def readable(self) -> list[Entry]:
        """The documents with pages."""
        return [entry for entry in self.documents if entry.id in self.sizes]


class NoReportError(UsageError):
    """None of the runs has a report yet."""


def contents_of(storage: Storage, patient_id: str, run_ids: Collection[str] | None = None) -> Contents:
    """Read what a patient's runs, or some of them, have brought; in a thread.

    Args:
        storage: is only read.
        patient_id: whose documents.
        run_ids: of the runs; None for all. Of a document in several runs the last one counts.

    Raises:
        NoReportError: if there is no report yet.
        OSError: if the storage cannot be read.
    """
    tree, folder = storage.tree(), storage.folder_of(patient_id)
    listing = tree.listing(folder)
    reports = list(filter(None, (_report(tree, folder, run) for run in _runs(listing, run_ids))))
    if not reports:
        which = ", ".join(run_ids or ()) or patient_id
        raise NoReportError(f"There is no report of {which} yet; `docpipe run` makes one.")
    entries: dict[str, Entry] = {}
    for report in reports:
        counted = (entry for entry in report.documents if entry.outcome not in _NOT_COUNTED)
        entries |= {entry.id or entry.path: entry for entry in counted}
    ordered = sorted(entries.values(), key=lambda entry: (entry.date is None, entry.date or "", entry.path))
    sizes = {
        entry.id: size
        for entry in ordered
        if entry.id and PDF in entry.outputs and (size := listing.files.get(f"{entry.id}/{PDF}"))
    }
    return Contents(
        patient_id=patient_id,
        patient=next((report.patient for report in reversed(reports) if report.patient), None),
        retrieved=[report.run.finished for report in reports],
        documents=[entry for entry in ordered if entry.key and entry.id],
        sizes=sizes,
        missing=[(title_of(entry), _reason(entry)) for entry in ordered if _is_missing(entry, sizes)],
        lost=[(title_of(entry), _reason(entry)) for entry in ordered if not (entry.key and entry.id)],
    )


def _runs(listing: Listing, run_ids: Collection[str] | None) -> list[str]:
    """Ids of the runs with a report; ULIDs sort by time."""
    reports = (path.split("/") for path in listing.files if path.startswith(f"{RUNS}/"))
    ids = [parts[1] for parts in reports if parts[2:] == [_REPORT]]
    return sorted(name for name in ids if run_ids is None or name in run_ids)


def _report(tree: Tree, folder: str, run_id: str) -> Report | None:
    try:
        return msgspec.json.decode(tree.read(f"{folder}/{RUNS}/{run_id}/{_REPORT}"), type=Report)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None  # `docpipe check` reports it


def _is_missing(entry: Entry, sizes: dict[str, int]) -> bool:
    opened = entry.outcome == Outcome.STORED and entry.media_type in ARCHIVES  # its files are documents
    return entry.id not in sizes and not opened


def _reason(entry: Entry) -> str:
    return plain_words(entry.reason).text if entry.reason else _NO_PDF
