"""What is behind the text of a slide: its shape's fill, or the slide's background (ECMA-376-1, 19.3.1)."""

from collections.abc import Iterator, Sequence
from typing import Final

from docpipe.convert.core.base import UnreadableError
from docpipe.convert.core.colours import UNKNOWN, WHITE, code_of
from docpipe.convert.core.opc import Package
from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.readers.office.ooxml import attribute, down

_FILLS: Final = frozenset({"solidFill", "gradFill", "blipFill", "pattFill", "grpFill"})
_LIGHT: Final = frozenset({"bg1", "lt1"})
Trees = Sequence[Element]
"""A slide, its layout and its master."""
Box = tuple[int, int, int, int]


def colour_of(fill: Element | None, *, light: bool) -> str | None:
    """The code of a solid fill, UNKNOWN where the file leaves it open, None without one; `light` if the first
    background of the theme is white.
    """
    if fill is None or not len(fill):
        return None
    colour = fill[0]
    if len(colour):  # it is changed: darker, or see-through
        return UNKNOWN
    value = attribute(colour, "val") or ""
    if local(colour) == "srgbClr":
        return code_of(value) or UNKNOWN
    white = value in ({"white"} if local(colour) == "prstClr" else _LIGHT if light else {""})
    return WHITE if white else UNKNOWN


def is_light(package: Package, trees: Trees, master: str | None) -> bool:
    """Whether the first background of a slide's theme is white."""
    mapped = [attribute(down(tree, "clrMap"), "bg1") for tree in trees]
    mapped += [attribute(each, "bg1") for tree in trees for each in tree.iter("{*}overrideClrMapping")]
    if any(name not in {None, "lt1"} for name in mapped):
        return False
    try:
        theme = package.related(master, "theme") if master else None
    except UnreadableError:
        return False
    light = next(iter(theme.iter("{*}lt1")), None) if theme is not None else None
    if light is None or not len(light):
        return True
    return code_of(attribute(light[0], "lastClr") or attribute(light[0], "val")) in {WHITE, None}


def paper_of(shape: Element, counterparts: Trees, trees: Trees, *, light: bool) -> str:
    """The colour behind the text of a shape; `counterparts` are those of its layout and master."""
    for each in (shape, *counterparts):
        properties = down(each, "spPr")
        if (fill := _fill(properties)) is not None:
            return (colour_of(fill, light=light) or UNKNOWN) if local(fill) == "solidFill" else UNKNOWN
        if down(properties, "noFill") is None and _is_styled(each):
            return UNKNOWN
    if local(shape) != "sp" or any(_covers(other, shape) for tree in trees for other in _behind(tree, shape)):
        return UNKNOWN
    for tree in trees:
        background = down(tree, "cSld", "bg")
        if background is not None:
            return _background(background, light=light)
    return WHITE


def _background(background: Element, *, light: bool) -> str:
    fill = _fill(down(background, "bgPr"))
    if fill is not None:
        return (colour_of(fill, light=light) or UNKNOWN) if local(fill) == "solidFill" else UNKNOWN
    named = down(background, "bgRef")
    plain = named is not None and attribute(named, "idx") == "1001"
    return (colour_of(named, light=light) or UNKNOWN) if plain else UNKNOWN


def _fill(properties: Element | None) -> Element | None:
    inner = (each for each in properties if local(each) in _FILLS) if properties is not None else iter(())
    return next(inner, None)


def _is_styled(shape: Element) -> bool:
    """Whether the theme fills a shape."""
    return attribute(down(shape, "style", "fillRef"), "idx") not in {None, "0"}


def _behind(tree: Element, shape: Element) -> Iterator[Element]:
    """What may be behind a shape: pictures, tables and charts, and shapes that are filled."""
    for other in tree.iter("{*}pic", "{*}graphicFrame", "{*}sp", "{*}grpSpPr"):
        filled = local(other) in {"pic", "graphicFrame"} or _is_styled(other)
        properties = other if local(other) == "grpSpPr" else down(other, "spPr")
        if other is not shape and (filled or _fill(properties) is not None):
            yield other


def _covers(other: Element, shape: Element) -> bool:
    """Whether two shapes have a place in common; where one gives no place they may."""
    one, two = _box(other), _box(shape)
    if one is None or two is None:
        return True
    return one[0] < two[2] and two[0] < one[2] and one[1] < two[3] and two[1] < one[3]


def _box(shape: Element) -> Box | None:
    parent = shape.getparent()
    if parent is None or local(parent) == "grpSp":  # places within a group have another scale
        return None
    placed = down(shape, "xfrm")
    placed = down(shape, "spPr", "xfrm") if placed is None else placed
    corner, size = down(placed, "off"), down(placed, "ext")
    try:
        x, y = int(attribute(corner, "x") or ""), int(attribute(corner, "y") or "")
        return x, y, x + int(attribute(size, "cx") or ""), y + int(attribute(size, "cy") or "")
    except ValueError:
        return None
