"""The documents that resources hold or refer to, with what the exchange declares of each."""

import mimetypes
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from docpipe.results.files import Declared, merged
from docpipe.sources.fhir.decoding import struct_of
from docpipe.sources.fhir.resources import (
    Attachment,
    Binary,
    Coding,
    Communication,
    Consent,
    DiagnosticReport,
    DocumentReference,
    Holder,
    Media,
    Owned,
    Reference,
    Resource,
)
from docpipe.sources.fhir.vocabulary import is_id

_LONGEST: Final = 1000
_SHORT: Final = 120
_SUFFIX: Final = re.compile(r"\.[A-Za-z0-9]{1,5}$")
_LOINC: Final = "http://loinc.org"
_UNFIT: Final = re.compile(r"[/\\\x00-\x1f\x7f-\x9f]+")
_EMPTY_SHA1: Final = "2jmj7l5rSw0yVb/vlWAYkK/YBwk="
_NOT_CURRENT: Final = {
    "superseded": "The exchange says that it is superseded by another document.",
    "entered-in-error": "The exchange says that it was entered in error.",
}
_EXTENSIONS: Final = {
    "application/fhir+json": ".json",
    "application/fhir+xml": ".xml",
    "application/hl7-v3+xml": ".xml",
    "application/hl7-cda+xml": ".xml",
    "application/hl7-sda+xml": ".xml",
    "application/xml": ".xml",
    "image/jpeg": ".jpg",
    "text/html": ".html",
    "text/plain": ".txt",
    "text/rtf": ".rtf",
    "text/xml": ".xml",
}
FOREIGN: Final = "The exchange sent it for this patient, but it belongs to another one."
_HOLDERS: Final[dict[str, type[Holder]]] = {
    kind.__name__: kind for kind in (DiagnosticReport, Media, Consent, Communication)
}
"""Resources that refer to documents elsewhere; what they carry within, the converter finds."""
_NAMELESS: Final = "Document of another patient"
"""In place of its label, whose id may contain the number of that patient."""


_NOTHING: Final = Declared()


@dataclass(frozen=True, slots=True)
class DeclaredDocument:
    """One document, or why there is none."""

    name: str
    """For display; never a path."""
    declared: Declared = _NOTHING
    url: str | None = None
    data: str | None = field(default=None, repr=False)
    """Base64."""
    size: int | None = None
    sha1: str | None = None
    ignored: str | None = None
    """Why it is left out, where that is right."""
    refused: str | None = None
    failed: str | None = None


def wanted(resource: Resource, patient: str) -> Iterator[DeclaredDocument]:
    """The documents of one resource; of a DocumentReference without any, why there is none.

    Args:
        resource: of any type; only a few types refer to documents elsewhere.
        patient: the logical id of their patient.
    """
    kind = str(resource.get("resourceType"))
    if kind == "DocumentReference":
        if foreign(resource, patient):
            yield DeclaredDocument(_NAMELESS, refused=FOREIGN)
        elif (reference := struct_of(DocumentReference, resource)) is not None:
            yield from _of_reference(reference)
    elif kind == "Binary" and (binary := struct_of(Binary, resource)) is not None:
        yield _of_binary(binary)
    elif kind in _HOLDERS and (holder := struct_of(_HOLDERS[kind], resource)) is not None:
        for attachment in holder.attachments:
            if attachment.url is not None and attachment.data is None:
                yield _one(holder, attachment, _NOTHING)


def foreign(resource: Resource, patient: str) -> bool:
    """Whether a resource names another patient."""
    owned = struct_of(Owned, resource) or Owned()
    if owned.resource_type == "Patient":
        return is_id(owned.id) and owned.id != patient
    for owners in owned.owners:
        targets = [owner.target for owner in owners]
        ids = [target[1] for target in targets if target is not None and target[0] == "Patient"]
        if ids and patient not in ids:
            return True
    return False


def _of_reference(reference: DocumentReference) -> Iterator[DeclaredDocument]:
    facts, kind = _facts(reference)
    base = _label(reference.resource_type, reference.id)
    attachments = reference.attachments
    if (why := _NOT_CURRENT.get(reference.status or "")) is not None:
        yield DeclaredDocument(base, facts, ignored=why)
    elif not attachments:
        yield DeclaredDocument(base, facts, failed="The exchange lists the document without any content.")
    else:
        for attachment in attachments:
            yield _one(reference, attachment, facts, kind)


def _one(
    holder: Holder, attachment: Attachment, shared: Declared, kind: str | None = None
) -> DeclaredDocument:
    name, facts = _named(holder, attachment, shared, kind)
    data, url, size, sha1 = attachment.data, attachment.url, attachment.size, attachment.hash
    if sha1 == _EMPTY_SHA1:
        size = sha1 = None  # MHD, delayed assembly: size 0 and the digest of nothing mean: not known yet
    if url is not None and url.startswith("#") and data is None:
        data, media = _contained(holder, url[1:])
        if facts.media_type is None:
            facts = replace(facts, media_type=media)
        if data is None:
            return DeclaredDocument(
                name, facts, failed="The document refers to a part of its entry that is not there."
            )
        url = None
    if data is None and url is None:
        return DeclaredDocument(name, facts, failed="The exchange lists the document without any content.")
    return DeclaredDocument(name, facts, None if data else url, data, size or None, sha1)


def _named(
    holder: Holder, attachment: Attachment, shared: Declared, kind: str | None
) -> tuple[str, Declared]:
    """The name to show, and what is declared of one attachment."""
    title = attachment.title
    label = title or shared.title or kind
    if title is not None and shared.title is not None and _SUFFIX.search(title):
        title = None  # the name of a file says less to people than a description
    own = Declared(
        media_type=_cut(attachment.content_type), title=_cut(title), created=_cut(attachment.creation)
    )
    file_name = _file_name(label, attachment.content_type)
    return f"{_label(holder.resource_type, holder.id)}/{file_name}", merged(shared, own)


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:_LONGEST]


def _contained(holder: Holder, id_: str) -> tuple[str | None, str | None]:
    for part in holder.contained:
        if part.id == id_ and part.data is not None:
            return part.data, part.content_type
    return None, None


def _of_binary(binary: Binary) -> DeclaredDocument:
    declared = Declared(media_type=binary.content_type or None)
    name = f"{_label('Binary', binary.id)}/{_file_name(None, binary.content_type)}"
    if binary.data is None:
        return DeclaredDocument(name, declared, failed="The exchange sent a Binary without data.")
    return DeclaredDocument(name, declared, data=binary.data)


def _facts(reference: DocumentReference) -> tuple[Declared, str | None]:
    """What a DocumentReference declares of all its contents, and the name of their type."""
    codings = reference.type.coding
    loinc = next((coding for coding in codings if coding.system == _LOINC and coding.code), None)
    named = (reference.type.text, *(coding.display for coding in codings))
    authors = filter(None, (_display(reference, author) for author in reference.author))
    custodian = _display(reference, reference.custodian) if reference.custodian else None
    facts = Declared(
        title=_cut(reference.description or None),
        created=_cut(reference.date or None),
        author=_cut(next(authors, None)),
        custodian=_cut(custodian or None),
        loinc=_loinc(loinc),
    )
    return facts, _cut(next(filter(None, named), None))


def _loinc(coding: Coding | None) -> dict[str, str | None] | None:
    if coding is None or coding.code is None:
        return None
    return {"code": coding.code[:20], "display": coding.display and coding.display[:200]}


def _display(holder: Holder, reference: Reference) -> str | None:
    """The name that a reference displays, or that of the contained resource."""
    if reference.display is not None or reference.reference is None:
        return reference.display
    for part in holder.contained:
        if reference.reference == f"#{part.id}":
            return part.name[0].whole if part.name else None
    return None


def _label(kind: str, id_: str | None) -> str:
    return f"{kind}/{id_ if is_id(id_) else 'without an id'}"


def _file_name(title: str | None, media_type: str | None) -> str:
    stem = _UNFIT.sub(" ", title or "").strip()[:_SHORT].strip() or "document"
    plain = (media_type or "").partition(";")[0].strip().lower()
    suffix = _EXTENSIONS.get(plain) or mimetypes.guess_extension(plain) or ""
    return stem if _SUFFIX.search(stem) else stem + suffix
