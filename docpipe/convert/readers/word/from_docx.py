"""Word documents: body, headers and footers, notes, comments and text boxes, with headings, lists and tables.

Read here with lxml rather than with mammoth, which drops headers and footers (where a patient's name often
stands alone), builds several trees in pure Python, and has no limit on what a file may unpack to.
"""

from collections.abc import Iterator

from docpipe.convert.core.base import Content, Source, UnreadableError, each_once
from docpipe.convert.core.blocks import (
    Block,
    Heading,
    Listing,
    Paragraph,
    flat,
    pictures,
    placeholder,
    tidy,
    words,
)
from docpipe.convert.core.colours import UNKNOWN, WHITE
from docpipe.convert.core.kinds import ENCRYPTED_OFFICE
from docpipe.convert.core.opc import Package
from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.readers.office.margins import named
from docpipe.convert.readers.office.objects import Objects
from docpipe.convert.readers.office.ooxml import attribute
from docpipe.convert.readers.office.parts import diagram_texts, embedded_documents, picture_documents
from docpipe.convert.readers.office.remarks import byline, passages
from docpipe.convert.readers.word.activex import write_controls
from docpipe.convert.readers.word.altchunk import Chunks
from docpipe.convert.readers.word.body import Body
from docpipe.convert.readers.word.lists import Lists
from docpipe.convert.readers.word.styles import Styles


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
        objects = Objects(package)
        blocks = _blocks(package, main, objects)
        embedded = (
            *embedded_documents(package, warnings),
            *picture_documents(package, everyone=not words(blocks)),
        )
        if not words(blocks):
            pictured = " It consists of pictures." * bool(package.pictures())
            blocks = (placeholder("This document has no text." + pictured), *pictures(blocks))
        return Content(
            blocks=blocks,
            facts=package.facts(),
            embedded=embedded,
            warnings=each_once([*warnings, *package.warnings]),
            undrawn=tuple(objects.warnings()),
            libraries=("lxml",),
        )


def _blocks(package: Package, main: str, objects: Objects) -> tuple[Block, ...]:
    styles = Styles(package.related(main, "styles"), package.related(main, "fontTable"))
    lists = Lists(package.related(main, "numbering"), styles)
    body = Body(styles, lists, Chunks(package, main), objects.of(main))
    root = package.xml(main)
    write_controls(package, main, root)
    behind = (attribute(each, "behindDoc") in {"1", "true"} for each in root.iter("{*}anchor"))
    coloured = any(local(element) == "background" for element in root) or any(behind)
    body.paper = UNKNOWN if coloured else WHITE
    blocks = body.blocks(next((element for element in root if local(element) == "body"), root))
    kept = {
        (local(element), attribute(element, "id") or ""): element
        for kind in ("footnotes", "endnotes")
        for element in _parts_of(package.related(main, kind))
    }
    notes = [body.blocks(kept[key]) if key in kept else () for key in tuple(body.notes)]
    if notes:
        blocks = (*blocks, Listing(tuple(note or (Paragraph("-"),) for note in notes), 1))
    drawn, body.art = body.art, []
    top, bottom = (list(_margins(package, main, body, objects, kind)) for kind in ("header", "footer"))
    blocks = (
        *named("Watermark", map(Paragraph, body.art)),
        *named("Page header", top),
        *blocks,
        *(Paragraph(text) for text in (*drawn, *diagram_texts(package, main))),
        *_comments(package, main, body),
        *named("Page footer", bottom),
    )
    package.warnings += body.warnings
    return blocks


def _comments(package: Package, main: str, body: Body) -> tuple[Block, ...]:
    """What reviewers wrote beside the text, with who and when."""
    items: list[tuple[Block, ...]] = []
    comments = _parts_of(package.related(main, "comments"))
    about = (
        passages(package.xml(main), "commentRangeStart", "commentRangeEnd", "id", ("instrText", "delText"))
        if comments
        else {}
    )
    for comment in comments:
        if local(comment) == "comment" and (text := flat(body.blocks(comment))):
            who = tidy(attribute(comment, "author") or "")
            when = (attribute(comment, "date") or "")[:10]
            passage = about.get(attribute(comment, "id") or "", "")
            items.append((Paragraph(byline(who, when, passage) + text),))
    return (Heading(2, "Comments"), Listing(tuple(items))) if items else ()


def _parts_of(element: Element | None) -> list[Element]:
    return [] if element is None else list(element)


def _margins(package: Package, main: str, body: Body, objects: Objects, kind: str) -> Iterator[Block]:
    """Every header or footer of the document."""
    for name in package.relations(main, kind):
        if package.has(name):
            try:
                body.objects = objects.of(name)
                yield from body.blocks(package.xml(name))
            except UnreadableError:
                package.warnings.append("a header or footer could not be read")
