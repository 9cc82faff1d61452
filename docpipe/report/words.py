"""What a report says in plain words, and texts of strangers made harmless to show."""

import unicodedata
from typing import Any, Final

from docpipe.model import Json, Outcome

STATES: Final = {
    "completed": "Completed",
    "completed_with_errors": "Completed, with problems in some documents",
    "failed": "Failed",
    "cancelled": "Cancelled",
}
OUTCOMES: Final = {
    Outcome.CONVERTED: "readable",
    Outcome.STORED: "kept as it is",
    Outcome.FAILED: "could not be read",
    Outcome.REFUSED: "refused as unsafe",
    Outcome.DUPLICATE: "the same as another",
    Outcome.IGNORED: "left out",
}
TYPES: Final = {
    "application/hl7-cda+xml": "Clinical document (CDA)",
    "application/pdf": "PDF",
    "application/rtf": "RTF text",
    "text/rtf": "RTF text",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "Word document",
    "application/zip": "Archive (ZIP)",
    "application/dicom": "DICOM image",
    "application/fhir+json": "FHIR resource",
    "application/hl7-v2": "HL7 v2 message",
    "message/rfc822": "E-mail",
    "text/html": "Web page",
    "text/plain": "Plain text",
    "text/csv": "Table (CSV)",
    "image/tiff": "Scan or fax (TIFF)",
    "image/jpeg": "Picture (JPEG)",
    "image/png": "Picture (PNG)",
}
_ARCHIVES: Final = ("application/zip", "application/gzip", "application/x-tar")  # their files are listed
_TITLE: Final = 120
_HIDDEN: Final = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # controls, direction marks, what no font has


def shown(text: Any, limit: int = _TITLE) -> str:
    """A text on one line without hidden characters, cut to a length; empty for None."""
    if text is None:
        return ""
    clean = "".join(" " if unicodedata.category(char) in _HIDDEN else char for char in str(text)[: limit * 4])
    line = " ".join(clean.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def title_of(document: Json) -> str:
    """What a document is called: its title, else its name in the archive."""
    return shown(document.get("title")) or shown(document["path"])


def type_of(document: Json) -> str:
    """What kind of file it is, in plain words."""
    media_type = document.get("media_type")
    return TYPES.get(media_type, shown(media_type, 60)) if media_type else ""


def year_of(document: Json) -> str:
    """The year of a document, empty where it has none."""
    year = str(document.get("date") or "")[:4]
    return year if year.isascii() and year.isdigit() else ""


def problems(documents: list[Json]) -> list[dict[str, Any]]:
    """Files that need somebody's eye: what could not be read, what was refused."""
    return [
        {
            "path": document["path"],
            "title": title_of(document),
            "outcome": document["outcome"],
            "reason": document["reason"],
            "key": document.get("key"),
        }
        for document in documents
        if document["outcome"] in (Outcome.FAILED, Outcome.REFUSED)
    ]


def not_read(documents: list[Json]) -> list[dict[str, Any]]:
    """Files that are kept but whose text is not known, or not wholly: no converter, or scans."""
    found = []
    for document in documents:
        why = [warning for warning in document.get("warnings") or [] if "not read" in warning]
        opened = document.get("media_type") in _ARCHIVES
        if document["outcome"] == Outcome.STORED and not opened:
            why = [document["reason"]]
        if why:
            found.append({"path": document["path"], "title": title_of(document), "reason": "; ".join(why)})
    return found
