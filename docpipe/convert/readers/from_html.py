"""HTML, of any age and in any encoding. Scripts and styles are dropped; nothing is fetched."""

import re
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

from docpipe.convert.core.base import Content, Facts, Source
from docpipe.convert.core.blocks import Block, tidy
from docpipe.convert.core.encoding import UNSURE, charset_of, decode, known
from docpipe.convert.core.tree import DEEPEST, Flow, Node

_CHARSET: Final = re.compile(
    rb"<meta[^>]{0,300}?charset\s*=\s*[\"']?\s*([\w.:-]+)|<\?xml[^>]{0,100}?encoding\s*=\s*[\"']([\w.:-]+)",
    re.IGNORECASE,
)


def read(source: Source) -> Content:
    """The page's title, facts and blocks."""
    return page(source.data(), charset_of(source.declared))


def page(data: bytes, charset: str | None, *, outside: bool = False) -> Content:
    """A page of HTML; `outside` says that `charset` counts for more than what the page says of itself."""
    found = _CHARSET.search(data[:4096])
    inside = (found[1] or found[2]).decode("ascii", "replace") if found else None
    order = (charset, inside) if outside else (inside, charset)
    decoded = decode(data, next((each for each in order if known(each)), None))
    root = LexborHTMLParser(decoded.text.replace("\0", "")).root
    tree = _neutral(root) if root is not None else Node("html")
    facts = Facts(
        title=next((title.text() for title in tree.find("title")), "") or None,
        author=_meta(tree, "author"),
        date=_date(_meta(tree, "date", "dcterms.created", "dc.date", "dcterms.date")),
        language=_language(tree),
    )
    return Content(
        blocks=Flow().blocks(tree),
        facts=facts,
        warnings=(UNSURE,) if decoded.lossy else (),
        libraries=("selectolax", "charset-normalizer"),
    )


def flowed(text: str) -> tuple[Block, ...]:
    """The blocks of a piece of HTML that stands in something else."""
    root = LexborHTMLParser(text.replace("\0", "")).root
    return Flow().blocks(_neutral(root)) if root is not None else ()


def _neutral(root: LexborNode) -> Node:
    """The neutral tree, built without recursion: HTML can be nested as deep as a file is long."""
    top = Node(root.tag or "html", _attributes(root))
    stack = [(root.first_child, top, 1)]
    while stack:
        child, parent, depth = stack.pop()
        if child is None:
            continue
        stack.append((child.next, parent, depth))
        if child.is_text_node:
            parent.children.append(child.text_content or "")
        elif child.is_element_node and child.tag:
            node = Node(child.tag.lower(), _attributes(child))
            parent.children.append(node)
            # Too deep: the element stays, emptied, and its children follow it.
            heir, below = (node, depth + 1) if depth < DEEPEST else (parent, depth)
            stack.append((child.first_child, heir, below))
    return top


def _attributes(node: LexborNode) -> dict[str, str]:
    return {name.lower(): value or "" for name, value in node.attributes.items()}


def _meta(tree: Node, *names: str) -> str | None:
    for node in tree.find("meta"):
        if node.attributes.get("name", "").lower() in names and (
            text := tidy(node.attributes.get("content", ""))
        ):
            return text
    return None


def _date(text: str | None) -> str | None:
    found = re.match(r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?)?)?)?", text or "")
    return found[0] if found else None


def _language(tree: Node) -> str | None:
    html = tree if tree.tag == "html" else next(tree.find("html"), None)
    language = (html.attributes.get("lang") or html.attributes.get("xml:lang") or "") if html else ""
    return language.strip()[:35] or None
