"""Word documents: body, headers and footers, notes and text boxes, with headings, lists and tables.

Read here with lxml rather than with mammoth, which drops headers and footers (where a patient's name often
stands alone), builds several trees in pure Python, and has no limit on what a file may unpack to.
"""

import re
import zipfile
from collections.abc import Iterator
from typing import Final

from docpipe.convert.base import Content, Embedded, Facts, Source, UnreadableError
from docpipe.convert.blocks import Block, Listing, Paragraph, tidy, words
from docpipe.convert.docx import Body, Styles, attribute
from docpipe.convert.kinds import ENCRYPTED_OFFICE
from docpipe.convert.xmltree import Element, local, parse

_LARGEST_PART: Final = 100 * 2**20
_MOST_PICTURES: Final = 100
_PICTURE: Final = re.compile(r"word/media/[^/]+\.(?:png|jpe?g|gif|bmp|tiff?)", re.IGNORECASE)


def read(source: Source) -> Content:
    """The document's facts and blocks; its pictures as embedded documents where it has no text at all.

    Raises: UnreadableError.
    """
    if source.media_type == ENCRYPTED_OFFICE:
        raise UnreadableError("The document needs a password.")
    try:
        archive = zipfile.ZipFile(source.path)
    except Exception as error:
        raise UnreadableError("The file is cut short.") from error
    with archive:
        package = _Package(archive)
        main = package.main()
        blocks = _blocks(package, main)
        pictures = [name for name in archive.namelist() if _PICTURE.fullmatch(name)][:_MOST_PICTURES]
        warnings = ["pictures within the text were not read"] if pictures else []
        embedded: tuple[Embedded, ...] = ()
        if pictures and not words(blocks):
            embedded = tuple(Embedded(name.rpartition("/")[2], None, package.part(name)) for name in pictures)
        if not words(blocks):
            blocks = (Paragraph("This document has no text." + " It consists of pictures." * bool(pictures)),)
        return Content(
            blocks=blocks,
            facts=package.facts(),
            embedded=embedded,
            warnings=tuple(warnings),
            libraries=("lxml",),
        )


def _blocks(package: "_Package", main: str) -> tuple[Block, ...]:
    styles = Styles(package.related(main, "styles"), package.related(main, "numbering"))
    body = Body(styles)
    root = package.xml(main)
    blocks = body.blocks(next((element for element in root if local(element) == "body"), root))
    kept = {
        (local(element), attribute(element, "id") or ""): element
        for kind in ("footnotes", "endnotes")
        for element in _parts_of(package.related(main, kind))
    }
    notes = [body.blocks(kept[key]) if key in kept else () for key in tuple(body.notes)]
    if notes:
        blocks = (*blocks, Listing(tuple(note or (Paragraph("-"),) for note in notes), 1))
    return (*_margins(package, main, body, "header"), *blocks, *_margins(package, main, body, "footer"))


def _parts_of(element: Element | None) -> list[Element]:
    return [] if element is None else list(element)


def _margins(package: "_Package", main: str, body: Body, kind: str) -> tuple[Block, ...]:
    """Every header or footer of the document, each once."""
    found = [block for name in package.relations(main, kind) for block in body.blocks(package.xml(name))]
    return tuple(dict.fromkeys(found))


class _Package:
    """The parts of an Office file, by their relations."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._names = {name.lower(): name for name in archive.namelist()}

    def part(self, name: str) -> bytes:
        """The bytes of a part.

        Raises: UnreadableError.
        """
        try:
            with self._archive.open(self._names.get(name.lower(), name)) as opened:
                data = opened.read(_LARGEST_PART + 1)
        except RuntimeError as error:
            raise UnreadableError("The document needs a password.") from error
        except Exception as error:
            raise UnreadableError("The document is damaged: a part of it cannot be unpacked.") from error
        if len(data) > _LARGEST_PART:
            raise UnreadableError("The document unpacks to more than it may.")
        return data

    def xml(self, name: str) -> Element:
        """The tree of a part."""
        return parse(self.part(name)).root

    def main(self) -> str:
        """The part with the text."""
        names = [*self.relations("", "officeDocument"), "word/document.xml"]
        for name in names:
            if name.lower() in self._names:
                return name
        raise UnreadableError("The document is damaged: it lacks its text.")

    def relations(self, name: str, kind: str) -> list[str]:
        """The parts that a part refers to by a kind of relation; "" is the package itself."""
        folder, _, base = name.rpartition("/")
        rels = f"{folder}/_rels/{base}.rels".lstrip("/") if name else "_rels/.rels"
        if rels.lower() not in self._names:
            return []
        return [
            _joined(folder, relation.get("Target", ""))
            for relation in self.xml(rels)
            if (relation.get("Type") or "").endswith(f"/{kind}") and relation.get("TargetMode") != "External"
        ]

    def related(self, name: str, kind: str) -> Element | None:
        """The tree of the first part of a kind that is there."""
        for target in self.relations(name, kind):
            if target.lower() in self._names:
                return self.xml(target)
        return None

    def facts(self) -> Facts:
        """What the document's properties say."""
        said: dict[str, str] = {}
        if (core := self.related("", "metadata/core-properties")) is not None:
            said = {local(element): tidy(element.text or "") for element in core}
        return Facts(
            title=said.get("title") or None,
            author=said.get("creator") or None,
            date=said.get("modified") or said.get("created") or None,
            language=said.get("language") or None,
        )


def _joined(folder: str, target: str) -> str:
    parts: list[str] = [] if target.startswith("/") else folder.split("/") if folder else []
    for part in _segments(target):
        if part == "..":
            del parts[-1:]
        else:
            parts.append(part)
    return "/".join(parts)


def _segments(target: str) -> Iterator[str]:
    return (part for part in target.split("/") if part not in {"", "."})
