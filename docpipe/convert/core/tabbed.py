"""Columns that an author sets with tabs: paragraphs whose tab stops line up become a table.

A tab moves to the next stop behind what precedes it, so two tabs leave a column blank. Without the table the
dose of the night would stand where that of noon stands in the line above.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from docpipe.convert.core.blocks import Block, Paragraph, Table, even, tidy
from docpipe.convert.core.marks import mark, plain, spans

_WITHHELD: Final = re.compile(r"\[(?:hidden|deleted|inserted): [^\]\n]*\t")
_LONGEST: Final = 60
"""Characters of a cell; longer text is running text behind an indent."""
_NEAR: Final = 200
"""Twips within which the stops of two lines are one."""
_LEAST_COLUMNS: Final = 3
"""Columns from which lines are a table; of two, where a line leaves the first one blank."""
_NARROW: Final = frozenset("iljtfrI.,;:!|'()[]/ ")
_WIDE: Final = frozenset("mwMWOQ@%—")
_WIDTHS: Final = {"narrow": 0.3, "wide": 0.85, "capital": 0.68, "usual": 0.54}
"""Of a character, in ems, in the usual fonts of letters."""
Cell = tuple[int, int, str]
"""How many tabs precede it in its line, where it begins, in twips, and its text."""


@dataclass(frozen=True, slots=True)
class Stops:
    """The tab stops of a paragraph, in twips from where its lines begin."""

    at: tuple[int, ...] = ()
    every: int = 720
    """The distance of those behind the last of its own."""
    em: int = 220
    """The size of the letters."""

    def after(self, place: float) -> int:
        """The next stop."""
        own = next((stop for stop in self.at if stop > place), None)
        every = max(self.every, 1)
        return own if own is not None else (int(place) // every + 1) * every


@dataclass(frozen=True, slots=True)
class Tabbed(Paragraph):
    """A paragraph with the cells of each of its lines."""

    lines: tuple[tuple[Cell, ...], ...] = ()


def paragraph(raw: str, stops: Stops) -> Paragraph:
    """A paragraph of text with tabs as it is in the file; without them a plain one."""
    text = tidy(raw)
    if "\t" not in raw or _WITHHELD.search(raw):
        return Paragraph(text)
    lines = tuple(cells for line in raw.split("\n") if (cells := tuple(_cells(line, stops))))
    if any(len(plain(cell)) > _LONGEST for line in lines for _, _, cell in line):
        return Paragraph(text)
    return Tabbed(text, lines=lines)


def _cells(line: str, stops: Stops) -> Iterator[Cell]:
    place = 0.0
    for number, text in enumerate(_parts(line)):
        if words := tidy(text):
            yield number, int(place), words
        place = stops.after(place + stops.em * sum(map(_width, plain(text))))


def _parts(line: str) -> list[str]:
    """The text between tabs, each part with its marks."""
    parts = [""]
    for span in spans(line):
        first, *others = span.text.split("\t")
        parts[-1] += mark(first, span.marks)
        parts += [mark(each, span.marks) for each in others]
    return parts


def _width(character: str) -> float:
    if character in _NARROW:
        return _WIDTHS["narrow"]
    if character in _WIDE:
        return _WIDTHS["wide"]
    return _WIDTHS["capital" if character.isupper() else "usual"]


def in_columns(blocks: Iterable[Block]) -> tuple[Block, ...]:
    """The blocks with tables for neighbouring paragraphs whose tabs set columns."""
    out: list[Block] = []
    run: list[Paragraph] = []
    for block in blocks:
        if isinstance(block, Tabbed) or (run and _is_short(block)):
            run.append(block)  # type: ignore[arg-type]  # both are paragraphs
            continue
        out += _settled(run)
        out.append(block)
        run = []
    return (*out, *_settled(run))


def _is_short(block: Block) -> bool:
    """Whether a paragraph may be a line of one cell."""
    return isinstance(block, Paragraph) and not block.own and len(plain(block.text)) <= _LONGEST // 2


def _settled(run: list[Paragraph]) -> Iterator[Block]:
    """A run of paragraphs as a table, or as it is; lines of one cell at its end are no part of it."""
    end = len(run)
    while end and not isinstance(run[end - 1], Tabbed):
        end -= 1
    rows = [
        row
        for each in run[:end]
        for row in (each.lines if isinstance(each, Tabbed) else (((0, 0, each.text),),))
    ]
    made = table(rows)
    if made is not None:
        yield made
    yield from (Paragraph(each.text, own=each.own) for each in (run if made is None else run[end:]))


def table(rows: Sequence[Sequence[Cell]]) -> Table | None:
    """Lines of cells as a table; None where they do not set at least three columns together, or two of which
    a line has the second one alone.

    Where the stops do not put the cells below each other, the tabs count them.
    """
    several = sum(len(row) > 1 for row in rows)
    alone = sum(len(row) == 1 and row[0][0] > 0 for row in rows)
    if not several or several + alone < 2:  # noqa: PLR2004 - one line alone sets no column
        return None
    places = sorted({place for row in rows for _, place, _ in row})
    columns = places[:1] + [place for before, place in pairwise(places) if place - before > _NEAR]
    wide = min(len(columns), 1 + max(number for row in rows for number, _, _ in row))
    if wide < _LEAST_COLUMNS - bool(alone):
        return None
    placed = [[(bisect_right(columns, place) - 1, text) for _, place, text in row] for row in rows]
    if len(columns) > max(map(len, rows)) or any(len(dict(row)) < len(row) for row in placed):
        placed = [[(number, text) for number, _, text in row] for row in rows]
    width = 1 + max(at for row in placed for at, _ in row)
    lines = [dict(row) for row in placed]
    used = [at for at in range(width) if any(at in line for line in lines)]
    return Table((), even([line.get(at, "") for at in used] for line in lines))
