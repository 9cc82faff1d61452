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
from docpipe.convert.core.blocks import Block, Paragraph, Table, texts, tidy
from docpipe.convert.ocr import page_notes, pages
from docpipe.convert.readers.cda.times import iso_date
from docpipe.convert.readers.pdf import active, scanned
from docpipe.convert.readers.pdf import fields as pdf_fields
from docpipe.convert.readers.pdf import forms as pdf_forms
from docpipe.convert.readers.pdf import layers as pdf_layers
from docpipe.convert.readers.pdf import text as pdf_text
from docpipe.convert.readers.pdf.fields import Field
from docpipe.convert.readers.pdf.text import Page, State
from docpipe.convert.readers.pdf.unseen import HIDDEN

_MENDED: Final = "the PDF was damaged and was mended; check that no page is missing"
_SCARRED: Final = "the PDF is damaged; check that no text or page is missing"
_SCRIPTS: Final = "the PDF had scripts, which were taken out of the copy"
_UNSAFE: Final = "the PDF may have scripts, so its text was set anew; open the original"
_XFA: Final = "the PDF is a form in XFA; parts of it may not be shown"
_XFA_ONLY: Final = (
    "the PDF is a form that only Adobe's programs show; its values were read, its layout was not"
)
_PORTFOLIO: Final = "the PDF is a portfolio: the files in it are documents of their own"
_GARBLED: Final = "the fonts of {} of {} pages do not name their letters; the text may be unreadable"
_BEYOND: Final = "text outside of the visible page was left out; the original has it"
_LAYERS: Final = "text in layers that are switched off was left out; the original has it"
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
class _Opened:
    warnings: list[str] = field(default_factory=list)
    facts: Facts = field(default_factory=Facts)
    embedded: list[Embedded] = field(default_factory=list)
    claimed: str | None = None
    fields: dict[int, tuple[Field, ...]] = field(default_factory=dict)
    """The fields of the form by the index of their page."""
    loose: list[tuple[str, str]] = field(default_factory=list)
    """Names and values of fields on no page."""
    layers: bool = False
    """Whether parts of it can be switched off."""
    form: tuple[Block, ...] = ()
    """The values of an XFA form."""
    safe: bool = False
    """Whether the PDF was gone through for what acts by itself."""
    remade: bytes | None = None
    """The file saved again, where the original cannot be used."""


def read(source: Source) -> Content:
    """The document's facts, the text of its pages, its attachments, and a PDF that anybody can open.

    Raises: UnreadableError.
    """
    pdf_state = _Opened()
    document = _opened(source.path, pdf_state)
    try:
        _examine(source.path, pdf_state)
        if (visible := _visible(source.path, pdf_state)) is not None:
            document.close()
            document = pypdfium2.PdfDocument(visible)
        read = pdf_text.pages(document, pdf_state.fields)
    finally:
        document.close()
    if any(page.beyond for page in read):
        pdf_state.warnings.append(_BEYOND)
    if any("[hidden: " in text for page in read for text in texts(page.blocks)):
        pdf_state.warnings.append(HIDDEN)
    _damaged(read, pdf_state)
    if pdf_state.form and pdf_forms.is_placeholder(read):
        return _of_form(pdf_state)
    ocr = _scanned(read, source, pdf_state)
    proven = None if pdf_state.remade else pdfa.proven(source.path, pdf_state.claimed)
    if ocr.pdf is not None:
        pdf_state.remade, proven = pdfa.archived(ocr.pdf)
    blocks = tuple(_blocks(read, ocr, pdf_state))
    if not pdf_state.safe:
        pdf_state.warnings.append(_UNSAFE)
    return Content(
        blocks=(*blocks, *_hidden_values(read, pdf_state)),
        pdf=(pdf_state.remade or source.path) if pdf_state.safe else None,
        facts=pdf_state.facts,
        embedded=tuple(pdf_state.embedded),
        warnings=tuple(pdf_state.warnings),
        claimed=pdf_state.claimed,
        proven=proven if pdf_state.safe else None,
        libraries=("pypdfium2", "pikepdf", *ocr.libraries),
        ocr_pages=page_notes.numbers(ocr.texts),
    )


def _of_form(pdf_state: _Opened) -> Content:
    """A form whose pages only ask for another program: its values as a document."""
    pdf_state.warnings = [warning for warning in pdf_state.warnings if warning != _XFA]
    return Content(
        blocks=pdf_state.form,
        facts=pdf_state.facts,
        embedded=tuple(pdf_state.embedded),
        warnings=(_XFA_ONLY, *pdf_state.warnings),
        claimed=pdf_state.claimed,
        libraries=("pypdfium2", "pikepdf", "lxml"),
    )


def _hidden_values(read: list[Page], pdf_state: _Opened) -> tuple[Block, ...]:
    """The values of an XFA form without fields of its own, unless the pages have them all."""
    if pdf_state.loose and not pdf_state.form:
        rows = tuple(pdf_state.loose)
        return (Paragraph("Values of the form that are on no page:"), Table((("Field", "Value"),), rows))
    if pdf_state.fields or not pdf_state.form:
        return ()
    seen = " ".join(page.text for page in read)
    values = [row[1] for block in pdf_state.form if isinstance(block, Table) for row in block.rows]
    return () if all(value in seen for value in values) else pdf_state.form


def _damaged(read: list[Page], pdf_state: _Opened) -> None:
    broken = sum(page.state is State.BROKEN for page in read)
    if broken == len(read):
        raise UnreadableError("The PDF is damaged: none of its pages can be opened.")
    if broken:
        pdf_state.warnings.append(f"{broken} of {len(read)} pages are damaged and could not be read")


def _scanned(read: list[Page], source: Source, pdf_state: _Opened) -> pages.Read:
    """Have those pages read that are pictures, or might as well be."""
    wanted = [pages.Page(page.at, page.boxes) for page in read if page.state in State.to_read()]
    if not wanted:
        return pages.Read()
    try:
        ocr = pages.read(pdf_state.remade or source.path, wanted, source)
    except (pypdfium2.PdfiumError, ValueError):
        ocr = pages.Read(pending=[page.at for page in wanted])
    asked = [page for page in read if page.state in State.to_read() and page.state is not State.GARBLED]
    unsettled = [page for page in asked if page.state is State.PICTURE or page.at in ocr.texts]
    pdf_state.warnings += page_notes.warnings(ocr, [page.at for page in unsettled])
    return ocr


def _blocks(read: list[Page], ocr: pages.Read, pdf_state: _Opened) -> Iterator[Block]:
    garbled = 0
    for page in read:
        if page.state is State.BROKEN:
            continue
        seen = ocr.texts.get(page.at)
        if len(read) > 1 or seen is not None:
            yield page_notes.heading(page.at, ocr=seen is not None)
        if page.state is State.GARBLED and seen is None:
            garbled += 1
        if page.blocks and not (page.state is State.GARBLED and seen is not None):
            yield from page.blocks
        elif page.state is State.PICTURE and seen is None and page.at not in ocr.blank:
            yield page_notes.picture()
        if seen is not None:
            yield from scanned.blocks(ocr.readings[page.at])
        yield from (Paragraph(note) for note in page.notes)
    if garbled:
        pdf_state.warnings.append(_GARBLED.format(garbled, len(read)))


def _opened(path: Path, pdf_state: _Opened) -> pypdfium2.PdfDocument:
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
        pdf_state.remade = _saved(path)
        document = pypdfium2.PdfDocument(pdf_state.remade)
    except pikepdf.PasswordError as error:
        raise UnreadableError("The PDF needs a password.") from error
    except (pikepdf.PdfError, pypdfium2.PdfiumError, ValueError, OSError) as error:
        raise UnreadableError(reason) from error
    if not len(document):
        raise UnreadableError(reason)
    pdf_state.warnings.append(_MENDED)
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


def _examine(path: Path, pdf_state: _Opened) -> None:
    """Metadata, form, scripts and attachments, by pikepdf; the text does not depend on them."""
    try:
        with pikepdf.open(io.BytesIO(pdf_state.remade) if pdf_state.remade else path) as pdf:
            if not pdf_state.remade and any("damaged" in str(warning) for warning in pdf.get_warnings()):
                pdf_state.warnings.append(_SCARRED)  # pdfium reads on in silence
            for step in (_known, _attachments, _forms, _freed):
                with contextlib.suppress(*_ODD):  # one odd object is no reason to miss the rest
                    step(pdf, pdf_state)
    except _ODD:
        return


def _visible(path: Path, pdf_state: _Opened) -> bytes | None:
    """The PDF without layers that are off, to read its text; None where none of them is."""
    if not pdf_state.layers:
        return None
    try:
        with pikepdf.open(io.BytesIO(pdf_state.remade) if pdf_state.remade else path) as pdf:
            made = pdf_layers.visible(pdf)
    except _ODD:
        return None
    if made is None:
        return None
    if made[1]:
        pdf_state.warnings.append(_LAYERS)
    return made[0]


def _known(pdf: pikepdf.Pdf, pdf_state: _Opened) -> None:
    pdf_state.claimed = pdfa.claimed(pdf)
    pdf_state.facts = _facts(pdf)
    pdf_state.layers = "/OCProperties" in pdf.Root


def _forms(pdf: pikepdf.Pdf, pdf_state: _Opened) -> None:
    if "/Collection" in pdf.Root:
        pdf_state.warnings.append(_PORTFOLIO)
    form = pdf.Root.get("/AcroForm")
    if isinstance(form, pikepdf.Dictionary):
        pdf_state.fields = pdf_fields.fields(pdf)
        pdf_state.loose = pdf_fields.loose(pdf)
    if pdf_forms.has_xfa(pdf):
        pdf_state.warnings.append(_XFA)
        pdf_state.form = pdf_forms.values(pdf)


def _freed(pdf: pikepdf.Pdf, pdf_state: _Opened) -> None:
    """The file without what acts by itself, without files in it, and without encryption."""
    done = active.disarm(pdf)
    if done.scripts or done.parts or pdf.is_encrypted:
        pdf_state.remade = _bytes(pdf)
    pdf_state.safe = True
    if done.scripts:
        pdf_state.warnings.append(_SCRIPTS)


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


def _attachments(pdf: pikepdf.Pdf, pdf_state: _Opened) -> None:
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
            pdf_state.warnings.append("an attachment of the PDF could not be read")
            continue
        total += len(data)
        if total > _LARGEST:
            raise UnreadableError("The PDF's attachments unpack to more than they may.")
        if data:
            file_name = next((str(file[key]) for key in ("/UF", "/F") if key in file), name)
            declared = stream.get("/Subtype")
            media_type = str(declared).removeprefix("/") if isinstance(declared, pikepdf.Name) else None
            pdf_state.embedded.append(Embedded(file_name or name, media_type, data))


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
