"""Blocks to Markdown (CommonMark with the tables of GFM) in which text stays text.

Whatever a document says, nothing in it becomes a link, a picture, HTML or structure that its blocks do not
have. Only what would be read as markup is escaped, so that the text stays readable and searchable as it is.
`<` is written as `&lt;`, since not every reader of Markdown heeds a backslash there.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from docpipe.convert.core.blocks import Block, Heading, Listing, Paragraph, Preformatted, Table

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
    """A line of text as Markdown that reads the same; `start` says whether it begins a line."""
    escaped = _INLINE.sub(_escaped, text)
    if start and (found := _LINE.match(escaped)):
        at = found.end("number") if found["number"] else 0
        escaped = f"{escaped[:at]}\\{escaped[at:]}"
    return escaped


def _escaped(found: re.Match[str]) -> str:
    return {"<": "&lt;", "&": "&amp;"}.get(found[0], "\\" + found[0])


def _each(blocks: Iterable[Block]) -> Iterator[str]:
    follows = False
    for block in blocks:
        if isinstance(block, Listing):
            # Two lists in a row would be read as one, were their marks the same.
            text = _list(block.items, block.start, marks="*)" if follows else "-.")
            follows = bool(text) and not follows
        else:
            text = _one(block)
            follows = follows and not text
        if text:
            yield text


def _one(block: Heading | Paragraph | Preformatted | Table) -> str:
    match block:
        case Heading(level, text):
            line = re.sub(r"(#+)$", r"\\\1", escape(" ".join(text.split()), start=False))
            return f"{'#' * min(max(level, 1), _DEEPEST)} {line}" if line else ""
        case Paragraph(text):
            return "  \n".join(escape(line.strip()) for line in text.split("\n") if line.strip())
        case Preformatted(text):
            return _fenced(text)
        case Table():
            return _table(block)


def _fenced(text: str) -> str:
    lines = text.strip("\n")
    fence = "`" * max(3, 1 + max((len(run) for run in _FENCE.findall(lines)), default=0))
    return f"{fence}text\n{lines}\n{fence}" if lines.strip() else ""


def _list(items: Iterable[tuple[Block, ...]], start: int | None, marks: str) -> str:
    written = []
    for number, item in enumerate(items, start or 0):
        mark = f"{marks[0]} " if start is None else f"{number}{marks[1]} "
        body = "\n\n".join(_each(item))
        if body:
            written.append(mark + re.sub(r"\n(?!\n)", "\n" + " " * len(mark), body))
    loose = any("\n\n" in item for item in written)
    return ("\n\n" if loose else "\n").join(written)


def _table(table: Table) -> str:
    if not table.width:
        return ""
    head, *more = table.head or (("",) * table.width,)
    rows = [head, *more, *table.rows]
    lines = [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return "\n".join([lines[0], f"|{' --- |' * table.width}", *lines[1:]])


def _cell(text: str) -> str:
    lines = (escape(line.strip(), start=False).replace("|", "\\|") for line in text.split("\n"))
    return "<br>".join(line for line in lines if line)
