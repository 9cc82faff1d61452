"""The words of RTF: a reader of its control language that yields what a person would see.

Written here because striprtf decodes by the first code page only (`José` in a file that also names a
Cyrillic font became `Josй`), breaks characters beyond the basic plane, and loses tables, lists and headings.
By the RTF Specification 1.9.1.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

TOKEN: Final = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?[0-9]{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|[\r\n]+|([^\\{}\r\n]+)",
    re.DOTALL,
)
CHARSETS: Final = {
    77: "mac_roman", 78: "cp932", 79: "cp949", 80: "gbk", 81: "big5", 128: "cp932", 129: "cp949",
    130: "johab", 134: "gbk", 136: "cp950", 161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255",
    178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250", 254: "cp437", 255: "cp850",
}  # fmt: skip
_SYMBOL: Final = 2
_ROMAN: Final = {"ansi": "cp1252", "mac": "mac_roman", "pc": "cp437", "pca": "cp850"}
_CHARACTERS: Final = {
    "tab": "\t", "line": "\n", "lbr": "\n", "softline": "\n", "nestcell": " | ", "nestrow": "\n",
    "emdash": "\N{EM DASH}", "endash": "\N{EN DASH}", "bullet": "•", "emspace": " ", "enspace": " ",
    "qmspace": " ", "lquote": "\N{LEFT SINGLE QUOTATION MARK}", "rquote": "\N{RIGHT SINGLE QUOTATION MARK}",
    "ldblquote": "“", "rdblquote": "”",
}  # fmt: skip
_SKIPPED: Final = {
    "upr", "colortbl", "pict", "nonshppict", "object", "objdata", "fldinst", "datafield", "xe", "tc", "tcn",
    "rxe", "txe", "filetbl", "listtable", "listoverridetable", "revtbl", "rsidtbl", "generator",
    "themedata", "colorschememapping", "datastore", "latentstyles", "xmlnstbl", "pgptbl", "listpicture",
    "shprslt", "atnid", "atnauthor", "annotation", "atnref", "atndate", "bkmkstart", "bkmkend", "pntxta",
    "pntxtb", "pnseclvl", "background", "ftnsep", "ftnsepc", "aftnsep", "aftnsepc", "ftncn", "aftncn",
    "userprops", "docvar", "mmathpr", "oleclsid",
}  # fmt: skip
_MARGINS: Final = {
    "header", "headerl", "headerr", "headerf", "footer", "footerl", "footerr", "footerf",
}  # fmt: skip
_TOO_DEEP: Final = 10_000


@dataclass(frozen=True, slots=True)
class Style:
    """What holds until the end of a group."""

    place: str = "body"
    """Where text goes: body, label (of a list item), note, the margins, or a table of the header; `skip` is
    for what is not shown, and `gone` for what is not shown whatever it holds."""
    font: int | None = None
    unicode_skip: int = 1
    hidden: bool = False
    deleted: bool = False
    raised: bool = False

    @property
    def silent(self) -> bool:
        """Whether text goes nowhere."""
        return self.place in {"skip", "gone", "info"} or self.hidden or self.deleted


@dataclass(frozen=True, slots=True)
class Event:
    """Something a reader of the page would notice: text, ends of paragraphs, cells and rows, styles."""

    kind: str
    place: str = "body"
    text: str = ""
    number: int = 0
    raised: bool = False


@dataclass(slots=True)
class Rtf:
    """A reader of one RTF file. Tables of the header are filled while `events` is read."""

    data: bytes
    info: dict[str, str] = field(default_factory=dict)
    headings: dict[int, int] = field(default_factory=dict)
    """Levels of headings by the numbers of their styles."""
    balanced: bool = True
    _fonts: dict[int, str] = field(default_factory=dict)
    _default_font: int = 0
    _codec: str = "cp1252"
    _style: Style = field(default_factory=Style)
    _stack: list[Style] = field(default_factory=list)
    _bytes: bytearray = field(default_factory=bytearray)
    _said: list[str] = field(default_factory=list)
    _skip: int = 0
    _starred: bool = False
    _number: int = 0
    """The font or style that the header's table is defining."""

    def events(self) -> Iterator[Event]:
        """What the file shows, in order. Never fails: what is not RTF is text."""
        at = 0
        while at < len(self.data) and (token := TOKEN.match(self.data, at)):
            at = token.end()
            word, number, code, symbol, brace, text = token.groups()
            if word == b"bin":
                at += max(0, int(number or 0))
            elif brace:
                yield from self._group(opens=brace == b"{")
            elif word:
                yield from self._word(word.decode("ascii"), None if number is None else int(number))
            elif code:
                self._byte(bytes([int(code, 16)]))
            elif symbol:
                yield from self._symbol(symbol)
            elif text:
                self._starred = False
                self._byte(text)
        self.balanced = not self._stack
        yield from self._flush()

    def _group(self, *, opens: bool) -> Iterator[Event]:
        yield from self._flush()
        self._skip = 0
        self._starred = False
        if opens:
            if len(self._stack) < _TOO_DEEP:
                self._stack.append(self._style)
        elif self._stack:
            before, self._style = self._style, self._stack.pop()
            if before.place == "note" != self._style.place:
                yield Event("text", self._style.place, "]")

    def _symbol(self, symbol: bytes) -> Iterator[Event]:
        match symbol:
            case b"*":
                self._starred = True
            case b"\r" | b"\n":
                yield from self._word("par", None)
            case b"~":
                yield from self._say("\N{NO-BREAK SPACE}")
            case b"_":
                yield from self._say("\N{NON-BREAKING HYPHEN}")
            case b"\\" | b"{" | b"}":
                self._byte(symbol)

    def _byte(self, data: bytes) -> None:
        """Bytes of text, decoded when the run ends: half a character may be written as an escape."""
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        if not self._style.silent:
            self._bytes += data

    def _say(self, text: str) -> Iterator[Event]:
        yield from self._flush()
        yield from self._text(text)

    def _flush(self) -> Iterator[Event]:
        if self._bytes:
            data, self._bytes = bytes(self._bytes), bytearray()
            font = self._default_font if self._style.font is None else self._style.font
            codec = self._fonts.get(font, self._codec)
            if codec == "symbol":
                text = "".join(chr(0xF000 + byte) if byte > 0x20 else chr(byte) for byte in data)  # noqa: PLR2004
            else:
                text = data.decode(codec, "replace")
            yield from self._text(text)

    def _text(self, text: str) -> Iterator[Event]:
        style = self._style
        if style.silent:
            return
        match style.place:
            case "font":
                return
            case "stylesheet":
                self._name_style(text)
            case "title" | "author":
                self.info[style.place] = self.info.get(style.place, "") + text
            case _:
                yield Event("text", style.place, text, raised=style.raised)

    def _name_style(self, text: str) -> None:
        if found := re.match(r"\s*(?:heading|überschrift|titre|título)\s+([1-9])\s*;?", text, re.IGNORECASE):
            self.headings[self._number] = int(found[1])

    def _word(self, word: str, number: int | None) -> Iterator[Event]:
        starred, self._starred = self._starred, False
        if word == "u":
            yield from self._say(chr((number or 0) % 0x10000))
            self._skip = self._style.unicode_skip
            return
        if self._skip and word not in {"uc", "par", "cell", "row"}:
            self._skip -= 1  # a control word counts as one character to skip
            return
        yield from self._flush()
        if word in _CHARACTERS:
            yield from self._text(_CHARACTERS[word])
        elif word in _EVENTS:
            yield from self._event(word, number or 0)
        elif word == "footnote":
            yield from self._text(" [")
            self._style = replace(self._style, place="note" if self._style.place == "body" else "skip")
        elif not self._destination(word, starred=starred):
            self._property(word, number)

    def _event(self, word: str, number: int) -> Iterator[Event]:
        if self._style.place == "stylesheet":
            self._number = number if word == "s" else self._number
        elif not self._style.silent and self._style.place != "font":
            yield Event(_EVENTS[word], self._style.place, number=number)

    def _destination(self, word: str, *, starred: bool) -> bool:
        """Turn to the place that a destination's name begins; False for a word that names none."""
        new = self._place(word, starred=starred)
        if new is None:
            return False
        if new in {"title", "author"}:
            self.info[new] = ""  # said again in Unicode after the form for old readers
        self._style = replace(self._style, place=new)
        return True

    def _place(self, word: str, *, starred: bool) -> str | None:
        place = self._style.place
        if place == "gone" or (word == "cs" and place != "stylesheet"):
            # Some writers put a star before the style of characters, amid of a group.
            return place if place == "gone" else None
        if place in {"info", "title", "author"}:
            return _INFO.get(word) if word not in {"upr", "ud"} else place
        if word == "ud":
            return "body"
        if word in _MARGINS:
            return word[:6]
        if word in {"pntext", "listtext"}:
            return "label" if place == "body" else place
        return _PLACES.get(word) or ("gone" if word in _SKIPPED else "skip" if starred else None)

    def _property(self, word: str, number: int | None) -> None:
        on = number != 0
        if change := _STYLES.get(word):
            self._style = change(self._style, 1 if number is None else number, on)
            if word == "f" and self._style.place == "font":
                self._number = number or 0
        elif word == "fcharset":
            self._charset(number or 0)
        elif word in _ROMAN:
            self._codec = _ROMAN[word]
        elif word in {"ansicpg", "cpg"} and _is_codec(f"cp{number}"):
            if word == "cpg":
                self._fonts[self._number] = f"cp{number}"
            else:
                self._codec = f"cp{number}"
        elif word == "deff":
            self._default_font = number or 0
        elif word in _DATE and self._style.place == "info":  # of \creatim, the first in order
            self.info.setdefault(word, f"{number or 0:02d}")

    def _charset(self, charset: int) -> None:
        if charset == _SYMBOL:
            self._fonts[self._number] = "symbol"
        elif charset in CHARSETS:
            self._fonts[self._number] = CHARSETS[charset]


_DATE: Final = frozenset({"yr", "mo", "dy"})
_EVENTS: Final = {
    "par": "par", "sect": "par", "page": "par", "cell": "cell", "row": "row", "pard": "pard",
    "intbl": "intbl", "s": "style",
}  # fmt: skip
_PLACES: Final = {
    "fonttbl": "font", "stylesheet": "stylesheet", "info": "info", "shptxt": "body", "dptxbxtext": "body",
}  # fmt: skip
_INFO: Final = {"title": "title", "author": "author"} | dict.fromkeys(
    ("subject", "operator", "keywords", "doccomm", "comment", "company", "category", "manager", "hlinkbase",
     "revtim", "printim", "buptim"), "gone",
)  # fmt: skip
_STYLES: Final[dict[str, Callable[[Style, int, bool], Style]]] = {
    "f": lambda style, number, _: replace(style, font=number),
    "uc": lambda style, number, _: replace(style, unicode_skip=max(0, min(number, 8))),
    "v": lambda style, _, on: replace(style, hidden=on),
    "deleted": lambda style, _, on: replace(style, deleted=on),
    "super": lambda style, _, on: replace(style, raised=on),
    "nosupersub": lambda style, _number, _on: replace(style, raised=False),
    "plain": lambda style, _number, _on: replace(style, font=None, hidden=False, deleted=False, raised=False),
}


def _is_codec(name: str) -> bool:
    try:
        "".encode(name)
    except LookupError:
        return False
    return True


def joined(text: str) -> str:
    """The text with halves of characters beyond the basic plane put together."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
