"""Progress of a download, as the API sends it; a part of `shapes.Doing`."""

from typing import Annotated

from msgspec import Meta, Struct

_Bytes = Annotated[int, Meta(extra_json_schema={"minimum": 0})]


class Transfer(Struct, frozen=True, kw_only=True):
    """How far a download is."""

    received: _Bytes
    """Bytes, with those of earlier attempts."""
    size: _Bytes | None = None
    """Of the whole, if it is known."""
    rate: float
    """Bytes a second, over the last ten seconds."""
    sentence: str = ""
    """For people."""
