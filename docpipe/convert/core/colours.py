"""Names of colours that are used as warnings, by what files write of them."""

import colorsys
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from typing import Final

_NAMES: Final = {
    "red": "red", "darkred": "red", "crimson": "red", "firebrick": "red", "orangered": "red",
    "tomato": "red", "salmon": "red", "lightcoral": "red", "indianred": "red", "maroon": "red", "pink": "red",
    "lightpink": "red", "mistyrose": "red", "orange": "orange", "darkorange": "orange", "coral": "orange",
    "yellow": "yellow", "gold": "yellow", "khaki": "yellow", "lightyellow": "yellow",
}  # fmt: skip
_HEX: Final = re.compile(r"#([0-9a-f]{6}|[0-9a-f]{3})(?![0-9a-f])")
_RGB: Final = re.compile(r"rgba?\(\s*(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})")
_HUES: Final = ((20, "red"), (45, "orange"), (70, "yellow"), (340, ""), (361, "red"))
"""Degrees up to which a hue has a name; warm ones are used as warnings."""
FAINT: Final = 0.12
"""The least saturation of a background that flags a cell."""
VIVID: Final = 0.6
"""The same for letters."""
_DARK: Final = 0.35


def warm_colour(value: str, least: float) -> str:
    """The name of a warm colour of at least some saturation, empty for any other."""
    if (word := re.match(r"[a-z]+", value.strip())) and word[0] in _NAMES:
        return _NAMES[word[0]]
    if code := _HEX.search(value):
        digits = code[1] if len(code[1]) > 3 else "".join(digit * 2 for digit in code[1])  # noqa: PLR2004 - #f00
        parts = [int(digits[at : at + 2], 16) for at in (0, 2, 4)]
    elif code := _RGB.search(value):
        parts = [min(int(part), 255) for part in code.groups()]
    else:
        return ""
    hue, saturation, light = colorsys.rgb_to_hsv(*(part / 255 for part in parts))
    if saturation < least or light < _DARK:
        return ""
    return next(name for end, name in _HUES if hue * 360 < end)


WHITE: Final = "ffffff"
UNKNOWN: Final = "?"
"""Paper that is not of one colour, or whose colour is not known."""
_ALIKE: Final = 12
"""Steps of 255 within which colours look alike."""


def code_of(value: str | None) -> str | None:
    """The code of a colour that is written as `#FFFFFF`, `FFFFFF` or `FFFFFFFF` (alpha first), in lower case;
    None for anything else.
    """
    digits = (value or "").strip().removeprefix("#").lower()
    if len(digits) == 8:  # noqa: PLR2004 - AARRGGBB
        digits = digits[2:]
    return digits if re.fullmatch("[0-9a-f]{6}", digits) else None


@lru_cache(maxsize=1024)
def vanishes(letters: str | None, paper: str | None) -> bool:
    """Whether letters of a colour, as a code, cannot be seen on paper of a colour; False where either is not
    known.
    """
    if code_of(letters) is None or code_of(paper) is None:
        return False
    pairs = zip(bytes.fromhex(letters or ""), bytes.fromhex(paper or ""), strict=True)
    return all(abs(one - other) <= _ALIKE for one, other in pairs)


def flags_behind(runs: Sequence[tuple[str, str]]) -> list[str]:
    """The names of colours that stand behind runs of a text, each with its colour: behind each passage that a
    colour flags, `6.9 [red]`. What most of the text has flags nothing in it, nor does a colour of mere signs.
    """
    flags = [""] * len(runs)
    colours = [colour for _, colour in runs]
    sizes = [len(text.strip()) for text, _ in runs]
    if 2 * sum(size for size, colour in zip(sizes, colours, strict=True) if colour) > sum(sizes):
        return flags
    for at in range(1, len(runs) - 1):
        if not sizes[at] and colours[at - 1] == colours[at + 1]:
            colours[at] = colours[at - 1]  # a blank within a passage
    for colour, passage in groupby(range(len(runs)), key=lambda at: colours[at]):
        places = [at for at in passage if sizes[at]]
        if colour and any(each.isalnum() for at in places for each in runs[at][0]):
            flags[places[-1]] = colour
    return flags
