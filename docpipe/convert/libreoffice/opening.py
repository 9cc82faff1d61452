"""LibreOffice at work for a conversion: files that docpipe has no reader for, and the pages of others."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from docpipe.convert.core.base import Source
from docpipe.convert.libreoffice.forms import FORMS, MODERN
from docpipe.convert.libreoffice.packed import names_symbol_font
from docpipe.convert.libreoffice.program import installed, saved

_SHARE: Final = 0.4
"""Of the time that is left: the rest is for reading, and for a PDF of docpipe's own should it fail."""
_MOST_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Opened:
    """A document as LibreOffice saved it, there within its context."""

    source: Source
    """To be read in place of the document."""
    pdf: bytes | None
    """Its pages, None where they are to be made of `source`."""


def libraries() -> tuple[str, ...]:
    """LibreOffice with its version, for the metadata."""
    office = installed()
    return (f"libreoffice {office[0]}",) if office else ()


@contextmanager
def modern(source: Source) -> Iterator[Opened]:
    """A document without a reader in a format that has one.

    Raises: as `saved`.
    """
    form = FORMS[source.media_type]
    wanted = str(form.modern)
    formats = (wanted, "pdf") if form.drawn else (wanted,)
    with saved(partial(form.frozen, source.path), form.extension, formats, _seconds(source)) as files:
        # The text of pages with symbol fonts is wrong: such are drawn anew, from a copy of what was saved.
        kept = form.drawn and not names_symbol_font(files[wanted])
        pdf = files["pdf"].read_bytes() if kept else None
        yield Opened(replace(source, path=files[wanted], media_type=MODERN[wanted]), pdf)


def drawn(source: Source) -> bytes:
    """The pages of a document, as a PDF.

    Raises: as `saved`.
    """
    form = FORMS[source.media_type]
    with saved(partial(form.frozen, source.path), form.extension, ("pdf",), _seconds(source)) as files:
        return files["pdf"].read_bytes()


def is_drawn(media_type: str) -> bool:
    """Whether LibreOffice makes the PDF of such a document."""
    form = FORMS.get(media_type)
    return form is not None and form.drawn


def is_opened(media_type: str) -> bool:
    """Whether docpipe has no reader for such a document, and LibreOffice opens it."""
    form = FORMS.get(media_type)
    return form is not None and form.modern is not None


def _seconds(source: Source) -> float:
    left = source.began + source.seconds - time.monotonic()
    return min(_MOST_S, max(1.0, _SHARE * left))
