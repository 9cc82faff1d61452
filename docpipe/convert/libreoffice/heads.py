"""A line above each page of a PDF that another program drew: whose page it is, and which of how many.

The pages become higher by the line, so that it covers nothing of them.
"""

import io
import json
from importlib import resources
from typing import Final

import pikepdf
import typst

from docpipe.convert.core.direction import isolated, runs_left
from docpipe.convert.readers.pdf.active import disarm
from docpipe.convert.writers.sheet import Sheet

MOST_PAGES: Final = 2_000
_HEIGHT: Final = 26.0
"""Of the line, in points: two lines of small type."""
_LEAST_WIDTH: Final = 120.0
_BEYOND_LATIN: Final = "\u0250"
"""From here on Typst's own fonts may lack letters; to look for others takes a while."""
_NOWHERE: Final = "/nonexistent"


class HeadsError(Exception):
    """The PDF cannot bear the lines."""


def with_heads(pdf: bytes, sheet: Sheet) -> bytes:
    """The PDF with the line above each page, and without anything that acts; the same bytes for the same PDF.

    Raises: HeadsError.
    """
    out = io.BytesIO()
    try:
        with pikepdf.open(io.BytesIO(pdf)) as pages:
            if not 0 < len(pages.pages) <= MOST_PAGES:
                raise HeadsError("it has no pages, or too many")
            disarm(pages)
            _raise_pages(pages, sheet)
            for holder, key in ((pages.Root, "/Metadata"), (pages.trailer, "/ID")):
                if key in holder:  # made from the time of this moment
                    del holder[key]
            for key in ("/CreationDate", "/ModDate"):
                if key in pages.docinfo:
                    del pages.docinfo[key]
            pages.save(out, deterministic_id=True)
    except (pikepdf.PdfError, typst.TypstError, ValueError, TypeError, KeyError) as error:
        raise HeadsError("it cannot be read") from error
    return out.getvalue()


def _raise_pages(pages: pikepdf.Pdf, sheet: Sheet) -> None:
    boxes = [[float(edge) for edge in page.mediabox] for page in pages.pages]
    widths = [max(right - left, _LEAST_WIDTH) for left, _, right, _ in boxes]
    with pikepdf.open(io.BytesIO(_lines(sheet, widths))) as lines:
        places = zip(pages.pages, lines.pages, boxes, strict=True)
        for number, (page, line, (left, bottom, right, top)) in enumerate(places, 1):
            page.mediabox = pikepdf.Array([left, bottom, right, top + _HEIGHT])
            for box in ("/CropBox", "/TrimBox", "/BleedBox", "/ArtBox"):
                if box in page.obj:
                    del page.obj[box]
            # Of its own for each page, as pages may share their resources.
            name = pikepdf.Name(f"/Docpipe{number}")
            drawing = pages.copy_foreign(line.as_form_xobject())
            page.add_resource(drawing, pikepdf.Name.XObject, name, replace_existing=True)
            page.contents_add(b"q", prepend=True)
            page.contents_add(f"Q q 1 0 0 1 {left:g} {top:g} cm {name} Do Q".encode())


def _lines(sheet: Sheet, widths: list[float]) -> bytes:
    """A PDF that has the line of each page as a page."""
    data = {
        "patient": isolated(sheet.patient) if runs_left([sheet.patient]) else sheet.patient,
        "title": isolated(sheet.title) if runs_left([sheet.title]) else sheet.title,
        "height": _HEIGHT,
        "widths": widths,
    }
    template = resources.files("docpipe.convert.libreoffice").joinpath("heads.typ").read_bytes()
    return bytes(
        typst.compile(  # type: ignore[call-overload]  # its stub leaves dictionaries of files out
            {"main.typ": template, "data.json": json.dumps(data).encode()},
            format="pdf",
            timestamp=0,
            ignore_system_fonts=max(sheet.patient + sheet.title, default="") < _BEYOND_LATIN,
            package_path=_NOWHERE,
            package_cache_path=_NOWHERE,
        )
    )
