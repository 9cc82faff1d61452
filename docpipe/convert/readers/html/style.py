"""The style sheets of a page of HTML, as far as they mean something: what they strike out, raise or hide."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from selectolax.lexbor import LexborNode

from docpipe.convert.core.treelists import label
from docpipe.convert.readers.html.counters import Values, counters
from docpipe.convert.readers.html.select import matched

_MEANT: Final = re.compile(
    r"(?:^|;)\s*((?:text-decoration|text-indent|text-shadow|vertical-align|display|visibility|font|list-style"
    r"|mso-hide|mso-text-raise|opacity|position|z-index|top|left|right|clip|overflow|max-|min-|float|clear|margin|padding|height|width|color|background"
    r"|-webkit-|flex|grid|white-space|filter|transform|scale|zoom|content-visibility)[a-z-]*"
    r"\s*:[^;]*)"
)
_PLAYING: Final = re.compile(
    r"::|:(?!(?:first|last|only)-(?:child|of-type)|nth-|not\(|is\(|where\(|has\(|root|empty|checked|disabled)"
)
"""Within selectors: states of interaction, and texts that are added."""
_VARIABLE: Final = re.compile(r"var\(\s*(--[\w-]+)\s*(?:,\s*([^()]*))?\)")
_SET: Final = re.compile(r"(?:^|[;{\s])(--[\w-]+)\s*:\s*([^;{}]*)")
_TOKEN: Final = re.compile(r"([^{}]*)([{}])")
_MEDIA: Final = re.compile(r"@media\s+(?:only\s+)?(?:screen|all)\s*(?:,.*)?")
_MOST_RULES: Final = 1_000
_MOST_VARIABLES: Final = 3
"""Variables within the values of variables that are followed."""
_LONGEST_VALUE: Final = 200
_LONGEST_SHEET: Final = 5_000_000
_IMPORTANT: Final = "!important"


def declared(root: LexborNode) -> dict[int, tuple[str, str]]:
    """By `mem_id` of nodes: the declarations that come before those of the `style` attribute, and behind."""
    rules = []
    for style in root.css("style"):
        rules += list(_rules(_resolved(style.text())))
    rules = sorted(rules[:_MOST_RULES], key=lambda rule: _weight(rule[0]))  # stable: later ones win
    normal: dict[int, list[str]] = {}
    strong: dict[int, list[str]] = {}
    for node, declarations in matched(root, rules):
        for one in declarations:
            (strong if _IMPORTANT in one else normal).setdefault(node.mem_id, []).append(one)
    return {
        key: (";".join(normal.get(key, ())), ";".join(strong.get(key, ())))
        for key in normal.keys() | strong.keys()
    }


def generated(root: LexborNode) -> dict[int, dict[str, str]]:
    """By `mem_id` of nodes: the texts that style sheets add before and behind their own."""
    texts: dict[int, dict[str, str]] = {}
    rules = [rule for style in root.css("style") for rule in _blocks(style.text())][:_MOST_RULES]
    counting = any("counter" in body for _, body in rules)
    counted = counters(root, rules) if counting else {}
    adding = (
        (match[1], (f"::{match[2].lower()}", content[1]))
        for selector, body in rules
        if (match := _ADDED.fullmatch(selector)) and (content := _CONTENT.search(body))
    )
    for node, (place, value) in matched(root, adding):
        texts.setdefault(node.mem_id, {})[place] = _text(value, node, counted)
    return texts


_ADDED: Final = re.compile(r"([^:]*)::?(before|after|marker)", re.IGNORECASE)
_CONTENT: Final = re.compile(
    r"(?:^|[;{\s])content\s*:\s*((?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^;}\"'])*)", re.IGNORECASE
)
_PIECE: Final = re.compile(
    r"counter(s?)\(\s*([\w-]+)\s*(?:,\s*[\"']([^\"']*)[\"']\s*)?(?:,\s*([\w-]+)\s*)?\)"
    r"|\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'|attr\(\s*([\w-]+)[^)]*\)",
    re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(?:([0-9A-Fa-f]{1,6})\s?|(.))", re.DOTALL)
_LARGEST: Final = 0x10FFFF
_ICONS: Final = re.compile("[\ue000-\uf8ff]+")
"""Characters of fonts of icons, which decorate."""


def _text(value: str, node: LexborNode, counted: Mapping[int, Values]) -> str:
    """The text of `content`: its strings, counters, and attributes of the element."""
    parts = []
    for all_, counter, between, style, double, single, attribute in _PIECE.findall(value):
        if counter:
            numbers = counted.get(node.mem_id, {}).get(counter, (0,)) or (0,)
            written = [label(number, style.lower()).removesuffix(".") for number in numbers]
            parts.append(between.join(written) if all_ else written[-1])
        else:
            parts.append((node.attributes.get(attribute) or "") if attribute else double or single)
    return _ICONS.sub("", "".join(_ESCAPE.sub(_character, part) for part in parts))


def _character(match: re.Match[str]) -> str:
    if not match[1]:
        return "" if match[2] == "\n" else match[2]
    point = int(match[1], 16)
    return chr(point) if 0 < point <= _LARGEST else ""


def _resolved(sheet: str) -> str:
    """A sheet with the values of its variables in their places; of several values the last one counts."""
    if "var(" not in sheet:
        return sheet
    values: dict[str, str] = dict(_SET.findall(sheet))

    def value(match: re.Match[str]) -> str:
        return values.get(match[1], match[2] or "")[:_LONGEST_VALUE]

    for _ in range(_MOST_VARIABLES):
        resolved = _VARIABLE.sub(value, sheet)
        if resolved == sheet or len(resolved) > _LONGEST_SHEET:
            break
        sheet = resolved
    return sheet


def _rules(sheet: str) -> Iterator[tuple[str, list[str]]]:
    """Each selector with its relevant declarations; media other than screens are left out."""
    for selector, body in _blocks(sheet):
        if not _PLAYING.search(selector) and (declarations := _MEANT.findall(body.lower())):
            yield selector, declarations


def _blocks(sheet: str) -> Iterator[tuple[str, str]]:
    """Each selector with the text of its block; media other than screens are left out."""
    sheet = re.sub(r"/\*.*?\*/|<!--|-->", "", sheet, flags=re.DOTALL)
    above: list[bool] = []  # whether the blocks around are read
    head = ""
    for match in _TOKEN.finditer(sheet):
        text, brace = match[1].strip(), match[2]
        if brace == "{":
            head = text.rpartition(";")[2].strip()
            if head.startswith("@"):
                above.append(bool(_MEDIA.fullmatch(head.lower())))
                head = ""
            continue
        if head:
            for selector in head.split(",") if all(above) else ():
                if selector.strip():
                    yield selector.strip(), text
            head = ""
        elif above:
            above.pop()


def _weight(selector: str) -> tuple[int, int, int]:
    """How specific a selector is: its ids, its classes and attributes, its elements."""
    return (
        selector.count("#"),
        selector.count(".") + selector.count("[") + selector.count(":"),
        len(re.findall(r"(?:^|[\s>+~])[A-Za-z]", selector)),
    )


_LAID_OUT: Final = {
    "table": "table", "inline-table": "table", "table-row": "tr", "table-cell": "td",
    "table-row-group": "tbody",
    "table-header-group": "thead", "table-footer-group": "tfoot", "table-caption": "caption",
}  # fmt: skip
_ROLES: Final = {
    "table": "table", "grid": "table", "treegrid": "table", "row": "tr", "cell": "td", "gridcell": "td",
    "columnheader": "th", "rowheader": "th", "rowgroup": "tbody",
}  # fmt: skip
_DISPLAY: Final = re.compile(r"(?:^|;)\s*display\s*:\s*([a-z-]+)", re.IGNORECASE)
_NEUTRAL: Final = frozenset({"div", "span", "section", "article", "p", "label", "a", "b", "dl", "dt", "dd"})


def laid_out_as(tag: str, style: str, role: str = "") -> str:
    """The tag of an element: that of a part of a table for a neutral one that its role or style makes one."""
    if tag not in _NEUTRAL:
        return tag
    if part := _ROLES.get(role.strip().lower()):
        return part
    if "table" not in style:
        return tag
    displays = _DISPLAY.findall(style)
    return _LAID_OUT.get(displays[-1].lower(), tag) if displays else tag
