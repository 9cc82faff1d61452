"""Files that arrived: compared with what is declared of them; a Binary is replaced by its content."""

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from docpipe.sources.fhir.declared import foreign
from docpipe.sources.fhir.decoding import struct_of
from docpipe.sources.fhir.resources import Binary, Resource
from docpipe.sources.fhir.vocabulary import is_id, parsed, referred
from docpipe.sources.fhir.wire import FHIR, LARGEST_PAGE

NDJSON: Final = "application/fhir+ndjson"
_JSON: Final = (FHIR, "application/json", "application/json+fhir")
_XML: Final = ("application/fhir+xml", "application/xml", "text/xml", "application/xml+fhir")
WITHOUT_DATA: Final = "The exchange sends its entry without the data."
ANOTHER: Final = "The exchange sends another file than the one that it lists."


@dataclass(frozen=True, slots=True)
class Source:
    """Where a file comes from, and what is declared of it."""

    url: str
    media_type: str | None = None
    size: int | None = None
    sha1: str | None = None
    token: bool = True
    """Whether the credentials may be sent."""
    patient: str | None = None
    """The logical id of the patient that it may name."""


def plain_type(media_type: str | None) -> str:
    """A media type without parameters, in small letters."""
    return (media_type or "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Judged:
    """What a file that arrived is."""

    problems: list[str] = field(default_factory=list)
    media_type: str | None = None
    another: bool = False
    """Whether it is another file."""
    empty: bool = False
    """Whether it is a Binary without data."""


def judged(part: Path, source: Source, came_as: str) -> Judged:
    """Compare a file that arrived with what is declared of it; a Binary is replaced by its content.

    Servers answer with the resource Binary where the media type is one of FHIR (https://hl7.org/fhir/binary.html).
    """
    media_type = came_as or None
    binary = _binary_in(part, source, came_as)
    if binary is not None:
        if _is_another(binary, source):
            return Judged([ANOTHER], media_type, another=True)
        fields = struct_of(Binary, binary) or Binary()
        content = from_base64(fields.data)
        if not content:
            return Judged([WITHOUT_DATA], media_type, empty=True)
        part.write_bytes(content)
        media_type = fields.content_type
    problems = mismatches(part, source.size, source.sha1)
    return Judged(problems, media_type, another=len(problems) > 1)  # neither size nor checksum


def _binary_in(part: Path, source: Source, came_as: str) -> Resource | None:
    """The Binary that a file is, in JSON or XML; None for any other file."""
    declared = plain_type(source.media_type)
    if came_as not in (*_JSON, *_XML) or declared == NDJSON or part.stat().st_size > 2 * LARGEST_PAGE:
        return None
    if declared in (*_JSON, *_XML) and not is_of_binary(source):
        return None
    raw = part.read_bytes()
    value = parsed(raw) if b"Binary" in raw else None
    return value if isinstance(value, dict) and value.get("resourceType") == "Binary" else None


def is_of_binary(source: Source) -> bool:
    """Whether the address is that of a Binary."""
    place = referred(source.url)
    return place is not None and place[0] == "Binary"


def _is_another(binary: Resource, source: Source) -> bool:
    """Whether a Binary has another id, or names another patient."""
    asked, id_ = referred(source.url), binary.get("id")
    if asked is not None and asked[0] == "Binary" and is_id(id_) and id_ != asked[1]:
        return True
    return source.patient is not None and foreign(binary, source.patient)


def mismatches(path: Path, size: int | None, sha1: str | None) -> list[str]:
    """The differences between a file and what is declared of it."""
    problems = []
    if size is not None and path.stat().st_size != size:
        problems.append(f"The exchange says that it has {size:,} bytes; {path.stat().st_size:,} came.")
    if sha1 is not None:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha1").digest()
        if sha1 not in (base64.b64encode(digest).decode(), digest.hex(), digest.hex().upper()):
            problems.append("Its checksum is not what the exchange says.")
    return problems


def from_base64(data: object) -> bytes | None:
    """Decode a base64Binary, None where it is none; white space is ignored, padding may be missing."""
    if not isinstance(data, str):
        return None
    plain = "".join(data.split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
