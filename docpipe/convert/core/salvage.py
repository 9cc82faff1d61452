"""What can still be read of a ZIP without its directory: it was cut short, or something was put before it."""

import re
import zlib
from pathlib import Path
from typing import Final

_LOCAL: Final = re.compile(rb"PK\x03\x04.{2}(.{2})(.{2}).{4}(.{4})(.{4}).{4}(.{2})(.{2})", re.DOTALL)
_LARGEST: Final = 200 * 2**20
"""Bytes that are unpacked at all, of every part together."""
_STORED: Final = 0
_DEFLATED: Final = 8
_ENCRYPTED: Final = 1
_SIZES_FOLLOW: Final = 8
_CHUNK: Final = 65_536


def salvaged(path: Path) -> dict[str, bytes]:
    """The parts by name, as far as each can be unpacked; nothing where the file is no ZIP."""
    data = path.read_bytes()
    parts: dict[str, bytes] = {}
    left = _LARGEST
    at = 0
    while left > 0 and (header := _LOCAL.search(data, at)):
        flags, method, crc, packed, named, extra = (
            int.from_bytes(part, "little") for part in header.groups()
        )
        start = header.end() + named
        name = data[header.end() : start].decode("utf-8", "replace")
        start += extra
        at = header.end()
        if flags & _ENCRYPTED or name.endswith("/"):
            continue
        if method == _DEFLATED:
            content, at = _inflated(data, start, left)
            if crc and at < len(data) and zlib.crc32(content) != crc:
                continue
        elif method == _STORED and not flags & _SIZES_FOLLOW:
            content = data[start : start + min(packed, left)]
            at = max(at, start + packed)
        else:
            continue
        left -= len(content)
        if content:
            parts.setdefault(name, content)
    return parts


def _inflated(data: bytes, at: int, most: int) -> tuple[bytes, int]:
    """The bytes up to the end, and the position of the end; nothing of a damaged part, which may be wrong."""
    out = bytearray()
    unpacker = zlib.decompressobj(-15)
    try:
        while not unpacker.eof and len(out) < most:
            chunk = unpacker.unconsumed_tail
            if not chunk:
                chunk = data[at : at + _CHUNK]
                at += len(chunk)
            if not chunk:
                break
            out += unpacker.decompress(chunk, min(2**20, most - len(out)))
    except zlib.error:
        return b"", at
    return bytes(out), at - len(unpacker.unused_data)
