"""HL7 v2: results as tables, reports as text, documents apart, the rest by the names of its fields.

All text of the message is in the blocks. The parser is docpipe's own, since existing packages require
well-formed messages.
"""

from collections.abc import Iterator
from typing import Final

from docpipe.convert.core.base import Content, Embedded, Facts, Source
from docpipe.convert.core.blocks import Block, Heading, Listing, Paragraph, Table, tidy
from docpipe.convert.readers.cda.times import iso_date
from docpipe.convert.readers.hl7.message import Message, Segment, parse
from docpipe.convert.readers.hl7.names import MESSAGES, SEGMENTS, field_name
from docpipe.convert.readers.hl7.results import Results
from docpipe.convert.readers.hl7.states import EVENTS, REPLACING, state
from docpipe.convert.readers.hl7.text import field_text, notes

_AUTHORS: Final = (("TXA", 9), ("TXA", 5), ("OBR", 32), ("OBR", 16), ("ORC", 12), ("PV1", 7))
_DATES: Final = (("TXA", 4), ("TXA", 6), ("OBR", 22), ("OBR", 7), ("EVN", 2), ("MSH", 7))
_SEX: Final = {"M": "male", "F": "female", "O": "other", "A": "ambiguous"}


def read(source: Source) -> Content:
    """The messages in order, and the documents that they carry.

    Raises: UnreadableError.
    """
    messages, notices = parse(source.data())
    real = [message for message in messages if message.one("MSH")] or messages
    facts = _facts(real)
    embedded: list[Embedded] = []
    warnings = [*notices]
    blocks: list[Block] = [*_header(real, facts)]
    for number, message in enumerate(messages, 1):
        level = 2
        if len(messages) > 1:
            blocks.append(Heading(2, f"{number}. {_title(message)}"))
            level = 3
        blocks += _Reader(embedded, warnings, level).blocks(message)
    return Content(
        blocks=tuple(blocks),
        facts=facts,
        embedded=tuple(embedded),
        warnings=tuple(dict.fromkeys(warnings)),
        libraries=("chardet",),
    )


def person(parts: list[str], *, numbered: bool) -> str:
    """A name in reading order; `numbered` for a provider, whose number precedes it."""
    number, names = (parts[0], parts[1:]) if numbered else ("", parts)
    family, given, middle, suffix, prefix, degree = (*names, *[""] * 6)[:6]
    text = " ".join(part.strip() for part in (prefix, given, middle, family, suffix, degree) if part.strip())
    return text or number.strip()


def _facts(messages: list[Message]) -> Facts:
    first = messages[0]
    document = first.one("TXA")
    title = _field(first, "TXA", 25) or (_kind(document) if document else "")
    requests = [one for message in messages for one in message.find("OBR")]
    about = list(dict.fromkeys(one.first(4, 2) or one.first(4) for one in requests))
    kind = requests[0].repetitions(4)[0] if len(about) == 1 and requests[0].repetitions(4) else []
    loinc = next(
        (kind[at : at + 2] for at in (0, 3) if len(kind) > at + 2 and kind[at + 2] in {"LN", "LOINC"}), None
    )
    author = next((text for where, at in _AUTHORS if (text := _person(first.one(where), at))), None)
    facility = first.one("MSH")
    return Facts(
        title=tidy(title or (about[0] if len(about) == 1 else "") or _title(first)).replace("\n", " ")
        or None,
        date=next((text for where, at in _DATES if (text := iso_date(_field(first, where, at)))), None),
        author=author,
        custodian=(facility.first(4, 1) or None) if facility else None,
        loinc={"code": loinc[0], "display": loinc[1] or None} if loinc and loinc[0] else None,
    )


def _kind(document: Segment) -> str:
    """What a document is, by its type."""
    text = field_text(document, 2).split(", ")[-1]
    return text[:1].upper() + text[1:]


def _field(message: Message, segment: str, number: int) -> str:
    match = message.one(segment)
    return match.first(number) if match else ""


def _person(segment: Segment | None, number: int) -> str | None:
    repetition = next(iter(segment.repetitions(number)), None) if segment else None
    return (person(repetition, numbered=True) or None) if repetition else None


def _title(message: Message) -> str:
    head = message.segments[0]
    if head.name != "MSH":
        return SEGMENTS.get(head.name, head.name)
    kind, event = head.first(9), head.first(9, 2)
    coded = f"{kind}^{event}" if event else kind
    name = MESSAGES.get(kind, "HL7 message")
    return f"{name} ({coded})" if coded else name


def _header(messages: list[Message], facts: Facts) -> Iterator[Block]:
    yield Heading(1, facts.title or "HL7 message")
    lines = [text for message in messages for pid in message.find("PID") for text in _patient(pid)]
    lines = list(dict.fromkeys(lines))[:_MOST_LINES]
    lines += [
        f"{name}: {text}"
        for name, text in (("Date", facts.date), ("Author", facts.author), ("Custodian", facts.custodian))
        if text
    ]
    if facts.loinc:
        lines.append(f"Type: {facts.loinc['display'] or 'LOINC'} (LOINC {facts.loinc['code']})")
    lines += dict.fromkeys(line for message in messages for line in _document(message))
    if lines:
        yield Listing(tuple((Paragraph(line),) for line in lines))


def _patient(pid: Segment) -> Iterator[str]:
    """The patient: the current name, and the numbers that distinguish namesakes."""
    names = pid.repetitions(5)
    ranked = sorted(names, key=lambda parts: _NAME_TYPES.get(_at(parts, 7), len(_NAME_TYPES)))
    parts = [person(ranked[0], numbered=False) if ranked else ""]
    if born := iso_date(pid.first(7)):
        parts.append(f"born {born}")
    parts.append(_SEX.get(pid.first(8).upper(), ""))
    numbers = [_number(each) for each in pid.repetitions(3)] or [_number(each) for each in pid.repetitions(2)]
    parts += [f"number {text}" for text in dict.fromkeys(numbers) if text][:_MOST_NUMBERS]
    if text := ", ".join(part for part in parts if part):
        yield f"Patient: {text}"
    others = dict.fromkeys(person(each, numbered=False) for each in (*ranked[1:], *pid.repetitions(9)))
    if text := ", ".join(each for each in others if each and each != parts[0]):
        yield f"Other names: {text}"
    if (died := iso_date(pid.first(29))) or pid.first(30).upper() == "Y":
        yield f"Died: {died or 'yes'}"


def _number(parts: list[str]) -> str:
    """An identifier with its kind and what gave it out, `000111 (MR, GENERAL)`."""
    number = parts[0].strip() if parts else ""
    more = ", ".join(part for part in (_at(parts, 5), _at(parts, 4)) if part)
    return f"{number} ({more})" if number and more else number


def _at(parts: list[str], number: int) -> str:
    return parts[number - 1].strip() if number <= len(parts) else ""


_MOST_LINES: Final = 40
_MOST_NUMBERS: Final = 4
_NAME_TYPES: Final = {"L": 0, "D": 1, "": 2, "C": 3, "R": 4}
"""Codes of names (table 0200), the official and current ones first; aliases and names at birth follow."""


def _document(message: Message) -> Iterator[str]:
    """The lines on the document of a message: restriction, the document that it replaces, status."""
    document, head = message.one("TXA"), message.one("MSH")
    if head is not None and head.first(11).upper() in {"T", "D"}:
        yield f"Processing: {state('MSH', 11, head.first(11))}"
    if head is not None and head.first(9).upper() == "MDM" and head.first(9, 2).upper() in REPLACING:
        yield f"State: {REPLACING[head.first(9, 2).upper()]}"
    if head is not None and head.first(9, 2).upper() in EVENTS:
        yield f"Event: {EVENTS[head.first(9, 2).upper()]}"
    if document is None:
        return
    for name, number in (("Confidentiality", 18), ("Completion", 17), ("Availability", 19)):
        code = document.first(number)
        if code and code.upper() not in _USUAL:
            yield f"{name}: {state('TXA', number, code)}"
    if parent := field_text(document, 13):
        yield f"Refers to the earlier document: {parent}"


_USUAL: Final = frozenset({"U", "AU", "LA", "AV"})


class _Reader:
    """Reads one message into blocks: what follows each other and belongs together becomes one."""

    def __init__(self, embedded: list[Embedded], warnings: list[str], level: int) -> None:
        self._embedded = embedded
        self._warnings = warnings
        self._level = level

    def blocks(self, message: Message) -> Iterator[Block]:
        """The segments in order; the envelope, which concerns machines, last."""
        segments = message.segments
        envelope = [one for one in segments if one.name in {"MSH", "SFT"}]
        rest = [one for one in segments if one not in envelope]
        at = 0
        while at < len(rest):
            end = self._together(rest, at)
            run = rest[at:end]
            if run[0].name == "OBX":
                results = Results(run, self._embedded, self._warnings)
                if not at or rest[at - 1].name not in {"OBR", "NTE"}:
                    yield Heading(self._level, SEGMENTS["OBX"])
                yield from results.blocks()
            elif run[0].name == "NTE":
                yield from notes(run)
            else:
                yield from self._plain(run)
            at = end
        if envelope:
            yield from self._plain(envelope[:1])
            for more in envelope[1:]:
                yield from self._plain([more])

    def _together(self, segments: list[Segment], at: int) -> int:
        first = segments[at].name
        alike = {"OBX", "NTE"} if first == "OBX" else {first}
        end = at + 1
        while end < len(segments) and segments[end].name in alike and first not in {"OBR", "ORC"}:
            end += 1
        return end

    def _plain(self, run: list[Segment]) -> Iterator[Block]:
        name = run[0].name
        title = SEGMENTS.get(name, f"Segment {name}")
        if name == "OBR":
            title = run[0].first(4, 2) or run[0].first(4) or title
        items = [tuple(_fields(one)) for one in run]
        if not any(items):
            return
        yield Heading(self._level, tidy(title).replace("\n", " ") or name)
        if len(run) == 1:
            yield Listing(tuple((Paragraph(f"{label}: {text}"),) for _, label, text in items[0]))
            return
        used = sorted({number for item in items for number, _, _ in item})
        rows = [{number: text for number, _, text in item} for item in items]
        yield Table(
            (tuple(field_name(name, number) for number in used),),
            tuple(tuple(row.get(number, "") for number in used) for row in rows),
        )


def _fields(segment: Segment) -> Iterator[tuple[int, str, str]]:
    """Number, name and text of each field with text; a lone set id is left out."""
    skipped = 2 if segment.name in {"MSH", "FHS", "BHS"} else 0
    for number in range(1 + skipped, len(segment.fields)):
        name, text = field_name(segment.name, number), field_text(segment, number)
        if text and not (name == "Set id" and text.isdigit()):
            yield number, name, text
