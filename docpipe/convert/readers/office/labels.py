"""The labels of lists: which are numbers in a row, which bullets have a meaning, and items to blocks."""

import re
from collections.abc import Sequence
from typing import Final

from docpipe.convert.core.blocks import Block, Listing, tidy

_DECIMAL: Final = re.compile(r"([0-9]{1,6})\.?")
_MEANING: Final = frozenset("☐☑☒✓✔✕✖✗✘✅❌❎❏❐❑❒🗹🗷🗸🗴🗵🗶→↑↓⇒⇑⇓⚠❗!?★☆+")
"""Bullets with a meaning: ticks, boxes, arrows."""
_BOXES: Final = str.maketrans("□▢◻⬜", "☐☐☐☐")


def bullet(sign: str) -> str:
    """A list's bullet where it has a meaning, such as a ticked box; empty for one that is a mere dot."""
    text = tidy(sign)
    if text in {"", "o", "-", "\N{EN DASH}", "\N{EM DASH}", "*", "•"}:
        return ""
    boxed = text.translate(_BOXES)
    return boxed if boxed in _MEANING or any(each.isalnum() for each in text) else ""


def listing(items: Sequence[tuple[Block, ...]], labels: Sequence[str]) -> Listing:
    """A list with its labels as they stand: bullets where all are empty, numbers where they count 1., 2."""
    if not any(labels):
        return Listing(tuple(items))
    numbers = [int(match[1]) if (match := _DECIMAL.fullmatch(label)) else -1 for label in labels]
    if numbers[0] >= 0 and numbers == list(range(numbers[0], numbers[0] + len(numbers))):
        return Listing(tuple(items), numbers[0])
    return Listing(tuple(items), None, tuple(label or "•" for label in labels))
