"""Tables of OpenDocument: in texts and on slides as they stand, in spreadsheets by rows and columns."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from docpipe.convert.core.blocks import Block, Table, even, flat
from docpipe.convert.core.colours import UNKNOWN
from docpipe.convert.core.marks import struck
from docpipe.convert.core.xmltree import Element, local, text_of
from docpipe.convert.readers.odf.rules import rules_of
from docpipe.convert.readers.odf.styles import Given, Styles
from docpipe.convert.readers.office.flags import few, flagged, heads
from docpipe.convert.readers.office.grids import laid_out
from docpipe.convert.readers.office.ooxml import attribute
from docpipe.convert.readers.office.runs import HIDDEN, Visibility
from docpipe.convert.readers.sheets.cells import HIDDEN as HIDDEN_PARTS
from docpipe.convert.readers.sheets.cells import Cell, hidden_marked
from docpipe.convert.readers.sheets.conditions import RULED, Value
from docpipe.convert.readers.sheets.rules import Effect, Rules

_MOST_REPEATED: Final = 200
_MOST_COLUMNS: Final = 16_384
_CELLS: Final = frozenset({"table-cell", "covered-table-cell"})
_NUMBERS: Final = frozenset({"float", "percentage", "currency", "date", "time"})
_AROUND: Final = frozenset({"table", "table-row", "table-rows", "table-header-rows", "table-row-group"})
Row = tuple[int, list[Cell]]


class _Notes(Protocol):
    warnings: list[str]


class _Reader(Protocol):
    """A reader of what is in a cell."""

    @property
    def styles(self) -> Styles:
        """The styles of the file."""

    @property
    def notes(self) -> _Notes:
        """Where warnings go."""

    def within(
        self, element: Element, given: Given, visibility: Visibility, paper: str | None
    ) -> tuple[tuple[Block, ...], str]:
        """The blocks of a cell whose text looks as given, on a paper of its own or on that around it, and the
        colour that all of it has.
        """


class Tables:
    """Reads tables; what their cells hold is read by the reader of the whole."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader
        self._ruled = False
        """Whether the table has rules for whole areas, which LibreOffice repeats in styles of cells."""

    def table(self, element: Element) -> Iterator[Block]:
        """A table in a text, or its cells' content where it only lays out."""
        rows = list(_rows(element))
        cells = [[self._read(cell) for cell in row if local(cell) in _CELLS] for _, row in rows]
        if laid_out([[cell.blocks for cell in row] for row in cells]):
            for row in cells:
                for cell in row:
                    yield from cell.blocks
            return
        top = 0
        while top < len(rows) and rows[top][0]:
            top += 1
        named = [[(flat(cell.blocks), cell.colour) for cell in row] for row in cells]
        plain = max(top, heads(named))
        flags = few(cell for row in named[plain:] for cell in row)
        lines = even(list(_line(row, flags=flags and at >= plain)) for at, row in enumerate(cells))
        if any(map(any, lines)):
            yield Table(lines[:top], tuple(row for row in lines[top:] if any(row)))

    def _read(self, cell: Element) -> "_Read":
        blocks, ink = self._content(cell)
        return _Read(cell, blocks, self._reader.styles.colour(attribute(cell, "style-name")) or ink)

    def _applied(self, cell: Element, style: str | None) -> str | None:
        """The style of a cell by the conditions of the style that it names."""
        if self._ruled:
            return style
        value = _value(cell)
        applied, known = self._reader.styles.applied(style, value)
        if not known and value != "":
            self._reader.notes.warnings.append(RULED)
        return applied

    def _content(
        self, cell: Element, style: str | None = None, *, over: bool = False
    ) -> tuple[tuple[Block, ...], str]:
        """The blocks of a cell in a style, and the colour that all of its text has; one that another covers
        is hidden.

        That a cell is bold or slanted as a whole says nothing of a part of its text.
        """
        own = attribute(cell, "style-name")
        given = self._reader.styles.given("table-cell", style if over else own or style)
        given = replace(given, bold=None, italic=None)
        paper = self._paper(cell, style if over else own or style)
        if local(cell) == "table-cell":
            return self._reader.within(cell, given, Visibility.VISIBLE, paper)
        if text_of(cell).strip():
            self._reader.notes.warnings.append(HIDDEN)
        return self._reader.within(cell, given, Visibility.HIDDEN, paper)

    def _paper(self, cell: Element, style: str | None) -> str | None:
        """The colour behind a cell: its own, its row's or its table's; None for none of them."""
        styles = self._reader.styles
        paper = styles.behind("table-cell", style)
        around = cell.getparent()
        while paper is None and around is not None and local(around) in _AROUND:
            kind = local(around)
            family = kind if kind in {"table", "table-row"} else ""
            paper = styles.behind(family, attribute(around, "style-name")) if family else None
            if paper is None and attribute(around, "template-name"):
                return UNKNOWN
            around = None if kind == "table" else around.getparent()
        return UNKNOWN if paper is None and self._ruled else paper

    def sheet(self, table: Element) -> Iterator[Row]:
        """The rows of a spreadsheet's table that have text; hidden ones are marked, so are hidden columns."""
        hidden = _hidden_columns(table)
        styles = _column_styles(table)
        number = 0
        rules = rules_of(table, self._effect, _values(table))
        self._ruled = bool(rules.values.rows) or rules.unfollowed
        self._reader.notes.warnings += [RULED] if rules.unfollowed else []
        for _, row in _rows(table):
            repeated = _repeated(row, "number-rows-repeated")
            cells = [_ruled(cell, number + 1, rules) for cell in self._cells(row, styles)]
            if cells:
                off = attribute(row, "visibility") in {"collapse", "filter"}
                if off or hidden & {cell.column for cell in cells}:
                    self._reader.notes.warnings.append(HIDDEN_PARTS)
                    cells = hidden_marked(cells, row=off, columns=hidden)
                for again in range(min(repeated, _MOST_REPEATED)):
                    yield number + again + 1, cells
            number += repeated

    def _effect(self, style: str) -> Effect:
        """What a style of cells makes of one that a rule gives it."""
        name = self._reader.styles.cell_style(style)
        crossed = bool(self._reader.styles.given("table-cell", name).struck)
        return Effect(self._reader.styles.colour(name), crossed)

    def _cells(self, row: Element, styles: Mapping[int, str]) -> Iterator[Cell]:
        """The cells of a row; `styles` are the styles of cells that give none, by column."""
        column = 0
        of_row = attribute(row, "default-cell-style-name")
        for cell in row:
            if local(cell) not in _CELLS:
                continue
            repeated = _repeated(cell, "number-columns-repeated")
            number = attribute(cell, "value-type") in _NUMBERS
            style = attribute(cell, "style-name") or of_row or styles.get(column)
            style = self._applied(cell, style)
            strong = bool(self._reader.styles.given("table-cell", style).bold)
            blocks, ink = self._content(cell, style, over=True) if len(cell) else ((), "")
            text = flat(blocks)
            if not len(cell) and number:  # some writers leave the text to the reader
                text = next(
                    (attribute(cell, name) or "" for name in _VALUES if attribute(cell, name) is not None), ""
                )
            for again in range(min(repeated, _MOST_REPEATED) if text else 0):
                if column + again < _MOST_COLUMNS:
                    yield Cell(column + again, text, number, strong, self._reader.styles.colour(style) or ink)
            column += repeated


def _ruled(cell: Cell, number: int, rules: Rules) -> Cell:
    """A cell with what the rules of its table make of it."""
    row = rules.values.rows.get(number, {})
    if cell.column not in row:
        return cell
    effect = rules.effect(number, row, cell.column)
    sign = rules.sign(number, row, cell.column)
    text = struck(cell.text) if effect is not None and effect.struck else cell.text
    flag = cell.flag if effect is None else effect.flag
    return cell._replace(text=f"{text} {sign}" if sign else text, flag=flag)


def _values(table: Element) -> Iterator[tuple[int, dict[int, Value]]]:
    """The values of a table's rows by number, from 1, and column."""
    number = 1
    for _, row in _rows(table):
        values: dict[int, Value] = {}
        column = 0
        for cell in (each for each in row if local(each) in _CELLS):
            if len(cell) or attribute(cell, "value") is not None:
                values[column] = _value(cell)
            column += _repeated(cell, "number-columns-repeated")
        yield number, values
        number += _repeated(row, "number-rows-repeated")


def _value(cell: Element) -> Value:
    """The value of a cell: a number, or its text."""
    if attribute(cell, "value-type") in _NUMBERS:
        with contextlib.suppress(ValueError):
            return float(attribute(cell, "value") or "")
    return " ".join(text_of(each) for each in cell if local(each) == "p").strip()


_VALUES: Final = ("date-value", "time-value", "value")


@dataclass(frozen=True, slots=True)
class _Read:
    """A cell of a table in a text, its blocks, and the colour that may flag it."""

    element: Element
    blocks: tuple[Block, ...]
    colour: str


def _line(row: list[_Read], *, flags: bool) -> Iterator[str]:
    """The texts of a row, one for each column; cells that are covered may be left out in the file."""
    missing = 0
    for each in row:
        cell = each.element
        if local(cell) == "covered-table-cell":
            missing -= 1
        else:
            yield from [""] * max(0, missing)
            missing = 0
        repeated = min(_repeated(cell, "number-columns-repeated"), _MOST_REPEATED)
        yield from [flagged(flat(each.blocks), each.colour if flags else "")] * repeated
        if local(cell) == "table-cell":
            missing = min(_repeated(cell, "number-columns-spanned"), _MOST_REPEATED) - 1
        else:
            missing -= repeated - 1
    yield from [""] * max(0, missing)


def _hidden_columns(table: Element) -> set[int]:
    hidden: set[int] = set()
    at = 0
    for column in table.iter("{*}table-column"):
        repeated = _repeated(column, "number-columns-repeated")
        if attribute(column, "visibility") in {"collapse", "filter"}:
            hidden |= set(range(at, min(at + repeated, _MOST_COLUMNS)))
        at += repeated
    return hidden


def _column_styles(table: Element) -> dict[int, str]:
    """The default styles of cells by column."""
    styles: dict[int, str] = {}
    at = 0
    for column in table.iter("{*}table-column"):
        repeated = _repeated(column, "number-columns-repeated")
        if style := attribute(column, "default-cell-style-name"):
            styles |= dict.fromkeys(range(at, min(at + repeated, _MOST_COLUMNS)), style)
        at += repeated
    return styles


def _rows(table: Element) -> Iterator[tuple[bool, Element]]:
    """The rows of a table, with whether they are its head."""
    for inner in table:
        name = local(inner)
        if name == "table-row":
            yield False, inner
        elif name == "table-header-rows":
            yield from ((True, row) for _, row in _rows(inner))
        elif name in {"table-rows", "table-row-group"}:
            yield from _rows(inner)


def _repeated(element: Element, name: str) -> int:
    digits = attribute(element, name) or "1"
    return max(1, int(digits)) if digits.isdigit() and len(digits) < 9 else 1  # noqa: PLR2004 - digits
