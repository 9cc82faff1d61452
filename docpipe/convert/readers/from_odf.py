"""OpenDocument texts, spreadsheets, presentations and drawings, zipped or flat."""

from collections.abc import Iterator
from typing import Final, TypeAlias

from docpipe.convert.core.base import (
    Content,
    Embedded,
    Facts,
    NothingToReadError,
    Source,
    UnreadableError,
    each_once,
)
from docpipe.convert.core.blocks import Block, Heading, Listing, Paragraph, placeholder, tidy, words
from docpipe.convert.core.blocks import pictures as pictures_among
from docpipe.convert.core.opc import Package, iso_date
from docpipe.convert.core.xmltree import MENDED, Element, local, parse
from docpipe.convert.readers.objects import picture_warnings
from docpipe.convert.readers.odf import Body, Notes
from docpipe.convert.readers.odfchanges import Changes, changes_of
from docpipe.convert.readers.odfforms import Controls
from docpipe.convert.readers.odfmargins import Margins
from docpipe.convert.readers.odfobjects import OdfObjects
from docpipe.convert.readers.odfstyles import Styles
from docpipe.convert.readers.odftables import Row
from docpipe.convert.readers.office import HIDDEN_SLIDES
from docpipe.convert.readers.ooxml import attribute, down
from docpipe.convert.readers.sheet import HIDDEN, MOST_CELLS, TOO_LARGE, blocks_of

_PICTURE: Final = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff")
_Trees: TypeAlias = tuple[Element, Element | None, Element | None]
"""Content, styles and properties."""
_MOST_PICTURES: Final = 100
_MOST_PAGES: Final = 2_000


def read(source: Source) -> Content:
    """The document's facts and blocks; its pictures as embedded documents where it has no text.

    Raises: UnreadableError; NothingToReadError for one without text or pictures.
    """
    if source.media_type.endswith(".flat"):
        parsed = parse(source.data())
        trees = parsed.root, parsed.root, parsed.root
        return _content(trees, (), [MENDED] if parsed.mended else [], OdfObjects())
    with Package(source.path) as package:
        if package.has("META-INF/manifest.xml") and b"encryption-data" in package.part(
            "META-INF/manifest.xml"
        ):
            raise UnreadableError("The document needs a password.")
        if not package.has("content.xml"):
            raise UnreadableError("The document is damaged: it lacks its text.")
        content = package.xml("content.xml")
        styles = package.xml("styles.xml") if package.has("styles.xml") else None
        meta = package.xml("meta.xml") if package.has("meta.xml") else None
        pictures = [
            name
            for name in package.names()
            if name.lower().startswith("pictures/") and name.lower().endswith(_PICTURE)
        ]
        embedded = tuple(
            Embedded(name.rpartition("/")[2], None, package.part(name)) for name in pictures[:_MOST_PICTURES]
        )
        return _content((content, styles, meta), embedded, list(package.warnings), OdfObjects(package))


def _content(
    trees: _Trees, pictures: tuple[Embedded, ...], warnings: list[str], objects: OdfObjects
) -> Content:
    root, styles, meta = trees
    body = next((element for element in root if local(element) == "body"), None)
    main = next(iter(body), None) if body is not None else None
    if main is None:
        raise UnreadableError("The document is damaged: it lacks its text.")
    notes = Notes()
    controls = Controls(root)
    reader = Body(
        Styles(styles if styles is not root else None, root),
        notes,
        controls,
        changes_of(root, notes.warnings),
        objects,
    )
    match local(main):
        case "spreadsheet":
            blocks = tuple(_sheets(reader, main, warnings))
        case "presentation" | "drawing":
            blocks = tuple(_pages(reader, main, local(main) == "presentation"))
        case _:
            blocks = reader.blocks(main)
    blocks = (*blocks, *_beside(notes))
    around = Margins(styles, Body(Styles(styles), notes, controls, Changes(), objects))
    blocks = around.around(main, blocks)
    warnings += notes.warnings
    undrawn = list(picture_warnings(objects.drawn, len(pictures) - objects.drawn))
    if notes.objects:
        undrawn.append("embedded objects such as charts are not shown; they are in the original")
    facts = _facts(meta)
    if words(blocks):
        pictures = ()
    elif not pictures:
        raise NothingToReadError("This is an OpenDocument file without any text.")
    else:
        blocks = (
            placeholder("This document has no text. It consists of pictures."),
            *pictures_among(blocks),
        )
    return Content(
        blocks=blocks,
        facts=facts,
        embedded=pictures,
        warnings=each_once(warnings),
        undrawn=tuple(undrawn),
        libraries=("lxml",),
    )


def _beside(notes: Notes) -> Iterator[Block]:
    if notes.notes:
        yield Listing(tuple(note or (Paragraph("-"),) for note in notes.notes), 1)
    if notes.comments:
        yield Heading(2, "Comments")
        yield Listing(tuple((Paragraph(text),) for text in notes.comments))


def _sheets(reader: Body, main: Element, warnings: list[str]) -> Iterator[Block]:
    left = [MOST_CELLS]
    for number, table in enumerate((each for each in main if local(each) == "table"), 1):
        blocks = blocks_of(_limited(reader.tables.sheet(table), left, warnings))
        if not blocks:
            continue
        name = " ".join(tidy(attribute(table, "name") or f"Sheet {number}").split())
        if reader.styles.hidden(attribute(table, "style-name")):
            warnings.append(HIDDEN)
            name += " (hidden sheet)"
        yield Heading(2, name)
        yield from blocks
        for shapes in (each for each in table if local(each) == "shapes"):
            yield from reader.blocks(shapes)


def _limited(rows: Iterator[Row], left: list[int], warnings: list[str]) -> Iterator[Row]:
    for number, cells in rows:
        left[0] -= len(cells)
        if left[0] < 0:
            warnings.append(TOO_LARGE)
            return
        yield number, cells


def _pages(reader: Body, main: Element, slides: bool) -> Iterator[Block]:
    pages = [page for page in main if local(page) == "page"][:_MOST_PAGES]
    for number, page in enumerate(pages, 1):
        titles: list[str] = []
        blocks: list[Block] = []
        notes: tuple[Block, ...] = ()
        for shape in page:
            if attribute(shape, "class") == "title":
                titles += [text for block in reader.blocks(shape) if (text := getattr(block, "text", ""))]
            elif local(shape) == "notes":
                notes = tuple(_notes(reader, shape))
            elif attribute(shape, "class") not in {"date-time", "footer", "page-number", "header"}:
                blocks += reader.drawn(shape)
        if titles or blocks or notes:
            name = f"{'Slide' if slides else 'Page'} {number}"
            if reader.styles.hidden_slide(attribute(page, "style-name")):
                reader.notes.warnings.append(HIDDEN_SLIDES)
                name += " (hidden slide)"
            yield Heading(2, f"{name}: {' '.join(' '.join(titles).split())}" if titles else name)
            yield from blocks
            if notes:
                yield Paragraph("Notes:")
                yield from notes


def _notes(reader: Body, notes: Element) -> Iterator[Block]:
    for shape in notes:
        if attribute(shape, "class") not in {"page", "date-time", "footer", "page-number", "header"}:
            yield from reader.drawn(shape)


def _facts(meta: Element | None) -> Facts:
    properties: dict[str, str] = {}
    inner = down(meta, "meta")
    for element in inner if inner is not None else ():
        properties.setdefault(local(element), tidy(element.text or ""))
    return Facts(
        title=properties.get("title") or None,
        author=properties.get("creator") or properties.get("initial-creator") or None,
        date=_date(properties.get("date")) or _date(properties.get("creation-date")),
        language=properties.get("language") or None,
    )


def _date(text: str | None) -> str | None:
    return iso_date((text or "").partition(".")[0]) or iso_date(text)
