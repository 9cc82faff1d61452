"""Pictures within documents, fit for the typeset PDF."""

import io
import warnings
from typing import TYPE_CHECKING, Final

from docpipe.convert.core.blocks import Picture

if TYPE_CHECKING:
    from PIL import Image

_LEAST: Final = 10_000
"""Pixels below which a picture is an icon or a line."""
_NARROWEST: Final = 40
_LARGEST: Final = 60_000_000
"""Pixels that are unpacked at all."""
_LONGEST: Final = 1_600
"""Pixels of the longer side in the PDF: 260 dots an inch over the width of the page."""


def picture(data: bytes) -> Picture | None:
    """A picture as the PDF can show it, made smaller where it is large.

    None for one that is too small to tell anything, of a kind that cannot be drawn (EMF, WMF), or damaged.
    """
    from PIL import Image, ImageOps  # noqa: PLC0415 - heavy, and needed for documents with pictures alone

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as opened:
                width, height = opened.size
                small = width * height < _LEAST or min(width, height) < _NARROWEST
                if small or width * height > _LARGEST or opened.format in {"EMF", "WMF"}:
                    return None
                opened.draft(None, (_LONGEST, _LONGEST))
                drawn = ImageOps.exif_transpose(opened)
                photograph = opened.format in {"JPEG", "MPO"}
        drawn.thumbnail((_LONGEST, _LONGEST))
        return _encoded(drawn, photograph=photograph)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - a broken picture raises a dozen types
        return None


def _encoded(drawn: "Image.Image", *, photograph: bool) -> Picture:
    out = io.BytesIO()
    if photograph:
        drawn.convert("L" if drawn.mode == "L" else "RGB").save(out, "JPEG", quality=88)
    else:
        kept = drawn if drawn.mode in {"1", "L", "RGB", "RGBA"} else drawn.convert("RGBA")
        kept.save(out, "PNG")
    return Picture(out.getvalue(), drawn.width, drawn.height)
