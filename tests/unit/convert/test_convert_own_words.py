"""What docpipe itself says in place of missing text is marked, and is not counted as the document's words."""

import pytest

from docpipe.convert.core.blocks import Heading, Listing, Paragraph, Table, cleaned, placeholder, texts, words
from docpipe.convert.core.symbols import without_private
from docpipe.convert.writers.markdown import write
from tests.unit.convert import documents, scans
from tests.unit.convert.documents import run

OWN = (Heading(2, "Page 1", own=True), placeholder("No text could be read."))
THEIRS = (Heading(2, "Page 1"), Paragraph("two words"), Table((("a",),), (("b c",),)))


def test_own_words_are_not_counted() -> None:
    """At any depth; the same words of the document are."""
    assert words(OWN) == 0
    assert words((Listing((OWN, (Paragraph("one"),))),)) == 1
    assert words((*OWN, *THEIRS)) == words(THEIRS) == 7


def test_own_words_are_written() -> None:
    """In square brackets, as text."""
    assert write(OWN) == "## Page 1\n\n[No text could be read.]\n"
    assert list(texts(OWN)) == ["Page 1", "[No text could be read.]"]


@pytest.mark.parametrize("pages", [1, 3])
def test_a_scan_that_is_not_read_has_no_words(pages, tmp_path, monkeypatch):
    """As a PDF and as a TIFF, of one page or of several."""
    scans.choose(monkeypatch, "none")
    for name, data in (
        ("pdf", scans.scan_pdf(*[scans.page()] * pages)),
        ("tiff", documents.image("TIFF", mode="1", pages=pages, compression="group4")),
    ):
        done, outputs = run(tmp_path / name, data)
        assert done["metadata"]["words"] == 0, name
        assert b" No text could be read from it.]\n" in outputs["text.md"], name


def test_own_words_stay_own() -> None:
    """Whatever is done to the characters of blocks."""
    blocks = (*OWN, *THEIRS)
    assert cleaned(blocks) == blocks
    assert without_private((*blocks, Paragraph("\ue000")))[0][:-1] == blocks
