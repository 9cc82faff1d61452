"""Colours as CSS and old HTML write them (CSS Color 4): names, hex digits, rgb(), hsl() and hwb()."""

import colorsys
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PIL.ImageColor import colormap

from docpipe.convert.core.colours import UNKNOWN, code_of, vanishes

_FUNCTION: Final = re.compile(r"(rgb|hsl|hwb)a?\(([^()]*)\)")
_NUMBER: Final = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]{1,2})?)(%|deg|turn|rad|grad)?")
_DEGREES: Final = {"turn": 360.0, "rad": 57.29578, "grad": 0.9}
_COLOUR: Final = re.compile(r"#[0-9a-f]+|(?:rgb|hsl|hwb)a?\([^()]*\)|[a-z-]+")
CLEAR: Final = 0.03
"""Opacity up to which nothing leaves a trace."""


@dataclass(frozen=True, slots=True)
class Colour:
    """A colour: its code, and how much of what is behind it it covers, from 0 to 1."""

    code: str
    opacity: float = 1.0

    def over(self, paper: str) -> str:
        """The code of the colour on paper of a colour, UNKNOWN where that decides and is not known."""
        if self.opacity >= 1:
            return self.code
        if code_of(paper) is None:
            return UNKNOWN
        pairs = zip(bytes.fromhex(self.code), bytes.fromhex(paper), strict=True)
        return bytes(round(a * self.opacity + b * (1 - self.opacity)) for a, b in pairs).hex()

    def vanishes(self, paper: str) -> bool:
        """Whether letters of the colour leave no trace on paper of a colour, as a code or UNKNOWN."""
        return self.opacity <= CLEAR or vanishes(self.over(paper), paper)


BLACK: Final = Colour("000000")


def colour_in(value: str) -> Colour | None:
    """The colour that a value in lower case is, None for any other value or a colour of no known code."""
    value = value.strip()
    if value.startswith("#"):
        return _of_digits(value[1:])
    if match := _FUNCTION.fullmatch(value):
        return _of_function(match[1], match[2])
    if value == "transparent":
        return Colour(BLACK.code, 0.0)
    named = colormap.get(value, "")
    if isinstance(named, tuple):  # Pillow keeps what it has once looked up in this form
        return Colour(bytes(named[:3]).hex())
    return _of_digits(named.removeprefix("#"))


def paper_in(value: str, paper: str) -> str:
    """The colour behind an element: of a value of `background` in lower case, over paper of a colour.

    Returns:
        Its code; UNKNOWN for pictures, gradients and colours of no known code; `paper` where the value has no
        colour.
    """
    if "url(" in value or "gradient(" in value:
        return UNKNOWN
    for word in _COLOUR.findall(value):
        if colour := colour_in(word):
            return colour.over(paper) if colour.opacity > 0 else paper
        if word.startswith(("#", "rgb", "hsl", "hwb")):
            return UNKNOWN
    return paper if all(word in _NO_COLOUR for word in re.findall("[a-z-]+", value)) else UNKNOWN


_NO_COLOUR: Final = frozenset({
    "none", "inherit", "initial", "unset", "revert", "repeat", "no-repeat", "repeat-x", "repeat-y", "scroll",
    "fixed", "local", "left", "right", "top", "bottom", "center", "cover", "contain", "auto", "px", "em",
    "rem", "border-box", "padding-box", "content-box", "text",
})  # fmt: skip


def _of_digits(digits: str) -> Colour | None:
    if len(digits) in {3, 4}:
        digits = "".join(each * 2 for each in digits)
    if not re.fullmatch("[0-9a-f]{6}(?:[0-9a-f]{2})?", digits):
        return None
    return Colour(digits[:6], int(digits[6:] or "ff", 16) / 255)


def _of_function(name: str, inner: str) -> Colour | None:
    parts = re.split(r"[\s,/]+", inner.strip())
    numbers = [_NUMBER.fullmatch("0" if part == "none" else part) for part in parts]
    if len(parts) not in {3, 4} or not all(numbers):
        return None
    given = [(float(each[1]), each[2] or "") for each in numbers if each]
    opacity = _share(given[3], 1) if len(given) > 3 else 1.0  # noqa: PLR2004 - the fourth
    if name == "rgb":
        return Colour(_code([_share(each, 255) for each in given[:3]]), opacity)
    degrees = (given[0][0] * _DEGREES.get(given[0][1], 1.0)) % 360 / 360
    second, third = (_share(each, 100) if each[1] else min(max(each[0] / 100, 0), 1) for each in given[1:3])
    if name == "hsl":
        return Colour(_code(colorsys.hls_to_rgb(degrees, third, second)), opacity)
    white, black = second / max(second + third, 1), third / max(second + third, 1)
    pure = colorsys.hls_to_rgb(degrees, 0.5, 1)
    return Colour(_code([part * (1 - white - black) + white for part in pure]), opacity)


def _share(number: tuple[float, str], whole: float) -> float:
    value = number[0] / (100 if number[1] == "%" else whole)
    return min(max(value, 0.0), 1.0)


def _code(parts: Sequence[float]) -> str:
    return bytes(round(part * 255) for part in parts).hex()
