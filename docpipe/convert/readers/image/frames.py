"""The frames of a picture: properties of each, and new encodings where the original data cannot be used."""

import io
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageFile, ImageOps

from docpipe.convert.core.base import UnreadableError
from docpipe.convert.core.kinds import kind_of

MOST_PIXELS: Final = 150_000_000
"""Pixels of one page: a sheet of 24 by 36 inches at 400 dpi."""
MOST_PAGES: Final = 2_000
_EXIF_DATES: Final = (0x9003, 0x9004, 0x0132)
_ORIENTATION: Final = 274
_SUBFILE: Final = 254
_REDUCED_OR_MASK: Final = 0b101
_DEEP: Final = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I", "F"})
_MOST_SHADES: Final = 65_535
_TOO_LARGE: Final = (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError)


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a picture; `at` is its place in the file."""

    at: int
    sound: bool
    """Whether it can be read whole."""
    plain: bool
    """Whether it has no transparent parts, so that its own data can be displayed."""
    orientation: int = 1
    """As EXIF counts: 1 is upright, 2 to 8 are turned or mirrored."""


@contextmanager
def careful() -> Iterator[None]:
    """Pillow with a limit on pixels that holds, and reasons in place of its errors."""
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    truncated = ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableError("The picture unpacks to more pixels than it may.") from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = truncated


def inspect(path: Path, media_type: str) -> tuple[list[Frame], str | None]:
    """The frames that are pages, and the date taken.

    Frames of a TIFF are pages, but for the smaller copies and masks that some scanners put beside them; of
    all else the first is the picture: those of a GIF move.

    Raises: UnreadableError.
    """
    try:
        with Image.open(path) as image:
            several = media_type == "image/tiff"
            count = getattr(image, "n_frames", 1) if several else 1
            if count > MOST_PAGES:
                raise UnreadableError(f"The scan has more than {MOST_PAGES} pages.")  # noqa: TRY301 - passes below
            date = _date(image)
            frames = [_frame(image, at, several=several) for at in range(count)]
    except (UnreadableError, *_TOO_LARGE):
        raise
    except Exception as error:
        raise UnreadableError(f"This is {kind_of(media_type).name} that is damaged.") from error
    pages = [frame for frame, extra in frames if not extra]
    return pages or [frame for frame, _ in frames], date


def _frame(image: Image.Image, at: int, *, several: bool) -> tuple[Frame, bool]:
    """A frame, and whether it is only an extra to another one."""
    try:
        if at or several:  # seeking in a picture that moves needs all of its frames to be sound
            image.seek(at)
        orientation, extra = _orientation(image), several and _is_extra(image)
        image.load()
        plain = not image.has_transparency_data and image.mode not in {"La", "RGBa", "LA", "PA"}
    except _TOO_LARGE:
        raise
    except Exception:  # noqa: BLE001 - decoders raise any exception
        return Frame(at, sound=False, plain=False), False
    return Frame(at, sound=True, plain=plain, orientation=orientation), extra


def _orientation(image: Image.Image) -> int:
    try:
        tags: Any = getattr(image, "tag_v2", None)
        value = tags.get(_ORIENTATION) if tags is not None else image.getexif().get(_ORIENTATION)
    except Exception:  # noqa: BLE001 - as above
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1  # noqa: PLR2004 - EXIF's eight


def _is_extra(image: Image.Image) -> bool:
    value = getattr(image, "tag_v2", {}).get(_SUBFILE, 0)
    return isinstance(value, int) and bool(value & _REDUCED_OR_MASK)


def _date(image: Image.Image) -> str | None:
    try:
        exif = image.getexif()
        values: list[Any] = [exif.get(tag) or exif.get_ifd(0x8769).get(tag) for tag in _EXIF_DATES]
    except Exception:  # noqa: BLE001 - as above
        return None
    for value in values:
        match = re.match(r"(\d{4}):(\d\d):(\d\d)(?: (\d\d:\d\d:\d\d))?", str(value or ""))
        if match and match[1] != "0000":
            date = f"{match[1]}-{match[2]}-{match[3]}"
            return f"{date}T{match[4]}" if match[4] else date
    return None


def upright(path: Path, frame: Frame) -> Image.Image | None:
    """A frame as it is to be seen, None where nothing of it can be read.

    What is missing of it stays grey; what is transparent is white, as on paper; shades keep their depth.
    """
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        with Image.open(path) as image:
            if frame.at:
                image.seek(frame.at)
            image.load()
            resolution = _resolution(image)
            turned = image if image.format == "TIFF" else ImageOps.exif_transpose(image)  # Pillow turns TIFFs
            page = _displayable(turned)
    except _TOO_LARGE:
        raise
    except Exception:  # noqa: BLE001 - as above
        return None
    page.info = {"dpi": resolution}
    return page


def _displayable(image: Image.Image) -> Image.Image:
    if image.mode in _DEEP:
        return _deep(image)
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data or image.mode == "RGBa":
        seen = image.convert("RGBA")
        paper = Image.new("RGBA", seen.size, "white")
        paper.alpha_composite(seen)
        grey = image.mode in {"LA", "L", "1"}
        return paper.convert("L" if grey else "RGB")
    return image if image.mode in {"1", "L", "RGB"} else image.convert("RGB")


def _deep(image: Image.Image) -> Image.Image:
    """More than 256 shades: 16 bits as they are; others are stretched to 16 bits where they do not fit."""
    if image.mode.startswith("I;16"):
        return image if image.mode == "I;16" else image.convert("I").convert("I;16")
    low, high = (float(value) for value in image.getextrema())  # type: ignore[arg-type]  # one band: two numbers
    whole = image.mode == "I" and low >= 0 and high <= _MOST_SHADES
    if not whole:
        span = max(high - low, 1e-9)
        scale = _MOST_SHADES / span
        image = image.convert("F").point(lambda shade: shade * scale - low * scale)
    return image.convert("I").convert("I;16")


def png(image: Image.Image) -> bytes:
    """A frame as PNG, without loss."""
    out = io.BytesIO()
    image.save(out, "PNG", dpi=image.info["dpi"])
    return out.getvalue()


def _resolution(image: Image.Image) -> tuple[float, float]:
    dpi = image.info.get("dpi", (96, 96))
    try:
        x, y = (float(value) for value in dpi)
    except (TypeError, ValueError):
        return 96.0, 96.0
    return (x, y) if x > 1 and y > 1 else (96.0, 96.0)


def straightened(tiff: bytes) -> bytes:
    """A TIFF whose frames all claim to be upright: img2pdf takes the claim for part of the frames' size.

    Source: TIFF 6.0, section 2; BigTIFF has 8 bytes for what has 2 or 4 there.
    """
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return tiff
    data = bytearray(tiff)
    big = tiff[2:4] in {b"+\0", b"\0+"}
    count_form, entry_size, link_form = ("Q", 20, "Q") if big else ("H", 12, "I")
    try:
        (at,) = struct.unpack_from(order + link_form, data, 8 if big else 4)
        seen: set[int] = set()
        while at and at not in seen and len(seen) < MOST_PAGES:
            seen.add(at)
            (count,) = struct.unpack_from(order + count_form, data, at)
            first = at + struct.calcsize(count_form)
            for entry in range(first, first + min(count, 4096) * entry_size, entry_size):
                if struct.unpack_from(order + "H", data, entry)[0] == _ORIENTATION:
                    struct.pack_into(order + "H", data, entry + (12 if big else 8), 1)
            (at,) = struct.unpack_from(order + link_form, data, first + count * entry_size)
    except struct.error:  # the file ends within a list: the entries before are set
        pass
    return bytes(data)
