"""PDF: its text by page, and the file itself, mended, unlocked or freed of scripts where it must be.

Pages are read one by one in pdf_text; what acts by itself is taken out by pdf_active; forms that pdfium does
not show are read by pdf_forms; pages that are pictures are read by OCR.
"""

import contextlib
import io
import itertools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pikepdf
import pypdfium2
from pypdfium2 import raw

from docpipe.convert.core import pdfa
from docpipe.convert.core.base import Content, Embedded, Facts, Source, UnreadableError
from docpipe.convert.core.blocks import Block, Paragraph, tidy
from docpipe.convert.ocr import pages, told
from docpipe.convert.readers import pdf_active, pdf_forms, pdf_text
from docpipe.convert.readers.cdatime import iso_date
from docpipe.convert.readers.pdf_text import Page, State

_MENDED: Final = "the PDF was damaged and was mended; check that no page is missing"
_SCARRED: Final = "the PDF is damaged; check that no text or page is missing"
_SCRIPTS: Final = "the PDF had scripts, which were taken out of the copy"
_XFA: Final = "the PDF is a form in XFA; parts of it may not be shown"
_XFA_ONLY: Final = (
    "the PDF is a form that only Adobe's programs show; its values were read, its layout was not"
)
_PORTFOLIO: Final = "the PDF is a portfolio: the files in it are documents of their own"
_GARBLED: Final = "the text of {} of {} pages cannot be told from their fonts; it may be unreadable"
_ODD: Final = (
    pikepdf.PdfError,
    pikepdf.PasswordError,  # attachments may have one of their own
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    NotImplementedError,
    RuntimeError,
)
"""What pikepdf raises for objects that are not what they should be."""
_MOST_ATTACHMENTS: Final = 200
_LARGEST: Final = 256 * 2**20


@dataclass(slots=True)
class _Found:
    warnings: list[str] = field(default_factory=list)
    facts: Facts = field(default_factory=Facts)
    embedded: list[Embedded] = field(default_factory=list)
    claimed: str | None = None
    form: tuple[Block, ...] = ()
    """The values of an XFA form."""
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
        read = pdf_text.pages(document)
    finally:
        document.close()
    _damaged(read, found)
    if found.form and pdf_forms.is_placeholder(read):
        return _of_form(found)
    ocr = _scanned(read, source, found)
    proven = None if found.remade else pdfa.proven(source.path, found.claimed)
    if ocr.pdf is not None:
        found.remade, proven = pdfa.archived(ocr.pdf)
    return Content(
        blocks=tuple(_blocks(read, ocr, found)),
        pdf=found.remade or source.path,
        facts=found.facts,
        embedded=tuple(found.embedded),
        warnings=tuple(found.warnings),
        claimed=found.claimed,
        proven=proven,
        libraries=("pypdfium2", "pikepdf", *ocr.libraries),
        ocr_pages=told.numbers(ocr.texts),
    )


def _of_form(found: _Found) -> Content:
    """A form whose pages only ask for another program: its values, set as a document."""
    found.warnings = [warning for warning in found.warnings if warning != _XFA]
    return Content(
        blocks=found.form,
        facts=found.facts,
        embedded=tuple(found.embedded),
        warnings=(_XFA_ONLY, *found.warnings),
        claimed=found.claimed,
        libraries=("pypdfium2", "pikepdf", "lxml"),
    )


def _damaged(read: list[Page], found: _Found) -> None:
    broken = sum(page.state is State.BROKEN for page in read)
    if broken == len(read):
        raise UnreadableError("The PDF is damaged: none of its pages can be opened.")
    if broken:
        found.warnings.append(f"{broken} of {len(read)} pages are damaged and could not be read")


def _scanned(read: list[Page], source: Source, found: _Found) -> pages.Read:
    """Have those pages read that are pictures, or might as well be."""
    wanted = [pages.Page(page.at, page.boxes) for page in read if page.state in State.to_read()]
    if not wanted:
        return pages.Read()
    try:
        ocr = pages.read(found.remade or source.path, wanted, source)
    except (pypdfium2.PdfiumError, ValueError):
        ocr = pages.Read(pending=[page.at for page in wanted])
    asked = [page for page in read if page.state in State.to_read() and page.state is not State.GARBLED]
    unsettled = [page for page in asked if page.state is State.PICTURE or page.at in ocr.texts]
    found.warnings += told.warnings(ocr, [page.at for page in unsettled])
    return ocr


def _blocks(read: list[Page], ocr: pages.Read, found: _Found) -> Iterator[Block]:
    garbled = 0
    for page in read:
        if page.state is State.BROKEN:
            continue
        seen = ocr.texts.get(page.at)
        if len(read) > 1 or seen is not None:
            yield told.heading(page.at, ocr=seen is not None)
        if page.state is State.GARBLED and seen is None:
            garbled += 1
        if page.text and not (page.state is State.GARBLED and seen is not None):
            yield Paragraph(page.text)
        elif page.state is State.PICTURE and seen is None and page.at not in ocr.blank:
            yield told.picture()
        if seen is not None:
            yield from told.paragraphs(seen)
        yield from (Paragraph(note) for note in page.notes)
    if garbled:
        found.warnings.append(_GARBLED.format(garbled, len(read)))


def _opened(path: Path, found: _Found) -> pypdfium2.PdfDocument:
    try:
        document = pypdfium2.PdfDocument(path)
        if len(document):
            return document
        document.close()
        reason = "The PDF has no pages."
    except pypdfium2.PdfiumError as error:
        reason = _damage(path)
        if error.err_code == raw.FPDF_ERR_PASSWORD:
            reason = "The PDF needs a password."
        elif error.err_code == raw.FPDF_ERR_SECURITY:
            reason = "The PDF is encrypted in a way that docpipe does not know."
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
    with warnings.catch_warnings():  # of forms that were odd before
        warnings.simplefilter("ignore")
        pdf.save(out, deterministic_id=True)  # without encryption, unless that is asked for
    return out.getvalue()


def _examine(path: Path, found: _Found) -> None:
    """What pikepdf knows of the file; nothing of it is needed to read the text."""
    try:
        with pikepdf.open(io.BytesIO(found.remade) if found.remade else path) as pdf:
            if not found.remade and any("damaged" in str(warning) for warning in pdf.get_warnings()):
                found.warnings.append(_SCARRED)  # pdfium reads on in silence
            for step in (_known, _attachments, _forms, _freed):
                with contextlib.suppress(*_ODD):  # one odd object is no reason to miss the rest
                    step(pdf, found)
    except _ODD:
        return


def _known(pdf: pikepdf.Pdf, found: _Found) -> None:
    found.claimed = pdfa.claimed(pdf)
    found.facts = _facts(pdf)


def _forms(pdf: pikepdf.Pdf, found: _Found) -> None:
    if "/Collection" in pdf.Root:
        found.warnings.append(_PORTFOLIO)
    if pdf_forms.has_xfa(pdf):
        found.warnings.append(_XFA)
        found.form = pdf_forms.values(pdf)


def _freed(pdf: pikepdf.Pdf, found: _Found) -> None:
    """The file without what acts by itself, and without encryption."""
    if pdf_active.disarm(pdf):
        found.remade = _bytes(pdf)
        found.warnings.append(_SCRIPTS)
    elif pdf.is_encrypted:
        found.remade = _bytes(pdf)


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
    """Files attached to the document or, with a pin, to a page."""
    total = 0
    seen: set[tuple[int, int]] = set()
    for name, file in itertools.islice(_attached(pdf), _MOST_ATTACHMENTS):
        try:
            stream = next(file.EF[key] for key in ("/UF", "/F", "/DOS", "/Unix", "/Mac") if key in file.EF)
            if stream.objgen in seen:
                continue
            seen.add(stream.objgen)
            data = stream.read_bytes()
        except (*_ODD, StopIteration):
            found.warnings.append("an attachment of the PDF could not be read")
            continue
        total += len(data)
        if total > _LARGEST:
            raise UnreadableError("The PDF's attachments unpack to more than they may.")
        if data:
            told_name = next((str(file[key]) for key in ("/UF", "/F") if key in file), name)
            declared = stream.get("/Subtype")
            media_type = str(declared).removeprefix("/") if isinstance(declared, pikepdf.Name) else None
            found.embedded.append(Embedded(told_name or name, media_type, data))


def _attached(pdf: pikepdf.Pdf) -> Iterator[tuple[str, Any]]:
    """Names and file specifications."""
    for name, attached in list(pdf.attachments.items()):
        yield name, attached.obj
    for page in pdf.pages:
        notes: Any = page.obj.get("/Annots")
        for note in notes if isinstance(notes, pikepdf.Array) else ():
            if isinstance(note, pikepdf.Dictionary) and note.get("/Subtype") == "/FileAttachment":
                file = note.get("/FS")
                if isinstance(file, pikepdf.Dictionary) and "/EF" in file:
                    yield "attachment", file
