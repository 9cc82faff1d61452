"""The narrative of CDA, and XHTML in XML, as the neutral tree."""

from collections.abc import Mapping
from typing import Final

from docpipe.convert.core.tree import DEEPEST, Node
from docpipe.convert.core.treelists import coded_type
from docpipe.convert.core.xmltree import Element, local, words_of

_TAGS: Final = {  # as HTML calls them; what is not here keeps its name
    "paragraph": "p",
    "list": "ul",
    "item": "li",
    "linkhtml": "a",
    "rendermultimedia": "img",
    "footnoteref": "span",
    "text": "div",
    "title": "p",
}


# What HTML does not display, but the narrative of CDA does.
_PLAIN: Final = frozenset(
    {
        "footnote", "template", "object", "embed", "iframe", "applet", "canvas", "audio", "video", "meta",
        "link", "base", "param", "source", "track", "map", "area", "frame", "frameset", "datalist",
        "input", "head",
    }
)  # fmt: skip


def footnotes(root: Element) -> dict[str, int]:
    """The numbers of footnotes by their ids, in the order in which the text refers to them."""
    numbers: dict[str, int] = {}
    for element in root.iter():
        if local(element).lower() == "footnoteref" and (target := _target(element)):
            numbers.setdefault(target, len(numbers) + 1)
    return numbers


def _target(element: Element) -> str:
    return next((str(value) for key, value in element.attrib.items() if str(key).upper() == "IDREF"), "")


def neutral(
    element: Element, notes: Mapping[str, int] | None = None, tags: Mapping[str, str] = _TAGS
) -> Node:
    """The narrative as a neutral tree, built without recursion.

    Args:
        element: what it is within.
        notes: the numbers of footnotes of the whole document, by their ids; else those of this element.
        tags: what to call elements, by their names in lower case.
    """
    notes = footnotes(element) if notes is None else notes
    top = Node("div")
    stack: list[tuple[Element | str, Node, int]] = [(element, top, 0)]
    while stack:
        item, parent, depth = stack.pop()
        if isinstance(item, str):
            parent.children.append(item)
            continue
        node = _node(item, tags)
        parent.children.append(node)
        heir, below = (node, depth + 1) if depth < DEEPEST else (parent, depth)
        if node.tag == "img":
            heir = parent  # a picture's caption follows it
        stack.extend((part, heir, below) for part in reversed(_content(item, notes)))
    return top


def _content(element: Element, notes: Mapping[str, int]) -> list[Element | str]:
    """What is within an element, with its mark of a footnote or of a revision."""
    rest: list[Element | str] = [element.text or ""]
    for inner in element:
        rest += [inner, inner.tail or ""]
    name = local(element).lower()
    number = notes.get(element.get("ID") or element.get("id") or "")
    if name == "footnoteref":
        rest = [f" [{notes.get(_target(element), '?')}]", *rest]
    elif number is not None:
        rest = [f"[{number}] ", *rest]
    elif name == "footnote":
        rest = [" [note: ", *rest, "] "]
    if (element.get("revised") or "").lower() == "delete":
        rest = ["[deleted: ", *rest, "]"]
    return [part for part in rest if not isinstance(part, str) or part]


def _node(element: Element, tags: Mapping[str, str]) -> Node:
    name = local(element).lower()
    tag = tags.get(name, name)
    attributes = {str(key).lower(): str(value) for key, value in element.attrib.items()}
    if tag == "ul" and attributes.get("listtype", "").lower() == "ordered":
        tag = "ol"
        attributes.setdefault("type", coded_type(attributes.get("stylecode", "")))
    if tag == "a" and not words_of(element):
        return Node("span", {}, [attributes.get("href", "")])
    return Node("span" if tag in _PLAIN else tag or "span", attributes)
