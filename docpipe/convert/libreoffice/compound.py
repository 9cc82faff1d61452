"""Copies of old office files (MS-CFB) for LibreOffice, with what it would compute anew frozen; see `packed`.

Bytes are replaced in place: nothing moves.
"""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from docpipe.convert.libreoffice.program import LibreOfficeError
from docpipe.convert.readers.office.ole import opened, stream

_LOCKED: Final = "cannot open it without its password"


def old_workbook(source: Path, target: Path) -> None:
    """An XLS whose formulas are their results. Raises: LibreOfficeError."""
    _rewritten(source, target, {"Workbook": _freeze_cells, "Book": _freeze_cells})


def old_word(source: Path, target: Path) -> None:
    """A DOC whose computed fields have a result only. Raises: LibreOfficeError."""
    data = source.read_bytes()
    with opened(data) as ole:
        head = stream(ole, "WordDocument") if ole is not None else None
    if head is None or len(head) < _FIB:
        raise LibreOfficeError("is not given what is damaged")
    flags = int.from_bytes(head[10:12], "little")
    if flags & 0x0100:
        raise LibreOfficeError(_LOCKED)
    table = "1Table" if flags & 0x0200 else "0Table"
    _rewritten(source, target, {table: lambda whole: _freeze_fields(whole, head)})


def old_slides(source: Path, target: Path) -> None:
    """A PPT that does not show today's date, of which nothing is stored. Raises: LibreOfficeError."""
    _rewritten(source, target, {"PowerPoint Document": _freeze_dates})


def _rewritten(source: Path, target: Path, changes: dict[str, Callable[[bytearray], Any]]) -> None:
    file = io.BytesIO(source.read_bytes())
    with opened(file.getvalue()) as ole:
        if ole is None:
            raise LibreOfficeError("is not given what is damaged")
        for name, change in changes.items():
            if (data := stream(ole, name)) is None:
                continue
            frozen = bytearray(data)
            change(frozen)
            if frozen != data:
                _write(ole, name, bytes(frozen))
        target.write_bytes(ole.fp.getvalue())


def _write(ole: Any, name: str, data: bytes) -> None:
    try:
        ole.write_stream(name, data)
    except MemoryError:
        raise
    except Exception as error:
        raise LibreOfficeError("is not given what is damaged") from error


_FORMULA, _STRING, _CONTINUE, _FILE_PASSWORD = 0x0006, 0x0207, 0x003C, 0x002F
_NUMBER, _LABEL, _TRUTH, _BLANK = 0x0203, 0x0204, 0x0205, 0x0201
_BETWEEN: Final = frozenset({0x04BC, 0x0221, 0x0236})
"""What may stand between a formula and its text: a shared one, an array, a table."""
_LEAST_FORMULA: Final = 20
_LONGEST: Final = 8224


def _freeze_cells(data: bytearray) -> None:
    """Records of formulas (MS-XLS 2.4.127) become records of values; what is left of them is passed over."""
    at = 0
    while at + 4 <= len(data):
        kind, size = struct.unpack_from("<HH", data, at)
        if kind == _FILE_PASSWORD:
            raise LibreOfficeError(_LOCKED)
        if kind == _FORMULA and size >= _LEAST_FORMULA:
            size = _freeze_cell(data, at, size)
        at += 4 + size


def _freeze_cell(data: bytearray, at: int, size: int) -> int:
    """Make a value of a formula; returns the size that the record has now."""
    body = at + 4
    if data[body + 12 : body + 14] != b"\xff\xff":
        struct.pack_into("<H", data, at, _NUMBER)
    elif data[body + 6] == 0:
        return _freeze_text(data, at, size)
    elif data[body + 6] in {1, 2}:
        struct.pack_into("<H", data, at, _TRUTH)
        data[body + 6 : body + 8] = bytes((data[body + 8], data[body + 6] - 1))
    else:
        struct.pack_into("<H", data, at, _BLANK)
    return size


def _freeze_text(data: bytearray, at: int, size: int) -> int:
    """The text stands in a record behind the formula: both become one."""
    end: int = at + 4 + size
    while end + 4 <= len(data):
        kind, more = struct.unpack_from("<HH", data, end)
        if kind == _STRING:
            whole: int = end + 4 + more - (at + 4)
            if whole > _LONGEST:
                break
            text = bytes(data[end + 4 : end + 4 + more])
            struct.pack_into("<HH", data, at, _LABEL, whole)
            data[at + 10 : at + 10 + len(text)] = text
            return whole
        if kind not in _BETWEEN:
            break
        end += 4 + more
    return size


_FIB: Final = 0x9A + 8 * 60
"""Bytes of a file information block with all places of fields (MS-DOC 2.5.6)."""
_PLACES: Final = (16, 17, 18, 19, 48, 57, 59)
"""Fields of the text, headers, footnotes, comments, endnotes, text boxes, and boxes in headers."""
_BEGIN: Final = 0x13
_KEPT: Final = frozenset({33, 26, 65, 66, 37, 72, 88, 13, 57, 70, 71, 83, 49, 90, 52, 54, 53, 95, 58, 56, 67})
"""Types of fields (MS-DOC 2.9.90) about the page, a link, a control or an object, which stay."""
_PLAIN: Final = 58
"""The type of an embedded object: LibreOffice shows the stored result where there is no object."""


def _freeze_fields(table: bytearray, head: bytes) -> None:
    for place in _PLACES:
        start, size = struct.unpack_from("<II", head, 0x9A + 8 * place)
        count = (size - 4) // 6
        if size < 10 or start + size > len(table):  # noqa: PLR2004 - one field
            continue
        for at in range(start + 4 * (count + 1), start + 4 * (count + 1) + 2 * count, 2):
            if table[at] & 0x1F == _BEGIN and table[at + 1] not in _KEPT:
                table[at + 1] = _PLAIN


_DATES: Final = frozenset({0x0FF7, 0x0FF8})
"""Places of a date that is computed (MS-PPT 2.9.51 and 2.9.52): a star without it."""
_MARGINS: Final = 0x0FDA
_TODAY: Final = 0x02
_CONTAINER: Final = 0xF


def _freeze_dates(data: bytearray) -> None:
    at = 0
    while at + 8 <= len(data):
        form, kind, size = struct.unpack_from("<HHI", data, at)
        if kind in _DATES:
            struct.pack_into("<H", data, at + 2, 0x0FFF)
        elif kind == _MARGINS and size >= 4 and at + 11 < len(data):  # noqa: PLR2004 - its two fields
            data[at + 10] &= ~_TODAY & 0xFF
        at += 8 if form & _CONTAINER == _CONTAINER else 8 + size  # into containers
