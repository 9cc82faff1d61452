"""Pictures and scans to PDF without loss, and to PDF/A where it can be proven."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import img2pdf
import pikepdf
from PIL import Image, ImageFile, ImageSequence

from docpipe.convert.base import SCANNED, Content, Facts, Source, UnreadableError
from docpipe.convert.blocks import Paragraph
from docpipe.convert.kinds import kind_of
from docpipe.convert.pdfa import archived

MOST_PIXELS: Final = 150_000_000
"""Pixels of one page: a sheet of 24 by 36 inches at 400 dpi."""
MOST_PAGES: Final = 2_000
_LETTER: Final = (612.0, 792.0)
_SHORTEST: Final = 36.0
_LONGEST: Final = 1_224.0
"""Points: what would be longer than a ledger's 17 inches has no true resolution and is fitted to a letter."""
_CUT: Final = "the picture is damaged or cut short; what is there is shown"
_REENCODED: Final = "the picture was encoded anew for the PDF"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EXIF_DATES: Final = (0x9003, 0x9004, 0x0132)


def read(source: Source) -> Content:
    """The picture as a PDF of one page for each frame.

    Raises: UnreadableError.
    """
    with _careful():
        pages, date, damaged = _inspect(source)
        told = [_CUT] if damaged else []
        pdf = None if damaged else _lossless(source.path)
        if pdf is None:
            pdf = _page_by_page(source.path)
            told += [] if damaged else [_REENCODED]
    pdf, proven = archived(pdf)
    noun = "picture" if pages == 1 else f"scan of {pages} pages"
    return Content(
        blocks=(Paragraph(f"This document is a {noun}. No text could be read from it."),),
        pdf=pdf,
        facts=Facts(date=date),
        warnings=(SCANNED, *told),
        proven=proven,
        libraries=("img2pdf", "pillow", "pikepdf"),
    )


@contextmanager
def _careful() -> Iterator[None]:
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


def _inspect(source: Source) -> tuple[int, str | None, bool]:
    """The number of frames, the date taken, and whether some frame cannot be read whole."""
    try:
        with Image.open(source.path) as image:
            pages = getattr(image, "n_frames", 1)
            if pages > MOST_PAGES and source.media_type == "image/tiff":
                raise UnreadableError(f"The scan has more than {MOST_PAGES} pages.")  # noqa: TRY301 - passes below
            date = _date(image)
            frames = range(pages) if source.media_type == "image/tiff" else range(1)
            return len(frames), date, not all(_sound(image, at) for at in frames)
    except (UnreadableError, Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError):
        raise
    except Exception as error:
        raise UnreadableError(f"This is {kind_of(source.media_type).name} that is damaged.") from error


def _sound(image: Image.Image, at: int) -> bool:
    try:
        image.seek(at)
        image.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError):
        raise
    except Exception:  # noqa: BLE001 - decoders raise whatever they like
        return False
    return True


def _date(image: Image.Image) -> str | None:
    try:
        exif = image.getexif()
        values: list[Any] = [exif.get(tag) or exif.get_ifd(0x8769).get(tag) for tag in _EXIF_DATES]
    except Exception:  # noqa: BLE001 - as above
        return None
    for value in values:
        found = re.match(r"(\d{4}):(\d\d):(\d\d)(?: (\d\d:\d\d:\d\d))?", str(value or ""))
        if found and found[1] != "0000":
            date = f"{found[1]}-{found[2]}-{found[3]}"
            return f"{date}T{found[4]}" if found[4] else date
    return None


def _lossless(image: Path | bytes) -> bytes | None:
    """The picture's own data in a PDF, None when its form has no place there."""
    try:
        return bytes(
            img2pdf.convert(
                str(image) if isinstance(image, Path) else image,
                engine=img2pdf.Engine.internal,
                layout_fun=_layout,
                rotation=img2pdf.Rotation.ifvalid,
                creationdate=_EPOCH,
                moddate=_EPOCH,
                first_frame_only=not _has_pages(image),
            )
        )
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError):
        raise
    except Exception:  # noqa: BLE001 - it knows fewer forms than Pillow, which is asked next
        return None


def _has_pages(image: Path | bytes) -> bool:
    """Frames of a TIFF are pages; those of a GIF move."""
    head = image[:4] if isinstance(image, bytes) else image.open("rb").read(4)
    return head[:2] in {b"II", b"MM"}


def _page_by_page(path: Path) -> bytes:
    """Every frame that can be read, encoded without loss; what is missing of one stays grey."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    out = pikepdf.Pdf.new()
    with Image.open(path) as image:
        for at, frame in enumerate(ImageSequence.Iterator(image)):
            if at >= MOST_PAGES or (at and image.format != "TIFF"):
                break
            if not _sound(image, at):
                continue
            png = io.BytesIO()
            mode = "L" if frame.mode in {"1", "L", "I;16", "I", "F"} else "RGB"
            frame.convert(mode).save(png, "PNG", dpi=_resolution(frame))
            if (pdf := _lossless(png.getvalue())) is not None:
                with pikepdf.open(io.BytesIO(pdf)) as page:
                    out.pages.extend(page.pages)
    if not out.pages:
        raise UnreadableError("The picture is damaged and cannot be shown.")
    out.docinfo["/CreationDate"] = out.docinfo["/ModDate"] = "D:19700101000000Z"
    pdf_bytes = io.BytesIO()
    out.save(pdf_bytes, deterministic_id=True)
    return pdf_bytes.getvalue()


def _resolution(image: Image.Image) -> tuple[float, float]:
    told = image.info.get("dpi", (96, 96))
    try:
        x, y = (float(value) for value in told)
    except (TypeError, ValueError):
        return 96.0, 96.0
    return (x, y) if x > 1 and y > 1 else (96.0, 96.0)


def _layout(width: float, height: float, dpi: tuple[float, float]) -> tuple[float, float, float, float]:
    """The size of the page: the picture's own, or that of a letter where its own cannot be true."""
    wide, high = (width * 72 / max(dpi[0], 1), height * 72 / max(dpi[1], 1))
    if max(wide, high) > _LONGEST or max(wide, high) < _SHORTEST:
        page = _LETTER if high >= wide else _LETTER[::-1]
        share = min(page[0] / wide, page[1] / high)
        wide, high = wide * share, high * share
    wide, high = max(wide, 3.0), max(high, 3.0)
    return wide, high, wide, high
