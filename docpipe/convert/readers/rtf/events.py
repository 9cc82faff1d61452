"""RTF to events: text with its look and place, and the ends of paragraphs, cells and rows.

Written here because striprtf decodes by the first code page only (`José` in a file that also names a
Cyrillic font became `Josй`), breaks characters beyond the basic plane, and loses tables, lists and headings.
By the RTF Specification 1.9.1.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from docpipe.convert.core.colours import UNKNOWN, WHITE, vanishes
from docpipe.convert.core.symbols import font_of_signs, in_font, is_symbol_font
from docpipe.convert.readers.office.flags import of_background, of_letters
from docpipe.convert.readers.office.runs import CHANGED, HIDDEN, PLAIN, Look, joined
from docpipe.convert.readers.rtf.comments import ANCHORS
from docpipe.convert.readers.rtf.fields import Field, sign_of
from docpipe.convert.readers.rtf.formulas import Formula
from docpipe.convert.readers.rtf.lists import RtfLists
from docpipe.convert.readers.rtf.style import (
    CHARACTERS,
    DATE,
    INFO,
    MARGINS,
    NOTHING_STYLED,
    PLACES,
    SHADES,
    SKIPPED,
    STYLES,
    Style,
    of_note,
)
from docpipe.convert.readers.rtf.stylesheet import Styled, sheet
from docpipe.convert.readers.rtf.tables import colours
from docpipe.convert.readers.rtf.tokens import CHARSETS, Kind, codec_of, tokens

_SYMBOL: Final = 2
_ROMAN: Final = {"ansi": "cp1252", "mac": "mac_roman", "pc": "cp437", "pca": "cp850"}
_TOO_DEEP: Final = 10_000
TRAILING: Final = "what follows the end of the text is left out; the original has it"
_BEHIND: Final = re.compile(rb"\\background\b|\\shpfblwtxt1|fBehindDocument\}\s*\{\\sv 1")
"""What may have another colour behind text: the page, and shapes below the text."""


@dataclass(frozen=True, slots=True)
class Event:
    """Text, the end of a paragraph, cell or row, or a property of the paragraphs that follow."""

    kind: str
    place: str = "body"
    text: str = ""
    number: int = 0
    look: Look = PLAIN
    word: str = ""
    """The control word, of the definition of a row."""


@dataclass(slots=True)
class Rtf:
    """A reader of one RTF file. Tables of the header are filled while `events` is read."""

    data: bytes
    info: dict[str, str] = field(default_factory=dict)
    headings: dict[int, int] = field(default_factory=dict)
    """Levels of headings by the numbers of their styles."""
    balanced: bool = True
    warnings: list[str] = field(default_factory=list)
    lists: RtfLists = field(default_factory=RtfLists)
    names: dict[int, str] = field(default_factory=dict)
    """The names of fonts by number."""
    _fonts: dict[int, str] = field(default_factory=dict)
    _default_font: int = 0
    _codec: str = "cp1252"
    _style: Style = field(default_factory=Style)
    _stack: list[Style] = field(default_factory=list)
    _bytes: bytearray = field(default_factory=bytearray)
    _skip: int = 0
    _starred: bool = False
    _number: int = 0
    """The font or style that the header's table is defining."""
    _field: Field = field(default_factory=Field)
    papers: dict[int, str] = field(default_factory=dict)
    """Colours by number that flag what stands before them."""
    _inks: dict[int, str] = field(default_factory=dict)
    """The same of letters."""
    _colours: dict[int, str] = field(default_factory=dict)
    """The codes of the colours by number."""
    _paper: str = WHITE
    """The colour behind the text outside of tables and shapes."""
    _shaded: bool = False
    """Whether something may be behind the cells of the row."""
    _sheet: dict[int, Styled] = field(default_factory=dict)
    _formula: Formula = field(default_factory=Formula)
    _shape: list[str] = field(default_factory=lambda: ["", ""])
    """Name and value of a shape's property."""
    _commenter: str = ""

    def events(self) -> Iterator[Event]:
        """What the file shows, in order. Never fails: what is not RTF is text."""
        self._colours = colours(self.data)
        self.papers = {number: of_background(code) for number, code in self._colours.items()}
        self._inks = {number: of_letters(code) for number, code in self._colours.items()}
        self._paper = UNKNOWN if _BEHIND.search(self.data) else WHITE
        self._sheet = sheet(self.data)
        for token in tokens(self.data):
            match token.kind:
                case Kind.OPEN:
                    yield from self._group(opens=True)
                case Kind.CLOSE:
                    yield from self._group(opens=False)
                    if not self._stack and self._ends(token.end):
                        break
                case Kind.WORD if token.word == "pict":
                    if not self._style.quiet and not self._style.visibility:
                        yield Event("picture", self._style.place, number=token.start)
                    yield from self._word(token.word, token.number)
                case Kind.WORD:
                    yield from self._word(token.word, token.number)
                case Kind.SYMBOL:
                    yield from self._symbol(token.data)
                case Kind.TEXT:
                    self._starred = False
                    self._byte(token.data)
        self.balanced = not self._stack
        yield from self._flush()

    def _ends(self, at: int) -> bool:
        """Whether the text ends with its last brace; where control words follow, the brace is a stray one."""
        if re.compile(rb"\\[a-z]").search(self.data, at):
            return False
        self.warnings += [TRAILING] if self.data[at:].strip(b"\0\r\n\t \x1a") else []
        return True

    def _group(self, *, opens: bool) -> Iterator[Event]:
        yield from self._flush()
        self._skip = 0
        self._starred = False
        if self._style.place == "math":
            self._formula.group(opens=opens)
        if opens:
            if len(self._stack) < _TOO_DEEP:
                self._stack.append(self._style)
        elif self._stack:
            before, self._style = self._style, self._stack.pop()
            if before.place != self._style.place != "forms":
                yield from self._end_destination(before.place)

    def _end_destination(self, place: str) -> Iterator[Event]:
        """What the end of a destination brings."""
        match place:
            case "note":
                yield Event("text", self._style.place, "]")
            case "header" | "footer":
                yield Event("par", place)  # its last paragraph may lack its mark
            case "nested":
                yield Event("nestrow", self._style.place)
            case "comment":
                yield Event("end", "comment", self._commenter)
                self._commenter = ""
            case "math":
                yield from self._text(self._formula.line())
            case "instruction":
                if not self._style.quiet and (sign := self._field.sign()):
                    yield from self._text(sign)
            case "value" if self._shape[0].strip() == "gtextUNICODE":
                yield Event("text", "watermark", joined(self._shape[1]).strip())

    def _symbol(self, symbol: bytes) -> Iterator[Event]:
        match symbol:
            case b"*":
                self._starred = True
            case b"\r" | b"\n":
                yield from self._word("par", None)
            case b"~":
                yield from self._write("\N{NO-BREAK SPACE}")
            case b"_":
                yield from self._write("\N{NON-BREAKING HYPHEN}")
            case b"\\" | b"{" | b"}":
                self._byte(symbol)

    def _byte(self, data: bytes) -> None:
        """Bytes of text, decoded when the run ends: half a character may be written as an escape."""
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        if not self._style.quiet:
            self._bytes += data

    def _write(self, text: str) -> Iterator[Event]:
        yield from self._flush()
        yield from self._text(text)

    def _flush(self) -> Iterator[Event]:
        if self._bytes:
            data, self._bytes = bytes(self._bytes), bytearray()
            font = self._style.font
            codec = self._fonts.get(self._number_of(font), self._codec)
            if self._style.place != "font" and self.is_symbolic(font):
                text = sign_of(data, self.font_name(font))
            else:
                text = data.decode(self._codec if codec == "symbol" else codec, "replace")
            yield from self._text(text)

    def _text(self, text: str) -> Iterator[Event]:  # noqa: C901 - a table: one place, one line
        style = self._style
        if style.quiet:
            return
        match style.place:
            case "font":
                self.names[self._number] = (self.names.get(self._number, "") + text).strip(" ;")
            case "leveltext":
                self.lists.text(text)
            case "math":
                self._formula.text(text)
            case "instruction" | "choice":
                self._field.add(text, choice=style.place == "choice")
            case "commenter":
                self._commenter += text
            case "name" | "value":
                self._shape[style.place == "value"] += text
            case "stylesheet":
                self._name_style(text)
            case place if place in ANCHORS:
                yield Event("text", place, text)
            case "title" | "author":
                self.info[style.place] = self.info.get(style.place, "") + text
            case _:
                yield self._passage(text)

    def _passage(self, text: str) -> Event:
        style = self._style
        if not style.visibility and text.strip() and self._vanishes(style):
            style = replace(style, hidden=True)
        if style.visibility and text.strip():
            self.warnings.append(CHANGED if style.deleted else HIDDEN)
        look = style.look(text)
        if style.ink or style.paper:
            look = replace(look, colour=self.papers.get(style.paper, "") or self._inks.get(style.ink, ""))
        return Event("text", style.place, text, look=look)

    def _vanishes(self, style: Style) -> bool:
        """Whether letters have the colour of what is behind them."""
        if not style.ink:
            return False
        paper = self._colours.get(style.paper or style.block)
        if paper is None and not style.boxed and not (self._shaded and style.in_table):
            paper = self._paper
        return vanishes(self._colours.get(style.ink), paper)

    def _name_style(self, text: str) -> None:
        if match := re.match(r"\s*(?:heading|überschrift|titre|título)\s+([1-9])\s*;?", text, re.IGNORECASE):
            self.headings[self._number] = int(match[1])

    def _word(self, word: str, number: int | None) -> Iterator[Event]:
        starred, self._starred = self._starred, False
        if word == "u":
            yield from self._write(in_font(self.font_name(self._style.font), chr((number or 0) % 0x10000)))
            self._skip = self._style.unicode_skip
            return
        if self._skip and word not in {"uc", "par", "cell", "row"}:
            self._skip -= 1  # a control word counts as one character to skip
            return
        yield from self._flush()
        if self._style.place == "math":
            self._formula.word(word)
        elif word in CHARACTERS:
            yield from self._text(CHARACTERS[word])
        elif word in _EVENTS:
            yield from self._event(word, number or 0)
        elif word == "footnote":
            if self._style.place == "body":
                self._style = of_note(self._style)
                yield from self._text(" [")
            else:
                self._style = replace(self._style, place="skip")
        elif not self._destination(word, starred=starred):
            self._property(word, number)

    def _number_of(self, font: int | None) -> int:
        return self._default_font if font is None else font

    def font_name(self, font: int | None) -> str | None:
        """The name of a font by its number, of the default font for None."""
        return self.names.get(self._number_of(font))

    def is_symbolic(self, font: int | None) -> bool:
        """Whether a font, by its number, is a symbol font by its name or its character set."""
        name = self.font_name(font)
        declared = self._fonts.get(self._number_of(font)) == "symbol"
        return is_symbol_font(name) or (declared and font_of_signs(name) is not None)

    def _event(self, word: str, number: int) -> Iterator[Event]:
        if self._style.place in {"lists", "overrides"}:
            self._define(word, number)
        elif self._style.place == "stylesheet":
            self._number = number if word == "s" else self._number
        elif self._style.visibility and _EVENTS[word] == "par":
            # The paragraphs before and behind a hidden or deleted mark are one.
            yield Event("text", self._style.place, "\n")
        elif not self._style.quiet and self._style.place != "font":
            if word in {"s", "pard"}:
                styled = self._sheet.get(number, NOTHING_STYLED) if word == "s" else NOTHING_STYLED
                self._style = replace(self._style, of_paragraph=styled)
            if word == "pard":
                self._style = replace(self._style, block=0, in_table=False)
            self._style = replace(self._style, in_table=True) if word == "intbl" else self._style
            self._shaded = word == "clcbpat" or (self._shaded and word != "trowd")
            yield Event(_EVENTS[word], self._style.place, number=number, word=word)

    def _define(self, word: str, number: int) -> None:
        (self.lists.define if self._style.place == "lists" else self.lists.override)(word, number)

    def _destination(self, word: str, *, starred: bool) -> bool:
        """Turn to the place that a destination's name begins; False for a word that names none."""
        new = self._place(word, starred=starred)
        if new is None:
            return False
        if new in {"title", "author"}:
            self.info[new] = ""  # given again in Unicode after the form for old readers
        if new == "math":
            self._formula = Formula()
        if word in {"sn", "sv"}:
            self._shape[word == "sv"] = ""
        elif word == "ffl":
            self._field.choices.append("")
        elif word == "fldrslt" and self._field.stands:
            new = "skip"
        boxed = self._style.boxed or word in {"shptxt", "dptxbxtext"}
        self._style = replace(self._style, place=new, boxed=boxed)
        return True

    def _place(self, word: str, *, starred: bool) -> str | None:
        place = self._style.place
        if place == "gone" or (word == "cs" and place != "stylesheet"):
            # Some writers put a star before the style of characters, amid of a group.
            return place if place == "gone" else None
        if place in {"info", "title", "author"}:
            return INFO.get(word) if word not in {"upr", "ud"} else place
        if word == "ud" or word in MARGINS:
            return self._around_forms() if word == "ud" else word[:6]
        if word in {"pntext", "listtext", "result", "fldrslt", "moMathPara"}:
            return "label" if place == "body" and word.endswith("text") else place
        if place in {"lists", "leveltext"} and word != "leveltext":
            return "gone" if word in SKIPPED else None
        return PLACES.get(word) or ("gone" if word in SKIPPED else "skip" if starred else None)

    def _around_forms(self) -> str:  # the place of a text that is given in two forms
        return next((style.place for style in reversed(self._stack) if style.place != "forms"), "body")

    def _property(self, word: str, number: int | None) -> None:
        if self._style.place in {"lists", "overrides"}:
            self._define(word, 1 if number is None else number)
        elif self._style.place == "form":
            self._field.take(word, number or 0)
        elif word == "field":
            self._field = Field()
        elif word == "cs":
            self._style = replace(self._style, of_passage=self._sheet.get(number or 0, NOTHING_STYLED))
        elif change := STYLES.get(word):
            self._style = change(self._style, number, number != 0)
            if word == "f" and self._style.place == "font":
                self._number = number or 0
            elif word == "revised" and number != 0:
                self.warnings.append(CHANGED)
        else:
            self._setting(word, number)

    def _setting(self, word: str, number: int | None) -> None:
        """A control word of the header, or one that shades a row."""
        if word in SHADES:
            self._shaded = True
        elif word == "fcharset":
            self._charset(number or 0)
        elif word in _ROMAN:
            self._codec = _ROMAN[word]
        elif word in {"ansicpg", "cpg"} and (name := codec_of(number)):
            if word == "cpg":
                self._fonts[self._number] = name
            else:
                self._codec = name
        elif word == "deff":
            self._default_font = number or 0
        elif word in DATE and self._style.place == "info":  # of \creatim, the first in order
            self.info.setdefault(word, f"{number or 0:02d}")

    def _charset(self, charset: int) -> None:
        if charset == _SYMBOL:
            self._fonts[self._number] = "symbol"
        elif charset in CHARSETS:
            self._fonts[self._number] = CHARSETS[charset]


_EVENTS: Final = {
    "par": "par", "sect": "par", "page": "par", "column": "par", "cell": "cell", "row": "row", "pard": "pard",
    "intbl": "intbl", "s": "style", "ls": "ls", "ilvl": "ilvl", "trowd": "define", "trleft": "define",
    "cellx": "define", "clcbpat": "define", "tx": "tx", "deftab": "deftab",
}  # fmt: skip
