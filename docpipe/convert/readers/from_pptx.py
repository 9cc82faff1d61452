"""PowerPoint presentations: of each slide the title, texts, tables and notes."""

from collections.abc import Iterator
from typing import Final

from docpipe.convert.core.base import Content, NothingToReadError, Source, UnreadableError, each_once
from docpipe.convert.core.blocks import Block, Heading, Listing, Paragraph, tidy, words
from docpipe.convert.core.opc import SALVAGED, Package
from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.readers.docx import attribute, down
from docpipe.convert.readers.office import (
    diagram_texts,
    drawn_table,
    embedded_documents,
    paragraph_text,
    picture_documents,
    pictures_told,
)

_TITLES: Final = frozenset({"title", "ctrTitle"})
_FURNITURE: Final = frozenset({"sldNum", "dt", "ftr", "hdr", "sldImg"})
_MOST_SLIDES: Final = 2_000


def read(source: Source) -> Content:
    """The presentation's facts, and a heading, texts and notes for each slide.

    Raises: UnreadableError; NothingToReadError for a presentation without text.
    """
    with Package(source.path) as package:
        main = package.main("ppt/presentation.xml")
        warnings: list[str] = []
        blocks: list[Block] = []
        for number, name in enumerate(_slides(package, main), 1):
            try:
                blocks += _slide(package, name, number, warnings)
            except UnreadableError:
                warnings.append(SALVAGED)
        empty = not words(blocks)
        embedded = (*embedded_documents(package, warnings), *picture_documents(package, everyone=empty))
        if empty and not embedded:
            raise NothingToReadError("This is a PowerPoint presentation without any text.")
        if empty:
            blocks = [Paragraph("This presentation has no text; see what is in it.")]
        return Content(
            blocks=tuple(blocks),
            facts=package.facts(),
            embedded=embedded,
            warnings=each_once([*warnings, *pictures_told(package), *package.warnings]),
            libraries=("lxml",),
        )


def _slides(package: Package, main: str) -> list[str]:
    """The parts of the slides in the order they are shown."""
    targets = package.targets(main)
    ids = [_relation(slide) for slide in package.xml(main).iter("{*}sldId")]
    names = [targets[id_] for id_ in ids if id_ in targets and package.has(targets[id_])]
    return (names or [name for name in package.relations(main, "slide") if package.has(name)])[:_MOST_SLIDES]


def _relation(element: Element) -> str:
    return next((str(value) for key, value in element.attrib.items() if str(key).endswith("}id")), "")


def _slide(package: Package, name: str, number: int, warnings: list[str]) -> tuple[Block, ...]:
    root = package.xml(name)
    titles: list[str] = []
    blocks: list[Block] = []
    for shape in _shapes(root):
        kind = _placeholder(shape)
        if kind in _TITLES and (text := tidy("\n".join(map(paragraph_text, shape.iter("{*}p"))))):
            titles.append(" ".join(text.split()))
        elif kind not in _FURNITURE:
            blocks += _shape(shape)
    blocks += [Paragraph(text) for text in diagram_texts(package, name)]
    if package.relations(name, "chart"):
        warnings.append("charts are not shown; they are in the original")
    notes = _notes(package, name)
    hidden = " (hidden slide)" if root.get("show") in {"0", "false"} else ""
    if hidden:
        warnings.append("hidden slides are shown too")
    if not titles and not blocks and not notes:
        return ()
    heading = f"Slide {number}{hidden}" + (f": {' '.join(titles)}" if titles else "")
    said = (Paragraph("Notes:"), *notes) if notes else ()
    return (Heading(2, heading), *blocks, *said, *_comments(package, name))


def _shapes(element: Element) -> Iterator[Element]:
    """The shapes of a slide, those of groups too, in their order."""
    for inner in element:
        name = local(inner)
        if name in {"sp", "graphicFrame", "cxnSp"}:
            yield inner
        elif name == "AlternateContent":
            chosen = down(inner, "Choice")
            yield from _shapes(chosen if chosen is not None else inner)
        elif name in {"cSld", "spTree", "grpSp", "Choice", "Fallback"}:
            yield from _shapes(inner)


def _placeholder(shape: Element) -> str:
    """What a shape stands for: title, body, sldNum and so on; empty where it is no placeholder."""
    place = next(iter(shape.iter("{*}ph")), None)
    return "" if place is None else attribute(place, "type") or "body"


def _shape(shape: Element) -> Iterator[Block]:
    tables = list(shape.iter("{*}tbl"))
    if tables:
        yield from map(drawn_table, tables)
        return
    lines: list[tuple[int, str]] = []
    for body in shape.iter("{*}txBody"):
        for paragraph in body:
            if local(paragraph) == "p" and (text := tidy(paragraph_text(paragraph))):
                level = attribute(down(paragraph, "pPr"), "lvl") or "0"
                lines.append((min(int(level), 8) if level.isdigit() else 0, text))
    if _placeholder(shape) in {"body", "obj", ""} and len(lines) > 1:
        yield from _nested(lines)
    else:
        yield from (Paragraph(text) for _, text in lines)


def _nested(lines: list[tuple[int, str]], at: int = 0) -> Iterator[Listing]:
    """Lines with their levels as lists within lists."""
    while at < len(lines):
        listing, at = _list(lines, at)
        yield listing


def _list(lines: list[tuple[int, str]], at: int) -> tuple[Listing, int]:
    level = lines[at][0]
    items: list[tuple[Block, ...]] = []
    while at < len(lines) and lines[at][0] >= level:
        if lines[at][0] > level:
            deeper, at = _list(lines, at)
            items[-1] = (*items[-1], deeper)
        else:
            items.append((Paragraph(lines[at][1]),))
            at += 1
    return Listing(tuple(items)), at


def _notes(package: Package, name: str) -> tuple[Block, ...]:
    root = package.related(name, "notesSlide")
    if root is None:
        return ()
    bodies = (shape for shape in _shapes(root) if _placeholder(shape) not in _FURNITURE | _TITLES)
    texts = (tidy(paragraph_text(each)) for shape in bodies for each in shape.iter("{*}p"))
    return tuple(Paragraph(text) for text in texts if text)


def _comments(package: Package, name: str) -> tuple[Block, ...]:
    root = package.related(name, "comments")
    texts = [] if root is None else [tidy(each.text or "") for each in root.iter("{*}text")]
    items = tuple((Paragraph(text),) for text in texts if text)
    return (Paragraph("Comments:"), Listing(items)) if items else ()
