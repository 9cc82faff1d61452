"""TNEF (MS-OXTNEF), Outlook's winmail.dat: the attributes of a message and of what is attached to it."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

SIGNATURE: Final = b"\x78\x9f\x3e\x22"
_MESSAGE: Final = 1
_RENDERED: Final = 0x9002
_TITLE: Final = 0x8010
_DATA: Final = 0x800F
_MAPI: Final = 0x9005
_MESSAGE_MAPI: Final = 0x9003
_CODE_PAGE: Final = 0x9007
_BODY: Final = 0x800C
_SUBJECT: Final = 0x8004
_RECIPIENTS: Final = 0x9004
_FIXED: Final = {2: 2, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 10: 4, 11: 2, 20: 8, 64: 8, 72: 16}
_VARIABLE: Final = frozenset({0x1E, 0x1F, 0x0D, 0x102})
_MULTIPLE: Final = 0x1000
_NAMED: Final = 0x8000
_MOST: Final = 10_000


@dataclass(slots=True)
class Properties:
    """MAPI properties by their number: text, bytes, numbers."""

    values: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    codec: str = "cp1252"

    def text(self, *tags: int) -> str:
        """The first of these that is a text, empty for none."""
        for tag in tags:
            kind, data = self.values.get(tag, (0, b""))
            if kind == 0x1F:  # noqa: PLR2004 - PT_UNICODE
                text = data.decode("utf-16-le", "replace")
            elif kind == 0x1E:  # noqa: PLR2004 - PT_STRING8
                text = data.decode(self.codec, "replace")
            else:
                continue
            if text := text.partition("\0")[0].strip():
                return text
        return ""

    def binary(self, tag: int) -> bytes | None:
        """The bytes of a property, None where it is missing."""
        kind, data = self.values.get(tag, (0, b""))
        return data if kind in _VARIABLE else None

    def number(self, tag: int) -> int | None:
        """A number or a time, None where it is missing."""
        kind, data = self.values.get(tag, (0, b""))
        return int.from_bytes(data, "little") if kind in {2, 3, 11, 20, 64} else None


@dataclass(slots=True)
class Attached:
    """What is attached: its properties, its old name and bytes."""

    properties: Properties
    title: str = ""
    data: bytes = b""


@dataclass(slots=True)
class Tnef:
    """A stream taken apart."""

    message: Properties = field(default_factory=Properties)
    recipients: list[Properties] = field(default_factory=list)
    attached: list[Attached] = field(default_factory=list)
    damaged: bool = False


def parsed(data: bytes) -> Tnef | None:
    """The attributes of a stream as far as it goes, None for what is none."""
    if not data.startswith(SIGNATURE):
        return None
    made = Tnef()
    at = 6
    while at + 9 <= len(data):
        level, tag, _, length = struct.unpack_from("<BHHI", data, at)
        body = data[at + 9 : at + 9 + length]
        if level not in {1, 2} or len(body) < length:
            made.damaged = True
            if level not in {1, 2}:
                break
        _take(made, level, tag, body)
        at += 9 + length + 2
    return made


def _take(made: Tnef, level: int, tag: int, body: bytes) -> None:
    message = made.message
    if level == _MESSAGE:
        if tag == _CODE_PAGE and len(body) >= 4:  # noqa: PLR2004 - a number of four bytes
            message.codec = _codec(int.from_bytes(body[:4], "little"))
        elif tag == _MESSAGE_MAPI:
            message.values |= dict(_properties(body))
        elif tag == _RECIPIENTS:
            made.recipients += _rows(body, message.codec)
        elif tag in {_BODY, _SUBJECT}:
            message.values.setdefault(0x1000 if tag == _BODY else 0x0037, (0x1E, body))
        return
    if tag == _RENDERED or not made.attached:
        made.attached.append(Attached(Properties(codec=message.codec)))
    last = made.attached[-1]
    if tag == _TITLE:
        last.title = body.partition(b"\0")[0].decode(message.codec, "replace")
    elif tag == _DATA:
        last.data = body
    elif tag == _MAPI:
        last.properties.values |= dict(_properties(body))


def _codec(page: int) -> str:
    name = {65001: "utf-8", 20127: "ascii", 28591: "cp1252"}.get(page, f"cp{page}")
    try:
        "".encode(name)
    except LookupError:
        return "cp1252"
    return name


def _rows(body: bytes, codec: str) -> Iterator[Properties]:
    (count,) = struct.unpack_from("<I", body.ljust(4, b"\0"), 0)
    at = 4
    for _ in range(min(count, _MOST)):
        values: dict[int, tuple[int, bytes]] = {}
        at = _read(body, at, values)
        if at > len(body):
            return
        yield Properties(values, codec)


def _properties(body: bytes) -> dict[int, tuple[int, bytes]]:
    values: dict[int, tuple[int, bytes]] = {}
    _read(body, 0, values)
    return values


def _read(body: bytes, at: int, values: dict[int, tuple[int, bytes]]) -> int:
    """Reads a list of properties at a place; where it ends, beyond the end for what is broken."""
    try:
        (count,) = struct.unpack_from("<I", body, at)
        at += 4
        for _ in range(min(count, _MOST)):
            kind, tag = struct.unpack_from("<HH", body, at)
            at += 4
            if tag >= _NAMED:
                at = _name_end(body, at)
            several, kind = kind & _MULTIPLE, kind & ~_MULTIPLE
            number = 1
            if several or kind in _VARIABLE:
                (number,) = struct.unpack_from("<I", body, at)
                at += 4
            for _ in range(min(number, _MOST)):
                length = _FIXED.get(kind, 0)
                if kind in _VARIABLE:
                    (length,) = struct.unpack_from("<I", body, at)
                    at += 4
                elif not length:
                    return len(body) + 1
                if tag < _NAMED:
                    values.setdefault(tag, (kind, body[at : at + length]))
                at += (length + 3) // 4 * 4
    except struct.error:
        return len(body) + 1
    return at


def _name_end(body: bytes, at: int) -> int:
    """Where the name of a named property ends: a number, or a text."""
    (kind,) = struct.unpack_from("<I", body, at + 16)
    at += 20
    if not kind:
        return at + 4
    (length,) = struct.unpack_from("<I", body, at)
    return int(at + 4 + (length + 3) // 4 * 4)
