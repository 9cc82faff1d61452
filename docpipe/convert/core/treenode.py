"""An element of the neutral tree that HTML and narratives are brought into."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from docpipe.convert.core.blocks import clean

DEEPEST: Final = 90
"""Elements nested deeper than this flow into their ancestor at this depth; browsers stop at 512."""

BEFORE: Final = "::before"
AFTER: Final = "::after"
"""Names of attributes for text that a style sheet adds within an element, before and behind its own."""
MARKER: Final = "::marker"
"""The name of the attribute for the label that a style sheet gives to an item of a list."""


@dataclass(slots=True)
class Node:
    """An element: its tag in lower case as HTML calls it, attributes, and children in order."""

    tag: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    children: "list[Node | str]" = field(default_factory=list)
    above: "tuple[Node, ...]" = ()
    """For a cell of a table: the part and the row that contain it."""

    def find(self, *tags: str) -> "Iterator[Node]":
        """Descendants with one of the tags, in document order."""
        stack: list[Node | str] = [self]
        while stack:
            node = stack.pop()
            if isinstance(node, Node):
                if node.tag in tags and node is not self:
                    yield node
                stack.extend(reversed(node.children))

    def text(self) -> str:
        """All text within, blanks collapsed."""
        parts: list[str] = []
        stack: list[Node | str] = [self]
        while stack:
            node = stack.pop()
            if isinstance(node, str):
                parts.append(node)
            else:
                stack.extend(reversed(node.children))
        return " ".join(clean("".join(parts)).split())


SILENT: Final = {
    "script", "style", "head", "template", "embed", "iframe", "canvas",
    "audio", "video", "col", "colgroup", "meta", "link", "base", "param", "source", "track", "map", "area",
    "frame", "frameset", "title", "datalist", "rp",
}  # fmt: skip
"""Elements whose text is not for readers."""
