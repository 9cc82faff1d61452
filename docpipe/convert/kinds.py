"""The table of types: what each is called, its extension, and who reads it. A new type is a row here.

Standard library only: the main process asks too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

ZIP: Final = "application/zip"
CDA: Final = "application/hl7-cda+xml"
DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
ENCRYPTED_OFFICE: Final = "application/vnd.ms-office.encrypted"
EMPTY: Final = "application/x-empty"
UNKNOWN: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Kind:
    """One media type."""

    name: str
    """As in "this is ...", with its article."""
    extension: str
    reader: str | None = None
    """The module in this package whose `read` takes a Source and gives Content; None: kept as it is."""
    advice: str = "there is no converter for it yet"


_OPENED = "archives inside an archive are opened where it is unpacked"

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        CDA: Kind("a clinical document (CDA)", ".xml", "from_cda"),
        "application/pdf": Kind("a PDF", ".pdf", "from_pdf"),
        "image/tiff": Kind("a TIFF picture", ".tif", "from_image"),
        "image/jpeg": Kind("a JPEG picture", ".jpg", "from_image"),
        "image/png": Kind("a PNG picture", ".png", "from_image"),
        "image/bmp": Kind("a BMP picture", ".bmp", "from_image"),
        "image/gif": Kind("a GIF picture", ".gif", "from_image"),
        "image/webp": Kind("a WebP picture", ".webp", "from_image"),
        "image/jp2": Kind("a JPEG 2000 picture", ".jp2", "from_image"),
        "text/html": Kind("a web page", ".html", "from_html"),
        "text/rtf": Kind("an RTF text", ".rtf", "from_rtf"),
        DOCX: Kind("a Word document", ".docx", "from_docx"),
        "text/plain": Kind("a plain text", ".txt", "from_text"),
        "text/csv": Kind("a table in CSV", ".csv", "from_text"),
        "application/xml": Kind("an XML file", ".xml", "from_xml"),
        ENCRYPTED_OFFICE: Kind("an encrypted Office document", ".docx", "from_docx"),
        "application/fhir+json": Kind("a FHIR resource in JSON", ".json"),
        "application/fhir+xml": Kind("a FHIR resource in XML", ".xml"),
        "application/json": Kind("a JSON file", ".json"),
        "application/hl7-v2": Kind("an HL7 v2 message", ".hl7"),
        "application/dicom": Kind("a DICOM image", ".dcm"),
        "message/rfc822": Kind("an e-mail", ".eml"),
        "application/vnd.ms-outlook": Kind("an Outlook message", ".msg"),
        "application/msword": Kind("an old Word document", ".doc"),
        "application/vnd.ms-excel": Kind("an old Excel workbook", ".xls"),
        "application/vnd.ms-powerpoint": Kind("an old PowerPoint presentation", ".ppt"),
        "application/x-ole-storage": Kind("an old Office file", ".ole"),
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": Kind(
            "an Excel workbook", ".xlsx"
        ),
        "application/vnd.openxmlformats-officedocument.presentationml.presentation": Kind(
            "a PowerPoint presentation", ".pptx"
        ),
        "application/vnd.oasis.opendocument.text": Kind("an OpenDocument text", ".odt"),
        "application/vnd.oasis.opendocument.spreadsheet": Kind("an OpenDocument spreadsheet", ".ods"),
        "application/vnd.oasis.opendocument.presentation": Kind("an OpenDocument presentation", ".odp"),
        "application/epub+zip": Kind("an e-book", ".epub"),
        "image/svg+xml": Kind("an SVG drawing", ".svg"),
        "image/heic": Kind("a HEIC picture", ".heic"),
        ZIP: Kind("a ZIP archive", ".zip", None, _OPENED),
        "application/gzip": Kind("a GZIP archive", ".gz", None, _OPENED),
        "application/x-tar": Kind("a TAR archive", ".tar", None, _OPENED),
        "application/x-7z-compressed": Kind("a 7-Zip archive", ".7z"),
        "application/vnd.rar": Kind("a RAR archive", ".rar"),
        "application/x-bzip2": Kind("a BZIP2 archive", ".bz2"),
        "application/x-xz": Kind("an XZ archive", ".xz"),
        EMPTY: Kind("an empty file", ".bin"),
        UNKNOWN: Kind("of an unknown type", ".bin"),
    }
)


def kind_of(media_type: str) -> Kind:
    """The row of a type; types without one are named by themselves."""
    return KINDS.get(media_type) or Kind(f"of the type {media_type}", ".bin")
