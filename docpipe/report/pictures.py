"""Pictures of first pages: which documents have one, and how many bytes a report may hold."""

from base64 import b64encode
from dataclasses import dataclass, field
from typing import Final

from docpipe.report.labels import in_order
from docpipe.results.report import Entry

NAME: Final = "thumbnail.png"
MOST: Final = 200
"""The most documents with a picture, from the first of the list on."""
MOST_BYTES: Final = 4 * 2**20
"""The most bytes of PNG in a report; base64 adds a third."""
LARGEST: Final = 512 * 2**10
"""Bytes of one picture."""
_PNG: Final = b"\x89PNG\r\n\x1a\n"


def pictured(documents: list[Entry]) -> list[str]:
    """The ids of the documents whose pictures are wanted, in the order in which they are taken."""
    wanted = (file.id for file in in_order(documents) if file.id and file.key and NAME in file.outputs)
    return list(dict.fromkeys(wanted))[:MOST]


@dataclass(slots=True)
class Pictures:
    """The pictures of a report: as many as there is room for, from the first on."""

    kept: dict[str, bytes] = field(default_factory=dict)
    """PNG by document id."""
    room: int = field(default_factory=lambda: MOST_BYTES)
    """Bytes that are left."""

    def add(self, document_id: str, data: bytes | None) -> None:
        """Take a file, if it is a picture and there is room for it."""
        if data is not None and data.startswith(_PNG) and len(data) <= min(self.room, LARGEST):
            self.kept[document_id] = data
            self.room -= len(data)


def data_uri(picture: bytes) -> str:
    """The picture within the page itself."""
    return f"data:image/png;base64,{b64encode(picture).decode()}"
