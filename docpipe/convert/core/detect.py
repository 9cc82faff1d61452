"""The type of a file by its content. The declared type and the name are hints for plain text.

No library detects CDA, FHIR JSON or HL7 v2, hence these rules; `filetype` decides where none of them applies.
Only the standard library is imported here, since the main process uses this module too. Nothing here raises
for bad input.
"""

import io
import re
import unicodedata
from collections import Counter
from operator import itemgetter
from pathlib import Path
from typing import Final

from docpipe.convert.core import containers, magics
from docpipe.convert.core.kinds import CDA, EMPTY, UNKNOWN

HEAD: Final = containers.HEAD
_BOMS: Final = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\0\0", "utf-32-le"),
    (b"\0\0\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
# What may precede the root of XML: blanks, the declaration and instructions, comments, a document type.
_PROLOG: Final = re.compile(
    r"(?:\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^<>\[]*(?:\[.*?\]\s*)?>)*", re.DOTALL | re.IGNORECASE
)
_ROOT: Final = re.compile(r"<(?:([\w.-]+):)?([\w.-]+)([^<>]*)")
_CDA_FRAGMENTS: Final = frozenset({"nonxmlbody", "structuredbody"})
_HTML: Final = re.compile(
    r"<(?:!doctype\s+html|(?:html|head|body|title|meta|script|style|table|div|span|p|h[1-6]|br|hr|ul|ol|b|i|font"
    r"|center|pre|a|img|form|link|main|section|article|aside|nav|base|iframe|frameset|noscript|noframes|blockquote"
    r"|fieldset|button|input|select|textarea|canvas|video|audio|embed|tbody|thead|tfoot|tr|t[dh]|colgroup|dl|d[dt]|li"
    r"|em|strong|small|big|strike|del|ins|s|u|q|su[bp]|tt|kbd|samp|var|cite|abbr|acronym|bd[io]|wbr)(?=[\s/>]))",
    re.IGNORECASE,
)
"""The beginning of a page or of a part of one, without names that roots of XML may have, such as `data`."""
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
        head, size = file[:HEAD], len(file)
    else:
        with Path(file).open("rb") as opened:
            head, size = opened.read(HEAD), opened.seek(0, io.SEEK_END)
    if not head:
        return EMPTY
    return (
        magics.by_magic(head, size)
        or containers.by_container(file, head, name.lower())
        or _by_content(head, name.lower(), (declared or "").lower())
        or _by_library(head)
    )


def detect_by_head(file: Path, name: str = "", declared: str | None = None) -> str:
    """Likewise for the main process: by a bounded amount of memory, and without unpacking more than a head.

    Where the directory of a container is behind its head, less may be known of it.
    """
    with file.open("rb") as opened:
        head, size = opened.read(HEAD), opened.seek(0, io.SEEK_END)
    if not head:
        return EMPTY
    return (
        magics.by_magic(head, size)
        or (
            containers.of_ole(file)
            if head.startswith(containers.OLE_MARK)
            else containers.by_container(head, head, name.lower())
        )
        or _by_content(head, name.lower(), (declared or "").lower())
        or _by_library(head)
    )


def _by_content(head: bytes, name: str, declared: str) -> str | None:
    """The type of a text, of raw bytes behind a text's first lines, or of a PDF behind what is neither."""
    kind = _by_text(head, name, declared)
    if kind is None and (start := _LINES.match(head)) and (behind := _by_text(start[0], name, declared)):
        kind = behind if behind in _WITH_BYTES else None
    if kind in {None, "text/plain"} and _is_late_pdf(head, is_text=kind is not None):
        return "application/pdf"
    return kind


def _is_late_pdf(head: bytes, *, is_text: bool) -> bool:
    """Whether a PDF begins behind rubbish, other than lines of a header; a text may merely mention one."""
    at = head[:1024].find(magics.PDF)
    if at < 0:
        return False
    before = head[:at].strip(b"\0 \t\r\n\xef\xbb\xbf")
    if not before:
        return True
    if _HEADER_LINE.match(before):
        return False
    return not is_text or re.search(rb"%PDF-\d\.\d\s.*?\d \d obj\b", head[at:], re.DOTALL) is not None


_LINES: Final = re.compile(rb"(?:[\t\x0b\x20-\x7e\x80-\xff]*\r?[\n\r])+")
_HEADER_LINE: Final = re.compile(rb"[!-9;-~]{1,80}:[ \t]*[^\n]*(?:\n|$)")
_WITH_BYTES: Final = frozenset(
    {CDA, "message/rfc822", "application/mbox", "multipart/related", "application/hl7-v2"}
)
"""What may hold raw bytes behind its first lines: attachments without an encoding."""


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
        return CDA  # behind a line that a script wrote before it
    if known := _by_lines(start.replace("\r\n", "\n"), name, declared):
        return known
    if name.endswith((".csv", ".tsv")) or declared.startswith(("text/csv", "text/tab-separated-values")):
        return "text/csv"
    if name.endswith((".html", ".htm")) or declared.startswith("text/html"):
        return "text/html" if _HTML.search(text) else "text/plain"
    return "text/plain"


def _by_lines(start: str, name: str, declared: str) -> str | None:
    """The type of a text by how its lines begin: HL7, a calendar entry or card, a mail."""
    if re.match(r"(?:MSH|FHS|BHS)([^\w\s])[^\w\s]", start):
        return "application/hl7-v2"
    if card := re.match(r"BEGIN:V(CALENDAR|CARD)\s*[\r\n]", start, re.IGNORECASE):
        return "text/calendar" if card[1].upper() == "CALENDAR" else "text/vcard"
    return _of_mail(start, name, declared)


def _of_mail(text: str, name: str, declared: str) -> str | None:
    """The type of a message, a mailbox or a page saved as one; None for any other text."""
    if _ENVELOPE.match(text):
        return "application/mbox"
    fields: dict[str, str] = {}
    at = re.match(r"(?:[0-9]{1,10}[ \t]*\n)?", text).end()  # type: ignore[union-attr]  # it matches nothing too
    while len(fields) < 100 and (field := _FIELD.match(text, at)):  # noqa: PLR2004 - enough to decide
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
    """The head of a file as text good enough to detect its type, None when it is not text."""
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return head[len(bom) :].decode(encoding, "replace")
    head = unpadded(head)
    if wide := utf16(head):
        return head.decode(wide, "replace")
    text = unfilled(head)
    switches = b"\x0e\x0f" if b"\x1b$" in text else b""  # between sets of characters (ISO 2022)
    odd = len(text) - len(text.translate(None, bytes(set(_CONTROLS) - set(switches))))
    if odd > _FEW * len(text) or not text:
        return None
    return text.decode("utf-8", "replace")


def unpadded(data: bytes) -> bytes:
    """Bytes without the zeros that fill up a block before or behind a text; two bytes stay two bytes."""
    begin = (len(data) - len(data.lstrip(b"\0"))) // 2 * 2
    data = data[begin:]
    end = len(data.rstrip(b"\0"))
    return data[: end + end % 2]


def unfilled(text: bytes) -> bytes:
    """A text of single bytes without zeros around it, and with a line's end for those that fill a block."""
    return _FILLING.sub(b"\n", text.strip(b"\0"))


_FILLING: Final = re.compile(rb"\0{8,}")


def utf16(head: bytes) -> str | None:
    """The byte order of UTF-16 without a mark: half of the bytes of most texts are zero then."""
    sample = head[:2000]
    if len(sample) < 4:  # noqa: PLR2004 - two characters
        return None
    even, odd = sample[0::2].count(0) / len(sample) * 2, sample[1::2].count(0) / len(sample) * 2
    if odd > _NUL_SHARE and even < odd / 10:
        return "utf-16-le"
    if even > _NUL_SHARE and odd < even / 10:
        return "utf-16-be"
    for lane, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        high = sample[lane::2]
        if high.translate(None, _LOW_ROWS) == b"" and len(high.translate(None, b"\0")) > 0:
            return encoding if _is_in_script(sample.decode(encoding, "ignore")) else None
    return None


_MOSTLY: Final = 0.9
_LOW_ROWS: Final = bytes([*range(8), 0x0E, 0x20])
"""The upper halves of letters of Greek, Cyrillic, Hebrew, Arabic and Thai, and of punctuation."""


_SCRIPTS: Final = frozenset({0x03, 0x04, 0x05, 0x06, 0x0E})
"""The rows that have those letters."""
_LETTERS: Final = 4
"""Letters that prove a script: fewer may be arbitrary bytes, such as 01 02 03 04."""


def _is_in_script(text: str) -> bool:
    """Whether a text has words of one of these scripts, with Latin among them perhaps, and nothing else."""
    rows = Counter(ord(letter) >> 8 for letter in text if letter.isalpha() and letter > "\xff")
    row, number = max(rows.items(), key=itemgetter(1), default=(0, 0))
    one = row in _SCRIPTS and number >= _LETTERS and number >= _MOSTLY * rows.total()
    return one and _is_words(text)


def _is_words(text: str) -> bool:
    """Whether a text has nothing but letters, marks, digits, blanks and punctuation."""
    return bool(text) and all(
        unicodedata.category(letter)[0] in "LMNPZS" or letter in "\t\r\n" for letter in text
    )


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
