"""PDF: its text by page, and the file itself, mended, unlocked or freed of scripts where it must be."""

import io
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pikepdf
import pikepdf.sanitize
import pypdfium2
from pypdfium2 import raw

from docpipe.convert import pdfa
from docpipe.convert.base import SCANNED, Content, Embedded, Facts, Source, UnreadableError
from docpipe.convert.blocks import Block, Heading, Paragraph, tidy
from docpipe.convert.cda import iso_date

_MENDED: Final = "the PDF was damaged and was mended; check that no page is missing"
_SCARRED: Final = "the PDF is damaged; check that no text or page is missing"
_SCRIPTS: Final = "the PDF had scripts, which were taken out of the copy"
_XFA: Final = "the PDF is a form in XFA; parts of it may not be shown"
_MOST_ATTACHMENTS: Final = 200
_LARGEST: Final = 256 * 2**20
_LETTER_OR_DIGIT: Final = re.compile(r"[^\W_]")
_SIGNS: Final = str.maketrans(
    dict.fromkeys((*range(9), *range(14, 32), *range(127, 160)), " ")
    | {2: "-", 0xFFFE: "-", 0xAD: "-"}  # what pdfium gives for a hyphen at the end of a line
)
"""Control characters in a PDF's text stand between words, where a font had no better name for a gap."""


@dataclass(slots=True)
class _Found:
    warnings: list[str] = field(default_factory=list)
    facts: Facts = field(default_factory=Facts)
    embedded: list[Embedded] = field(default_factory=list)
    claimed: str | None = None
    remade: bytes | None = None
    """The file saved anew, where the original is not fit to be read on."""


def read(source: Source) -> Content:
    """The document's facts, the text of its pages, its attachments, and a PDF that anybody can open.

    Raises: UnreadableError.
    """
    found = _Found()
    document = _opened(source.path, found)
    try:
        _examine(source.path, found)
        blocks = _pages(document, found)
    finally:
        document.close()
    proven = None if found.remade else pdfa.proven(source.path, found.claimed)
    return Content(
        blocks=blocks,
        pdf=found.remade or source.path,
        facts=found.facts,
        embedded=tuple(found.embedded),
        warnings=tuple(found.warnings),
        claimed=found.claimed,
        proven=proven,
        libraries=("pypdfium2", "pikepdf"),
    )


def _opened(path: Path, found: _Found) -> pypdfium2.PdfDocument:
    try:
        document = pypdfium2.PdfDocument(path)
        if len(document):
            return document
        document.close()
        reason = "The PDF has no pages."
    except pypdfium2.PdfiumError as error:
        if error.err_code == raw.FPDF_ERR_PASSWORD:
            raise UnreadableError("The PDF needs a password.") from error
        reason = _damage(path)
    try:
        found.remade = _saved(path)
        document = pypdfium2.PdfDocument(found.remade)
    except pikepdf.PasswordError as error:
        raise UnreadableError("The PDF needs a password.") from error
    except (pikepdf.PdfError, pypdfium2.PdfiumError, ValueError, OSError) as error:
        raise UnreadableError(reason) from error
    if not len(document):
        raise UnreadableError(reason)
    found.warnings.append(_MENDED)
    return document


def _damage(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 2048))
        if b"%%EOF" not in file.read():
            return "The PDF is cut short and cannot be mended."
    return "The PDF is damaged and cannot be mended."


def _saved(path: Path) -> bytes:
    with pikepdf.open(path) as pdf:
        return _bytes(pdf)


def _bytes(pdf: pikepdf.Pdf) -> bytes:
    out = io.BytesIO()
    pdf.save(out, deterministic_id=True)  # without encryption, unless that is asked for
    return out.getvalue()


def _examine(path: Path, found: _Found) -> None:
    """What pikepdf knows of the file; nothing of it is needed to read the text."""
    try:
        with pikepdf.open(io.BytesIO(found.remade) if found.remade else path) as pdf:
            found.facts = _facts(pdf)
            found.claimed = pdfa.claimed(pdf)
            if not found.remade and any("damaged" in str(warning) for warning in pdf.get_warnings()):
                found.warnings.append(_SCARRED)  # pdfium reads on in silence
            _attachments(pdf, found)
            form = pdf.Root.get("/AcroForm")
            if isinstance(form, pikepdf.Dictionary) and "/XFA" in form:
                found.warnings.append(_XFA)
            if _has_scripts(pdf):
                pikepdf.sanitize.remove_javascript(pdf)
                found.remade = _bytes(pdf)
                found.warnings.append(_SCRIPTS)
            elif pdf.is_encrypted:
                found.remade = _bytes(pdf)
    except (pikepdf.PdfError, ValueError, TypeError, KeyError, AttributeError, OSError, RuntimeError):
        return


def _has_scripts(pdf: pikepdf.Pdf) -> bool:
    """Whether some object is a script's action, or a tree of scripts."""
    return any(
        isinstance(item, pikepdf.Dictionary) and (item.get("/S") == "/JavaScript" or "/JavaScript" in item)
        for item in pdf.objects
    )


def _facts(pdf: pikepdf.Pdf) -> Facts:
    info: dict[str, str] = {}
    if isinstance(given := pdf.trailer.get("/Info"), pikepdf.Dictionary):
        for key, value in given.items():
            if isinstance(value, pikepdf.String):
                info[str(key)] = tidy(str(value))
    date = info.get("/ModDate") or info.get("/CreationDate") or ""
    language = pdf.Root.get("/Lang")
    return Facts(
        title=info.get("/Title") or None,
        author=info.get("/Author") or None,
        date=iso_date(date.removeprefix("D:").replace("'", "")),
        language=tidy(str(language))[:35] or None if isinstance(language, pikepdf.String) else None,
    )


def _attachments(pdf: pikepdf.Pdf, found: _Found) -> None:
    total = 0
    for name, attached in list(pdf.attachments.items())[:_MOST_ATTACHMENTS]:
        try:
            file = attached.get_file()
            data = file.read_bytes()
        except (pikepdf.PdfError, ValueError, KeyError):
            found.warnings.append("an attachment of the PDF could not be read")
            continue
        total += len(data)
        if total > _LARGEST:
            raise UnreadableError("The PDF's attachments unpack to more than they may.")
        if data:
            found.embedded.append(
                Embedded(str(attached.filename or name), str(file.mime_type or "") or None, data)
            )


def _pages(document: pypdfium2.PdfDocument, found: _Found) -> tuple[Block, ...]:
    """The text of every page; pages that show something but have no text are told."""
    if document.get_formtype() != raw.FORMTYPE_NONE:
        document.init_forms()
    blocks: list[Block] = []
    unread = broken = 0
    for at in range(len(document)):
        try:
            text, shows = _page(document, at)
        except (pypdfium2.PdfiumError, ValueError):
            broken += 1
            continue
        if len(document) > 1:
            blocks.append(Heading(2, f"Page {at + 1}"))
        if _LETTER_OR_DIGIT.search(text):
            blocks.append(Paragraph(text))
        elif shows:
            unread += 1
            blocks.append(Paragraph("This page is a picture. No text could be read from it."))
    if broken == len(document):
        raise UnreadableError("The PDF is damaged: none of its pages can be opened.")
    if broken:
        found.warnings.append(f"{broken} of {len(document)} pages are damaged and could not be read")
    if unread:
        found.warnings.append(SCANNED)
    return tuple(blocks)


def _page(document: pypdfium2.PdfDocument, at: int) -> tuple[str, bool]:
    """The text of a page, and whether it shows anything."""
    page: Any = document[at]
    try:
        if document.formenv:
            page.flatten()  # what was filled into a form becomes part of the page
            page.close()
            page = document[at]
        words = page.get_textpage()
        try:
            text = words.get_text_range()
        finally:
            words.close()
        shows = raw.FPDFPage_CountObjects(page) > 0
    finally:
        page.close()
    return tidy(text.translate(_SIGNS)), shows
