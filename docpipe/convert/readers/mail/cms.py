"""Signed and encrypted messages (RFC 5652): which of both, and the content of signed ones."""

from typing import Final

SIGNED_DATA: Final = bytes.fromhex("06092a864886f70d010702")
ENVELOPED: Final = (bytes.fromhex("06092a864886f70d010703"), bytes.fromhex("060b2a864886f70d0109100117"))
_DATA: Final = bytes.fromhex("06092a864886f70d010701")
_CONSTRUCTED: Final = 0x20
_DEEPEST: Final = 20
_OCTETS: Final = 4


def is_encrypted(data: bytes) -> bool:
    """Whether a structure is encrypted."""
    return any(mark in data[:64] for mark in ENVELOPED)


def signed_content(data: bytes) -> bytes | None:
    """What was signed, None where the structure does not hold it."""
    if SIGNED_DATA not in data[:64]:
        return None
    at = data.find(_DATA)
    if at < 0:
        return None
    try:
        content, _ = _octets(data, at + len(_DATA), 0)
    except (IndexError, ValueError):
        return None
    return content or None


def _octets(data: bytes, at: int, depth: int) -> tuple[bytes, int]:
    """The bytes of an element, put together where they come in pieces; and where it ends."""
    if depth > _DEEPEST:
        raise ValueError
    tag, length = data[at], data[at + 1]
    at += 2
    if length & 0x80 and length != 0x80:  # noqa: PLR2004 - 0x80 alone: the end is marked
        size = length & 0x7F
        length = int.from_bytes(data[at : at + size], "big")
        at += size
        end: int | None = at + length
    else:
        end = None if length == 0x80 else at + length  # noqa: PLR2004 - likewise
    if not tag & _CONSTRUCTED:
        if end is None:
            raise ValueError
        return (data[at:end] if tag & 31 == _OCTETS else b""), end
    out = bytearray()
    while at < len(data) and (end is None or at < end):
        if end is None and data[at : at + 2] == b"\0\0":
            at += 2
            break
        piece, at = _octets(data, at, depth + 1)
        out += piece
    return bytes(out), at
