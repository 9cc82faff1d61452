"""Boxes to tick that a PDF's page draws as lines, and what is drawn or typed into them.

Printed forms have no fields: a box is a small square beside its label, and a tick is a stroke, a cross, a
filled square or a letter X within it.
"""

import ctypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pypdfium2 import raw

from docpipe.convert.readers.pdf.rules import Box, Matrix, Point, around, figures, matrix_of, objects, times
from docpipe.convert.readers.pdf.words import Word

_SIDES: Final = (4.5, 17.0)
"""The least and the greatest side of a box, in points."""
_SQUARE: Final = 1.3
_MOST_BOXES: Final = 400
_MARKS: Final = frozenset("xX✓✔✗✘×☓•●■")  # noqa: RUF001 - a sign
_BESIDE: Final = 30.0
"""Points between a box and the word beside it."""
_INSIDE: Final = 1.5
_LARGE: Final = 0.35
"""The share of a box's side that a mark in it has at least; smaller ones are dirt."""
_DARK: Final = 140
_INNER: Final = 0.9
"""The share of a frame's side that a coloured mark has at most; what is larger is the frame's own paper."""
_OUTER: Final = 0.3
"""The least distance of a frame from its middle, in sides."""
_SHORT: Final = 0.6
"""The most of a circle that is at its left end, with the points that bend it."""


@dataclass(frozen=True, slots=True)
class _Figure:
    box: Box
    square: bool
    """Whether it is a frame that could be a box to tick."""
    inked: bool
    """Whether it is filled with a dark colour."""
    round: bool = False
    """Whether a frame is a circle, as for one of several."""
    coloured: bool = False
    """Whether it is only filled, with a colour that is seen on white: a frame only if a mark is in it."""


def placed(page: Any, words: Sequence[Word], turn: int) -> list[Word]:
    """The words, with a box before each label that has one drawn beside it; marks within boxes are taken."""
    drawn = list(_figures(page))
    frames = [figure for figure in drawn if figure.square]
    if not frames or len(frames) > _MOST_BOXES:
        return list(words)
    kept = list(words)
    made: list[Word] = []
    for frame in _separate_frames(frames):
        inside = [word for word in kept if _holds(frame.box, (*word.middle, *word.middle))]
        if any(word.text not in _MARKS for word in inside):
            continue
        label = _label(frame.box, kept, turn)
        if label is None:
            continue
        ticked = bool(inside) or frame.inked or any(_marks(frame, other) for other in drawn)
        if frame.coloured and not ticked:
            continue
        kept = [word for word in kept if word not in inside]
        left, bottom, right, top = frame.box
        made.append(
            replace(
                label,
                text=("◉" if ticked else "○") if frame.round else ("☒" if ticked else "☐"),
                left=left,
                bottom=bottom,
                right=right,
                top=top,
                space=True,
                newline=False,
                hyphen=False,
                struck=False,
            )
        )
    return kept + made


def _label(box: Box, words: Sequence[Word], turn: int) -> Word | None:
    """The word on the line of a box that is nearest to it."""
    left, bottom, right, top = box
    upright = [word for word in words if word.turn == turn and bottom - 3 <= word.middle[1] <= top + 3]
    near = [(min(abs(word.left - right), abs(left - word.right)), word) for word in upright]
    best = min(near, key=lambda pair: pair[0], default=None)
    return best[1] if best is not None and best[0] <= _BESIDE else None


def _separate_frames(frames: list[_Figure]) -> Iterator[_Figure]:
    """The frames that stand alone: those that touch are cells, or combs for letters; equal ones once."""
    seen: list[Box] = []
    for frame in frames:
        if any(_same(frame.box, box) for box in seen):
            continue
        seen.append(frame.box)
        if sum(_touch(frame.box, other.box) for other in frames) == 0:
            yield frame


def _same(one: Box, other: Box) -> bool:
    return all(abs(a - b) <= _INSIDE for a, b in zip(one, other, strict=True))


def _touch(one: Box, other: Box) -> bool:
    if _same(one, other):
        return False
    across = max(one[0], other[0]) - min(one[2], other[2])
    up = max(one[1], other[1]) - min(one[3], other[3])
    return max(across, up) <= _INSIDE and not (_holds(one, other) or _holds(other, one))


def _holds(box: Box, inner: Box) -> bool:
    return (
        box[0] - _INSIDE <= inner[0]
        and box[1] - _INSIDE <= inner[1]
        and inner[2] <= box[2] + _INSIDE
        and inner[3] <= box[3] + _INSIDE
    )


def _marks(frame: _Figure, other: _Figure) -> bool:
    """Whether a figure is a mark within a frame: a stroke, a cross, a tick, a filled square."""
    if other is frame or not _holds(frame.box, other.box):
        return False
    if other.square and _same(frame.box, other.box) and not other.inked:
        return False
    side = frame.box[2] - frame.box[0]
    if other.coloured and other.box[2] - other.box[0] > _INNER * side:
        return False
    return max(other.box[2] - other.box[0], other.box[3] - other.box[1]) >= _LARGE * side


def _figures(page: Any) -> Iterator[_Figure]:
    for each, outer in objects(page):
        fill, stroke = ctypes.c_int(), ctypes.c_int()
        raw.FPDFPath_GetDrawMode(each, ctypes.byref(fill), ctypes.byref(stroke))
        if not (fill.value or stroke.value):
            continue
        matrix: Matrix = times(matrix_of(each), outer)
        inked, coloured = (bool(fill.value) and dark(each) for dark in (_is_dark, _is_coloured))
        for points, curved in figures(each, matrix):
            box = around(points)
            if max(box[2] - box[0], box[3] - box[1]) > _SIDES[1]:
                continue
            drawn = bool(stroke.value or coloured)
            if curved:
                frame = drawn and not inked and _is_frame(points, box)
                turned = frame and _is_circle(points, box)
            else:
                frame, turned = drawn and _is_square(points, box), False
            if frame or inked or coloured or stroke.value:
                yield _Figure(box, frame, inked, turned, coloured and not (inked or stroke.value))


def _is_square(points: list[Point], box: Box) -> bool:
    """Whether a figure is a frame of the size of a box: all of its corners are corners of its bounds."""
    across, up = box[2] - box[0], box[3] - box[1]
    if not (_SIDES[0] <= across <= _SIDES[1] and across / _SQUARE <= up <= across * _SQUARE):
        return False
    corners = {
        (abs(x - box[0]) > across / 2, abs(y - box[1]) > up / 2)
        for x, y in points
        if min(abs(x - box[0]), abs(x - box[2])) <= 1 and min(abs(y - box[1]), abs(y - box[3])) <= 1
    }
    return len(corners) == 4 and len(points) <= 6  # noqa: PLR2004 - the corners of a square


def _is_frame(points: list[Point], box: Box) -> bool:
    """Whether a figure with curves is a circle or a square with round corners: nothing of it is within."""
    across, up = box[2] - box[0], box[3] - box[1]
    if not (_SIDES[0] <= across <= _SIDES[1] and across / _SQUARE <= up <= across * _SQUARE):
        return False
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return all(max(abs(u - x) / across, abs(v - y) / up) >= _OUTER for u, v in points)


def _is_circle(points: list[Point], box: Box) -> bool:
    """Whether only a short part of a round frame is at its left end: the sides of a square are long."""
    heights = [y for x, y in points if x - box[0] <= 0.02 * (box[2] - box[0])]
    return max(heights) - min(heights) <= _SHORT * (box[3] - box[1])


def _is_coloured(each: Any) -> bool:
    """Whether the eye sees a colour as dark: blue does not count as dark by its brightest part."""
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    raw.FPDFPageObj_GetFillColor(each, *map(ctypes.byref, (red, green, blue, alpha)))
    return alpha.value > _DARK and 0.3 * red.value + 0.59 * green.value + 0.11 * blue.value < _DARK


def _is_dark(each: Any) -> bool:
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    raw.FPDFPageObj_GetFillColor(each, *map(ctypes.byref, (red, green, blue, alpha)))
    return alpha.value > _DARK and max(red.value, green.value, blue.value) < _DARK
