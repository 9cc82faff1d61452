"""Fonts that draw signs: a letter in Symbol is Greek, a byte of Wingdings a tick, in every office format."""
# ruff: noqa: E501, RUF001 - the signs are the data

import io

import pikepdf
import pytest

from docpipe.convert.core.blocks import Heading, Listing, Paragraph, Preformatted, Table, clean
from docpipe.convert.core.symbols import LOST, in_font, is_symbol_font, without_private
from tests.unit.convert.documents import docx, pdf, run, text_of
from tests.unit.convert.offices import odf, pptx, xlsx


@pytest.mark.parametrize(
    ("font", "text", "signs"),
    [
        ("Symbol", "m", "μ"),
        ("Symbol", "abgDW", "αβγΔΩ"),
        ("Symbol", "\uf061\uf0ad\uf0af\uf0b9\uf0a3\uf0b3\uf0b0", "α↑↓≠≤≥°"),
        ("Symbol", "-5 + 3%", "-5 + 3%"),
        ("Wingdings", "\uf0fb\uf0fc\uf0fd\uf0fe\uf0a8\uf06f\uf078", "✗✓☒☑☐☐☒"),
        ("Wingdings", "\xe0\xe8lno", "→→●■☐"),
        ("Wingdings 2", "\uf04f\uf050\uf051\uf052\uf0a3", "✗✓☒☑☐"),
        ("Wingdings 2", "PR", "✓☑"),
        ("Wingdings 3", "hiqp", "↑↓▼▲"),
        ("Webdings", "acgr", "✔☐■✕"),
        ("Zapf Dingbats", "348l\xd5\xac", "✓✔✘●→①"),
    ],
)
def test_letters_of_a_symbol_font_become_its_signs(font, text, signs):
    """By letter and by private character, whatever the name's form."""
    assert in_font(font, text) == signs


@pytest.mark.parametrize(
    "font",
    ["Symbol", "SYMBOL", " symbol ", "SymbolMT", "ABCDEF+Symbol", "'Symbol', serif", "Symbol,Bold"],
)
def test_a_symbol_font_is_known_by_any_form_of_its_name(font):
    """Names come from PDFs, style sheets and tables of fonts."""
    assert is_symbol_font(font)
    assert in_font(font, "m") == "μ"


@pytest.mark.parametrize(
    "font", [None, "", "Arial", "Segoe UI Symbol", "Arial, Symbol", "Symbola", "OpenSymbol"]
)
def test_text_in_other_fonts_stays(font):
    """Segoe UI Symbol has letters where its text has letters."""
    assert not is_symbol_font(font)
    assert in_font(font, "mg \uf06d") == "mg \uf06d"


def test_characters_that_are_no_byte_stay_in_a_symbol_font():
    """Greek that was typed as Greek, and a blank that does not break."""
    assert in_font("Symbol", "α\N{NO-BREAK SPACE}–“") == "α\N{NO-BREAK SPACE}–“"


def test_every_byte_of_every_font_has_a_sign_or_a_gap():
    """No letter is left that would be read as a letter."""
    for font in ("Wingdings", "Wingdings 2", "Wingdings 3", "Webdings", "Zapf Dingbats"):
        for byte in (*range(0x21, 0x7F), *range(0xA1, 0x100)):
            for text in (chr(byte), chr(0xF000 + byte)):
                sign = in_font(font, text)
                assert len(sign) == 1
                assert sign != text
                assert sign == "\ue000" or not 0xE000 <= ord(sign) <= 0xF8FF
                assert not (sign.isascii() and sign.isalnum())


def test_private_characters_that_are_left_are_named_in_every_block():
    """Also in lists, their labels, and tables."""
    blocks = (
        Heading(1, "a\uf123"),
        Paragraph("x\ue001\ue002 y"),
        Preformatted("\U000f0001"),
        Listing(((Paragraph("\uf200"),),), None, ("\uf201",)),
        Table((("\uf8ff",),), (("b\uf300",),)),
    )
    assert without_private(blocks) == (
        (
            Heading(1, "a[symbol]"),
            Paragraph("x[symbol] y"),
            Preformatted("[symbol]"),
            Listing(((Paragraph("[symbol]"),),), None, ("[symbol]",)),
            Table((("[symbol]",),), (("b[symbol]",),)),
        ),
        True,
    )
    assert without_private(blocks[:0]) == ((), False)
    assert without_private([Paragraph("μ")]) == ((Paragraph("μ"),), False)


def test_a_private_character_without_a_font_is_not_guessed(tmp_path):
    """The byte of a micro sign is something else in other fonts; a bullet begins a line in each of them."""
    assert clean("100 \uf06dg, \uf0b3 5, K\uf0b7") == "100 \uf06dg, \uf0b3 5, K\uf0b7"
    assert clean("\uf0b7 a\n  \uf0a7\tb\uf020c\n\uf0b7") == "• a\n  •\tb c\n•"
    done, outputs = run(tmp_path, "Levothyroxine 100 \uf06dg daily".encode())
    assert "100 [symbol]g daily" in outputs["text.md"].decode()
    assert LOST in done["warnings"]


@pytest.mark.parametrize(("font", "sign"), [("Wingdings", "☑"), ("ABCDEF+Wingdings2", "[symbol]")])
def test_a_pdfs_private_characters_are_those_of_their_font(font, sign, tmp_path):
    """As Word writes ticks of Wingdings: the byte as a private character, by the font's table."""
    made = pikepdf.open(io.BytesIO(pdf()))
    table = b"1 begincodespacerange <00> <FF> endcodespacerange 1 beginbfchar <41> <F0FE> endbfchar"
    page = made.pages[0]
    page.Resources = pikepdf.Dictionary(
        Font=pikepdf.Dictionary(
            S=pikepdf.Dictionary(
                Type=pikepdf.Name.Font,
                Subtype=pikepdf.Name.Type1,
                BaseFont=pikepdf.Name("/" + font),
                ToUnicode=made.make_stream(table),
            ),
            F=pikepdf.Dictionary(
                Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica
            ),
        )
    )
    page.Contents = made.make_stream(
        b"BT /S 12 Tf 72 700 Td (A) Tj /F 12 Tf 20 0 Td (Do not resuscitate) Tj ET"
    )
    out = io.BytesIO()
    made.save(out)
    assert " ".join(text_of(tmp_path, out.getvalue()).split()) == f"{sign} Do not resuscitate"


def test_a_document_with_private_characters_says_so(tmp_path):
    """And one without does not."""
    done, outputs = run(tmp_path / "a", "Dose \uf123 daily".encode())
    assert "Dose [symbol] daily" in outputs["text.md"].decode()
    assert LOST in done["warnings"]
    assert not any("font" in warning for warning in done["warnings"])
    done, _ = run(tmp_path / "b", "Dose μ daily".encode())
    assert LOST not in done["warnings"]


CLINIC = (
    '<w:font w:name="Clinic"><w:altName w:val="{}"/><w:panose1 w:val="{}"/><w:charset w:val="{}"/></w:font>'
)


def word_in_clinic(other="", panose="", charset="00", run="<w:t>m</w:t>"):
    fonts = '<w:rFonts w:ascii="Clinic" w:hAnsi="Clinic"/>'
    body = (
        f"<w:p><w:r><w:t>100 </w:t></w:r><w:r><w:rPr>{fonts}</w:rPr>{run}</w:r><w:r><w:t>g</w:t></w:r></w:p>"
    )
    return docx(body, {"fontTable": ("fonts", CLINIC.format(other, panose, charset))})


DECLARED = {
    "DOCX by its character set": (word_in_clinic(charset="02"), "100 [symbol]g"),
    "DOCX by its kind": (word_in_clinic(panose="05050102010706020507"), "100 [symbol]g"),
    "DOCX by another name": (word_in_clinic("Symbol"), "100 μg"),
    "DOCX, a sign by number": (
        word_in_clinic(charset="02", run='<w:sym w:font="Clinic" w:char="F06D"/>'),
        "100 [symbol]g",
    ),
    "RTF": (rb"{\rtf1\ansi{\fonttbl{\f0 Arial;}{\f1\fcharset2 Clinic;}}100 {\f1 m}g\par}", "100 [symbol]g"),
    "ODT": (
        odf(
            '<text:p>100 <text:span text:style-name="C">m</text:span>g</text:p>',
            automatic='<style:font-face style:name="F" svg:font-family="Clinic" style:font-charset="x-symbol"/>'
            '<style:style style:name="C" style:family="text"><style:text-properties style:font-name="F"/></style:style>',
        ),
        "100 [symbol]g",
    ),
    "PPTX": (
        pptx(
            "<p:sp><p:txBody><a:p><a:r><a:t>100 </a:t></a:r><a:r><a:rPr>"
            '<a:latin typeface="Clinic" charset="2"/></a:rPr><a:t>m</a:t></a:r><a:r><a:t>g</a:t></a:r></a:p></p:txBody></p:sp>'
        ),
        "100 [symbol]g",
    ),
    "XLSX": (
        xlsx(
            {
                "S": '<row r="1"><c r="A1" t="inlineStr"><is><r><t>100 </t></r><r><rPr><rFont val="Clinic"/><charset val="2"/>'
                "</rPr><t>m</t></r><r><t>g</t></r></is></c></row>"
            }
        ),
        "100 [symbol]g",
    ),
}


@pytest.mark.parametrize(("data", "text"), DECLARED.values(), ids=DECLARED.keys())
def test_fonts_that_a_file_declares_to_be_of_signs(data, text, tmp_path):
    """A milligram is not read where nobody knows which sign the font draws; the gap is marked, with a warning."""
    done, outputs = run(tmp_path, data, more={"libreoffice": False})
    assert text in outputs["text.md"].decode()
    assert (LOST in done["warnings"]) is ("[symbol]" in text)


def test_letters_of_bars_are_what_they_mean(tmp_path):
    """A font of bars has the character set of signs; its text is a number of a patient."""
    data = rb"{\rtf1\ansi{\fonttbl{\f1\fcharset2 3 of 9 Barcode;}}{\f1 *12345*}\par}"
    assert "\\*12345\\*" in text_of(tmp_path, data, more={"libreoffice": False})


@pytest.mark.parametrize(
    ("font", "text", "signs"),
    [("Marlett", "ab", "✓✓"), ("Marlett", "m", "\ue000"), ("MT Extra", "l m", "ℓ \ue000")],
)
def test_fonts_of_which_few_signs_are_known(font, text, signs):
    """The others are gaps."""
    assert in_font(font, text) == signs


@pytest.mark.parametrize(
    ("properties", "sign"),
    [
        ('<w:rFonts w:cs="Symbol"/><w:cs/>', "μ"),
        ('<w:rFonts w:cs="Symbol"/><w:rtl/>', "μ"),
        ('<w:rFonts w:cs="Symbol"/>', "m"),
        ('<w:rFonts w:cs="Symbol"/><w:cs w:val="0"/>', "m"),
        ('<w:rFonts w:ascii="Symbol" w:cs="Arial"/><w:cs/>', "m"),
    ],
)
def test_runs_of_complex_script_have_a_font_of_their_own(properties, sign, tmp_path):
    """Whatever characters they have (ECMA-376-1, 17.3.2.7)."""
    run = f"<w:r><w:rPr>{properties}</w:rPr><w:t>m</w:t></w:r>"
    data = docx(f"<w:p><w:r><w:t>100 </w:t></w:r>{run}<w:r><w:t>g</w:t></w:r></w:p>")
    assert text_of(tmp_path, data) == f"100 {sign}g\n"


@pytest.mark.parametrize(("hint", "sign"), [("eastAsia", "↑"), ("default", "≠")])
def test_the_hint_decides_which_font_shows_a_sign(hint, sign, tmp_path):
    """That of East Asian text, or the usual one."""
    fonts = f'<w:rFonts w:ascii="Symbol" w:hAnsi="Symbol" w:eastAsia="Wingdings" w:hint="{hint}"/>'
    data = docx(
        f"<w:p><w:r><w:rPr>{fonts}</w:rPr><w:t>&#xF0{'E1' if hint == 'eastAsia' else 'B9'};</w:t></w:r></w:p>"
    )
    assert text_of(tmp_path, data) == f"{sign}\n"
