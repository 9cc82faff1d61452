"""Character sets of HL7 v2 (table 0211): by the names of MSH-18, with switches of ISO 2022 between them."""

import re
from collections.abc import Iterator
from typing import Final

from docpipe.convert.core.encoding import Decoded, decode

_NAMES: Final = {
    "UNICODE UTF-8": "utf-8", "UNICODE": "utf-8", "UNICODE UTF-16": "utf-16", "ISO IR6": "ascii",
    "ASCII": "ascii", "ISO IR13": "cp932", "ISO IR14": "cp932", "ISO IR87": "iso2022_jp_ext",
    "ISO IR159": "iso2022_jp_ext", "GB 18030-2000": "gb18030", "GB 18030": "gb18030", "GBK": "gb18030",
    "KS X 1001": "cp949", "ISO IR149": "cp949", "CNS 11643-1992": "big5", "BIG-5": "big5",
    "ISO IR58": "gb18030",
    "ISO IR100": "iso8859-1", "ISO IR101": "iso8859-2", "ISO IR109": "iso8859-3", "ISO IR110": "iso8859-4",
    "ISO IR144": "iso8859-5", "ISO IR127": "iso8859-6", "ISO IR126": "iso8859-7", "ISO IR138": "iso8859-8",
    "ISO IR148": "iso8859-9", "ISO IR166": "tis-620", "ISO IR192": "utf-8",
}  # fmt: skip
_SWITCH: Final = re.compile(rb"\x1b(\$?[()\-,.]?[@-Z])")
_UPPER: Final = {  # what a switch makes of bytes beyond ASCII
    b"-A": "cp1252", b"-B": "iso8859-2", b"-C": "iso8859-3", b"-D": "iso8859-4", b"-L": "iso8859-5",
    b"-G": "iso8859-6", b"-F": "iso8859-7", b"-H": "iso8859-8", b"-M": "iso8859-9", b"-T": "tis-620",
    b"$)C": "cp949", b"$)A": "gb18030", b")I": "cp932",
}  # fmt: skip
_LOWER: Final = frozenset({b"$@", b"$B", b"$(D", b"(J", b"(I", b"(B", b"$(Q", b"$(O"})


def decoded(data: bytes, names: list[str]) -> Decoded:
    """The text of messages in the character sets of these names; a first one that is empty is ASCII."""
    labels = [_label(name) for name in names]
    first = next((label for label in labels[:1] if label), None)
    if b"\x1b" in data and _SWITCH.search(data):
        parts = list(_switched(data, first))
        text = "".join(part.text for part in parts)
        return Decoded(
            text, "iso-2022", any(part.lossy for part in parts), any(part.guessed for part in parts)
        )
    return decode(data, first or next((label for label in labels if label), None))


def _label(name: str) -> str | None:
    upper = re.sub(r"ISO[ -]?(?:2022 )?IR[ -]?(?=\d)", "ISO IR", name.upper())
    if match := re.fullmatch(r"(?:ISO[ -]?)?8859[/-](\d{1,2})", upper):
        return f"iso8859-{match[1]}"
    return _NAMES.get(upper, name or None)


def _switched(data: bytes, first: str | None) -> Iterator[Decoded]:
    """The pieces between switches, each in the sets that hold there; a line's end switches back to ASCII."""
    for line in re.split(rb"(?<=[\r\n])", data):
        at, lower, upper = 0, b"(B", first
        for switch in [*_SWITCH.finditer(line), None]:
            piece = line[at : switch.start() if switch else len(line)]
            if piece:
                yield _piece(piece, lower, upper)
            if switch:
                at = switch.end()
                if switch[1] in _UPPER:
                    upper = _UPPER[switch[1]]
                elif switch[1] in _LOWER:
                    lower = switch[1]


def _piece(piece: bytes, lower: bytes, upper: str | None) -> Decoded:
    if lower == b"(B":
        return decode(piece, upper)
    codec = "iso2022_jp_3" if lower in {b"$(Q", b"$(O"} else "iso2022_jp_ext"
    text = (b"\x1b" + lower + piece + b"\x1b(B").decode(codec, "replace")
    return Decoded(text, codec, lossy="\ufffd" in text)
