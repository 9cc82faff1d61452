"""CDA, and C-CDA above all: header, narrative, and the documents that it carries."""

import base64
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from docpipe.convert.base import Content, Embedded, Source, UnreadableError
from docpipe.convert.blocks import Block, Paragraph
from docpipe.convert.cda import child, facts, header, narrative, neutral, text_of, words_of
from docpipe.convert.detect import detect
from docpipe.convert.kinds import EMPTY, UNKNOWN, kind_of
from docpipe.convert.tree import Flow
from docpipe.convert.xmltree import MENDED, Element, local, parse

LARGEST: Final = 256 * 2**20
"""Bytes that an embedded document may inflate to."""
_UNDECODED: Final = "an embedded document could not be decoded"
_ELSEWHERE: Final = "the content is a separate file that this document refers to"
_MISSING: Final = "the document refers to a separate file that the archive lacks"
_WINDOWS: Final = (-zlib.MAX_WBITS, zlib.MAX_WBITS, zlib.MAX_WBITS | 16)
"""Deflate bare, as zlib, as gzip: writers who claim `compression="DF"` do any of them, or none."""


@dataclass(slots=True)
class _Found:
    """What the document carries besides its narrative."""

    embedded: list[Embedded] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    pictures: dict[str, str] = field(default_factory=dict)


def read(source: Source) -> Content:
    """The document's facts and blocks, and its embedded documents.

    Raises: UnreadableError.
    """
    parsed = parse(source.data())
    root = parsed.root
    found = _Found(warnings=[MENDED] if parsed.mended else [])
    for element in root.iter():
        if local(element) == "nonXMLBody":
            _body(element, source, found)
        elif (element.get("representation") or "").upper() == "B64" and not _in_body(element):
            _carried(element, found)
    said = facts(root)
    blocks = (*header(root, said), *narrative(root, found.pictures), *found.blocks)
    if not blocks and not found.embedded:
        if _UNDECODED in found.warnings:
            raise UnreadableError("The document inside of this file is damaged and cannot be decoded.")
        raise UnreadableError("The clinical document has neither text nor embedded documents.")
    return Content(
        blocks=blocks,
        facts=said,
        embedded=tuple(found.embedded),
        warnings=tuple(dict.fromkeys(found.warnings)),
        libraries=("lxml",),
    )


def _in_body(element: Element) -> bool:
    return any(local(above) == "nonXMLBody" for above in element.iterancestors())


def _body(body: Element, source: Source, found: _Found) -> None:
    """An unstructured body: encoded, a reference to a file, or plain text."""
    for text in (inner for inner in body if local(inner) == "text"):
        declared = text.get("mediaType")
        reference = child(text, "reference")
        if (text.get("representation") or "").upper() == "B64" or _encoded(text, declared):
            _carried(text, found, note=True)
        elif reference is not None and reference.get("value"):
            _referred(reference.get("value") or "", source, found)
        elif declared in {None, "text/plain"} or len(text):
            found.blocks += Flow(keep_lines=True).blocks(neutral(text))
        elif words_of(text):
            data = text_of(text).encode()
            _add(data, declared, found)
            found.blocks.append(_note(found.embedded[-1]))


def _encoded(text: Element, declared: str | None) -> bool:
    """Whether it is base64 without saying so: no blanks within lines, and of a type that is not text."""
    content = (text.text or "").strip()
    if len(content) < 64 or (declared or "").startswith("text/plain"):  # noqa: PLR2004 - a phrase
        return False
    return re.fullmatch(r"[A-Za-z0-9+/\s]+={0,2}\s*", content) is not None and " " not in content


def _carried(element: Element, found: _Found, *, note: bool = False) -> None:
    """An element whose text is an encoded document."""
    text = text_of(element)
    if not text.strip():
        return
    declared = element.get("mediaType")
    data = _decoded(text, declared, compressed=element.get("compression") is not None)
    if data is None:
        found.warnings.append(_UNDECODED)
        return
    _add(data, declared, found)
    above = element.getparent()
    if above is not None and local(above) == "observationMedia" and (name := above.get("ID")):
        found.pictures[name] = found.embedded[-1].name
    if note:
        found.blocks.append(_note(found.embedded[-1]))


def _add(data: bytes, declared: str | None, found: _Found) -> None:
    extension = kind_of(detect(data, declared=declared)).extension
    found.embedded.append(Embedded(f"embedded-{len(found.embedded) + 1}{extension}", declared, data))


def _note(embedded: Embedded) -> Block:
    kind = kind_of(detect(embedded.data, declared=embedded.declared))
    return Paragraph(f"The content of this document is {kind.name}, kept beside it as {embedded.name}.")


def _referred(value: str, source: Source, found: _Found) -> None:
    wanted = PurePosixPath(value.replace("\\", "/")).name
    beside = [name for name in source.siblings if PurePosixPath(name.replace("\\", "/")).name == wanted]
    if source.siblings and not beside:
        found.warnings.append(_MISSING)
    elif not beside:
        found.warnings.append(_ELSEWHERE)
    found.blocks.append(Paragraph(f"The content of this document is the file {wanted or value}."))


def _decoded(text: str, declared: str | None, *, compressed: bool) -> bytes | None:
    """The bytes of a payload, None when it is neither what it claims nor anything that is known."""
    raw, sound = _base64(text)
    if raw is None:
        return None
    candidates: list[bytes] = [*_inflated(raw), raw] if compressed else [raw]
    for data in candidates:
        known = detect(data, declared=declared) not in {UNKNOWN, EMPTY}
        if known and (sound or not compressed):
            return data
    return raw if sound and not compressed else None


def _base64(text: str) -> tuple[bytes | None, bool]:
    """The decoded bytes, and whether every character belonged to base64."""
    text = re.sub(r"^\s*data:[^,]{0,200},", "", text)
    text = re.sub(r"\s+", "", text).replace("-", "+").replace("_", "/")
    kept = re.sub(r"[^A-Za-z0-9+/]", "", text)
    sound = len(kept) + text.count("=") == len(text)
    kept = kept[: len(kept) - 1] if len(kept) % 4 == 1 else kept
    if not kept:
        return None, False
    return base64.b64decode(kept + "=" * (-len(kept) % 4)), sound


def _inflated(data: bytes) -> Iterator[bytes]:
    for window in _WINDOWS:
        inflater = zlib.decompressobj(window)
        try:
            out = inflater.decompress(data, LARGEST)
        except zlib.error:
            continue
        if inflater.unconsumed_tail:
            raise UnreadableError("An embedded document unpacks to more than it may.")
        if out and inflater.eof:
            yield out
