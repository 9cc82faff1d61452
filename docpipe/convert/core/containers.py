"""The type of a file that holds others: by the directory of a ZIP, by the names in an old office file.

Only the standard library is imported here, since the main process uses this module too. Nothing here raises
for bad input.
"""

import io
import re
import zipfile
from pathlib import Path
from typing import Final

from docpipe.convert.core.kinds import DOCX, ENCRYPTED_OFFICE, XLSB, ZIP

HEAD: Final = 65_536
"""Bytes looked at, apart from the directory of a ZIP."""
_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
_ZIPS: Final = (
    ("word/", DOCX),
    ("xl/", _OFFICE + "spreadsheetml.sheet"),
    ("ppt/", _OFFICE + "presentationml.presentation"),
)
_OFFICE_NAMES: Final = ((".xlsx", _ZIPS[1][1]), (".pptx", _ZIPS[2][1]))
# Names of streams, as they stand in the directory; first those of files that may hold the others whole.
_OLE: Final = (
    ("__substg1.0_", "application/vnd.ms-outlook"),
    ("__properties_version1.0", "application/vnd.ms-outlook"),
    ("WordDocument", "application/msword"),
    ("EncryptedPackage", ENCRYPTED_OFFICE),
    ("Workbook", "application/vnd.ms-excel"),
    ("Book", "application/vnd.ms-excel"),
    ("PowerPoint Document", "application/vnd.ms-powerpoint"),
    ("VisioDocument", "application/vnd.visio"),
    ("Quill", "application/x-mspublisher"),
    ("MatOST", "application/vnd.ms-works"),
)
OLE_MARK: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BLOCK: Final = 2**20
_LONGEST_NAME: Final = 64
"""Bytes of a name in a directory."""


def by_container(file: Path | str | bytes, head: bytes, name: str) -> str | None:
    """The type of a file with such a head, None for any other; `name` is in small letters."""
    if head.startswith(OLE_MARK):
        return of_ole(file)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        first = _FIRST_TYPE.match(head)
        return first[1].decode("ascii") if first else _of_zip(file, head, name)
    return None


def of_ole(file: Path | str | bytes) -> str:
    """The directory may be anywhere in the file, but its names are plain UTF-16."""
    missing = dict.fromkeys(name.encode("utf-16-le") for name, _ in _OLE)
    with io.BytesIO(file) if isinstance(file, bytes) else Path(file).open("rb") as opened:
        before = b""
        while missing and (block := opened.read(_BLOCK)):
            data = before + block
            missing = {name: None for name in missing if name not in data}
            before = data[-_LONGEST_NAME:]
    for name, media_type in _OLE:
        if name.encode("utf-16-le") not in missing:
            return media_type
    return "application/x-ole-storage"


_PACKED: Final = r"application/(?:epub\+zip|vnd\.(?:oasis\.opendocument|sun\.xml)\.[a-z.-]+)"
_FIRST_TYPE: Final = re.compile(
    rb"PK\x03\x04.{22}\x08\0..mimetype(" + _PACKED.encode() + rb")(?=PK|\Z)", re.DOTALL
)
"""A type that is declared at the beginning, not packed, as it should be."""
_DECLARED: Final = (  # the files in which a package declares its type
    ("mimetype", rf"\A\s*({_PACKED})\s*\Z"),
    ("META-INF/manifest.xml", rf'full-path="/"[^<>]*?media-type="({_PACKED})"'),
    ("META-INF/manifest.xml", rf'media-type="({_PACKED})"[^<>]*?full-path="/"'),
)


def _of_zip(file: Path | str | bytes, head: bytes, name: str) -> str:
    broken = False
    try:
        with zipfile.ZipFile(io.BytesIO(file) if isinstance(file, bytes) else file) as opened:
            names = set(opened.namelist())
            for place, pattern in _DECLARED:
                if place in names and opened.getinfo(place).file_size < HEAD:
                    text = opened.read(place).decode("utf-8", "replace")
                    if match := re.search(pattern, text):
                        return match[1]
    except Exception:  # noqa: BLE001 - a broken directory raises a dozen types; the head is tried instead
        names, broken = _local_names(head), True
    names = {inside.replace("\\", "/") for inside in names}
    if "[Content_Types].xml" in names or "_rels/.rels" in names:
        if "xl/workbook.bin" in names:
            return XLSB
        for prefix, media_type in _ZIPS:
            if any(inside.startswith(prefix) for inside in names):
                return media_type
        if broken:  # cut off before its first telling name
            return next((kind for end, kind in _OFFICE_NAMES if name.endswith(end)), DOCX)
    return ZIP


def _local_names(head: bytes) -> set[str]:
    """Names in the local headers of a ZIP that lost its directory."""
    names = set()
    for match in re.finditer(rb"PK\x03\x04.{22}(..)..", head, re.DOTALL):
        length = int.from_bytes(match[1], "little")
        names.add(head[match.end() : match.end() + length].decode("utf-8", "replace"))
    return names
