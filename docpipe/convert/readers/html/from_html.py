"""HTML, of any age and in any encoding. Scripts and styles are dropped; nothing is fetched."""

import base64
import html
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

from selectolax.lexbor import LexborNode

from docpipe.convert.core.base import Content, Facts, Source
from docpipe.convert.core.blocks import Block, tidy
from docpipe.convert.core.encoding import charset_of, decode, known
from docpipe.convert.core.tree import DEEPEST, HIDDEN, Flow, Node
from docpipe.convert.readers.html.grid import with_tables
from docpipe.convert.readers.html.parsing import parsed
from docpipe.convert.readers.html.style import declared, generated, laid_out_as

_CHARSET: Final = re.compile(
    rb"<meta[^>]{0,300}?charset\s*=\s*[\"']?\s*([\w.:-]+)|<\?xml[^>]{0,100}?encoding\s*=\s*[\"']([\w.:-]+)",
    re.IGNORECASE,
)


def read(source: Source) -> Content:
    """The page's title, facts and blocks."""
    return page(source.data(), charset_of(source.declared))


def page(data: bytes, charset: str | None, *, outside: bool = False) -> Content:
    """A page of HTML; with `outside`, `charset` takes precedence over the page's own."""
    match = _CHARSET.search(data[:4096])
    inside = (match[1] or match[2]).decode("ascii", "replace") if match else None
    order = (charset, inside) if outside else (inside, charset)
    decoded = decode(data, next((each for each in order if known(each)), None))
    root = parsed(decoded.text)
    tree = _neutral(root) if root is not None else Node("html")
    facts = Facts(
        title=next((each.text() for head in tree.find("head") for each in head.find("title")), "") or None,
        author=_meta(tree, "author"),
        date=_date(_meta(tree, "date", "dcterms.created", "dc.date", "dcterms.date")),
        language=_language(tree),
    )
    flow = Flow()
    blocks = flow.page(with_tables(tree))
    return Content(
        blocks=blocks,
        facts=facts,
        warnings=(*decoded.warnings, *((HIDDEN,) if flow.hid else ())),
        libraries=("selectolax", "chardet"),
    )


def flowed(text: str) -> tuple[Block, ...]:
    """The blocks of a fragment of HTML within another document."""
    root = parsed(text)
    return Flow().page(with_tables(_neutral(root))) if root is not None else ()


def _neutral(root: LexborNode, frames: int = 0) -> Node:
    """The neutral tree, built without recursion: HTML can be nested as deep as a file is long."""
    styles, texts = declared(root), generated(root)
    top = Node(root.tag or "html", _attributes(root, styles, texts))
    stack = [(root.first_child, top, 1)]
    while stack:
        child, parent, depth = stack.pop()
        if child is None:
            continue
        stack.append((child.next, parent, depth))
        if child.is_text_node:
            parent.children.append(child.text_content or "")
        elif child.is_element_node and child.tag:
            attributes = _attributes(child, styles, texts)
            style, role = attributes.get("style", ""), attributes.get("role", "")
            node = Node(laid_out_as(child.tag.lower(), style, role), attributes)
            if node.tag in _FRAMES and (framed := _framed(node)) and frames < _MOST_FRAMES:
                inner = parsed(framed)
                node = Node(
                    "div", node.attributes, [_neutral(inner, frames + 1)] if inner is not None else []
                )
                parent.children.append(node)
                continue
            parent.children.append(node)
            # Too deep: the element stays, emptied, and its children follow it.
            heir, below = (node, depth + 1) if depth < DEEPEST else (parent, depth)
            stack.append((child.first_child, heir, below))
    return top


_FRAMES: Final = frozenset({"iframe", "frame", "object", "embed"})
_MOST_FRAMES: Final = 3
"""Frames within frames that are read."""
_DATA: Final = re.compile(
    r"\s*data:(text/html|text/plain|image/svg\+xml)((?:;[^,]*)?),(.*)", re.DOTALL | re.IGNORECASE
)


def _framed(node: Node) -> str:
    """The page that a frame has within itself, empty where it is elsewhere: nothing is fetched."""
    if page := node.attributes.get("srcdoc", ""):
        return page
    match = _DATA.fullmatch(node.attributes.get("src") or node.attributes.get("data") or "")
    if match is None:
        return ""
    raw = unquote_to_bytes(match[3])
    if "base64" in match[2].lower():
        raw = base64.b64decode(re.sub(rb"[^A-Za-z0-9+/]", b"", raw) + b"==")
    text = decode(raw, charset_of(match[1] + match[2])).text
    return f"<pre>{html.escape(text)}</pre>" if match[1].lower() == "text/plain" else text


def _attributes(
    node: LexborNode, styles: Mapping[int, tuple[str, str]], texts: Mapping[int, dict[str, str]]
) -> dict[str, str]:
    made = {name.lower(): value or "" for name, value in node.attributes.items()}
    made |= texts.get(node.mem_id, {})
    if node.mem_id in styles:
        before, behind = styles[node.mem_id]
        made["style"] = f"{before};{made.get('style', '')};{behind}"
    return made


def _meta(tree: Node, *names: str) -> str | None:
    for node in tree.find("meta"):
        if node.attributes.get("name", "").lower() in names and (
            text := tidy(node.attributes.get("content", ""))
        ):
            return text
    return None


def _date(text: str | None) -> str | None:
    match = re.match(r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?)?)?)?", text or "")
    return match[0] if match else None


def _language(tree: Node) -> str | None:
    top = tree if tree.tag == "html" else next(tree.find("html"), None)
    language = (top.attributes.get("lang") or top.attributes.get("xml:lang") or "") if top else ""
    return language.strip()[:35] or None
