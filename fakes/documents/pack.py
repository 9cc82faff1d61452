"""Zips that are the same, byte by byte, each time that they are made."""

import io
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

_MOMENT: Final = (2024, 5, 17, 9, 30, 0)
_UNIX: Final = 3


@dataclass(frozen=True, slots=True)
class Made:
    """An archive made up, and what the exchange says of the files in it."""

    body: bytes
    documents: list[dict[str, Any]]


def entry(name: str) -> zipfile.ZipInfo:
    """A member with a fixed date, whatever the system."""
    info = zipfile.ZipInfo(name, _MOMENT)
    info.create_system = _UNIX
    info.external_attr = 0o600 << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def pack(members: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> bytes:
    """A zip of names and contents, in the order given."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for name, content in members.items() if isinstance(members, Mapping) else members:
            packed.writestr(entry(name), content)
    return file.getvalue()
