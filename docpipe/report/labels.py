"""The words of reports: states, outcomes and types in plain words, and text from outside as one safe line."""

import unicodedata
from collections.abc import Iterable
from typing import Any, Final

from docpipe.model import OUTCOMES, Activity, Outcome, count_of
from docpipe.results.report import Changes, Entry

STATES: Final = {
    "completed": "Completed",
    "completed_with_errors": "Completed, with problems in some documents",
    "failed": "Failed",
    "cancelled": "Cancelled",
}
NEW: Final = "New since the last retrieval"
GONE: Final = "No longer at the exchange"
"""Headings; the documents themselves stay in the storage."""
ACTIVITIES: Final = {
    Activity.GET_PATIENT: "Looks the patient up",
    Activity.CREATE_TASK: "Makes the task",
    Activity.SEARCH: "Starts the search",
    Activity.CHECK_STATUS: "Waits for the search",
    Activity.DOWNLOAD: "Fetches the archive",
    Activity.CONVERT: "Converts documents",
    Activity.STORE: "Stores documents",
    Activity.UPDATE_STATUS: "Updates the task",
    Activity.REPORT: "Writes the report",
    Activity.APPEND_REPORT: "Reports on the task",
}
"""The page of `docpipe serve` has the same words; a test compares."""
_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
_ODF: Final = "application/vnd.oasis.opendocument."
TYPES: Final = {
    "application/hl7-cda+xml": "Clinical document (CDA)",
    "application/pdf": "PDF",
    "application/rtf": "RTF text",
    "text/rtf": "RTF text",
    _OFFICE + "wordprocessingml.document": "Word document",
    _OFFICE + "spreadsheetml.sheet": "Excel workbook",
    _OFFICE + "presentationml.presentation": "PowerPoint presentation",
    "application/vnd.ms-office.encrypted": "Encrypted Office document",
    "application/msword": "Old Word document",
    "application/vnd.ms-excel": "Old Excel workbook",
    "application/vnd.ms-powerpoint": "Old PowerPoint presentation",
    "application/vnd.ms-excel.sheet.binary.macroenabled.12": "Binary Excel workbook",
    "application/x-ole-storage": "Old Office file",
    "application/vnd.ms-works": "Works document",
    "application/vnd.visio": "Visio drawing",
    "application/vnd.wordperfect": "WordPerfect document",
    "application/x-mspublisher": "Publisher document",
    "application/vnd.sun.xml.writer": "Old OpenOffice text",
    "application/vnd.sun.xml.calc": "Old OpenOffice spreadsheet",
    "application/vnd.sun.xml.impress": "Old OpenOffice presentation",
    "application/vnd.sun.xml.draw": "Old OpenOffice drawing",
    "image/emf": "EMF drawing",
    "image/wmf": "WMF drawing",
    _ODF + "text": "OpenDocument text",
    _ODF + "text-template": "OpenDocument text",
    _ODF + "text-master": "OpenDocument text",
    _ODF + "text-web": "OpenDocument text",
    _ODF + "spreadsheet": "OpenDocument spreadsheet",
    _ODF + "spreadsheet-template": "OpenDocument spreadsheet",
    _ODF + "presentation": "OpenDocument presentation",
    _ODF + "presentation-template": "OpenDocument presentation",
    _ODF + "graphics": "OpenDocument drawing",
    _ODF + "graphics-template": "OpenDocument drawing",
    _ODF + "flat": "OpenDocument file",
    "application/zip": "Archive (ZIP)",
    "application/gzip": "Archive (GZIP)",
    "application/x-tar": "Archive (TAR)",
    "application/x-7z-compressed": "Archive (7-Zip)",
    "application/vnd.rar": "Archive (RAR)",
    "application/x-bzip2": "Archive (BZIP2)",
    "application/x-xz": "Archive (XZ)",
    "application/dicom": "DICOM image",
    "application/fhir+json": "Clinical data (FHIR)",
    "application/fhir+xml": "Clinical data (FHIR)",
    "application/hl7-v2": "Clinical message (HL7)",
    "application/json": "Data file (JSON)",
    "application/xml": "Data file (XML)",
    "application/epub+zip": "E-book",
    "application/octet-stream": "Unknown type",
    "application/x-empty": "Empty file",
    "application/mbox": "Mailbox",
    "application/vnd.ms-outlook": "E-mail (Outlook)",
    "application/vnd.ms-tnef": "Outlook attachment",
    "message/rfc822": "E-mail",
    "multipart/related": "Saved web page",
    "text/html": "Web page",
    "text/plain": "Plain text",
    "text/csv": "Table (CSV)",
    "text/calendar": "Calendar entry",
    "text/vcard": "Contact card",
    "image/tiff": "Scan or fax (TIFF)",
    "image/jpeg": "Picture (JPEG)",
    "image/png": "Picture (PNG)",
    "image/bmp": "Picture (BMP)",
    "image/gif": "Picture (GIF)",
    "image/webp": "Picture (WebP)",
    "image/jp2": "Picture (JPEG 2000)",
    "image/heic": "Picture (HEIC)",
    "image/avif": "Picture (AVIF)",
    "image/x-portable-bitmap": "Picture (PBM)",
    "image/x-portable-graymap": "Picture (PGM)",
    "image/x-portable-pixmap": "Picture (PPM)",
    "image/x-tga": "Picture (TGA)",
    "image/x-pcx": "Picture (PCX)",
    "application/applefile": "macOS file",
    "image/svg+xml": "Drawing (SVG)",
}
_TITLE: Final = 120
_HIDDEN: Final = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # controls, direction marks, what no font has
_MARKS: Final = ("Mn", "Me")
_MARKS_IN_A_ROW: Final = 4  # as many as any script needs; more of them grow over the lines around
_ORDER: Final = {
    outcome: rank
    for rank, outcome in enumerate(
        (
            Outcome.FAILED,
            Outcome.REFUSED,
            Outcome.CONVERTED,
            Outcome.STORED,
            Outcome.DUPLICATE,
            Outcome.IGNORED,
        )
    )
}


def one_line(text: Any, limit: int = _TITLE) -> str:
    """A text on one line without hidden characters, cut to a length; empty for None."""
    if text is None:
        return ""
    text = str(text)[: limit * 4]
    if not (text.isascii() and text.isprintable()):
        text = "".join(_visible(text))
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _visible(text: str) -> Iterable[str]:
    marks = 0
    for char in text:
        category = unicodedata.category(char)
        marks = marks + 1 if category in _MARKS else 0
        if marks <= _MARKS_IN_A_ROW:
            yield " " if category in _HIDDEN else char


def title_of(document: Entry) -> str:
    """What a document is called: its title, else its name in the archive."""
    return named(document.title, document.path)


def named(title: str | None, path: str) -> str:
    """What a document with this title and name in the archive is called."""
    return one_line(title) or one_line(path) or "(without a name)"


def type_of(document: Entry) -> str:
    """What kind of file it is, in plain words."""
    media_type = document.media_type
    return TYPES.get(media_type) or one_line(media_type, 60) if media_type else ""


def year_of(document: Entry) -> int | None:
    """The year of a document, None where it has none."""
    year = str(document.date or "")[:4]
    return int(year) if len(year) == 4 and year.isascii() and year.isdigit() else None  # noqa: PLR2004 -- digits


def in_order(documents: list[Entry]) -> list[Entry]:
    """Problems first, then what can be read, the latest first, then the rest in the order of the archive."""
    latest = sorted(documents, key=lambda file: str(file.date or ""), reverse=True)
    return sorted(latest, key=lambda file: _ORDER[Outcome(file.outcome)])


def counted(counts: dict[str, int]) -> list[tuple[Outcome, str]]:
    """How many files had which outcome, in words."""
    return [
        (outcome, f"{counts[outcome]:,} {OUTCOMES[outcome]}") for outcome in _ORDER if counts.get(outcome)
    ]


def changed(changes: Changes) -> str:
    """What has changed since the last retrieval, in one line."""
    counts = ((len(changes.new), "new"), (len(changes.gone), "no longer at the exchange"))
    what = ", ".join(f"{count:,} {word}" for count, word in counts if count) or "nothing new"
    return f"since the last retrieval, on {one_line(changes.since[:10])}: {what}"


def span(seconds: float) -> str:
    """A span of time with its units, such as "2 h 10 min"."""
    if seconds < 60:  # noqa: PLR2004 -- a minute
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{count_of(days, 'day')} {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
