"""Scans made for tests: a page of text as a picture, straight, turned, or as a fax."""

import importlib.util
import io
import os
import re
import shutil
from collections import Counter
from functools import cache

import pikepdf
import pypdfium2
import pytest
from PIL import Image

from docpipe.convert import document
from docpipe.convert.core.base import Facts
from docpipe.convert.core.blocks import Heading, Paragraph
from docpipe.convert.ocr import pages, rapid, tesseract
from docpipe.convert.writers import typeset

TEXT = (
    "The patient is a woman of fifty years with a history of hypertension who presents for follow up. "
    "She reports no chest pain, shortness of breath or palpitations. Her blood pressure today was normal. "
    "Current medications include metformin twice daily and lisinopril once daily. She is allergic to "
    "penicillin, which caused a rash in childhood. On examination the heart is regular without murmurs and "
    "the lungs are clear."
)
WORD = re.compile(r"\w+")


@cache
def digital():
    """A page of text as a PDF."""
    return typeset.render([Heading(1, "Progress note"), Paragraph(TEXT), Paragraph(TEXT)], Facts()).pdf


@cache
def page(dpi=200):
    """The page as a picture."""
    picture = pypdfium2.PdfDocument(digital())[0].render(scale=dpi / 72, grayscale=True).to_pil()
    return picture.crop((0, 0, picture.width, picture.height // 2))


def turned(degrees):
    """The page turned clockwise."""
    return page().rotate(-degrees, expand=True)


def saved(*pictures, form="PNG", **more):
    """Pictures as a file."""
    out = io.BytesIO()
    if len(pictures) > 1:
        more |= {"save_all": True, "append_images": pictures[1:]}
    pictures[0].save(out, form, **{"dpi": (200, 200), **more})
    return out.getvalue()


def fax(pages=1):
    """The page as machines send it: G4, more dots across than down."""
    picture = page().resize((1728, 1100)).convert("1")
    return saved(*[picture] * pages, form="TIFF", compression="group4", dpi=(204, 196), tiffinfo={278: 1100})


def recall(text):
    """The share of the page's words that a text has."""
    wanted = Counter(WORD.findall(f"Progress note {TEXT} {TEXT}"))
    return (wanted & Counter(WORD.findall(text))).total() / wanted.total()


def layer(pdf, at=0):
    """The text that a PDF's page has."""
    with pypdfium2.PdfDocument(pdf) as document:
        return document[at].get_textpage().get_text_range()


def pixels(pdf, at=0):
    """The data of a page's only picture, as it stands in the file."""
    with pikepdf.open(io.BytesIO(pdf)) as document:
        (picture,) = document.pages[at].get_images().values()
        return picture.read_raw_bytes()


def choose(monkeypatch, name):
    """Have one engine do the reading, without haste; the test is skipped where it is missing."""
    monkeypatch.setattr(pages, "LONGEST", 3600.0)  # a busy machine needs minutes for a page
    monkeypatch.setattr(document, "SECONDS", 36000.0)
    if name == "tesseract":
        if shutil.which("tesseract") is None:
            if os.environ.get("CI"):
                pytest.fail("tesseract is missing, and CI must have it")
            pytest.skip("tesseract is missing")
        return
    monkeypatch.setattr(tesseract, "installed", lambda: None)
    if name == "rapidocr":
        if importlib.util.find_spec("rapidocr") is None or importlib.util.find_spec("onnxruntime") is None:
            pytest.skip("docpipe[ocr] is not installed")
    else:
        monkeypatch.setattr(rapid, "installed", lambda: False)


def scan_pdf(*pictures, text="", mode=0, rotate=0):
    """A PDF of pictures, each over its whole page, with a line of digital text on it where asked for."""
    out = io.BytesIO()
    document = pikepdf.new()
    font = document.make_indirect(
        pikepdf.Dictionary(
            Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica
        )
    )
    for picture in pictures:
        made = document.add_blank_page(page_size=(612, 396))
        image = pikepdf.Stream(document, Image.Image.tobytes(picture.convert("L")))
        image.update(
            {
                "/Type": pikepdf.Name.XObject,
                "/Subtype": pikepdf.Name.Image,
                "/Width": picture.width,
                "/Height": picture.height,
                "/ColorSpace": pikepdf.Name.DeviceGray,
                "/BitsPerComponent": 8,
            }
        )
        made.Resources = pikepdf.Dictionary(
            XObject=pikepdf.Dictionary(Im0=document.make_indirect(image)), Font=pikepdf.Dictionary(F1=font)
        )
        displayed = f"BT {mode} Tr /F1 9 Tf 20 385 Td ({text}) Tj ET" if text else ""
        made.Contents = document.make_stream(f"q 612 0 0 396 0 0 cm /Im0 Do Q {displayed}".encode())
        if rotate:
            made.rotate(rotate, relative=True)
    document.save(out, static_id=True)
    return out.getvalue()
