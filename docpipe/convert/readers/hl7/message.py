"""HL7 v2 as it is sent: segments, fields, repetitions, components, escapes, in whatever line ends.

HL7 v2.5.1 chapter 2. Read tolerantly: a line that is no segment continues the field before it, since some
senders do not escape line breaks.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from docpipe.convert.core.base import UnreadableError
from docpipe.convert.core.encoding import decode
from docpipe.convert.readers.hl7 import charsets

_SEGMENT: Final = r"[A-Z][A-Z0-9]{2}"
_HEAD: Final = re.compile(r"(?:MSH|FHS|BHS)([^\w\s])")
_LAYOUT: Final = re.compile(r"\.(br|sp|ce|in|ti|fi|nf|sk)\s*[+-]?\d*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Marks:
    """The characters that divide a message, as its MSH names them; `escape` may be missing."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    sub: str = "&"


@dataclass(slots=True)
class Segment:
    """A segment; fields are not decoded, number 0 is its name."""

    fields: list[str]
    marks: Marks

    @property
    def name(self) -> str:
        """The three letters."""
        return self.fields[0]

    def raw(self, number: int) -> str:
        """A field, not decoded; empty where there is none."""
        return self.fields[number] if number < len(self.fields) else ""

    def repetitions(self, number: int) -> list[list[str]]:
        """A field's repetitions, each as its components, in plain text. MSH-1 and MSH-2 divide nothing."""
        raw = self.raw(number)
        if self.name in {"MSH", "FHS", "BHS"} and number <= 2:  # noqa: PLR2004 - the two fields of marks
            return [[raw]]
        return [
            [self.plain(component) for component in self.components(one)]
            for one in _split(raw, self.marks.repetition)
            if one
        ]

    def components(self, text: str) -> list[str]:
        """The components of a repetition, not decoded."""
        return _split(text, self.marks.component)

    def first(self, number: int, component: int = 1) -> str:
        """A component of a field's first repetition, in plain text; both count from 1."""
        components = next(iter(self.repetitions(number)), [])
        return components[component - 1].strip() if component <= len(components) else ""

    def plain(self, text: str) -> str:
        """A component as text for people: without escapes, its subcomponents apart."""
        if text.strip() in {'""', "''"}:
            return ""  # what HL7 writes to delete a value
        parts = _split(text, self.marks.sub)
        return " ".join(filter(None, (unescaped(part, self.marks) for part in parts)))

    def whole(self, text: str) -> str:
        """A text that has no components, whatever characters it uses; RTF uses those that mark escapes."""
        return text if text.lstrip().startswith("{\\rtf") else unescaped(text, self.marks)


def _split(text: str, mark: str) -> list[str]:
    return text.split(mark) if mark else [text]


def unescaped(text: str, marks: Marks) -> str:
    """Text with its escapes resolved; what is no escape stays."""
    if not marks.escape or marks.escape not in text:
        return text
    mark = re.escape(marks.escape)
    return re.sub(rf"{mark}([^{mark}\r\n]{{1,200}}){mark}", lambda match: _escape(match, marks), text)


def _escape(match: re.Match[str], marks: Marks) -> str:
    code = match[1]
    simple = {
        "F": marks.field, "S": marks.component, "T": marks.sub, "R": marks.repetition, "E": marks.escape,
        "H": "", "N": "", "P": marks.field,
    }.get(code)  # fmt: skip
    if simple is not None:
        return simple
    if _LAYOUT.fullmatch(code):
        return "\n"
    if re.fullmatch(r"X(?:[0-9A-Fa-f]{2})+", code):
        return decode(bytes.fromhex(code[1:])).text
    return "" if re.fullmatch(r"[CM][0-9A-Fa-f]{4,6}", code) else match[0]


@dataclass(slots=True)
class Message:
    """The segments from one MSH to the next, with those around messages."""

    segments: list[Segment] = field(default_factory=list)

    def find(self, *names: str) -> Iterator[Segment]:
        """Segments with one of the names, in order."""
        return (one for one in self.segments if one.name in names)

    def one(self, name: str) -> Segment | None:
        """The first segment with a name."""
        return next(self.find(name), None)


def parse(data: bytes) -> tuple[list[Message], tuple[str, ...]]:
    """The messages of a file, and warnings of its characters.

    Raises: UnreadableError.
    """
    decoded = charsets.decoded(data.replace(b"\x0b", b"").replace(b"\x1c", b"\r"), _charsets(data))
    messages: list[Message] = []
    marks = Marks()
    for line in re.split("\r\n|\r|\n", decoded.text.lstrip("\ufeff")):
        text = line.lstrip("\0 \t") if _HEAD.match(line.lstrip("\0 \t")) else line.rstrip("\0")
        if match := _HEAD.match(text):
            marks = _marks(text, match[1])
        if match or re.match(rf"{_SEGMENT}(?:{re.escape(marks.field)}|$)", text):
            if text[:3] in {"MSH", "FHS", "BHS"} or not messages:
                messages.append(Message())
            messages[-1].segments.append(Segment(_fields(text, marks), marks))
        elif text.strip() and messages:
            messages[-1].segments[-1].fields[-1] += "\n" + text
    if not any(message.segments for message in messages):
        raise UnreadableError("This HL7 message has no segments that could be read.")
    return messages, decoded.warnings


def _marks(text: str, divider: str) -> Marks:
    signs = text[4:].split(divider, 1)[0]
    component, repetition, escape, sub = (signs[at : at + 1] for at in range(4))
    return Marks(divider, component, repetition, escape, sub)


def _fields(text: str, marks: Marks) -> list[str]:
    fields = text.split(marks.field)
    if fields[0] in {"MSH", "FHS", "BHS"}:  # their first field is the divider itself
        fields.insert(1, marks.field)
    return fields


def _charsets(data: bytes) -> list[str]:
    """The character sets that MSH-18 names, the first of them that of text without switches."""
    match = re.search(rb"MSH([^\w\s])[^\r\n]*", data[:4096])
    if not match:
        return []
    fields = match[0].split(match[1])
    if len(fields) <= _CHARACTER_SET:
        return []
    return [name.decode("ascii", "replace").strip() for name in fields[_CHARACTER_SET].split(b"~")]


_CHARACTER_SET: Final = 17
"""The place of MSH-18 when the divider itself is no field."""
