"""The layer of invisible text that makes a picture searchable.

Each word is set in a font without shapes, stretched over its picture; the page itself does not change. The
text precedes the page's own content, where no transformation is in force yet.
"""

import io
from collections.abc import Iterable
from typing import Any, Final

import pikepdf
from fontTools.fontBuilder import FontBuilder  # type: ignore[import-untyped]  # it has no types
from fontTools.pens.ttGlyphPen import TTGlyphPen  # type: ignore[import-untyped]  # likewise

from docpipe.convert.ocr.reading import Line

_NAME: Final = "/DocpipeOcr"
_UNITS: Final = 1000
_WIDE: Final = 500
"""The width of every character, in thousandths of its height."""
_ASCENT: Final = 800
_EPOCH: Final = 3_818_000_000  # seconds since 1904, as TrueType counts: in 2024
_LONGEST: Final = 100  # entries of one section of a CMap, by PDF 32000-1, 9.10.3 and Adobe's note 5014

Corner = tuple[float, float]
Placed = tuple[Line, tuple[tuple[Corner, Corner, Corner], ...]]
"""A line, and of each of its words the lower left, lower right and upper left corner in the page's space."""


class Layer:
    """One document's font, and its pages' text."""

    def __init__(self, pdf: pikepdf.Pdf) -> None:
        self._pdf = pdf
        self._codes: dict[str, int] = {}
        self._font: Any = pdf.make_indirect(pikepdf.Dictionary(Type=pikepdf.Name.Font))

    def write(self, page: pikepdf.Page, lines: Iterable[Placed]) -> None:
        """Put lines of words on a page."""
        operators = ["q BT 3 Tr"]
        for line, places in lines:
            for number, (word, corners) in enumerate(zip(line, places, strict=True)):
                text = word.text if number + 1 == len(line) else word.text + " "
                operators.append(self._word(text, len(word.text), *corners))
        operators.append("ET Q\n")
        _font_in(page)[_NAME] = self._font
        page.contents_add(("\n".join(operators)).encode("ascii"), prepend=True)

    def _word(self, text: str, length: int, start: Corner, end: Corner, top: Corner) -> str:
        """A word from its lower left corner to its lower right one; a blank after it is beyond."""
        across = 1000 / (_WIDE * length)
        matrix = (
            (end[0] - start[0]) * across,
            (end[1] - start[1]) * across,
            top[0] - start[0],
            top[1] - start[1],
            *start,
        )
        codes = "".join(f"{self._code(character):04x}" for character in text)
        numbers = " ".join(f"{number:.4f}".rstrip("0").rstrip(".") for number in matrix)
        return f"{_NAME} 1 Tf {numbers} Tm <{codes}> Tj"

    def _code(self, character: str) -> int:
        return self._codes.setdefault(character, min(len(self._codes) + 1, 0xFFFF))

    def finish(self) -> None:
        """Write the font, once all text is known."""
        pdf, count = self._pdf, len(self._codes) + 1
        descriptor = pikepdf.Dictionary(
            Type=pikepdf.Name.FontDescriptor,
            FontName=pikepdf.Name.DocpipeOcr,
            Flags=4,
            FontBBox=[0, _ASCENT - _UNITS, _WIDE, _ASCENT],
            ItalicAngle=0,
            Ascent=_ASCENT,
            Descent=_ASCENT - _UNITS,
            CapHeight=_ASCENT,
            StemV=80,
            FontFile2=pdf.make_stream(_shapeless()),
        )
        inner = pikepdf.Dictionary(
            Type=pikepdf.Name.Font,
            Subtype=pikepdf.Name.CIDFontType2,
            BaseFont=pikepdf.Name.DocpipeOcr,
            CIDSystemInfo=pikepdf.Dictionary(Registry="Adobe", Ordering="Identity", Supplement=0),
            FontDescriptor=pdf.make_indirect(descriptor),
            DW=_WIDE,
            CIDToGIDMap=pdf.make_stream(b"\0\0" + b"\0\1" * count),
        )
        for key, value in {
            "/Subtype": pikepdf.Name.Type0,
            "/BaseFont": pikepdf.Name.DocpipeOcr,
            "/Encoding": pikepdf.Name("/Identity-H"),
            "/DescendantFonts": pikepdf.Array([pdf.make_indirect(inner)]),
            "/ToUnicode": pdf.make_stream(_to_unicode(self._codes)),
        }.items():
            self._font[key] = value


def _font_in(page: pikepdf.Page) -> Any:
    """The page's own fonts. What it inherits or shares is copied: other pages have no use for this."""
    resources: Any = pikepdf.Dictionary(dict(page.resources.items()))
    fonts: Any = resources.get("/Font")
    resources.Font = pikepdf.Dictionary(
        dict(fonts.items()) if isinstance(fonts, pikepdf.Dictionary) else None
    )
    page.obj.Resources = resources
    return resources.Font


def _to_unicode(codes: dict[str, int]) -> bytes:
    lines = [
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap",
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def",
        "/CMapName /Adobe-Identity-UCS def /CMapType 2 def",
        "1 begincodespacerange <0000> <FFFF> endcodespacerange",
    ]
    pairs = [
        f"<{code:04X}> <{character.encode('utf-16-be').hex().upper()}>" for character, code in codes.items()
    ]
    for at in range(0, len(pairs), _LONGEST):
        part = pairs[at : at + _LONGEST]
        lines += [f"{len(part)} beginbfchar", *part, "endbfchar"]
    lines.append("endcmap CMapName currentdict /CMap defineresource pop end end")
    return "\n".join(lines).encode("ascii")


def _shapeless() -> bytes:
    """A TrueType font of two glyphs that show nothing, the same bytes each time."""
    builder = FontBuilder(_UNITS, isTTF=True)
    builder.setupGlyphOrder([".notdef", "blank"])
    builder.setupCharacterMap({32: "blank"})
    builder.setupGlyf({name: _stroke() for name in (".notdef", "blank")})
    builder.setupHorizontalMetrics(dict.fromkeys((".notdef", "blank"), (_WIDE, 0)))
    builder.setupHorizontalHeader(ascent=_ASCENT, descent=_ASCENT - _UNITS)
    builder.setupNameTable({"familyName": "DocpipeOcr", "styleName": "Regular", "psName": "DocpipeOcr"})
    builder.setupOS2()
    builder.setupPost()
    builder.updateHead(created=_EPOCH, modified=_EPOCH)
    builder.font.recalcTimestamp = False
    out = io.BytesIO()
    builder.save(out)
    return out.getvalue()


def _stroke() -> Any:
    """An outline that encloses nothing. Without an extent pdfium skips text that runs upwards."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, _ASCENT - _UNITS))
    pen.lineTo((_WIDE, _ASCENT))
    pen.closePath()
    return pen.glyph()
