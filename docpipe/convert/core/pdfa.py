"""PDF/A: the level that a file claims, and the level that can be proven.

pikepdf's validator rejects what it does not know: a rejection may be wrong, an approval is not.
"""

import io
import re
from pathlib import Path
from typing import Final

import pikepdf
import pikepdf.pdfa

PROVEN: Final = "PDF/A-2b"
_PROVABLE: Final = frozenset({"1b", "2b", "3b"})
_METADATA_DATE: Final = re.compile(rb"(<xmp:MetadataDate>)[^<]*")
LARGEST: Final = 50 * 2**20
"""Bytes of a file that are checked: the validator reads every stream."""


def archived(pdf: bytes) -> tuple[bytes, str | None]:
    """The PDF as PDF/A-2b, or as it was where that cannot be proven, and what was."""
    if len(pdf) > LARGEST:
        return pdf, None
    out = io.BytesIO()
    try:
        with pikepdf.open(io.BytesIO(pdf)) as opened:
            pikepdf.pdfa.prepare(opened, "2b")
            metadata = opened.Root.Metadata  # bears the time of this moment, and is to be the same each time
            metadata.write(_METADATA_DATE.sub(rb"\g<1>1970-01-01T00:00:00+00:00", metadata.read_bytes()))
            settings = pikepdf.pdfa.resolve_save_kwargs("2b", deterministic_id=True)
            # To memory: pikepdf.pdfa.save writes a temporary file, and QPDF aborts on a full disk.
            opened.save(out, **settings)
    except (pikepdf.pdfa.PdfaError, pikepdf.PdfError, ValueError):
        return pdf, None
    report = pikepdf.pdfa.validate_written(io.BytesIO(out.getvalue()), "2b")
    return (out.getvalue(), PROVEN) if report.passed else (pdf, None)


def claimed(pdf: pikepdf.Pdf) -> str | None:
    """The level that the file's XMP names, such as `PDF/A-1b`."""
    try:
        level = pdf.open_metadata().pdfa_status
    except Exception:  # noqa: BLE001 - XMP is XML from strangers
        return None
    return (
        f"PDF/A-{level[0]}{level[1:].lower()}" if level and re.fullmatch(r"[1-4][A-Za-z]?", level) else None
    )


def proven(path: Path, claim: str | None) -> str | None:
    """The level b that a file was checked against and met, if it claims that or a stricter one."""
    level = f"{claim[6]}b" if claim else ""
    if level not in _PROVABLE or path.stat().st_size > LARGEST:
        return None
    report = pikepdf.pdfa.validate_written(path, level)
    return f"PDF/A-{level}" if report.passed else None
