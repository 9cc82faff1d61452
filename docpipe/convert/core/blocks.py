"""The blocks that readers produce and writers consume: headings, paragraphs, lists, tables, fixed text.

Text in blocks is plain text that went through `clean`; a newline in it is a line break. `marks` holds the
inline marks of passages.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from docpipe.convert.core.marks import plain


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; level 1 is the document's title."""

    level: int
    text: str
    own: bool = field(default=False, kw_only=True)
    """Whether it is docpipe's, not the document's, such as "Page 2"."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    text: str
    own: bool = field(default=False, kw_only=True)
    """Whether it is docpipe's, not the document's: see `placeholder`."""


@dataclass(frozen=True, slots=True)
class Preformatted:
    """Text whose columns line up when set in a typewriter's font."""

    text: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A list, numbered from `start` or, where that is None, with bullets.

    `labels`, one for each item where there are any, replace numbers and bullets: "A.", "1.1", "☑".
    """

    items: "tuple[tuple[Block, ...], ...]"
    start: int | None = None
    labels: tuple[str, ...] = ()

    def label(self, at: int, bullet: str) -> str:
        """The label of item `at`, from 0."""
        if at < len(self.labels) and self.labels[at]:
            return self.labels[at]
        return bullet if self.start is None else f"{self.start + at}."


@dataclass(frozen=True, slots=True)
class Table:
    """A table. All rows have the same number of cells; `head` rows repeat on each page."""

    head: tuple[tuple[str, ...], ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def width(self) -> int:
        """The number of columns."""
        return max((len(row) for row in (*self.head, *self.rows)), default=0)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture within the text, which the PDF shows and the text leaves out: a PNG or JPEG."""

    data: bytes = field(repr=False)
    width: int
    """Pixels."""
    height: int

    @property
    def text(self) -> str:
        """Nothing: what a picture shows is no text."""
        return ""

    @property
    def file(self) -> str:
        """The name of the file that shows it, by its bytes."""
        return f"{hashlib.sha256(self.data).hexdigest()[:32]}.svg"


Block: TypeAlias = Heading | Paragraph | Preformatted | Listing | Table | Picture

_NEWLINES: Final = re.compile("\r\n?|\v|\f|\x85|\u2028|\u2029")
# C0 and C1 but tab and newline, surrogates, noncharacters but those of `marks`, byte-order marks, direction
# overrides (which can make "10" read "01"), and interlinear and tag characters, which hide text.
_UNPRINTABLE: Final = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd8-\ufdef\ufeff\ufff0-\ufffb\ufffe\uffff"
    "\u202d\u202e\U000e0000-\U000e0fff]"
    "|[" + "".join(chr(plane << 16 | last) for plane in range(1, 17) for last in (0xFFFE, 0xFFFF)) + "]"
)
# Bytes of a font of symbols that nothing names. At the beginning of a line these two are bullets in each such
# font; anything else would be a guess: the same byte is "μ" in one font and a mailbox in another.
_BULLET: Final = re.compile("^([ \t]*)[\uf0b7\uf0a7](?=\\s|$)", re.MULTILINE)
_BLANK: Final = "\uf020"


def clean(text: str) -> str:
    """Text with newlines as newlines, and nothing in it that does not print."""
    text = _UNPRINTABLE.sub("", _NEWLINES.sub("\n", text)).replace(_BLANK, " ")
    return _BULLET.sub("\\1•", text)


def tidy(text: str) -> str:
    """Clean text with blanks collapsed and blank lines dropped, for running text."""
    lines = (" ".join(line.split()) for line in clean(text).split("\n"))
    return "\n".join(line for line in lines if line)


def even(rows: Iterable[Iterable[str]], width: int | None = None) -> tuple[tuple[str, ...], ...]:
    """The rows, padded with empty cells to the same length."""
    listed = [tuple(row) for row in rows]
    width = width or max(map(len, listed), default=0)
    return tuple(row + ("",) * (width - len(row)) for row in listed)


def placeholder(text: str) -> Paragraph:
    """A sentence of docpipe's in place of text that is missing: in brackets, its words not counted."""
    return Paragraph(f"[{text}]", own=True)


def mapped(blocks: Iterable[Block], change: Callable[[str], str]) -> tuple[Block, ...]:
    """The blocks with every text of theirs changed."""
    return tuple(_mapped(block, change) for block in blocks)


def _mapped(block: Block, change: Callable[[str], str]) -> Block:
    match block:
        case Heading(level, text):
            return Heading(level, change(text), own=block.own)
        case Paragraph(text):
            return Paragraph(change(text), own=block.own)
        case Preformatted(text):
            return Preformatted(change(text))
        case Listing(items, start, labels):
            return Listing(tuple(mapped(item, change) for item in items), start, tuple(map(change, labels)))
        case Table(head, rows):
            return Table(_mapped_cells(head, change), _mapped_cells(rows, change))
        case Picture():
            return block


def _mapped_cells(
    rows: tuple[tuple[str, ...], ...], change: Callable[[str], str]
) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(map(change, row)) for row in rows)


def cleaned(blocks: Iterable[Block]) -> tuple[Block, ...]:
    """The blocks with clean texts, whichever reader made them: a newline is the only end of a line."""
    return mapped(blocks, lambda text: text if text.isascii() and text.isprintable() else clean(text))


def texts(blocks: Iterable[Block], *, own: bool = True) -> Iterator[str]:
    """Every text in reading order; `own` includes the sentences that docpipe adds."""
    for block in blocks:
        match block:
            case Listing(items):
                for item in items:
                    yield from texts(item, own=own)
            case Heading() | Paragraph() if block.own and not own:
                continue
            case Table(head, rows):
                for row in (*head, *rows):
                    yield from row
            case _:
                yield block.text


def flat(blocks: Iterable[Block], bullet: str = "• ") -> str:
    """Blocks as plain lines, for the cell of a table."""
    lines: list[str] = []
    for block in blocks:
        match block:
            case Listing(items):
                for at, item in enumerate(items):
                    lines.append(f"{block.label(at, bullet.strip())} {flat(item, bullet)}")
            case Table(head, rows):
                lines += [" | ".join(cell.replace("\n", " ") for cell in row) for row in (*head, *rows)]
            case _:
                lines.append(block.text)
    return "\n".join(line for line in lines if line.strip())


def pictures(blocks: Iterable[Block]) -> Iterator[Picture]:
    """The pictures among the blocks, those in lists too."""
    for block in blocks:
        if isinstance(block, Picture):
            yield block
        elif isinstance(block, Listing):
            for item in block.items:
                yield from pictures(item)


def words(blocks: Iterable[Block]) -> int:
    """How many words of the document the blocks have, those of docpipe itself not counted."""
    return sum(len(plain(text).split()) for text in texts(blocks, own=False))
