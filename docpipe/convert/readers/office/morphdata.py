"""Values of Microsoft's form controls in their binary form (MS-OFORMS, 2.2.5: MorphDataControl)."""

from typing import Final

_HEAD: Final = 12
"""Bytes of the version, the length and the mask of properties."""
_VERSION: Final = b"\0\2"
_SIZES: Final = (
    4, 4, 4, 4, 1, 1, 1, 1, 0, 2, 4, 2, 2, 2, 2, 2, 1, 1, 1, 0, 1, 1, 4, 4, 4, 4, 4, 2, 2, 2, 0, 0, 4,
)  # fmt: skip
"""Bytes of each property among those of fixed length, by its bit of the mask; 0 for those elsewhere."""
_SIZE, _VALUE, _CAPTION = 8, 22, 23
_COMPRESSED: Final = 0x80000000
_CLASS: Final = 16
"""Bytes of the class that may precede a control."""


def value_and_caption(data: bytes) -> tuple[str, str] | None:
    """What a control holds and how it is labelled, both maybe empty; None for what is no such control."""
    if data[:2] != _VERSION:
        data = data[_CLASS:]
    length, mask = int.from_bytes(data[2:4], "little"), int.from_bytes(data[4:_HEAD], "little")
    if data[:2] != _VERSION or len(data) < 4 + length or mask >> len(_SIZES):
        return None
    at, counts = _HEAD, dict[int, int]()
    for bit, size in enumerate(_SIZES):
        if size and mask >> bit & 1:
            at += -at % size
            counts[bit] = int.from_bytes(data[at : at + size], "little")
            at += size
    at += -at % 4
    at += 8 if mask >> _SIZE & 1 else 0
    texts = {_VALUE: "", _CAPTION: ""}
    for bit in texts:
        if count := counts.get(bit, 0):
            size = count & ~_COMPRESSED
            if at + size > 4 + length:
                return None
            texts[bit] = data[at : at + size].decode(
                "latin-1" if count & _COMPRESSED else "utf-16-le", "replace"
            )
            at += size + -size % 4
    return texts[_VALUE], texts[_CAPTION]
