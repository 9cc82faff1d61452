"""What is in an RTF file beside its text: pictures, and documents embedded by OLE (MS-OLEDS, 2.2.5)."""

import re
from collections.abc import Iterator
from typing import Final

from docpipe.convert.core.base import Embedded
from docpipe.convert.core.letter import file_name
from docpipe.convert.readers.office.ole import native, unwrapped
from docpipe.convert.readers.rtf.tokens import Kind, tokens

_PART: Final = re.compile(rb"\\(pict|objdata)(?![a-zA-Z])")
_FORMS: Final = {"pngblip": ".png", "jpegblip": ".jpg"}
_MOST: Final = 500
_EMBEDDED: Final = 2


def pictures(data: bytes) -> Iterator[tuple[int, Embedded]]:
    """The pictures and where their destinations begin: PNG and JPEG. Others are drawings for old readers."""
    number = 0
    for at, kind, words, content in _parts(data):
        extension = next((_FORMS[word] for word in words if word in _FORMS), None)
        if kind == b"pict" and extension and content:
            number += 1
            yield at, Embedded(f"picture {number}{extension}", None, content)


def objects(data: bytes) -> Iterator[Embedded]:
    """The documents within, unwrapped where they can be."""
    number = 0
    for _, kind, _, content in _parts(data):
        if kind == b"objdata" and (document := _object(content, f"object {number + 1}.bin")):
            number += 1
            yield Embedded(file_name(document[0], f"object {number}"), None, document[1])


def _parts(data: bytes) -> Iterator[tuple[int, bytes, set[str], bytes]]:
    """Each picture and object: where it begins, which of the two, the words that describe it, its bytes."""
    at = 0
    for _ in range(_MOST):
        match = _PART.search(data, at)
        if match is None:
            return
        words, content, at = _content(data, match.end())
        yield match.start(), match[1], words, content


def _content(data: bytes, at: int) -> tuple[set[str], bytes, int]:
    words: set[str] = set()
    hexed: list[bytes] = []
    plain = b""
    depth = 0
    for token in tokens(data, at):
        at = token.end
        match token.kind:
            case Kind.OPEN:
                depth += 1
            case Kind.CLOSE:
                depth -= 1
                if depth < 0:
                    break
            case Kind.BINARY:
                plain += token.data
            case Kind.WORD if not depth:
                words.add(token.word)
            case Kind.TEXT if not depth:
                hexed.append(token.data)
    digits = re.sub(rb"[^0-9A-Fa-f]", b"", b"".join(hexed))
    return words, bytes.fromhex(digits[: len(digits) & ~1].decode("ascii")) + plain, at


def _object(data: bytes, name: str) -> tuple[str, bytes] | None:
    """The document of an OLE 1 object: format, class, two names, size, bytes."""
    if int.from_bytes(data[4:8], "little") != _EMBEDDED:
        return None
    at = 8
    kind = b""
    for which in range(3):
        length = int.from_bytes(data[at : at + 4], "little")
        kind = data[at + 4 : at + 4 + length].rstrip(b"\0") if which == 0 else kind
        at += 4 + length
    size = int.from_bytes(data[at : at + 4], "little")
    inner = data[at + 4 : at + 4 + size]
    if not inner:
        return None
    return native(bytes(4) + inner, name) if kind == b"Package" else unwrapped(inner, name)
