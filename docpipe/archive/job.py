"""Unpacking within a worker process: the archive's path in, the list of unpacked files out."""

import json
from pathlib import Path
from typing import Any, Final

import charset_normalizer  # noqa: F401 -- loaded once, before workers are forked

from docpipe.archive.delivered import LISTED, DeliveredFile
from docpipe.archive.extract import Entry, collect, extract
from docpipe.archive.limits import Limits
from docpipe.archive.member import Member
from docpipe.errors import ArchiveError
from docpipe.model import Outcome

_LARGEST: Final = 2**62
"""Bytes. Sizes that are only claimed may be anything."""


def unpack(job: dict[str, Any]) -> list[list[Any]] | None:
    """Unpack an archive, or take files that are in none, into a folder.

    Args:
        job: {"folder": for the files, there and empty, "limits": as of `Limits`}, and either "archive", a
            file, or "given", a folder with files and their list, and "more", as of `collect`.

    Returns:
        None where the file is no archive, else a list: of each file its path, size, whether its bytes are in
        the folder, outcome, reason, the index of the entry that it is a duplicate of, the index of the
        archive that it is in, and its date. Files are called by their numbers, as `extract` has it.

    Raises:
        OSError: if the disk fails or is full.
    """
    folder, limits = Path(job["folder"]), Limits(**job["limits"])
    if "archive" in job:
        try:
            return listed(extract(Path(job["archive"]), folder, limits))
        except ArchiveError:
            return None
    place = Path(job["given"])
    rows = json.loads((place / LISTED).read_bytes())
    members = (_member_of_row(row, number, place) for number, row in enumerate(rows, 1))
    return listed(collect(members, folder, limits, more=job["more"]))


def _member_of_row(row: Any, number: int, place: Path) -> Member:
    name, has_bytes, outcome, reason = row
    path = place / f"{number:05d}" if has_bytes else None
    return DeliveredFile(name, path, outcome and Outcome(outcome), reason).member()


def listed(entries: list[Entry]) -> list[list[Any]]:
    """Entries of `extract` as `unpack` returns them."""
    places: dict[str, int] = {}
    kept: dict[str, int] = {}
    for index, entry in enumerate(entries):
        places.setdefault(entry["path"], index)
        if entry["file"] is not None and entry["duplicate_of"] is None:
            kept[entry["sha256"]] = index

    def row(entry: Entry) -> list[Any]:
        first, parent = entry["duplicate_of"], entry["parent"]
        return [
            entry["path"],
            min(entry["size"], _LARGEST),
            first is None and entry["file"] is not None,
            entry["outcome"],
            entry["reason"],
            None if first is None else kept.get(entry["sha256"], places[first]),
            None if parent is None else places[parent],
            entry["modified"],
        ]

    return [row(entry) for entry in entries]
