"""The elements of a page of HTML that the rules of its style sheets are for."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from selectolax.lexbor import LexborNode, SelectolaxError

Rule = TypeVar("Rule")


def matched(root: LexborNode, rules: Iterable[tuple[str, Rule]]) -> Iterator[tuple[LexborNode, Rule]]:
    """Each element with each rule for it, in the order of the rules; those whose selector no parser knows are
    left out.

    Args:
        root: the page.
        rules: selectors, of which an empty one means every element, each with what holds for them.
    """
    for selector, rule in rules:
        try:
            nodes = root.css(selector.strip() or "*")
        except SelectolaxError:
            continue
        for node in nodes:
            yield node, rule
