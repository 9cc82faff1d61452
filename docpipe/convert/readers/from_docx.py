"""Word documents: body, headers and footers, notes, comments and text boxes, with headings, lists and tables.

Read here with lxml rather than with mammoth, which drops headers and footers (where a patient's name often
stands alone), builds several trees in pure Python, and has no limit on what a file may unpack to.
"""

from docpipe.convert.core.base import Content, Source, UnreadableError, each_once
from docpipe.convert.core.blocks import Block, Heading, Listing, Paragraph, flat, tidy, words
from docpipe.convert.core.kinds import ENCRYPTED_OFFICE
from docpipe.convert.core.opc import Package
from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.readers.altchunk import Chunks
from docpipe.convert.readers.docx import Body, Styles, attribute
from docpipe.convert.readers.office import diagram_texts, embedded_documents, picture_documents, pictures_told


def read(source: Source) -> Content:
    """The document's facts and blocks; documents within it as embedded ones, likewise its large pictures, or
    all of them where it has no text.

    Raises: UnreadableError.
    """
    if source.media_type == ENCRYPTED_OFFICE:
        raise UnreadableError("The document needs a password.")
    with Package(source.path) as package:
        main = package.main("word/document.xml")
        warnings: list[str] = []
        blocks = _blocks(package, main)
        embedded = (
            *embedded_documents(package, warnings),
            *picture_documents(package, everyone=not words(blocks)),
        )
        if not words(blocks):
            pictured = " It consists of pictures." * bool(package.pictures())
            blocks = (Paragraph("This document has no text." + pictured),)
        warnings += pictures_told(package)
        return Content(
            blocks=blocks,
            facts=package.facts(),
            embedded=embedded,
            warnings=each_once([*warnings, *package.warnings]),
            libraries=("lxml",),
        )


def _blocks(package: Package, main: str) -> tuple[Block, ...]:
    styles = Styles(package.related(main, "styles"), package.related(main, "numbering"))
    body = Body(styles, Chunks(package, main))
    root = package.xml(main)
    blocks = body.blocks(next((element for element in root if local(element) == "body"), root))
    kept = {
        (local(element), attribute(element, "id") or ""): element
        for kind in ("footnotes", "endnotes")
        for element in _parts_of(package.related(main, kind))
    }
    notes = [body.blocks(kept[key]) if key in kept else () for key in tuple(body.notes)]
    if notes:
        blocks = (*blocks, Listing(tuple(note or (Paragraph("-"),) for note in notes), 1))
    return (
        *_margins(package, main, body, "header"),
        *blocks,
        *(Paragraph(text) for text in diagram_texts(package, main)),
        *_comments(package, main, body),
        *_margins(package, main, body, "footer"),
    )


def _comments(package: Package, main: str, body: Body) -> tuple[Block, ...]:
    """What reviewers wrote beside the text, with who and when."""
    items: list[tuple[Block, ...]] = []
    for comment in _parts_of(package.related(main, "comments")):
        if local(comment) == "comment" and (text := flat(body.blocks(comment))):
            who = tidy(attribute(comment, "author") or "")
            when = (attribute(comment, "date") or "")[:10]
            said = ", ".join(part for part in (who, when) if part)
            items.append((Paragraph(f"{said}: {text}" if said else text),))
    return (Heading(2, "Comments"), Listing(tuple(items))) if items else ()


def _parts_of(element: Element | None) -> list[Element]:
    return [] if element is None else list(element)


def _margins(package: Package, main: str, body: Body, kind: str) -> tuple[Block, ...]:
    """Every header or footer of the document, each once."""
    found: list[Block] = []
    for name in package.relations(main, kind):
        if package.has(name):
            try:
                found += body.blocks(package.xml(name))
            except UnreadableError:
                package.warnings.append("a header or footer could not be read")
    return tuple(dict.fromkeys(found))
