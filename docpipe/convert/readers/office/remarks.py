"""What comments of office files are about: the passages that they are fixed to."""

from collections.abc import Iterable, Mapping
from typing import Final

from docpipe.convert.core.blocks import tidy
from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.readers.office.ooxml import attribute

_LONGEST: Final = 80
_MOST: Final = 10_000
"""Comments whose passages are looked for."""


def byline(who: str, when: str, passage: str = "") -> str:
    """Who wrote a comment, when, and about what, empty where nothing is known: `Dr Doe, on "5 mg": `."""
    about = f'on "{passage}"' if passage else ""
    known = ", ".join(part for part in (who, when, about) if part)
    return f"{known}: " if known else ""


def shortened(text: str) -> str:
    """A passage in one line, cut where it is long."""
    line = " ".join(tidy(text).split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST].rstrip()}…"


def passages(
    root: Element, begins: str, ends: str, key: str, silent: Iterable[str] = ()
) -> Mapping[str, str]:
    """The text between marks of a tree by the name that both marks bear.

    Args:
        root: the tree.
        begins: the local name of the element that begins a passage.
        ends: that of the element that ends it.
        key: the attribute with the name.
        silent: the local names of elements whose text is none of the passage.
    """
    ended = {attribute(each, key) for each in root.iter(f"{{*}}{ends}")}
    open_: dict[str, list[str]] = {}
    done: dict[str, str] = {}
    if not ended:
        return done
    skipped = frozenset(silent)
    stack: list[tuple[Element, bool]] = [(root, False)]
    while stack:
        element, behind = stack.pop()
        if behind:
            _add(open_, element.tail)
            continue
        name = local(element)
        stack.append((element, True))
        if name == begins and (id_ := attribute(element, key)) in ended and len(open_) < _MOST:
            open_[id_ or ""] = []
        elif name == ends:
            id_ = attribute(element, key) or ""
            done[id_] = shortened("".join(open_.pop(id_, ())))
        elif name in _BREAKS:
            _add(open_, " ")
        if name not in skipped:
            _add(open_, element.text)
            stack += [(child, False) for child in reversed(element)]
    return done


_BREAKS: Final = frozenset({"p", "tab", "br", "tc", "table-cell", "line-break", "s"})


def _add(open_: Mapping[str, list[str]], text: str | None) -> None:
    for parts in open_.values() if text else ():
        parts.append(text or "")
