"""CDA, and C-CDA above all: header, narrative, and the documents that it carries."""

from dataclasses import dataclass, field
from pathlib import PurePosixPath

from docpipe.convert.core.base import Content, Embedded, Source, UnreadableError
from docpipe.convert.core.blocks import Block, Paragraph
from docpipe.convert.core.detect import detect
from docpipe.convert.core.kinds import kind_of
from docpipe.convert.core.payload import ELSEWHERE, MISSING, UNDECODED, decoded, looks_encoded
from docpipe.convert.core.tree import Flow
from docpipe.convert.core.xmltree import MENDED, Element, local, parse, text_of, words_of
from docpipe.convert.readers.cda import child, facts, header, narrative, neutral


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
    found = _Found(warnings=[MENDED] if parsed.mended else [])
    documents = _documents(parsed.root)
    for element in (element for root in documents for element in root.iter()):
        if local(element) == "nonXMLBody":
            _body(element, source, found)
        elif _carries(element) and not _in_body(element):
            _carried(element, found)
        elif local(element) == "observationMedia":
            _shown(element, source, found)
    said = facts(documents[0])
    blocks = (
        *(
            block
            for root in documents
            for block in (*header(root, facts(root)), *narrative(root, found.pictures))
        ),
        *found.blocks,
    )
    if not blocks and not found.embedded:
        if UNDECODED in found.warnings:
            raise UnreadableError("The document inside of this file is damaged and cannot be decoded.")
        raise UnreadableError("The clinical document has neither text nor embedded documents.")
    return Content(
        blocks=blocks,
        facts=said,
        embedded=tuple(found.embedded),
        warnings=tuple(dict.fromkeys(found.warnings)),
        libraries=("lxml",),
    )


def _documents(root: Element) -> list[Element]:
    """The document, or those in an envelope, as elements or as text; else the root as a fragment of one."""
    for _ in range(2):
        found = [element for element in root.iter() if local(element) == "ClinicalDocument"]
        if found:
            return found
        text = next(
            (text for element in root.iter() if "ClinicalDocument" in (text := element.text or "")[:5000]), ""
        )
        if not text:
            break
        root = parse(text.encode()).root
    return [root]


def _carries(element: Element) -> bool:
    """Whether the element's text is an encoded document; pictures are, too, where they do not say so."""
    if (element.get("representation") or "").upper() == "B64":
        return True
    media = (element.get("mediaType") or "text/").lower()
    return not media.startswith("text/") and looks_encoded(element.text or "")


def _shown(media: Element, source: Source, found: _Found) -> None:
    """A picture that is a file beside the document, or elsewhere."""
    reference = child(media, "value", "reference")
    name, value = media.get("ID"), reference.get("value") if reference is not None else None
    if not value or text_of(media).strip():
        return
    wanted = PurePosixPath(value.replace("\\", "/")).name or value
    if name:
        found.pictures[name] = wanted
    _missed(wanted, source, found)


def _in_body(element: Element) -> bool:
    return any(local(above) == "nonXMLBody" for above in element.iterancestors())


def _body(body: Element, source: Source, found: _Found) -> None:
    """An unstructured body: encoded, a reference to a file, or plain text."""
    for text in (inner for inner in body if local(inner) == "text"):
        declared = text.get("mediaType")
        reference = child(text, "reference")
        if _carries(text) or (declared is None and looks_encoded(text.text or "")):
            _carried(text, found, note=True)
        elif reference is not None and reference.get("value"):
            _referred(reference.get("value") or "", source, found)
        elif declared in {None, "text/plain"} or len(text):
            found.blocks += Flow(keep_lines=True).blocks(neutral(text))
        elif words_of(text):
            data = text_of(text).encode()
            _add(data, declared, found)
            found.blocks.append(_note(found.embedded[-1]))


def _carried(element: Element, found: _Found, *, note: bool = False) -> None:
    """An element whose text is an encoded document."""
    text = text_of(element)
    if not text.strip():
        return
    declared = element.get("mediaType")
    data = decoded(text, declared, compressed=element.get("compression") is not None)
    if data is None:
        found.warnings.append(UNDECODED)
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
    _missed(wanted, source, found)
    found.blocks.append(Paragraph(f"The content of this document is the file {wanted or value}."))


def _missed(wanted: str, source: Source, found: _Found) -> None:
    """Tell of a file that is referred to and not at hand."""
    beside = [name for name in source.siblings if PurePosixPath(name.replace("\\", "/")).name == wanted]
    if source.siblings and not beside:
        found.warnings.append(MISSING)
    elif not beside:
        found.warnings.append(ELSEWHERE)
