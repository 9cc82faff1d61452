"""The answers of a worker, in strict types, since a hostile document may control the worker.

Any other answer is a `MisfitError`, and the failure of that one document.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Protocol

import msgspec
from msgspec import UNSET, Meta, UnsetType

from docpipe.workers.rooms import MisfitError, TakenFile

MOST_EMBEDDED: Final = 500
_LARGEST: Final = 2**16
"""Bytes of metadata; the main process keeps them for as long as the run lasts."""
_Count = Annotated[int, Meta(ge=0, le=2**62)]
_Short = Annotated[str, Meta(max_length=4_096)]
"""Converters cut texts, see `convert.core.facts`."""
_Text = _Short | None
_MayLack = UnsetType | _Short | None
_Texts = Annotated[list[_Short], Meta(max_length=200)]


class Reply(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A frame from a worker. Sizes are bytes."""

    ok: bool
    value: msgspec.Raw = msgspec.Raw(b"null")
    """What the target returned."""
    error: Annotated[str, Meta(pattern=r"^\w{0,100}\Z")] = ""
    """The type of the exception it raised. Not its text, which may quote the document."""
    where: Annotated[str, Meta(pattern=r"^[\w.?, ]{0,200}\Z")] = ""
    errno: _Count = 0
    """Of an OSError: a full disk is not the document's fault."""
    peak: _Count = 0
    """What it held at most during the job."""
    seconds: Annotated[float, Meta(ge=0, le=2**31)] = 0.0
    """How long the job took in the worker."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker answered to a job, as far as callers need it."""

    value: Any = None
    """What the target returned; of a conversion a `Conversion`."""
    peak: int = 0
    """Bytes that it held at most during the job."""
    seconds: float = 0.0
    """How long the job took in the worker."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A document that was found in a document."""

    name: str
    declared: str | None
    """The media type that the document around it states."""
    file: str
    """Its path in the folder of the conversion."""
    size: int
    sha256: str


class Conversion(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker made of a document, checked, with its files in the folder of the job."""

    outcome: str
    reason: str | None
    media_type: str
    extension: str
    outputs: list[str]
    """The names of the readable forms."""
    metadata: dict[str, Any]
    """As metadata.json has it; `convert.document` describes it."""
    embedded: list[Part]
    warnings: list[str]


class _Embedded(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    name: _Short
    declared: _Text


class _Proof(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    claimed: _Text
    proven: _Text


class _Converter(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    name: _Short
    versions: Annotated[dict[_Short, _Short], Meta(max_length=100)]


class _Metadata(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    media_type: _Short
    declared_media_type: _MayLack = UNSET
    title: _MayLack = UNSET
    date: _MayLack = UNSET
    author: _MayLack = UNSET
    custodian: _MayLack = UNSET
    loinc: Annotated[dict[_Short, _Text], Meta(max_length=10)] | UnsetType | None = UNSET
    language: _MayLack = UNSET
    pages: _Count | UnsetType | None = UNSET
    words: _Count | UnsetType | None = UNSET
    ocr: bool | UnsetType = UNSET
    ocr_pages: Annotated[list[_Count], Meta(max_length=5_000)] | UnsetType = UNSET
    needs: _MayLack = UNSET
    pdf: _Proof | UnsetType = UNSET
    warnings: _Texts = []
    converter: _Converter | UnsetType = UNSET
    duration_s: float | UnsetType = UNSET


class _Converted(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    outcome: Literal["converted", "stored", "failed"]
    reason: _Text
    media_type: _Short
    extension: Annotated[str, Meta(pattern=r"^(\.[A-Za-z0-9][A-Za-z0-9._+-]{0,30})?\Z")]
    outputs: Annotated[list[Literal["document.pdf", "text.md", "thumbnail.png"]], Meta(max_length=3)]
    metadata: _Metadata
    embedded: Annotated[list[_Embedded], Meta(max_length=MOST_EMBEDDED)]
    warnings: _Texts


class Files(Protocol):
    """Where a conversion leaves its files; see `rooms.Room`."""

    def take(self, outputs: list[str], embedded: int, folder: Path) -> list[TakenFile]:
        """Bring them to a folder."""

    def clear(self, outputs: Iterable[str], embedded: int = 0) -> bool:
        """Make the place fit for the next job."""


def read_reply(frame: bytes) -> Reply | None:
    """A worker's frame; None for anything else."""
    try:
        return msgspec.json.decode(frame, type=Reply)
    except (ValueError, RecursionError):  # msgspec's errors, and that of UTF-8, are ValueErrors
        return None


def any_value(value: msgspec.Raw) -> Any:
    """What a target other than the converter returned.

    Raises:
        MisfitError: it is no JSON that can be read.
    """
    try:
        return msgspec.json.decode(value)
    except (ValueError, RecursionError) as error:
        raise MisfitError("no JSON") from error


def take_converted(
    value: bytes | msgspec.Raw | dict[str, Any], room: Files, folder: Path
) -> tuple[Conversion, bool]:
    """A conversion's answer, with its files in a folder; and whether the room is fit for another job.

    Args:
        value: as `convert.document.convert` returns it, as JSON or as it is.
        room: where the files are.
        folder: where they are to be.

    Raises:
        MisfitError: it is not an answer of a converter, or its files are missing.
        OSError: the disk is full or broken.
    """
    try:
        if isinstance(value, dict):
            done = msgspec.convert(value, _Converted)
        else:
            done = msgspec.json.decode(value, type=_Converted)
    except (ValueError, RecursionError) as error:
        raise MisfitError("no answer of a converter") from error
    if len(msgspec.json.encode(done.metadata)) > _LARGEST:
        raise MisfitError("metadata that are too long")
    if len(set(done.outputs)) != len(done.outputs):
        raise MisfitError("an output comes twice")
    outputs: list[str] = list(done.outputs)
    files = room.take(outputs, len(done.embedded), folder)
    parts = [
        Part(name=part.name, declared=part.declared, file=kept.file, size=kept.size, sha256=kept.sha256)
        for part, kept in zip(done.embedded, files, strict=True)
    ]
    made = Conversion(
        outcome=done.outcome,
        reason=done.reason,
        media_type=done.media_type,
        extension=done.extension,
        outputs=outputs,
        metadata=msgspec.to_builtins(done.metadata),
        embedded=parts,
        warnings=done.warnings,
    )
    return made, room.clear(outputs, len(files))
