"""Pictures and scans to PDF without loss, to PDF/A where it can be proven, and read where they are text.

A frame's own data goes into the PDF as it is. That is checked: the page as pdfium shows it is compared with
the frame as Pillow decodes it, and where they differ (faxes with errors in their lines, which
decoders mend differently) the frame is encoded anew.
"""

import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import img2pdf
import pikepdf
import pypdfium2
from PIL import Image, ImageChops, ImageStat

from docpipe.convert.core.base import Content, Facts, Source, UnreadableError
from docpipe.convert.core.blocks import Block, placeholder
from docpipe.convert.core.pdfa import archived
from docpipe.convert.ocr import page_notes, pages
from docpipe.convert.readers.image.frames import Frame, careful, inspect, png, straightened, upright
from docpipe.convert.readers.pdf import scanned

_LETTER: Final = (612.0, 792.0)
_SHORTEST: Final = 36.0
_LONGEST: Final = 1_224.0
"""Points: what would be longer than a ledger's 17 inches has no true resolution and is fitted to a letter."""
_UNEQUAL: Final = 3.0
"""Pixels of faxes are up to twice as high as wide; larger ratios are invalid."""
_CUT: Final = "the picture is damaged or cut short; what remains of it is converted"
_REENCODED: Final = "the picture was encoded anew for the PDF"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TURNS: Final = {3: 180, 5: 270, 6: 90, 7: 90, 8: 270}
_MIRRORS: Final = {2: "-1 0 0 1 {0} 0", 4: "1 0 0 -1 0 {1}", 5: "-1 0 0 1 {0} 0", 7: "-1 0 0 1 {0} 0"}
"""What comes before the turn, by EXIF's orientation: a matrix over the page's width and height."""
_MOST_COMPARED: Final = 40_000_000
"""Pixels: comparing larger pictures would need too much memory."""
_COMPARED: Final = 128
"""Pixels of a side that are compared, each the mean of at least four by four: decoders round differently."""
_LEAST_SIDE: Final = 32
_ALIKE: Final = 8.0
"""Mean difference, of 255 shades: decoders differ by less than 3, damaged lines by more than 20."""


def read(source: Source) -> Content:
    """The picture as a PDF of one page for each frame, with its text where it has some.

    Raises: UnreadableError.
    """
    with careful():
        frames, date = inspect(source.path, source.media_type)
        pdf, anew = _pdf(source, frames)
    damaged = not all(frame.sound for frame in frames)
    warnings = [_CUT] if damaged else [_REENCODED] if anew else []
    number = _count(pdf)
    ocr = pages.read(pdf, [pages.Page(at) for at in range(number)], source)
    pdf, proven = archived(ocr.pdf or pdf)
    return Content(
        blocks=tuple(_blocks(ocr, number)),
        pdf=pdf,
        facts=Facts(date=date),
        warnings=(*page_notes.warnings(ocr, range(number)), *warnings),
        proven=proven,
        libraries=("img2pdf", "pillow", "pikepdf", "pypdfium2", *ocr.libraries),
        ocr_pages=page_notes.numbers(ocr.texts),
    )


def _count(pdf: bytes) -> int:
    with pikepdf.open(io.BytesIO(pdf)) as opened:
        return len(opened.pages)


def _blocks(ocr: pages.Read, count: int) -> Iterator[Block]:
    if not ocr.texts:
        noun = "picture" if count == 1 else f"scan of {count} pages"
        yield placeholder(f"This document is a {noun}. No text could be read from it.")
        return
    for at in range(count):
        text = ocr.texts.get(at)
        yield page_notes.heading(at, ocr=text is not None)
        if text is not None:
            yield from scanned.blocks(ocr.readings[at])
        elif at not in ocr.blank:
            yield page_notes.picture()


def _pdf(source: Source, frames: Sequence[Frame]) -> tuple[bytes, bool]:
    """The frames as pages, and whether some had to be encoded anew."""
    own = _lossless_pdf(source, frames)
    anew = False
    out = pikepdf.Pdf.new()
    for frame in frames:
        if own is not None and frame.sound and frame.plain:
            page = own.pages[frame.at]
            _orient(page, frame.orientation)
            out.pages.append(page)
            if _shows_frame(out, source.path, frame):
                continue
            del out.pages[-1]
        anew = True
        if (image := upright(source.path, frame)) is not None and (data := _lossless(png(image))):
            with pikepdf.open(io.BytesIO(data)) as made:
                out.pages.extend(made.pages)
    if not out.pages:
        raise UnreadableError("The picture is damaged and cannot be shown.")
    out.docinfo["/CreationDate"] = out.docinfo["/ModDate"] = "D:19700101000000Z"
    return _saved(out), anew


def _saved(pdf: pikepdf.Pdf) -> bytes:
    out = io.BytesIO()
    pdf.save(out, deterministic_id=True)
    return out.getvalue()


def _lossless_pdf(source: Source, frames: Sequence[Frame]) -> pikepdf.Pdf | None:
    """A PDF of all frames with their own data, None where some have no place in a PDF."""
    if not any(frame.sound and frame.plain for frame in frames):
        return None
    data = source.data()
    if source.media_type == "image/tiff" and any(frame.orientation > 1 for frame in frames):
        data = straightened(data)
    made = _lossless(data, several=source.media_type == "image/tiff")
    if made is None:
        return None
    opened = pikepdf.open(io.BytesIO(made))
    return opened if len(opened.pages) > max(frame.at for frame in frames) else None


def _lossless(image: bytes, *, several: bool = False) -> bytes | None:
    """The picture's own data in a PDF, None when its form has no place there."""
    try:
        return bytes(
            img2pdf.convert(
                image,
                engine=img2pdf.Engine.internal,
                layout_fun=_layout,
                rotation=img2pdf.Rotation.none,
                creationdate=_EPOCH,
                moddate=_EPOCH,
                first_frame_only=not several,
            )
        )
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError):
        raise
    except Exception:  # noqa: BLE001 - it reads fewer forms than Pillow, which is tried next
        return None


def _orient(page: pikepdf.Page, orientation: int) -> None:
    """Turn a page by its EXIF orientation; mirror it first where that demands it."""
    if orientation in _MIRRORS:
        box: Any = page.mediabox
        matrix = _MIRRORS[orientation].format(float(box[2]), float(box[3]))
        page.contents_add(f"q {matrix} cm\n".encode(), prepend=True)
        page.contents_add(b"\nQ")
    if orientation in _TURNS:
        page.rotate(_TURNS[orientation], relative=True)


def _shows_frame(pdf: pikepdf.Pdf, path: Path, frame: Frame) -> bool:
    """Whether the last page shows the frame as Pillow decodes it, as far as that can be compared."""
    with Image.open(path) as opened:
        opened.seek(frame.at)
        large = opened.width * opened.height > _MOST_COMPARED
        if large or min(opened.size) < _LEAST_SIDE or opened.mode in {"CMYK", "LAB", "YCbCr"}:
            return True  # colours of these are matched differently
    if (image := upright(path, frame)) is None:
        return True
    single = pikepdf.Pdf.new()
    single.pages.append(pdf.pages[-1])
    with pypdfium2.PdfDocument(_saved(single)) as document:
        width, _ = document[0].get_size()
        bitmap = document[0].render(scale=image.width / width, grayscale=True)
        width, height = (max(1, min(_COMPARED, side // 4)) for side in image.size)
        rendered = bitmap.to_pil().resize((width, height), Image.Resampling.BOX)
    deep = image.mode == "I;16"
    wanted = (image.convert("I").point(lambda shade: shade / 256) if deep else image).convert("L")
    difference = ImageChops.difference(rendered, wanted.resize((width, height), Image.Resampling.BOX))
    return bool(ImageStat.Stat(difference).mean[0] < _ALIKE)


def _layout(width: float, height: float, dpi: tuple[float, float]) -> tuple[float, float, float, float]:
    """The size of the page: the picture's own, or that of a letter where its own cannot be true."""
    across, down = max(dpi[0], 1), max(dpi[1], 1)
    if max(across, down) > _UNEQUAL * min(across, down):
        across = down = 96.0
    wide, high = width * 72 / across, height * 72 / down
    if max(wide, high) > _LONGEST or max(wide, high) < _SHORTEST:
        page = _LETTER if high >= wide else _LETTER[::-1]
        share = min(page[0] / wide, page[1] / high)
        wide, high = wide * share, high * share
    wide, high = max(wide, 3.0), max(high, 3.0)
    return wide, high, wide, high
