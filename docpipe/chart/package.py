"""Everything of a patient as one ZIP, written while it is read, in constant memory."""

import asyncio
import re
import zipfile
from collections.abc import AsyncGenerator, Iterator, Sequence
from datetime import date
from pathlib import PurePosixPath
from typing import IO, Final, cast

from docpipe.chart.contents import PDF, Contents
from docpipe.report.labels import one_line, title_of
from docpipe.results.report import Entry
from docpipe.storage import Storage

_TEXT: Final = "text.md"
_UNFIT: Final = re.compile(r'[\\/:*?"<>|\x00-\x1f]+')
"""What Windows does not allow in names, and slashes."""
_LONGEST: Final = 100
_PACKED: Final = frozenset({".txt", ".csv", ".xml", ".json", ".html", ".rtf", ".md", ".hl7", ".dcm", ".bmp"})
"""Extensions of what deflating makes smaller; other types are packed already."""
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_YEARS: Final = range(1980, 2108)


_LOST: Final = "What is missing.txt"


async def package(storage: Storage, several: Sequence[Contents]) -> AsyncGenerator[bytes]:
    """The bytes of a ZIP with every stored document: its original, its PDF and its text, by readable names.

    Args:
        storage: is only read.
        several: of one patient, or of several with a folder for each, as `contents_of` read them.

    Raises:
        OSError: if the storage cannot be read; what was yielded is no whole ZIP then.
    """
    pipe, folders = _Pipe(), set[str]()
    with zipfile.ZipFile(cast("IO[bytes]", pipe), "w") as whole:
        for contents in several:
            (own,) = _unused(_fit(contents.patient_id) or "patient", [""], folders)
            folder = f"{own}/" if len(several) > 1 else ""
            for name, entry, stored in names_of(contents, folder):
                if await storage.size(contents.patient_id, stored, document_id=entry.id) is None:
                    continue  # removed meanwhile; `docpipe check` reports it
                with whole.open(_described(name, entry), "w", force_zip64=True) as file:
                    async for chunk in storage.read(contents.patient_id, stored, document_id=entry.id):
                        await asyncio.to_thread(file.write, chunk)
                        yield pipe.taken()
                yield pipe.taken()
            if contents.lost:
                lines = "".join(f"{one_line(title)}: {one_line(reason)}\n" for title, reason in contents.lost)
                whole.writestr(_info(folder + _LOST, _EPOCH), lines)
    yield pipe.taken()


def _described(name: str, entry: Entry) -> zipfile.ZipInfo:
    info = _info(name, _date(entry))
    if PurePosixPath(name).suffix in _PACKED:
        info.compress_type = zipfile.ZIP_DEFLATED
    return info


def _info(name: str, when: tuple[int, int, int, int, int, int]) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, when)
    info.external_attr = 0o600 << 16
    return info


def names_of(contents: Contents, folder: str = "") -> Iterator[tuple[str, Entry, str]]:
    """Of each file the name in the ZIP, which no other has, the document, and the name in the storage.

    Args:
        contents: of a patient.
        folder: what every name begins with.
    """
    used = {f"{folder}{_LOST}".lower()}
    for entry in contents.documents:
        day = one_line((entry.date or "")[:10])
        title = _fit(f"{day} {title_of(entry)}")[:_LONGEST]
        extension = PurePosixPath(entry.original or "").suffix
        forms = list(_forms(entry, extension))
        stem = folder + (title.removesuffix(extension).strip(" .") or "document")
        for name, stored in zip(_unused(stem, [end for end, _ in forms], used), forms, strict=True):
            yield name, entry, stored[1]


def _fit(name: str) -> str:
    """A name without what some system does not allow in it."""
    return _UNFIT.sub("_", one_line(name)).strip(" .")


def _forms(entry: Entry, extension: str) -> Iterator[tuple[str, str]]:
    """How the name of each file of a document ends, and its name in the storage."""
    if entry.original:
        yield extension, entry.original
    if PDF in entry.outputs:
        yield " (readable).pdf" if extension == ".pdf" else ".pdf", PDF
    if _TEXT in entry.outputs:
        yield " (text).md", _TEXT


def _unused(stem: str, ends: list[str], used: set[str]) -> list[str]:
    """The names, with a number where a file has one of them; case makes no difference on some systems."""
    number = 1
    while True:
        names = [f"{stem}{end}" if number == 1 else f"{stem} ({number}){end}" for end in ends]
        if used.isdisjoint(name.lower() for name in names):
            used.update(name.lower() for name in names)
            return names
        number += 1


def _date(entry: Entry) -> tuple[int, int, int, int, int, int]:
    """The day of the document, where a ZIP can have it."""
    try:
        day = date.fromisoformat((entry.date or "")[:10])
    except ValueError:
        return _EPOCH
    return (day.year, day.month, day.day, 0, 0, 0) if day.year in _YEARS else _EPOCH


class _Pipe:
    """Takes what the ZIP writes until it is taken."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def taken(self) -> bytes:
        """What was written since the last time."""
        data = bytes(self._data)
        self._data.clear()
        return data
