"""Notes and comments of an OpenDocument file, which stand behind its text."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from docpipe.convert.core.blocks import Block, Heading, Listing, Paragraph


@dataclass(slots=True)
class Notes:
    """Notes and comments in the order of their references, and warnings."""

    notes: list[tuple[Block, ...]] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    objects: int = 0
    """The number of objects such as charts that are left out."""
    warnings: list[str] = field(default_factory=list)


def beside(notes: Notes) -> Iterator[Block]:
    """The notes by number, and the comments."""
    if notes.notes:
        yield Listing(tuple(note or (Paragraph("-"),) for note in notes.notes), 1)
    if notes.comments:
        yield Heading(2, "Comments")
        yield Listing(tuple((Paragraph(text),) for text in notes.comments))
