"""Bytes to text, in whatever encoding."""

import base64
import codecs
import re
import unicodedata
from dataclasses import dataclass, replace
from typing import Final

from chardet import detect

from docpipe.convert.core.detect import unfilled, unpadded, utf16
from docpipe.convert.core.western import is_ebcdic, western

_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LATIN: Final = frozenset({"iso8859-1", "ascii", "latin_1", "iso8859_1"})
_WIDE: Final = frozenset({"unicode", "utf-16", "utf16", "ucs-2", "iso-10646-ucs-2"})
# Names that stand for a superset of their encoding, as in browsers (WHATWG Encoding).
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
_MOSTLY: Final = 6
_WESTERN: Final = frozenset({"iso8859-1", "iso8859-15", "cp1252", "latin-1", "ascii", "hp-roman8"})
_SURE: Final = 0.25
"""The confidence of chardet from which its answer counts against what reads well in cp1252."""
# Encodings of mainframes, and obsolete ones that short texts are mistaken for.
_UNLIKELY: Final = (
    "utf-7", "cp1140", "cp424", "cp500", "cp875", "cp1026", "cp273", "hp-roman8", "mac-latin2", "mac-iceland",
    "mac-turkish", "mac-greek", "cp1006", "ptcp154", "kz1048", "koi8-t", "cp856", "cp864", "cp1125", "johab",
    "iso8859-3", "iso8859-4", "iso8859-10", "iso8859-14", "iso8859-16", "cp860", "cp861", "cp863", "cp865",
)  # fmt: skip
# What Western text in cp1252 does not have: signs within words, capitals behind small letters, and what a
# micro sign, a degree sign or a half of DOS and the Macintosh look like.
_NOT_WESTERN: Final = re.compile(
    r"(?<=[^\W\d_])[\u0080-\u009f¡-©«-¶¸¹»-¿×÷†‡‰‹›ˆ˜„”“…•‚](?=[^\W\d_])"  # noqa: RUF001 - signs
    r"|[a-zß-öø-ÿ][À-ÖØ-ÞŠŽŒŸ]|\d ?[¡ø](?:[CF]?\b|$)|(?<=\d )æ(?=\w)|\bæ(?:g|mol|l|L|m|U|kat)\b|\ufffd"
    r"|\b[ñŠ]\b"
    r"|(?<![«\w])[¬«](?= ?(?:tab|cp|ml))|[ýðþÝÞ]|õ|ã(?![oes]|\b)|\w\w[ntcdgpz]ã\b"
    r"|ì(?=\w)|[a-z][¹³º¿](?=[a-z])"
    r"|µ(?!g|mol|kat|l|L|m\b|M|s\b|U|V|A|Gy|Sv|R)\w|[šž](?=.*[æìò])|[æìò](?=.*[šž])"
    r"|ø(?=.*[ìèùò])|[ìèùò](?=.*ø)|(?<=\w)[ƒžŸ]",
    re.DOTALL,
)
_STATEFUL: Final = ("iso2022", "hz", "utf-7")
_SHIFTED: Final = re.compile(rb"\+([A-Za-z0-9/]{3,})-")
_BASE_64: Final = 6
"""Bits of a character of base 64."""
_HZ: Final = re.compile(rb"~\{(?:[\x21-\x77][\x21-\x7e]){2,}~\}")
UNSURE = "some characters could not be read"
GUESSED = (
    "the character encoding is not declared and was guessed; compare special characters with the original"
)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text, how it was encoded, and whether something in it was lost."""

    text: str
    encoding: str
    lossy: bool = False
    guessed: bool = False
    """Whether the encoding was guessed from the text alone."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings for people."""
        return (*((UNSURE,) if self.lossy else ()), *((GUESSED,) if self.guessed else ()))


def decode(data: bytes, declared: str | None = None) -> Decoded:
    """The text of `data`: by its byte-order mark, as UTF-8, as declared, or by the best guess."""
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return _decode_as(data[len(bom) :], encoding)
    data = unpadded(data)
    if wide := utf16(data):
        return _decode_as(data, wide)
    data = unfilled(data)
    label = known(declared)
    switching = label if label and label.startswith(_STATEFUL) else _switching(data)
    for likely in (switching, "utf-8", label):  # text with switches is ASCII, and so UTF-8, too
        if likely and _decodes(data, likely):
            unmarked = likely == "utf-7" and label != likely
            return Decoded(data.decode(likely), likely, guessed=unmarked)
    guess = _guess(data)
    return replace(_decode_as(data, guess), guessed=guess != "utf-8")


def _switching(data: bytes) -> str | None:
    """The encoding of text of 7 bits that switches between sets of characters, None for others."""
    if b"\x1b$" in data and _RUNS.search(data) is None:
        return "iso2022_kr" if b"\x1b$)C" in data else "iso2022_jp_ext"
    if _RUNS.search(data) is not None:
        return None
    return "hz" if _HZ.search(data) else "utf-7" if _is_utf_7(data[:_SAMPLE]) else None


def _is_utf_7(data: bytes) -> bool:
    """Whether what stands between plus and minus signs are letters and signs beyond ASCII, more than once and
    each time: `+ALU-` is a micro sign in UTF-7, `AST+ALT-` is not.
    """
    passages = _SHIFTED.findall(data)
    return len(passages) > 1 and all(map(_is_shifted, passages))


def _is_shifted(passage: bytes) -> bool:
    bits = len(passage) * 6
    try:
        whole = base64.b64decode(passage + b"A" * (-len(passage) % 4))
        text = whole[: bits // 16 * 2].decode("utf-16-be")
    except (ValueError, UnicodeError):
        return False
    left = int.from_bytes(base64.b64decode(b"A" * (-len(passage) % 4) + passage), "big") % 2 ** (bits % 16)
    return (
        not left
        and bits % 16 < _BASE_64
        and all(each > "\x7f" and unicodedata.category(each)[0] in "LSMNP" for each in text)
    )


def known(label: str | None) -> str | None:
    """Python's name of a declared encoding, None for an unknown one. Latin 1 means cp1252, as on the web."""
    if not label:
        return None
    label = label.strip().strip("\"'").lower()
    if label in _WIDE:  # the bytes are not wide, else they would have been recognised
        return None
    try:
        codec = codecs.lookup(_NAMES.get(label, label))
    except (LookupError, ValueError):
        return None
    if not codec._is_text_encoding:  # noqa: SLF001 - the only way to exclude rot13, zlib and the like
        return None
    return "cp1252" if codec.name in _LATIN else _WIDER.get(codec.name, codec.name)


def charset_of(media_type: str | None) -> str | None:
    """The charset parameter of a declared media type."""
    _, _, parameters = (media_type or "").partition(";")
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value
    return None


def _decode_as(data: bytes, encoding: str) -> Decoded:
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
    if is_ebcdic(sample):
        return "cp037"
    return _framed(sample) or _statistical(sample, high)


def _framed(sample: bytes) -> str:
    """The code page of DOS of a text with frames, empty for other text."""
    if not _FRAME.search(sample):
        return ""
    rest = sample.translate(None, _FRAME_BYTES)
    page = western(rest, "cp437") or _detected(rest)[0]
    return page if page.startswith(_DOS) and _RUNS.search(rest) else "cp437"


def _statistical(sample: bytes, high: int) -> str:
    """The encoding that statistics find, mended where they mistake it; `high` bytes are beyond ASCII."""
    encoding, confidence = _detected(sample)
    reads_well = _decodes(sample, "cp1252") and not _NOT_WESTERN.search(sample.decode("cp1252"))
    if reads_well and (high < _A_FEW or confidence < _SURE or encoding in _WESTERN):
        return "cp1252"
    if page := _twin(sample, encoding) or western(sample, encoding):
        return page
    if encoding in _WESTERN:
        if _LATIN_9.search(sample.decode("iso8859-1")):
            return "iso8859-15"
        return "cp1252" if _decodes(sample, "cp1252") or encoding == "ascii" else encoding
    return encoding


def _detected(sample: bytes) -> tuple[str, float]:
    """The encoding that statistics find, and how sure they are; none that puts frames into words."""
    out: tuple[str, ...] = ()
    for _ in range(_MOST_GUESSES):
        answer = detect(
            sample, exclude_encodings=_UNLIKELY + out, compat_names=False, no_match_encoding="cp1252"
        )
        name = answer["encoding"] or ""
        encoding = known(name) or "cp1252"
        if not _FRAMED.search(sample.decode(encoding, "replace")):
            break
        out = (*out, name)
    return encoding, answer["confidence"]


def _twin(sample: bytes, encoding: str) -> str:
    """The encoding of Windows for a text that is taken for its twin of ISO, empty for other text."""
    twin = _TWINS.get(encoding, "")
    polish = encoding == "iso8859-2" and _POLISH.search(sample.decode(encoding, "replace"))
    return twin if twin and (polish or _MICRO.search(sample)) and _decodes(sample, twin) else ""


_MOST_GUESSES: Final = 4
_FRAMED: Final = re.compile(
    r"[^\W\d_][\u2500-\u259f]+[^\W\d_]|[\u2550-\u256c][\u2580-\u259f]|[\u2580-\u259f](?:[\u2550-\u256c]|[^\W\d_])"
)
"""Lines and blocks of DOS between letters, and blocks beside lines."""
_FRAME: Final = re.compile(rb"\xc4{6}|\xcd{6}")
"""Lines of DOS; six of one letter are no word."""
_FRAME_BYTES: Final = bytes(range(0xB3, 0xDB))
_DOS: Final = ("cp437", "cp7", "cp8")
_LATIN_9: Final = re.compile(r"[a-z]½[a-z]|[0-9] ?¤")
"""Of a text in cp1252: what œ and € of Latin 9 look like."""
_TWINS: Final = {"iso8859-2": "cp1250", "iso8859-7": "cp1253", "iso8859-5": "cp1251"}
_MICRO: Final = re.compile(rb"[0-9] ?\xb5(?:g|l|L|mol|kat|U|s|m)\b")
"""A micro sign of Windows behind a number and before a unit."""
_A_FEW: Final = 3
_POLISH: Final = re.compile("[łŁżŻęĘ].*[šŠ]|[šŠ].*[łŁżŻęĘ]", re.DOTALL)
"""Letters of Polish beside one that it does not have: in cp1250 that one is ą."""


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeError:
        return False
    return True
