"""CDA, and C-CDA above all: header, narrative, and the documents that it carries."""

from dataclasses import dataclass, field
from pathlib import PurePosixPath

from docpipe.convert.core.base import Content, Embedded, Source, UnreadableError
from docpipe.convert.core.blocks import Block, placeholder
from docpipe.convert.core.detect import detect
from docpipe.convert.core.kinds import kind_of
from docpipe.convert.core.payload import ELSEWHERE, MISSING, UNDECODED, decoded, looks_encoded
from docpipe.convert.core.tree import Flow
from docpipe.convert.core.xmltree import MENDED, Element, local, parse, text_of, words_of
from docpipe.convert.readers.cda.document import facts, header, narrative
from docpipe.convert.readers.cda.heads import child
from docpipe.convert.readers.cda.narrative import neutral


@dataclass(slots=True)
class _Reading:
    """Content besides the narrative: documents, pictures, and warnings."""

    embedded: list[Embedded] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    pictures: dict[str, str] = field(default_factory=dict)


def read(source: Source) -> Content:
    """The document's facts and blocks, and its embedded documents.

    Raises: UnreadableError.
    """
    parsed = parse(source.data())
    reading = _Reading(warnings=[MENDED] if parsed.mended else [])
    documents = _documents(parsed.root)
    for element in (element for root in documents for element in root.iter()):
        if local(element) == "nonXMLBody":
            _body(element, source, reading)
        elif _carries(element) and not _in_body(element):
            _carried(element, reading)
        elif local(element) == "observationMedia":
            _picture(element, source, reading)
    document_facts = facts(documents[0])
    blocks = (
        *(
            block
            for root in documents
            for block in (*header(root, facts(root)), *narrative(root, reading.pictures))
        ),
        *reading.blocks,
    )
    if not blocks and not reading.embedded:
        if UNDECODED in reading.warnings:
            raise UnreadableError("The document inside of this file is damaged and cannot be decoded.")
        raise UnreadableError("The clinical document has neither text nor embedded documents.")
    return Content(
        blocks=blocks,
        facts=document_facts,
        embedded=tuple(reading.embedded),
        warnings=tuple(dict.fromkeys(reading.warnings)),
        libraries=("lxml",),
    )


def _documents(root: Element) -> list[Element]:
    """The document, or those in an envelope, as elements or as text; else the root as a fragment of one."""
    for _ in range(2):
        documents = [element for element in root.iter() if local(element) == "ClinicalDocument"]
        if documents:
            return documents
        text = next(
            (text for element in root.iter() if "ClinicalDocument" in (text := element.text or "")[:5000]), ""
        )
        if not text:
            break
        root = parse(text.encode()).root
    return [root]


def _carries(element: Element) -> bool:
    """Whether the element's text is an encoded document; pictures are, too, where that is not declared."""
    if (element.get("representation") or "").upper() == "B64":
        return True
    media = (element.get("mediaType") or "text/").lower()
    return not media.startswith("text/") and looks_encoded(element.text or "")


def _picture(media: Element, source: Source, reading: _Reading) -> None:
    """A picture that is a file beside the document, or elsewhere."""
    reference = child(media, "value", "reference")
    name, value = media.get("ID"), reference.get("value") if reference is not None else None
    if not value or text_of(media).strip():
        return
    wanted = PurePosixPath(value.replace("\\", "/")).name or value
    if name:
        reading.pictures[name] = wanted
    _missed(wanted, source, reading)


def _in_body(element: Element) -> bool:
    return any(local(above) == "nonXMLBody" for above in element.iterancestors())


def _body(body: Element, source: Source, reading: _Reading) -> None:
    """An unstructured body: encoded, a reference to a file, or plain text."""
    for text in (inner for inner in body if local(inner) == "text"):
        declared = text.get("mediaType")
        reference = child(text, "reference")
        if _carries(text) or (declared is None and looks_encoded(text.text or "")):
            _carried(text, reading, note=True)
        elif reference is not None and reference.get("value"):
            _referred(reference.get("value") or "", source, reading)
        elif declared in {None, "text/plain"} or len(text):
            reading.blocks += Flow(keep_lines=True).blocks(neutral(text))
        elif words_of(text):
            data = text_of(text).encode()
            _add(data, declared, reading)
            reading.blocks.append(_note(reading.embedded[-1]))


def _carried(element: Element, reading: _Reading, *, note: bool = False) -> None:
    """An element whose text is an encoded document."""
    text = text_of(element)
    if not text.strip():
        return
    declared = element.get("mediaType")
    data = decoded(text, declared, compressed=element.get("compression") is not None)
    if data is None:
        reading.warnings.append(UNDECODED)
        return
    _add(data, declared, reading)
    above = element.getparent()
    if above is not None and local(above) == "observationMedia" and (name := above.get("ID")):
        reading.pictures[name] = reading.embedded[-1].name
    if note:
        reading.blocks.append(_note(reading.embedded[-1]))


def _add(data: bytes, declared: str | None, reading: _Reading) -> None:
    extension = kind_of(detect(data, declared=declared)).extension
    reading.embedded.append(Embedded(f"embedded-{len(reading.embedded) + 1}{extension}", declared, data))


def _note(embedded: Embedded) -> Block:
    kind = kind_of(detect(embedded.data, declared=embedded.declared))
    return placeholder(f"The content of this document is {kind.name}, kept beside it as {embedded.name}.")


def _referred(value: str, source: Source, reading: _Reading) -> None:
    wanted = PurePosixPath(value.replace("\\", "/")).name
    _missed(wanted, source, reading)
    reading.blocks.append(placeholder(f"The content of this document is the file {wanted or value}."))


def _missed(wanted: str, source: Source, reading: _Reading) -> None:
    """Warn of a referenced file that is not in the archive."""
    beside = [name for name in source.siblings if PurePosixPath(name.replace("\\", "/")).name == wanted]
    if source.siblings and not beside:
        reading.warnings.append(MISSING)
    elif not beside:
        reading.warnings.append(ELSEWHERE)
