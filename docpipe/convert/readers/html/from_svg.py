"""SVG drawings: the texts in them; the drawing itself is kept as it is."""

from typing import Final

from docpipe.convert.core.base import Content, Facts, NothingToReadError, Source
from docpipe.convert.core.tree import HIDDEN, Flow
from docpipe.convert.core.xmltree import MENDED, local, parse, words_of
from docpipe.convert.readers.cda.narrative import neutral

_UNDRAWN: Final = "only the texts of the drawing are converted; the original has the drawing"


def read(source: Source) -> Content:
    """The texts, line by line.

    Raises: UnreadableError; NothingToReadError for a drawing without text.
    """
    parsed = parse(source.data())
    flow = Flow()
    blocks = flow.blocks(neutral(parsed.root, {}, {}))
    if not blocks:
        raise NothingToReadError("This is an SVG drawing without text; open it with a web browser.")
    title = next((words_of(each) for each in parsed.root if local(each) == "title"), "")
    warnings = (
        *((MENDED,) if parsed.mended else ()),
        *((HIDDEN,) if flow.hid else ()),
    )
    return Content(
        blocks,
        facts=Facts(title=title or None),
        warnings=warnings,
        undrawn=(_UNDRAWN,),
        libraries=("lxml",),
    )
