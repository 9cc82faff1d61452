"""The reading of a picture by an engine, and the interface of engines."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Protocol

from PIL import Image

LEAST_SCORE: Final = 0.3
"""Words read with less certainty are mostly lines, stamps and dirt."""
_SURE: Final = 0.6
_CERTAIN: Final = 0.8
_DOUBTFUL: Final = 0.15
"""The share of a page's words that may be uncertain."""
_MOST_UNSURE: Final = 4
"""Uncertain words that any page has: stamps, initials, lines."""
_GAP: Final = 2.5
"""The least gap between cells, in heights of a line."""
_CELL_WORDS: Final = 4
_LEAST_ROWS: Final = 3
_ROWS: Final = 0.15
"""The share of a page's lines from which it has a table."""
_LEAST_SIGNS: Final = 5
_LONG: Final = 4
_SIGN: Final = re.compile(r"[^\W_]")


@dataclass(frozen=True, slots=True)
class Word:
    """A word in a picture, in pixels from its upper left corner; `score` is how certain it is, 0 to 1."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    score: float


Line = tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """The text of a picture: paragraphs of lines of words, in reading order."""

    paragraphs: tuple[tuple[Line, ...], ...] = ()

    def words(self) -> Iterator[Word]:
        """Every word in reading order."""
        return (word for paragraph in self.paragraphs for line in paragraph for word in line)

    def lines(self) -> Iterator[Line]:
        """Every line in reading order."""
        return (line for paragraph in self.paragraphs for line in paragraph)

    def text(self) -> str:
        """The lines, with an empty one between paragraphs."""
        return "\n\n".join(
            "\n".join(" ".join(word.text for word in line) for line in paragraph)
            for paragraph in self.paragraphs
        )

    def signs(self) -> int:
        """How many letters and digits were read."""
        return sum(len(_SIGN.findall(word.text)) for word in self.words())

    def score(self) -> float:
        """The certainty of the average letter, 0 where nothing was read."""
        signs = [(len(_SIGN.findall(word.text)), word.score) for word in self.words()]
        count = sum(number for number, _ in signs)
        return sum(number * score for number, score in signs) / count if count else 0.0

    def weight(self) -> float:
        """How much was read with certainty: what decides between two readings of one picture."""
        return sum(len(_SIGN.findall(word.text)) * max(0.0, word.score - 0.5) for word in self.words())

    def is_doubtful(self) -> bool:
        """Whether so many words are uncertain that some will be wrong."""
        words = list(self.words())
        unsure = sum(word.score < _SURE for word in words)
        return unsure >= _MOST_UNSURE and unsure > _DOUBTFUL * len(words)

    def sideways(self) -> bool:
        """Whether most words are higher than wide: engines read lines that run up or down, too."""
        long = [word for word in self.words() if len(word.text) >= _LONG]
        steep = sum(word.bottom - word.top > word.right - word.left for word in long)
        return 2 * steep > len(long)

    def is_text(self) -> bool:
        """Whether this is text, rather than what engines see in photographs."""
        sure = self.only(lambda word: word.score >= _CERTAIN)
        return sure.signs() >= _LEAST_SIGNS and self.score() >= _SURE

    def has_rows(self) -> bool:
        """Whether lines have wide gaps between few words, as those of tables do."""
        gapped = 0
        rows = self._rows()
        for row in rows:
            height = max(word.bottom - word.top for word in row)
            gaps = sum(after.left - before.right > _GAP * height for before, after in pairwise(row))
            gapped += bool(gaps) and len(row) <= _CELL_WORDS * (gaps + 1)
        return gapped >= _LEAST_ROWS and gapped >= _ROWS * len(rows)

    def _rows(self) -> list[list[Word]]:
        """The words of each height of the picture, from left to right."""
        rows: list[list[Word]] = []
        for word in sorted(self.words(), key=lambda word: (word.top + word.bottom) / 2):
            middle = (word.top + word.bottom) / 2
            if rows and rows[-1][-1].top < middle < rows[-1][-1].bottom:
                rows[-1].append(word)
            else:
                rows.append([word])
        return [sorted(row, key=lambda word: word.left) for row in rows]

    def completed(self, other: "Reading") -> "Reading":
        """This reading with the certain words of another one where it has none."""
        mine = list(self.words())
        extra = other.only(lambda word: word.score >= _SURE and not any(_meet(word, each) for each in mine))
        return Reading((*self.paragraphs, *extra.paragraphs))

    def only(self, wanted: Callable[[Word], bool]) -> "Reading":
        """The words that are wanted."""
        paragraphs = (
            tuple(kept for line in paragraph if (kept := tuple(word for word in line if wanted(word))))
            for paragraph in self.paragraphs
        )
        return Reading(tuple(paragraph for paragraph in paragraphs if paragraph))


def _meet(word: Word, other: Word) -> bool:
    """Whether the middle of one word is within the other."""
    return _within(word, other) or _within(other, word)


def _within(word: Word, other: Word) -> bool:
    across, down = (word.left + word.right) / 2, (word.top + word.bottom) / 2
    return other.left <= across <= other.right and other.top <= down <= other.bottom


class Engine(Protocol):
    """A reader of pictures."""

    is_program: bool
    """Whether each picture is read by a process of its own, so that several can be read at once."""

    @property
    def libraries(self) -> tuple[str, ...]:
        """The distributions or programs that do the reading, as Content names them."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Languages that were wished for and are not installed."""

    def read(self, picture: Image.Image, seconds: float) -> Reading:
        """The words of a grey picture in its present orientation.

        Raises:
            TimeoutError: it took longer than `seconds`, where the engine can be stopped.
            OcrError: the engine failed.
        """

    def read_rows(self, picture: Image.Image, seconds: float) -> Reading | None:
        """As `read`, each line across the whole picture; None where `read` does so already."""

    def turn(self, picture: Image.Image, reading: Reading, seconds: float) -> int:
        """By how many degrees the picture must be turned clockwise to stand upright: 0, 90, 180 or 270.

        `reading` is the reading in the present orientation. 0 where the turn is unknown. Raises as `read`.
        """


class OcrError(Exception):
    """The engine failed on a picture, or as a whole."""
