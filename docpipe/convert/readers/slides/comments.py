"""Comments on slides, of both kinds: with author, time, answers, and the text that they are about."""

from collections.abc import Iterator
from typing import Final

from docpipe.convert.core.base import UnreadableError
from docpipe.convert.core.blocks import Block, Listing, Paragraph, tidy
from docpipe.convert.core.opc import SALVAGED, Package
from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.readers.office.drawing import paragraph_text
from docpipe.convert.readers.office.ooxml import attribute, down, whole
from docpipe.convert.readers.office.remarks import byline, shortened

_AUTHORS: Final = ("commentAuthors", "authors")
_DAY: Final = 10
"""Characters of a date."""


def comments(package: Package, main: str, slide: str, root: Element) -> tuple[Block, ...]:
    """What reviewers wrote about a slide, whose tree is `root`; answers follow what they answer."""
    written = package.related(slide, "comments")
    if written is None:
        return ()
    people = _people(package, main)
    items = [
        (Paragraph(text),)
        for each in written.iter("{*}cm")
        for part in (each, *each.iter("{*}reply"))
        if (text := _remark(part, people, root))
    ]
    return (Paragraph("Comments:"), Listing(tuple(items))) if items else ()


def _people(package: Package, main: str) -> dict[str, str]:
    """The names of those who wrote, by their ids."""
    people: dict[str, str] = {}
    for kind in _AUTHORS:
        for part in package.relations(main, kind):
            try:
                listed = package.xml(part) if package.has(part) else ()
            except UnreadableError:
                package.warnings.append(SALVAGED)
                continue
            people |= {
                attribute(each, "id") or "": tidy(attribute(each, "name") or "")
                for each in listed
                if local(each) in {"cmAuthor", "author"}
            }
    return people


def _remark(comment: Element, people: dict[str, str], slide: Element) -> str:
    lines = [tidy(text) for text in _lines(comment)]
    if not (text := "\n".join(line for line in lines if line)):
        return ""
    who = people.get(attribute(comment, "authorId") or "", "")
    when = (attribute(comment, "created") or attribute(comment, "dt") or "")[:_DAY]
    answers = local(comment) == "reply" or next(comment.iter("{*}parentCm"), None) is not None
    state = "resolved" if attribute(comment, "status") == "resolved" else ""
    about = ", ".join(part for part in (when, "reply" if answers else "", state) if part)
    return byline(who, about, _passage(comment, slide)) + text


def _lines(comment: Element) -> Iterator[str]:
    for part in comment:
        if local(part) == "text":
            yield part.text or ""
        elif local(part) == "txBody":
            yield from (paragraph_text(inner) for inner in part.iter("{*}p"))


def _passage(comment: Element, slide: Element) -> str:
    """The text that a comment is fixed to: a part of a shape's, or all of it; empty for a whole slide."""
    place = next((part for part in comment if local(part) in {"txMkLst", "deMkLst"}), None)
    marked = down(place, "spMk")
    if marked is None or (shape := _shape(slide, attribute(marked, "id") or "")) is None:
        return ""
    lines = [
        "".join(run.text or "" if local(run) == "t" else "\n" for run in inner.iter("{*}t", "{*}br"))
        for body in shape.iter("{*}txBody")
        for inner in body
        if local(inner) == "p"
    ]
    text = "\n".join(lines)
    part = down(place, "txMk")
    if part is not None:
        start = max(0, whole(attribute(part, "cp")))
        text = text[start : start + max(0, whole(attribute(part, "len")))]
    return shortened(text)


def _shape(slide: Element, id_: str) -> Element | None:
    for named in slide.iter("{*}cNvPr"):
        parent = named.getparent()
        if attribute(named, "id") == id_ and parent is not None:
            return parent.getparent()
    return None
