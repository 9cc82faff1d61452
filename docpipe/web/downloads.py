"""File names of downloads that people understand, such as `2024-03-01 Discharge summary.pdf`."""

import re
import unicodedata
from typing import Final
from urllib.parse import quote

from msgspec import Struct

from docpipe.report.labels import one_line

_LONGEST: Final = 100
"""Characters; together with the extension far below the 255 bytes of most file systems, also in UTF-8."""
_UNSAFE: Final = re.compile(r'[<>:"/\\|?*%\x00-\x1f\x7f]+')
"""What Windows, macOS or Linux refuse in a name; the percent sign confuses old browsers."""


class Described(Struct):
    """What is needed of metadata.json."""

    name: str = ""
    title: str | None = None
    date: str | None = None


def readable_name(described: Described, document_id: str, extension: str) -> str:
    """The date and the title of a document as the name of a file, its id where it has neither.

    Args:
        described: the document.
        document_id: its id.
        extension: with its dot.
    """
    title = _UNSAFE.sub(" ", one_line(described.title or described.name.rpartition("/")[2], _LONGEST))
    title = " ".join(title.split()).removesuffix(extension).strip(" .")
    date = described.date[:10] if described.date and described.date[:4].isdigit() else ""
    name = " ".join(filter(None, (_UNSAFE.sub("-", date), title)))
    return f"{name or document_id}{extension}"


def safe_name(words: str, end: str) -> str:
    """Words as the name of a file that every system takes, with what it ends in after a blank."""
    fit = " ".join(_UNSAFE.sub(" ", one_line(words, _LONGEST)).split()).strip(" .")
    return f"{fit} {end}".strip()


def attachment(name: str) -> str:
    """A Content-Disposition that saves under this name (RFC 6266); old programs get it in ASCII."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    if plain == name:
        return f'attachment; filename="{name}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
