"""Charts of Office files (ECMA-376-1, 21.2) as tables of the numbers that they keep."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from docpipe.convert.core.blocks import Block, Paragraph, Table, even, tidy
from docpipe.convert.core.xmltree import Element, local, text_of
from docpipe.convert.readers.office.ooxml import attribute, down, whole
from docpipe.convert.readers.sheets.numberformat import GENERAL, formatted

_MOST_POINTS: Final = 5_000
_MOST_SERIES: Final = 200


@dataclass(frozen=True, slots=True)
class _Series:
    """A series: its name, and its values by the names of its points."""

    name: str
    points: tuple[str, ...]
    values: tuple[str, ...]


def chart_blocks(root: Element) -> tuple[Block, ...]:
    """The title of a chart and its series as columns of a table; none where the file keeps no numbers."""
    chart = down(root, "chart")
    data = down(root, "chartData")
    made = map(_series, root.iter("{*}ser")) if data is None else _newer(root, data)
    series = [*islice(made, _MOST_SERIES)]
    series = [each for each in series if any(each.values)]
    if chart is None or not series:
        return ()
    title = _title(down(chart, "title"))
    axes = [_axis(each) for each in root.iter("{*}catAx", "{*}dateAx", "{*}valAx")]
    axes = [text for text in axes if text]
    name = "Chart: " + title if title else "Chart"
    return (Paragraph(f"{name} ({', '.join(axes)})" if axes else name), *_tables(series))


def _tables(series: list[_Series]) -> Iterator[Block]:
    """One table for all series with the same points, each other series with one of its own."""
    groups: dict[tuple[str, ...], list[_Series]] = {}
    for each in series:
        groups.setdefault(each.points, []).append(each)
    for points, group in groups.items():
        head = ("", *(each.name or f"Series {at}" for at, each in enumerate(group, 1)))
        lines = zip(points, *(each.values for each in group), strict=True)
        rows = tuple(line for line in lines if any(line[1:]))
        if rows:
            yield Table(even([head]), even(rows, len(head)))


def _series(element: Element) -> _Series:
    named = down(element, "tx")
    name = tidy(" ".join(_points(named).values()) or (text_of(named) if named is not None else ""))
    points = _points(_first(element, "cat", "xVal"))
    values = _points(_first(element, "val", "yVal"))
    sizes = _points(down(element, "bubbleSize"))
    count = min(max((*points, *values), default=-1) + 1, _MOST_POINTS)
    listed = [values.get(at, "") for at in range(count)]
    if sizes:
        listed = [f"{text} (size {sizes[at]})" if at in sizes else text for at, text in enumerate(listed)]
    names = tuple(points.get(at, str(at + 1)) for at in range(count))
    return _Series(" ".join(name.split()), names, tuple(listed))


def _newer(root: Element, data: Element) -> Iterator[_Series]:
    """The series of a chart of the kinds of 2016, such as waterfalls (MS-ODRAWXML, 2.24.3)."""
    parts = {attribute(each, "id"): each for each in data if local(each) == "data"}
    for series in root.iter("{*}series"):
        part = parts.get(attribute(down(series, "dataId"), "val"))
        named = down(series, "tx", "txData", "v")
        name = "" if named is None else " ".join(tidy(named.text or "").split())
        for each in part if part is not None else ():
            if local(each) == "numDim":
                points, values = _dimension(down(part, "strDim")), _dimension(each)
                count = min(max((*points, *values), default=-1) + 1, _MOST_POINTS)
                names = tuple(points.get(at, str(at + 1)) for at in range(count))
                yield _Series(name, names, tuple(values.get(at, "") for at in range(count)))


def _dimension(element: Element | None) -> dict[int, str]:
    """The texts or numbers of a dimension by their index; those on several levels joined."""
    points: dict[int, str] = {}
    levels = [each for each in element if local(each) == "lvl"] if element is not None else []
    for level in reversed(levels):
        for point in (each for each in level if local(each) == "pt"):
            at, text = whole(attribute(point, "idx"), -1), tidy(point.text or "")
            if not 0 <= at < _MOST_POINTS or not text:
                continue
            if element is not None and local(element) == "numDim":
                text = _number(text, attribute(level, "formatCode") or GENERAL)
            points[at] = f"{points[at]} {text}" if at in points else text
    return points


def _first(element: Element, *names: str) -> Element | None:
    return next((each for name in names if (each := down(element, name)) is not None), None)


def _points(data: Element | None) -> dict[int, str]:
    """The texts or numbers of a series' part by their index; those on several levels joined."""
    points: dict[int, str] = {}
    if data is None:
        return points
    caches = data.iter("{*}strCache", "{*}numCache", "{*}strLit", "{*}numLit", "{*}multiLvlStrCache")
    for cache in [*caches][:1]:
        given = down(cache, "formatCode")
        code = (given.text if given is not None else None) or GENERAL
        levels = [each for each in cache if local(each) == "lvl"] or [cache]
        for level in reversed(levels):
            for point in (each for each in level if local(each) == "pt"):
                at = whole(attribute(point, "idx"), -1)
                value = down(point, "v")
                text = tidy(value.text or "") if value is not None else ""
                if not 0 <= at < _MOST_POINTS or not text:
                    continue
                if local(cache).startswith("num"):
                    text = _number(text, attribute(point, "formatCode") or code)
                points[at] = f"{points[at]} {text}" if at in points else text
    return points


def _number(text: str, code: str) -> str:
    try:
        return formatted(float(text), code) or text
    except ValueError:
        return text


def _title(element: Element | None) -> str:
    if element is None:
        return ""
    texts = [each.text or "" for each in element.iter("{*}t")] or list(_points(element).values())
    texts = texts or [each.text or "" for each in element.iter("{*}v")]
    return " ".join(tidy(" ".join(texts)).split())


def _axis(element: Element) -> str:
    return _title(down(element, "title"))
