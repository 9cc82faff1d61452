"""The straight lines that a PDF's page draws: borders of tables, and strokes through text.

Coordinates are those of the page, in points of 1/72 inch.
"""

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from pypdfium2 import raw

from docpipe.convert.core.colours import FAINT, warm_colour

_MOST_OBJECTS: Final = 4_000
"""A page of more is a drawing."""
_MOST_POINTS: Final = 400
"""A path of more is a curve."""
_MOST_RULES: Final = 2_000
_THIN: Final = 2.2
_SHORTEST: Final = 3.0
_DEEPEST: Final = 4
_NEAR: Final = 1.5

Matrix = tuple[float, float, float, float, float, float]
Box = tuple[float, float, float, float]
Paper = tuple[Box, str]
"""An area and its colour."""
_MOST_PAPERS: Final = 300
_DARK: Final = "dark"
_DARKEST: Final = 90
"""The most of red, green and blue, of 255, of a colour that may cover black letters."""
_SAME: Final[Matrix] = (1, 0, 0, 1, 0, 0)


@dataclass(frozen=True, slots=True)
class Rule:
    """A line along one axis: at `at` on the other axis, from `start` to `end`."""

    at: float
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Rules:
    """The lines of a page."""

    across: tuple[Rule, ...] = ()
    down: tuple[Rule, ...] = ()
    papers: tuple[Paper, ...] = ()
    """What is behind text in a colour that may flag it; in the page's own coordinates."""
    bars: tuple[Box, ...] = ()
    """Dark areas, in the page's own coordinates."""

    def turned(self, turn: int) -> "Rules":
        """After this many quarter turns clockwise about the origin."""
        rules = self
        for _ in range(turn):
            rules = Rules(
                tuple(Rule(-rule.at, rule.start, rule.end) for rule in rules.down),
                tuple(Rule(rule.at, -rule.end, -rule.start) for rule in rules.across),
                rules.papers,
                rules.bars,
            )
        return rules


def rules(page: Any) -> Rules:
    """The lines of a page; none of one that has more than a table would."""
    across: list[Rule] = []
    down: list[Rule] = []
    papers: list[Paper] = []
    for number, (left, bottom, right, top) in enumerate(_lines(page, papers)):
        if number >= _MOST_RULES:
            return Rules()
        if right - left >= top - bottom:
            across.append(Rule((bottom + top) / 2, left, right))
        else:
            down.append(Rule((left + right) / 2, bottom, top))
    bars = tuple(box for box, colour in papers if colour == _DARK)
    return Rules(_joined(across), _joined(down), tuple(each for each in papers if each[1] != _DARK), bars)


def _joined(rules: list[Rule]) -> tuple[Rule, ...]:
    """Pieces of one line as one."""
    joined: list[Rule] = []
    for rule in sorted(rules, key=lambda rule: (round(rule.at / _NEAR), rule.start)):
        last = joined[-1] if joined else None
        if last and abs(last.at - rule.at) <= _NEAR and rule.start <= last.end + _NEAR:
            joined[-1] = Rule(last.at, last.start, max(last.end, rule.end))
        else:
            joined.append(rule)
    return tuple(joined)


def _lines(page: Any, papers: list[Paper]) -> Iterator[Box]:
    """Boxes of thin lines, and of the sides of frames; coloured areas are added to `papers`."""
    for each, outer in objects(page):
        yield from _of_path(each, times(matrix_of(each), outer), papers)


def objects(page: Any) -> Iterator[tuple[Any, Matrix]]:
    """The paths of a page, each with the matrix of the forms around it; none of a drawing."""
    count = raw.FPDFPage_CountObjects(page)
    if count <= _MOST_OBJECTS:
        yield from _paths((raw.FPDFPage_GetObject(page, number) for number in range(count)), _SAME, 0)


def _paths(listed: Iterator[Any], outer: Matrix, depth: int) -> Iterator[tuple[Any, Matrix]]:
    for each in listed:
        kind = raw.FPDFPageObj_GetType(each)
        if kind == raw.FPDF_PAGEOBJ_PATH:
            yield each, outer
        elif kind == raw.FPDF_PAGEOBJ_FORM and depth < _DEEPEST:
            count = raw.FPDFFormObj_CountObjects(each)
            if count <= _MOST_OBJECTS:
                inner = (raw.FPDFFormObj_GetObject(each, number) for number in range(count))
                yield from _paths(inner, times(matrix_of(each), outer), depth + 1)


def _of_path(path: Any, matrix: Matrix, papers: list[Paper]) -> Iterator[Box]:
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    raw.FPDFPath_GetDrawMode(path, ctypes.byref(fill), ctypes.byref(stroke))
    if not (fill.value or stroke.value):
        return
    colour = _colour(path) if fill.value and len(papers) < _MOST_PAPERS else ""
    for points, curved in figures(path, matrix):
        if curved:
            continue
        box = around(points)
        if min(box[2] - box[0], box[3] - box[1]) <= _THIN:
            if max(box[2] - box[0], box[3] - box[1]) >= _SHORTEST:
                yield box
            continue
        if colour:
            papers.append((box, colour))
        if stroke.value:
            for start, end in pairwise(points):
                side = around([start, end])
                if min(side[2] - side[0], side[3] - side[1]) <= _NEAR:
                    yield side


def _colour(path: Any) -> str:
    """The colour that fills a path where it may flag or cover what is there, empty for others."""
    parts = [ctypes.c_uint() for _ in range(4)]
    if not raw.FPDFPageObj_GetFillColor(path, *map(ctypes.byref, parts)):
        return ""
    red, green, blue, solid = (part.value for part in parts)
    if solid and max(red, green, blue) <= _DARKEST:
        return _DARK
    if not solid or red <= blue:
        return ""
    return warm_colour(f"#{red:02x}{green:02x}{blue:02x}", FAINT)


Point = tuple[float, float]


def figures(path: Any, matrix: Matrix) -> Iterator[tuple[list[Point], bool]]:
    """The corners of each figure of a path, and whether it has curves; none of a path of many points."""
    count = raw.FPDFPath_CountSegments(path)
    if count > _MOST_POINTS:
        return
    points: list[Point] = []
    curved = False
    x, y = ctypes.c_float(), ctypes.c_float()
    for number in range(count):
        piece = raw.FPDFPath_GetPathSegment(path, number)
        kind = raw.FPDFPathSegment_GetType(piece)
        raw.FPDFPathSegment_GetPoint(piece, ctypes.byref(x), ctypes.byref(y))
        if kind == raw.FPDF_SEGMENT_MOVETO:
            if len(points) > 1:
                yield points, curved
            points, curved = [], False
        curved = curved or kind == raw.FPDF_SEGMENT_BEZIERTO
        points.append(_transformed(x.value, y.value, matrix))
        if raw.FPDFPathSegment_GetClose(piece) and len(points) > 1:
            points.append(points[0])
    if len(points) > 1:
        yield points, curved


def around(points: list[Point]) -> Box:
    """The bounds of points."""
    across, up = [point[0] for point in points], [point[1] for point in points]
    return min(across), min(up), max(across), max(up)


def matrix_of(each: Any) -> Matrix:
    """The matrix of an object."""
    matrix = raw.FS_MATRIX()
    if not raw.FPDFPageObj_GetMatrix(each, ctypes.byref(matrix)):
        return _SAME
    return matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f


def times(inner: Matrix, outer: Matrix) -> Matrix:
    """One matrix after the other."""
    a, b, c, d, e, f = inner
    g, h, i, j, k, m = outer
    return (
        a * g + b * i,
        a * h + b * j,
        c * g + d * i,
        c * h + d * j,
        e * g + f * i + k,
        e * h + f * j + m,
    )


def _transformed(x: float, y: float, matrix: Matrix) -> Point:
    a, b, c, d, e, f = matrix
    return a * x + c * y + e, b * x + d * y + f
