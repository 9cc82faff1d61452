"""Warnings and headings for pages that were read by OCR, or could not be."""

from collections.abc import Collection, Iterable, Iterator

from docpipe.convert.core.base import SCANNED
from docpipe.convert.core.blocks import Block, Heading, placeholder
from docpipe.convert.ocr.pages import Read

OCR = "text was read by OCR: check it against the picture"
DOUBTFUL = "many words of {} of {} pages that were read by OCR are uncertain; check them against the picture"
MARK = "(read by OCR)"
_PICTURE = "This page is a picture. No text could be read from it."


def warnings(read: Read, asked: Collection[int]) -> Iterator[str]:
    """The warnings, `asked` being the pages whose text is missing without OCR."""
    if read.texts:
        yield OCR
    if unsure := sum(reading.is_doubtful() for reading in read.readings.values()):
        yield DOUBTFUL.format(unsure, len(read.readings))
    pending, failed = (len(set(some) & set(asked)) for some in (read.pending, read.failed))
    if asked and (not read.libraries or pending == len(asked)):
        yield SCANNED
        return
    if pending:
        yield f"only the first {len(asked) - pending} of {len(asked)} scanned pages were read"
    if failed:
        yield f"{failed} of {len(asked)} scanned pages could not be read"
    if without := len(set(asked) - {*read.pending, *read.failed, *read.texts, *read.blank}):
        yield f"no text was found on {without} of {len(asked)} pages that are pictures"
    for language in read.missing:
        yield f"the language {language} is not installed for OCR"


def heading(at: int, *, ocr: bool) -> Block:
    """The heading of a page."""
    return Heading(2, f"Page {at + 1} {MARK}" if ocr else f"Page {at + 1}", own=True)


def picture() -> Block:
    """The replacement for the text of a page that has none."""
    return placeholder(_PICTURE)


def numbers(pages: Iterable[int]) -> tuple[int, ...]:
    """Page numbers, from 1."""
    return tuple(at + 1 for at in sorted(pages))
