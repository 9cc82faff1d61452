"""Copies for LibreOffice have no symbol fonts: what a page shows is what its text says."""

import re
import zipfile

import pytest
from lxml import etree

from docpipe.convert.core.symbols import is_symbol_font
from docpipe.convert.libreoffice import packed, program, rich
from tests.unit.convert import symbolic
from tests.unit.convert.documents import docx, run, text_of
from tests.unit.convert.offices import flat_odf, odf, pptx, shape

FORMATS = {
    "docx": (packed.word, symbolic.letter, "word/document.xml"),
    "pptx": (packed.slides, symbolic.slide, "ppt/slides/slide1.xml"),
    "odt": (packed.open_document, symbolic.open_document, "content.xml"),
}
REFUSED = "symbols that Unicode does not have"


def frozen(freeze, data, folder):
    """The copy of a document."""
    folder.mkdir(exist_ok=True)
    source, target = folder / "source", folder / "target"
    source.write_bytes(data)
    freeze(source, target)
    return target


def tree(path, part):
    with zipfile.ZipFile(path) as archive:
        return etree.fromstring(archive.read(part))


def lines(root):
    """The texts of the paragraphs of a part."""
    texts = (" ".join("".join(each.itertext()).split()) for each in root.iter("{*}p"))
    return [text for text in texts if text]


@pytest.mark.parametrize("form", FORMATS)
def test_symbols_are_unicode_in_the_copy(form, tmp_path):
    """A dose, boxes and bullets, and each reads as the original does."""
    freeze, make, part = FORMATS[form]
    target = frozen(freeze, make(), tmp_path / "copy")
    displayed = lines(tree(target, part))
    assert displayed[: len(symbolic.LINES)] == list(symbolic.LINES)
    if form == "docx":
        assert displayed[3:5] == ["Style 100 μg", "Field 100 μg"]
    if form == "odt":
        assert "αβγ" in displayed
    text = text_of(tmp_path / "one", make(), name=f"a.{form}")
    assert text_of(tmp_path / "other", target.read_bytes(), name=f"a.{form}") == text


def test_rtf_reads_the_same_without_symbol_fonts(tmp_path):
    """Bytes, characters in Unicode, a field and a bullet are in a font of letters."""
    target = frozen(rich.rich_text, symbolic.rich(), tmp_path / "copy").read_bytes()
    text = text_of(tmp_path / "one", symbolic.rich(), name="a.rtf")
    assert text_of(tmp_path / "other", target, name="a.rtf") == text
    assert [line for line in symbolic.LINES if line not in text] == []
    assert "Field 100 μg" in text
    body = target.partition(b"\\listoverridetable")[2]
    assert rb"\u956" in body
    assert not re.search(rb"\{\\f[34]\\u|\\f3 m\}g|\\'6d", body)
    assert b"\\'01\\uc0\\u10003 ;" in target
    assert b"\\fnil DejaVu Sans;}" in target


def test_bullets_are_unicode_in_the_copy(tmp_path):
    """Of each format: character and font."""
    word = tree(frozen(packed.word, symbolic.letter(), tmp_path / "a"), "word/numbering.xml")
    drawn = tree(frozen(packed.slides, symbolic.slide(), tmp_path / "b"), "ppt/slides/slide1.xml")
    opened = tree(frozen(packed.open_document, symbolic.open_document(), tmp_path / "c"), "content.xml")
    signs = [sign for _, _, sign in symbolic.BULLETS]
    assert [next(iter(each.attrib.values())) for each in word.iter("{*}lvlText")] == signs
    assert [each.get("char") for each in drawn.iter("{*}buChar")] == signs
    levels = list(opened.iter("{*}list-level-style-bullet"))
    assert [next(v for k, v in each.attrib.items() if k.endswith("bullet-char")) for each in levels] == signs
    fonts = [
        *(value for each in word.iter("{*}rFonts") for value in each.attrib.values()),
        *(each.get("typeface") for each in drawn.iter("{*}buFont", "{*}latin", "{*}sym")),
        *(value for level in levels for each in level for key, value in each.attrib.items() if "font" in key),
    ]
    assert fonts
    assert not any(map(is_symbol_font, fonts))


def test_inherited_fonts_of_slides_are_resolved(tmp_path):
    """The style of a shape's lists gives the font of its text and bullets."""
    style = (
        '<a:lstStyle><a:lvl1pPr><a:buFont typeface="Wingdings"/><a:buChar char="&#xFC;"/>'
        '<a:defRPr><a:latin typeface="Symbol"/></a:defRPr></a:lvl1pPr></a:lstStyle>'
    )
    part = shape("m").replace("<p:txBody>", f"<p:txBody>{style}")
    root = tree(frozen(packed.slides, pptx(part), tmp_path / "a"), "ppt/slides/slide1.xml")
    assert [each.text for each in root.iter("{*}t")] == ["μ"]
    own = next(root.iter("{*}pPr"))
    assert [each.get("char") for each in own] == [None, "✓"]


def test_styles_of_a_flat_file_and_of_masters_are_resolved(tmp_path):
    """A flat file has its styles in itself; the headers of pages are in the part with the styles."""
    style = (
        '<office:automatic-styles><style:style style:name="S" style:family="text"><style:text-properties '
        'fo:font-family="Symbol"/></style:style></office:automatic-styles>'
    )
    body = '<text:p>100 <text:span text:style-name="S">m</text:span>g</text:p>'
    flat = flat_odf(body).replace(b"<office:body>", style.encode() + b"<office:body>")
    root = etree.fromstring(frozen(packed.flat, flat, tmp_path / "a").read_bytes())
    assert lines(root) == ["100 μg"]
    header = (
        f'{style}<office:master-styles><style:master-page style:name="Standard"><style:header>{body}'
        "</style:header></style:master-page></office:master-styles>"
    )
    copy = frozen(packed.open_document, odf("<text:p>x</text:p>", styles=header), tmp_path / "b")
    assert lines(tree(copy, "styles.xml")) == ["100 μg"]


@pytest.mark.parametrize(
    "line",
    [
        symbolic.in_word_font("Symbol", "\uf080"),
        '<w:r><w:sym w:font="Nobody Knows" w:char="F041"/></w:r>',
        symbolic.field_of(' SYMBOL 128 \\f "Symbol" '),
    ],
)
def test_unknown_symbols_of_word_are_not_given_away(line, tmp_path):
    """What the table does not have could be copied as a letter."""
    with pytest.raises(program.LibreOfficeError, match=REFUSED):
        frozen(packed.word, docx(f"<w:p>{line}</w:p>"), tmp_path / "a")


@pytest.mark.parametrize("line", [rb"{\f3\u-3968 ?}", rb"{\f5 A}"])
def test_unknown_symbols_of_rtf_are_not_given_away(line, tmp_path):
    """The same for RTF, where the character set alone may tell a symbol font."""
    with pytest.raises(program.LibreOfficeError, match=REFUSED):
        frozen(rich.rich_text, symbolic.rich(line), tmp_path / "a")


def test_a_document_with_an_unknown_symbol_is_set_from_its_text(tmp_path, monkeypatch):
    """LibreOffice is not started, and a warning says why the PDF looks different."""
    monkeypatch.setattr("docpipe.convert.document.installed", lambda: ("99.1", tmp_path))
    monkeypatch.setattr(program, "installed", lambda: ("99.1", tmp_path))
    data = docx(f"<w:p>{symbolic.run_of('Dose ')}{symbolic.in_word_font('Symbol', chr(0xF080))}</w:p>")
    done, outputs = run(tmp_path / "job", data, more={"libreoffice": True})
    assert outputs["text.md"].decode() == "Dose [symbol]\n"
    assert (
        f"the PDF is set from the text, without pictures: LibreOffice is not given {REFUSED}"
        in (done["warnings"])
    )


def test_letters_stay_as_they_are(tmp_path):
    """A document without symbol fonts keeps its fonts and runs, and RTF its bytes."""
    body = f"<w:p>{symbolic.in_word_font('Arial', 'm')}</w:p>"
    root = tree(frozen(packed.word, docx(body), tmp_path / "a"), "word/document.xml")
    (fonts,) = root.iter("{*}rFonts")
    assert set(fonts.attrib.values()) == {"Arial"}
    plain = rb"{\rtf1\ansi{\fonttbl{\f0 Arial;}} 100 mg\par}"
    assert frozen(rich.rich_text, plain, tmp_path / "b").read_bytes() == plain


def test_pages_of_old_files_with_symbol_fonts_are_drawn_anew(tmp_path):
    """What LibreOffice saved of them names the font."""
    path = tmp_path / "saved.docx"
    path.write_bytes(symbolic.letter())
    assert packed.names_symbol_font(path)
    path.write_bytes(docx(f"<w:p>{symbolic.in_word_font('Arial', 'm')}</w:p>"))
    assert not packed.names_symbol_font(path)
