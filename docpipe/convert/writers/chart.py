"""The documents of a patient as one PDF: cover, table of contents, then every document with its title.

Runs in a worker, since it parses the PDFs of documents. They come as one file, one after the other, and each
is opened twice: to count its pages, and to copy them. So memory holds one of them at a time.
"""

import io
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, BinaryIO, Final

import pikepdf
import typst

from docpipe.convert.writers.joined import Joined, inherit
from docpipe.convert.writers.typeset import TypesetError, forget
from docpipe.model import Json

_ROWS: Final = 500
"""Rows of the table of contents that Typst sets at once."""
_TITLES: Final = 100
"""Titles that it sets at once: each is a page, and takes more memory."""
_NOWHERE: Final = "/nonexistent"
_LINK: Final = "docpipe:"
_PASSES: Final = 3
"""The length of the table of contents changes the page numbers in it, and these may change its length."""
_WIDTH: Final = 595.0
"""Points; titles are larger on larger pages."""
_MARGIN: Final = 24.0
_BASELINE: Final = 9.0
_STRIP: Final = (480.0, 10.0)
"""Size of a title, as chart.typ sets it."""


@dataclass(slots=True)
class _Part:
    """A document of the chart."""

    title: str
    date: str
    start: int
    """Where it begins in the file of all documents, in bytes."""
    size: int
    pages: int
    first: int = 0
    """The page of the chart where it begins, from 1."""


class _Slice(io.RawIOBase):
    """A part of a file as a file of its own, without a position shared with others."""

    def __init__(self, file: int, start: int, size: int) -> None:
        self._file, self._start, self._size, self._at = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), max(0, self._size - self._at))
        number = os.preadv(self._file, [view[:wanted]], self._start + self._at) if wanted else 0
        self._at += number
        return number


def assemble(job: Json) -> Json:
    """Make the chart.

    Args:
        job: {"path": the PDFs one after the other, "siblings": the plan as JSON, "folder": for the chart}.
            The plan is {"heading", "facts": [[name, value]], "missing": [[title, reason]], "documents":
            [{"title", "date", "size"}]} with the documents in the order of the file.

    Returns:
        An answer as of `convert.document.convert`, with `document.pdf` as its output; its warnings are the
        titles of documents whose PDF cannot be opened. They stand on the cover, too.
    """
    plan = json.loads(Path(job["siblings"]).read_bytes())
    file = os.open(job["path"], os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts, unreadable = _counted(file, plan["documents"])
        plan["missing"] += [[title, "Its PDF cannot be opened; open the original."] for title in unreadable]
        with (Path(job["folder"]) / "document.pdf").open("wb") as target:
            pages = _write(plan, file, parts, target)
    finally:
        os.close(file)
    return {
        "outcome": "converted",
        "reason": None,
        "media_type": "application/pdf",
        "extension": ".pdf",
        "outputs": ["document.pdf"],
        "metadata": {"media_type": "application/pdf", "pages": pages},
        "embedded": [],
        "warnings": unreadable,
    }


def _counted(file: int, documents: Iterable[dict[str, Any]]) -> tuple[list[_Part], list[str]]:
    """The documents with pages, and the titles of those that cannot be opened."""
    parts, unreadable, start = [], [], 0
    for document in documents:
        part = _Part(document["title"], document["date"], start, document["size"], 0)
        try:
            with _open(file, part) as pdf:
                part.pages = len(pdf.pages)
            parts.append(part)
        except (pikepdf.PdfError, pikepdf.PasswordError, ValueError):
            unreadable.append(part.title)
        start += part.size
    return [part for part in parts if part.pages], unreadable


def _open(file: int, part: _Part) -> pikepdf.Pdf:
    return pikepdf.open(_Slice(file, part.start, part.size))  # type: ignore[arg-type]  # any readable file


def _write(plan: dict[str, Any], file: int, parts: Sequence[_Part], target: BinaryIO) -> int:
    """Write the chart; returns the number of its pages."""
    front = _front(plan, parts)
    total = sum(len(piece.pages) for piece in front) + sum(part.pages for part in parts)
    whole = Joined(target, total)
    for piece in front:
        with piece:
            _lead_links(whole, piece)
            whole.add(piece)
    font = whole.stand_in(whole.add_object("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"))
    name = pikepdf.Name(f"/Chart{secrets.token_hex(4)}")
    for part, title in zip(parts, _titles(whole, parts), strict=True):
        with _open(file, part) as pdf:
            for number, page in enumerate(pdf.pages, part.first):
                inherit(page.obj)
                _add_resource(page.obj, "/XObject", name, title)
                _add_resource(page.obj, "/Font", name, font)
                _stamp(page, name, f"page {number} of {total}")
            whole.add(pdf)
    whole.finish(plan["heading"], [(part.title, part.first) for part in parts])
    return total


def _front(plan: dict[str, Any], parts: Sequence[_Part]) -> list[pikepdf.Pdf]:
    """Cover and table of contents, with the pages where the documents begin in the whole."""
    missing = plan["missing"]
    cover = [
        _typeset("cover", heading=plan["heading"], facts=facts, missing=some, title=plan["heading"])
        for facts, some in zip(
            (plan["facts"], *((),) * (len(missing) // _ROWS)), _portions(missing) or [[]], strict=False
        )
    ]
    lead = sum(len(pdf.pages) for pdf in cover) + 1
    for _ in range(_PASSES):
        at = lead + 1
        for part in parts:
            part.first, at = at, at + part.pages
        rows = [{"date": part.date, "title": part.title, "page": part.first} for part in parts]
        contents = [
            _typeset("contents", first=not number, rows=some, title=plan["heading"])
            for number, some in enumerate(_portions(rows))
        ]
        pages = sum(len(pdf.pages) for pdf in (*cover, *contents))
        if pages == lead:
            break
        lead = pages
    return [*cover, *contents]


def _titles(whole: Joined, parts: Sequence[_Part]) -> Iterator[pikepdf.Name]:
    """What stands for the title of each document, a form of the chart."""
    for some in _portions([part.title for part in parts], _TITLES):
        with _typeset("titles", titles=some, title="") as pdf:
            copies = whole.copies(pdf)
            for page in pdf.pages:
                form = pdf.make_indirect(page.as_form_xobject())
                yield whole.stand_in(copies.copy(form))


def _add_resource(page: pikepdf.Object, kind: str, name: pikepdf.Name, value: pikepdf.Name) -> None:
    """Let the contents of a page use something by a name; pages may share their resources."""
    if not isinstance(page.get("/Resources"), pikepdf.Dictionary):
        page.Resources = pikepdf.Dictionary()
    if not isinstance(page.Resources.get(kind), pikepdf.Dictionary):
        page.Resources[kind] = pikepdf.Dictionary()
    page.Resources[kind][name] = value


def _stamp(page: pikepdf.Page, name: pikepdf.Name, number: str) -> None:
    """Write title and page number at the lower edge, as it is seen, on white."""
    turned, width = _upright(page)
    scale = max(1.0, width / _WIDTH)
    width /= scale
    right = width - _MARGIN - 3.7 * len(number)
    room = max(0.0, right - 2 * _MARGIN)
    shrunk = min(1.0, room / _STRIP[0]) if room else 0.0
    page.contents_add(b"q\n", prepend=True)
    page.contents_add(
        (
            f"\nQ q {turned} cm {scale:g} 0 0 {scale:g} 0 0 cm\n"
            f"1 g 0 {_BASELINE - 3:g} {width:g} 11 re f\n"
            f"q {shrunk:g} 0 0 {shrunk:g} {_MARGIN:g} {_BASELINE - 3:g} cm {name} Do Q\n"
            f"BT 0.25 g {name} 7 Tf {right:g} {_BASELINE:g} Td ({number}) Tj ET Q\n"
        ).encode()
    )


def _upright(page: pikepdf.Page) -> tuple[str, float]:
    """The matrix from the page as it is seen to its own coordinates, and its width as seen, in points."""
    one, two = page.cropbox[:2], page.cropbox[2:]
    (left, right), (bottom, top) = (sorted(map(float, pair)) for pair in zip(one, two, strict=True))
    rotation = int(page.obj.get("/Rotate", 0)) % 360
    if rotation == 90:  # noqa: PLR2004 -- degrees, clockwise
        return f"0 1 -1 0 {right:g} {bottom:g}", top - bottom
    if rotation == 180:  # noqa: PLR2004
        return f"-1 0 0 -1 {right:g} {top:g}", right - left
    if rotation == 270:  # noqa: PLR2004
        return f"0 -1 1 0 {left:g} {top:g}", top - bottom
    return f"1 0 0 1 {left:g} {bottom:g}", right - left


def _lead_links(whole: Joined, front: pikepdf.Pdf) -> None:
    """Make the links of the table of contents lead to pages."""
    for page in front.pages:
        for link in page.obj.get("/Annots", []):
            action = link.get("/A")
            address = "" if action is None else str(action.get("/URI", ""))
            if address.startswith(_LINK):
                del link["/A"]
                link.Dest = pikepdf.Array([whole.page(int(address.removeprefix(_LINK))), pikepdf.Name.Fit])


def _typeset(part: str, **data: Any) -> pikepdf.Pdf:
    """A part of the chart's own pages.

    Raises:
        TypesetError: if Typst cannot set it.
    """
    template = resources.files("docpipe.convert.writers").joinpath("chart.typ").read_bytes()
    files = {"main.typ": template, "data.json": json.dumps({"part": part, **data}).encode()}
    try:
        pdf = typst.compile(  # type: ignore[call-overload]  # its stub leaves dictionaries of files out
            files, format="pdf", timestamp=0, package_path=_NOWHERE, package_cache_path=_NOWHERE
        )
    except typst.TypstError as error:
        raise TypesetError("the cover cannot be set") from error
    forget()
    return pikepdf.open(io.BytesIO(pdf))


def _portions(rows: Sequence[Any], size: int = _ROWS) -> list[Sequence[Any]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]
