"""Fields of HL7 v2 as text for people."""

import re
from collections.abc import Iterator
from typing import Final

from docpipe.convert.core.base import Embedded
from docpipe.convert.core.blocks import Block, Paragraph, Preformatted, clean, tidy
from docpipe.convert.core.detect import detect
from docpipe.convert.core.kinds import kind_of
from docpipe.convert.readers.cdatime import iso_date
from docpipe.convert.readers.hl7 import Segment
from docpipe.convert.readers.hl7names import TIMES


def field_text(segment: Segment, number: int) -> str:
    """A field for people: its repetitions apart, its times in ISO 8601."""
    times = number in TIMES.get(segment.name, ())
    parts = []
    for components in segment.repetitions(number):
        said = [tidy(component) for component in components]
        if times and said and (date := iso_date(said[0])):
            said[0] = date
        parts.append(", ".join(part for part in said if part))
    return "; ".join(part for part in parts if part)


def notes(run: list[Segment]) -> Iterator[Block]:
    """Notes as running text, each segment a line of it."""
    yield from lines_of("\n".join(note(one) for one in run))


def note(segment: Segment) -> str:
    """The text of a note; its other fields only where they say more than numbers do."""
    text = "\n".join(segment.whole(part) for part in segment.raw(3).split(segment.marks.repetition or "\n"))
    kind = field_text(segment, 4)
    more = [f"{segment.name}-{number}: {field_text(segment, number)}"
            for number in range(5, len(segment.fields)) if field_text(segment, number)]  # fmt: skip
    return "\n".join([f"{kind}: {text}" if kind else text, *more])


_COLUMNS: Final = re.compile(r"\S {3,}\S")


def lines_of(text: str) -> Iterator[Block]:
    """A text of lines: as typewritten where blanks line it up, else in paragraphs at its empty lines."""
    text = clean(text).strip("\n")
    if len(_COLUMNS.findall(text)) > 1:
        yield Preformatted(text)
        return
    for part in re.split(r"\n[ \t]*\n", text):
        if said := tidy(part):
            yield Paragraph(said)


def kept_beside(data: bytes, declared: str | None, embedded: list[Embedded]) -> str:
    """Add a document; what to say of it."""
    kind = kind_of(detect(data, declared=declared))
    name = f"embedded-{len(embedded) + 1}{kind.extension}"
    embedded.append(Embedded(name, declared, data))
    return f"{kind.name}, kept beside this document as {name}"


def time_text(segment: Segment, number: int) -> str:
    """A field of times in ISO 8601; what is none stays as it is."""
    parts = (tidy(components[0]) for components in segment.repetitions(number) if components)
    return "; ".join((iso_date(part) or part) if len(part) > _YEAR else part for part in parts if part)


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
    said = ", ".join(text for text in (*texts, *more) if text)
    return f"{said} ({'; '.join(codes)})" if codes and said else said or "; ".join(codes)


_SYSTEMS: Final = {
    "LN": "LOINC",
    "L": "local",
    "SCT": "SNOMED CT",
    "I9": "ICD-9",
    "I10": "ICD-10",
    "99": "local",
}
