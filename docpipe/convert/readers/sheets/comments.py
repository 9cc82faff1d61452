"""Notes on the cells of Excel, and the conversations (threaded comments) that newer versions have."""

from collections.abc import Iterator
from typing import Final

from docpipe.convert.core.base import UnreadableError
from docpipe.convert.core.blocks import tidy
from docpipe.convert.core.opc import SALVAGED, Package
from docpipe.convert.core.xmltree import Element
from docpipe.convert.readers.office.ooxml import attribute, down
from docpipe.convert.readers.sheets.styles import text_of

_COPY: Final = "tc="
"""How the author of a note begins that copies a conversation for older versions."""


def comments(package: Package, sheet: str) -> Iterator[str]:
    """The notes on a sheet's cells, each with its cell and author; conversations with times."""
    threads = list(_threads(package, sheet))
    talked = {cell for cell, _ in threads}
    yield from (text for _, text in threads)
    root = package.related(sheet, "comments")
    if root is None:
        return
    authors = [tidy(author.text or "") for author in root.iter("{*}author")]
    for comment in root.iter("{*}comment"):
        body = down(comment, "text")
        text = tidy(text_of(body)) if body is not None else ""
        index = comment.get("authorId") or ""
        author = authors[int(index)] if index.isdigit() and int(index) < len(authors) else ""
        cell = comment.get("ref") or ""
        if text and not (author.startswith(_COPY) and cell in talked):
            who = f" ({author})" if author and not author.startswith(_COPY) else ""
            yield f"{cell}{'' if author and text.startswith(author) else who}: {text}"


def _threads(package: Package, sheet: str) -> Iterator[tuple[str, str]]:
    """Cell and text of each part of the conversations."""
    people: dict[str, str] = {}
    for name in package.relations(sheet, "threadedComment"):
        people = people or _people(package)
        for each in _read(package, name, "threadedComment"):
            text = tidy("".join(part.text or "" for part in each.iter("{*}text")))
            who = people.get(attribute(each, "personId") or "", "")
            when = (attribute(each, "dT") or "")[:16]
            kind = "reply" if attribute(each, "parentId") else ""
            ended = "resolved" if attribute(each, "done") in {"1", "true"} else ""
            about = ", ".join(part for part in (who, when, kind, ended) if part)
            cell = attribute(each, "ref") or ""
            if text:
                yield cell, f"{cell} ({about}): {text}" if about else f"{cell}: {text}"


def _people(package: Package) -> dict[str, str]:
    """The names of those who wrote, by their ids."""
    return {
        attribute(each, "id") or "": tidy(attribute(each, "displayName") or "")
        for name in package.names()
        if name.lower().startswith("xl/persons/")
        for each in _read(package, name, "person")
    }


def _read(package: Package, name: str, tag: str) -> list[Element]:
    try:
        return list(package.xml(name).iter(f"{{*}}{tag}")) if package.has(name) else []
    except UnreadableError:
        package.warnings.append(SALVAGED)
        return []
