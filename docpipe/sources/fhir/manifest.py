"""The manifest of an export: the files that it lists (https://hl7.org/fhir/uv/bulkdata/export.html)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from docpipe.errors import ServiceError
from docpipe.http import joined
from docpipe.sources.fhir.intake import Intake
from docpipe.sources.fhir.resources import Manifest
from docpipe.sources.fhir.vocabulary import is_id

_LISTS: Final = {
    "output": "",
    "error": "Messages",  # until STU 4 of the guide
    "outcome": "Messages",  # since then
    "status": "Messages",  # as a draft between them called it
    "deleted": "Deleted",
}


@dataclass(slots=True)
class Output:
    """One file of a manifest."""

    url: str
    kind: str
    """Its key in the manifest."""
    type: str | None
    count: int | None
    size: int | None
    token: bool
    path: Path
    name: str


def outputs_of(manifest: Manifest, url: str, folder: Path) -> Iterator[Output]:
    """The files of a page of a manifest.

    Args:
        manifest: the page.
        url: its address.
        folder: for the files; each gets a path of its own later.
    """
    token = manifest.requires_access_token is not False
    for key, label in _LISTS.items():
        for file in getattr(manifest, key):
            if file.url is None:
                continue
            kind = file.type if key == "output" and is_id(file.type) else None
            yield Output(
                joined(url, file.url),
                key,
                kind,
                file.count,
                file.file_size,
                token,
                folder,
                f"{label or kind or 'Resources'}.ndjson",
            )


def refuse_if_lost(outputs: list[Output], intake: Intake) -> None:
    """An export that delivers none of its lists has failed, rather than found nothing.

    Raises:
        ServiceError: if no list of documents or resources could be fetched.
    """
    lists = [output for output in outputs if output.kind == "output"]
    lost = [item.reason for item in intake.items if item.refetch]
    if lists and lost and not any(output.path.exists() for output in lists):
        raise ServiceError(
            f"The exchange lists {len(lists):,} files of the result, and none could be fetched: {lost[0]}"
        )
