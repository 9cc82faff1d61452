"""Counters of style sheets (CSS Lists 3, 4): the numbers that pages give to headings and items."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from selectolax.lexbor import LexborNode

from docpipe.convert.readers.html.select import matched

_CHANGE: Final = re.compile(r"(?:^|[;{\s])counter-(reset|increment|set)\s*:\s*([^;}]*)", re.IGNORECASE)
_NAMED: Final = re.compile(r"([A-Za-z_-][\w-]*)(?:\s+(-?[0-9]{1,9}))?")
_SELECTOR: Final = re.compile(r"([^:]*?)(?:::?(before|after))?", re.IGNORECASE)
_MOST_ELEMENTS: Final = 200_000
Values: TypeAlias = Mapping[str, tuple[int, ...]]
"""The values of counters by name, of the outermost scope first."""


@dataclass(slots=True)
class _Changes:
    """What happens to counters at an element."""

    reset: list[tuple[str, int]] = field(default_factory=list)
    increment: list[tuple[str, int]] = field(default_factory=list)
    set: list[tuple[str, int]] = field(default_factory=list)


def counters(root: LexborNode, rules: Iterable[tuple[str, str]]) -> dict[int, Values]:
    """By `mem_id` of the elements at which counters change or that bear texts of rules: the values there.

    Args:
        root: the page.
        rules: selectors with the text of their blocks.
    """
    changes: dict[int, _Changes] = {}
    wanted: set[int] = set()
    counting = (
        (match[1], _CHANGE.findall(body)) for selector, body in rules if (match := _changing(selector, body))
    )
    for node, listed in matched(root, counting):
        wanted.add(node.mem_id)
        for kind, value in listed:
            _take(changes.setdefault(node.mem_id, _Changes()), kind.lower(), value)
    return _walked(root, changes, wanted) if changes else {}


def _changing(selector: str, body: str) -> re.Match[str] | None:
    """The selector of a rule that changes counters or adds a text, in its parts."""
    match = _SELECTOR.fullmatch(selector)
    return match if match and (match[2] or _CHANGE.search(body)) else None


def _take(changes: _Changes, kind: str, value: str) -> None:
    usual = 1 if kind == "increment" else 0
    pairs = [(name, int(number) if number else usual) for name, number in _NAMED.findall(value)]
    setattr(changes, kind, [pair for pair in pairs if pair[0].lower() != "none"])


def _walked(root: LexborNode, changes: Mapping[int, _Changes], wanted: set[int]) -> dict[int, Values]:
    """The values at elements, in the order of the document; a scope ends with the element around it."""
    scopes: dict[str, list[list[int]]] = {}  # depth and value of each scope
    values: dict[int, Values] = {}
    stack: list[tuple[LexborNode | None, int]] = [(root, 0)]
    left = _MOST_ELEMENTS
    while stack and left:
        node, depth = stack.pop()
        if node is None:
            continue
        left -= 1
        stack.append((node.next, depth))
        if not node.is_element_node:
            continue
        for open_ in scopes.values():
            while open_ and open_[-1][0] > depth:
                open_.pop()
        if node.mem_id in changes:
            _change(changes[node.mem_id], scopes, depth)
        if node.mem_id in wanted:
            values[node.mem_id] = {name: tuple(value for _, value in open_) for name, open_ in scopes.items()}
        stack.append((node.first_child, depth + 1))
    return values


def _change(changes: _Changes, scopes: dict[str, list[list[int]]], depth: int) -> None:
    for name, number in changes.reset:
        open_ = scopes.setdefault(name, [])
        if open_ and open_[-1][0] == depth:
            open_.pop()
        open_.append([depth, number])
    for name, number in changes.increment:
        open_ = scopes.setdefault(name, [])
        if not open_:
            open_.append([depth, 0])
        open_[-1][1] += number
    for name, number in changes.set:
        scopes.setdefault(name, [[depth, 0]])[-1:] = [[depth, number]]
