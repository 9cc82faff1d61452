"""PowerPoint presentations: of each slide the title, texts, tables and notes."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from docpipe.convert.core.base import Content, NothingToReadError, Source, UnreadableError, each_once
from docpipe.convert.core.blocks import (
    Block,
    Heading,
    Listing,
    Paragraph,
    Table,
    pictures,
    placeholder,
    texts,
    tidy,
    words,
)
from docpipe.convert.core.opc import SALVAGED, Package
from docpipe.convert.core.tabbed import Cell, Stops, Tabbed, paragraph
from docpipe.convert.core.tabbed import table as tabbed_table
from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.readers.office.drawing import (
    Labels,
    drawn_table,
    is_hidden,
    level_of,
    paragraph_text,
    placeholder_type,
    shapes,
)
from docpipe.convert.readers.office.labels import listing
from docpipe.convert.readers.office.margins import named
from docpipe.convert.readers.office.objects import Objects, PartObjects
from docpipe.convert.readers.office.ooxml import attribute, down, whole
from docpipe.convert.readers.office.parts import (
    HIDDEN_SLIDES,
    diagram_texts,
    embedded_documents,
    picture_documents,
)
from docpipe.convert.readers.office.runs import HIDDEN, Visibility, withheld_blocks
from docpipe.convert.readers.slides.comments import comments
from docpipe.convert.readers.slides.styles import SlideStyles

_TITLES: Final = frozenset({"title", "ctrTitle"})
_FURNITURE: Final = frozenset({"sldNum", "dt", "ftr", "hdr", "sldImg"})
_CHARTS: Final = "charts are not shown; they are in the original"
_MOST_SLIDES: Final = 2_000
_TWIP: Final = 635
"""Units of DrawingML in a twip."""


def read(source: Source) -> Content:
    """The presentation's facts, and a heading, texts and notes for each slide.

    Raises: UnreadableError; NothingToReadError for a presentation without text.
    """
    with Package(source.path) as package:
        main = package.main("ppt/presentation.xml")
        warnings: list[str] = []
        blocks: list[Block] = []
        root = package.xml(main)
        styles = SlideStyles(package, root)
        objects = Objects(package)
        around = _Around(main, styles)
        slides = _slides(package, main, root)
        for number, name in enumerate(slides, 1):
            try:
                blocks += _slide(package, name, number, around, objects)
            except UnreadableError:
                warnings.append(SALVAGED)
        blocks = [
            *named("On each slide", around.masters),
            *blocks,
            *named("Slide header", around.texts["hdr"]),
            *named("Slide footer", around.texts["ftr"]),
        ]
        empty = not words(blocks)
        embedded = (*embedded_documents(package, warnings), *picture_documents(package, everyone=empty))
        if empty and not embedded:
            raise NothingToReadError("This is a PowerPoint presentation without any text.")
        if empty:
            blocks = [placeholder("This presentation has no text; see what is in it."), *pictures(blocks)]
        return Content(
            blocks=tuple(blocks),
            facts=package.facts(),
            embedded=embedded,
            warnings=each_once([*warnings, *package.warnings]),
            undrawn=each_once(objects.warnings()),
            libraries=("lxml",),
        )


def _slides(package: Package, main: str, root: Element) -> list[str]:
    """The parts of the slides in the order of the presentation."""
    targets = package.targets(main)
    ids = [_relation(slide) for slide in root.iter("{*}sldId")]
    names = [targets[id_] for id_ in ids if id_ in targets and package.has(targets[id_])]
    return (names or [name for name in package.relations(main, "slide") if package.has(name)])[:_MOST_SLIDES]


def _relation(element: Element) -> str:
    return next((str(value) for key, value in element.attrib.items() if str(key).endswith("}id")), "")


class _Around:
    """What stands on each slide: headers, footers, and what layouts and masters bear."""

    def __init__(self, main: str, styles: SlideStyles) -> None:
        self.main = main
        self.styles = styles
        self._known: set[str] = set()
        self.masters: list[Block] = []
        self.texts: dict[str, list[Block]] = {"hdr": [], "ftr": []}

    def take(self, name: str, root: Element) -> None:
        """What surrounds a slide: of its layout and master what it shows of them and does not fill in."""
        for shape in shapes(root):
            kind = placeholder_type(shape)
            if kind in self.texts:
                self.texts[kind] += _shape(shape, self.styles.inherited(name, shape))
        for above in self.styles.above(name):
            tree = self.styles.tree(above)
            if tree is None or root.get("showMasterSp") in {"0", "false"}:
                return
            root = tree
            if above not in self._known:
                self._known.add(above)
                for shape in shapes(root):
                    self.masters += [] if placeholder_type(shape) else _shape(shape)


def _slide(package: Package, name: str, number: int, around: _Around, objects: Objects) -> tuple[Block, ...]:
    root = package.xml(name)
    around.take(name, root)
    warnings, within = package.warnings, objects.of(name)
    titles: list[str] = []
    blocks: list[Block] = []
    for shape in shapes(root):
        kind = placeholder_type(shape)
        styles = around.styles.inherited(name, shape)
        off = around.styles.vanishing(name, root, shape)
        if is_hidden(shape):
            warnings += [HIDDEN] if any(each.text for each in shape.iter("{*}t")) else []
            blocks += withheld_blocks(_shape(shape, styles), Visibility.HIDDEN)
        elif kind in _TITLES:
            lines = (tidy(paragraph_text(each, styles, off)) for each in shape.iter("{*}p"))
            titles += [" ".join(text.split()) for text in lines if text]
        elif kind not in _FURNITURE:
            blocks += (*_shape(shape, styles, off), *_objects(shape, within))
    warnings += [HIDDEN] if any("[hidden: " in text for text in texts(blocks)) else []
    blocks += [Paragraph(text) for text in diagram_texts(package, name)]
    notes = _notes(package, name)
    hidden = " (hidden slide)" if root.get("show") in {"0", "false"} else ""
    if hidden:
        warnings.append(HIDDEN_SLIDES)
    if not titles and not blocks and not notes:
        return ()
    heading = f"Slide {number}{hidden}" + (f": {' '.join(titles)}" if titles else "")
    remarks = (Paragraph("Notes:"), *notes) if notes else ()
    return (Heading(2, heading), *blocks, *remarks, *comments(package, around.main, name, root))


def _shape(
    shape: Element, styles: tuple[Element, ...] = (), off: Callable[[Sequence[Element]], bool] | None = None
) -> Iterator[Block]:
    """The tables or paragraphs of a shape; `styles` are those of lists that it inherits, `off` says which
    letters cannot be seen.
    """
    tables = list(shape.iter("{*}tbl"))
    if tables:
        yield from map(drawn_table, tables)
        return
    lines: list[tuple[int, str, str]] = []
    for body in shape.iter("{*}txBody"):
        labels = Labels(styles)
        lines += [
            (level_of(paragraph), labels.label(paragraph), text)
            for paragraph in body
            if local(paragraph) == "p" and (text := tidy(paragraph_text(paragraph, styles, off)))
        ]
        if (made := _columns(body, styles, off)) is not None and not any(label for _, label, _ in lines):
            yield made
            return
    listed = placeholder_type(shape) in {"body", "obj", ""} and len(lines) > 1
    if listed or any(label for _, label, _ in lines):
        yield from _nested(lines)
    else:
        yield from (Paragraph(text) for _, _, text in lines)


def _columns(
    body: Element, styles: tuple[Element, ...], off: Callable[[Sequence[Element]], bool] | None
) -> Table | None:
    """The paragraphs of a shape as a table, where their tabs set columns."""
    rows: list[tuple[Cell, ...]] = []
    for each in (inner for inner in body if local(inner) == "p"):
        places = down(each, "pPr", "tabLst")
        at = (whole(attribute(stop, "pos")) // _TWIP for stop in places) if places is not None else ()
        made = paragraph(paragraph_text(each, styles, off), Stops(tuple(sorted(at)), 1440, 360))
        if made.text:
            rows += made.lines if isinstance(made, Tabbed) else (((0, 0, made.text),),)
    return tabbed_table(rows)


def _objects(shape: Element, objects: PartObjects) -> Iterator[Block]:
    """The pictures and charts in a shape, a picture's description before it."""
    for element in shape.iter("{*}blip", "{*}chart"):
        if local(element) == "chart":
            yield from objects.chart(attribute(element, "id") or "")
            continue
        named = next(shape.iter("{*}cNvPr"), None)
        if local(shape) == "pic" and (text := tidy(attribute(named, "descr") or "")):
            yield Paragraph(f"[picture: {' '.join(text.split())}]")
        yield from objects.picture(attribute(element, "embed") or "")


def _nested(lines: list[tuple[int, str, str]], at: int = 0) -> Iterator[Listing]:
    """Lines with their levels and labels as lists within lists."""
    while at < len(lines):
        made, at = _list(lines, at)
        yield made


def _list(lines: list[tuple[int, str, str]], at: int) -> tuple[Listing, int]:
    level = lines[at][0]
    items: list[tuple[Block, ...]] = []
    labels: list[str] = []
    while at < len(lines) and lines[at][0] >= level:
        if lines[at][0] > level:
            deeper, at = _list(lines, at)
            items[-1] = (*items[-1], deeper)
        else:
            items.append((Paragraph(lines[at][2]),))
            labels.append(lines[at][1])
            at += 1
    return listing(items, labels), at


def _notes(package: Package, name: str) -> tuple[Block, ...]:
    root = package.related(name, "notesSlide")
    if root is None:
        return ()
    bodies = (shape for shape in shapes(root) if placeholder_type(shape) not in _FURNITURE | _TITLES)
    texts = (tidy(paragraph_text(each)) for shape in bodies for each in shape.iter("{*}p"))
    return tuple(Paragraph(text) for text in texts if text)
