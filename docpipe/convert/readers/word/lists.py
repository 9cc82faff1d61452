"""The numbers and bullets of lists in Word documents, as they stand (ECMA-376-1, 17.9)."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from docpipe.convert.core.symbols import in_font
from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.readers.office.levels import DEEPEST, MOST, Level, next_label
from docpipe.convert.readers.office.ooxml import attribute, down, on, whole
from docpipe.convert.readers.word.styles import Styles


@dataclass(slots=True)
class _List:
    """A list: its levels, and with whom it counts."""

    levels: dict[int, Level]
    abstract: str
    starts: dict[int, int] = field(default_factory=dict)
    """The numbers that levels begin anew with where this list is first met."""


@dataclass(frozen=True, slots=True)
class Item:
    """A paragraph in a list: the list's id, how deep from 0, and its label, empty for a plain bullet."""

    number: str
    level: int
    label: str


class Lists:
    """Counts the lists of a document while its paragraphs are read in order."""

    def __init__(self, numbering: Element | None, styles: Styles) -> None:
        self._styles = styles
        self._lists: dict[str, _List] = {}
        self._counts: dict[str, dict[int, int]] = {}
        self._met: set[tuple[str, int]] = set()
        if numbering is not None:
            self._add(numbering)

    def item(self, properties: Element | None) -> Item | None:
        """The place of the next paragraph in its list, None for one that is in none; counts it."""
        given = self._styles.numbering(properties)
        if given is None:
            return None
        number, at, style = given
        known = self._lists.get(number)
        if known is None:
            return Item(number, min(whole(at), DEEPEST), "")
        named = next((level for level, each in known.levels.items() if style and each.style == style), None)
        level = named if named is not None and at is None else max(0, min(whole(at), DEEPEST))
        return Item(number, level, self._label(number, known, level))

    def _label(self, number: str, known: _List, level: int) -> str:
        counts = self._counts.setdefault(known.abstract, {})
        if level in known.starts and (number, level) not in self._met:
            counts.pop(level, None)
        self._met.add((number, level))
        return next_label(known.levels, counts, level, known.starts)

    def _add(self, numbering: Element) -> None:
        abstract: dict[str, dict[int, Level]] = {}
        links: dict[str, str] = {}
        for element in numbering:
            if local(element) == "abstractNum" and (name := attribute(element, "abstractNumId")):
                abstract[name] = dict(_levels(element))
                links[name] = attribute(down(element, "numStyleLink"), "val") or ""
        targets = {
            attribute(element, "numId") or "": attribute(down(element, "abstractNumId"), "val") or ""
            for element in numbering
            if local(element) == "num"
        }
        for element in numbering:
            if local(element) == "num" and (number := attribute(element, "numId")):
                name = targets[number]
                if linked := links.get(name):
                    name = targets.get(self._styles.list_of(linked) or "", name)
                self._lists[number] = _overridden(element, abstract.get(name, {}), name)


def _overridden(element: Element, levels: dict[int, Level], abstract: str) -> _List:
    made = _List(dict(levels), abstract)
    for override in element:
        at = whole(attribute(override, "ilvl"), -1)
        if local(override) != "lvlOverride" or at < 0:
            continue
        made.levels |= dict(_levels(override))
        start = attribute(down(override, "startOverride"), "val")
        if start is not None:
            made.starts[at] = min(whole(start), MOST)
    return made


def _levels(abstract: Element) -> Iterator[tuple[int, Level]]:
    for level in abstract:
        at = whole(attribute(level, "ilvl"), -1)
        if local(level) != "lvl" or at < 0:
            continue
        inner = {local(each): each for each in level}
        if "AlternateContent" in inner:  # of a form that older programs do not know
            choice = down(inner["AlternateContent"], "Choice")
            inner |= {local(each): each for each in choice} if choice is not None else {}
        form = attribute(inner.get("numFmt"), "val") or "decimal"
        text = attribute(inner.get("lvlText"), "val")
        text = f"%{at + 1}." * (form not in {"bullet", "none"}) if text is None else text
        if form == "custom" and (attribute(inner.get("numFmt"), "format") or "").startswith("0"):
            form = "decimalZero"
        if form == "bullet":
            fonts = down(level, "rPr", "rFonts")
            text = in_font(attribute(fonts, "ascii") or attribute(fonts, "hAnsi"), text)
            text = "" if "lvlPicBulletId" in inner else text
        yield (
            at,
            Level(
                form,
                min(whole(attribute(inner.get("start"), "val"), 0 if form == "custom" else 1), MOST),
                text,
                attribute(inner.get("pStyle"), "val"),
                "isLgl" in inner and on(inner["isLgl"]),
                attribute(inner.get("lvlRestart"), "val") != "0",
            ),
        )
