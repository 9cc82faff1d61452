"""The words of a PDF's page with their boxes, as pdfium gives them for each character.

A word here is what no blank, no gap and no change of size or height parts. Its box is turned so that its text
runs from left to right: x grows to the right and y upwards, in points of 1/72 inch.
"""

import ctypes
import math
import re
import unicodedata
from dataclasses import dataclass
from functools import cache, reduce
from itertools import pairwise
from statistics import median
from typing import Any, Final

from pypdfium2 import raw

from docpipe.convert.core.marks import SUBSCRIPTS, SUPERSCRIPTS, lowered, raised
from docpipe.convert.core.symbols import in_font

SIGNS: Final = str.maketrans(
    dict.fromkeys((*range(9), *range(14, 32), *range(127, 160)), " ")
    | {2: "-", 0xFFFE: "-", 0xAD: "-"}  # what pdfium gives for a hyphen at the end of a line
)
"""Control characters in a PDF's text stand between words, where a font had no better name for a gap."""
_HYPHENS: Final = frozenset({2, 0xFFFE, 0xAD})
_BLANKS: Final = frozenset({0x20, 0xA0, 0x3000, *range(0x2000, 0x200B), *range(1, 32), *range(127, 160)}) - {
    2
}
_NEWLINES: Final = frozenset({10, 13})
_SYMBOLS: Final = (0xF020, 0xF0FF)
"""The private characters that stand for the bytes of a font of symbols."""
_LONGEST_NAME: Final = 200
_STEEP: Final = 8.0
"""Degrees from a right angle beyond which text runs across the page."""
_SMALLER: Final = (0.4, 0.86)
"""The size of raised and lowered text, as a share of its neighbour's."""
_DIGITS: Final = frozenset("0123456789+-\u2212\u2013()=.,/*")
_MOST_RAISED: Final = 6
_BLANK: Final = 0.1
"""The least gap that is a blank, as a share of the text's height, where nothing else parts words."""
_CHANGE: Final = re.compile(r"[a-z0-9)%*][A-Z(<>\u2264\u2265]|[0-9][^\W\d_]|[^\W\d_)%*][0-9]|.{14}")
"""Between the letters of one word there is seldom such a change, and few are so long."""
_ASCII_DIGITS: Final = frozenset(b"0123456789")


@dataclass(slots=True)
class Word:
    """A word: its box, the height of its line, its size; all of them in points."""

    text: str
    left: float
    bottom: float
    right: float
    top: float
    base: float
    size: float
    at: int
    """Its place in the order in which the page is drawn."""
    turn: int
    """Quarter turns counter-clockwise from the paper's own direction; -1 for text that runs across."""
    space: bool = True
    """Whether a blank or the end of a line is before it."""
    newline: bool = False
    """Whether that is the end of a line."""
    hyphen: bool = False
    """Whether it ends with a hyphen at the end of a line."""
    first: int = 0
    """The number of its first character, for pdfium."""
    struck: bool = False
    loose: bool = False
    """Whether no blank is drawn before it, in a PDF that draws its blanks."""
    leftwards: bool = False
    """Whether its page is read from right to left."""

    @property
    def middle(self) -> tuple[float, float]:
        """The middle of its box."""
        return (self.left + self.right) / 2, (self.bottom + self.top) / 2


Box = tuple[float, float, float, float]


def turned(box: Box, turn: int) -> Box:
    """Left, bottom, right, top of a box after this many quarter turns clockwise about the origin."""
    left, bottom, right, top = box
    match turn:
        case 1:
            return bottom, -right, top, -left
        case 2:
            return -right, -top, -left, -bottom
        case 3:
            return -top, left, -bottom, right
        case _:
            return box


def words(page: Any) -> list[Word]:
    """The words of a text page in the order in which they are drawn; a word drawn twice is one."""
    read = _Reader(page.raw)
    read.all()
    listed = _without_doubles(read.words)
    _move(listed)
    return listed


class _Reader:
    """Gathers characters into words. A call to pdfium takes a microsecond: most are made once a word."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.words: list[Word] = []
        self._rect = raw.FS_RECTF()
        self._by = ctypes.byref(self._rect)

    def all(self) -> None:
        """Read the page."""
        page, sign_of, count = self.page, raw.FPDFText_GetUnicode, raw.FPDFText_CountChars(self.page)
        signs: list[int] = []
        newline = True
        for number in range(count):
            sign = sign_of(page, number)
            if _SYMBOLS[0] <= sign <= _SYMBOLS[1]:
                sign = self._symbol(number, sign)
            if sign not in _BLANKS:
                signs.append(sign)
                continue
            if signs:
                self._passage(number - len(signs), signs, newline)
                signs, newline = [], False
            newline = newline or sign in _NEWLINES
        if signs:
            self._passage(count - len(signs), signs, newline)

    def _symbol(self, number: int, sign: int) -> int:
        """What the font of a character draws for a private one."""
        name = ctypes.create_string_buffer(_LONGEST_NAME)
        raw.FPDFText_GetFontInfo(self.page, number, name, _LONGEST_NAME, ctypes.byref(ctypes.c_int()))
        return ord(in_font(name.value.decode("utf-8", "replace"), chr(sign)))

    def _passage(self, first: int, signs: list[int], newline: bool) -> None:
        """The characters between two blanks: one word where they are adjacent, else words by their places."""
        count = len(signs)
        signs = self._unshifted(first, signs)
        leftwards = any(map(_is_leftwards, signs))
        tight = not leftwards and _may_be_several(signs)
        if not leftwards and not tight and raw.FPDFText_CountRects(self.page, first, count) == 1:
            start = self._box(first)
            self._begin(first, start, space=True, newline=newline)
            self._end(signs, _around(start, self._box(first + count - 1)))
            return
        boxes: list[Box] = []
        turn, begun = 0, first
        placed = [self._box(number) for number in range(first, first + count)]
        gaps = _blanks(placed, self._turn(first)) if tight else frozenset()
        for number, box in enumerate(placed, first):
            apart = number - first in gaps
            if not boxes or apart or not _follows(turned(boxes[-1], turn), turned(box, turn)):
                if boxes:
                    self._piece(signs[begun - first : number - first], boxes)
                self._begin(number, box, space=apart or not boxes, newline=newline and not boxes)
                turn, begun, boxes = max(0, self._word.turn), number, []
            boxes.append(box)
        self._piece(signs[begun - first :], boxes)

    def _unshifted(self, first: int, signs: list[int]) -> list[int]:
        """The characters, digits whose shapes are raised or lowered ones as superscripts and subscripts.

        Such digits are letters of the font, with the size and on the line of all others.
        """
        made = signs
        for at in range(len(signs) - 1, -1, -1):
            digit = signs[at] in _ASCII_DIGITS
            after = (
                signs[at + 1] in _ASCII_DIGITS and made[at + 1] == signs[at + 1] if at + 1 < len(signs) else 0
            )
            if not digit or after:  # a number that ends on the line is on the line
                continue
            shift = self._shift(first + at, first + at - 1 if at and chr(signs[at - 1]).isupper() else None)
            if shift:
                made = [*made]
                made[at] = (SUPERSCRIPTS if shift > 0 else SUBSCRIPTS)[signs[at]]
        return made

    def _shift(self, number: int, letter: int | None) -> int:
        """1 for a digit of which the shape is above its line, -1 for one below it after a capital letter."""
        base = ctypes.c_double()
        raw.FPDFText_GetCharOrigin(self.page, number, ctypes.byref(ctypes.c_double()), ctypes.byref(base))
        bottom, top = self._shape(number)
        high = top - bottom
        if high <= 0:
            return 0
        if 0.5 * high <= bottom - base.value <= 2 * high:
            return 1
        if letter is not None and bottom - base.value <= -0.15 * high:
            lower, upper = self._shape(letter)
            return -(high <= 0.6 * (upper - lower))
        return 0

    def _shape(self, number: int) -> tuple[float, float]:
        """The lowest and the highest point of a character's shape."""
        sides = [ctypes.c_double() for _ in range(4)]
        raw.FPDFText_GetCharBox(self.page, number, *map(ctypes.byref, sides))
        return sides[2].value, sides[3].value

    def _piece(self, signs: list[int], boxes: list[Box]) -> None:
        if any(map(_is_leftwards, signs)):
            turn = max(0, self._word.turn)
            signs = _leftwards(signs, [turned(box, turn) for box in boxes])
        self._end(signs, reduce(_around, boxes))

    def _box(self, number: int) -> Box:
        """The box of a character with its font's height or, where the font gives none, that of its shape."""
        raw.FPDFText_GetLooseCharBox(self.page, number, self._by)
        rect = self._rect
        box = (rect.left, rect.bottom, rect.right, rect.top)
        if box[3] > box[1] and box[2] > box[0]:
            return box
        sides = [ctypes.c_double() for _ in range(4)]
        raw.FPDFText_GetCharBox(self.page, number, *map(ctypes.byref, sides))
        left, right, bottom, top = (side.value for side in sides)
        left, bottom = min(left, box[0]), min(bottom, box[1])
        return left, bottom, max(right, box[2], left + 0.01), max(top, box[3], bottom + 0.01)

    def _turn(self, number: int) -> int:
        """The quarter turns of a character, 0 for one that runs across."""
        matrix = raw.FS_MATRIX()
        raw.FPDFText_GetMatrix(self.page, number, ctypes.byref(matrix))
        return round(math.degrees(math.atan2(matrix.b, matrix.a)) / 90) % 4

    def _begin(self, number: int, box: Box, *, space: bool, newline: bool) -> None:
        matrix = raw.FS_MATRIX()
        raw.FPDFText_GetMatrix(self.page, number, ctypes.byref(matrix))
        angle = math.degrees(math.atan2(matrix.b, matrix.a)) % 360
        turn = round(angle / 90) % 4
        if min(angle % 90, 90 - angle % 90) > _STEEP:
            turn = -1
        size = raw.FPDFText_GetFontSize(self.page, number) * math.hypot(matrix.c, matrix.d)
        placed = turned(box, max(0, turn))
        height = placed[3] - placed[1]
        if not 0.2 * height <= size <= 5 * height:
            size = height
        x, y = ctypes.c_double(), ctypes.c_double()
        base = placed[1]
        if raw.FPDFText_GetCharOrigin(self.page, number, ctypes.byref(x), ctypes.byref(y)):
            base = turned((x.value, y.value, x.value, y.value), max(0, turn))[1]
        if not space and not (self.words and _is_beside(self.words[-1], placed)):
            space = newline = True
        self._word = Word("", *placed, base, size, 0, turn, space, newline, first=number)

    def _end(self, signs: list[int], box: Box) -> None:
        """The word that was begun has these characters and this box."""
        text = "".join(map(chr, filter(None, signs)))
        if any(0xD800 <= sign <= 0xDFFF for sign in signs):  # noqa: PLR2004 - halves of a character
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        text = text.translate(SIGNS)
        if not text:
            return
        word = self._word
        word.text = text
        word.left, word.bottom, word.right, word.top = turned(box, max(0, word.turn))
        word.hyphen = signs[-1] in _HYPHENS
        self.words.append(word)


@cache
def _is_leftwards(sign: int) -> bool:
    """Whether a character is a letter of a script that runs from right to left."""
    return sign >= 0x590 and unicodedata.bidirectional(chr(sign)) in {"R", "AL"}  # noqa: PLR2004 - Hebrew is first


def _leftwards(signs: list[int], boxes: list[Box]) -> list[int]:
    """Characters in the order in which they are read, from the right of the page to its left.

    Numbers and words of other scripts run from left to right, and marks follow their letters.
    """
    whole = reduce(_around, boxes)
    if whole[2] - whole[0] < 0.7 * sum(box[2] - box[0] for box in boxes):
        return signs
    places = [((box[0] + box[2]) / 2, sign) for sign, box in zip(signs, boxes, strict=True)]
    letters = sorted((place for place in places if not unicodedata.combining(chr(place[1]))), reverse=True)
    kinds = [unicodedata.bidirectional(chr(sign)) in {"L", "EN", "AN", "ES", "CS"} for _, sign in letters]
    runs: list[list[tuple[float, int]]] = []
    for at, letter in enumerate(letters):
        if at and kinds[at] and kinds[at - 1]:
            runs[-1].insert(0, letter)
        else:
            runs.append([letter])
    ordered = [[letter] for run in runs for letter in run]
    for place in places:
        if unicodedata.combining(chr(place[1])):
            nearest = min(ordered, key=lambda each: abs(each[0][0] - place[0]), default=None)
            if nearest is None:
                return signs
            nearest.append(place)
    return [sign for each in ordered for _, sign in each]


def _around(one: Box, other: Box) -> Box:
    return (
        min(one[0], other[0]),
        min(one[1], other[1]),
        max(one[2], other[2]),
        max(one[3], other[3]),
    )


def _may_be_several(signs: list[int]) -> bool:
    """Whether characters without a blank may be several words: cells that are set close to each other."""
    return _CHANGE.search("".join(map(chr, signs))) is not None


def _blanks(boxes: list[Box], turn: int) -> frozenset[int]:
    """The numbers of characters before which there is a blank: a gap wider than the usual one."""
    placed = [turned(box, turn) for box in boxes]
    gaps = [box[0] - before[2] for before, box in pairwise(placed)]
    least = max(median(gaps), 0) + _BLANK * max(box[3] - box[1] for box in placed)
    return frozenset(at for at, gap in enumerate(gaps, 1) if gap >= least)


def _follows(last: Box, box: Box) -> bool:
    """Whether a character continues the one before, with the same height and size."""
    height = last[3] - last[1]
    return (
        abs(box[1] - last[1]) <= 0.06 * height
        and abs(box[3] - box[1] - height) <= 0.08 * height
        and max(box[0] - last[2], last[0] - box[2]) <= 0.5 * height
    )


def _is_beside(word: Word, box: Box) -> bool:
    """Whether a box is right beside a word."""
    height = min(word.top - word.bottom, box[3] - box[1])
    return (
        max(box[0] - word.right, word.left - box[2]) <= 0.3 * height
        and min(word.top, box[3]) - max(word.bottom, box[1]) >= 0.25 * height
    )


def _without_doubles(listed: list[Word]) -> list[Word]:
    """The words without those that are drawn a second time in the same place to look bold."""
    seen: dict[str, dict[tuple[int, int], Word]] = {}
    kept: list[Word] = []
    for word in listed:
        step = max(word.size, 1) / 4
        x, y = round(word.left / step), round(word.base / step)
        places = seen.setdefault(word.text, {})
        near = (places.get((x + dx, y + dy)) for dx in (-1, 0, 1) for dy in (-1, 0, 1)) if places else ()
        # The second letter of "ll", drawn by itself, is beside the first one, not on it.
        if not any(other and abs(other.left - word.left) < 0.5 * (word.right - word.left) for other in near):
            places[x, y] = word
            word.at = len(kept)
            kept.append(word)
    return kept


def _move(listed: list[Word]) -> None:
    """Raised and lowered text becomes superscripts and subscripts on the line of its neighbour."""
    for at, word in enumerate(listed):
        if len(word.text) > _MOST_RAISED:
            continue
        for near in (listed[at - 1] if at else None, listed[at + 1] if at + 1 < len(listed) else None):
            if near is not None and near.turn == word.turn and _is_moved(word, near):
                up = word.base > near.base
                word.text = (raised if up else lowered)(word.text)
                word.base, word.size = near.base, near.size
                break


def _is_moved(word: Word, near: Word) -> bool:
    """Whether a word is smaller than the one beside it and higher or lower, and no more than a few signs."""
    if not _is_beside(near, (word.left, word.bottom, word.right, word.top)):
        return False
    gap = max(word.left - near.right, near.left - word.right)
    shift = (word.base - near.base) / near.size
    digits = set(word.text) <= _DIGITS
    if gap > 0.2 * near.size or not (0.1 <= shift <= 0.75 or -0.4 <= shift <= -0.06):  # noqa: PLR2004
        return False
    if not word.text.strip(".,/*"):
        return False
    if not digits and (len(word.text) > 3 or word.left < near.left):  # noqa: PLR2004 - a large first letter
        return False
    return _SMALLER[0] <= word.size / near.size <= _SMALLER[1] or (digits and abs(shift) >= 0.2)  # noqa: PLR2004
