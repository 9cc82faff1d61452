"""What LibreOffice is used for, by media type: to open it, to draw its pages, or both."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from docpipe.convert.core.kinds import DOCX, PPTX, XLSB, XLSX
from docpipe.convert.libreoffice import compound, packed, rich


@dataclass(frozen=True, slots=True)
class Form:
    """One kind of file."""

    extension: str
    """Its name in LibreOffice."""
    frozen: Callable[[Path, Path], object] = shutil.copyfile
    """Makes the copy that LibreOffice gets: nothing in it is computed anew."""
    modern: str | None = None
    """What docpipe has a reader for, where it has none for the file itself: the format to save it as."""
    drawn: bool = True
    """Whether LibreOffice makes its document.pdf; sheets stay docpipe's own tables."""


MODERN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "docx": DOCX,
        "xlsx": XLSX,
        "pptx": PPTX,
        "odt": "application/vnd.oasis.opendocument.text",
        "ods": "application/vnd.oasis.opendocument.spreadsheet",
        "odp": "application/vnd.oasis.opendocument.presentation",
        "odg": "application/vnd.oasis.opendocument.graphics",
    }
)
"""The media types of the formats that it saves."""
_ODF: Final = "application/vnd.oasis.opendocument."
_SUN: Final = "application/vnd.sun.xml."

FORMS: Final[Mapping[str, Form]] = MappingProxyType(
    {
        "application/msword": Form(".doc", compound.old_word, "docx"),
        "application/vnd.ms-excel": Form(".xls", compound.old_workbook, "xlsx", drawn=False),
        "application/vnd.ms-powerpoint": Form(".ppt", compound.old_slides, "pptx"),
        XLSB: Form(".xlsb", packed.binary_workbook, "xlsx", drawn=False),
        "application/vnd.wordperfect": Form(".wpd", modern="odt"),
        "application/vnd.ms-works": Form(".wps", modern="odt"),
        "application/vnd.visio": Form(".vsd", modern="odg"),
        "application/x-mspublisher": Form(".pub", modern="odg"),
        "image/emf": Form(".emf", modern="odg"),
        "image/wmf": Form(".wmf", modern="odg"),
        _SUN + "writer": Form(".sxw", packed.open_document, "odt"),
        _SUN + "calc": Form(".sxc", packed.open_document, "ods", drawn=False),
        _SUN + "impress": Form(".sxi", packed.open_document, "odp"),
        _SUN + "draw": Form(".sxd", packed.open_document, "odg"),
        DOCX: Form(".docx", packed.word),
        PPTX: Form(".pptx", packed.slides),
        "text/rtf": Form(".rtf", rich.rich_text),
        _ODF + "text": Form(".odt", packed.open_document),
        _ODF + "text-template": Form(".ott", packed.open_document),
        _ODF + "presentation": Form(".odp", packed.open_document),
        _ODF + "presentation-template": Form(".otp", packed.open_document),
        _ODF + "graphics": Form(".odg", packed.open_document),
        "image/svg+xml": Form(".svg"),
    }
)
