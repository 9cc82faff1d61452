"""Bytes to text, in whatever encoding."""

import codecs
import re
from dataclasses import dataclass
from typing import Final

from charset_normalizer import from_bytes

from docpipe.convert.core.detect import utf16

_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# charset-normalizer chooses among these. Of short Latin texts it takes cp1252 for cp1250 or Big5 ("38°C"
# comes out as "38蚓"), so those are told by how bytes beyond ASCII stand: alone in Latin words, in runs in
# other scripts.
_PLAUSIBLE: Final = [
    "cp1252", "cp1250", "cp1251", "cp866", "koi8_r", "cp850", "shift_jis", "gb18030", "big5", "euc_kr",
]  # fmt: skip
_LATIN: Final = frozenset({"iso8859-1", "ascii", "latin_1", "iso8859_1"})
_WIDE: Final = frozenset({"unicode", "utf-16", "utf16", "ucs-2", "iso-10646-ucs-2"})
# Names that mean more than they say, as browsers know (WHATWG Encoding).
_WIDER: Final = {
    "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949",
    "big5": "big5hkscs", "iso8859-9": "cp1254", "iso8859-11": "cp874", "tis-620": "cp874",
}  # fmt: skip
_NAMES: Final = {
    "windows-874": "cp874", "dos-874": "cp874", "iso-8859-8-i": "iso8859-8", "iso-8859-8-e": "iso8859-8",
    "x-gbk": "gbk", "x-sjis": "cp932", "x-euc-jp": "euc_jp", "x-x-big5": "big5",
}  # fmt: skip
_SAMPLE: Final = 200_000
_RUNS: Final = re.compile(rb"[\x80-\xff]+")
_LATIN_RUN: Final = 2.0
_LATIN_SHARE: Final = 0.35
_A_FEW: Final = 6
# Central European letters, as cp1252 misreads them: inside of words, or together in one text.
_NOT_WESTERN: Final = re.compile(r"(?<=[a-z])[¹³¿º](?=[a-z])|ø(?=.*[ìèùò])|[ìèùò](?=.*ø)", re.DOTALL)
_MOSTLY: Final = 6
UNSURE = "some characters could not be read"


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text, how it was encoded, and whether something in it was lost."""

    text: str
    encoding: str
    lossy: bool = False


def decode(data: bytes, declared: str | None = None) -> Decoded:
    """The text of `data`: by its byte-order mark, as UTF-8, as declared, or by the best guess."""
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return _given(data[len(bom) :], encoding)
    if wide := utf16(data):
        return _given(data, wide)
    for likely in ("utf-8", known(declared)):
        if likely and _decodes(data, likely):
            return Decoded(data.decode(likely), likely)
    return _given(data, _guess(data))


def known(label: str | None) -> str | None:
    """A declared encoding as Python calls it, None for what is none. Latin 1 means cp1252, as on the web."""
    if not label:
        return None
    label = label.strip().strip("\"'").lower()
    if label in _WIDE:  # it said so in bytes that are not wide, else they had been recognised
        return None
    try:
        found = codecs.lookup(_NAMES.get(label, label))
    except (LookupError, ValueError):
        return None
    if not found._is_text_encoding:  # noqa: SLF001 - nothing else keeps rot13, zlib and the like out
        return None
    return "cp1252" if found.name in _LATIN else _WIDER.get(found.name, found.name)


def charset_of(media_type: str | None) -> str | None:
    """The charset parameter of a declared media type."""
    _, _, parameters = (media_type or "").partition(";")
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value
    return None


def _given(data: bytes, encoding: str) -> Decoded:
    try:
        return Decoded(data.decode(encoding), encoding)
    except UnicodeError:
        return Decoded(data.decode(encoding, "replace"), encoding, lossy=True)


def _guess(data: bytes) -> str:
    sample = data[:_SAMPLE]
    high = sum(map(len, _RUNS.findall(sample)))
    lost = len(sample) - len(sample.decode("utf-8", "ignore").encode())
    if high - lost >= _MOSTLY * lost:
        return "utf-8"  # of which a few characters are damaged
    if _is_latin(sample):
        return _of_latin(sample)
    best = from_bytes(sample, cp_isolation=_PLAUSIBLE).best()
    return best.encoding if best else "cp1252"


def _is_latin(sample: bytes) -> bool:
    runs = [len(run) for run in _RUNS.findall(sample)]
    letters = sum(65 <= byte & ~32 <= 90 for byte in sample)  # noqa: PLR2004 - A to Z
    if sum(runs) < _A_FEW:
        return True
    return sum(runs) <= _LATIN_RUN * len(runs) and sum(runs) < _LATIN_SHARE * (letters + sum(runs))


def _of_latin(sample: bytes) -> str:
    if not _decodes(sample, "cp1252") or _NOT_WESTERN.search(sample.decode("cp1252")):
        return "cp1250" if _decodes(sample, "cp1250") else "cp1252"
    return "cp1252"


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeError:
        return False
    return True
