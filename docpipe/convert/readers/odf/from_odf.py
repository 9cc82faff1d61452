"""OpenDocument texts, spreadsheets, presentations and drawings, zipped or flat."""

from collections.abc import Iterator, Mapping
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
from docpipe.convert.core.blocks import Block, Heading, Paragraph, placeholder, tidy, words
from docpipe.convert.core.blocks import pictures as pictures_among
from docpipe.convert.core.colours import UNKNOWN, WHITE
from docpipe.convert.core.opc import Package, iso_date
from docpipe.convert.core.xmltree import MENDED, Element, local, parse
from docpipe.convert.readers.odf.changes import Changes, changes_of
from docpipe.convert.readers.odf.content import Body
from docpipe.convert.readers.odf.forms import Controls
from docpipe.convert.readers.odf.margins import Margins
from docpipe.convert.readers.odf.notes import Notes, beside
from docpipe.convert.readers.odf.objects import OdfObjects
from docpipe.convert.readers.odf.styles import Styles
from docpipe.convert.readers.odf.tables import Row
from docpipe.convert.readers.office.objects import picture_warnings
from docpipe.convert.readers.office.ooxml import attribute, down
from docpipe.convert.readers.office.parts import HIDDEN_SLIDES
from docpipe.convert.readers.sheets.cells import HIDDEN, MOST_CELLS, TOO_LARGE, blocks_of

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
            blocks = tuple(_pages(reader, main, _masters(styles), slides=local(main) == "presentation"))
        case _:
            with reader.on_paper(_paper_of(styles, root)):
                blocks = reader.blocks(main)
    blocks = (*blocks, *beside(notes))
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


def _sheets(reader: Body, main: Element, warnings: list[str]) -> Iterator[Block]:
    left = [MOST_CELLS]
    for number, table in enumerate((each for each in main if local(each) == "table"), 1):
        with reader.on_paper(WHITE):
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


def _paper_of(styles: Element | None, root: Element) -> str:
    """The colour of the pages of a text, unless one of them has another, or something is behind the text."""
    for tree in (styles, root):
        for each in tree.iter("{*}graphic-properties") if tree is not None else ():
            if attribute(each, "run-through") == "background":
                return UNKNOWN
    for each in styles.iter("{*}page-layout-properties") if styles is not None else ():
        filled, colour = attribute(each, "fill"), attribute(each, "background-color")
        if (filled or "none") != "none" or (colour or "transparent") not in {"transparent", "#ffffff"}:
            return UNKNOWN
        if any(local(inner) == "background-image" and inner.attrib for inner in each):
            return UNKNOWN
    return WHITE


def _masters(styles: Element | None) -> dict[str, Element]:
    pages = styles.iter("{*}master-page") if styles is not None else ()
    return {attribute(each, "name") or "": each for each in pages}


def _slide_paper(reader: Body, page: Element, masters: Mapping[str, Element]) -> str:
    """The colour of a slide, UNKNOWN where a picture or a filled shape may lie behind its text."""
    master = masters.get(attribute(page, "master-page-name") or "")
    papers = []
    for each in (page, master):
        if each is None:
            continue
        papers.append(reader.styles.behind("drawing-page", attribute(each, "style-name")))
        for shape in each.iter(
            "{*}image", "{*}custom-shape", "{*}rect", "{*}ellipse", "{*}polygon", "{*}path"
        ):
            if local(shape) == "image" or reader.styles.behind("graphic", attribute(shape, "style-name")):
                return UNKNOWN
    return next((paper for paper in papers if paper), WHITE)


def _pages(reader: Body, main: Element, masters: Mapping[str, Element], *, slides: bool) -> Iterator[Block]:
    pages = [page for page in main if local(page) == "page"][:_MOST_PAGES]
    for number, page in enumerate(pages, 1):
        titles: list[str] = []
        blocks: list[Block] = []
        notes: tuple[Block, ...] = ()
        paper = _slide_paper(reader, page, masters)
        for shape in page:
            if local(shape) == "notes":
                notes = tuple(_notes(reader, shape))
                continue
            with reader.on_paper(paper, sheer=True):
                if attribute(shape, "class") == "title":
                    inner = tuple(reader.drawn(shape))
                    titles += [text for block in inner if (text := getattr(block, "text", ""))]
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
