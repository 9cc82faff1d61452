"""The first page as a small picture, and the number of pages."""

from pathlib import Path
from typing import Final

import pypdfium2

WIDTH: Final = 400
"""Pixels."""
_TALLEST: Final = 2_000


def render(pdf: Path, target: Path) -> int:
    """Write the first page of `pdf` as a PNG of 400 pixels' width; the number of pages.

    Raises: pypdfium2.PdfiumError.
    """
    with pypdfium2.PdfDocument(pdf) as document:
        if document.get_formtype():
            document.init_forms()
        page = document[0]
        width, height = page.get_size()
        scale = WIDTH / max(width, 1)
        picture = page.render(scale=min(scale, _TALLEST / max(height, 1))).to_pil().convert("RGB")
        if picture.width != WIDTH:
            picture = picture.resize((WIDTH, max(1, min(_TALLEST, round(height * scale)))))
        bands = {band.tobytes() for band in picture.split()}
        if len(bands) == 1:  # black on white: a third of the time and half of the bytes
            picture = picture.getchannel(0)
        picture.save(target, "PNG", compress_level=3)
        return len(document)
