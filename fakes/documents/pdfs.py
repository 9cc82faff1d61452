"""PDFs: typeset ones with real text, and scans."""

import functools
import json
from typing import Final

import img2pdf
import typst

from fakes.documents.pictures import g4_tiff, page
from fakes.documents.story import Story

# Data comes in as JSON, never as markup. No date: the same story gives the same bytes.
_TEMPLATE: Final = b"""
#let d = json(bytes(sys.inputs.data))
#set document(title: d.title, author: d.author, date: none)
#set page(paper: "a4", header: d.header, footer: context align(center, counter(page).display()))
#set text(font: "Libertinus Serif", size: 11pt, lang: "en")
= #d.title
#d.place, #d.day
#for p in d.paragraphs [#par(p)]
#if d.rows.len() > 0 {
  pagebreak()
  heading(level: 2)[Results]
  table(columns: d.rows.at(0).len(), ..d.rows.flatten())
  pagebreak()
  heading(level: 2)[Comment]
  for p in d.paragraphs.rev() { par(p) }
}
"""


@functools.cache
def _compiler() -> typst.Compiler:
    return typst.Compiler(font_paths=typst.Fonts(include_system_fonts=False))


def letter(story: Story) -> bytes:
    """A discharge letter of one page."""
    return _typeset(story, "Discharge letter", [])


def laboratory(story: Story) -> bytes:
    """A laboratory report of three pages, with a table."""
    head = ["Test", "LOINC", "Value", "Unit", "Reference", "Flag"]
    rows = [[r.what.name, r.what.code, f"{r.value:g}", r.unit, r.reference, r.flag] for r in story.results]
    return _typeset(story, f"Laboratory report {story.number}", [head, *rows])


def scan(story: Story) -> bytes:
    """A referral letter of two pages as a scanner makes it: pictures of text, and no text."""
    pages = [page("Referral letter", story, n) for n in (1, 2)]
    # Its own engine: with pikepdf the order of objects changes from process to process.
    made: bytes = img2pdf.convert(g4_tiff(pages), nodate=True, engine=img2pdf.Engine.internal)
    return made


def _typeset(story: Story, title: str, rows: list[list[str]]) -> bytes:
    data = {
        "title": title,
        "author": story.author,
        "header": story.header,
        "place": story.place,
        "day": story.day.isoformat(),
        "paragraphs": story.paragraphs(),
        "rows": rows,
    }
    inputs = {"data": json.dumps(data, ensure_ascii=False)}
    made = _compiler().compile(input=_TEMPLATE, format="pdf", sys_inputs=inputs)
    if not isinstance(made, bytes):  # a list comes for pictures only
        raise TypeError(f"typst gave {type(made).__name__} for a PDF")
    return made
