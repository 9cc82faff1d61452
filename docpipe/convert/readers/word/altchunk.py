"""Pieces of other formats within a Word document (ECMA-376-1, 17.17.2.1), which Word shows as part of it."""

import importlib
import tempfile
from pathlib import Path
from typing import Final

from docpipe.convert.core.base import Source, UnreadableError
from docpipe.convert.core.blocks import Block
from docpipe.convert.core.detect import detect
from docpipe.convert.core.kinds import DOCX, kind_of
from docpipe.convert.core.opc import Package

_READABLE: Final = frozenset(
    {"text/html", "text/plain", "text/rtf", "multipart/related", "message/rfc822", DOCX}
)
_MOST: Final = 50
_LOST: Final = "a part of the document in another format could not be read"


class Chunks:
    """The pieces that a part of a document shows, by the ids of their relations."""

    def __init__(self, package: Package, name: str) -> None:
        self._package = package
        self._targets = package.targets(name)
        self._left = _MOST

    def blocks(self, id_: str) -> tuple[Block, ...]:
        """The blocks of a piece; none, and a warning, where it cannot be read."""
        target = self._targets.get(id_, "")
        if not self._package.has(target) or self._left <= 0:
            return ()
        self._left -= 1
        try:
            return self._read(self._package.part(target), target)
        except UnreadableError:
            self._package.warnings.append(_LOST)
            return ()

    def _read(self, data: bytes, name: str) -> tuple[Block, ...]:
        media_type = detect(data, name)
        reader = kind_of(media_type).reader
        if reader is None or media_type not in _READABLE or (media_type == DOCX and b"aFChunk" in data):
            self._package.warnings.append(_LOST)
            return ()
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            source = Source(Path(file.name), media_type, name)
            blocks: tuple[Block, ...] = (
                importlib.import_module(f"docpipe.convert.readers.{reader}").read(source).blocks
            )
            return blocks
