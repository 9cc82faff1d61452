"""The tokens of RTF (RTF Specification 1.9.1), and the code pages of its fonts."""

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?[0-9]{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|[\r\n]+|([^\\{}\r\n]+)",
    re.DOTALL,
)
CHARSETS: Final = {
    77: "mac_roman", 78: "cp932", 79: "cp949", 80: "gbk", 81: "big5", 128: "cp932", 129: "cp949",
    130: "johab", 134: "gbk", 136: "cp950", 161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255",
    178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250", 254: "cp437", 255: "cp850",
}  # fmt: skip
"""Codecs by the number that `\\fcharset` gives."""
_CODE_PAGES: Final = {65001: "utf-8", 708: "iso8859_6", 709: "cp1256", 710: "cp1256", 711: "cp1256"}


class Kind(Enum):
    """The kind of a token."""

    OPEN = auto()
    CLOSE = auto()
    WORD = auto()
    SYMBOL = auto()
    TEXT = auto()
    BINARY = auto()


class Token(NamedTuple):
    """A token, and the positions where it begins and behind it."""

    kind: Kind
    start: int
    end: int
    word: str = ""
    """The control word without its backslash."""
    number: int | None = None
    """The number behind a control word."""
    data: bytes = b""
    """A symbol's character, or bytes of text; `\\'e9` is one such byte."""


def tokens(data: bytes, at: int = 0) -> Iterator[Token]:
    """The tokens from a position on. Every byte is RTF: what is no control word is text."""
    while at < len(data) and (token := _TOKEN.match(data, at)):
        start, at = at, token.end()
        word, number, code, symbol, brace, text = token.groups()
        if word == b"bin":
            size = max(0, int(number or 0))
            at += size
            yield Token(Kind.BINARY, start, at, data=data[at - size : at])
        elif word:
            yield Token(Kind.WORD, start, at, word.decode("ascii"), None if number is None else int(number))
        elif brace:
            yield Token(Kind.OPEN if brace == b"{" else Kind.CLOSE, start, at)
        elif code:
            yield Token(Kind.TEXT, start, at, data=bytes([int(code, 16)]))
        elif symbol:
            yield Token(Kind.SYMBOL, start, at, data=symbol)
        elif text:
            yield Token(Kind.TEXT, start, at, data=text)


def codec_of(page: int | None) -> str | None:
    """The codec of a Windows code page, None where there is none."""
    name = _CODE_PAGES.get(page or 0, f"cp{page}")
    try:
        "".encode(name)
    except LookupError:
        return None
    return name
