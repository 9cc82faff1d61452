"""Pictures of first pages: which documents have one, and how many bytes a report may hold."""

from base64 import b64encode
from typing import Final

from docpipe.report.words import in_order
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


def fitting(pictures: dict[str, bytes | None]) -> dict[str, bytes]:
    """Those that are pictures, as many as there is room for, from the first on."""
    room, kept = MOST_BYTES, {}
    for document_id, data in pictures.items():
        if data is not None and data.startswith(_PNG) and len(data) <= min(room, LARGEST):
            kept[document_id] = data
            room -= len(data)
    return kept


def data_uri(picture: bytes) -> str:
    """The picture within the page itself."""
    return f"data:image/png;base64,{b64encode(picture).decode()}"
