"""Compound files (MS-CFB) that wrap a document: what OLE puts around a PDF or a workbook in a Word file."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import olefile  # type: ignore[import-untyped]  # it bears no types

from docpipe.convert.core.detect import detect
from docpipe.convert.core.kinds import kind_of

_MAGIC: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PACKAGE: Final = "\x01Ole10Native"
_WHOLE: Final = ("CONTENTS", "Package", "EmbeddedOdf", "package_stream")
LARGEST_STREAM: Final = 200 * 2**20


@contextmanager
def opened(data: bytes) -> Iterator["olefile.OleFileIO | None"]:
    """A compound file, None for what cannot be opened as one."""
    try:
        ole = olefile.OleFileIO(io.BytesIO(data))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - a broken one raises whatever its parser stumbles over
        yield None
        return
    with ole:
        yield ole


def stream(ole: "olefile.OleFileIO", *path: str) -> bytes | None:
    """The bytes of a stream, None where it is missing or broken."""
    try:
        if not ole.exists(list(path)) or ole.get_size(list(path)) > LARGEST_STREAM:
            return None
        with ole.openstream(list(path)) as file:
            return bytes(file.read())
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - likewise
        return None


def unwrapped(data: bytes, name: str) -> tuple[str, bytes]:
    """The document within an OLE object, with its name; the data as it is where nothing wraps it."""
    if not data.startswith(_MAGIC):
        return name, data
    with opened(data) as ole:
        if ole is None:
            return name, data
        if wrapped := stream(ole, _PACKAGE):
            return native(wrapped, name)
        for whole in _WHOLE:
            if inner := stream(ole, whole):
                return _named(name, inner), inner
    return _named(name, data), data


def _named(name: str, data: bytes) -> str:
    """The name of an object, ending as what it is."""
    extension = kind_of(detect(data)).extension
    if not name.lower().endswith(".bin") or extension == ".bin":
        return name
    return name[:-4] + extension


def native(data: bytes, name: str) -> tuple[str, bytes]:
    """The file within an Ole10Native stream: size, flags, label, path, more paths, size, bytes."""
    try:
        at = 6
        label_end = data.index(b"\0", at)
        path_end = data.index(b"\0", label_end + 1)
        label = data[at:label_end].decode("cp1252", "replace")
        at = path_end + 1 + 4
        at += 4 + int.from_bytes(data[at : at + 4], "little")
        size = int.from_bytes(data[at : at + 4], "little")
        inner = data[at + 4 : at + 4 + size]
    except (ValueError, IndexError):
        return name, data[4:]
    if not inner or len(inner) < size:
        return name, data[4:]
    return label.replace("\\", "/").rpartition("/")[2] or name, inner
