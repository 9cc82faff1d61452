"""What an engine reads in a picture."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from PIL import Image

LEAST_SCORE: Final = 0.3
"""Words read with less certainty are mostly lines, stamps and dirt."""
_SURE: Final = 0.6
_CERTAIN: Final = 0.8
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
    """All that was read in a picture: paragraphs of lines of words, in reading order."""

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

    def sideways(self) -> bool:
        """Whether most words are higher than wide: engines read lines that run up or down, too."""
        long = [word for word in self.words() if len(word.text) >= _LONG]
        steep = sum(word.bottom - word.top > word.right - word.left for word in long)
        return 2 * steep > len(long)

    def is_text(self) -> bool:
        """Whether this is text, rather than what engines see in photographs."""
        sure = self.only(lambda word: word.score >= _CERTAIN)
        return sure.signs() >= _LEAST_SIGNS and self.score() >= _SURE

    def only(self, wanted: Callable[[Word], bool]) -> "Reading":
        """The words that are wanted."""
        paragraphs = (
            tuple(kept for line in paragraph if (kept := tuple(word for word in line if wanted(word))))
            for paragraph in self.paragraphs
        )
        return Reading(tuple(paragraph for paragraph in paragraphs if paragraph))


class Engine(Protocol):
    """A reader of pictures. Both engines are asked in one worker process, one picture at a time."""

    @property
    def libraries(self) -> tuple[str, ...]:
        """The distributions or programs that do the reading, as Content names them."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Languages that were wished for and are not installed."""

    def read(self, picture: Image.Image, seconds: float) -> Reading:
        """The words of a picture in shades of grey, as it stands.

        Raises:
            TimeoutError: it took longer than `seconds`, where the engine can be stopped.
            OcrError: the engine failed.
        """

    def turn(self, picture: Image.Image, reading: Reading, seconds: float) -> int:
        """By how many degrees the picture must be turned clockwise to stand upright: 0, 90, 180 or 270.

        `reading` is what was read of it as it stands. 0 where that cannot be told. Raises as `read`.
        """


class OcrError(Exception):
    """The engine failed on a picture, or as a whole."""
