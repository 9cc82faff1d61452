"""Calendar entries (iCalendar, RFC 5545) and contact cards (vCard, RFC 6350), as people read them."""

import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from docpipe.convert.core.base import Content, Embedded, Facts, Source, UnreadableError
from docpipe.convert.core.blocks import Block, Heading, Listing, Paragraph, clean, flat, tidy
from docpipe.convert.core.detect import detect
from docpipe.convert.core.encoding import decode
from docpipe.convert.core.kinds import kind_of
from docpipe.convert.core.payload import decoded as payload
from docpipe.convert.readers.cda.times import iso_date
from docpipe.convert.readers.html.from_html import flowed
from docpipe.convert.readers.text.cardtimes import repetition, span_in_words

_NAMES: Final = {
    "dtstart": "From", "dtend": "To", "due": "Due", "duration": "Duration", "location": "Place",
    "description": "Description", "organizer": "Organizer", "attendee": "Attendee", "status": "Status",
    "rrule": "Repeats", "exdate": "But not on", "categories": "Categories", "priority": "Priority",
    "comment": "Comment", "class": "Confidentiality", "method": "Method", "completed": "Completed",
    "percent-complete": "Percent done", "contact": "Contact", "url": "Address on the web", "trigger": "When",
    "fn": "Name", "n": "Full name", "nickname": "Nickname", "org": "Organization", "title": "Title",
    "role": "Role", "tel": "Phone", "email": "E-mail", "adr": "Address", "bday": "Born", "deathdate": "Died",
    "gender": "Sex", "note": "Note", "related": "Related", "lang": "Language", "anniversary": "Anniversary",
    "attach": "Attachment", "photo": "Photo", "recurrence-id": "Instead of the one on",
}  # fmt: skip
_KINDS: Final = {
    "vevent": "Appointment", "vtodo": "Task", "vjournal": "Journal entry", "vfreebusy": "Free and busy times",
    "valarm": "Reminder", "vcard": "Contact", "vcalendar": "Calendar", "vavailability": "Availability",
}  # fmt: skip
_MACHINES: Final = frozenset(
    {
        "version", "prodid", "uid", "dtstamp", "sequence", "created", "last-modified", "calscale", "rev",
        "transp", "tzid", "key", "clientpidmap",
    }
)  # fmt: skip
_SKIPPED: Final = frozenset({"vtimezone", "standard", "daylight"})
_TIMES: Final = frozenset(
    {"dtstart", "dtend", "due", "completed", "exdate", "bday", "deathdate", "anniversary", "recurrence-id"}
)
_HELD: Final = frozenset({"attach", "photo", "logo", "sound", "key"})
_LINE: Final = re.compile(r'(?:[\w-]+\.)?([\w-]+)((?:;[^:;="]+(?:=(?:"[^"]*"|[^:;"]*))?)*):(.*)', re.DOTALL)
_PARAMETER: Final = re.compile(r';([^:;="]+)(?:=("[^"]*"|[^:;"]*))?')


@dataclass(slots=True)
class _Part:
    """An entry: its kind, its properties, and the entries within it."""

    kind: str
    lines: list[tuple[str, dict[str, str], str]] = field(default_factory=list)
    parts: "list[_Part]" = field(default_factory=list)

    def text(self, *names: str) -> str:
        """The first of these properties in plain text."""
        return next((_plain(value) for name in names for own, _, value in self.lines if own == name), "")


def read(source: Source) -> Content:
    """Each entry with a heading and its properties.

    Raises: UnreadableError.
    """
    decoded = decode(source.data())
    top = _parts(decoded.text)
    embedded: list[Embedded] = []
    blocks = [block for part in top for block in _blocks(part, 1, embedded)]
    if not blocks:
        raise UnreadableError("The file has no entry that could be read.")
    first = next((part for part in _all(top) if part.text("summary", "fn")), None)
    begin = next((text for part in _all(top) if (text := part.text("dtstart"))), "")
    return Content(
        blocks=tuple(blocks),
        facts=Facts(title=first.text("summary", "fn") if first else None, date=iso_date(begin)),
        embedded=tuple(embedded),
        warnings=decoded.warnings,
        libraries=("chardet",),
    )


def _all(parts: list[_Part]) -> Iterator[_Part]:
    for part in parts:
        if part.kind not in _SKIPPED:
            yield part
            yield from _all(part.parts)


def _parts(text: str) -> list[_Part]:
    top = _Part("")
    stack = [top]
    for name, parameters, value in _lines(text):
        if name == "begin":
            part = _Part(value.strip().lower())
            stack[-1].parts.append(part)
            stack.append(part)
        elif name == "end":
            if len(stack) > 1:
                stack.pop()
        else:
            stack[-1].lines.append((name, parameters, value))
    return top.parts


def _lines(text: str) -> Iterator[tuple[str, dict[str, str], str]]:
    """The properties: lines that were folded are whole again, quoted-printable ones decoded."""
    whole = re.sub(r"\n[ \t]", "", clean(text))
    whole = re.sub(
        r"(?im)^(.*;(?:encoding=)?quoted-printable[:;].*(?:=\n.*)+)", lambda m: m[0].replace("=\n", ""), whole
    )
    for line in whole.split("\n"):
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        parameters = {key.lower(): (value or "").strip('"') for key, value in _PARAMETER.findall(match[2])}
        value = match[3]
        if "quoted-printable" in {parameters.get("encoding", "").lower(), *parameters}:
            value = decode(quopri.decodestring(value.encode()), parameters.get("charset")).text
        yield match[1].lower(), parameters, value


def _blocks(part: _Part, level: int, embedded: list[Embedded]) -> Iterator[Block]:
    if part.kind in _SKIPPED:
        return
    items = [text for line in part.lines if (text := _property(*line, embedded))]
    title = part.text("summary", "fn")
    kind = _KINDS.get(part.kind, part.kind.capitalize())
    inner = [block for each in part.parts for block in _blocks(each, level + 1, embedded)]
    if part.kind == "vcalendar" and inner:
        if items:
            yield Listing(tuple((Paragraph(item),) for item in items))
        yield from inner
        return
    if title or items:
        yield Heading(min(level, 6), f"{kind}: {title}" if title else kind)
    if items:
        yield Listing(tuple((Paragraph(item),) for item in items))
    yield from inner


def _property(name: str, parameters: dict[str, str], value: str, embedded: list[Embedded]) -> str:
    if name in _MACHINES or name in {"summary", "fn"} or (name == "class" and value.upper() == "PUBLIC"):
        return ""
    if name in _HELD and (held := _extract(parameters, value, embedded)):
        return f"{_NAMES.get(name, name.capitalize())}: {held}"
    text = _time(value, parameters) if name in _TIMES else _readable(name, value, parameters)
    if name in {"organizer", "attendee"}:
        text = " ".join(filter(None, (parameters.get("cn", ""), f"<{re.sub('(?i)^mailto:', '', text)}>")))
        state = parameters.get("partstat", "").lower().replace("-", " ")
        text = f"{text}, {state}" if state else text
    if name in {"n", "adr", "org"}:
        pieces = [tidy(_plain(piece)) for piece in re.split(r"(?<!\\);", value)]
        order = [pieces[at] for at in (3, 1, 2, 0, 4) if at < len(pieces)] if name == "n" else pieces
        text = (" " if name == "n" else ", ").join(piece for piece in order if piece)
    if not text.strip():
        return ""
    own = [
        each for each in parameters.get("type", "").lower().split(",") if each not in {"", "pref", "internet"}
    ]
    label = _NAMES.get(name) or name.removeprefix("x-").replace("-", " ").capitalize()
    return f"{label} ({', '.join(own)}): {text}" if own else f"{label}: {text}"


def _extract(parameters: dict[str, str], value: str, embedded: list[Embedded]) -> str:
    """Extract a file within the entry; a sentence on it."""
    coded = (
        parameters.get("encoding", "").lower() in {"base64", "b"}
        or value.startswith("data:")
        or "base64" in parameters
    )
    if not coded:
        return ""
    declared = parameters.get("fmttype") or None
    data = payload(value, declared)
    if data is None:
        return ""
    kind = kind_of(detect(data, declared=declared))
    name = (
        parameters.get("filename")
        or parameters.get("x-filename")
        or f"embedded-{len(embedded) + 1}{kind.extension}"
    )
    embedded.append(Embedded(name, declared, data))
    return f"{kind.name}, kept beside this document as {name}"


def _plain(value: str) -> str:
    r"""A text without its escapes: `\n`, `\,`, `\;`."""
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] in "nN" else match[1], value).strip()


def _readable(name: str, value: str, parameters: dict[str, str]) -> str:
    """A property's text in words: durations, repetitions, methods; HTML as plain text."""
    text = _plain(value)
    if parameters.get("fmttype", "").lower().startswith("text/html"):
        return flat(flowed(text))
    if name == "method":
        return _METHODS.get(text.upper(), text)
    if name == "rrule":
        return repetition(text)
    return span_in_words(text) if name in {"duration", "trigger"} else text


_METHODS: Final = {
    "CANCEL": "cancelled", "REQUEST": "invitation", "REPLY": "answer to an invitation",
    "COUNTER": "another time is proposed", "DECLINECOUNTER": "the other time is declined",
    "REFRESH": "asks for the latest version", "PUBLISH": "for information", "ADD": "a further date",
}  # fmt: skip


def _time(value: str, parameters: dict[str, str]) -> str:
    times = [iso_date(part) or part for part in value.split(",")]
    zone = parameters.get("tzid", "")
    return ", ".join(times) + (f" ({zone})" if zone else "")
