"""Text from right to left in typeset PDFs, and characters without a font."""

import io

import pypdfium2
import pytest

from docpipe.convert.core.base import Facts
from docpipe.convert.core.blocks import Heading, Listing, Paragraph, Table
from docpipe.convert.core.direction import direction, isolated, runs_left
from docpipe.convert.writers import typeset

HEBREW = "למטופל יש אלרגיה לפניצילין"
ARABIC = "المريض لديه حساسية من البنسلين"


def boxes(blocks):
    """Left and right end of each piece of text of the only page below its head."""
    page = pypdfium2.PdfDocument(io.BytesIO(typeset.render(blocks, Facts()).pdf))[0].get_textpage()
    rects = [page.get_rect(number) for number in range(page.count_rects())]
    return [(left, right) for left, bottom, right, _ in rects if bottom > 60]


@pytest.mark.parametrize("text", [HEBREW, ARABIC, f"123 {HEBREW} abc"])
@pytest.mark.parametrize("kind", ["heading", "paragraph", "list"])
def test_blocks_begin_at_the_right(text, kind, tmp_path):
    """By its first letter a block is set to the right margin; one of Latin letters is not."""

    def block(words):
        made = Paragraph(words)
        return {"heading": Heading(2, words), "paragraph": made, "list": Listing(((made,),))}[kind]

    assert max(right for _, right in boxes([block(text)])) > 540
    latin = boxes([block(f"Patient {text}")])
    assert min(left for left, _ in latin) < 70
    assert max(right for _, right in latin) < 400


def test_latin_after_hebrew_is_set_to_the_left():
    """A direction ends with its block."""
    result = boxes([Paragraph(HEBREW), Paragraph("plain")])
    assert min(left for left, _ in result) < 60


def test_tables_run_from_right_to_left():
    """The first column is the one at the right, and values stay in their columns."""
    table = Table((("תרופה", "מנה"),), (("מטפורמין", "111"),))
    page = pypdfium2.PdfDocument(io.BytesIO(typeset.render([table], Facts()).pdf))[0].get_textpage()
    value = page.get_charbox(page.search("111").get_next()[0])
    drug = page.get_charbox(page.search("טפ").get_next()[0])
    assert value[0] < 300 < drug[0]


def test_number_stays_with_its_unit():
    """Between Arabic words 500 mg reads 500 mg, the number at the left."""
    made = typeset.render([Paragraph(f"{ARABIC} 500 mg مرتين")], Facts())
    page = pypdfium2.PdfDocument(io.BytesIO(made.pdf))[0].get_textpage()
    number = page.get_charbox(page.search("500").get_next()[0])
    unit = page.get_charbox(page.search("m").get_next()[0])
    assert 0 < unit[0] - number[0] < 30
    assert made.proven == "PDF/A-2b"


def test_measures_are_isolated_whole():
    """Numbers, ranges and their units are one piece, and blanks around them are not theirs."""
    kept = isolated("א 5-10 mg/dL ב > 3.5 ג 12").replace("\u2066", "<").replace("\u2069", ">")
    assert kept == "א <5-10 mg/dL> ב <> 3.5> ג <12>"


@pytest.mark.parametrize(
    ("text", "way"), [("12 a א", "L"), ("12 א a", "R"), ("٣ ب", "R"), ("12 %", ""), ("", "")]
)
def test_first_letter_decides(text, way):
    """Digits and signs have no direction of their own."""
    assert direction(text) == way
    assert runs_left(["", "1", text]) == (way == "R")


@pytest.mark.parametrize(
    ("text", "package"),
    [("患者", "fonts-noto-cjk"), ("アレルギー", "fonts-noto-cjk"), ("รับประทาน", "fonts-noto-core")],
)
def test_missing_font_is_named(text, package, monkeypatch):
    """Where no font has a script the warning says which package has one."""
    compiled = typeset.typst.compile

    def without_fonts(*given, **more):
        return compiled(*given, **{**more, "ignore_system_fonts": True})

    monkeypatch.setattr(typeset.typst, "compile", without_fonts)
    made = typeset.render([Paragraph(text)], Facts())
    assert made.proven is None
    (warning,) = made.warnings
    assert warning.endswith(f"the text has them; install the package {package} for them")
