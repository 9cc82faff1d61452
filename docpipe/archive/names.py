"""Names of members: their encoding, which of them are unsafe, and how they are displayed.

No name becomes a path; unsafe ones are refused all the same, since nobody packs them by accident.
"""

import hashlib
import re
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Final

from docpipe.archive.member import Verdict
from docpipe.archive.zipdirectory import Entry
from docpipe.model import Outcome

LONGEST: Final = 300
"""Characters of a displayed name."""
_GUESSED_BY: Final = 2**20
"""Bytes of names from which their encoding is guessed; guessing takes seconds per megabyte."""
_UTF8: Final = 0x800
_LITTER: Final = frozenset({".ds_store", "thumbs.db", "desktop.ini", "ehthumbs.db"})
_DRIVE: Final = re.compile(r"[A-Za-z]:")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_WESTERN_437: Final = re.compile(rb"[\x80-\xa5\xe1]{1,2}")  # letters of Western Europe in code page 437
_WESTERN_1252: Final = re.compile(rb"[\xc0-\xd6\xd8-\xf6\xf8-\xff]{1,2}")  # and in Windows-1252
_EAST_ASIAN: Final = re.compile("[\u3005-\u3007\u3041-\u30ff\u3400-\u9fff]+")
_PLAUSIBLE: Final = ["cp1250", "cp1251", "cp866", "cp1253", "gb18030", "big5", "euc_jp", "cp949"]


def decoded(entries: Sequence[Entry]) -> Iterator[str]:
    """The names of an archive's entries, in order; one encoding holds for all that declare none."""
    unknown, size = [], 0
    for entry in entries:
        name = _declared(entry)
        if isinstance(name, bytes):
            size += len(name)
            if size > _GUESSED_BY:
                break
            unknown.append(name)
    encoding = _guessed(b"\n".join(unknown)) if unknown else "utf-8"
    for entry in entries:
        name = _declared(entry)
        yield name.decode(encoding, "replace") if isinstance(name, bytes) else name


def _declared(entry: Entry) -> str | bytes:
    """The name, or its bytes where no encoding is declared."""
    if entry.flags & _UTF8:
        return entry.raw_name.decode("utf-8", "replace")
    data = entry.unicode_path
    if data and data[1:5] == zlib.crc32(entry.raw_name).to_bytes(4, "little"):
        return data[5:].decode("utf-8", "replace")
    try:
        return entry.raw_name.decode("utf-8")  # many packers write it without the flag
    except UnicodeDecodeError:
        return entry.raw_name


def _guessed(names: bytes) -> str:
    """Guess the encoding by what names of documents look like: general guessers fail on short texts."""
    runs = re.findall(rb"[\x80-\xff]+", names)
    if all(_WESTERN_437.fullmatch(run) for run in runs):
        return "cp437"
    try:
        if all(_EAST_ASIAN.fullmatch(word) for word in re.findall(r"[^\x00-\x7f]+", names.decode("cp932"))):
            return "cp932"
    except UnicodeDecodeError:
        pass
    if all(_WESTERN_1252.fullmatch(run) for run in runs):
        return "cp1252"
    from charset_normalizer import from_bytes  # noqa: PLC0415 - rarely needed, and it takes 20 ms to load

    best = from_bytes(names, cp_isolation=_PLAUSIBLE).best()
    return "cp437" if best is None else best.encoding


def slashed(name: str) -> str:
    """The name with the separators of Unix; packers under Windows have written backslashes."""
    return name.replace("\\", "/")


def verdict(name: str) -> Verdict | None:
    """Why a member is refused or ignored for its name, None when it is not."""
    path = slashed(name)
    parts = [part.strip() for part in path.split("/")]
    if ".." in parts:
        return Verdict(Outcome.REFUSED, "The name is unsafe: it points outside of the archive.")
    if path.startswith("/") or _DRIVE.match(path):
        return Verdict(Outcome.REFUSED, "The name is unsafe: it points to a fixed place on a computer.")
    if _CONTROL.search(name):
        return Verdict(Outcome.REFUSED, "The name is unsafe: it contains control characters.")
    if "__macosx" in (part.lower() for part in parts[:-1]) or parts[-1].startswith("._"):
        return Verdict(Outcome.IGNORED, "Not a document: a file that macOS adds to archives.")
    if parts[-1].lower() in _LITTER:
        return Verdict(Outcome.IGNORED, "Not a document: a file that the operating system keeps for itself.")
    return None


def _displayed(letter: str) -> str:
    """A character as it is displayed, empty for a control character or a direction mark."""
    if letter.isspace():
        return " "
    category = unicodedata.category(letter)
    if category == "Cs":
        return "\N{REPLACEMENT CHARACTER}"
    return "" if category in {"Cc", "Cf", "Co", "Cn"} else letter


def display_name(name: str) -> str:
    """The name to display: no control characters or direction marks, at most `LONGEST` characters."""
    plain = slashed(name)
    if not (plain.isascii() and plain.isprintable()):  # most are
        plain = "".join(map(_displayed, plain))
    plain = plain.strip()
    if not plain.strip("/ "):
        plain = "(without a name)"
    if len(plain) <= LONGEST:
        return plain
    mark = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:8]  # two long names stay two
    suffix = PurePosixPath(plain).suffix[:12]
    return f"{plain[: LONGEST - len(suffix) - 10]}\N{HORIZONTAL ELLIPSIS}{mark}{suffix}"
