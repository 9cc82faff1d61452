"""Colours that flag cells of a table, in words, where some cells have them and most do not."""

from collections.abc import Iterable, Sequence

from docpipe.convert.core.colours import FAINT, VIVID, warm_colour


def of_background(code: str | None) -> str:
    """The name of a background such as FF0000 that flags a cell: red, orange or yellow; empty for others."""
    return _named(code, FAINT)


def of_letters(code: str | None) -> str:
    """The same for the colour of letters, which has to be vivid."""
    return _named(code, VIVID)


def few(cells: Iterable[tuple[str, str]]) -> bool:
    """Whether some of the cells with text, each with its colour, are flagged, and at most half of them."""
    colours = [colour for text, colour in cells if text]
    return any(colours) and 2 * sum(map(bool, colours)) <= len(colours)


def heads(rows: Sequence[Sequence[tuple[str, str]]]) -> int:
    """How many rows at the top are heads by their colour, 0 or 1: all cells of the first with text have one
    colour, and those of the second have not. The rows have texts with their colours.
    """
    colours = [{colour for text, colour in row if text} for row in rows[:2]]
    several = len(colours) > 1 and sum(bool(text) for text, _ in rows[0]) > 1
    return int(several and len(colours[0]) == 1 and "" not in colours[0] and colours[1] != colours[0])


def flagged(text: str, colour: str) -> str:
    """A cell's text with the colour that flags it: `6.9 [red]`."""
    return f"{text} [{colour}]" if text and colour else text


def _named(code: str | None, least: float) -> str:
    digits = (code or "").removeprefix("#")[-6:]
    return warm_colour(f"#{digits.lower()}", least) if len(digits) == 6 else ""  # noqa: PLR2004 - RRGGBB
