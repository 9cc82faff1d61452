"""OpenDocument texts, spreadsheets, presentations and drawings, zipped or flat."""

from collections.abc import Iterator
from typing import Final

from docpipe.convert.core.base import (
    Content,
    Embedded,
    Facts,
    NothingToReadError,
    Source,
    UnreadableError,
    each_once,
)
from docpipe.convert.core.blocks import Block, Heading, Listing, Paragraph, tidy, words
from docpipe.convert.core.opc import Package, iso_date
from docpipe.convert.core.xmltree import MENDED, Element, local, parse
from docpipe.convert.readers.docx import attribute, down
from docpipe.convert.readers.odf import Body, Notes, Row, Styles
from docpipe.convert.readers.sheet import MOST_CELLS, TOO_LARGE, blocks_of

_PICTURE: Final = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff")
_MOST_PICTURES: Final = 100
_HIDDEN: Final = "hidden sheets are shown too"
_MOST_PAGES: Final = 2_000


def read(source: Source) -> Content:
    """The document's facts and blocks; its pictures as embedded documents where it has no text.

    Raises: UnreadableError; NothingToReadError for one without text or pictures.
    """
    if source.media_type.endswith(".flat"):
        parsed = parse(source.data())
        return _content(parsed.root, parsed.root, parsed.root, (), [MENDED] if parsed.mended else [])
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
        return _content(content, styles, meta, embedded, list(package.warnings))


def _content(
    root: Element,
    styles: Element | None,
    meta: Element | None,
    pictures: tuple[Embedded, ...],
    warnings: list[str],
) -> Content:
    body = next((element for element in root if local(element) == "body"), None)
    main = next(iter(body), None) if body is not None else None
    if main is None:
        raise UnreadableError("The document is damaged: it lacks its text.")
    notes = Notes()
    reader = Body(Styles(root, styles if styles is not root else None), notes)
    match local(main):
        case "spreadsheet":
            blocks = tuple(_sheets(reader, main, Styles(root), warnings))
        case "presentation" | "drawing":
            blocks = tuple(_pages(reader, main, local(main) == "presentation"))
        case _:
            blocks = reader.blocks(main)
    blocks = (*blocks, *_beside(notes))
    top, bottom = _margins(styles, reader) if local(main) == "text" else ((), ())
    blocks = (*top, *blocks, *bottom)
    if pictures:
        what = "a picture is" if len(pictures) == 1 else f"{len(pictures)} pictures are"
        warnings.append(f"{what} not shown in the text and the PDF; see the original")
    if notes.objects:
        warnings.append("embedded objects such as charts are not shown; they are in the original")
    facts = _facts(meta)
    if words(blocks):
        pictures = ()
    elif not pictures:
        raise NothingToReadError("This is an OpenDocument file without any text.")
    else:
        blocks = (Paragraph("This document has no text. It consists of pictures."),)
    return Content(
        blocks=blocks,
        facts=facts,
        embedded=pictures,
        warnings=each_once(warnings),
        libraries=("lxml",),
    )


def _beside(notes: Notes) -> Iterator[Block]:
    if notes.notes:
        yield Listing(tuple(note or (Paragraph("-"),) for note in notes.notes), 1)
    if notes.comments:
        yield Heading(2, "Comments")
        yield Listing(tuple((Paragraph(text),) for text in notes.comments))


def _margins(styles: Element | None, reader: Body) -> tuple[tuple[Block, ...], tuple[Block, ...]]:
    """Every header and footer of the document, each once."""
    found: dict[str, list[Block]] = {"header": [], "footer": []}
    for page in styles.iter("{*}master-page") if styles is not None else ():
        for element in page:
            kind = local(element).partition("-")[0]
            if kind in found and attribute(element, "display") != "false":
                found[kind] += reader.blocks(element)
    return tuple(dict.fromkeys(found["header"])), tuple(dict.fromkeys(found["footer"]))


def _sheets(reader: Body, main: Element, styles: Styles, warnings: list[str]) -> Iterator[Block]:
    left = [MOST_CELLS]
    for number, table in enumerate((each for each in main if local(each) == "table"), 1):
        blocks = blocks_of(_limited(reader.sheet(table), left, warnings))
        if not blocks:
            continue
        name = " ".join(tidy(attribute(table, "name") or f"Sheet {number}").split())
        if styles.hidden(attribute(table, "style-name")):
            warnings.append(_HIDDEN)
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
    said: dict[str, str] = {}
    inner = down(meta, "meta")
    for element in inner if inner is not None else ():
        said.setdefault(local(element), tidy(element.text or ""))
    return Facts(
        title=said.get("title") or None,
        author=said.get("creator") or said.get("initial-creator") or None,
        date=_date(said.get("date")) or _date(said.get("creation-date")),
        language=said.get("language") or None,
    )


def _date(text: str | None) -> str | None:
    return iso_date((text or "").partition(".")[0]) or iso_date(text)
