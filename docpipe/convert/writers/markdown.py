"""Blocks to Markdown (CommonMark with the tables of GFM) in which text stays text.

No text of a document becomes a link, a picture, HTML or structure that its blocks do not have. Only what
would be read as markup is escaped, so that the text stays readable and searchable. `<` is written as `&lt;`,
since not every reader of Markdown supports a backslash there.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from docpipe.convert.core.blocks import Block, Heading, Listing, Paragraph, Picture, Preformatted, Table
from docpipe.convert.core.marks import Mark, Span, literal, only_part, plain, spans

_INLINE: Final = re.compile(
    r"""
    \\ | `
    | \[ (?= [\^\[] ) | (?<=\[) \[         # of footnotes, and of links between notes
    | \] (?= [(:\[] )                      # of links, pictures and their definitions
    | \*(?! (?<=\ \*) [ ] )                # alone between blanks it is a sign for times
    | (?<![^\W_]) _ | _ (?![^\W_])         # within a word it means itself
    | (?<=\S) ~                           # what could close a struck-out passage
    | < (?= [A-Za-z/!?] )
    | & (?= \#[0-9]{1,7}; | \#[xX][0-9A-Fa-f]{1,6}; | [A-Za-z][A-Za-z0-9]{1,31}; )
    """,
    re.VERBOSE,
)
_LINE: Final = re.compile(
    r"""
    \#{1,6}(?=\s|$) | > | [-+*](?=\s|$) | =+\s*$ | ~~~
    | \[(?=[ xX]\])                        # ticks an item of a list
    | [|:-][-|:\s]*$                       # underlines a heading, or makes a table of the line before
    | (?P<number>[0-9]{1,9})(?=[.)](?:\s|$))
    """,
    re.VERBOSE,
)
_FENCE: Final = re.compile(r"`{3,}")
_DEEPEST: Final = 6


def write(blocks: Iterable[Block]) -> str:
    """The Markdown of the blocks, ending in a newline unless there are none."""
    text = "\n\n".join(_each(blocks))
    return text + "\n" if text else ""


def escape(text: str, *, start: bool = True) -> str:
    """A line of text as Markdown that reads the same; `start` is true where it begins a line."""
    escaped = _INLINE.sub(_escaped, text)
    if start and (match := _LINE.match(escaped)):
        at = match.end("number") if match["number"] else 0
        escaped = f"{escaped[:at]}\\{escaped[at:]}"
    return escaped


_SIGNS: Final = {Mark.STRUCK: "~~", Mark.BOLD: "**", Mark.ITALIC: "*"}
_WORD: Final = re.compile(r"\w")


def marked(text: str, *, start: bool = True) -> str:
    """A line of text with its marks: `~~struck out~~`, `**bold**`, `*italic*`, `[inserted: words]`."""
    parts = list(spans(text))
    if len(parts) <= 1 and not (parts and parts[0].marks):
        return escape(plain(text), start=start)
    written = ""
    for at, part in enumerate(parts):
        after = parts[at + 1].text[:1] if at + 1 < len(parts) else ""
        written += _passage(part, parts[at - 1].text[-1:] if at else "", after, start=start and not at)
    return written


def _passage(part: Span, before: str, after: str, *, start: bool) -> str:
    inner = part.text.strip()
    marks = part.marks
    if not marks or not inner:
        return escape(part.text, start=start)
    lead, trail = part.text[: len(part.text) - len(part.text.lstrip())], part.text[len(part.text.rstrip()) :]
    body = escape(inner, start=start)
    for each, sign in _SIGNS.items():
        # Within a word a sign beside punctuation is read as itself; a struck passage is marked even so.
        whole = lead or not _WORD.match(before) or _WORD.match(inner[0])
        whole = whole and (trail or not _WORD.match(after) or _WORD.match(inner[-1]))
        if each in marks and (whole or each is Mark.STRUCK):
            body = f"{sign}{body}{sign}"
    if Mark.INSERTED in marks:
        body = f"[inserted: {body}]"
    return f"{lead}{body}{trail}"


def _escaped(match: re.Match[str]) -> str:
    return {"<": "&lt;", "&": "&amp;"}.get(match[0], "\\" + match[0])


def _each(blocks: Iterable[Block]) -> Iterator[str]:
    follows = False
    for block in blocks:
        if isinstance(block, Listing):
            # Two lists in a row would be read as one, were their marks the same.
            text = _list(block, marks="*)" if follows else "-.")
            follows = bool(text) and not follows
        else:
            text = _one(block)
            follows = follows and not text
        if text:
            yield text


def _one(block: Heading | Paragraph | Preformatted | Table | Picture) -> str:
    match block:
        case Heading(level, text):
            line = re.sub(r"(#+)$", r"\\\1", marked(only_part(" ".join(text.split())), start=False))
            return f"{'#' * min(max(level, 1), _DEEPEST)} {line}" if line else ""
        case Paragraph(text):
            lines = only_part(text).split("\n")
            return "  \n".join(marked(line.strip()) for line in lines if plain(line).strip())
        case Preformatted(text):
            return _fenced(literal(text))
        case Table():
            return _table(block)
        case Picture():
            return ""


def _fenced(text: str) -> str:
    lines = text.strip("\n")
    fence = "`" * max(3, 1 + max((len(run) for run in _FENCE.findall(lines)), default=0))
    return f"{fence}text\n{lines}\n{fence}" if lines.strip() else ""


def _list(listing: Listing, marks: str) -> str:
    written = []
    for at, item in enumerate(listing.items):
        numbered = listing.start is not None and not listing.labels
        mark = f"{(listing.start or 0) + at}{marks[1]} " if numbered else f"{marks[0]} "
        body = "\n\n".join(_each(_labelled(item, listing.labels[at] if at < len(listing.labels) else "")))
        if body:
            written.append(mark + re.sub(r"\n(?!\n)", "\n" + " " * len(mark), body))
    loose = any("\n\n" in item for item in written)
    return ("\n\n" if loose else "\n").join(written)


def _labelled(item: tuple[Block, ...], label: str) -> tuple[Block, ...]:
    """The item with its label before its first words."""
    if not label:
        return item
    if item and isinstance(item[0], Paragraph):
        return (Paragraph(f"{label} {item[0].text}"), *item[1:])
    return (Paragraph(label), *item)


def _table(table: Table) -> str:
    if not table.width:
        return ""
    head, *more = table.head or (("",) * table.width,)
    rows = [tuple(map(only_part, head)), *more, *table.rows]
    lines = [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return "\n".join([lines[0], f"|{' --- |' * table.width}", *lines[1:]])


def _cell(text: str) -> str:
    lines = (marked(line.strip(), start=False).replace("|", "\\|") for line in text.split("\n"))
    return "<br>".join(line for line in lines if line)
