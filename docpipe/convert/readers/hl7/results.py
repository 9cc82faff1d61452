"""The OBX segments of HL7 v2: tables of values, running text, and documents."""

import re
from collections.abc import Iterator
from typing import Final

from docpipe.convert.core.base import Embedded
from docpipe.convert.core.blocks import (
    Block,
    Heading,
    Listing,
    Paragraph,
    Picture,
    Preformatted,
    Table,
    placeholder,
    tidy,
)
from docpipe.convert.core.detect import detect
from docpipe.convert.core.kinds import EMPTY, UNKNOWN
from docpipe.convert.core.marks import struck
from docpipe.convert.core.payload import ELSEWHERE, UNDECODED, decoded, looks_encoded
from docpipe.convert.readers.cda.times import iso_date
from docpipe.convert.readers.hl7.message import Segment
from docpipe.convert.readers.hl7.names import field_name
from docpipe.convert.readers.hl7.states import WITHDRAWN
from docpipe.convert.readers.hl7.text import (
    coded,
    field_text,
    kept_beside,
    lines_of,
    note,
    rendered,
    time_text,
)

_TEXTS: Final = frozenset({"TX", "FT"})
_CODED: Final = frozenset({"CE", "CWE", "CNE", "CF"})
_SIMPLE: Final = frozenset({"ST", "NM", "SI", "IS", "ID"})
_PARTED: Final = frozenset(
    {"SN", "NR", "CX", "CP", "CQ", "CK", "CN", "XPN", "XCN", "XAD", "XTN", "XON", "PPN", "PL", "EI", "MO",
     "MA", "NA", "DR", "RI", "ED", "RP"}
)  # fmt: skip
"""Types of values with components, besides the coded ones."""
_NOTHING: Final = "(no value)"
_SYSTEM: Final = re.compile(
    r"LN|SCT|SNM3?|L|I9C?|I10C?|99[A-Z0-9]{1,10}|HL7[0-9]{4}|LOINC|SNOMED\S*|ICD\S*|C4|CPT"
)
_TIMES: Final = frozenset({"DT", "TM", "TS", "DTM"})
_COLUMNS: Final = (3, 4, 5, 6, 7, 8, 11, 14)
_VALUE: Final = 5
_DATA: Final = 4
"""The component of encapsulated data that has the data, from 0."""
_LONG: Final = 200
_SUBTYPES: Final = {
    "PDF": "application/pdf", "RTF": "text/rtf", "HTML": "text/html", "XML": "application/xml",
    "TXT": "text/plain",
    "TIFF": "image/tiff", "TIF": "image/tiff", "JPEG": "image/jpeg", "JPG": "image/jpeg", "PNG": "image/png",
}  # fmt: skip


class Results:
    """A run of OBX and the notes between them."""

    def __init__(self, run: list[Segment], embedded: list[Embedded], warnings: list[str]) -> None:
        self._run = run
        self._embedded = embedded
        self._warnings = warnings

    def blocks(self) -> Iterator[Block]:
        """Tables of values, with texts and documents in their order between them."""
        table: list[tuple[Segment, list[str]]] = []
        at = 0
        while at < len(self._run):
            one = self._run[at]
            if one.name == "NTE":
                table[-1][1].append(note(one)) if table else None
                if not table:
                    yield from lines_of(note(one))
                at += 1
                continue
            end = self._same(at)
            run = self._run[at:end]
            if (special := self._special(run)) is None:
                table.append((one, []))
                at += 1
                continue
            if table:
                yield _table(table)
                table = []
            yield from special
            at = end
        if table:
            yield _table(table)

    def _same(self, at: int) -> int:
        """The end of the run of OBX that continue one text or one document."""
        first = self._run[at]
        end = at + 1
        while end < len(self._run):
            one = self._run[end]
            same = one.name == "OBX" and one.raw(2) == first.raw(2) and one.raw(3) in {first.raw(3), ""}
            if not same:
                break
            end += 1
        return end

    def _special(self, run: list[Segment]) -> list[Block] | None:
        first = run[0]
        kind = first.first(2).upper()
        if kind == "ED" or _hidden(first):
            return self._documents(run)
        if kind == "RP":
            return [block for one in run for block in self._pointer(one)]
        text = "\n".join(_text(one) for one in run)
        is_text = kind in _TEXTS or (not _typed(kind) and not _is_coded(first))
        markup = rendered(text) is not None if is_text or kind == "ST" else False
        if markup or (is_text and (len(run) > 1 or "\n" in text or len(text) > _LONG)):
            body = list(lines_of(text))
            return [*_caption(run), *(map(_struck, body) if _withdrawn(first) else body)]
        return None

    def _documents(self, run: list[Segment]) -> list[Block]:
        """Documents, one a segment; what a sender cut into several segments is put together first."""
        payloads = [_payload(one) for one in run]
        values: list[tuple[Segment, bytes | None, str | None]] = []
        single = [_decoded(data, coding, declared) for data, coding, declared in payloads]
        if len(run) > 1 and single[0] is not None and all(map(_unknown, single[1:])):
            _, coding, declared = payloads[0]
            values.append(
                (run[0], _decoded("".join(text for text, _, _ in payloads), coding, declared), declared)
            )
        else:
            values += [
                (one, data, payload[2]) for one, data, payload in zip(run, single, payloads, strict=True)
            ]
        blocks: list[Block] = []
        for one, made, declared in values:
            blocks += _caption([one])
            if made is None:
                self._warnings.append(UNDECODED)
                blocks.append(placeholder("An embedded document could not be decoded."))
            else:
                blocks.append(placeholder(f"The content is {kept_beside(made, declared, self._embedded)}."))
        return blocks

    def _pointer(self, one: Segment) -> Iterator[Block]:
        self._warnings.append(ELSEWHERE)
        yield from _caption([one])
        yield Paragraph(f"The content is elsewhere: {field_text(one, 5)}.")


def _hidden(one: Segment) -> bool:
    """Whether a value of another type is a document in base64 all the same."""
    longest = max(re.split(r"[\^~]", one.raw(5)), key=len, default="")
    if not looks_encoded(longest):
        return False
    data = decoded(longest, None)
    return data is not None and detect(data) not in {UNKNOWN, EMPTY, "text/plain"}


def _unknown(data: bytes | None) -> bool:
    return data is None or detect(data) in {UNKNOWN, EMPTY, "text/plain"}


def _payload(one: Segment) -> tuple[str, str, str | None]:
    """The encoded text of a document, how it is encoded, and its type."""
    parts = one.components(one.raw(5))
    longest = max(range(len(parts)), key=lambda at: len(parts[at]), default=0)
    if len(parts) > _DATA and parts[_DATA].strip():
        longest = _DATA
    data = parts[longest] if parts else ""
    hints = [one.plain(part).strip() for at, part in enumerate(parts) if at != longest]
    coding = next((part for part in hints if part.lower() in {"base64", "hex", "a", "none"}), "")
    subtype = next((_SUBTYPES[part.upper()] for part in hints if part.upper() in _SUBTYPES), None)
    return data.replace(one.marks.repetition, ""), coding.lower(), subtype


def _decoded(data: str, coding: str, declared: str | None) -> bytes | None:
    text = re.sub(r"\\\.br\\|\\X0[AD]\\", "", data).strip()
    if coding == "hex":
        try:
            return bytes.fromhex(text)
        except ValueError:
            return None
    if coding in {"a", "none"} and not looks_encoded(text):
        return text.encode() or None
    return decoded(text, declared)


def _text(one: Segment) -> str:
    raw = one.raw(5)
    if raw.strip() == '""':
        return _NOTHING
    parts = raw.split(one.marks.repetition) if one.marks.repetition else [raw]
    typed = _typed(one.first(2).upper())
    if not typed and (len(parts) <= _FEW or any(len(part) < _LINE for part in parts[:-1])):
        parts = [raw]  # without a type the sign may be part of the text
    return "\n".join(one.whole(part) for part in parts)


_FEW: Final = 2
_LINE: Final = 20
"""Characters of a line that a sender may have ended with the sign for repetitions."""


def _typed(kind: str) -> bool:
    return kind in _TEXTS or kind in _CODED or kind in _TIMES or kind in _SIMPLE or kind in _PARTED


def _is_coded(one: Segment) -> bool:
    """Whether a value names a code system where a coded one does, whatever type it claims."""
    parts = one.components(one.raw(5).split(one.marks.repetition or "\n")[0])
    systems = parts[_SYSTEM_AT :: _SYSTEM_AT + 1]
    return len(parts) > _SYSTEM_AT and any(_SYSTEM.fullmatch(part.strip()) for part in systems)


_SYSTEM_AT: Final = 2


def _withdrawn(one: Segment) -> bool:
    return one.first(11).strip().upper() in WITHDRAWN


def _struck(block: Block) -> Block:
    match block:
        case Heading(level, text):
            return Heading(level, struck(text))
        case Paragraph(text):
            return Paragraph(struck(text))
        case Preformatted(text):
            return Preformatted(struck(text))
        case Listing(items, start, labels):
            return Listing(tuple(tuple(map(_struck, item)) for item in items), start, labels)
        case Table(head, rows):
            return Table(head, tuple(tuple(struck(cell) for cell in row) for row in rows))
        case Picture():
            return block


def _caption(run: list[Segment]) -> Iterator[Block]:
    """The other fields of the segments of a text or document, each once."""
    texts: dict[str, None] = {}
    for one in run:
        if test := coded(one, 3):
            texts[test] = None
        for number in range(4, len(one.fields)):
            if number != _VALUE and (text := field_text(one, number)):
                texts[f"{field_name('OBX', number)}: {text}"] = None
    if len(run) > 1:  # sub-ids only number the lines of a text
        texts = {text: None for text in texts if not text.startswith("Sub-id: ")}
    if texts:
        yield Paragraph("; ".join(texts))


def _value(one: Segment) -> str:  # noqa: PLR0911 - a ladder: one type, one return
    kind = one.first(2).upper()
    if one.raw(5).strip() == '""':
        return _NOTHING
    if kind in _TIMES:
        return time_text(one, 5)
    if kind in _CODED or (kind not in _PARTED and _is_coded(one)):
        return coded(one, 5)
    if kind == "SN":
        return "; ".join(" ".join(part for part in parts if part) for parts in one.repetitions(5))
    if kind in {"NR", "DR"}:
        return "; ".join(map(_range, one.repetitions(5)))
    if kind in _SIMPLE or kind in _TEXTS or not _typed(kind):
        return tidy(_text(one))
    return field_text(one, 5)


def _range(parts: list[str]) -> str:
    """Two bounds; one of them may be open."""
    low, high = (iso_date(part) or part if len(part) > _NUMBER else part for part in (*parts, "", "")[:2])
    return f"{low} to {high}" if low and high else f"from {low}" if low else f"up to {high}"


_NUMBER: Final = 7
"""Characters of a number; longer ones are dates."""


def _table(values: list[tuple[Segment, list[str]]]) -> Table:
    rows = []
    for one, noted in values:
        cells = [
            (struck(_value(one)) if _withdrawn(one) else _value(one))
            if number == _VALUE
            else coded(one, number)
            if number in {3, 6}
            else field_text(one, number)
            for number in _COLUMNS
        ]
        more = [
            f"{field_name('OBX', number)}: {text}"
            for number in range(9, len(one.fields))
            if number not in _COLUMNS and (text := field_text(one, number))
        ]
        rows.append((*cells, "\n".join([*(tidy(text) for text in noted), *more])))
    names = [*(field_name("OBX", number) for number in _COLUMNS), "Notes"]
    used = [at for at in range(len(names)) if any(row[at] for row in rows)]
    return Table((tuple(names[at] for at in used),), tuple(tuple(row[at] for at in used) for row in rows))
