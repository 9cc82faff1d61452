"""TNEF, Outlook's winmail.dat: its text, and what is attached within it."""

from typing import Final

from docpipe.convert.core.base import Content, Embedded, NothingToReadError, Source, UnreadableError
from docpipe.convert.core.blocks import Block, Paragraph, clean, placeholder, words
from docpipe.convert.core.detect import detect
from docpipe.convert.core.kinds import kind_of
from docpipe.convert.core.letter import Letter, as_eml, file_name, file_time
from docpipe.convert.readers.html.from_html import page
from docpipe.convert.readers.mail import tnef
from docpipe.convert.readers.office.ole import unwrapped
from docpipe.convert.readers.rtf import lzfu
from docpipe.convert.readers.rtf.from_rtf import rtf_content
from docpipe.convert.readers.text.from_text import paragraphs

_ROLES: Final = {1: "To", 2: "Cc", 3: "Bcc"}
_DEEPEST: Final = 5
_IID: Final = 16
"""Bytes that name the interface before an object."""
_CUT: Final = "the Outlook attachment is damaged or cut short; what remains of it is converted"
_LOST: Final = "an attachment could not be taken out, or was only a link"
LIBRARIES: Final = ("selectolax", "chardet")


def read(source: Source) -> Content:
    """The message's header and text; what is attached in it as embedded documents.

    Raises: UnreadableError; NothingToReadError for one without anything.
    """
    made = tnef.parsed(source.data())
    if made is None:
        raise UnreadableError("The Outlook attachment is damaged.")
    letter = opened(made)
    if not words(letter.blocks):
        if not letter.attachments and not letter.subject:
            raise NothingToReadError("The Outlook attachment has neither text nor files.")
        letter.blocks = (
            placeholder("The message has no text." + " See its attachments." * bool(letter.attachments)),
        )
    return letter.content(*LIBRARIES)


def opened(made: tnef.Tnef, depth: int = 0) -> Letter:
    """The message of a stream."""
    message = made.message
    letter = Letter(subject=message.text(0x0037, 0x0E1D, 0x0070))
    letter.date = next(
        (date for tag in (0x0039, 0x0E06, 0x3007) if (date := file_time(message.number(tag) or 0))), None
    )
    letter.header = _header(made, letter)
    if made.damaged:
        letter.warnings.append(_CUT)
    letter.blocks = _body(message, letter)
    for number, attached in enumerate(made.attached, 1):
        if (part := _attachment(attached, number, depth)) is None:
            letter.warnings.append(_LOST)
        else:
            letter.attachments.append(part)
    return letter


def _header(made: tnef.Tnef, letter: Letter) -> list[tuple[str, str]]:
    people: dict[str, list[str]] = {}
    message = made.message
    if sender := _person(message.text(0x0042, 0x0C1A), message.text(0x5D02, 0x5D01, 0x0065, 0x0C1F)):
        people["From"] = [sender]
    for each in made.recipients:
        if name := _person(each.text(0x3001, 0x5FF6), each.text(0x39FE, 0x3003)):
            people.setdefault(_ROLES.get((each.number(0x0C15) or 1) & 3, "To"), []).append(name)
    for role, tag in (("To", 0x0E04), ("Cc", 0x0E03)):
        if role not in people and (text := message.text(tag)):
            people[role] = [text]
    lines = [(role, "; ".join(people[role])) for role in ("From", *_ROLES.values()) if role in people]
    when = (letter.date or "").replace("T", " ").replace("+00:00", " UTC")
    return [*lines, *([("Date", when)] if when else [])]


def _person(name: str, address: str) -> str:
    if "@" not in address or address.lower() == name.lower():
        return name
    return f"{name} <{address}>" if name else address


def _body(message: tnef.Properties, letter: Letter) -> tuple[Block, ...]:
    """The body as it is best read: as HTML, as RTF, or plain."""
    plain = tuple(paragraphs(clean(message.text(0x1000))))
    html = message.binary(0x1013) or b""
    charset: str | None = message.codec
    rtf = lzfu.decompressed(message.binary(0x1009) or b"")
    if not html.strip() and lzfu.wraps_html(rtf):
        html, charset = lzfu.Unwrapper(rtf).html().encode("utf-8", "replace"), "utf-8"
    rich: tuple[Block, ...] = ()
    if html.strip():
        content = page(html, charset, outside=charset == "utf-8")
        letter.warnings += content.warnings
        rich = content.blocks
    elif rtf and b"\\fromtext" not in rtf[:2000]:
        rich = rtf_content(rtf).blocks
    return rich if rich and words(rich) * 2 >= words(plain) else plain


def _attachment(attached: tnef.Attached, number: int, depth: int) -> Embedded | None:
    properties = attached.properties
    name = properties.text(0x3707, 0x3704, 0x3001) or attached.title
    declared = properties.text(0x370E) or None
    held = properties.binary(0x3701) or b""
    data = attached.data or held
    if data[_IID : _IID + 4] == tnef.SIGNATURE and (inner := tnef.parsed(data[_IID:])) is not None:
        if depth >= _DEEPEST:
            return None
        letter = opened(inner, depth + 1)
        text = inner.message.text(0x1000) or "\n\n".join(
            b.text for b in letter.blocks if isinstance(b, Paragraph)
        )
        header = [*letter.header, ("Subject", letter.subject)]
        data = as_eml(header, text.encode("utf-8", "replace"), "text/plain", letter.attachments)
        return Embedded(
            file_name(f"{letter.subject or name or 'message'}.eml", "message.eml"), "message/rfc822", data
        )
    if not data:
        return None
    if not attached.data and data[_IID : _IID + 4] == b"\xd0\xcf\x11\xe0":  # an object behind its interface
        name, data = unwrapped(data[_IID:], name)
    extension = kind_of(detect(data, name, declared)).extension.removesuffix(".bin")
    return Embedded(file_name(name, f"attachment {number}{extension}"), declared, data)
