"""The files of a run's report, made piece by piece while they are written: none is in memory as a whole."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from docpipe import report
from docpipe.activities.changes import changes_of
from docpipe.results.report import Facts, Manifest, Report, plain_entries
from docpipe.storage import Content, Storage

_BLOCK: Final = 2**18
"""Bytes or so that are written at once."""
_ENCODED: Final = json.JSONEncoder(ensure_ascii=False).encode
_ENTRIES: Final = ("documents", "files")
"""Members of report.json and manifest.json that hold entries."""


def reports(facts: Facts, pictures: Mapping[str, bytes]) -> tuple[dict[str, Content], str]:
    """The files of the run, the manifest last, and the digest for the task."""
    written = report.build(facts)
    manifest = Manifest(
        schema_version=1,
        run=facts.run,
        counts=facts.counts,
        archive=facts.archive,
        files=facts.documents,
    )
    files: dict[str, Content] = {
        "report.html": lambda: _blocks(piece.encode() for piece in report.html(written, pictures)),
        "report.json": lambda: _blocks(_lined(written)),
        "manifest.json": lambda: _blocks(_lined(manifest)),
    }
    return files, report.digest(written)


def reports_with_changes(
    storage: Storage, facts: Facts, pictures: Mapping[str, bytes]
) -> tuple[dict[str, Content], str]:
    """As `reports`, with what has changed; in a thread, since it reads the storage."""
    return reports(replace(facts, changes=changes_of(storage, facts)), pictures)


def _blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same in fewer pieces."""
    block = bytearray()
    for piece in pieces:
        block += piece
        if len(block) >= _BLOCK:
            yield bytes(block)
            block.clear()
    yield bytes(block)


def _lined(value: Report | Manifest) -> Iterator[bytes]:
    """JSON with a line for each member and each item of a list: readable, and made entry by entry."""
    yield b"{\n"
    names = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
    for place, (attribute, name) in enumerate(names):
        made = getattr(value, attribute)
        yield (b",\n" if place else b"") + f' "{name}": '.encode()
        if isinstance(made, list) and made:
            yield from _items(made, entries=name in _ENTRIES)
        else:
            yield _json(msgspec.to_builtins(made))
    yield b"\n}\n"


def _items(items: list[Any], *, entries: bool) -> Iterator[bytes]:
    for place, item in enumerate(items):
        plain = msgspec.to_builtins(item)
        yield b",\n  " if place else b"[\n  "
        yield _json(plain_entries([plain])[0] if entries else plain)
    yield b"\n ]"


def _json(value: Any) -> bytes:
    return _ENCODED(value).encode(errors="replace")
