"""Text of a PDF's page that nobody sees is marked: white on white, below a bar, invisible, of 1 pt."""

import pytest
from pikepdf import Array

from docpipe.convert.readers.pdf.unseen import HIDDEN
from tests.unit.convert.documents import run
from tests.unit.convert.placed import page_pdf, text

VISIBLE = text(72, 700, "Visible")
DOSE = text(72, 660, "dose 50 mg")
BAR = "0 0 0 rg 70 656 90 14 re f"


def turned(document):
    document.pages[0].obj.Rotate = 90


def cropped(document):
    document.pages[0].obj.CropBox = Array([50, 50, 560, 720])


UNSEEN = {
    "white": (VISIBLE, "1 g", DOSE),
    "nearly white": (VISIBLE, "0.98 0.97 0.99 rg", DOSE),
    "below a bar": (VISIBLE, "0 g", DOSE, BAR),
    "black on a bar": (VISIBLE, BAR, DOSE),
    "white on white paper": (VISIBLE, "1 1 1 rg 70 600 200 80 re f", DOSE),
    "invisible": (VISIBLE, "3 Tr", DOSE),
    "1 pt": (VISIBLE, text(72, 660, "dose 50 mg", 1)),
    "1 pt by its matrix": (VISIBLE, "BT /F1 12 Tf 0.08 0 0 0.08 72 660 Tm (dose 50 mg) Tj ET"),
}
SEEN = {
    "white on a bar": (VISIBLE, BAR, "1 g", DOSE),
    "black beside a bar": (VISIBLE, "0 0 0 rg 200 656 90 14 re f", DOSE),
    "light gray": (VISIBLE, "0.8 g", DOSE),
    "white within a frame of black letters": (VISIBLE, "1 g 0 G 1 Tr", DOSE),
    "white below black": (VISIBLE, "1 g", DOSE, "0 g", DOSE),
    "a page of invisible text alone": ("3 Tr", VISIBLE, DOSE),
    "4 pt": (VISIBLE, text(72, 660, "dose 50 mg", 4)),
}


@pytest.mark.parametrize("change", [None, turned, cropped], ids=["upright", "turned", "cropped"])
@pytest.mark.parametrize("drawn", UNSEEN.values(), ids=UNSEEN.keys())
def test_text_that_nobody_sees_is_hidden(drawn, change, tmp_path):
    """It stays, in brackets, with a warning; the PDF stays as it is."""
    data = page_pdf(drawn, change=change)
    done, outputs = run(tmp_path, data)
    assert b"[hidden: dose 50 mg]" in outputs["text.md"]
    assert b"Visible" in outputs["text.md"]
    assert b"hidden: Visible" not in outputs["text.md"]
    assert done["warnings"] == [HIDDEN]
    assert outputs["document.pdf"] == data


@pytest.mark.parametrize("drawn", SEEN.values(), ids=SEEN.keys())
def test_text_that_is_seen_is_not(drawn, tmp_path):
    """Whatever its colour."""
    done, outputs = run(tmp_path, page_pdf(drawn))
    assert b"dose 50 mg" in outputs["text.md"]
    assert b"hidden" not in outputs["text.md"]
    assert HIDDEN not in done["warnings"]


def test_hidden_passages_are_apart(tmp_path):
    """Each line, and each passage of a line."""
    drawn = (VISIBLE, "1 g", DOSE, text(300, 660, "other patient"), text(72, 640, "more"))
    words = run(tmp_path, page_pdf(drawn))[1]["text.md"]
    assert words.count(b"[hidden: ") == 3
