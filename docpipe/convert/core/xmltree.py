"""XML from strangers: parsed without entities, external files or the network, and mended once where it is
broken.
"""

import codecs
import contextlib
import html
import html.entities
import re
import sys
from dataclasses import dataclass
from typing import Final

from lxml import etree

from docpipe.convert.core.base import UnreadableError
from docpipe.convert.core.blocks import tidy
from docpipe.convert.core.detect import utf16
from docpipe.convert.core.encoding import decode, known

Element = etree._Element  # noqa: SLF001 - lxml has no public name for the type that it returns

MENDED: Final = "the XML was not well-formed and was mended; check it against the original"
_LARGEST: Final = 300_000_000
"""The largest XML in bytes: a tree takes several times its file."""
_HEAD: Final = 65_536
_MOST_PREFIXES: Final = 100
_HUGE_NODE: Final = 10_000_000
"""Bytes of text that libxml2 takes in one piece."""
_QNAME: Final = re.compile(rb"<([A-Za-z_:][\w:.-]*)")
_VOID: Final = re.compile(r"<(br|hr|img|input|col|wbr)((?:\s[^<>]*?)?)\s*(?<!/)>", re.IGNORECASE)
_DECLARED: Final = re.compile(rb"^\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]+)", re.IGNORECASE)
_AMPERSAND: Final = re.compile(r"&(?:#([0-9]{1,7}|[xX][0-9A-Fa-f]{1,6});|([A-Za-z_][\w.-]*);|)")
_INVALID: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PREDEFINED: Final = frozenset({"amp", "lt", "gt", "quot", "apos"})
_TAG_START: Final = re.compile(r"<(?![A-Za-z_/!?:])")
_PREFIX: Final = re.compile(r"</?([A-Za-z_][\w.-]*):|\s([A-Za-z_][\w.-]*):[\w.-]+\s*=")
_KNOWN_PREFIXES: Final = {
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "sdtc": "urn:hl7-org:sdtc",
    "voc": "urn:hl7-org:v3/voc",
    "cda": "urn:hl7-org:v3",
    "n1": "urn:hl7-org:v3",
    "hl7": "urn:hl7-org:v3",
}


@dataclass(frozen=True, slots=True)
class Parsed:
    """The root, and whether the file had to be mended."""

    root: Element
    mended: bool = False


def parse(data: bytes) -> Parsed:
    """The tree of an XML file.

    Raises: UnreadableError with what is wrong and where, never with the file's text.
    """
    if len(data) > _LARGEST:
        raise UnreadableError("The XML is too large to be read in one piece.")
    data = _narrow(data).strip(b"\0 \t\r\n")
    try:
        return Parsed(_strictly(data))
    except etree.XMLSyntaxError as error:
        _refuse_hopeless(error)
        first = error
    mended = _mended(data)
    try:
        return Parsed(_strictly(mended), mended=True)
    except etree.XMLSyntaxError as error:
        _refuse_hopeless(error)
    if (root := _recovered(mended)) is not None:
        return Parsed(root, mended=True)
    raise UnreadableError(_plainly(first, data)) from first


def _narrow(data: bytes) -> bytes:
    """UTF-16 and UTF-32 as UTF-8, whatever the declaration names; anything else unchanged."""
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)) or utf16(data)
    if not wide:
        return data
    text = decode(data).text.lstrip("\ufeff\0 \t\r\n")
    return re.sub(r"^<\?xml[^>]*>", "", text).encode("utf-8", "replace")


def strictly(data: bytes) -> Element:
    """The root of XML that is to be well-formed; nothing is mended.

    Raises: UnreadableError.
    """
    try:
        return _strictly(data)
    except etree.XMLSyntaxError as error:
        _refuse_hopeless(error)
        raise UnreadableError(_plainly(error, data)) from error


def local(element: Element) -> str:
    """The name of an element without its namespace, empty for comments and instructions."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def text_of(element: Element) -> str:
    """All text within, unchanged."""
    return "".join(str(part) for part in element.itertext())


def words_of(element: Element | None) -> str:
    """All text within, tidied to one line."""
    return "" if element is None else " ".join(tidy(text_of(element)).split())


def _strictly(data: bytes) -> Element:
    try:
        return _root(data, huge=False)
    except etree.XMLSyntaxError as error:
        # Text over 10 MB is refused, so that a large embedded PDF fails. Huge trees are let in where no
        # entity is declared: with them, libxml2 no longer detects entity bombs.
        if "XML_PARSE_HUGE" not in str(error) or _too_deep(error) or b"<!DOCTYPE" in data.replace(b"\0", b""):
            raise
        return _root(data, huge=True)


def _recovered(data: bytes) -> Element | None:
    """The tree of XML whose tags cross or stay open, None unless every character of its text is there."""
    closed = re.search(rb"</([A-Za-z_:][\w:.-]*)\s*>\s*$", data)
    first = _QNAME.search(data)
    if closed is None or first is None or closed[1] != first[1] or b"<!DOCTYPE" in data:
        return None
    # Past an error libxml2 drops entities; they are replaced by private characters meanwhile.
    text = re.sub(r"&(lt|amp|quot|gt|apos|#\w+);", lambda match: _masked(match[0]), data.decode())
    root = _root(text.encode(), huge=len(data) > _HUGE_NODE, recover=True)
    bare = re.sub(r"<!--.*?-->|<!\[CDATA\[|\]\]>|<[^<>]*>", "", text, flags=re.DOTALL)
    if root is None or "".join(text_of(root).split()) != "".join(bare.split()):
        return None
    for element in root.iter():
        element.text, element.tail = _unmasked(element.text), _unmasked(element.tail)
        for name, value in element.attrib.items():
            if (unmasked := str(value).translate(_UNMASKED)) != value:
                with contextlib.suppress(
                    ValueError
                ):  # its prefix is not declared: the attribute has no meaning
                    element.set(name, unmasked)
    return root


_MASKED: Final = {"&lt;": "\ue000", "&amp;": "\ue001", "&quot;": "\ue002", "&apos;": "\ue003"}
_UNMASKED: Final = str.maketrans({"\ue000": "<", "\ue001": "&", "\ue002": '"', "\ue003": "'"})


def _masked(entity: str) -> str:
    character = html.unescape(entity)
    return _MASKED.get(entity) or _MASKED.get(f"&{_NAMES.get(character, '')};") or character


_NAMES: Final = {"<": "lt", "&": "amp", '"': "quot", "'": "apos"}


def _unmasked(text: str | None) -> str | None:
    return text.translate(_UNMASKED) if text else text


def _root(data: bytes, *, huge: bool, recover: bool = False) -> Element:
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=huge,
        recover=recover,
        remove_comments=True,
        remove_pis=True,
    )
    return etree.fromstring(data, parser)


def _too_deep(error: etree.XMLSyntaxError) -> bool:
    return "depth" in str(error)


def _refuse_hopeless(error: etree.XMLSyntaxError) -> None:
    text = str(error)
    if _too_deep(error):
        raise UnreadableError("The XML is nested too deeply to be read.") from error
    if "amplification" in text or "entity reference loop" in text:
        raise UnreadableError("The XML is made to exhaust memory and was not opened.") from error
    if "unknown error" in text:  # libxml2's message when memory runs out
        raise MemoryError


def _plainly(error: etree.XMLSyntaxError, data: bytes) -> str:
    if not data.rstrip().endswith(b">") or "Premature end" in str(error):
        return "The file is cut short."
    return f"The XML is damaged at line {error.lineno}, column {error.offset}."


def _mended(data: bytes) -> bytes:
    """The file with what is often wrong put right: encoding, ampersands, entities, namespaces, rubbish."""
    declared = _DECLARED.match(data)
    text = decode(data, declared[1].decode() if declared else None).text
    if declared and (encoding := known(declared[1].decode())) in {"utf-16", "utf-32"} and "<" not in text:
        text = data.decode(encoding, "replace")
    text = _INVALID.sub("", text)
    text = text[max(text.find("<"), 0) :]
    text = re.sub(r"^<\?xml[^>]*>", "", text)  # it is UTF-8 from here on
    head, rest = text[:_HEAD], text[_HEAD:]  # a repeated "<!DOCTYPE[" would take forever in the whole
    text = (
        re.sub(r"<!DOCTYPE[^<>\[]*(\[.*?\]\s*)?>", "", head, count=1, flags=re.DOTALL | re.IGNORECASE) + rest
    )
    text = _TAG_START.sub("&lt;", _AMPERSAND.sub(_entity, text))
    lowered = text.lower()
    text = _VOID.sub(lambda tag: tag[0] if f"</{tag[1].lower()}" in lowered else f"<{tag[1]}{tag[2]}/>", text)
    return _with_namespaces(_to_last_tag(text)).encode()


def _entity(match: re.Match[str]) -> str:
    number, name = match.groups()
    if number:
        point = int(f"0{number}", 0) if number[0] in "xX" else int(number)
        return "" if point > sys.maxunicode or _INVALID.match(chr(point)) else match[0]
    if name in _PREDEFINED:
        return match[0]
    if name and (character := html.entities.html5.get(f"{name};")):
        return character
    return "&amp;" + match[0][1:]


def _to_last_tag(text: str) -> str:
    """The text up to where its root ends: some writers pad their files with rubbish."""
    root = re.search(r"<([A-Za-z_:][\w:.-]*)", text)
    end = text.rfind(f"</{root[1]}") if root else -1
    close = text.find(">", end)
    return text[: close + 1] if end >= 0 and close >= 0 else text


def _with_namespaces(text: str) -> str:
    used = {match[1] or match[2] for match in _PREFIX.finditer(text)} - {"xml", "xmlns"}
    if len(used) > _MOST_PREFIXES:
        return text
    missing = sorted(prefix for prefix in used if f"xmlns:{prefix}" not in text)
    declared = "".join(
        f' xmlns:{prefix}="{_KNOWN_PREFIXES.get(prefix, "urn:undeclared:" + prefix)}"' for prefix in missing
    )
    return re.sub(r"<([A-Za-z_:][\w:.-]*)", lambda root: root[0] + declared, text, count=1)
