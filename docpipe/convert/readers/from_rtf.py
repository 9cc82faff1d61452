"""RTF to blocks: paragraphs, headings, lists by their written labels, tables."""

import re
from dataclasses import dataclass, field, replace
from typing import Final

from docpipe.convert.core.base import Content, Facts, Source, UnreadableError
from docpipe.convert.core.blocks import Block, Heading, Listing, Paragraph, Table, even, tidy, words
from docpipe.convert.core.tree import RAISED, SUPERSCRIPTS
from docpipe.convert.readers.office import documents_among, is_scan
from docpipe.convert.readers.rtf import Event, Rtf, joined
from docpipe.convert.readers.rtfparts import objects, pictures

_CUT: Final = "the file is cut short; what is there is shown"
_NUMBERED: Final = re.compile(r"([0-9]{1,6})[.)]$")


def read(source: Source) -> Content:
    """The document's facts and blocks.

    Raises: UnreadableError when it has no text at all.
    """
    data = source.data()
    content = rtf_content(data)
    empty = not words(content.blocks)
    within = tuple(picture for picture in pictures(data) if empty or is_scan(picture.data))
    embedded = (*documents_among(objects(data)), *within)
    if empty and not embedded and b"\\pict" not in data:
        raise UnreadableError("The RTF file has no text.")
    if empty:
        told = Paragraph("This document has no text." + " It consists of pictures." * bool(within))
        return replace(content, blocks=(told,), embedded=embedded)
    return replace(content, embedded=embedded)


def rtf_content(data: bytes) -> Content:
    """The facts and blocks of RTF, possibly none."""
    rtf = Rtf(data[max(data.find(b"{\\rtf"), 0) :])
    page = _Page(rtf.headings)
    for event in rtf.events():
        page.take(event)
    blocks = page.end()
    warnings = [] if rtf.balanced else [_CUT]
    if b"\\pict" in data:
        warnings.append("pictures within the text were not read")
    return Content(
        blocks=blocks,
        facts=Facts(
            title=tidy(joined(rtf.info.get("title", ""))) or None,
            author=tidy(joined(rtf.info.get("author", ""))) or None,
            date=_date(rtf.info),
        ),
        warnings=tuple(warnings),
    )


def _date(info: dict[str, str]) -> str | None:
    parts = [info.get(part, "") for part in ("yr", "mo", "dy")]
    return "-".join(parts) if all(parts) and len(parts[0]) == 4 else None  # noqa: PLR2004 - a year


@dataclass(slots=True)
class _Page:
    """Collects what is said into blocks."""

    headings: dict[int, int]
    blocks: list[Block] = field(default_factory=list)
    header: list[str] = field(default_factory=list)
    footer: list[str] = field(default_factory=list)
    _said: list[str] = field(default_factory=list)
    _label: list[str] = field(default_factory=list)
    _margin: list[str] = field(default_factory=list)
    _cell: list[str] = field(default_factory=list)
    _row: list[str] = field(default_factory=list)
    _rows: list[list[str]] = field(default_factory=list)
    _items: list[tuple[Block, ...]] = field(default_factory=list)
    _start: int | None = None
    _style: int = 0
    _in_table: bool = False

    def take(self, event: Event) -> None:
        if event.place in {"header", "footer"}:
            self._take_margin(event)
            return
        match event.kind:
            case "text":
                self._say(event)
            case "par":
                self._end_paragraph()
            case "cell":
                self._cell.append(self._take_text())
                self._row.append("\n".join(part for part in self._cell if part))
                self._cell = []
            case "row":
                if self._row:
                    self._end_list()
                    self._rows.append(self._row)
                self._row = []
            case "pard":
                self._style, self._in_table = 0, False
            case "intbl":
                self._in_table = True
            case "style":
                self._style = event.number

    def _say(self, event: Event) -> None:
        if event.place == "label":
            self._label.append(event.text)
        else:
            raised = event.raised and RAISED.fullmatch(event.text)
            self._said.append(event.text.translate(SUPERSCRIPTS) if raised else event.text)

    def end(self) -> tuple[Block, ...]:
        self._end_paragraph()
        if self._cell or self._row:  # a table that was cut off
            self._rows.append([*self._row, *self._cell])
        self._end_table()
        self._end_list()
        top = [Paragraph(text) for text in dict.fromkeys(self.header)]
        bottom = [Paragraph(text) for text in dict.fromkeys(self.footer)]
        return (*top, *self.blocks, *bottom)

    def _take_margin(self, event: Event) -> None:
        if event.kind == "text":
            self._margin.append(event.text)
        elif event.kind in {"par", "cell", "row"} and self._margin:
            if text := tidy(joined("".join(self._margin))):
                getattr(self, event.place).append(text)
            self._margin = []

    def _take_text(self) -> str:
        text = tidy(joined("".join(self._said)))
        label = tidy(joined("".join(self._label)))
        self._said, self._label = [], []
        return f"{label} {text}" if label and text else text

    def _end_paragraph(self) -> None:
        label = tidy(joined("".join(self._label)))
        if self._in_table:
            self._cell.append(self._take_text())
            return
        self._end_table()
        if label and (numbered := _numbering(label)) is not None:
            self._label = []
            if text := self._take_text():
                self._item(text, None if numbered < 0 else numbered)
            return
        text = self._take_text()
        if not text:
            return
        self._end_list()
        level = self.headings.get(self._style)
        self.blocks.append(Heading(level, text) if level else Paragraph(text))

    def _item(self, text: str, number: int | None) -> None:
        follows = self._items and (
            (number is None) == (self._start is None)
            and (number is None or self._start is None or number == self._start + len(self._items))
        )
        if not follows:
            self._end_list()
            self._start = number
        self._items.append((Paragraph(text),))

    def _end_list(self) -> None:
        if self._items:
            self.blocks.append(Listing(tuple(self._items), self._start))
        self._items = []

    def _end_table(self) -> None:
        rows = even(row for row in self._rows if any(row))
        self._rows = []
        if not rows:
            return
        if len(rows[0]) == 1:
            self.blocks += [Paragraph(row[0]) for row in rows]
        else:
            self.blocks.append(Table((), rows))


def _numbering(label: str) -> int | None:
    """The number of a label, -1 for a bullet, None for one to be kept as it is written ("a)", "1.2")."""
    if found := _NUMBERED.fullmatch(label):
        return int(found[1])
    return None if any(character.isalnum() for character in label) else -1
