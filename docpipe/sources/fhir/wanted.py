"""The documents that resources carry or refer to: what is to be fetched, and what is said of each."""

import mimetypes
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from docpipe.model import Json
from docpipe.sources.fhir.vocabulary import is_id, listed, referred, text_of

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
FOREIGN: Final = "The exchange sent it for this patient, but it says that it is about another one."
_OWNERS: Final = ("subject", "patient")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One document, or why there is none."""

    name: str
    """To show; never a path."""
    told: dict[str, Any] = field(default_factory=dict)
    """What the exchange says of it: media_type, title, author, created, custodian; loinc, as of its type."""
    url: str | None = None
    data: str | None = field(default=None, repr=False)
    """Base64."""
    size: int | None = None
    sha1: str | None = None
    ignored: str | None = None
    """Why it is not fetched, where that is as it should be."""
    refused: str | None = None
    failed: str | None = None


def wanted(resource: Mapping[str, Any], patient: str) -> Iterator[Wanted]:
    """The documents of one resource; of a DocumentReference without any, why there is none.

    Args:
        resource: any; only a few types are known to refer to documents elsewhere.
        patient: the logical id of whom they should be about.
    """
    kind = resource.get("resourceType")
    if kind == "DocumentReference":
        yield from _of_reference(resource, patient)
    elif kind == "Binary":
        yield _of_binary(resource)
    else:
        for attachment in _ATTACHMENTS.get(str(kind), _none)(resource):
            if isinstance(attachment, dict) and text_of(attachment.get("url")) and not attachment.get("data"):
                yield _one(resource, attachment, {})


def foreign(resource: Mapping[str, Any], patient: str) -> bool:
    """Whether a resource says that it is about another patient."""
    if resource.get("resourceType") == "Patient":
        return is_id(resource.get("id")) and resource["id"] != patient
    owners = [referred(resource.get(name)) for name in _OWNERS]
    return any(owner is not None and owner[0] == "Patient" and owner[1] != patient for owner in owners)


def _of_reference(resource: Mapping[str, Any], patient: str) -> Iterator[Wanted]:
    told = _facts(resource)
    base = _label(resource)
    contents = [content for content in listed(resource.get("content")) if isinstance(content, dict)]
    attachments = [found for found in (c.get("attachment") for c in contents) if isinstance(found, dict)]
    if foreign(resource, patient):
        yield Wanted(base, told, refused=FOREIGN)
    elif (why := _NOT_CURRENT.get(str(resource.get("status")))) is not None:
        yield Wanted(base, told, ignored=why)
    elif not attachments:
        yield Wanted(base, told, failed="The exchange lists the document without any content.")
    else:
        for attachment in attachments:
            yield _one(resource, attachment, told)


def _one(resource: Mapping[str, Any], attachment: Mapping[str, Any], told: Mapping[str, Any]) -> Wanted:
    name, facts = _named(resource, attachment, told)
    data, url = attachment.get("data"), text_of(attachment.get("url"))
    if not isinstance(data, str):
        data = None
    size, sha1 = attachment.get("size"), text_of(attachment.get("hash"))
    if sha1 == _EMPTY_SHA1 or isinstance(size, bool) or not isinstance(size, int) or size <= 0:
        size = None  # MHD, delayed assembly: size 0 and the digest of nothing say that it is not yet known
    if sha1 == _EMPTY_SHA1:
        sha1 = None
    if url is not None and url.startswith("#") and not data:
        data, media = _contained(resource, url[1:])
        if media is not None:
            facts.setdefault("media_type", media)
        if data is None:
            return Wanted(name, facts, failed="The document refers to a part of its entry that is not there.")
        url = None
    if not data and url is None:
        return Wanted(name, facts, failed="The exchange lists the document without any content.")
    return Wanted(name, facts, None if data else url, data or None, size, sha1)


def _named(
    resource: Mapping[str, Any], attachment: Mapping[str, Any], told: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """The name to show, and what is said of one attachment."""
    facts, title = dict(told), text_of(attachment.get("title"))
    media_type = text_of(attachment.get("contentType"))
    label = title or facts.get("title") or facts.get("loinc_name")
    facts.pop("loinc_name", None)
    if title is not None and "title" in facts and _SUFFIX.search(title):
        title = None  # the name of a file says less to people than a description
    for name, value in (
        ("media_type", media_type),
        ("title", title),
        ("created", text_of(attachment.get("creation"))),
    ):
        if value is not None:
            facts[name] = value[:_LONGEST]
    return f"{_label(resource)}/{_file_name(label, media_type)}", facts


def _contained(resource: Mapping[str, Any], id_: str) -> tuple[str | None, str | None]:
    for part in listed(resource.get("contained")):
        if isinstance(part, dict) and part.get("id") == id_ and isinstance(part.get("data"), str):
            return part["data"], text_of(part.get("contentType"))
    return None, None


def _of_binary(resource: Mapping[str, Any]) -> Wanted:
    media_type = text_of(resource.get("contentType"))
    told = {"media_type": media_type} if media_type else {}
    name = f"{_label(resource)}/{_file_name(None, media_type)}"
    data = resource.get("data")
    if not isinstance(data, str) or not data:
        return Wanted(name, told, failed="The exchange sent a Binary without data.")
    return Wanted(name, told, data=data)


def _facts(resource: Mapping[str, Any]) -> dict[str, Any]:
    """What a DocumentReference says of all its contents."""
    given = resource.get("type")
    kind: dict[str, Any] = given if isinstance(given, dict) else {}
    codings = [coding for coding in listed(kind.get("coding")) if isinstance(coding, dict)]
    loinc = next((c for c in codings if c.get("system") == _LOINC and text_of(c.get("code"))), None)
    named = [kind.get("text"), *(c.get("display") for c in codings)]
    display = next((text for text in map(text_of, named) if text), None)
    author = next(filter(None, (_display(resource, ref) for ref in listed(resource.get("author")))), None)
    facts = {
        "title": text_of(resource.get("description")),
        "created": text_of(resource.get("date")),
        "author": author,
        "custodian": _display(resource, resource.get("custodian")),
        "loinc_name": display,
    }
    return {name: value[:_LONGEST] for name, value in facts.items() if value} | _loinc(loinc or {})


def _loinc(coding: Mapping[str, Any]) -> dict[str, Any]:
    code, display = text_of(coding.get("code")), text_of(coding.get("display"))
    return {"loinc": {"code": code[:20], "display": display and display[:200]}} if code else {}


def _display(resource: Mapping[str, Any], reference: Json) -> str | None:
    """The name of whom a reference points to: as it says, or of the contained resource."""
    if not isinstance(reference, dict):
        return None
    if (display := text_of(reference.get("display"))) is not None:
        return display
    for part in listed(resource.get("contained")):
        if isinstance(part, dict) and reference.get("reference") == f"#{part.get('id')}":
            name = part.get("name")
            found = listed(name)[0] if listed(name) else None
            if isinstance(found, dict):
                words = [*listed(found.get("given")), found.get("family")]
                return text_of(found.get("text")) or text_of(" ".join(w for w in words if isinstance(w, str)))
            return text_of(found)
    return None


def _label(resource: Mapping[str, Any]) -> str:
    id_ = resource.get("id")
    return f"{resource.get('resourceType')}/{id_ if is_id(id_) else 'without an id'}"


def _file_name(title: str | None, media_type: str | None) -> str:
    stem = _UNFIT.sub(" ", title or "").strip()[:_SHORT].strip() or "document"
    plain = (media_type or "").partition(";")[0].strip().lower()
    suffix = _EXTENSIONS.get(plain) or mimetypes.guess_extension(plain) or ""
    return stem if _SUFFIX.search(stem) else stem + suffix


def _none(_resource: Mapping[str, Any]) -> list[Any]:
    return []


def _payloads(resource: Mapping[str, Any]) -> list[Any]:
    parts = [part for part in listed(resource.get("payload")) if isinstance(part, dict)]
    return [part.get("contentAttachment") for part in parts]


_ATTACHMENTS: Final = {
    "DiagnosticReport": lambda resource: listed(resource.get("presentedForm")),
    "Media": lambda resource: listed(resource.get("content")),
    "Consent": lambda resource: listed(resource.get("sourceAttachment")),
    "Communication": _payloads,
}
"""Where other resources refer to documents elsewhere; what they carry within, the converter finds."""
