"""Documents within others, in base64, compressed or not, whatever the sender declares."""

import base64
import re
import zlib
from collections.abc import Iterator
from typing import Final

from docpipe.convert.core.base import UnreadableError
from docpipe.convert.core.detect import detect
from docpipe.convert.core.kinds import EMPTY, UNKNOWN

LARGEST: Final = 256 * 2**20
"""Bytes that an embedded document may inflate to."""
UNDECODED: Final = "an embedded document could not be decoded"
ELSEWHERE: Final = "the content is a separate file that this document refers to"
MISSING: Final = "the document refers to a separate file that the archive lacks"
_WINDOWS: Final = (-zlib.MAX_WBITS, zlib.MAX_WBITS, zlib.MAX_WBITS | 16)
"""Deflate bare, as zlib, as gzip: senders that declare `compression="DF"` use any of them, or none."""
_PHRASE: Final = 64
_OTHER: Final = re.compile(r"[^A-Za-z0-9+/]")


def looks_encoded(text: str) -> bool:
    """Whether a text is undeclared base64: long, and without blanks within its lines."""
    content = text.strip()
    if len(content) < _PHRASE:
        return False
    return re.fullmatch(r"[A-Za-z0-9+/\s]+={0,2}\s*", content) is not None and " " not in content


def decoded(text: str, declared: str | None, *, compressed: bool = False) -> bytes | None:
    """The bytes of a payload, None when it is neither what it claims nor anything that is known.

    Raises: UnreadableError for a payload that inflates to more than it may.
    """
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
    text = "".join(text.split()).replace("-", "+").replace("_", "/")
    kept = _OTHER.sub("", text)
    sound = len(kept) + text.count("=") == len(text)
    del text
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
