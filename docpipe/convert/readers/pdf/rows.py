"""Words of a PDF's page put into rows, and rows into segments: what a wide gap or a drawn line parts."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from statistics import median
from typing import Final

from docpipe.convert.core.blocks import Block
from docpipe.convert.core.direction import direction
from docpipe.convert.core.marks import struck
from docpipe.convert.readers.pdf.rules import Rule
from docpipe.convert.readers.pdf.words import Word

GAP: Final = 0.95
"""The least gap between cells, in sizes of the text; blanks within a sentence have 0.25 to 0.6."""
_EVEN_GAP: Final = 1.5
"""The same for a typewriter's font, whose sentences may end with two blanks of 0.6."""
_LOOSE_GAP: Final = 0.55
"""The same for words that no blank parts, in a PDF that draws its blanks."""
_BULLET: Final = re.compile(r"[^\w\s]|\(?\w{1,3}[.)]")
_BOX_GAP: Final = 1.6
BOXES: Final = frozenset("☑☐☒◉○")
"""Signs of fields that are ticked or chosen."""
_JOINED: Final = 0.1
"""Pieces of a word are no farther apart, in sizes of the text."""
_APART: Final = 0.4
"""Words on lines of their own are farther apart than this, in sizes of the text."""
_MIRRORED: Final = str.maketrans("()[]", ")(][")
_UNITS: Final = frozenset(
    [
        "mg",
        "g",
        "kg",
        "mcg",
        "µg",
        "μg",
        "ng",
        "ml",
        "dl",
        "l",
        "mmol",
        "mmol/l",
        "mg/dl",
        "iu",
        "u",
        "units",
        "mmhg",
        "cm",
        "mm",
        "bpm",
        "%",
    ]
)
"""Text behind its number: from right to left it is at the number's left on paper."""


@dataclass(eq=False)
class Segment:
    """Words beside each other; or a complete block among rows."""

    words: list[Word]
    block: Block | None = None

    @cached_property
    def left(self) -> float:
        """In points, as all that follow."""
        return min(word.left for word in self.words)

    @cached_property
    def right(self) -> float:
        """Its right end."""
        return max(word.right for word in self.words)

    @cached_property
    def size(self) -> float:
        """The size of its text."""
        return max(word.size for word in self.words)

    @cached_property
    def at(self) -> int:
        """Its place in the order in which the page is drawn."""
        return min(word.at for word in self.words)

    @cached_property
    def text(self) -> str:
        """Its words as they are read."""
        return line(self.words)


@dataclass(eq=False)
class Row:
    """Segments on one line of the page, from left to right."""

    segments: list[Segment]
    base: float = 0.0
    size: float = field(default=0.0)

    def __post_init__(self) -> None:
        words = [word for segment in self.segments for word in segment.words]
        self.base = median(word.base for word in words)
        self.size = median(word.size for word in words)

    @cached_property
    def left(self) -> float:
        """In points, as all that follow."""
        return min(segment.left for segment in self.segments)

    @cached_property
    def right(self) -> float:
        """Its right end."""
        return max(segment.right for segment in self.segments)

    @property
    def block(self) -> Block | None:
        """The complete block in place of the row."""
        return self.segments[0].block


def line(words: Sequence[Word]) -> str:
    """The words of a line as they are read, with blanks where there are gaps."""
    ordered = _ordered(sorted(words, key=lambda word: word.left))
    parts: list[tuple[str, bool]] = []
    for at, word in enumerate(ordered):
        text = (" " if at and _parted(ordered[at - 1], word) else "") + word.text
        if parts and parts[-1][1] == word.struck:
            parts[-1] = (parts[-1][0] + text, word.struck)
        else:
            parts.append((text, word.struck))
    text = "".join(struck(text) if out else text for text, out in parts)
    return _facing(text) if direction(text) == "R" else text


def _facing(text: str) -> str:
    """Text from right to left whose brackets face each other; a PDF may have them as they look on paper."""
    inner = 0
    for sign in text:
        inner += (sign in "([") - (sign in ")]")
        if inner < 0:
            return text.translate(_MIRRORED)
    return text


def _parted(word: Word, after: Word) -> bool:
    """Whether a blank is between two words that follow each other on a line."""
    one, other = (word, after) if word.at < after.at else (after, word)
    gap = max(after.left - word.right, word.left - after.right) / min(word.size, after.size)
    letters = direction(word.text) == direction(after.text) == "R"  # they may be drawn one by one
    least = 2 * _JOINED if letters else _JOINED
    if other.at == one.at + 1:
        return other.space and not (other.newline and gap < least)
    return gap >= least


def _is_turned(words: Sequence[Word], ways: Sequence[str]) -> bool:
    """Whether a unit is at the left of its number, as pages from right to left have it."""
    return any(not way and word.text.lower() in _UNITS for word, way in zip(words, ways[1:], strict=False))


def _ordered(words: list[Word]) -> list[Word]:
    """Words from left to right in the order in which they are read."""
    ways = [direction(word.text) for word in words]
    beside = "R" not in ways
    if beside and not (words[0].leftwards and _is_turned(words, ways)):
        return words
    base = "R" if beside or ways.count("R") >= ways.count("L") else "L"
    for at, way in enumerate(ways):  # a number is read with the word beside it
        if not way:
            before, after = (ways[other] if 0 <= other < len(ways) else "" for other in (at - 1, at + 1))
            unit = base == "R" and before == "L" and words[at - 1].text.lower() in _UNITS
            ways[at] = "N" if unit else "L" if "L" in {before, after} or base == "L" else "R"
    runs: list[list[Word]] = []
    for at, word in enumerate(words):
        if at and ways[at] == ways[at - 1]:
            runs[-1].append(word)
        else:
            runs.append([word])
    kinds = [way for at, way in enumerate(ways) if not at or way != ways[at - 1]]
    read = [run[::-1] if kind == "R" else run for run, kind in zip(runs, kinds, strict=True)]
    return [word for run in (read[::-1] if base == "R" else read) for word in run]


def rows(words: Iterable[Word], walls: Sequence[Rule] = ()) -> list[Row]:
    """The words as rows from the top of the page to its end, parted into segments."""
    made = [
        Row(segments(gathered, [wall for wall in walls if wall.start < gathered[0].base + 1 < wall.end]))
        for gathered in _gathered(words)
    ]
    return sorted(made, key=lambda row: -row.base)


def _gathered(words: Iterable[Word]) -> list[list[Word]]:
    """Words on one line each; a line may climb or fall a little, as on scans."""
    ordered = sorted(words, key=lambda word: word.left)
    if not ordered:
        return []
    step = max(4.0, median(word.size for word in ordered))
    lines: list[list[Word]] = []
    near: dict[int, list[int]] = {}  # lines by the height of their last word
    for word in ordered:
        slot = int(word.base // step)
        best, nearest = -1, _APART
        for number in (*near.get(slot - 1, ()), *near.get(slot, ()), *near.get(slot + 1, ())):
            last = lines[number][-1]
            apart = abs(last.base - word.base) / min(last.size, word.size, step)
            if apart < nearest:
                best, nearest = number, apart
        if best < 0:
            best = len(lines)
            lines.append([])
        else:
            near[int(lines[best][-1].base // step)].remove(best)
        lines[best].append(word)
        near.setdefault(slot, []).append(best)
    return lines


def is_even(words: Sequence[Word]) -> bool:
    """Whether the words are set in a typewriter's font, whose characters are all equally wide."""
    steps = [(word.right - word.left) / len(word.text) / word.size for word in words if len(word.text) > 1]
    if len(steps) < 4:  # noqa: PLR2004 - by chance
        return False
    usual = median(steps)
    return sum(abs(step - usual) <= 0.02 for step in steps) >= 0.9 * len(steps)  # noqa: PLR2004


def segments(words: list[Word], walls: Sequence[Rule]) -> list[Segment]:
    """The words of a line, from left to right, parted at wide gaps and at lines drawn between them."""
    words = sorted(words, key=lambda word: word.left)
    least = _EVEN_GAP if is_even(words) else GAP
    made = [[words[0]]]
    end = words[0].right
    for before, word in pairwise(words):
        # A box to tick belongs to the word beside it, and its own sides part nothing.
        boxed = bool({before.text, word.text} & BOXES)
        wall = not boxed and any(end - 1 <= rule.at <= word.left + 1 for rule in walls)
        loose = word.loose and not _BULLET.fullmatch(before.text)
        limit = _BOX_GAP if boxed else _LOOSE_GAP if loose else least
        if wall or word.left - end > limit * max(before.size, word.size):
            made.append([])
        made[-1].append(word)
        end = max(end, word.right)
    return [Segment(each) for each in made]
