"""The one structure between readers and writers: headings, paragraphs, lists, tables, preformatted text.

Text in blocks is plain text that `clean` has seen; a newline in it is a line break.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; level 1 is the document's title."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    text: str


@dataclass(frozen=True, slots=True)
class Preformatted:
    """Text whose columns line up when set in a typewriter's font."""

    text: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A list, numbered from `start` or, where that is None, with bullets."""

    items: "tuple[tuple[Block, ...], ...]"
    start: int | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table. All rows have the same number of cells; `head` rows repeat on each page."""

    head: tuple[tuple[str, ...], ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def width(self) -> int:
        """The number of columns."""
        return max((len(row) for row in (*self.head, *self.rows)), default=0)


Block: TypeAlias = Heading | Paragraph | Preformatted | Listing | Table

_NEWLINES: Final = re.compile("\r\n?|\v|\f|\x85|\u2028|\u2029")
# C0 and C1 but tab and newline, surrogates, noncharacters, byte-order marks, direction overrides (which can
# make "10" read "01"), and interlinear and tag characters, which hide text.
_UNPRINTABLE: Final = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufeff\ufff0-\ufffb\ufffe\uffff"
    "\u202d\u202e\U000e0000-\U000e0fff]"
    "|[" + "".join(chr(plane << 16 | last) for plane in range(1, 17) for last in (0xFFFE, 0xFFFF)) + "]"
)
# Word and RTF write bullets and boxes in the fonts Symbol and Wingdings as private characters.
_SYMBOLS: Final = str.maketrans(
    {
        "\uf0b7": "•",
        "\uf0a7": "▪",
        "\uf0fc": "✓",
        "\uf0fe": "☑",
        "\uf0a8": "☐",
        "\uf06f": "☐",
        "\uf0d8": "▸",
        "\uf0e0": "→",
        "\uf0b0": "°",
        "\uf0b1": "±",
        "\uf0a3": "≤",
        "\uf0b3": "≥",
        "\uf06d": "μ",
        "\uf02d": "-",
        "\uf020": " ",
    }
)


def clean(text: str) -> str:
    """Text with newlines as newlines, and nothing in it that does not print."""
    return _UNPRINTABLE.sub("", _NEWLINES.sub("\n", text)).translate(_SYMBOLS)


def tidy(text: str) -> str:
    """Clean text with blanks collapsed and blank lines dropped, as running text wants it."""
    lines = (" ".join(line.split()) for line in clean(text).split("\n"))
    return "\n".join(line for line in lines if line)


def even(rows: Iterable[Iterable[str]], width: int | None = None) -> tuple[tuple[str, ...], ...]:
    """The rows, padded with empty cells to the same length."""
    listed = [tuple(row) for row in rows]
    width = width or max(map(len, listed), default=0)
    return tuple(row + ("",) * (width - len(row)) for row in listed)


def texts(blocks: Iterable[Block]) -> Iterator[str]:
    """Every text in reading order."""
    for block in blocks:
        match block:
            case Listing(items):
                for item in items:
                    yield from texts(item)
            case Table(head, rows):
                for row in (*head, *rows):
                    yield from row
            case _:
                yield block.text


def flat(blocks: Iterable[Block], bullet: str = "• ") -> str:
    """Blocks as plain lines: what goes into a table's cell."""
    lines: list[str] = []
    for block in blocks:
        match block:
            case Listing(items, start):
                for number, item in enumerate(items, start or 1):
                    lines.append((bullet if start is None else f"{number}. ") + flat(item, bullet))
            case Table(head, rows):
                lines += [" | ".join(cell.replace("\n", " ") for cell in row) for row in (*head, *rows)]
            case _:
                lines.append(block.text)
    return "\n".join(line for line in lines if line.strip())


def words(blocks: Iterable[Block]) -> int:
    """How many words the blocks have."""
    return sum(len(text.split()) for text in texts(blocks))
