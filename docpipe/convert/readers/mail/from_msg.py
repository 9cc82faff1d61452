"""Outlook messages (MS-OXMSG): header, text and attachments, read from the compound file's streams.

Written over olefile, since the packages that read whole messages are under the GPL or unfinished.
"""

from dataclasses import dataclass
from typing import Final

import olefile  # type: ignore[import-untyped]  # it bears no types

from docpipe.convert.core.base import Content, Embedded, Source, UnreadableError
from docpipe.convert.core.blocks import Block, Paragraph, clean, placeholder, tidy, words
from docpipe.convert.core.detect import detect
from docpipe.convert.core.encoding import UNSURE, decode
from docpipe.convert.core.kinds import kind_of
from docpipe.convert.core.letter import ENCRYPTED, SIGNED, Letter, as_eml, file_name, file_time
from docpipe.convert.readers.html.from_html import page
from docpipe.convert.readers.mail import cms
from docpipe.convert.readers.mail.mime import headers, parsed
from docpipe.convert.readers.office.ole import native, opened, stream
from docpipe.convert.readers.rtf import lzfu
from docpipe.convert.readers.rtf.from_rtf import rtf_content
from docpipe.convert.readers.text.from_text import paragraphs

_SUBJECT: Final = 0x0037
_BODY: Final = 0x1000
_RTF: Final = 0x1009
_HTML: Final = 0x1013
_SENT: Final = 0x0039
_DELIVERED: Final = 0x0E06
_CREATED: Final = 0x3007
_MESSAGE_CLASS: Final = 0x001A
_HEADERS: Final = 0x007D
_SENDER: Final = (0x0042, 0x0C1A)
_SENDER_ADDRESS: Final = (0x5D02, 0x5D01, 0x0065, 0x0C1F)
_CODE_PAGES: Final = (0x3FFD, 0x3FDE)
_TYPES: Final = {0: "From", 1: "To", 2: "Cc", 3: "Bcc"}
_DEEPEST: Final = 10
_MOST: Final = 500
_MOST_BYTES: Final = 200 * 2**20
_PROPERTIES: Final = "__properties_version1.0"
_EMBEDDED: Final = 5
_OLE_OBJECT: Final = 6


def read(source: Source) -> Content:
    """The message's header and text; what is attached to it as embedded documents, messages in it as e-mails.

    Raises: UnreadableError.
    """
    with opened(source.data()) as ole:
        if ole is None:
            raise UnreadableError("The Outlook message is damaged or cut short.")
        reader = _Reader(ole)
        message = reader.message(_Storage(ole, (), 32), 0)
    if message.encrypted:
        raise UnreadableError(ENCRYPTED)
    letter = message.letter
    if not words(letter.blocks):
        letter.blocks = (
            placeholder("The message has no text." + " See its attachments." * bool(letter.attachments)),
        )
    if not letter.header and not letter.subject and not letter.attachments and reader.damaged:
        raise UnreadableError("The Outlook message is damaged or cut short.")
    return letter.content("olefile", "selectolax", "chardet")


@dataclass(slots=True)
class _Message:
    """A letter, its body as it is kept in an e-mail, and whether it is encrypted."""

    letter: Letter
    body: bytes = b""
    body_type: str = "text/plain"
    encrypted: bool = False


class _Storage:
    """The properties of a message, an attachment or a recipient, by MAPI's numbers."""

    def __init__(self, ole: "olefile.OleFileIO", path: tuple[str, ...], header: int) -> None:
        self._ole = ole
        self.path = path
        self._fixed: dict[int, bytes] = {}
        data = stream(ole, *path, _PROPERTIES) or b""
        for at in range(header, len(data) - 15, 16):
            entry = data[at : at + 16]
            self._fixed[int.from_bytes(entry[2:4], "little")] = entry[8:]
        self.codec = next((_codec(page) for each in _CODE_PAGES if (page := self.number(each))), None)

    def number(self, tag: int) -> int | None:
        """A number of up to 32 bits."""
        value = self._fixed.get(tag)
        return None if value is None else int.from_bytes(value[:4], "little")

    def time(self, tag: int) -> str | None:
        """A date, ISO 8601 in UTC."""
        value = self._fixed.get(tag)
        return None if value is None else file_time(int.from_bytes(value[:8], "little"))

    def binary(self, tag: int) -> bytes | None:
        """Bytes."""
        return stream(self._ole, *self.path, f"__substg1.0_{tag:04X}0102")

    def text(self, *tags: int, codec: str | None = None) -> str:
        """The text of the first of the properties that has one."""
        for tag in tags:
            wide = stream(self._ole, *self.path, f"__substg1.0_{tag:04X}001F")
            if wide is not None:
                text = wide.decode("utf-16-le", "replace")
            else:
                text = decode(stream(self._ole, *self.path, f"__substg1.0_{tag:04X}001E") or b"", codec).text
            if text := clean(text.replace("\0", "")).strip():
                return text
        return ""

    def children(self, prefix: str) -> list[str]:
        """The storages within that begin with a name, in order."""
        depth = len(self.path)
        names = {
            entry[depth]
            for entry in self._ole.listdir(streams=True, storages=True)
            if len(entry) > depth and tuple(entry[:depth]) == self.path and entry[depth].startswith(prefix)
        }
        return sorted(names)[:_MOST]


@dataclass(slots=True)
class _Reader:
    """Reads messages of one file, and those within them."""

    ole: "olefile.OleFileIO"
    left: int = _MOST_BYTES
    damaged: bool = False

    def message(self, storage: _Storage, depth: int) -> _Message:
        """A message taken apart."""
        subject = storage.text(_SUBJECT, 0x0E1D, 0x0070, codec=storage.codec)
        letter = Letter(subject=" ".join(subject.lstrip("\x01").split()))
        letter.date = storage.time(_SENT) or storage.time(_DELIVERED) or storage.time(_CREATED)
        letter.header = self._header(storage, letter)
        message = _Message(letter)
        kind = storage.text(_MESSAGE_CLASS, codec=storage.codec).lower()
        message.body, message.body_type, letter.blocks = self._body(storage, letter)
        self._attachments(storage, letter, depth)
        if "smime" in kind:
            self._envelope(message)
        self.damaged = self.damaged or not (letter.header or letter.subject)
        return message

    def _header(self, storage: _Storage, letter: Letter) -> list[tuple[str, str]]:
        internet = dict(headers(parsed(storage.text(_HEADERS, codec=storage.codec).encode() + b"\n\n")))
        name = storage.text(*_SENDER, codec=storage.codec)
        address = next(
            (text for tag in _SENDER_ADDRESS if "@" in (text := storage.text(tag, codec=storage.codec))), ""
        )
        people: dict[str, list[str]] = {}
        if name or address:
            people["From"] = [_person(name, address)]
        elif internet.get("From"):
            people["From"] = [internet["From"]]
        for child in storage.children("__recip_version1.0_"):
            recipient = _Storage(self.ole, (*storage.path, child), 8)
            codec = recipient.codec or storage.codec
            role = _TYPES.get((recipient.number(0x0C15) or 1) & 3, "To")
            who = recipient.text(0x3001, 0x5FF6, codec=codec)
            address = next(
                (text for tag in (0x39FE, 0x3003) if "@" in (text := recipient.text(tag, codec=codec))), ""
            )
            if who or address:
                people.setdefault(role, []).append(_person(who, address))
        for role, tag in (("To", 0x0E04), ("Cc", 0x0E03), ("Bcc", 0x0E02)):
            if role not in people and (text := storage.text(tag, codec=storage.codec)):
                people[role] = [text]
        when = internet.get("Date") or (letter.date or "").replace("T", " ").replace("+00:00", " UTC")
        order = [(role, "; ".join(people[role])) for role in _TYPES.values() if role in people]
        return [*order, *([("Date", when)] if when else [])]

    def _body(self, storage: _Storage, letter: Letter) -> tuple[bytes, str, tuple[Block, ...]]:
        """The body as it is best read: as HTML, as RTF, or plain."""
        plain = storage.text(_BODY, codec=storage.codec)
        html = storage.binary(_HTML) or storage.text(_HTML, codec=storage.codec).encode()
        rtf = lzfu.decompressed(storage.binary(_RTF) or b"")
        outside = True
        charset = storage.codec
        if not html.strip() and rtf and lzfu.wraps_html(rtf):
            html, charset = lzfu.Unwrapper(rtf).html().encode("utf-8", "replace"), "utf-8"
        elif html and _is_utf8(html):
            charset = "utf-8"
        else:
            outside = False
        if html.strip():
            content = page(html, charset, outside=outside)
            if words(content.blocks) * 2 >= len(plain.split()):
                letter.warnings += content.warnings
                return html, "text/html", content.blocks
        if rtf and b"\\fromtext" not in rtf[:2000] and not lzfu.wraps_html(rtf):
            content = rtf_content(rtf)
            if words(content.blocks) and words(content.blocks) * 2 >= len(plain.split()):
                text = plain or "\n".join(
                    tidy(block.text) for block in content.blocks if isinstance(block, Paragraph)
                )
                return text.encode("utf-8", "replace"), "text/plain", content.blocks
        if "\N{REPLACEMENT CHARACTER}" in plain:
            letter.warnings.append(UNSURE)
        return plain.encode("utf-8", "replace"), "text/plain", tuple(paragraphs(plain))

    def _attachments(self, storage: _Storage, letter: Letter, depth: int) -> None:
        for number, child in enumerate(storage.children("__attach_version1.0_"), 1):
            attachment = _Storage(self.ole, (*storage.path, child), 8)
            codec = attachment.codec or storage.codec
            name = attachment.text(0x3707, 0x3704, 0x3001, codec=codec)
            declared = attachment.text(0x370E, codec=codec) or None
            method = attachment.number(0x3705)
            data = attachment.binary(0x3701)
            inner = (*attachment.path, "__substg1.0_3701000D")
            if data is None and self.ole.exists(list(inner)):
                name, declared, data = self._inner(inner, method, name, depth)
            if data is None:
                letter.warnings.append("an attachment could not be taken out, or was only a link")
                continue
            self.left -= len(data)
            if self.left < 0:
                letter.warnings.append("some attachments are too large to be taken out")
                return
            letter.attachments.append(
                Embedded(
                    file_name(
                        name, f"attachment {number}{kind_of(detect(data)).extension.removesuffix('.bin')}"
                    ),
                    declared,
                    data,
                )
            )

    def _inner(
        self, path: tuple[str, ...], method: int | None, name: str, depth: int
    ) -> tuple[str, str | None, bytes | None]:
        """A message or an object within the message: its name, type and bytes."""
        if method == _OLE_OBJECT or not stream(self.ole, *path, _PROPERTIES):
            if data := stream(self.ole, *path, "\x01Ole10Native"):
                title, inner = native(data, name)
                return title, None, inner
            whole = (stream(self.ole, *path, part) for part in ("CONTENTS", "Package"))
            return name, None, next((data for data in whole if data), None)
        if depth >= _DEEPEST:
            return name, None, None
        message = self.message(_Storage(self.ole, path, 24), depth + 1)
        letter = message.letter
        header = [*letter.header, ("Subject", letter.subject)]
        data = as_eml(header, message.body, message.body_type, letter.attachments)
        return f"{letter.subject or name or 'message'}.eml", "message/rfc822", data

    def _envelope(self, message: _Message) -> None:
        """A message whose attachment is what was signed or encrypted."""
        for part in message.letter.attachments:
            if cms.is_encrypted(part.data):
                message.encrypted = True
        message.letter.warnings.append(SIGNED)


def _person(name: str, address: str) -> str:
    if not address or address.lower() == name.lower():
        return name or address
    return f"{name} <{address}>" if name else address


def _codec(page: int) -> str | None:
    return {65001: "utf-8", 1200: "utf-16-le", 20127: "ascii", 28591: "cp1252"}.get(page, f"cp{page}")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not data.isascii()
