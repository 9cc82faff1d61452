"""Formulas of Office files (ECMA-376-1, 22.1) on one line: a half must not become 12, nor ³√x a √3x."""

import re
from collections.abc import Callable, Iterable
from typing import Final

from docpipe.convert.core.marks import raised
from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.readers.office.ooxml import attribute, down, on

_BRACKETED: Final = re.compile(r"\([^()]*\)")
_SKIPPED: Final = frozenset({"del", "moveFrom", "instrText", "rt"})


def formula(element: Element) -> str:
    """The text of a formula or of a part of it."""
    name = local(element)
    if name == "t":
        return element.text or ""
    if name in _SKIPPED or name.endswith("Pr"):
        return ""
    write = _FORMS.get(name)
    return write(element) if write else "".join(map(formula, element))


def _part(element: Element, name: str) -> str:
    part = down(element, name)
    return "" if part is None else formula(part).strip()


def held(text: str) -> str:
    """A part that is read as one: in brackets where it has several characters."""
    return text if len(text) <= 1 or text.isdigit() or _BRACKETED.fullmatch(text) else f"({text})"


def _property(element: Element, name: str, otherwise: str) -> str:
    given = attribute(down(element, f"{local(element)}Pr", name), "val")
    return otherwise if given is None else given


def _fraction(element: Element) -> str:
    return f"{held(_part(element, 'num'))}/{held(_part(element, 'den'))}"


def _script(element: Element) -> str:
    below, above = _part(element, "sub"), _part(element, "sup")
    return _part(element, "e") + (f"_{held(below)}" if below else "") + (f"^{held(above)}" if above else "")


def _before(element: Element) -> str:
    return f"^{held(_part(element, 'sup'))}_{held(_part(element, 'sub'))}{_part(element, 'e')}"


def _root(element: Element) -> str:
    hidden = on(down(element, "radPr", "degHide"))
    return f"{'' if hidden else raised(_part(element, 'deg')).lstrip('^')}√{held(_part(element, 'e'))}"


def _nary(element: Element) -> str:
    limits = _script(element).removeprefix(_part(element, "e"))
    return f"{_property(element, 'chr', '∫')}{limits} {_part(element, 'e')}"


def _delimited(element: Element) -> str:
    inner = _property(element, "sepChr", "|").join(_each(element, "e"))
    return f"{_property(element, 'begChr', '(')}{inner}{_property(element, 'endChr', ')')}"


def _matrix(element: Element) -> str:
    rows = (", ".join(_each(row, "e")) for row in element if local(row) == "mr")
    return f"[{'; '.join(rows)}]"


def _each(element: Element, name: str) -> Iterable[str]:
    return (formula(each).strip() for each in element if local(each) == name)


_FORMS: Final[dict[str, Callable[[Element], str]]] = {
    "f": _fraction,
    "sSup": _script,
    "sSub": _script,
    "sSubSup": _script,
    "sPre": _before,
    "rad": _root,
    "nary": _nary,
    "d": _delimited,
    "m": _matrix,
    "eqArr": lambda element: "; ".join(_each(element, "e")),
    "func": lambda element: f"{_part(element, 'fName')} {held(_part(element, 'e'))}",
    "limLow": lambda element: f"{_part(element, 'e')}_{held(_part(element, 'lim'))}",
    "limUpp": lambda element: f"{_part(element, 'e')}^{held(_part(element, 'lim'))}",
    "acc": lambda element: _part(element, "e") + _property(element, "chr", "\u0302"),
}
