"""RTF to blocks: paragraphs, headings, lists by their written labels, tables."""

from dataclasses import dataclass, field, replace
from typing import Final

from docpipe.convert.core.base import Content, Facts, Source, UnreadableError, each_once
from docpipe.convert.core.blocks import Block, Heading, Listing, Paragraph, Table, placeholder, tidy, words
from docpipe.convert.core.blocks import pictures as pictures_among
from docpipe.convert.core.tabbed import Stops, paragraph
from docpipe.convert.readers.office.labels import bullet, listing
from docpipe.convert.readers.office.levels import DEEPEST
from docpipe.convert.readers.office.margins import named
from docpipe.convert.readers.office.objects import picture_warnings
from docpipe.convert.readers.office.parts import documents_among, is_scan
from docpipe.convert.readers.office.pictures import picture
from docpipe.convert.readers.office.runs import Runs, joined
from docpipe.convert.readers.rtf.comments import ANCHORS, Comments
from docpipe.convert.readers.rtf.events import Event, Rtf
from docpipe.convert.readers.rtf.parts import objects, pictures
from docpipe.convert.readers.rtf.tables import Definition, Row, grid

_CUT: Final = "the file is cut short; what remains of it is converted"


def read(source: Source) -> Content:
    """The document's facts and blocks.

    Raises: UnreadableError when it has no text at all.
    """
    data = source.data()
    content = rtf_content(data)
    empty = not words(content.blocks)
    within = tuple(each for _, each in pictures(data) if empty or is_scan(each.data))
    embedded = (*documents_among(objects(data)), *within)
    if empty and not embedded and b"\\pict" not in data:
        raise UnreadableError("The RTF file has no text.")
    if empty:
        notice = placeholder("This document has no text." + " It consists of pictures." * bool(within))
        return replace(content, blocks=(notice, *pictures_among(content.blocks)), embedded=embedded)
    return replace(content, embedded=embedded)


def rtf_content(data: bytes) -> Content:
    """The facts and blocks of RTF, possibly none."""
    data = data[max(data.find(b"{\\rtf"), 0) :]
    rtf = Rtf(data)
    page = _Page(rtf, {at: each.data for at, each in pictures(data)} if b"\\pict" in data else {})
    for event in rtf.events():
        page.take(event)
    blocks = page.end()
    warnings = [*each_once(rtf.warnings), *([] if rtf.balanced else [_CUT])]
    undrawn: list[str] = []
    if b"\\pict" in data:
        drawn = len([*pictures_among(blocks)])
        undrawn += picture_warnings(drawn, len(page.pictures) - drawn)
        if not page.pictures:
            undrawn.append("drawings within the text are not shown; see the original")
    return Content(
        blocks=blocks,
        facts=Facts(
            title=tidy(joined(rtf.info.get("title", ""))) or None,
            author=tidy(joined(rtf.info.get("author", ""))) or None,
            date=_date(rtf.info),
        ),
        warnings=tuple(warnings),
        undrawn=tuple(undrawn),
    )


def _date(info: dict[str, str]) -> str | None:
    parts = [info.get(part, "") for part in ("yr", "mo", "dy")]
    return "-".join(parts) if all(parts) and len(parts[0]) == 4 else None  # noqa: PLR2004 - a year


@dataclass(slots=True)
class _Page:
    """Collects what is read into blocks."""

    rtf: Rtf
    pictures: dict[int, bytes] = field(default_factory=dict)
    """The bytes of pictures by where they begin in the file."""
    blocks: list[Block] = field(default_factory=list)
    beside: dict[str, list[str]] = field(
        default_factory=lambda: {"header": [], "footer": [], "watermark": []}
    )
    """Headers, footers and watermarks."""
    comments: Comments = field(default_factory=Comments)
    _runs: Runs = field(default_factory=Runs)
    _label: list[str] = field(default_factory=list)
    _margin: Runs = field(default_factory=Runs)
    _pictures: list[Block] = field(default_factory=list)
    """Those within the paragraph or table being read, which follow it."""
    _cell: list[str] = field(default_factory=list)
    _row: list[str] = field(default_factory=list)
    _inks: set[str] = field(default_factory=set)
    """The colours of the texts of the cell being read."""
    _row_inks: list[str] = field(default_factory=list)
    """The colours of the letters in the cells of the row being read."""
    _rows: list[Row] = field(default_factory=list)
    _form: Definition = field(default_factory=Definition)
    _items: list[tuple[int, str, Paragraph]] = field(default_factory=list)
    """Level, label and text of the items of a list."""
    _style: int = 0
    _list: int = 0
    _level: int = 0
    _in_table: bool = False
    _stops: list[int] = field(default_factory=list)
    """The tab stops of the paragraph being read."""
    _every: int = 720
    """The distance of those behind them."""

    def take(self, event: Event) -> None:
        match event.place:
            case _ if event.kind == "picture":
                made = picture(self.pictures.get(event.number, b""))
                self._pictures += [] if made is None else [made]
            case "header" | "footer":
                self._take_margin(event)
            case "watermark":
                self.beside["watermark"].append(event.text)
            case "comment":
                self.comments.take(event.kind, event.text, event.look)
            case place if place in ANCHORS:
                self.comments.anchor(place, event.text)
            case "note" if event.kind != "text":
                self._runs.add(" " if event.kind == "par" else "")
            case "note" if self._runs.parts and self._runs.parts[-1][0].endswith(" ["):
                self._runs.add(event.text.lstrip(), event.look)
            case _:
                self._take_body(event)

    def _take_body(self, event: Event) -> None:
        match event.kind:
            case "text" if event.place == "label":
                self._label += [] if event.look.visibility else [event.text]
            case "text":
                self._runs.add(event.text, event.look)
                self.comments.pass_by(event.text)
            case "par":
                self.comments.pass_by(" ")
                self._end_paragraph()
            case "nestrow":
                self._end_nested_row()
            case "cell":
                self.comments.pass_by(" ")
                self._cell.append(self._take_text())
                self._row.append("\n".join(part for part in self._cell if part))
                self._row_inks.append(self._inks.pop() if len(self._inks) == 1 else "")
                self._cell, self._inks = [], set()
            case "row":
                if self._row:
                    self._end_list()
                    self._rows.append(self._form.row(self._row, self._row_inks, self.rtf.papers))
                self._row, self._row_inks = [], []
            case "define":
                self._form.take(event.word, event.number)
            case _:
                self._take_property(event)

    def _end_nested_row(self) -> None:
        """A row of a table within a cell is a line; nothing parts its last cell from what follows."""
        if self._runs.parts and self._runs.parts[-1][0].strip() == "|":
            self._runs.parts.pop()
        self._runs.add("\n")

    def _take_property(self, event: Event) -> None:
        match event.kind:
            case "pard":
                self._style = self._list = self._level = 0
                self._stops = []
                self._in_table = False
            case "intbl":
                self._in_table = True
            case "tx":
                self._stops.append(event.number)
            case "deftab" if event.number > 0:
                self._every = event.number
            case "style":
                self._style = event.number
            case "ls":
                self._list = event.number
            case "ilvl":
                self._level = max(0, min(event.number, DEEPEST))

    def end(self) -> tuple[Block, ...]:
        """The blocks of the file."""
        self._end_paragraph()
        if self._cell or self._row:  # a table that was cut off
            self._rows.append(self._form.row([*self._row, *self._cell]))
        self._end_table()
        self._end_list()
        self._end_pictures()
        comments = tuple((Paragraph(text),) for text in self.comments.texts)
        return (
            *named("Watermark", map(Paragraph, self.beside["watermark"])),
            *named("Page header", map(Paragraph, self.beside["header"])),
            *self.blocks,
            *((Heading(2, "Comments"), Listing(comments)) if comments else ()),
            *named("Page footer", map(Paragraph, self.beside["footer"])),
        )

    def _take_margin(self, event: Event) -> None:
        if event.kind == "text":
            self._margin.add(event.text, event.look)
        elif event.kind in {"par", "cell", "row"} and self._margin.parts:
            if text := tidy(self._margin.text()):
                self.beside[event.place].append(text)
            self._margin = Runs()

    def _take_label(self) -> str:
        """The label of the paragraph: as it is written out, or else as its list has it."""
        label = tidy(joined("".join(self._label)))
        self._label = []
        counted = self.rtf.lists.label(self._list, self._level, self.rtf.names) if self._list else ""
        if label:
            return label if any(each.isalnum() for each in label) and label != "o" else bullet(label)
        return counted

    def _take_words(self) -> str:
        text = tidy(self._runs.text())
        if text and self._in_table:
            self._inks.add(self._runs.colour)
        self._runs = Runs()
        return text

    def _take_text(self) -> str:
        """The words of the paragraph behind its label."""
        text = self._take_words()
        label = self._take_label() if text or self._label else ""
        return f"{label} {text}" if label and text else text

    def _end_paragraph(self) -> None:
        if self._in_table:
            self._cell.append(self._take_text())
            return
        self._end_table()
        self._inks = set()
        listed = bool(self._label or self._list)
        level = self.rtf.headings.get(self._style)
        if listed and not level:
            label = self._take_label()
            if text := self._take_words():
                self._items.append((self._level, label, Paragraph(text)))
            return
        raw = self._runs.text()
        text = self._take_text()
        if not text and not self._pictures:
            return
        self._end_list()
        if level and text:
            self.blocks.append(Heading(level, text))
        elif text:
            made = paragraph(raw, Stops(tuple(sorted(self._stops)), self._every))
            self.blocks.append(made if made.text == text else Paragraph(text))
        self._end_pictures()

    def _end_pictures(self) -> None:
        self.blocks += self._pictures
        self._pictures = []

    def _end_list(self) -> None:
        items, self._items = self._items, []
        at = 0
        while at < len(items):
            made, at = _nested(items, at, items[at][0])
            self.blocks.append(made)
        if items:
            self._end_pictures()

    def _end_table(self) -> None:
        rows = [row for row in grid(self._rows) if any(row)] if self._rows else []
        self._rows = []
        if not rows:
            return
        if len(rows[0]) == 1:
            self.blocks += [Paragraph(row[0]) for row in rows]
        else:
            self.blocks.append(Table((), tuple(rows)))
        self._end_pictures()


def _nested(items: list[tuple[int, str, Paragraph]], at: int, level: int) -> tuple[Block, int]:
    """The items from `at` on of a level, with deeper ones within; a list ends where labels change."""
    entries: list[tuple[Block, ...]] = []
    labels: list[str] = []
    while at < len(items) and items[at][0] >= level:
        deep, label, text = items[at]
        if deep > level:
            inner, at = _nested(items, at, deep)
            entries[-1] = (*entries[-1], inner)
            continue
        if labels and (bool(label) != bool(labels[-1]) or (label == labels[0] and label[-1:].isalnum())):
            break
        entries.append((text,))
        labels.append(label)
        at += 1
    return listing(entries, labels), at
