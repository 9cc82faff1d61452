"""What a file is, by looking at it. The declared type and the name are hints for what looks like plain text.

No library knows CDA, FHIR JSON or HL7 v2, hence this ladder; what it does not know is asked of `filetype`.
The standard library alone is imported here, since the main process asks too. Nothing here raises for bad
input.
"""

import io
import re
import zipfile
from pathlib import Path
from typing import Final

from docpipe.convert.core.kinds import CDA, DOCX, EMPTY, ENCRYPTED_OFFICE, UNKNOWN, XLSB, ZIP

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
)
_MAGICS: Final = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"II+\0", "image/tiff"),
    (b"MM\0+", "image/tiff"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "image/jp2"),
    (b"\xff\x4f\xff\x51", "image/jp2"),
    (b"\x1f\x8b", "application/gzip"),
    (b"BZh", "application/x-bzip2"),
    (b"\x78\x9f\x3e\x22", "application/vnd.ms-tnef"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"\xfd7zXZ\0", "application/x-xz"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
)
# DICOM without its preamble: the first elements are of group 2 or 8, with their type or without.
_BARE_DICOM: Final = re.compile(
    rb"[\x02\x08]\0[\0-\x30]\0(?:(?:UL|CS|UI|DA|TM|SH|LO)[\0-\x80]\0|OB\0\0\x02\0\0\0)"
    rb"|[\x02\x08]\0\0\0(?:UL)?\x04\0"
    rb"|\x08\0[\x01-\x30]\0[\x02-\x40]\0\0\0[\x20-\x7e]"
    rb"|\0\x08\0[\0-\x30](?:UL|CS|UI|DA|TM|SH|LO)\0",
)
_BOMS: Final = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\0\0", "utf-32-le"),
    (b"\0\0\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
# What may stand before the root of XML: blanks, the declaration and instructions, comments, a document type.
_PROLOG: Final = re.compile(
    r"(?:\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^<>\[]*(?:\[.*?\]\s*)?>)*", re.DOTALL | re.IGNORECASE
)
_ROOT: Final = re.compile(r"<(?:([\w.-]+):)?([\w.-]+)([^<>]*)")
_CDA_FRAGMENTS: Final = frozenset({"nonxmlbody", "structuredbody"})
_HTML: Final = re.compile(
    r"<(?:!doctype\s+html|(?:html|head|body|title|meta|script|style|table|div|span|p|h[1-6]|br|hr|ul|ol|b|i|font"
    r"|center|pre|a|img|form|link|main|section|article)(?=[\s/>]))",
    re.IGNORECASE,
)
_FIELD: Final = re.compile(r"([!-9;-~]{1,80}):([^\n]*\n(?:[ \t][^\n]*\n)*)")
_OF_MAIL: Final = frozenset(
    {"from", "to", "cc", "subject", "date", "received", "return-path", "message-id", "mime-version",
     "delivered-to", "content-type", "dkim-signature", "reply-to", "sender"}
)  # fmt: skip
_ONLY_MAIL: Final = frozenset(
    {
        "received",
        "return-path",
        "message-id",
        "mime-version",
        "delivered-to",
        "content-type",
        "dkim-signature",
    }
)  # which no memo that begins with From and To has
_ENVELOPE: Final = re.compile(r">?From [^\n]*(?:\d:\d\d|\d{4})[^\n]*\n(?=[!-9;-~]+:|>From )")
_MAIL_DATE: Final = re.compile(r"(?:[A-Za-z]{3}, *)?\d{1,2} [A-Za-z]{3} \d{2,4} \d\d:\d\d")
_SAVED: Final = re.compile(r"<?\"?saved by", re.IGNORECASE)
_CONTROLS: Final = bytes(set(range(32)) - {7, 8, 9, 10, 11, 12, 13, 26, 27, 28})
_FEW: Final = 0.01
_NUL_SHARE: Final = 0.3


def detect(file: Path | str | bytes, name: str = "", declared: str | None = None) -> str:
    """The media type of a file (a path) or of bytes.

    Raises: OSError when a path cannot be read; nothing for what is in it.
    """
    if isinstance(file, bytes):
        head = file[:HEAD]
    else:
        with Path(file).open("rb") as opened:
            head = opened.read(HEAD)
    if not head:
        return EMPTY
    return (
        _by_magic(head)
        or _by_container(file, head, name.lower())
        or _by_text(head, name.lower(), (declared or "").lower())
        or _by_library(head)
    )


def _by_magic(head: bytes) -> str | None:  # noqa: PLR0911 - a ladder: one rung, one return
    if head[128:132] == b"DICM":
        return "application/dicom"
    if b"%PDF-" in head[:1024]:
        return "application/pdf"
    for magic, media_type in _MAGICS:
        if head.startswith(magic):
            return media_type
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[:2] == b"BM" and head[6:10] == bytes(4) and head[14:18] in _BMP_HEADERS:
        return "image/bmp"
    if head[4:8] == b"ftyp" and head[8:12] in {b"heic", b"heix", b"mif1", b"msf1", b"heim", b"heis"}:
        return "image/heic"
    if head[257:262] == b"ustar":
        return "application/x-tar"
    return "application/dicom" if _BARE_DICOM.match(head) else None


_BMP_HEADERS: Final = {size.to_bytes(4, "little") for size in (12, 16, 40, 52, 56, 64, 108, 124)}


def _by_container(file: Path | str | bytes, head: bytes, name: str) -> str | None:
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _of_ole(file)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return _of_zip(file, head, name)
    return None


def _of_ole(file: Path | str | bytes) -> str:
    """The directory may lie anywhere in the file, but its names are plain UTF-16."""
    data = file if isinstance(file, bytes) else Path(file).read_bytes()
    for name, media_type in _OLE:
        if name.encode("utf-16-le") in data:
            return media_type
    return "application/x-ole-storage"


_PACKED: Final = r"application/(?:epub\+zip|vnd\.oasis\.opendocument\.[a-z.-]+)"
_SELF_TOLD: Final = (  # where a package says what it is
    ("mimetype", rf"\A\s*({_PACKED})\s*\Z"),
    ("META-INF/manifest.xml", rf'full-path="/"[^<>]*?media-type="({_PACKED})"'),
    ("META-INF/manifest.xml", rf'media-type="({_PACKED})"[^<>]*?full-path="/"'),
)


def _of_zip(file: Path | str | bytes, head: bytes, name: str) -> str:
    broken = False
    try:
        with zipfile.ZipFile(io.BytesIO(file) if isinstance(file, bytes) else file) as opened:
            names = set(opened.namelist())
            for place, pattern in _SELF_TOLD:
                if place in names and opened.getinfo(place).file_size < HEAD:
                    told = opened.read(place).decode("utf-8", "replace")
                    if found := re.search(pattern, told):
                        return found[1]
    except Exception:  # noqa: BLE001 - a broken directory raises a dozen types; its head may still tell
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
    for found in re.finditer(rb"PK\x03\x04.{22}(..)..", head, re.DOTALL):
        length = int.from_bytes(found[1], "little")
        names.add(head[found.end() : found.end() + length].decode("utf-8", "replace"))
    return names


def _by_text(head: bytes, name: str, declared: str) -> str | None:  # noqa: PLR0911 - likewise
    text = peek(head)
    if text is None:
        return None
    start = text.lstrip("\ufeff \t\r\n\x0b\x0c\0")
    if start.startswith("{\\rtf"):
        return "text/rtf"
    if start.startswith("<"):
        return _of_markup(start)
    if start[:1] in {"{", "["}:
        return _of_json(start)
    if re.search(r"<(?:[\w.-]+:)?ClinicalDocument[\s>]", start[:1024]):
        return CDA  # behind what somebody's script wrote in front of it
    if re.match(r"(?:MSH|FHS|BHS)([^\w\s])[^\w\s]", start):
        return "application/hl7-v2"
    if mail := _of_mail(start.replace("\r\n", "\n"), name, declared):
        return mail
    if name.endswith((".csv", ".tsv")) or declared.startswith(("text/csv", "text/tab-separated-values")):
        return "text/csv"
    if name.endswith((".html", ".htm")) or declared.startswith("text/html"):
        return "text/html" if _HTML.search(text) else "text/plain"
    return "text/plain"


def _of_mail(text: str, name: str, declared: str) -> str | None:
    """The type of a message, a mailbox or a page saved as one; None for what is none of these."""
    if _ENVELOPE.match(text):
        return "application/mbox"
    fields: dict[str, str] = {}
    at = re.match(r"(?:[0-9]{1,10}[ \t]*\n)?", text).end()  # type: ignore[union-attr]  # it matches nothing too
    while len(fields) < 100 and (field := _FIELD.match(text, at)):  # noqa: PLR2004 - enough to tell
        fields.setdefault(field[1].lower(), field[2].strip())
        at = field.end()
    hinted = (
        name.endswith((".eml", ".emlx", ".mht", ".mhtml"))
        or declared.startswith("message/rfc822")
        or (_MAIL_DATE.match(fields.get("date", "")) and fields.keys() >= {"from", "subject"})
    )
    of_mail = len(_OF_MAIL & fields.keys())
    if not of_mail or not (hinted or (of_mail > 1 and _ONLY_MAIL & fields.keys())):
        return None
    if fields.get("content-type", "").lower().startswith("multipart/related") and (
        name.endswith((".mht", ".mhtml"))
        or _SAVED.match(fields.get("from", ""))
        or not fields.keys() & {"from", "to", "received"}
    ):
        return "multipart/related"
    return "message/rfc822"


def peek(head: bytes) -> str | None:
    """The head of a file as text good enough to tell its type, None when it is not text."""
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return head[len(bom) :].decode(encoding, "replace")
    if wide := utf16(head):
        return head.decode(wide, "replace")
    odd = len(head) - len(head.translate(None, _CONTROLS))
    if odd > _FEW * len(head):
        return None
    return head.decode("utf-8", "replace")


def utf16(head: bytes) -> str | None:
    """The byte order of UTF-16 without a mark: half of the bytes of most texts are zero then."""
    sample = head[:2000]
    if len(sample) < 4:  # noqa: PLR2004 - two characters
        return None
    even, odd = sample[0::2].count(0) / len(sample) * 2, sample[1::2].count(0) / len(sample) * 2
    if odd > _NUL_SHARE and even < odd / 10:
        return "utf-16-le"
    return "utf-16-be" if even > _NUL_SHARE and odd < even / 10 else None


def _of_markup(text: str) -> str:  # noqa: PLR0911 - likewise
    start = text[_PROLOG.match(text).end() :]  # type: ignore[union-attr]  # it matches the empty string too
    root = _ROOT.match(start)
    if root is None:
        return "text/html" if _HTML.match(start) or _HTML.search(text[:4096]) else "text/plain"
    local, attributes = root[2].lower(), root[3]
    if local == "clinicaldocument" or local in _CDA_FRAGMENTS:
        return CDA
    if local == "component" and re.search("<(?:nonXMLBody|structuredBody|section)[\\s/>]", start):
        return CDA
    if local == "html":
        return "text/html"
    if re.search(r"(?:<|&lt;)(?:[\w.-]+:)?ClinicalDocument(?:[\s>]|&gt;)", start):
        return CDA  # in an envelope
    if local == "svg":
        return "image/svg+xml"
    if local == "document" and "urn:oasis:names:tc:opendocument:" in attributes:
        return "application/vnd.oasis.opendocument.flat"
    if "http://hl7.org/fhir" in attributes:
        return "application/fhir+xml"
    if text.startswith("<?xml") or not _HTML.match(start):
        return "application/xml" if _looks_xml(text, start) else "text/plain"
    return "text/html"


def _looks_xml(text: str, start: str) -> bool:
    """Whether a text that starts with an unknown tag is XML, rather than prose such as "<see note>"."""
    return text.startswith("<?xml") or "</" in start or "/>" in start


def _of_json(text: str) -> str:
    if re.search(r'"resourceType"\s*:\s*"\w+"', text):
        return "application/fhir+json"
    return (
        "application/json" if re.match(r'(?:\{\s*(?:"|\}|$)|\[\s*(?:[\[{"\]\d-]|$))', text) else "text/plain"
    )


def _by_library(head: bytes) -> str:
    import filetype  # noqa: PLC0415 - only for the few files that the ladder does not know

    try:
        guess = filetype.guess(head)
    except Exception:  # noqa: BLE001 - its matchers index into short heads
        guess = None
    return guess.mime if guess else UNKNOWN
