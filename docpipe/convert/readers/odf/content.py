"""OpenDocument's content to blocks (ODF 1.3, part 3): text, lists, tables, notes; by local names."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from docpipe.convert.core.blocks import Block, Heading, Listing, Paragraph, flat, tidy
from docpipe.convert.core.colours import UNKNOWN, vanishes
from docpipe.convert.core.tabbed import Stops, paragraph
from docpipe.convert.core.xmltree import Element, local, text_of
from docpipe.convert.readers.odf.changes import Changes
from docpipe.convert.readers.odf.forms import Controls, field_mark
from docpipe.convert.readers.odf.lists import Counts, Lists
from docpipe.convert.readers.odf.names import SILENT
from docpipe.convert.readers.odf.notes import Notes
from docpipe.convert.readers.odf.objects import OdfObjects
from docpipe.convert.readers.odf.styles import NOTHING, Given, Styles
from docpipe.convert.readers.odf.tables import Tables
from docpipe.convert.readers.office.labels import listing
from docpipe.convert.readers.office.objects import CHARTS
from docpipe.convert.readers.office.ooxml import attribute, down, whole
from docpipe.convert.readers.office.runs import HIDDEN, Look, Runs, Visibility, withheld

_DEEPEST: Final = 10


@dataclass(slots=True)
class _Paragraph:
    """A paragraph being read: its runs, the blocks anchored in it, and whether it is hidden."""

    runs: Runs = field(default_factory=Runs)
    boxes: list[Block] = field(default_factory=list)
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class _Context:
    """What holds for the text within a cell, a frame, or a hidden or deleted part."""

    given: Given = NOTHING
    visibility: Visibility = Visibility.VISIBLE
    outline: str | None = None
    """The style of a slide's outline, whose levels look different."""
    lists: str = ""
    """The style of lists that name none."""
    paper: str = UNKNOWN
    """The colour behind the text, which frames that are not filled let be seen where they are `sheer`."""
    sheer: bool = False


class Body:
    """Reads content: the body, a header, a note, a cell, a text box."""

    def __init__(
        self, styles: Styles, notes: Notes, controls: Controls, changes: Changes, objects: OdfObjects
    ) -> None:
        self.styles = styles
        self.notes = notes
        self._controls = controls
        self._changes = changes
        self._objects = objects
        self._open: set[str] = set()
        """The changes that the text being read is in."""
        self._context = _Context()
        self._inks: set[str] = set()
        """The colours of the text of the cell being read that may flag it."""
        self._lists = Lists(styles)
        self.tables = Tables(self)

    def blocks(self, element: Element) -> tuple[Block, ...]:
        """The blocks within an element."""
        out: list[Block] = []
        for inner in element:
            out += self._block(inner)
        return tuple(out)

    @contextmanager
    def on_paper(self, paper: str, *, sheer: bool = False) -> Iterator[None]:
        """What is read within is on paper of a colour; `sheer` if frames are, too."""
        with self._within(replace(self._context, paper=paper, sheer=sheer)):
            yield

    def _block(self, element: Element) -> Iterator[Block]:
        name = local(element)
        self._change(element, name)
        if name in SILENT:
            return
        context = self._context
        if self._is_off(element):
            context = replace(context, visibility=context.visibility or Visibility.HIDDEN)
        with self._within(context):
            blocks = tuple(self._visible_block(element, name))
        yield from blocks

    def _visible_block(self, element: Element, name: str) -> Iterator[Block]:
        match name:
            case "change" if text := self._deleted(element):
                yield Paragraph(withheld(text, Visibility.DELETED))
            case "p" | "h":
                yield from self._paragraph(element)
            case "list":
                yield from self._list(element)
            case "table":
                yield from self.tables.table(element)
            case "annotation":
                self._comment(element)
            case "numbered-paragraph":
                yield from self.blocks(element)
            case _:
                yield from self._drawn(element) if name in _DRAWN else self.blocks(element)

    def _is_off(self, element: Element) -> bool:
        off = attribute(element, "display") == "none" or (
            local(element) == "section"
            and (
                attribute(element, "is-hidden") == "true"
                or self.styles.hidden(attribute(element, "style-name"))
            )
        )
        if off and tidy(text_of(element)):
            self.notes.warnings.append(HIDDEN)
        return off

    def _change(self, element: Element, name: str) -> None:
        """Notice where inserted text begins and ends."""
        id_ = attribute(element, "change-id") if name in {"change-start", "change-end"} else None
        if id_ in self._changes.inserted:
            (self._open.add if name == "change-start" else self._open.discard)(id_)

    def _deleted(self, change: Element) -> str:
        """The text that a change deleted where it stands."""
        region = self._changes.deleted.get(attribute(change, "change-id") or "")
        if region is None:
            return ""
        with self._within(_Context()):
            inner = (each for each in region if local(each) != "change-info")
            return " ".join(flat(block for each in inner for block in self._block(each)).split())

    @contextmanager
    def _within(self, context: _Context) -> Iterator[None]:
        outer, self._context = self._context, context
        try:
            yield
        finally:
            self._context = outer

    def within(
        self, element: Element, given: Given, visibility: Visibility, paper: str | None
    ) -> tuple[tuple[Block, ...], str]:
        """The blocks of a cell whose text looks as given, on a paper of its own or on that around it, and the
        colour that all of it has.
        """
        visibility = self._context.visibility or visibility
        paper = paper or self._context.paper
        inks, self._inks = self._inks, set()
        with self._within(replace(self._context, given=given, visibility=visibility, paper=paper)):
            blocks = self.blocks(element)
        inner, self._inks = self._inks, inks | self._inks
        return blocks, next(iter(inner)) if len(inner) == 1 else ""

    def _paragraph(self, element: Element) -> Iterator[Block]:
        style = attribute(element, "style-name")
        reading = _Paragraph()
        paper = self.styles.behind("paragraph", style) or self._context.paper
        with self._within(replace(self._context, paper=paper)):
            self._text(element, reading, self.styles.paragraph(style, self._context.given))
        runs = reading.runs
        if reading.hidden and (runs := runs.with_visibility(Visibility.HIDDEN)).parts:
            self.notes.warnings.append(HIDDEN)
        if text := tidy(raw := runs.text()):
            level = self.styles.heading(style)
            if local(element) == "h":
                level = max(1, whole(attribute(element, "outline-level"), 1))
                label = self._lists.heading(element, level) if _alone(element) else ""
                text = f"{label} {text}" if label else text
            if level:
                yield Heading(level, " ".join(text.split()))
            else:
                yield paragraph(raw, self.styles.stops(style) if "\t" in raw else Stops())
        yield from reading.boxes

    def _text(self, element: Element, reading: _Paragraph, given: Given) -> None:
        self._add_text(element.text, reading, given)
        for inner in element:
            name = local(inner)
            self._change(inner, name)
            if name == "hidden-paragraph":
                reading.hidden = reading.hidden or attribute(inner, "is-hidden") == "true"
            elif name not in SILENT:
                context = self._context
                if self._is_off(inner):
                    context = replace(context, visibility=context.visibility or Visibility.HIDDEN)
                with self._within(context):
                    self._inline(inner, name, reading, given)
            self._add_text(inner.tail, reading, given)

    def _add_text(self, text: str | None, reading: _Paragraph, given: Given) -> None:
        text = _blanks(text)
        if text.strip():
            self._inks.add(given.colour)
        look = self._look(given)
        self.notes.warnings += [HIDDEN] if look.visibility is Visibility.HIDDEN and text.strip() else []
        reading.runs.add(given.signs(text), look)

    def _look(self, given: Given) -> Look:
        if vanishes(given.letters, given.behind or self._context.paper):
            given = replace(given, hidden=True)
        return given.look(inserted=bool(self._open), visibility=self._context.visibility)

    def _inline(self, element: Element, name: str, reading: _Paragraph, given: Given) -> None:  # noqa: C901 - a table
        match name:
            case "note":
                self.notes.notes.append(())
                number = len(self.notes.notes)
                reading.runs.add(f" [{number}]")
                if (body := down(element, "note-body")) is not None:
                    self.notes.notes[number - 1] = self.blocks(body)
            case "annotation":
                self._comment(element)
            case "span" | "a":
                style = self.styles.given("text", attribute(element, "style-name"))
                if name == "a" and any(local(each) == "frame" for each in element):
                    reading.boxes += self._drawn(element)
                else:
                    self._text(element, reading, style.over(given))
            case "hidden-text" if attribute(element, "is-hidden") == "true":
                self.notes.warnings.append(HIDDEN)
                text = text_of(element).strip() or attribute(element, "string-value") or ""
                reading.runs.add(text, replace(self._look(given), visibility=Visibility.HIDDEN))
            case "ruby-text":
                self._add_text(f"({text_of(element)})" if text_of(element).strip() else "", reading, given)
            case "change":
                reading.runs.add(self._deleted(element), Look(visibility=Visibility.DELETED))
            case _ if (sign := self._sign(element, name)) is not None:
                reading.runs.add(sign)
            case _ if name in _DRAWN:
                reading.boxes += self._drawn(element)
            case _:
                self._text(element, reading, given)

    def _sign(self, element: Element, name: str) -> str | None:
        """The text of an element that has none of its own, None for one that holds others."""
        match name:
            case "s":
                return " " * min(max(1, whole(attribute(element, "c"), 1)), 1000)
            case "tab" | "line-break":
                return "\t" if name == "tab" else "\n"
            case "control":
                return f" {self._controls.text(attribute(element, 'control'))} "
            case "fieldmark" | "fieldmark-start":
                return f" {field_mark(element)} "
        return None

    def drawn(self, element: Element) -> Iterator[Block]:
        """The blocks of a shape on a slide."""
        return self._block(element)

    def _drawn(self, element: Element) -> Iterator[Block]:
        """The texts of a frame or shape as its style has them; a picture's description where it has one."""
        with self._within(self._framed(element)):
            blocks = tuple(self._frame(element))
        yield from blocks

    def _framed(self, element: Element) -> _Context:
        """The context that the style of a frame sets for the text within."""
        for key, value in element.attrib.items():
            if str(key).endswith("}style-name") and (drawn := str(key)).partition("}")[0]:
                family = "presentation" if ":presentation:" in drawn else "graphic"
                outline = attribute(element, "class") == "outline" and family == "presentation"
                paper = self.styles.behind(family, str(value))
                return replace(
                    self._context,
                    paper=paper or (self._context.paper if self._context.sheer else UNKNOWN),
                    given=self.styles.given(family, str(value)),
                    outline=str(value) if outline else None,
                    lists=self.styles.frame_lists(family, str(value)),
                )
        return self._context if self._context.sheer else replace(self._context, paper=UNKNOWN)

    def _frame(self, element: Element) -> Iterator[Block]:
        if local(element) == "control":
            if text := self._controls.text(attribute(element, "control")):
                yield Paragraph(text)
            return
        kinds = {local(inner) for inner in element}
        if kinds & {"object", "object-ole", "plugin", "applet"} and not kinds & {"text-box", "table"}:
            made = tuple(self._object(element))
            if made:
                yield from made
                return
            self.notes.objects += 1
        elif "image" in kinds and not kinds & {"text-box", "table"}:
            yield from self._image(element)
            return
        for inner in element:
            if local(inner) not in {"desc", "title", "image", "object-ole"}:
                yield from self._block(inner)

    def _image(self, frame: Element) -> Iterator[Block]:
        """A picture, with its description before it."""
        alternative = next((inner.text for inner in frame if local(inner) == "desc" and inner.text), "")
        if text := tidy(alternative or ""):
            yield Paragraph(f"[picture: {text}]")
        image = next((inner for inner in frame if local(inner) == "image"), None)
        if image is not None and not self._context.visibility:
            yield from self._objects.picture(image)

    def _object(self, frame: Element) -> Iterator[Block]:
        """A chart or sheet as the table of its numbers, a formula as it was typed."""
        element = next((inner for inner in frame if local(inner) == "object"), None)
        root = None if element is None else self._objects.root(element)
        if root is None:
            return
        if local(root) == "math":
            typed = next((each.text for each in root.iter("{*}annotation") if each.text), None)
            if text := tidy(typed or text_of(root)):
                yield Paragraph(text)
            return
        chart = next(root.iter("{*}chart"), None)
        title = down(chart, "chart", "title")
        tables = [block for each in root.iter("{*}table") for block in self.tables.table(each)]
        if chart is not None and tables:
            name = " ".join(tidy(text_of(title)).split()) if title is not None else ""
            yield Paragraph(f"Chart: {name}" if name else "Chart")
            self.notes.warnings.append(CHARTS)
        yield from tables

    def _comment(self, element: Element) -> None:
        self.notes.comment(
            element,
            flat(block for inner in element if local(inner) in {"p", "list"} for block in self._block(inner)),
        )

    def _list(self, element: Element) -> Iterator[Block]:
        style = attribute(element, "style-name") or self._context.lists
        made = self._items(element, 1, style, self._lists.begin(element, style))
        if made is None:
            return
        if all(isinstance(block, Heading) for item in made.items for block in item):
            yield from (block for item in made.items for block in item)  # numbered headings
        else:
            yield made

    def _on_level(self, level: int) -> _Context:
        """What holds for text on a level of a list, which in a slide's outline has looks of its own."""
        context = self._context
        if context.outline is None:
            return context
        return replace(context, given=self.styles.outline(context.outline, level))

    def _items(self, element: Element, level: int, style: str, counts: Counts) -> Listing | None:
        """A list, possibly one within another; an item that begins with a further list has no label."""
        style = attribute(element, "style-name") or style
        items: list[tuple[Block, ...]] = []
        labels: list[str] = []
        for item in element:
            if local(item) not in {"list-item", "list-header"}:
                continue
            first = next((local(inner) for inner in item if local(inner) not in {"number", *SILENT}), "")
            label = ""
            if local(item) == "list-item" and first not in {"list", ""}:
                label = self._lists.label(counts, item, style, level)
            blocks: list[Block] = []
            for inner in item:
                if local(inner) == "list":
                    deeper = self._items(inner, min(level + 1, _DEEPEST), style, counts)
                    blocks += [deeper] if deeper is not None else []
                else:
                    with self._within(self._on_level(level)):
                        blocks += self._block(inner)
            if label and blocks and isinstance(blocks[0], Heading):
                blocks[0] = Heading(blocks[0].level, f"{label} {blocks[0].text}")
                label = ""
            if first == "list" and items:
                items[-1] = (*items[-1], *blocks)
            elif blocks:
                items.append(tuple(blocks))
                labels.append(label)
        if len(items) == 1 and len(items[0]) == 1 and isinstance(items[0][0], Listing):
            return items[0][0]
        return listing(items, labels) if items else None


_DRAWN: Final = frozenset({"frame", "custom-shape", "rect", "g", "ellipse", "line", "connector", "control"})


def _alone(heading: Element) -> bool:
    """Whether a heading is in no list, whose label it would bear."""
    around = heading.getparent()
    return around is None or local(around) != "list-item"


def _blanks(text: str | None) -> str:
    return " ".join(f"|{text}|".split())[1:-1] if text else ""
