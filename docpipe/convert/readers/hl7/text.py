"""Fields of HL7 v2 as text for people."""

import re
from collections.abc import Iterator
from typing import Final

from docpipe.convert.core.base import Embedded
from docpipe.convert.core.blocks import Block, Paragraph, Preformatted, clean, tidy
from docpipe.convert.core.detect import detect
from docpipe.convert.core.kinds import kind_of
from docpipe.convert.readers.cda.times import iso_date
from docpipe.convert.readers.hl7.message import Segment
from docpipe.convert.readers.hl7.names import TIMES
from docpipe.convert.readers.hl7.states import state
from docpipe.convert.readers.html.from_html import flowed
from docpipe.convert.readers.rtf.from_rtf import rtf_content
from docpipe.errors import DocpipeError


def field_text(segment: Segment, number: int) -> str:
    """A field for people: its repetitions apart, its times in ISO 8601."""
    times = number in TIMES.get(segment.name, ())
    parts = []
    for components in segment.repetitions(number):
        texts = [tidy(component) for component in components]
        if times and texts and (date := iso_date(texts[0])):
            texts[0] = date
        elif texts:
            texts[0] = state(segment.name, number, texts[0])
            texts[1:] = [_date(text) for text in texts[1:]]
        parts.append(", ".join(part for part in texts if part))
    return "; ".join(part for part in parts if part)


def _date(text: str) -> str:
    """A component that is a whole date of these times in ISO 8601; any other unchanged."""
    return iso_date(text) or text if _WHOLE_DATE.fullmatch(text) else text


_WHOLE_DATE: Final = re.compile(
    r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[0-2]\d[0-5]\d){1,2}(?:[+-]\d{4})?"
)


def notes(run: list[Segment]) -> Iterator[Block]:
    """Notes as running text, each segment a line of it."""
    yield from lines_of("\n".join(note(one) for one in run))


def note(segment: Segment) -> str:
    """The text of a note, with its other fields where they are more than numbers."""
    text = "\n".join(segment.whole(part) for part in segment.raw(3).split(segment.marks.repetition or "\n"))
    kind = field_text(segment, 4)
    more = [f"{segment.name}-{number}: {field_text(segment, number)}"
            for number in range(5, len(segment.fields)) if field_text(segment, number)]  # fmt: skip
    return "\n".join([f"{kind}: {text}" if kind else text, *more])


_COLUMNS: Final = re.compile(r"\S {3,}\S")


def lines_of(text: str) -> Iterator[Block]:
    """A text of lines: as typewritten where blanks line it up, else in paragraphs at its empty lines."""
    if (blocks := rendered(text)) is not None:
        yield from blocks
        return
    text = clean(text).strip("\n")
    if len(_COLUMNS.findall(text)) > 1:
        yield Preformatted(text)
        return
    for part in re.split(r"\n[ \t]*\n", text):
        if paragraph := tidy(part):
            yield Paragraph(paragraph)


def rendered(text: str) -> tuple[Block, ...] | None:
    """The blocks of a text that is RTF or HTML, None for any other."""
    start = text.lstrip()
    if start.startswith("{\\rtf"):
        try:
            return rtf_content(start.encode("cp1252", "replace")).blocks or None
        except DocpipeError:
            return None
    if _PAGE.match(start) and detect(start.encode()) == "text/html":
        return flowed(start) or None
    return None


_PAGE: Final = re.compile(
    r"<(?:!doctype\s+html|/?(?:html|head|body|div|span|p|pre|h[1-6]|table|ul|ol|br|b|i|u|font|center|strong|em|style|meta"
    r"|!--))(?=[\s/>]|--)",
    re.IGNORECASE,
)


def kept_beside(data: bytes, declared: str | None, embedded: list[Embedded]) -> str:
    """Add a document; a sentence on it."""
    kind = kind_of(detect(data, declared=declared))
    name = f"embedded-{len(embedded) + 1}{kind.extension}"
    embedded.append(Embedded(name, declared, data))
    return f"{kind.name}, kept beside this document as {name}"


def time_text(segment: Segment, number: int) -> str:
    """A field of times in ISO 8601; other texts unchanged."""
    parts = (tidy(components[0]) for components in segment.repetitions(number) if components)
    clock = segment.name == "OBX" and segment.first(2).upper() == "TM"
    return "; ".join(_time_of_day(part) if clock else _moment(part) for part in parts if part)


def _moment(text: str) -> str:
    return (iso_date(text) or text) if len(text) > _YEAR else text


_CLOCK: Final = re.compile(r"([01]\d|2[0-3])([0-5]\d)([0-5]\d)?(?:\.\d+)?([+-]\d{4})?")


def _time_of_day(text: str) -> str:
    match = _CLOCK.fullmatch(text)
    return ":".join(part for part in match.groups()[:3] if part) + (match[4] or "") if match else text


_YEAR: Final = 6
"""Shorter ones may be times of day."""
_CODES: Final = 6


def coded(segment: Segment, number: int) -> str:
    """A coded field: its texts, then its codes with their systems; LOINC and ICD by their names."""
    return "; ".join(filter(None, map(_coded, segment.repetitions(number))))


def _coded(components: list[str]) -> str:
    parts = [tidy(part).replace("\n", " ") for part in components]
    texts, codes = [], []
    for at in (0, 3):
        code, text, system = (*parts[at : at + 3], "", "", "")[:3]
        if at == 0 and not text and not system:
            texts.append(code)
            continue
        if text and text not in texts:
            texts.append(text)
        if code:
            codes.append(f"{_SYSTEMS.get(system, system)} {code}".strip())
        elif system:
            codes.append(system)
    more = [part for part in parts[_CODES:] if part and part not in texts]
    joined = ", ".join(text for text in (*texts, *more) if text)
    return f"{joined} ({'; '.join(codes)})" if codes and joined else joined or "; ".join(codes)


_SYSTEMS: Final = {
    "LN": "LOINC",
    "L": "local",
    "SCT": "SNOMED CT",
    "I9": "ICD-9",
    "I10": "ICD-10",
    "99": "local",
}
