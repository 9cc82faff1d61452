"""The styles that shapes on slides inherit (ECMA-376-1, 19.3.1.36 and 21.1.2.4)."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Final

from docpipe.convert.core.base import UnreadableError
from docpipe.convert.core.colours import vanishes
from docpipe.convert.core.opc import SALVAGED, Package
from docpipe.convert.core.xmltree import Element
from docpipe.convert.readers.office.drawing import is_small, placeholder_type, shapes
from docpipe.convert.readers.office.ooxml import attribute, down
from docpipe.convert.readers.office.runs import HIDDEN
from docpipe.convert.readers.slides.paper import colour_of, is_light, paper_of

_TITLES: Final = frozenset({"title", "ctrTitle"})
_OTHERS: Final = frozenset({"", "dt", "ftr", "sldNum", "hdr"})


class SlideStyles:
    """The styles of a presentation; layouts and masters are read once."""

    def __init__(self, package: Package, presentation: Element) -> None:
        self._package = package
        self._default = down(presentation, "defaultTextStyle")
        self._trees: dict[str, Element | None] = {}

    def tree(self, name: str) -> Element | None:
        """The tree of a layout or master, None for one that cannot be read."""
        if name not in self._trees:
            try:
                self._trees[name] = self._package.xml(name)
            except UnreadableError:
                self._package.warnings.append(SALVAGED)
                self._trees[name] = None
        return self._trees[name]

    def above(self, name: str) -> list[str]:
        """The names of the layout and the master of a slide, as far as they are there."""
        names: list[str] = []
        for kind in ("slideLayout", "slideMaster"):
            there = (each for each in self._package.relations(name, kind) if self._package.has(each))
            name = next(there, "")
            if not name:
                break
            names.append(name)
        return names

    def inherited(self, slide: str, shape: Element) -> tuple[Element, ...]:
        """The styles that the paragraphs of a shape inherit, the nearest first."""
        return tuple(self._inherited(self.above(slide), shape))

    def counterparts(self, slide: str, shape: Element) -> list[Element]:
        """The placeholders of the layout and the master that a shape fills in."""
        if not placeholder_type(shape):
            return []
        trees = [(at, self.tree(name)) for at, name in enumerate(self.above(slide))]
        same = (_counterpart(tree, shape, by_number=at == 0) for at, tree in trees if tree is not None)
        return [each for each in same if each is not None]

    def vanishing(self, slide: str, root: Element, shape: Element) -> Callable[[Sequence[Element]], bool]:
        """Whether letters of a shape, by their properties, are in the colour of their paper or too small."""

        @cache
        def behind() -> tuple[str, bool]:
            above = self.above(slide)
            trees = [root, *(tree for name in above if (tree := self.tree(name)) is not None)]
            light = is_light(self._package, trees, above[-1] if above else None)
            return paper_of(shape, self.counterparts(slide, shape), trees, light=light), light

        def off(given: Sequence[Element]) -> bool:
            if is_small(given):
                self._package.warnings.append(HIDDEN)
                return True
            ink = next((fill for each in given if (fill := down(each, "solidFill")) is not None), None)
            pen = next((fill for each in given if (fill := down(each, "highlight")) is not None), None)
            if ink is None:
                return False
            paper, light = behind()
            gone = vanishes(colour_of(ink, light=light), colour_of(pen, light=light) or paper)
            self._package.warnings += [HIDDEN] if gone else []
            return gone

        return off

    def _inherited(self, above: list[str], shape: Element) -> Iterator[Element]:
        kind = placeholder_type(shape)
        for at, name in enumerate(above):
            tree = self.tree(name)
            if tree is None:
                continue
            if kind and (same := _counterpart(tree, shape, by_number=at == 0)) is not None:
                lists = (down(body, "lstStyle") for body in same.iter("{*}txBody"))
                yield from (each for each in lists if each is not None)
            group = "titleStyle" if kind in _TITLES else "otherStyle" if kind in _OTHERS else "bodyStyle"
            if (style := down(tree, "txStyles", group)) is not None:
                yield style
        if self._default is not None:
            yield self._default


def _counterpart(tree: Element, shape: Element, *, by_number: bool) -> Element | None:
    """The placeholder of a layout or master that a slide's fills in: by number, else by type."""
    kind, number = _general(shape), _number(shape)
    places = [each for each in shapes(tree) if placeholder_type(each)]
    same = [each for each in places if by_number and number is not None and _number(each) == number]
    return next(iter(same or [each for each in places if _general(each) == kind]), None)


def _general(shape: Element) -> str:
    kind = placeholder_type(shape)
    return "title" if kind in _TITLES else kind if kind in _OTHERS else "body"


def _number(shape: Element) -> str | None:
    return attribute(next(iter(shape.iter("{*}ph")), None), "idx")
