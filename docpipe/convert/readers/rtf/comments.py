"""Comments of RTF: who made one, when, and the passage between the marks that name it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from docpipe.convert.core.blocks import tidy
from docpipe.convert.readers.office.remarks import byline, shortened
from docpipe.convert.readers.office.runs import Look, Runs, joined

ANCHORS: Final = frozenset({"begins", "ends", "about", "dated"})
"""Places of the marks of a passage, and of what a comment has besides its text."""
_MOST: Final = 1_000
"""Passages that are read at the same time."""


@dataclass(slots=True)
class Comments:
    """The comments so far."""

    texts: list[str] = field(default_factory=list)
    _runs: Runs = field(default_factory=Runs)
    _open: dict[str, list[str]] = field(default_factory=dict)
    _passages: dict[str, str] = field(default_factory=dict)
    _about: str = ""
    _dated: str = ""

    def anchor(self, place: str, text: str) -> None:
        """A mark of a passage, or what the comment being read is about, by the name they share."""
        name = text.strip()
        match place:
            case "begins" if len(self._open) < _MOST:
                self._open[name] = []
            case "ends":
                self._passages[name] = shortened("".join(self._open.pop(name, ())))
            case "about":
                self._about = name
            case "dated":
                self._dated = _time(name)

    def pass_by(self, text: str) -> None:
        """Text of the document: it is part of each passage that has begun."""
        for parts in self._open.values():
            parts.append(text)

    def take(self, kind: str, text: str, look: Look) -> None:
        """Text of a comment, the end of a paragraph, or its end, with its author."""
        if kind == "text":
            self._runs.add(text, look)
        elif kind == "par":
            self._runs.add("\n")
        elif kind == "end":
            if words := tidy(self._runs.text()):
                passage = self._passages.get(self._about, "")
                self.texts.append(byline(tidy(joined(text)), self._dated, tidy(joined(passage))) + words)
            self._runs = Runs()
            self._about = self._dated = ""


def _time(number: str) -> str:
    """A time as Word packs it into a number, in ISO 8601; empty for none."""
    if not number.lstrip("-").isdigit():
        return ""
    bits = int(number)
    parts = (1900 + (bits >> 20 & 511), bits >> 16 & 15, bits >> 11 & 31, bits >> 6 & 31, bits & 63)
    try:
        return datetime(*parts).isoformat(timespec="minutes")  # noqa: DTZ001 - RTF states no zone
    except ValueError:
        return ""
