"""Compressed RTF of Outlook (MS-OXRTFCP), and the HTML that Outlook wraps into RTF (MS-OXRTFEX)."""

from dataclasses import dataclass, replace
from typing import Final

from docpipe.convert.readers.office.runs import joined
from docpipe.convert.readers.rtf.tokens import CHARSETS, Kind, codec_of, tokens

_DICTIONARY: Final = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript "
    b"\\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par "
    b"\\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)
_WINDOW: Final = 4096
_LARGEST: Final = 100 * 2**20
_CHARACTERS: Final = {
    "par": "\r\n", "line": "\r\n", "tab": "\t", "lquote": "\N{LEFT SINGLE QUOTATION MARK}",
    "rquote": "\N{RIGHT SINGLE QUOTATION MARK}", "ldblquote": "“",
    "rdblquote": "”", "bullet": "•", "endash": "\N{EN DASH}", "emdash": "—",
}  # fmt: skip
_SKIPPED: Final = frozenset(
    {"fonttbl", "colortbl", "stylesheet", "info", "pntext", "pict", "object", "generator", "listtable"}
)


def decompressed(data: bytes) -> bytes:
    """The RTF of a compressed stream, as far as it goes."""
    if len(data) < 16:  # noqa: PLR2004 - its header
        return b""
    size = min(int.from_bytes(data[4:8], "little"), _LARGEST)
    if data[8:12] == b"MELA":
        return data[16 : 16 + size]
    window = bytearray(_DICTIONARY.ljust(_WINDOW, b"\0"))
    write, at = len(_DICTIONARY), 16
    out = bytearray()
    while at < len(data) and len(out) < size:
        control = data[at]
        at += 1
        for bit in range(8):
            if control >> bit & 1:
                pair = int.from_bytes(data[at : at + 2], "big")
                at += 2
                offset, length = pair >> 4, (pair & 15) + 2
                if offset == write or at > len(data):
                    return bytes(out[:size])
                piece = bytearray()
                for step in range(length):
                    byte = window[(offset + step) % _WINDOW]
                    window[write] = byte
                    write = (write + 1) % _WINDOW
                    piece.append(byte)
                out += piece
            elif at < len(data):
                window[write] = data[at]
                write = (write + 1) % _WINDOW
                out.append(data[at])
                at += 1
    return bytes(out[:size])


@dataclass(frozen=True, slots=True)
class _State:
    """What holds until the end of a group."""

    silent: bool = False
    """Within text for readers of RTF alone."""
    gone: bool = False
    """Within a destination without text."""
    font: int | None = None
    skip: int = 1


def wraps_html(rtf: bytes) -> bool:
    """Whether RTF was made of HTML."""
    return b"\\fromhtml1" in rtf[:2000]


class Unwrapper:
    """Takes the HTML out of RTF that was made of it."""

    def __init__(self, rtf: bytes) -> None:
        self._rtf = rtf
        self._fonts: dict[int, str] = {}
        self._codec = "cp1252"
        self._state = _State()
        self._stack: list[_State] = []
        self._out: list[str] = []
        self._bytes = bytearray()
        self._skip = 0
        self._defining: int | None = None
        self._starred = False

    def html(self) -> str:
        """The HTML."""
        for token in tokens(self._rtf):
            match token.kind:
                case Kind.OPEN | Kind.CLOSE:
                    self._group(opens=token.kind is Kind.OPEN)
                case Kind.WORD:
                    self._word(token.word, token.number)
                case Kind.SYMBOL:
                    self._symbol(token.data)
                case Kind.TEXT:
                    self._byte(token.data)
        self._flush()
        return joined("".join(self._out))

    def _group(self, *, opens: bool) -> None:
        self._flush()
        self._skip, self._starred = 0, False
        if opens:
            self._stack.append(self._state)
        elif self._stack:
            self._state = self._stack.pop()

    def _symbol(self, symbol: bytes) -> None:
        if symbol == b"*":
            self._starred = True
        elif symbol == b"~":
            self._write("&nbsp;")
        elif symbol == b"_":
            self._write("&shy;")
        elif symbol in b"\\{}":
            self._byte(symbol)

    def _byte(self, data: bytes) -> None:
        self._starred = False
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        if not self._state.silent and not self._state.gone:
            self._bytes += data[skipped:]

    def _flush(self) -> None:
        if self._bytes:
            codec = (
                self._codec if self._state.font is None else self._fonts.get(self._state.font, self._codec)
            )
            self._out.append(bytes(self._bytes).decode(codec, "replace"))
            self._bytes.clear()

    def _write(self, text: str) -> None:
        self._flush()
        if not self._state.silent and not self._state.gone:
            self._out.append(text)

    def _word(self, word: str, number: int | None) -> None:
        starred, self._starred = self._starred, False
        if word == "u":
            self._write(chr((number or 0) % 0x10000))
            self._skip = self._state.skip
            return
        self._flush()
        if word == "htmlrtf":
            self._state = replace(self._state, silent=number != 0)
        elif word in {"f", "fcharset"}:
            self._font(word, number or 0)
        elif word == "ansicpg":
            self._codec = codec_of(number) or self._codec
        elif word == "uc":
            self._state = replace(self._state, skip=max(0, min(number if number is not None else 1, 8)))
        elif word == "htmltag":
            self._state = replace(self._state, gone=False)
        elif word in _SKIPPED or starred:
            self._state = replace(self._state, gone=True)
        elif word in _CHARACTERS:
            self._write(_CHARACTERS[word])

    def _font(self, word: str, number: int) -> None:
        if word == "fcharset":
            if self._defining is not None and number in CHARSETS:
                self._fonts[self._defining] = CHARSETS[number]
            return
        self._defining = number
        self._state = replace(self._state, font=number)
