"""Blocks to PDF/A with Typst: the data goes in as JSON and is never parsed as markup.

Only fonts are read from the disk, and nothing is downloaded.
"""

import base64
import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from typing import Any, Final

import pikepdf
import typst

from docpipe.convert.core.base import Facts
from docpipe.convert.core.blocks import (
    Block,
    Heading,
    Listing,
    Paragraph,
    Picture,
    Preformatted,
    Table,
    pictures,
    texts,
)
from docpipe.convert.core.direction import direction, isolated, runs_left
from docpipe.convert.core.marks import Mark, only_part, plain, spans
from docpipe.convert.writers.portions import portions
from docpipe.convert.writers.sheet import Sheet

_NO_SHEET: Final = Sheet()
PROVEN: Final = "PDF/A-2b"
"""What Typst checks as it writes."""
_NOWHERE: Final = "/nonexistent"
_POINTS_A_PIXEL: Final = 0.75
_WIDTH: Final = 440.0
_HEIGHT: Final = 600.0
"""The most points of a picture on the page."""
_MOST_PARTS: Final = 25
"""A PDF of more would have some 2,000 pages and take minutes; the text has it all."""
CUT: Final = (
    "the PDF holds only the beginning, since the whole would be too long for one; the text has all of it"
)
_REMEMBERED: Final = 12
"""Typst keeps what it computed before, 100 MB a part, and drops what ten documents did not use."""
_WIDEST: Final = 14
"""A table with more columns is set as records, since its cells would be too narrow for words."""
_NO_FONT: Final = "the PDF lacks some characters because no font has them; the text has them"
_LACKING: Final = re.compile(r'the text `"(.+?)"` could not be displayed')
_FONTS: Final = {
    "fonts-noto-cjk": re.compile("[\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff]"),
    "fonts-noto-core": re.compile("[\u0530-\u109f\u1200-\u1cff\ua4d0-\ua95f\ua980-\uabff]"),
}
"""Debian's packages of fonts by the scripts that they have."""
_LONG_WORD: Final = re.compile(r"\S{13,}")
_BREAKABLE: Final = re.compile(r"([-/_,;:.@=&?)\]|])(?=\w)|(\w{12})(?=\w)")


@dataclass(frozen=True, slots=True)
class Typeset:
    """A PDF, the PDF/A level it was proven to meet (None: none), and what was lost."""

    pdf: bytes
    proven: str | None
    warnings: tuple[str, ...] = ()


class TypesetError(Exception):
    """No PDF can be made of the blocks."""


def render(blocks: Iterable[Block], facts: Facts, sheet: Sheet = _NO_SHEET) -> Typeset:
    """The blocks as a PDF, the same bytes for the same blocks, facts and line at the head of its pages.

    Raises: TypesetError.
    """
    template = resources.files("docpipe.convert.writers").joinpath("document.typ").read_bytes()
    done: list[Typeset] = []
    parts = list(portions(blocks))
    for number, part in enumerate(parts):
        if number == _MOST_PARTS:
            done[-1] = Typeset(done[-1].pdf, None, (*done[-1].warnings, CUT))
            break
        if number:
            forget()
        data = {
            "title": facts.title or "",
            "author": facts.author or "",
            "lang": _language(facts.language),
            "head": {"patient": sheet.patient, "title": sheet.title},
            "alone": len(parts) == 1,
            "blocks": [_data(block) for block in part],
        }
        files = {"main.typ": template, "data.json": json.dumps(data).encode()}
        files |= {each.file: _as_svg(each) for each in pictures(part)}
        done.append(_set(files, _timestamp(facts.date)))
    return done[0] if len(done) == 1 else _joined(done)


def _as_svg(picture: Picture) -> bytes:
    """The picture within an SVG: files that are handed to Typst by name have to be text."""
    kind = "png" if picture.data.startswith(b"\x89PNG") else "jpeg"
    size = f'width="{picture.width}" height="{picture.height}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}><image {size} '
        f'href="data:image/{kind};base64,{base64.b64encode(picture.data).decode()}"/></svg>'
    ).encode()


def forget() -> None:
    """Have Typst drop what it remembers of the parts before, which is of no use for the next."""
    for _ in range(_REMEMBERED):
        typst.compile(  # type: ignore[call-overload]  # as below
            {"main.typ": b"."},
            format="pdf",
            ignore_system_fonts=True,
            package_path=_NOWHERE,
            package_cache_path=_NOWHERE,
        )


def _set(files: Mapping[str, bytes], timestamp: int) -> Typeset:
    """As PDF/A with Typst's own fonts, then with the machine's too, then without PDF/A."""
    tries: tuple[tuple[list[str], bool], ...] = ((["a-2b"], True), (["a-2b"], False), ([], False))
    lacking = ""
    for standards, own_fonts in tries:
        try:
            pdf = typst.compile(  # type: ignore[call-overload]  # its stub leaves dictionaries of files out
                dict(files),
                format="pdf",
                pdf_standards=standards,
                timestamp=timestamp,
                ignore_system_fonts=own_fonts,
                package_path=_NOWHERE,
                package_cache_path=_NOWHERE,
            )
            return Typeset(pdf, PROVEN if standards else None, _lacks(standards, lacking))
        except typst.TypstError as error:
            last: BaseException = error
            lacking = str(error)
        except BaseException as error:
            # A panic inside of Typst arrives as an exception that is not an Exception.
            if type(error).__name__ != "PanicException":
                raise
            last = error
    raise TypesetError("no PDF could be set") from last


def _lacks(standards: list[str], error: str) -> tuple[str, ...]:
    """The warning for characters without a font, with the package that has one of the first."""
    if standards:
        return ()
    missing = _LACKING.search(error)
    package = next((name for name, signs in _FONTS.items() if missing and signs.search(missing[1])), None)
    return (f"{_NO_FONT}; install the package {package} for them" if package else _NO_FONT,)


def _joined(parts: list[Typeset]) -> Typeset:
    """The parts as one PDF. Each was checked as PDF/A; the whole cannot be, and so claims nothing."""
    out = io.BytesIO()
    warnings = tuple(dict.fromkeys(warning for part in parts for warning in part.warnings))
    with pikepdf.open(io.BytesIO(parts[0].pdf)) as whole:
        for part in parts[1:]:
            with pikepdf.open(io.BytesIO(part.pdf)) as more:
                whole.pages.extend(more.pages)
        for key in ("/StructTreeRoot", "/MarkInfo", "/Metadata"):  # they describe the first part alone
            if key in whole.Root:
                del whole.Root[key]
        for page in whole.pages:
            if "/StructParents" in page.obj:
                del page.obj["/StructParents"]
        _number(whole)
        whole.save(out, deterministic_id=True)
    return Typeset(out.getvalue(), None, warnings)


def _number(whole: pikepdf.Pdf) -> None:
    """Write "page n of m" below each page: the total is unknown within one part."""
    font = whole.make_indirect(
        pikepdf.Dictionary(
            Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica
        )
    )
    for at, page in enumerate(whole.pages, 1):
        text = f"page {at} of {len(whole.pages)}"
        name = page.add_resource(font, pikepdf.Name.Font)
        left = (float(page.mediabox[2]) - 4 * len(text)) / 2
        page.contents_add(b"q", prepend=True)
        page.contents_add(f"Q BT 0.35 g {name} 8 Tf {left:g} 28 Td ({text}) Tj ET".encode())


def _data(block: Block) -> dict[str, Any]:
    if isinstance(block, Picture):
        scale = min(_POINTS_A_PIXEL, _WIDTH / block.width, _HEIGHT / block.height)
        width = round(block.width * scale, 2)
        return {"rtl": False, "kind": "picture", "file": block.file, "width": width}
    rtl = _runs_left(block)
    return {"rtl": rtl, **_content(block, rtl=rtl)}


def _runs_left(block: Block) -> bool:
    """Whether a block is set from right to left, by its first letter."""
    return runs_left(texts([block]))


def _content(block: Heading | Paragraph | Preformatted | Listing | Table, *, rtl: bool) -> dict[str, Any]:
    match block:
        case Heading(level, text):
            return {
                "kind": "heading",
                "level": min(max(level, 1), 6),
                "text": _lines(only_part(text), rtl=rtl),
            }
        case Paragraph(text):
            return {"kind": "paragraph", "text": _lines(only_part(text), rtl=rtl)}
        case Preformatted(text):
            return {"kind": "preformatted", "text": _lines(text.expandtabs(8).strip("\n"))}
        case Listing(items, start, labels):
            listed = [[_data(part) for part in item] for item in items]
            return {"kind": "list", "start": start, "labels": list(map(plain, labels)), "items": listed}
        case Table() if block.width > _WIDEST:
            return _records(block)
        case Table(head, rows):
            return {
                "kind": "table",
                "widths": _widths(block),
                "head": [[_cell(only_part(cell), rtl=rtl) for cell in row] for row in head],
                "rows": [[_cell(cell, rtl=rtl) for cell in row] for row in rows],
                "repeat": sum(len(cell) for row in head for cell in row) < 400,  # noqa: PLR2004 - a few lines
            }


def _cell(text: str, *, rtl: bool) -> Any:
    """A cell's text; with its own direction where that is not the table's."""
    own = runs_left([text]) if direction(text) else rtl
    given = _lines(_breakable(text), rtl=own)
    return given if own == rtl else {"rtl": own, "text": given}


def _lines(text: str, *, rtl: bool = False) -> str | list[list[dict[str, Any]]]:
    """Text unchanged or, where it has marks, as lines of passages."""
    if rtl:
        text = isolated(text)
    if plain(text) == text:
        return text
    return [
        [
            {
                "text": part.text,
                "struck": Mark.STRUCK in part.marks,
                "inserted": Mark.INSERTED in part.marks,
                "bold": Mark.BOLD in part.marks,
                "italic": Mark.ITALIC in part.marks,
            }
            for part in spans(line)
        ]
        for line in text.split("\n")
    ]


def _records(table: Table) -> dict[str, Any]:
    names = [" ".join(row[at] for row in table.head).strip() for at in range(table.width)]
    lines = (
        "; ".join(f"{name}: {cell}" if name else cell for name, cell in zip(names, row, strict=True) if cell)
        for row in table.rows
    )
    items = [[_data(Paragraph(line.replace("\n", " ")))] for line in lines]
    return {"kind": "list", "start": None, "labels": [], "items": items or [[]]}


def _widths(table: Table) -> list[float]:
    """Shares of the page's width: between what the longest word needs and what the whole text would like."""
    shares = []
    for at in range(table.width):
        cells = [plain(row[at]) for row in (*table.head, *table.rows)]
        word = max((min(13, len(word)) for cell in cells for word in cell.split()), default=1)
        wish = max((len(line) for cell in cells for line in cell.split("\n")), default=1)
        shares.append(round(2 + max(word * 1.05, min(60, wish) ** 0.8), 2))  # 2 for the margins
    return shares


def _breakable(text: str) -> str:
    """Text with places to break in its longest words, for narrow cells."""
    return _LONG_WORD.sub(lambda word: _BREAKABLE.sub("\\1\\2\u200b", word[0]), text)


def _language(language: str | None) -> str | None:
    match = re.match(r"[a-z]{2,3}(?![a-z])", (language or "").lower())
    return match[0] if match else None


def _timestamp(date: str | None) -> int:
    """Seconds since the epoch of the document's own date, so that the PDF's bytes do not depend on today."""
    try:
        when = datetime.fromisoformat(date or "")
        return max(0, int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()))
    except (ValueError, OverflowError):
        return 0
