"""The words of a C-CDA's narrative, read without docpipe's reader, and how many a text has in order."""

import bisect
import html
import re
from collections.abc import Sequence

from lxml import etree

WORD = re.compile(r"\w+")
_AHEAD = 8
"""Words that a text may have between two of the narrative's."""


def narrative(data: bytes) -> list[str]:
    """The words of every section's title and text, in order."""
    parser = etree.XMLParser(
        remove_comments=True, remove_pis=True, huge_tree=True, recover=True, resolve_entities=False
    )
    root = etree.fromstring(data.strip(b"\0 \t\r\n"), parser)
    result: list[str] = []
    for section in root.iter("{*}section"):
        for child in section:
            if isinstance(child.tag, str) and etree.QName(child).localname in {"title", "text"}:
                result += WORD.findall(" ".join(child.itertext()))
    return result


def written(markdown: str) -> list[str]:
    """The words of a text in Markdown, its escapes undone."""
    return WORD.findall(html.unescape(markdown.replace("<br>", "\n").replace("\\", "")))


def share_in_order(wanted: Sequence[str], got: Sequence[str]) -> float:
    """The share of the wanted words that stand in order; others may stand between, and none counts twice.

    Linear, where difflib takes minutes for a large document; it never finds more than there is.
    """
    places: dict[str, list[int]] = {}
    for at, word in enumerate(got):
        places.setdefault(word, []).append(at)
    next_at = result = 0
    ahead = 100 * _AHEAD  # of the header, at first
    for word in wanted:
        here = places.get(word, [])
        index = bisect.bisect_left(here, next_at)
        if index < len(here) and here[index] - next_at <= ahead:
            result += 1
            next_at = here[index] + 1
            ahead = _AHEAD
        else:  # look further each time, so that one changed word does not lead astray
            ahead *= 2
    return result / max(1, len(wanted))
