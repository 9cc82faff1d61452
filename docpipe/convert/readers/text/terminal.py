"""Text written for a line printer or a terminal: overstruck characters, and escape sequences of ECMA-48."""

import re
from collections.abc import Iterator
from typing import Final

from docpipe.convert.core.marks import Mark, mark

_BOLD: Final = re.compile(r"(.)(?:\x08\1)+")
_UNDERLINED: Final = re.compile(r"_\x08(.)|(.)\x08_")
_STRUCK: Final = re.compile(r"((?:[^\x08\n]\x08-|-\x08[^\x08\n])(?:[ ]?(?:[^\x08\n]\x08-|-\x08[^\x08\n]))*)")
_OVER: Final = re.compile(r"-?\x08-?")
_SEQUENCE: Final = re.compile(
    r"\x1b(?:\[([0-?]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\\\)|[ -/]*[0-~])|\x9b([0-?]*)[ -/]*([@-~])"
)


def printed(text: str) -> str:
    """The text as a printer or terminal shows it, with marks where it strikes out or sets in bold."""
    if "\x08" in text:
        text = _STRUCK.sub(lambda match: mark(_OVER.sub("", match[1]), Mark.STRUCK), text)
        text = _UNDERLINED.sub(lambda match: match[1] or match[2], _BOLD.sub(r"\1", text))
    if "\x1b[" in text or "\x9b" in text:
        text = "".join(_passages(text))
    return text


def _passages(text: str) -> Iterator[str]:
    marks, at = Mark.NONE, 0
    for match in _SEQUENCE.finditer(text):
        yield mark(text[at : match.start()], marks)
        at = match.end()
        if (match[2] or match[4]) == "m":
            marks = _changed(marks, match[1] or match[3] or "")
    yield mark(text[at:], marks)


_ON: Final = {"1": Mark.BOLD, "3": Mark.ITALIC, "9": Mark.STRUCK}
_OFF: Final = {"22": Mark.BOLD, "23": Mark.ITALIC, "29": Mark.STRUCK}


def _changed(marks: Mark, parameters: str) -> Mark:
    """The marks after a sequence that selects the rendition."""
    for each in parameters.split(";"):
        number = each.lstrip("0")
        if not number:
            marks = Mark.NONE
        marks = (marks | _ON.get(number, Mark.NONE)) & ~_OFF.get(number, Mark.NONE)
    return marks
