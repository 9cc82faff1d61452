"""The type of a file by its first bytes: formats with a magic number, or with a consistent header.

Standard library only. Nothing here raises for bad input.
"""

import re
import struct
import tarfile
from typing import Final

RTF: Final = b"{\\rtf"
PDF: Final = b"%PDF-"
_MAGICS: Final = (
    (PDF, "application/pdf"),
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
    (b"\0\x05\x16\x07", "application/applefile"),
    (b"\xffWPC", "application/vnd.wordperfect"),
    (b"\xd7\xcd\xc6\x9a\0\0", "image/wmf"),
    (b"\0\x05\x16\0", "application/applefile"),
)
# DICOM without its preamble: the first elements are of group 2 or 8, with their type or without.
_BARE_DICOM: Final = re.compile(
    rb"[\x02\x08]\0[\0-\x30]\0(?:(?:UL|CS|UI|DA|TM|SH|LO)[\0-\x80]\0|OB\0\0\x02\0\0\0)"
    rb"|[\x02\x08]\0\0\0(?:UL)?\x04\0"
    rb"|\x08\0[\x01-\x30]\0[\x02-\x40]\0\0\0[\x20-\x7e]"
    rb"|\0\x08\0[\0-\x30](?:UL|CS|UI|DA|TM|SH|LO)\0",
)
_BMP_HEADERS: Final = {size.to_bytes(4, "little") for size in (12, 16, 40, 52, 56, 64, 108, 124)}
_AVIF: Final = frozenset({b"avif", b"avis"})
_HEIC: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_BLANKS: Final = b"\0 \t\r\n\x0b\x0c"
_MARK: Final = b"\xef\xbb\xbf"


def by_magic(head: bytes, size: int) -> str | None:  # noqa: PLR0911 - a ladder: one rung, one return
    """The media type by the first bytes of a file of `size` bytes, None for what has no mark."""
    if head[128:132] == b"DICM":
        return "application/dicom"
    for magic, media_type in _MAGICS:
        if head.startswith(magic):
            return media_type
    if head.removeprefix(_MARK).lstrip(_BLANKS).startswith(RTF):
        return "text/rtf"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[:2] == b"BM" and head[6:10] == bytes(4) and head[14:18] in _BMP_HEADERS:
        return "image/bmp"
    if head[4:8] == b"ftyp" and (boxed := _boxed(head)):
        return boxed
    if head[257:262] == b"ustar" or _is_old_tar(head):
        return "application/x-tar"
    if _BARE_DICOM.match(head):
        return "application/dicom"
    return _drawing(head) or _bitmap(head, size) or _raster(head, size)


def _drawing(head: bytes) -> str | None:
    """An enhanced metafile of Windows: its first record is a header (MS-EMF 2.3.4.2)."""
    return "image/emf" if head[:4] == b"\x01\0\0\0" and head[40:44] == b" EMF" else None


def _boxed(head: bytes) -> str | None:
    """A picture in boxes (ISO 23008-12): AVIF and HEIC share the outer brand, and differ in the others."""
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, min(int.from_bytes(head[:4]), 256), 4))}
    if brands & _AVIF:
        return "image/avif"
    return "image/heic" if head[8:12] in _HEIC else None


def _is_old_tar(head: bytes) -> bool:
    """Whether a file begins with a header of TAR from before POSIX, which has a sum and no mark."""
    try:
        return bool(tarfile.TarInfo.frombuf(head[:512], "utf-8", "replace").name)
    except (tarfile.HeaderError, ValueError):
        return False


_NETPBM: Final = re.compile(
    rb"P([1-6])(?:\s+|#[^\r\n]*[\r\n])+([0-9]{1,5})(?:\s+|#[^\r\n]*[\r\n])+([0-9]{1,5})"
    rb"(?:\s|#[^\r\n]*[\r\n])(?:(?:\s|#[^\r\n]*[\r\n])*([0-9]{1,5})\s)?"
)
_NETPBM_TYPES: Final = ("bitmap", "graymap", "pixmap")


def _bitmap(head: bytes, size: int) -> str | None:
    """A picture of Netpbm: its header, then as many samples as it claims.

    Source: the manuals pbm(5), pgm(5) and ppm(5).
    """
    if not (match := _NETPBM.match(head)):
        return None
    form, width, height = int(match[1]), int(match[2]), int(match[3])
    kind = (form - 1) % 3
    media_type = f"image/x-portable-{_NETPBM_TYPES[kind]}"
    if form <= 3:  # noqa: PLR2004 - written in digits
        return media_type if re.fullmatch(rb"[\d\s]*(?:#[^\n]*\n[\d\s]*)*", head[match.end() :]) else None
    if kind == 0:
        samples = (width + 7) // 8 * height
    elif match[4]:
        samples = width * height * (3 if kind > 1 else 1) * (2 if int(match[4]) > 255 else 1)  # noqa: PLR2004
    else:
        return None
    return media_type if samples and size >= match.end(3) + samples else None


_TGA: Final = struct.Struct("<BBBHHBHHHHBB")
_TGA_DEPTHS: Final = frozenset({1, 8, 15, 16, 24, 32})
_LARGEST_SIDE: Final = 32_768
_PCX_VERSIONS: Final = frozenset({0, 2, 3, 4, 5})
_PCX_DEPTHS: Final = frozenset({1, 2, 4, 8})


def _raster(head: bytes, size: int) -> str | None:
    """TGA and PCX, which have no magic number: a header whose fields are consistent."""
    if head[:1] == b"\n" and len(head) >= 128 and head[1] in _PCX_VERSIONS and head[2:3] == b"\x01":  # noqa: PLR2004
        left, top, right, bottom = struct.unpack("<4H", head[4:12])
        fits = left <= right < _LARGEST_SIDE and top <= bottom < _LARGEST_SIDE
        return "image/x-pcx" if fits and head[3] in _PCX_DEPTHS and not head[64] else None
    if len(head) < _TGA.size:
        return None
    mark, mapped, form, first, length, entry, _, _, width, height, depth, flags = _TGA.unpack_from(head)
    sound = form in {1, 2, 3, 9, 10, 11} and mapped == (form % 8 == 1) and depth in _TGA_DEPTHS
    if not sound or not (0 < width < _LARGEST_SIDE and 0 < height < _LARGEST_SIDE) or flags & 0xC0:
        return None
    if bool(first or length or entry) != bool(mapped) or (mapped and entry not in _TGA_DEPTHS):
        return None
    rest = size - _TGA.size - mark - length * entry // 8
    wanted = width * height * ((depth + 7) // 8)
    return "image/x-tga" if rest >= (wanted if form < 9 else wanted // 128) else None  # noqa: PLR2004 - packed from 9
