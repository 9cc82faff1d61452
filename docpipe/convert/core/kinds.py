"""The table of types: the name, the extension and the reader of each. A new type is a row here.

Standard library only: the main process uses it too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

ZIP: Final = "application/zip"
CDA: Final = "application/hl7-cda+xml"
DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PPTX: Final = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
ENCRYPTED_OFFICE: Final = "application/vnd.ms-office.encrypted"
XLSB: Final = "application/vnd.ms-excel.sheet.binary.macroenabled.12"
EMPTY: Final = "application/x-empty"
UNKNOWN: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Kind:
    """One media type."""

    name: str
    """As in "this is ...", with its article."""
    extension: str
    reader: str | None = None
    """The module whose `read` takes a Source and returns Content; None: stored as it is."""
    advice: str = "there is no converter for it yet"


_OPENED = "archives inside an archive are opened where it is unpacked"
_FOREIGN: Final = "docpipe cannot open such archives; unpack it with another program"
_OLD: Final = "it cannot be converted; open it with LibreOffice or Microsoft Office"
_FOREIGN_OFFICE: Final = "it cannot be converted; open it with LibreOffice"
_SUN: Final = "application/vnd.sun.xml."
_ODF: Final = "application/vnd.oasis.opendocument."

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        CDA: Kind("a clinical document (CDA)", ".xml", "cda.from_cda"),
        "application/pdf": Kind("a PDF", ".pdf", "pdf.from_pdf"),
        "image/tiff": Kind("a TIFF picture", ".tif", "image.from_image"),
        "image/jpeg": Kind("a JPEG picture", ".jpg", "image.from_image"),
        "image/png": Kind("a PNG picture", ".png", "image.from_image"),
        "image/bmp": Kind("a BMP picture", ".bmp", "image.from_image"),
        "image/gif": Kind("a GIF picture", ".gif", "image.from_image"),
        "image/webp": Kind("a WebP picture", ".webp", "image.from_image"),
        "image/jp2": Kind("a JPEG 2000 picture", ".jp2", "image.from_image"),
        "image/avif": Kind("an AVIF picture", ".avif", "image.from_image"),
        "image/x-portable-bitmap": Kind("a PBM picture", ".pbm", "image.from_image"),
        "image/x-portable-graymap": Kind("a PGM picture", ".pgm", "image.from_image"),
        "image/x-portable-pixmap": Kind("a PPM picture", ".ppm", "image.from_image"),
        "image/x-tga": Kind("a TGA picture", ".tga", "image.from_image"),
        "image/x-pcx": Kind("a PCX picture", ".pcx", "image.from_image"),
        "text/html": Kind("a web page", ".html", "html.from_html"),
        "text/rtf": Kind("an RTF text", ".rtf", "rtf.from_rtf"),
        DOCX: Kind("a Word document", ".docx", "word.from_docx"),
        "text/plain": Kind("a plain text", ".txt", "text.from_text"),
        "text/calendar": Kind("a calendar entry", ".ics", "text.from_card"),
        "text/vcard": Kind("a contact card", ".vcf", "text.from_card"),
        "text/csv": Kind("a table in CSV", ".csv", "text.from_text"),
        "application/xml": Kind("an XML file", ".xml", "text.from_xml"),
        ENCRYPTED_OFFICE: Kind("an encrypted Office document", ".docx", "word.from_docx"),
        "application/fhir+json": Kind("a FHIR resource in JSON", ".json", "fhir.from_fhir"),
        "application/fhir+xml": Kind("a FHIR resource in XML", ".xml", "fhir.from_fhir"),
        "application/json": Kind("a JSON file", ".json", "text.from_json"),
        "application/hl7-v2": Kind("an HL7 v2 message", ".hl7", "hl7.from_hl7"),
        "application/dicom": Kind("a DICOM image", ".dcm", "dicom.from_dicom"),
        "message/rfc822": Kind("an e-mail", ".eml", "mail.from_mail"),
        "application/mbox": Kind("a mailbox", ".mbox", "mail.from_mail"),
        "multipart/related": Kind("a saved web page (MHTML)", ".mht", "mail.from_mail"),
        "application/vnd.ms-outlook": Kind("an Outlook message", ".msg", "mail.from_msg"),
        "application/vnd.ms-tnef": Kind("an Outlook attachment (TNEF)", ".dat", "mail.from_tnef"),
        "application/msword": Kind("an old Word document", ".doc", None, _OLD),
        "application/vnd.ms-excel": Kind("an old Excel workbook", ".xls", None, _OLD),
        "application/vnd.ms-powerpoint": Kind("an old PowerPoint presentation", ".ppt", None, _OLD),
        XLSB: Kind("a binary Excel workbook", ".xlsb", None, _OLD),
        "application/vnd.wordperfect": Kind("a WordPerfect document", ".wpd", None, _FOREIGN_OFFICE),
        "application/vnd.ms-works": Kind("a Microsoft Works document", ".wps", None, _FOREIGN_OFFICE),
        "application/vnd.visio": Kind("a Visio drawing", ".vsd", None, _FOREIGN_OFFICE),
        "application/x-mspublisher": Kind("a Publisher document", ".pub", None, _FOREIGN_OFFICE),
        "image/emf": Kind("a Windows drawing (EMF)", ".emf", None, _FOREIGN_OFFICE),
        "image/wmf": Kind("a Windows drawing (WMF)", ".wmf", None, _FOREIGN_OFFICE),
        _SUN + "writer": Kind("an OpenOffice.org text", ".sxw", None, _FOREIGN_OFFICE),
        _SUN + "calc": Kind("an OpenOffice.org spreadsheet", ".sxc", None, _FOREIGN_OFFICE),
        _SUN + "impress": Kind("an OpenOffice.org presentation", ".sxi", None, _FOREIGN_OFFICE),
        _SUN + "draw": Kind("an OpenOffice.org drawing", ".sxd", None, _FOREIGN_OFFICE),
        "application/x-ole-storage": Kind("an old Office file", ".ole"),
        XLSX: Kind("an Excel workbook", ".xlsx", "sheets.from_xlsx"),
        PPTX: Kind("a PowerPoint presentation", ".pptx", "slides.from_pptx"),
        _ODF + "text": Kind("an OpenDocument text", ".odt", "odf.from_odf"),
        _ODF + "text-template": Kind("an OpenDocument text", ".ott", "odf.from_odf"),
        _ODF + "text-master": Kind("an OpenDocument text", ".odm", "odf.from_odf"),
        _ODF + "text-web": Kind("an OpenDocument text", ".oth", "odf.from_odf"),
        _ODF + "spreadsheet": Kind("an OpenDocument spreadsheet", ".ods", "odf.from_odf"),
        _ODF + "spreadsheet-template": Kind("an OpenDocument spreadsheet", ".ots", "odf.from_odf"),
        _ODF + "presentation": Kind("an OpenDocument presentation", ".odp", "odf.from_odf"),
        _ODF + "presentation-template": Kind("an OpenDocument presentation", ".otp", "odf.from_odf"),
        _ODF + "graphics": Kind("an OpenDocument drawing", ".odg", "odf.from_odf"),
        _ODF + "graphics-template": Kind("an OpenDocument drawing", ".otg", "odf.from_odf"),
        _ODF + "flat": Kind("an OpenDocument file", ".fodt", "odf.from_odf"),
        "application/epub+zip": Kind("an e-book", ".epub"),
        "image/svg+xml": Kind("an SVG drawing", ".svg", "html.from_svg"),
        "image/heic": Kind("a HEIC picture", ".heic", "image.from_heic"),
        "application/applefile": Kind(
            "a file that macOS keeps beside another one (AppleDouble)",
            ".bin",
            None,
            "it has no text",
        ),
        ZIP: Kind("a ZIP archive", ".zip", None, _OPENED),
        "application/gzip": Kind("a GZIP archive", ".gz", None, _OPENED),
        "application/x-tar": Kind("a TAR archive", ".tar", None, _OPENED),
        "application/x-7z-compressed": Kind("a 7-Zip archive", ".7z", None, _FOREIGN),
        "application/vnd.rar": Kind("a RAR archive", ".rar", None, _FOREIGN),
        "application/x-bzip2": Kind("a BZIP2 archive", ".bz2", None, _OPENED),
        "application/x-xz": Kind("an XZ archive", ".xz", None, _OPENED),
        EMPTY: Kind("an empty file", ".bin"),
        UNKNOWN: Kind("of an unknown type", ".bin"),
    }
)


def kind_of(media_type: str) -> Kind:
    """The row of a type; types without one are named by themselves."""
    return KINDS.get(media_type) or Kind(f"of the type {media_type}", ".bin")
