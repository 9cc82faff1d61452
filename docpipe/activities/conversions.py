"""Results of conversions: of a worker, of a stored document, and where no worker converts it."""

from pathlib import Path
from typing import Any

import msgspec

from docpipe.convert.core.kinds import kind_of
from docpipe.model import Patient
from docpipe.results.files import Converted, Declared, Member
from docpipe.workers.answers import Part


def of_metadata(known: dict[str, Any]) -> Converted:
    """The result of the conversion of a stored document, from its metadata."""
    return Converted(
        outcome=known["outcome"],
        reason=known["reason"],
        media_type=known["media_type"],
        extension=Path(known["original"]).suffix,
        outputs=known["outputs"],
        metadata=known,
        embedded=msgspec.convert(known["embedded"], list[Member]),
        reused=True,
    )


def bearer(patient: Patient | None) -> dict[str, str] | None:
    """The patient as the pages of a document name it: {"name", "birth_date", "id"}."""
    if patient is None:
        return None
    name = f"{patient.given} {patient.family}".strip()
    return {"name": name, "birth_date": patient.birth_date, "id": patient.id}


def not_converted(path: Path, member: Member, outcome: str, reason: str | None) -> Converted:
    """The result for a document that no worker converts, or whose worker did not survive it."""
    from docpipe.convert.core.detect import detect_by_head  # noqa: PLC0415 -- few runs need it

    media_type = detect_by_head(path, member.path, member.declared.media_type)
    return Converted(
        outcome=outcome,
        reason=reason,
        media_type=media_type,
        extension=kind_of(media_type).extension,
        outputs=[],
        metadata=with_warnings({"media_type": media_type}, member),
        embedded=[],
    )


def with_warnings(metadata: dict[str, Any], member: Member) -> dict[str, Any]:
    """The metadata with the warnings of the source, first."""
    return {**metadata, "warnings": [*member.declared.warnings, *(metadata.get("warnings") or [])]}


def embedded_members(folder: str, member: Member, parts: list[Part]) -> list[Member]:
    """The documents found in a document, as members of the archive in their own right."""
    return [
        Member(
            path=f"{member.path}/{part.name}",
            file=f"{folder}/{part.file}",
            size=part.size,
            sha256=part.sha256,
            id=part.sha256[:16],
            derived_from=member.id,
            declared=Declared(media_type=part.declared or None),
        )
        for part in parts
    ]
