"""What stands on each page of an OpenDocument file: headers and footers, and what masters bear."""

import re
from collections.abc import Iterator
from typing import Final

from docpipe.convert.core.blocks import Block, Paragraph, flat, tidy
from docpipe.convert.core.xmltree import Element, local, text_of
from docpipe.convert.readers.odf.content import Body
from docpipe.convert.readers.office.margins import named
from docpipe.convert.readers.office.ooxml import attribute

_FIELDS: Final = frozenset({"page-number", "page-count", "sheet-name", "header", "footer", "date-time"})
_FURNITURE: Final = frozenset({"date-time", "footer", "page-number", "header", "page", "handout", "notes"})
_NOTHING: Final = re.compile(r"(?:page|seite|of|/|[\W_])*", re.IGNORECASE)
"""The rest of a header or footer that only numbers pages."""


class Margins:
    """The headers, footers and masters of a file."""

    def __init__(self, styles: Element | None, reader: Body) -> None:
        """`styles` is the tree with the master pages; `reader` reads with their styles."""
        self._styles = styles
        self._reader = reader

    def around(self, main: Element, blocks: tuple[Block, ...]) -> tuple[Block, ...]:
        """The blocks between what stands on each page, once and named."""
        if local(main) in {"presentation", "drawing"}:
            return (
                *named(
                    "On each slide" if local(main) == "presentation" else "On each page", self._drawn(main)
                ),
                *blocks,
                *named("Slide header", self._declared(main, "header")),
                *named("Slide footer", self._declared(main, "footer")),
            )
        # By default a sheet has its name as the header and the page's number as the footer.
        sheets = local(main) == "spreadsheet"
        top, bottom = (list(self._of(kind, plain=sheets)) for kind in ("header", "footer"))
        return (*named("Page header", top), *blocks, *named("Page footer", bottom))

    def _of(self, kind: str, *, plain: bool) -> Iterator[Block]:
        for page in self._masters():
            for element in page:
                if local(element).partition("-")[0] == kind and attribute(element, "display") != "false":
                    if plain and _NOTHING.fullmatch(_words(element)):
                        continue
                    yield from self._reader.blocks(element)

    def _masters(self) -> Iterator[Element]:
        if self._styles is not None:
            yield from self._styles.iter("{*}master-page")

    def _drawn(self, main: Element) -> Iterator[Block]:
        """What the masters of the pages bear besides what each page fills in itself."""
        used = {attribute(page, "master-page-name") for page in main if local(page) == "page"}
        for master in self._masters():
            if attribute(master, "name") not in used:
                continue
            for shape in master:
                kind = attribute(shape, "class")
                if local(shape) in {"notes", "forms"} or kind in _FURNITURE:
                    continue
                if attribute(shape, "placeholder") == "true" or kind in {"title", "outline", "subtitle"}:
                    continue
                yield from self._reader.drawn(shape)

    def _declared(self, main: Element, kind: str) -> Iterator[Block]:
        """The headers or footers that pages use."""
        used = {attribute(page, f"use-{kind}-name") for page in main.iter("{*}page")}
        for element in main:
            if local(element) == f"{kind}-decl" and attribute(element, "name") in used:
                text = tidy(text_of(element))
                yield from [Paragraph(text)] if text else []
        for page in main:
            for shape in page:
                if attribute(shape, "class") == kind and (text := flat(self._reader.drawn(shape))):
                    yield Paragraph(text)


def _words(element: Element) -> str:
    """The text of a header without the fields that number pages."""
    parts = [element.text or ""]
    for inner in element:
        parts += [] if local(inner) in _FIELDS else [_words(inner)]
        parts.append(inner.tail or "")
    return "".join(parts)
