"""The fields of a PDF's form (AcroForm) as words at their positions on the page.

A tick or a choice is drawn as a shape that is no letter, and what is typed in is drawn after the page; so
both are taken from the fields themselves: `☑ ☐` for boxes, `◉ ○` for one of several, and the value.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pikepdf

from docpipe.convert.core.blocks import clean, flat
from docpipe.convert.readers.html.from_html import flowed
from docpipe.convert.readers.pdf.words import Box, Word, turned

_HIDDEN: Final = 2 | 32
"""Flags of an annotation that is hidden."""
_MULTILINE, _PASSWORD, _RADIO, _PUSH, _COMBO = 1 << 12, 1 << 13, 1 << 15, 1 << 16, 1 << 17
_MOST: Final = 5_000
"""Fields of a page."""
_DEEPEST: Final = 12
_LONGEST: Final = 20_000
_SIZE: Final = re.compile(rb"([\d.]+)\s+Tf")
_PART: Final = re.compile(r"\[\d+\]$")
_WORDS: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|[_\s]+")
_BESIDE: Final = 220.0
"""The distance of a label to the left of its field, in points."""
_AFTER: Final = 40.0
"""The distance of a label to the right of its box, in points."""

TICKED, UNTICKED, CHOSEN, UNCHOSEN = "☑", "☐", "◉", "○"


@dataclass(frozen=True, slots=True)
class Field:
    """A field on a page: its place among the page's annotations, its box, what it holds and its name."""

    at: int
    box: Box
    text: str
    label: str
    size: float = 0.0
    """Of its text in points, 0 where the viewer chooses."""
    sign: bool = False
    """Whether the text is a sign for a tick or a choice."""
    several: bool = False
    """Whether it has several lines."""


def fields(pdf: pikepdf.Pdf) -> dict[int, tuple[Field, ...]]:
    """The fields that hold something, and all boxes, by the index of their page."""
    listed: dict[int, tuple[Field, ...]] = {}
    for number, page in enumerate(pdf.pages):
        notes: Any = page.obj.get("/Annots")
        if isinstance(notes, pikepdf.Array) and (some := tuple(_of_page(notes))):
            listed[number] = some
    return listed


def _of_page(notes: Any) -> Iterator[Field]:
    for at, note in enumerate(notes):
        if at >= _MOST:
            return
        if not isinstance(note, pikepdf.Dictionary) or note.get("/Subtype") != "/Widget":
            continue
        if int(note.get("/F", 0)) & _HIDDEN:
            continue
        try:
            field = _field(at, note)
        except (ValueError, TypeError, KeyError, AttributeError, pikepdf.PdfError):
            continue
        if field is not None:
            yield field


def _field(at: int, note: Any) -> Field | None:
    kind = str(_inherited(note, "/FT") or "")
    flags = int(_inherited(note, "/Ff") or 0)
    x, y, u, v = (float(number) for number in note.Rect)
    box = (min(x, u), min(y, v), max(x, u), max(y, v))
    label = _label(note)
    if kind == "/Btn" and not flags & _PUSH:
        on = _is_on(note)
        signs = (CHOSEN, UNCHOSEN) if flags & _RADIO else (TICKED, UNTICKED)
        return Field(at, box, signs[not on], label, sign=True)
    if kind == "/Tx" and not flags & _PASSWORD:
        text = _rich(_inherited(note, "/RV")) or _text(_inherited(note, "/V"))
    elif kind == "/Ch":
        text = ", ".join(_chosen(_inherited(note, "/V"), _inherited(note, "/Opt")))
    else:
        return None
    size = _SIZE.search(bytes(_inherited(note, "/DA") or b""))
    several = bool(kind == "/Tx" and flags & _MULTILINE)
    if not text.strip():
        return None
    return Field(at, box, text, label, float(size[1]) if size else 0.0, several=several)


def _inherited(field: Any, key: str) -> Any:
    """An entry of a field or of those above it."""
    for _ in range(_DEEPEST):
        if key in field:
            return field[key]
        field = field.get("/Parent")
        if not isinstance(field, pikepdf.Dictionary):
            break
    return None


def _is_on(note: Any) -> bool:
    """Whether a box is ticked, by its appearance state or, without one, by its value."""
    state = note.get("/AS")
    if isinstance(state, pikepdf.Name):
        return state != "/Off"
    value = _inherited(note, "/V")
    looks: Any = note.get("/AP", {}).get("/N")
    names = set(looks.keys()) - {"/Off"} if isinstance(looks, pikepdf.Dictionary) else set()
    if not isinstance(value, pikepdf.Name) or value == "/Off":
        return False
    return not names or str(value) in names


def loose(pdf: pikepdf.Pdf) -> list[tuple[str, str]]:
    """Names and values of fields that are on no page, as programs that fill in forms leave them."""
    form: Any = pdf.Root.get("/AcroForm")
    listed = form.get("/Fields") if isinstance(form, pikepdf.Dictionary) else None
    waiting = [(each, 0) for each in listed or ()] if isinstance(listed, pikepdf.Array) else []
    values: list[tuple[str, str]] = []
    for _ in range(_MOST):
        if not waiting:
            break
        field, depth = waiting.pop(0)
        if not isinstance(field, pikepdf.Dictionary) or "/Rect" in field:
            continue
        kids = field.get("/Kids")
        if isinstance(kids, pikepdf.Array) and depth < _DEEPEST:
            waiting[:0] = [(each, depth + 1) for each in kids]
        elif (name := _label(field)) and (text := _value(field)):
            values.append((name, text))
    return values


def _value(field: Any) -> str:
    """What a field holds that has no place on a page."""
    kind, flags = str(_inherited(field, "/FT") or ""), int(_inherited(field, "/Ff") or 0)
    if kind == "/Btn" and not flags & _PUSH:
        return TICKED if _is_on(field) else UNTICKED
    if kind == "/Tx" and not flags & _PASSWORD:
        return _text(_inherited(field, "/V")).strip()
    chosen = _chosen(_inherited(field, "/V"), _inherited(field, "/Opt")) if kind == "/Ch" else ()
    return ", ".join(chosen)


def _rich(value: Any) -> str:
    """A value in rich text where something in it is struck out, else empty: the plain value has its words."""
    markup = _text(value)
    return flat(flowed(markup)) if "line-through" in markup else ""


def _text(value: Any) -> str:
    if isinstance(value, pikepdf.Stream):
        value = pikepdf.String(value.read_bytes())
    return clean(str(value))[:_LONGEST] if isinstance(value, pikepdf.String) else ""


def _chosen(value: Any, options: Any) -> Iterator[str]:
    """The options that are chosen, as the form shows them."""
    names: dict[str, str] = {}
    for option in options if isinstance(options, pikepdf.Array) else ():
        if isinstance(option, pikepdf.Array) and len(option) > 1:
            names[str(option[0])] = str(option[1])
    for each in value if isinstance(value, pikepdf.Array) else (value,):
        if isinstance(each, pikepdf.String):
            yield clean(names.get(str(each), str(each)))


def _label(note: Any) -> str:
    """What a field is called: the text for people or, where it has none, its name in words."""
    given = _inherited(note, "/TU")
    if isinstance(given, pikepdf.String) and str(given).strip():
        return " ".join(clean(str(given)).split())
    name = _inherited(note, "/T")
    last = _PART.sub("", clean(str(name)).rpartition(".")[2]) if isinstance(name, pikepdf.String) else ""
    return " ".join(part for part in _WORDS.split(last) if part)


def placed(given: Iterable[Field], words: Sequence[Word], turn: int) -> list[Word]:
    """The fields as words, `words` being those of their page and `turn` its quarter turns."""
    upright = [word for word in words if word.turn == turn]
    made: list[Word] = []
    for field in given:
        made += _placed(field, upright, turn)
    for at, word in enumerate(made, 2 * len(words) + 2):
        word.at = at
    return made


def _placed(field: Field, words: Sequence[Word], turn: int) -> list[Word]:
    left, bottom, right, top = turned(field.box, turn)
    height = top - bottom
    size = field.size or min(12.0, max(5.0, 0.75 * height))
    near = [word for word in words if bottom - 0.4 * size <= word.base <= top]
    before = [word for word in near if word.right <= left + 3 and left - word.right <= _BESIDE]
    after = [word for word in near if word.left >= right - 3 and word.left - right <= _AFTER]
    above = [
        word
        for word in words
        if word.left < right and left < word.right and -3 <= word.bottom - top <= size  # noqa: PLR2004
    ]
    text = field.text
    if field.label and not (before or (above and not field.sign) or (after and field.sign)):
        text = f"{field.label}: {text}"
    base = bottom + (height - size) / 2 + 0.2 * size
    if field.several:
        base = top - size - 2
    nearest = min(before or after or [], key=lambda word: abs(word.base - base), default=None)
    if nearest is not None and abs(nearest.base - base) <= 0.8 * size:
        base = nearest.base
    made: list[Word] = []
    for number, line in enumerate(text.split("\n")):
        step = min(0.5 * size, (right - left - 2) / max(1, len(line)))
        low = base - 1.2 * size * number
        for match in re.finditer(r"\S+", line):
            start, end = left + 1 + step * match.start(), left + 1 + step * match.end()
            box = (start, low - 0.2 * size, end, low + 0.8 * size)
            made.append(Word(match[0], *box, low, size, 0, turn, newline=match.start() == 0))
    return made
