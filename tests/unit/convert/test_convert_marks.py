"""Marks of meaning within text: what is struck out, inserted, bold, raised, and how it is written."""

import io

import pikepdf
import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from docpipe.convert.core.base import Facts
from docpipe.convert.core.blocks import (
    Block,
    Heading,
    Listing,
    Paragraph,
    Preformatted,
    Table,
    clean,
    flat,
    words,
)
from docpipe.convert.core.marks import (
    Mark,
    Span,
    inserted,
    lowered,
    mark,
    only_part,
    plain,
    raised,
    spans,
    struck,
)
from docpipe.convert.writers import markdown, typeset
from tests.unit.convert.documents import run


def written(*blocks: Block) -> str:
    """The Markdown of the blocks."""
    return markdown.write(blocks).strip()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (struck("Warfarin 5 mg"), "~~Warfarin 5 mg~~"),
        (struck(" Warfarin ") + "Apixaban", "~~Warfarin~~ Apixaban"),
        (struck("Warfarin ") + struck("5 mg"), "~~Warfarin 5 mg~~"),
        (struck("one\ntwo") + " three", "~~one~~  \n~~two~~ three"),
        ("do " + mark("not", Mark.BOLD) + " take", "do **not** take"),
        (mark("all of it", Mark.BOLD), "all of it"),
        (mark("bold", Mark.BOLD) + " plain " + mark("a*b", Mark.ITALIC), "**bold** plain *a\\*b*"),
        ("mg" + mark("(x)", Mark.BOLD) + "mg", "mg(x)mg"),
        ("mg" + struck("(x)") + "mg", "mg~~(x)~~mg"),
        (inserted("10 mg") + " " + struck("5 mg"), "[inserted: 10 mg] ~~5 mg~~"),
        ("a\ufdd1 b \ufdd0c", "a b ~~c~~"),
    ],
)
def test_marks_become_markdown(text: str, expected: str) -> None:
    """Each mark has one form, and bold of the whole sets nothing apart."""
    assert written(Paragraph(text)) == expected


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("9", "⁹"),
        ("-3", "⁻³"),
        ("th", "th"),
        ("a", "^a"),
        ("abc", "^(abc)"),
        (" 9 ", " ⁹ "),
        ("", ""),
        ("®", "®"),
    ],
)
def test_raised_text_is_kept_apart(given_: str, expected: str) -> None:
    """Ten to the ninth is not 109; first is 1st."""
    assert raised(given_) == expected


def test_lowered_text_is_kept_apart() -> None:
    """CO₂ has its own character, other text stands behind a sign."""
    assert "CO" + lowered("2") == "CO₂"
    assert "C" + lowered("max") == "C_(max)"


@given(
    st.lists(st.sampled_from(["a", " ", "\n", "\ufdd0", "\ufdd1", "\ufdd4", "\ufdd5", "~", "*"])).map("".join)
)
def test_no_word_is_lost_to_marks(text: str) -> None:
    """Signs in any order mark something or nothing, and lose no character."""
    assert "".join(span.text for span in spans(text)) == plain(text)
    assert not set(written(Paragraph(text))) & {"\ufdd0", "\ufdd1", "\ufdd4", "\ufdd5"}


def test_a_mark_ends_with_its_line() -> None:
    """A sign that nothing closes does not strike out the rest of a document."""
    assert list(spans("\ufdd0one\ntwo")) == [Span("one\n", Mark.STRUCK), Span("two", Mark.NONE)]


def test_marks_are_no_words() -> None:
    """They count for nothing, survive `clean`, and stand in cells as in paragraphs."""
    block = Table((("a",),), ((struck("b c"),), (mark("HIGH", Mark.BOLD),)))
    assert words([block, Paragraph(clean(struck("d e")))]) == 6
    assert written(block) == "| a |\n| --- |\n| ~~b c~~ |\n| **HIGH** |"
    assert only_part(mark("x", Mark.BOLD)) == "x"
    assert written(Preformatted("a  " + struck("b"))) == "```text\na  ~~b~~\n```"


def test_labels_of_a_list_stand_as_they_are() -> None:
    """A list that says "see B" has its A and B, in text, cells and PDF."""
    listing = Listing(((Paragraph("x"),), (Paragraph("y"),)), labels=("A.", "Diagnosis 2:"))
    assert written(listing) == "- A. x\n- Diagnosis 2: y"
    assert flat([listing]) == "A. x\nDiagnosis 2: y"
    assert "Diagnosis 2:" in pdf_text(listing)


def pdf_text(*blocks: Block) -> str:
    """What pdfium reads in the PDF of the blocks."""
    made = typeset.render(blocks, Facts(title="Marks"))
    assert made.proven == "PDF/A-2b"
    pdf = pypdfium2.PdfDocument(made.pdf)
    return "\n".join(page.get_textpage().get_text_range() for page in pdf)


def test_the_pdf_strikes_what_is_struck() -> None:
    """A line more is drawn than without the mark, and the words are there once, without signs."""
    text = pdf_text(Heading(2, "Plan"), Paragraph("stop " + struck("Warfarin") + " now"))
    assert "stop Warfarin now" in text.replace("\r\n", "\n")

    def drawn(text: str) -> int:
        with pikepdf.open(io.BytesIO(typeset.render((Paragraph(text),), Facts()).pdf)) as pdf:
            operators = [str(each.operator) for each in pikepdf.parse_content_stream(pdf.pages[0])]
        return operators.count("S") + operators.count("f") + operators.count("re")

    assert drawn("stop " + struck("Warfarin")) > drawn("stop Warfarin")


def test_marks_within_typewritten_columns_are_set(tmp_path):
    """A struck dose in a chart of typed columns is struck in the PDF, and its columns stay."""
    page = b"<html><pre>Drug      AM\nWarfarin  <s>5 mg</s>\n\nAspirin   <b>81</b></pre></html>"
    _, outputs = run(tmp_path, page)
    assert "Warfarin  ~~5 mg~~" in outputs["text.md"].decode()
    with pypdfium2.PdfDocument(outputs["document.pdf"]) as document:
        text = document[0].get_textpage()
        assert "~" not in text.get_text_range()
        starts = [text.get_charbox(text.get_text_range().index(word))[0] for word in ("AM", "5 mg", "81")]
    assert max(starts) - min(starts) < 2
