"""The size up to which letters cannot be read."""

from typing import Final

_SMALLEST: Final = 2.0
"""Points; microprint on banknotes is about this high."""


def is_too_small(points: float | None) -> bool:
    """Whether letters of a size, in points, hide their text; False where it is not known."""
    return points is not None and points <= _SMALLEST
