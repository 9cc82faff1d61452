"""AppleSingle and AppleDouble (RFC 1740): what macOS keeps of a file besides its content."""

import struct
from typing import Final

_SINGLE: Final = b"\0\x05\x16\0"
_DOUBLE: Final = b"\0\x05\x16\x07"
_CONTENT: Final = 1
_HEAD: Final = 24


def content(data: bytes) -> bytes:
    """The file within an AppleSingle, nothing for an AppleDouble, the bytes as they are for anything else."""
    if data.startswith(_DOUBLE):
        return b""
    if not data.startswith(_SINGLE) or len(data) < _HEAD + 2:
        return data
    (count,) = struct.unpack_from(">H", data, _HEAD)
    for at in range(_HEAD + 2, min(_HEAD + 2 + count * 12, len(data) - 11), 12):
        kind, begin, length = struct.unpack_from(">3I", data, at)
        if kind == _CONTENT:
            return data[begin : begin + length]
    return b""
