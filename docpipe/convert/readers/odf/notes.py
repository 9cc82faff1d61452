"""Notes and comments of an OpenDocument file, which stand behind its text."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from docpipe.convert.core.blocks import Block, Heading, Listing, Paragraph, tidy
from docpipe.convert.core.xmltree import Element, local, text_of
from docpipe.convert.readers.office.ooxml import attribute
from docpipe.convert.readers.office.remarks import byline, passages, shortened


@dataclass(slots=True)
class Notes:
    """Notes and comments in the order of their references, and warnings."""

    notes: list[tuple[Block, ...]] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    objects: int = 0
    """The number of objects such as charts that are left out."""
    warnings: list[str] = field(default_factory=list)
    _passages: Mapping[str, str] | None = None

    def comment(self, element: Element, text: str) -> None:
        """A further comment with its text."""
        who = tidy(next((inner.text or "" for inner in element if local(inner) == "creator"), ""))
        when = next((inner.text or "" for inner in element if local(inner) == "date"), "")[:10]
        if text:
            self.comments.append(byline(who, when, self._passage(element)) + text)

    def _passage(self, comment: Element) -> str:
        """What a comment is about: the cell that it is at, or the passage that it begins."""
        around = comment.getparent()
        if around is not None and local(around) == "table-cell":
            return shortened(_of_cell(around))
        if self._passages is None:
            root = comment.getroottree().getroot()
            self._passages = passages(root, "annotation", "annotation-end", "name", ("annotation",))
        return self._passages.get(attribute(comment, "name") or "", "")


def beside(notes: Notes) -> Iterator[Block]:
    """The notes by number, and the comments."""
    if notes.notes:
        yield Listing(tuple(note or (Paragraph("-"),) for note in notes.notes), 1)
    if notes.comments:
        yield Heading(2, "Comments")
        yield Listing(tuple((Paragraph(text),) for text in notes.comments))


def _of_cell(cell: Element) -> str:
    """The text of a cell behind that of the first one of its row: `Potassium: 6.9`."""
    row = cell.getparent()
    first = row[0] if row is not None else cell
    texts = (" ".join(text_of(each) for each in at if local(each) == "p").strip() for at in (first, cell))
    return ": ".join(dict.fromkeys(text for text in texts if text))
