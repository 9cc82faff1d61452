"""HL7 v2 as it is sent: segments, fields, repetitions, components, escapes, in whatever line ends.

HL7 v2.5.1 chapter 2. Read tolerantly: a line that is no segment goes on the field before it, as senders who
do not escape their line breaks mean it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from docpipe.convert.core.base import UnreadableError
from docpipe.convert.core.encoding import decode

_CHARSETS: Final = {
    "UNICODE UTF-8": "utf-8",
    "UNICODE UTF-16": "utf-16",
    "ISO IR6": "ascii",
    "ISO IR87": "iso2022_jp",
    "ISO IR14": "shift_jis",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "CNS 11643-1992": "big5",
    "BIG-5": "big5",
}
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
    """A segment; fields as they stand, number 0 is its name."""

    fields: list[str]
    marks: Marks

    @property
    def name(self) -> str:
        """The three letters."""
        return self.fields[0]

    def raw(self, number: int) -> str:
        """A field as it stands, empty where there is none."""
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
        """The components of a repetition, as they stand."""
        return _split(text, self.marks.component)

    def first(self, number: int, component: int = 1) -> str:
        """A component of a field's first repetition, in plain text; both count from 1."""
        found = next(iter(self.repetitions(number)), [])
        return found[component - 1].strip() if component <= len(found) else ""

    def plain(self, text: str) -> str:
        """A component as text for people: without escapes, its subcomponents apart."""
        if text.strip() in {'""', "''"}:
            return ""  # what HL7 writes to delete a value
        parts = _split(text, self.marks.sub)
        return " ".join(filter(None, (unescaped(part, self.marks) for part in parts)))

    def whole(self, text: str) -> str:
        """A text that has no components, whatever characters it uses."""
        return unescaped(text, self.marks)


def _split(text: str, mark: str) -> list[str]:
    return text.split(mark) if mark else [text]


def unescaped(text: str, marks: Marks) -> str:
    """Text with its escapes resolved; what is no escape stays."""
    if not marks.escape or marks.escape not in text:
        return text
    mark = re.escape(marks.escape)
    return re.sub(rf"{mark}([^{mark}\r\n]{{1,200}}){mark}", lambda found: _escape(found, marks), text)


def _escape(found: re.Match[str], marks: Marks) -> str:
    code = found[1]
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
    return "" if re.fullmatch(r"[CM][0-9A-Fa-f]{4,6}", code) else found[0]


@dataclass(slots=True)
class Message:
    """The segments from one MSH to the next; of what stands around messages, too."""

    segments: list[Segment] = field(default_factory=list)

    def find(self, *names: str) -> Iterator[Segment]:
        """Segments with one of the names, in order."""
        return (one for one in self.segments if one.name in names)

    def one(self, name: str) -> Segment | None:
        """The first segment with a name."""
        return next(self.find(name), None)


def parse(data: bytes) -> tuple[list[Message], bool]:
    """The messages of a file, and whether some characters were lost.

    Raises: UnreadableError.
    """
    decoded = decode(data.replace(b"\x0b", b"").replace(b"\x1c", b"\r"), _charset(data))
    messages: list[Message] = []
    marks = Marks()
    for line in re.split("\r\n|\r|\n", decoded.text.lstrip("\ufeff")):
        text = line.lstrip("\0 \t") if _HEAD.match(line.lstrip("\0 \t")) else line.rstrip("\0")
        if found := _HEAD.match(text):
            marks = _marks(text, found[1])
        if found or re.match(rf"{_SEGMENT}(?:{re.escape(marks.field)}|$)", text):
            if text[:3] in {"MSH", "FHS", "BHS"} or not messages:
                messages.append(Message())
            messages[-1].segments.append(Segment(_fields(text, marks), marks))
        elif text.strip() and messages:
            messages[-1].segments[-1].fields[-1] += "\n" + text
    if not any(message.segments for message in messages):
        raise UnreadableError("This HL7 message has no segments that could be read.")
    return messages, decoded.lossy


def _marks(text: str, divider: str) -> Marks:
    found = text[4:].split(divider, 1)[0]
    component, repetition, escape, sub = (found[at : at + 1] for at in range(4))
    return Marks(divider, component, repetition, escape, sub)


def _fields(text: str, marks: Marks) -> list[str]:
    fields = text.split(marks.field)
    if fields[0] in {"MSH", "FHS", "BHS"}:  # their first field is the divider itself
        fields.insert(1, marks.field)
    return fields


def _charset(data: bytes) -> str | None:
    found = re.search(rb"MSH([^\w\s])[^\r\n]*", data[:4096])
    if not found:
        return None
    fields = found[0].split(found[1])
    told = fields[17].split(b"~")[0].decode("ascii", "replace").strip() if len(fields) > 17 else ""  # noqa: PLR2004 - MSH-18
    if match := re.fullmatch(r"8859/(\d{1,2})", told):
        return f"iso8859-{match[1]}"
    return _CHARSETS.get(told.upper(), told or None)
