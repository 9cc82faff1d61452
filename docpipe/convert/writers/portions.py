"""Blocks in portions of which Typst sets each in bounded memory and time."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import zip_longest
from typing import Final

from docpipe.convert.core.blocks import Block, Listing, Paragraph, Picture, Preformatted, Table

MAX_ROWS: Final = 2_000
"""Rows of a portion: Typst needs 135 KB for each row of four cells, and a multiple of a text's size."""
MAX_TEXT: Final = 1_000_000
_MAX_LINES: Final = 300
"""Lines of a paragraph: the time that Typst needs for one grows with their square."""
_BYTES_OF_PICTURES: Final = 16
"""Bytes of pictures that count as one of text."""


def portions(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    """The blocks in portions that Typst can hold in memory; at least one, possibly empty."""
    part: list[Block] = []
    rows = size = 0
    for block in _pieces(blocks):
        more, bytes_ = _weight(block)
        if part and (rows + more > MAX_ROWS or size + bytes_ > MAX_TEXT):
            yield part
            part, rows, size = [], 0, 0
        part.append(block)
        rows, size = rows + more, size + bytes_
    yield part


def _pieces(blocks: Iterable[Block]) -> Iterator[Block]:
    """The blocks, the largest of them cut."""
    for block in blocks:
        match block:
            case Table(head, whole):
                rows = tuple(piece for row in whole for piece in _rows(row))
                for at in range(0, max(len(rows), 1), MAX_ROWS // 2):
                    yield Table(head, rows[at : at + MAX_ROWS // 2])
            case Listing(items, start, labels):
                items = tuple(tuple(_pieces(item)) for item in items)
                for at in range(0, len(items), MAX_ROWS // 2):
                    end = at + MAX_ROWS // 2
                    yield Listing(items[at:end], None if start is None else start + at, labels[at:end])
            case Paragraph(text) | Preformatted(text) if _is_long(text):
                for piece in _cut(text):
                    yield replace(block, text=piece)
            case _:
                yield block


def _rows(row: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """A row of a table as several rows, where a cell is too long for one."""
    if any(map(_is_long, row)):
        yield from zip_longest(*map(_cut, row), fillvalue="")
    else:
        yield row


def _is_long(text: str) -> bool:
    return len(text) > MAX_TEXT // 2 or text.count("\n") >= _MAX_LINES


def _cut(text: str) -> Iterator[str]:
    """A text in pieces of whole lines, as far as these are not too long themselves."""
    lines = text.split("\n")
    for at in range(0, len(lines), _MAX_LINES):
        piece = "\n".join(lines[at : at + _MAX_LINES])
        for start in range(0, max(len(piece), 1), MAX_TEXT // 2):
            yield piece[start : start + MAX_TEXT // 2]


def _weight(block: Block) -> tuple[int, int]:
    """Rows and bytes of a block."""
    match block:
        case Table(head, rows):
            cells = max(1, block.width)
            return len(rows) * max(1, cells // 4), sum(len(cell) for row in (*head, *rows) for cell in row)
        case Listing(items):
            inner = [_weight(part) for item in items for part in item]
            return len(items) + sum(rows for rows, _ in inner), sum(size for _, size in inner)
        case Picture(data):
            return 0, len(data) // _BYTES_OF_PICTURES
        case _:
            return 0, len(block.text)
