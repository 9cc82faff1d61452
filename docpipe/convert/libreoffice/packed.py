"""Copies of packed office files (OOXML, ODF, XLSB) for LibreOffice, with what it would compute anew frozen.

LibreOffice shows today's date where a document stores the date of the visit: fields are replaced by what
they showed when the document was saved.
"""

import html
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lxml import etree

from docpipe.convert.core.base import UnreadableError
from docpipe.convert.core.opc import Package
from docpipe.convert.core.symbols import is_symbol_font
from docpipe.convert.core.xmltree import Element, local, parse
from docpipe.convert.libreoffice import odfsigns, signs
from docpipe.convert.libreoffice.program import LibreOfficeError
from docpipe.convert.readers.odf import styles as odfstyles
from docpipe.convert.readers.office.wordfields import instruction_text
from docpipe.convert.readers.slides.styles import SlideStyles
from docpipe.convert.readers.word import styles as docxstyles

Change = Callable[[str, bytes], bytes]
_MOST_BYTES: Final = 512 * 2**20
_KEPT: Final = frozenset(
    {
        *("PAGE", "NUMPAGES", "SECTION", "SECTIONPAGES", "PAGEREF", "NOTEREF", "HYPERLINK", "TOC"),
        *("FORMTEXT", "FORMCHECKBOX", "FORMDROPDOWN", "EQ", "ADVANCE", "LISTNUM"),
        *("AUTONUM", "AUTONUMLGL", "AUTONUMOUT"),
    }
)
"""Fields of Word that are about the page, a link or a control; what any other shows is stored."""
_FONT: Final = re.compile(
    rb"""\s(?:w:ascii|w:hAnsi|w:font|style:font-name|fo:font-family|typeface)=["']([^"']+)"""
)
_ONLY_LISTED: Final = ("fonttable.xml", "numbering.xml")
"""Parts that name fonts, but have no text."""
_RUNS: Final = (b":r>", b":r ", b"<r>", b"<r ")
"""What parts with text have, by which they are known."""
_VISIBLE: Final = frozenset(
    {"fldChar", "instrText", "delInstrText", "t", "delText", "tab", "br", "cr", "sym", "noBreakHyphen"}
)
_PARTS: Final = frozenset({"fldChar", "instrText", "delInstrText"})
_COMPUTED: Final = frozenset(
    {
        *("date", "time", "creation-date", "creation-time", "modification-date", "modification-time"),
        *("print-date", "print-time", "editing-duration", "editing-cycles", "author-name", "author-initials"),
        *("initial-creator", "creator", "printed-by", "file-name", "template-name", "title", "subject"),
        *("keywords", "description", "variable-get", "user-field-get", "user-field-input", "user-defined"),
        *("expression", "conditional-text", "database-display", "database-name", "database-row-number"),
        *("dde-connection", "execute-macro", "script", "sheet-name", "measure", "table-formula"),
        *(f"{what}-count" for what in ("paragraph", "word", "character", "table", "image", "object")),
        *(f"sender-{what}" for what in ("firstname", "lastname", "initials", "title", "position", "email")),
        *(f"sender-{what}" for what in ("phone-private", "fax", "company", "phone-work", "street", "city")),
        *(f"sender-{what}" for what in ("postal-code", "country", "state-or-province")),
    }
)
"""Elements of ODF's namespace `text` that LibreOffice computes anew as it loads."""


def word(source: Path, target: Path) -> None:
    """A DOCX whose fields are text. Raises: LibreOfficeError."""
    with _opened(source) as package:
        styles = docxstyles.Styles(package.related(package.main("word/document.xml"), "styles"))

    def freeze(root: Element) -> None:
        _freeze_word(root)
        signs.word(root, styles)
        signs.drawing(root)

    _rewritten(source, target, _of_xml((b"fldChar", b"fldSimple", b"dataBinding", b"lvl", *_RUNS), freeze))


def slides(source: Path, target: Path) -> None:
    """A PPTX likewise."""
    with _opened(source) as package:
        styles = SlideStyles(package, package.xml(package.main("ppt/presentation.xml")))

        def change(name: str, data: bytes) -> bytes:
            def freeze(root: Element) -> None:
                _freeze_slide(root)
                signs.drawing(root, lambda shape: styles.inherited(name, shape))

            return _of_xml((b"fld", *_RUNS), freeze)(name, data)

        _rewritten(source, target, change)


def open_document(source: Path, target: Path) -> None:
    """An ODT, ODP, ODG or ODS likewise."""
    with _opened(source) as package:
        common, content = (
            package.xml(name) if package.has(name) else None for name in ("styles.xml", "content.xml")
        )
    styles = {"styles.xml": odfstyles.Styles(common), "content.xml": odfstyles.Styles(common, content)}

    def change(name: str, data: bytes) -> bytes:
        def freeze(root: Element) -> None:
            freeze_open_document(root)
            if name in styles:
                odfsigns.open_document(root, styles[name])

        return _of_xml((b"text:", b"presentation:", b"formula"), freeze)(name, data)

    _rewritten(source, target, change)


def flat(source: Path, target: Path) -> None:
    """An OpenDocument file that is one XML file, likewise."""

    def freeze(root: Element) -> None:
        freeze_open_document(root)
        odfsigns.open_document(root, odfstyles.Styles(root))

    target.write_bytes(_changed(source.read_bytes(), freeze))


def binary_workbook(source: Path, target: Path) -> None:
    """An XLSB whose formulas are their results."""
    _rewritten(source, target, lambda name, data: _freeze_cells(data) if _is_sheet(name) else data)


def names_symbol_font(source: Path) -> bool:
    """Whether text of a package that LibreOffice saved is in a symbol font; so may be its lists alone."""
    try:
        with zipfile.ZipFile(source) as archive:
            parts = (name for name in archive.namelist() if not name.lower().endswith(_ONLY_LISTED))
            fonts = (
                match
                for name in parts
                if name.endswith(".xml")
                for match in _FONT.finditer(archive.read(name))
            )
            return any(is_symbol_font(html.unescape(match[1].decode("utf-8", "replace"))) for match in fonts)
    except (zipfile.BadZipFile, zlib.error, EOFError):
        return True


@contextmanager
def _opened(source: Path) -> Iterator[Package]:
    """The package whose styles a copy needs. Raises: LibreOfficeError."""
    try:
        with Package(source) as package:
            yield package
    except UnreadableError as error:
        raise LibreOfficeError("is not given what is damaged") from error


def _rewritten(source: Path, target: Path, change: Change) -> None:
    """A copy of a package; of parts with the same name the last one, as readers take it."""
    left = _MOST_BYTES
    try:
        with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
            for name in dict.fromkeys(old.namelist()):
                with old.open(name) as part:
                    data = part.read(left + 1)
                left -= len(data)
                if left < 0:
                    raise LibreOfficeError("is not given what unpacks to so much")
                new.writestr(zipfile.ZipInfo(name), change(name, data))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise LibreOfficeError("is not given what is damaged") from error


def _of_xml(hints: tuple[bytes, ...], freeze: Callable[[Element], None]) -> Change:
    """A change of those parts that are XML and have one of these words."""

    def change(name: str, data: bytes) -> bytes:
        if not name.lower().endswith(".xml"):
            return data
        wide = b"\0" in data[:64]  # UTF-16
        return _changed(data, freeze) if wide or any(hint in data for hint in hints) else data

    return change


def _changed(data: bytes, freeze: Callable[[Element], None]) -> bytes:
    try:
        root = parse(data).root
    except UnreadableError as error:
        raise LibreOfficeError("is not given what is damaged") from error
    freeze(root)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


@dataclass(slots=True)
class _Field:
    """A field of Word between its marks: what it instructs, and the elements of that."""

    own: list[Element] = field(default_factory=list)
    instruction: list[str] = field(default_factory=list)
    instructs: bool = True
    """Whether its result has not begun yet."""
    has_result: bool = False


@dataclass(slots=True)
class _Fields:
    """The fields of a part that are open at a place in it, as its elements are passed one after the other."""

    open: list[_Field] = field(default_factory=list)
    gone: list[Element] = field(default_factory=list)
    """Of fields that end: what makes them fields."""
    written: list[tuple[Element, str]] = field(default_factory=list)
    """The ends of fields without a result whose text is in their instruction, and that text."""

    def take(self, element: Element) -> None:
        """Pass an element that shows something, or is a part of a field."""
        kind = _attribute(element, "fldCharType") if local(element) == "fldChar" else ""
        if kind == "begin":
            self.open.append(_Field())
        for each in self.open:
            if each.instructs:
                each.own.append(element)
            elif local(element) not in _PARTS:
                each.has_result = True
        if not self.open:
            return
        if local(element) == "instrText":
            self.open[-1].instruction.append(element.text or "")
        elif kind == "separate":
            self.open[-1].instructs = False
        elif kind == "end":
            self._end(self.open.pop(), element)

    def _end(self, ended: _Field, element: Element) -> None:
        instruction = "".join(ended.instruction)
        if is_frozen(instruction):
            self.gone += [*ended.own, element]
            if not ended.has_result and (text := instruction_text(instruction)):
                self.written.append((element, text))


def is_frozen(instruction: str) -> bool:
    """Whether a field of Word is replaced by what it last showed."""
    words = instruction.split(None, 1)
    return not words or words[0].upper() not in _KEPT


def _freeze_word(root: Element) -> None:
    for binding in list(
        root.iter("{*}dataBinding")
    ):  # LibreOffice prefers a bound value to the displayed one
        _remove(binding)
    fields = _Fields()
    for element in root.iter():
        if local(element) in _VISIBLE:
            fields.take(element)
    for end, text in fields.written:
        end.addprevious(_text(end, text))
    for element in fields.gone:
        _remove(element)
    for simple in list(root.iter("{*}fldSimple")):
        instruction = _attribute(simple, "instr")
        if is_frozen(instruction):
            if next(simple.iter("{*}t", "{*}sym"), None) is None and (text := instruction_text(instruction)):
                run = etree.SubElement(simple, str(simple.tag).replace("}fldSimple", "}r"))
                run.append(_text(run, text))
            _unwrap(simple)


def _text(beside: Element, text: str) -> Element:
    """A text for a run."""
    made = etree.Element(str(beside.tag).rpartition("}")[0] + "}t")
    made.text = signs.checked(text)
    return made


def _freeze_slide(root: Element) -> None:
    for element in list(root.iter("{*}fld")):
        if element.get("type") != "slidenum" and isinstance(element.tag, str):
            element.tag = element.tag.replace("}fld", "}r")
            element.attrib.clear()
            for part in list(element):
                if local(part) not in {"rPr", "t"}:
                    _remove(part)


def freeze_open_document(root: Element) -> None:
    """Make fields text, and formulas their results."""
    for element in root.iter():
        name = local(element)
        if not name:
            continue
        space = str(element.tag).rpartition("}")[0]
        if space.endswith(":text:1.0") and name in _COMPUTED:
            element.tag = f"{space}}}span"
            element.attrib.clear()
        elif name == "date-time-decl":
            source = next((key for key in element.attrib if str(key).endswith("}source")), None)
            if source is not None:
                element.set(source, "fixed")
        for key in [key for key in element.attrib if str(key).endswith("}formula")]:
            del element.attrib[key]


def _attribute(element: Element, name: str) -> str:
    return next((str(value) for key, value in element.attrib.items() if str(key).endswith(f"}}{name}")), "")


def _remove(element: Element) -> None:
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)


def _unwrap(element: Element) -> None:
    """Replace an element by what is in it."""
    parent = element.getparent()
    if parent is not None:
        at = parent.index(element)
        parent[at : at + 1] = list(element)


_CELL: Final = 8
"""Bytes of a cell's column and style in XLSB (MS-XLSB 2.5.9)."""
_VALUES: Final = {8: 6, 9: 5, 10: 4, 11: 3}
"""Records of formulas with a text, number, truth or error, and those of the bare value (MS-XLSB 2.3.2)."""
_SIZES: Final = {9: 8, 10: 1, 11: 1}


def _is_sheet(name: str) -> bool:
    return "worksheets/" in name.lower() and name.lower().endswith(".bin")


def _freeze_cells(data: bytes) -> bytes:
    out, at = bytearray(), 0
    while at < len(data):
        kind, at = _number(data, at, 2)
        size, at = _number(data, at, 4)
        body, at = data[at : at + size], at + size
        if kind in _VALUES:
            held = _SIZES.get(kind) or 4 + 2 * int.from_bytes(body[_CELL : _CELL + 4], "little")
            kind, body = _VALUES[kind], body[: _CELL + held]
        out += _numbered(kind) + _numbered(len(body)) + body
    return bytes(out)


def _number(data: bytes, at: int, most: int) -> tuple[int, int]:
    """A number in groups of seven bits, and where it ends."""
    value = 0
    for group in range(most):
        byte = data[at] if at < len(data) else 0
        value |= (byte & 0x7F) << (7 * group)
        at += 1
        if not byte & 0x80:
            break
    return value, at


def _numbered(value: int) -> bytes:
    out = bytearray()
    while True:
        out.append(value & 0x7F | (0x80 if value > 0x7F else 0))  # noqa: PLR2004 - seven bits
        value >>= 7
        if not value:
            return bytes(out)
