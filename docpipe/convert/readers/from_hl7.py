"""HL7 v2: results as tables, reports as text, documents apart, the rest by the names of its fields.

Whatever text stands in the message stands in the blocks. The parser is docpipe's own, since the packages at
hand want well-formed messages.
"""

from collections.abc import Iterator
from typing import Final

from docpipe.convert.core.base import Content, Embedded, Facts, Source
from docpipe.convert.core.blocks import Block, Heading, Listing, Paragraph, Table, tidy
from docpipe.convert.core.encoding import UNSURE
from docpipe.convert.readers.cdatime import iso_date
from docpipe.convert.readers.hl7 import Message, Segment, parse
from docpipe.convert.readers.hl7names import MESSAGES, SEGMENTS, field_name
from docpipe.convert.readers.hl7results import Results
from docpipe.convert.readers.hl7text import field_text, notes

_AUTHORS: Final = (("TXA", 9), ("TXA", 5), ("OBR", 32), ("OBR", 16), ("ORC", 12), ("PV1", 7))
_DATES: Final = (("TXA", 4), ("TXA", 6), ("OBR", 22), ("OBR", 7), ("EVN", 2), ("MSH", 7))
_SEX: Final = {"M": "male", "F": "female", "O": "other", "A": "ambiguous"}


def read(source: Source) -> Content:
    """The messages in order, and the documents that they carry.

    Raises: UnreadableError.
    """
    messages, lossy = parse(source.data())
    real = [message for message in messages if message.one("MSH")] or messages
    facts = _facts(real)
    embedded: list[Embedded] = []
    warnings = [UNSURE] if lossy else []
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
        libraries=("charset-normalizer",),
    )


def person(parts: list[str], *, numbered: bool) -> str:
    """A name in reading order; `numbered` for a provider, whose number stands before it."""
    number, names = (parts[0], parts[1:]) if numbered else ("", parts)
    family, given, middle, suffix, prefix, degree = (*names, *[""] * 6)[:6]
    text = " ".join(part.strip() for part in (prefix, given, middle, family, suffix, degree) if part.strip())
    return text or number.strip()


def _facts(messages: list[Message]) -> Facts:
    first = messages[0]
    document = first.one("TXA")
    title = _said(first, "TXA", 25) or (field_text(document, 2).split(", ")[-1] if document else "")
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
        date=next((text for where, at in _DATES if (text := iso_date(_said(first, where, at)))), None),
        author=author,
        custodian=(facility.first(4, 1) or None) if facility else None,
        loinc={"code": loinc[0], "display": loinc[1] or None} if loinc and loinc[0] else None,
    )


def _said(message: Message, segment: str, number: int) -> str:
    found = message.one(segment)
    return found.first(number) if found else ""


def _person(segment: Segment | None, number: int) -> str | None:
    found = next(iter(segment.repetitions(number)), None) if segment else None
    return (person(found, numbered=True) or None) if found else None


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
    lines: list[str] = []
    for pid in (one for message in messages for one in message.find("PID")):
        names = pid.repetitions(5)
        parts = [person(names[0], numbered=False) if names else ""]
        if born := iso_date(pid.first(7)):
            parts.append(f"born {born}")
        parts.append(_SEX.get(pid.first(8).upper(), ""))
        if text := ", ".join(part for part in parts if part):
            lines.append(f"Patient: {text}")
    lines = list(dict.fromkeys(lines))[:20]
    lines += [
        f"{name}: {text}"
        for name, text in (("Date", facts.date), ("Author", facts.author), ("Custodian", facts.custodian))
        if text
    ]
    if facts.loinc:
        lines.append(f"Type: {facts.loinc['display'] or 'LOINC'} (LOINC {facts.loinc['code']})")
    if lines:
        yield Listing(tuple((Paragraph(line),) for line in lines))


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
            yield Listing(tuple((Paragraph(f"{said}: {text}"),) for _, said, text in items[0]))
            return
        used = sorted({number for item in items for number, _, _ in item})
        rows = [{number: text for number, _, text in item} for item in items]
        yield Table(
            (tuple(field_name(name, number) for number in used),),
            tuple(tuple(row.get(number, "") for number in used) for row in rows),
        )


def _fields(segment: Segment) -> Iterator[tuple[int, str, str]]:
    """Number, name and text of each field that says something; a lone set id numbers nothing."""
    skipped = 2 if segment.name in {"MSH", "FHS", "BHS"} else 0
    for number in range(1 + skipped, len(segment.fields)):
        name, text = field_name(segment.name, number), field_text(segment, number)
        if text and not (name == "Set id" and text.isdigit()):
            yield number, name, text
