"""How crooked a scan is: engines lose words of lines that climb or fall by more than two degrees."""

import math
from collections.abc import Callable
from typing import Final

from PIL import Image, ImageOps, ImageStat

LEAST: Final = 0.8
"""Degrees below which a page is straight enough."""
_MOST: Final = 12.0
_SMALL: Final = 500
"""Pixels of the longer side of the picture that is measured; whole degrees are tried on half as many."""
_CLEARER: Final = 1.15
"""The factor by which the contrast of lines must grow for the page to be turned."""

Point = Callable[[float, float], tuple[float, float]]


def angle(picture: Image.Image) -> float:
    """By how many degrees a grey picture must be turned counter-clockwise for its lines to be level.

    Lines of text are level, or upright, where rows (or columns) of the picture are as different as can be.
    0 where that is so already, or no angle is better than others.
    """
    grey = picture if picture.mode == "L" else picture.convert("L")
    small = ImageOps.invert(grey.reduce(max(1, round(max(picture.size) / _SMALL))))
    best, _ = _best(small.reduce(2), [step * 1.0 for step in range(-int(_MOST), int(_MOST) + 1)])
    if best == 0.0:  # straight, as most pages are
        return 0.0
    best, most = _best(small, [best + step * 0.2 for step in range(-4, 5)])
    clear = most > _CLEARER * _contrast(small, 0.0)
    return best if abs(best) >= LEAST and abs(best) < _MOST and clear else 0.0


def _best(picture: Image.Image, angles: list[float]) -> tuple[float, float]:
    return max(((each, _contrast(picture, each)) for each in angles), key=lambda pair: pair[1])


def _contrast(picture: Image.Image, degrees: float) -> float:
    """How much the shades of rows, or of columns, differ from each other."""
    turned = picture.rotate(degrees, resample=Image.Resampling.BILINEAR, fillcolor=0)
    width, height = turned.size
    rows = turned.resize((1, height), Image.Resampling.BOX)
    columns = turned.resize((width, 1), Image.Resampling.BOX)
    return max(ImageStat.Stat(rows).var[0], ImageStat.Stat(columns).var[0])


def straightened(picture: Image.Image, degrees: float) -> tuple[Image.Image, Point]:
    """The picture turned counter-clockwise, and from its points to those of the picture as it was."""
    turned = picture.rotate(degrees, resample=Image.Resampling.BICUBIC, expand=True, fillcolor=255)
    turned.info.update(picture.info)
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))

    def back(x: float, y: float) -> tuple[float, float]:
        across, down = x - turned.width / 2, y - turned.height / 2
        return (
            across * cosine - down * sine + picture.width / 2,
            across * sine + down * cosine + picture.height / 2,
        )

    return turned, back
