"""A copy of RTF for LibreOffice, with what it would compute anew frozen, as in `packed`."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from docpipe.convert.libreoffice.packed import is_frozen
from docpipe.convert.libreoffice.richsigns import symbols_replaced

_INSTRUCTION: Final = re.compile(rb"\\fldinst(?![a-z])")
_NOW: Final = re.compile(rb"\\ch(?:date|time|dpl|dpa)(?![a-z])-?\d* ?")
"""The date and time of now, of which nothing is stored."""
_PART: Final = re.compile(rb"\\([a-z]+)-?\d* ?|\\'[0-9a-fA-F]{2}|\\(.)|([{}])|[^\\{}]+", re.DOTALL)
_LONGEST: Final = 20_000


def rich_text(source: Path, target: Path) -> None:
    """RTF whose fields have a result only. Raises: LibreOfficeError."""
    data = symbols_replaced(source.read_bytes())
    out, end = bytearray(), 0
    for at in _frozen(data):
        out += data[end:at] + b"\\docpipefrozen"  # an unknown destination, which is passed over
        end = at + len(b"\\fldinst")
    out += data[end:]
    target.write_bytes(_NOW.sub(b"{}", bytes(out)))


def _frozen(data: bytes) -> Iterator[int]:
    """Where the instructions of fields begin that are to be passed over."""
    for mark in _INSTRUCTION.finditer(data):
        if data[: mark.start()].endswith(b"\\*") and is_frozen(_instruction(data, mark.end())):
            yield mark.start()


def _instruction(data: bytes, at: int) -> str:
    """The text of a destination from its word on, to the end of its group."""
    depth, text = 0, ""
    for part in _PART.finditer(data, at, at + _LONGEST):
        if part[3] == b"{":
            depth += 1
        elif part[3] == b"}":
            depth -= 1
            if depth < 0:
                break
        elif part[1] is None and not part[0].startswith(b"\\"):
            text += part[0].decode("latin-1").replace("\r", "").replace("\n", "")
    return text
