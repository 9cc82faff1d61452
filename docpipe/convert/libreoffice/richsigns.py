"""Symbol fonts in copies of RTF, as in `signs`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from docpipe.convert.core.symbols import in_font, is_symbol_font
from docpipe.convert.libreoffice.signs import FONT, checked
from docpipe.convert.readers.office.wordfields import button_or_symbol, instruction_text
from docpipe.convert.readers.rtf.events import Rtf
from docpipe.convert.readers.rtf.fields import sign_of
from docpipe.convert.readers.rtf.style import PLACES, SKIPPED
from docpipe.convert.readers.rtf.tokens import Kind, Token, tokens

_HINT: Final = re.compile(rb"\\fcharset2(?![0-9])|symbol|dings|sorts|d050000l|button", re.IGNORECASE)
"""What a file with a symbol font, or with a field whose text is its instruction, has somewhere."""
_UNDRAWN: Final = frozenset(PLACES.values()) - {"body"}
_BULLETS: Final = 23
_UNSKIPPED: Final = frozenset({"uc", "par", "cell", "row"})
"""Control words that end what old readers show in place of a character."""


@dataclass(slots=True)
class _Field:
    """A field: its instruction, and whether the text is in that."""

    instruction: str = ""

    @property
    def text(self) -> str:
        """The text that the instruction gives, empty where the result is the text."""
        return instruction_text(self.instruction) if button_or_symbol(self.instruction) else ""


@dataclass(slots=True)
class _Level:
    """A level of a list: its form, the place of its font's control word, and its text with its place."""

    form: int = 0
    font: Token | None = None
    text: str = ""
    begin: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class _Group:
    """What holds until the end of a group."""

    place: str = "body"
    font: int | None = None
    skip: int = 1
    """How many characters stand behind one in Unicode, for old readers."""
    field: _Field | None = None
    level: _Level | None = None


@dataclass(slots=True)
class _Symbols:
    """Goes through an RTF file and gathers what to write in place of its symbols."""

    rtf: Rtf
    font: int
    """The number of the font of letters."""
    edits: list[tuple[int, int, bytes]] = field(default_factory=list)
    """Where each begins and ends, and what is written there."""
    fonts_end: int = 0
    _group: _Group = field(default_factory=_Group)
    _stack: list[_Group] = field(default_factory=list)
    _starred: bool = False
    _skip: int = 0
    _drops: bool = False
    """Whether what is skipped belonged to a symbol, and is dropped."""

    def take(self, token: Token) -> None:
        """Pass a token. Raises: LibreOfficeError for a symbol that Unicode does not have."""
        starred, self._starred = self._starred, token.data == b"*" and token.kind is Kind.SYMBOL
        match token.kind:
            case Kind.OPEN:
                self._stack.append(self._group)
                self._skip = 0
            case Kind.CLOSE:
                self._skip = 0
                self._close(token)
            case Kind.WORD:
                self._word(token, token.word, starred=starred)
            case Kind.TEXT:
                self._text(token)
            case Kind.SYMBOL if token.data in b"\\{}":
                self._text(token)

    def _close(self, token: Token) -> None:
        ended = self._group
        self._group = self._stack.pop() if self._stack else _Group()
        if ended.place == "font" != self._group.place:
            self.fonts_end = token.start
        if ended.place == "leveltext" != self._group.place and ended.level:
            ended.level.end = token.start
        if ended.level is not None and self._group.level is not ended.level:
            self._bullet(ended.level)
        if ended.field is not None and self._group.field is not ended.field and ended.field.text:
            self._write(token.end, token.end, ended.field.text)

    def _word(self, token: Token, word: str, *, starred: bool) -> None:
        if self._skip and word not in _UNSKIPPED:
            self._pass(token, 1)
            return
        group, number = self._group, 0 if token.number is None else token.number
        match word:
            case "f" if group.level is not None:
                group.level.font = token if group.place == "lists" else group.level.font
            case "f":
                self._group = replace(group, font=number)
            case "plain":
                self._group = replace(group, font=None)
            case "uc":
                self._group = replace(group, skip=1 if token.number is None else max(0, min(number, 8)))
            case "u":
                self._unicode(token, chr(number % 0x10000))
            case "field":
                self._group = replace(group, field=_Field())
            case "fldrslt" if group.field is not None and group.field.text:
                self._group = replace(group, place="gone")
                self.edits.append((token.start, token.end, b"\\*\\docpipefrozen "))
            case _:
                self._destination(word, token, starred=starred)

    def _destination(self, word: str, token: Token, *, starred: bool) -> None:
        group = self._group
        if word == "listlevel" and group.place == "lists":
            self._group = replace(group, level=_Level())
        elif word in {"levelnfc", "levelnfcn"} and group.level is not None:
            group.level.form = token.number or 0
        if group.place == "gone" or (word == "cs" and group.place != "stylesheet"):
            return
        place = PLACES.get(word) or ("gone" if word in SKIPPED else "skip" if starred else None)
        if word == "ud":
            place = "body"
        if place is not None and not (place == "skip" and group.place == "lists"):
            self._group = replace(group, place=place)
        if group.level is not None and word in {"leveltext", "leveltemplateid"}:
            group.level.begin = token.end

    def _unicode(self, token: Token, sign: str) -> None:
        group = self._group
        self._skip, self._drops = group.skip, False
        if group.place == "leveltext" and group.level is not None:
            group.level.text += sign
        elif self._is_symbolic:
            self._write(token.start, token.end, in_font(self._name, sign))
            self._drops = True

    def _text(self, token: Token) -> None:
        data, start = token.data, token.start
        if self._skip:
            data, start = self._pass(token, len(data))
        group = self._group
        if group.place == "instruction" and group.field is not None:
            group.field.instruction += data.decode("latin-1")
        elif group.place == "leveltext" and group.level is not None:
            group.level.text += data.decode("latin-1")
        elif data.strip() and self._is_symbolic:
            self._write(start, token.end, sign_of(data, self._name))

    def _pass(self, token: Token, characters: int) -> tuple[bytes, int]:
        """Pass what old readers show in place of a character; what is left of the token, and where."""
        passed = min(self._skip, characters)
        self._skip -= passed
        end = token.end if passed == characters else token.start + passed
        if self._drops:
            self.edits.append((token.start, end, b""))
        return token.data[passed:], end

    @property
    def _is_symbolic(self) -> bool:
        place = self._group.place
        drawn = place not in _UNDRAWN and place not in {"skip", "gone"}
        return drawn and self.rtf.is_symbolic(self._group.font)

    @property
    def _name(self) -> str | None:
        return self.rtf.font_name(self._group.font)

    def _write(self, start: int, end: int, text: str) -> None:
        font = b"\\dbch\\af%d\\loch\\f%d" % (self.font, self.font)
        self.edits.append((start, end, b"{%s\\uc0%s}" % (font, _escaped(checked(text)))))

    def _bullet(self, level: _Level) -> None:
        name = None if level.font is None else self.rtf.font_name(level.font.number or 0)
        if level.form != _BULLETS or level.font is None or not level.text or not is_symbol_font(name):
            return
        text = checked(in_font(name, level.text[1 : 1 + ord(level.text[0])]))
        units = len(text.encode("utf-16-le")) // 2
        self.edits.append((level.begin, level.end, b"\\'%02x\\uc0%s;" % (units, _escaped(text))))
        self.edits.append((level.font.start, level.font.end, b"\\f%d " % self.font))


def symbols_replaced(data: bytes) -> bytes:
    """RTF whose symbols are Unicode, in a font of letters.

    Raises: LibreOfficeError.
    """
    if not _HINT.search(data):
        return data
    rtf = Rtf(data)
    for _ in rtf.events():  # fills the table of fonts
        pass
    symbols = _Symbols(rtf, max(rtf.names, default=0) + 1)
    for token in tokens(data):
        symbols.take(token)
    if not symbols.edits:
        return data
    font = b"{\\f%d\\fnil %s;}" % (symbols.font, FONT.encode())
    fonts = (symbols.fonts_end, symbols.fonts_end, font)
    return b"".join(_edited(data, sorted([*symbols.edits, fonts], key=lambda edit: edit[:2])))


def _edited(data: bytes, edits: list[tuple[int, int, bytes]]) -> Iterator[bytes]:
    end = 0
    for start, behind, text in edits:
        yield data[end:start] + text
        end = behind
    yield data[end:]


def _escaped(text: str) -> bytes:
    """A text as control words for UTF-16, as signed numbers."""
    data = text.encode("utf-16-le")
    numbers = (int.from_bytes(data[at : at + 2], "little", signed=True) for at in range(0, len(data), 2))
    return b"".join(b"\\u%d " % number for number in numbers)
