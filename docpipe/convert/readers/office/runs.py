"""Text in runs, each with its look, as offices write it; neighbours of one look are marked as one passage."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import groupby
from typing import Final

from docpipe.convert.core.blocks import Block, clean, mapped
from docpipe.convert.core.colours import flags_behind
from docpipe.convert.core.marks import Mark, lowered, mark, raised

HIDDEN: Final = 'text that the document hides is marked as "hidden"'
CHANGED: Final = "tracked changes: deleted and inserted text is marked; see the original"
_HIGH: Final = 4
"""Half points from which a shift sets text above or below the line."""
_LONGEST_SHIFTED: Final = 8
_WITHHELD: Final = ("[hidden: ", "[deleted: ")
_HALVES: Final = re.compile("[\ud800-\udfff]")


class Visibility(StrEnum):
    """Whether the page shows a run; the values of the others name them in the text."""

    VISIBLE = ""
    HIDDEN = "hidden"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Look:
    """How a run looks. `level` is 1 for raised, -1 for lowered text; `colour` is one that may flag it."""

    marks: Mark = Mark.NONE
    level: int = 0
    visibility: Visibility = Visibility.VISIBLE
    colour: str = ""


PLAIN: Final = Look()


@dataclass(slots=True)
class Runs:
    """The runs of a paragraph."""

    parts: list[tuple[str, Look]] = field(default_factory=list)

    def add(self, text: str, look: Look = PLAIN) -> None:
        """A further run."""
        if text:
            self.parts.append((text, look))

    def text(self) -> str:
        """The whole, cleaned and with its marks."""
        text = ""
        for visibility, parts in groupby(self._coloured(), key=lambda part: part[1].visibility):
            passage = withheld(_joined_looks(parts), visibility)
            text += " " * (text.endswith("]") and passage.startswith("[")) + passage
        return text

    @property
    def colour(self) -> str:
        """The colour that all of the text has, empty where it has several or none."""
        colours = {look.colour for text, look in self.parts if text.strip()}
        return colours.pop() if len(colours) == 1 else ""

    def _coloured(self) -> list[tuple[str, Look]]:
        """The runs, with the name of a colour behind each passage that it flags: `6.9 [red]`."""
        if not any(look.colour for _, look in self.parts):
            return self.parts
        flags = flags_behind([(text, "" if look.visibility else look.colour) for text, look in self.parts])
        out: list[tuple[str, Look]] = []
        for (text, look), flag in zip(self.parts, flags, strict=True):
            own, words = replace(look, colour=""), text.rstrip()
            named = (
                [(words, own), (f" [{flag}]", PLAIN), (text[len(words) :], own)] if flag else [(text, own)]
            )
            out += [part for part in named if part[0]]
        return out

    @property
    def withheld(self) -> bool:
        """Whether there is text, and all of it is hidden or deleted."""
        visible = (text for text, look in self.parts if look.visibility is Visibility.VISIBLE)
        return any(text.strip() for text, _ in self.parts) and not any(text.strip() for text in visible)

    def with_visibility(self, visibility: Visibility) -> "Runs":
        """The runs, all of them hidden or deleted."""
        return Runs([(text, replace(look, visibility=visibility)) for text, look in self.parts])


def shifted(text: str, half_points: int) -> int:
    """The level of text that is moved up or down, without a smaller font: what is a power or an index is
    short and without blanks; longer text is moved for looks.
    """
    if abs(half_points) < _HIGH or len(text.strip()) > _LONGEST_SHIFTED or len(text.split()) > 1:
        return 0
    return 1 if half_points > 0 else -1


def joined(text: str) -> str:
    """The text with halves of characters beyond the basic plane put together."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def withheld(text: str, visibility: Visibility) -> str:
    """A passage as "[hidden: ...]" or "[deleted: ...]"; blank text and visible text stay as they are."""
    inner = text.strip()
    if visibility is Visibility.VISIBLE or not inner:
        return text
    before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    return f"{before}[{visibility}: {' '.join(inner.split())}]{after}"


def withheld_blocks(blocks: Iterable[Block], visibility: Visibility) -> tuple[Block, ...]:
    """The blocks with each text of theirs as "[hidden: ...]" or "[deleted: ...]"."""
    return mapped(blocks, lambda text: text if text.startswith(_WITHHELD) else withheld(text, visibility))


def _joined_looks(parts: Iterable[tuple[str, Look]]) -> str:
    groups = groupby(parts, key=lambda part: part[1])
    return "".join(_written("".join(text for text, _ in each), look) for look, each in groups)


def _written(text: str, look: Look) -> str:
    text = clean(joined(text) if _HALVES.search(text) else text)
    if look.level:
        text = raised(text) if look.level > 0 else lowered(text)
    return mark(text, look.marks)
