"""What Word, Excel and PowerPoint files have in common: drawings, pictures, documents inside of documents."""

import io
from collections.abc import Iterable, Iterator
from typing import Final

from docpipe.convert.core.base import Embedded, UnreadableError
from docpipe.convert.core.blocks import Block, tidy
from docpipe.convert.core.detect import detect
from docpipe.convert.core.kinds import kind_of
from docpipe.convert.core.opc import Package
from docpipe.convert.core.xmltree import local
from docpipe.convert.readers.office.drawing import is_hidden, paragraph_text
from docpipe.convert.readers.office.objects import Objects
from docpipe.convert.readers.office.ole import unwrapped
from docpipe.convert.readers.office.ooxml import attribute
from docpipe.convert.readers.office.runs import HIDDEN, Visibility, withheld

HIDDEN_SLIDES: Final = "hidden slides are included"
_MOST_EMBEDDED: Final = 500
_MOST_PICTURES: Final = 100
_SCAN: Final = 1_000_000
"""Pixels from which a picture may be a scan, and becomes a document of its own."""
_MOST_BYTES: Final = 200 * 2**20


def embedded_documents(package: Package, warnings: list[str]) -> tuple[Embedded, ...]:
    """The documents inside of a document, unwrapped from OLE where they can be."""
    documents: list[Embedded] = []
    left = _MOST_BYTES
    charts = _chart_data(package)
    for name in package.embeddings()[:_MOST_EMBEDDED]:
        if name.lower() in charts:
            continue
        try:
            data = package.part(name)
        except UnreadableError:
            warnings.append("an embedded document could not be taken out")
            continue
        left -= len(data)
        if left < 0:
            warnings.append("some embedded documents are too large to be taken out")
            break
        part = _unwrapped(data, name)
        if documents_among([part]):
            documents.append(part)
        elif part.data:
            warnings.append("an embedded object is not shown; it is in the original")
    return tuple(documents)


def _unwrapped(data: bytes, name: str) -> Embedded:
    title, inner = unwrapped(data, name.rpartition("/")[2])
    return Embedded(title, None, inner)


def documents_among(parts: Iterable[Embedded]) -> tuple[Embedded, ...]:
    """Those parts that are documents of a known type."""
    return tuple(
        part
        for part in parts
        if part.data and kind_of(detect(part.data, part.name)).extension not in {".bin", ".ole"}
    )


def picture_documents(package: Package, *, everyone: bool) -> tuple[Embedded, ...]:
    """The pictures that are documents of their own: those that may be scans, or all of them."""
    pictures = []
    for name in package.pictures()[:_MOST_PICTURES]:
        try:
            data = package.part(name)
        except UnreadableError:
            continue
        if not name.lower().endswith((".emf", ".wmf")) and (
            everyone or is_scan(data)
        ):  # EMF and WMF are drawings
            pictures.append(Embedded(name.rpartition("/")[2], None, data))
    return tuple(pictures)


def is_scan(data: bytes) -> bool:
    """Whether a picture is large enough to be a scanned page."""
    from PIL import Image  # noqa: PLC0415 - heavy, and needed for documents with pictures alone

    try:
        with Image.open(io.BytesIO(data)) as picture:
            return picture.width * picture.height >= _SCAN
    except Exception:  # noqa: BLE001 - a broken picture raises a dozen types
        return False


def _chart_data(package: Package) -> set[str]:
    """The workbooks behind charts: their numbers are the chart's, not a document."""
    return {
        target.lower()
        for name in package.names()
        if "/charts/" in name.lower() and name.lower().endswith(".xml")
        for target in package.targets(name).values()
    }


def drawn_objects(package: Package, name: str, objects: Objects) -> Iterator[Block]:
    """The pictures and charts that are drawn on a sheet."""
    for drawing in package.relations(name, "drawing"):
        if not package.has(drawing):
            continue
        within = objects.of(drawing)
        try:
            root = package.xml(drawing)
        except UnreadableError:
            continue
        for element in root.iter("{*}blip", "{*}chart"):
            if is_hidden(element):
                continue
            if local(element) == "chart":
                yield from within.chart(attribute(element, "id") or "")
            else:
                yield from within.picture(attribute(element, "embed") or "")


def drawn_texts(package: Package, name: str) -> Iterator[str]:
    """The texts of the shapes that are drawn on a sheet."""
    for drawing in package.relations(name, "drawing"):
        if not package.has(drawing):
            continue
        yield from diagram_texts(package, drawing)
        try:
            root = package.xml(drawing)
        except UnreadableError:
            continue
        for body in root.iter("{*}txBody"):
            if text := tidy("\n".join(paragraph_text(each) for each in body if local(each) == "p")):
                if is_hidden(body.getparent()):
                    package.warnings.append(HIDDEN)
                    text = withheld(text, Visibility.HIDDEN)
                yield text


def diagram_texts(package: Package, name: str) -> Iterator[str]:
    """The texts of the diagrams (SmartArt) that a part shows."""
    for diagram in package.relations(name, "diagramData"):
        if not package.has(diagram):
            continue
        try:
            root = package.xml(diagram)
        except UnreadableError:
            continue
        for point in root.iter("{*}pt"):
            if text := tidy("\n".join(map(paragraph_text, point.iter("{*}p")))):
                yield text
