"""Pages of HTML parsed in a time that grows with their length alone."""

import re
from collections import Counter
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

_FEW: Final = 10_000
"""Tags that no nesting makes slow."""
_MOST_OPEN: Final = 512
"""Elements that may be open at once, as in browsers; of further ones the tags are left out, no text."""
_TAG: Final = re.compile(r"<(?:(!--)|(/?)([A-Za-z][^\s/>]*))")
_EMPTY: Final = frozenset({
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track",
    "wbr",
})  # fmt: skip
_TYPED: Final = {
    name: re.compile(f"</{name}", re.IGNORECASE | re.ASCII)
    for name in ("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes")
}
"""Elements in which nothing is a tag but their own end."""
_ENDED: Final = {
    "p": (), "html": (), "head": (), "body": (), "plaintext": (), "option": (), "optgroup": (),
    "li": ("ul", "ol", "menu", "dir"), "dt": ("dl",), "dd": ("dl",), "rt": ("ruby",), "rp": ("ruby",),
    "tr": ("table",), "td": ("table",), "th": ("table",), "thead": ("table",), "tbody": ("table",),
    "tfoot": ("table",), "caption": ("table",), "colgroup": ("table",),
}  # fmt: skip
"""Elements that end without an end tag when the next one begins, each with those that contain it."""


def parsed(text: str) -> LexborNode | None:
    """The page's outermost element."""
    return LexborHTMLParser(flattened(text.replace("\0", ""))).root


def flattened(text: str) -> str:
    """The page without the tags of elements that are nested too deep: parsing takes the square of depth."""
    if text.count("<") < _FEW:
        return text
    kept: list[str] = []
    open_: list[str] = []
    dropped: Counter[str] = Counter()
    at = taken = 0
    while match := _TAG.search(text, at):
        closing = "-->" if match[1] else ">"
        end = text.find(closing, match.end())
        if end < 0:
            break
        at = end + len(closing)
        name = (match[3] or "").lower()
        if name in _TYPED and not match[2]:
            if not (own := _TYPED[name].search(text, at)):
                break
            at = own.start()
        elif name and name not in _EMPTY and not _fits(name, open_, dropped, ends=bool(match[2])):
            kept.append(text[taken : match.start()])
            taken = at
    return "".join((*kept, text[taken:])) if kept else text


def _fits(name: str, open_: list[str], dropped: Counter[str], *, ends: bool) -> bool:
    """Whether a tag stays; the names of the open elements change with it."""
    if name in _ENDED:
        around = _ENDED[name]
        while around and open_ and open_[-1] not in around and not set(around).isdisjoint(open_):
            open_.pop()
        return True
    if not ends:
        if len(open_) < _MOST_OPEN:
            open_.append(name)
            return True
        dropped[name] += 1
        return False
    if dropped[name]:
        dropped[name] -= 1
        return False
    if name in open_:
        while open_.pop() != name:
            pass
    return True
