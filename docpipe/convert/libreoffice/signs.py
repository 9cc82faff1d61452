"""Symbol fonts in the copies for LibreOffice: their letters become the characters that the page shows.

LibreOffice draws the letter m in Symbol as a µ, but the text of its PDF has the m: who copies or searches it
gets 100 mg for 100 µg. In the copy each such text is Unicode, in a font of letters, as the readers have it.
"""

from collections.abc import Callable, Iterable
from typing import Final

from lxml import etree

from docpipe.convert.core.symbols import in_font, is_private, is_symbol_font
from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.libreoffice.program import LibreOfficeError
from docpipe.convert.readers.office.drawing import (
    bullet_font,
    levels_of,
    properties_of,
    runs_of,
    signs_of,
    typeface,
)
from docpipe.convert.readers.office.ooxml import attribute, down
from docpipe.convert.readers.word.body import symbol
from docpipe.convert.readers.word.styles import Styles

FONT: Final = "DejaVu Sans"
"""Has most of the characters; LibreOffice takes those that it lacks from another font."""
Inherited = Callable[[Element], Iterable[Element]]
_SPACE: Final = "{http://www.w3.org/XML/1998/namespace}space"
_BULLETS: Final = ("buNone", "buAutoNum", "buChar", "buBlip")
_BEHIND_BULLETS: Final = frozenset({"tabLst", "defRPr", "extLst"})
_BEFORE_FONTS: Final = frozenset(
    {"ln", "noFill", "solidFill", "gradFill", "blipFill", "pattFill", "grpFill", "effectLst", "effectDag"}
    | {"highlight", "uLnTx", "uLn", "uFillTx", "uFill"}
)


def checked(text: str) -> str:
    """The text, all of it Unicode.

    Raises: LibreOfficeError for one with a character that only its font has.
    """
    if is_private(text):
        raise LibreOfficeError("is not given symbols that Unicode does not have")
    return text


def word(root: Element, styles: Styles) -> None:
    """Make the symbols in a part of a Word document Unicode.

    Raises: LibreOfficeError.
    """
    for level in root.iter("{*}lvl"):
        _word_bullet(level)
    for run in list(root.iter("{*}r")):
        if "/wordprocessingml/" in str(run.tag):
            _word_run(run, styles)


def _word_run(run: Element, styles: Styles) -> None:
    paragraph = next((each for each in run.iterancestors() if local(each) == "p"), None)
    style = styles.run(attribute(down(paragraph, "pPr", "pStyle"), "val"), down(run, "rPr"))
    for part in run:
        name = local(part)
        if name in {"t", "delText"} and style.symbolic:
            part.text = checked(style.signs(part.text or ""))
        elif name == "sym":
            text = checked(symbol(attribute(part, "char") or "", attribute(part, "font"), style))
            part.tag = str(part.tag).replace("}sym", "}t")
            part.attrib.clear()
            part.set(_SPACE, "preserve")
            part.text = text
    if style.symbolic:
        _word_font(run)


def _word_bullet(level: Element) -> None:
    fonts, text = down(level, "rPr", "rFonts"), down(level, "lvlText")
    font = attribute(fonts, "ascii") or attribute(fonts, "hAnsi")
    if attribute(down(level, "numFmt"), "val") == "bullet" and is_symbol_font(font) and text is not None:
        key = next((key for key in text.attrib if str(key).endswith("}val")), None)
        if key is not None:
            text.set(key, checked(in_font(font, str(text.get(key)))))
        _word_font(level)


def _word_font(element: Element) -> None:
    """Give a run or the level of a list a font of letters."""
    space = str(element.tag).rpartition("}")[0] + "}"
    properties = down(element, "rPr")
    if properties is None:
        properties = etree.Element(f"{space}rPr")
        element.insert(0, properties)
    fonts = down(properties, "rFonts")
    if fonts is None:
        fonts = etree.Element(f"{space}rFonts")
        properties.insert(int(down(properties, "rStyle") is not None), fonts)
    fonts.attrib.clear()
    for kind in ("ascii", "hAnsi", "eastAsia", "cs"):
        fonts.set(f"{space}{kind}", FONT)


def drawing(root: Element, inherited: Inherited = lambda _: ()) -> None:
    """Make the symbols in the DrawingML of a part Unicode; `inherited` gives the styles of lists of a shape.

    Raises: LibreOfficeError.
    """
    for paragraph in root.iter("{*}p"):
        if "/drawingml/" in str(paragraph.tag):
            shape = next((each for each in paragraph.iterancestors() if local(each) == "sp"), None)
            styles = () if shape is None else tuple(inherited(shape))
            _drawn_bullet(paragraph, styles)
            below = properties_of(paragraph, styles)
            for run in runs_of(paragraph):
                if local(run) in {"r", "fld"}:
                    _drawn_run(run, below)


def _drawn_run(run: Element, below: list[Element]) -> None:
    own = down(run, "rPr")
    given = [*([] if own is None else [own]), *below]
    symbolic = is_symbol_font(typeface(given, "latin"))
    for part in run:
        if local(part) == "t" and part.text:
            text = checked(signs_of(part.text, given))
            symbolic = symbolic or text != part.text
            part.text = text
    if not symbolic:
        return
    space = str(run.tag).rpartition("}")[0] + "}"
    if own is None:
        own = etree.Element(f"{space}rPr")
        run.insert(0, own)
    for part in list(own):
        if local(part) in {"latin", "ea", "cs", "sym"}:
            own.remove(part)
    at = sum(local(part) in _BEFORE_FONTS for part in own)
    own[at:at] = [etree.Element(f"{space}{kind}", typeface=FONT) for kind in ("latin", "ea", "cs")]


def _drawn_bullet(paragraph: Element, styles: tuple[Element, ...]) -> None:
    own = down(paragraph, "pPr")
    places = [*([] if own is None else [own]), *levels_of(paragraph, styles)]
    given = next((each for each in places if any(down(each, name) is not None for name in _BULLETS)), None)
    sign, font = attribute(down(given, "buChar"), "char"), bullet_font(paragraph, places)
    if not sign or not is_symbol_font(font):
        return
    space = str(paragraph.tag).rpartition("}")[0] + "}"
    if own is None:
        own = etree.Element(f"{space}pPr")
        paragraph.insert(0, own)
    for part in list(own):
        if local(part) in {"buFont", "buFontTx", *_BULLETS}:
            own.remove(part)
    at = next((at for at, part in enumerate(own) if local(part) in _BEHIND_BULLETS), len(own))
    own.insert(at, etree.Element(f"{space}buChar", char=checked(in_font(font, sign))))
    own.insert(at, etree.Element(f"{space}buFont", typeface=FONT))
