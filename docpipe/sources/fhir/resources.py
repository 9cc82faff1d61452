"""What docpipe reads of FHIR resources (https://hl7.org/fhir/R4/) and of the manifest of an export.

Made by `decoding.struct_of`. A resource is kept and converted as it came, whatever else it has.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

from msgspec import Struct

from docpipe.sources.fhir.decoding import struct_of
from docpipe.sources.fhir.vocabulary import referred

Resource = dict[str, Any]
"""A resource of any type, as it came."""


class Part(Struct, frozen=True, kw_only=True, rename="camel"):
    """An element of a resource, or a resource."""


class Coding(Part, frozen=True, kw_only=True):
    """A code of a system."""

    system: str | None = None
    code: str | None = None
    display: str | None = None


class Concept(Part, frozen=True, kw_only=True):
    """A CodeableConcept."""

    text: str | None = None
    coding: list[Coding] = []


class Reference(Part, frozen=True, kw_only=True):
    """A reference to another resource, or its address alone."""

    plain: ClassVar[str] = "reference"
    reference: str | None = None
    display: str | None = None

    @property
    def target(self) -> tuple[str, str] | None:
        """Type and id of the resource; None where it has none."""
        return referred(self.reference)


class Name(Part, frozen=True, kw_only=True):
    """The name of a person, or the text that names an organization."""

    plain: ClassVar[str] = "text"
    text: str | None = None
    given: list[str] = []
    family: str | None = None

    @property
    def whole(self) -> str | None:
        """In reading order; None where it is empty."""
        return self.text or " ".join(filter(None, (*self.given, self.family))) or None


class Attachment(Part, frozen=True, kw_only=True):
    """A document, or where it is."""

    content_type: str | None = None
    data: str | None = None
    """Base64."""
    url: str | None = None
    size: int | None = None
    """Bytes."""
    hash: str | None = None
    """SHA-1 in Base64."""
    title: str | None = None
    creation: str | None = None


class Contained(Part, frozen=True, kw_only=True):
    """A resource within another one: a Binary, or a person or organization."""

    id: str | None = None
    content_type: str | None = None
    data: str | None = None
    name: list[Name] = []


class Holder(Part, frozen=True, kw_only=True):
    """A resource that may refer to documents."""

    resource_type: str = ""
    id: str | None = None
    contained: list[Contained] = []

    @property
    def attachments(self) -> list[Attachment]:
        """The documents."""
        return []


class Content(Part, frozen=True, kw_only=True):
    """A form of a document."""

    attachment: Attachment | None = None


class DocumentReference(Holder, frozen=True, kw_only=True):
    """A document with its forms, and what is declared of them."""

    status: str | None = None
    type: Concept = Concept()
    description: str | None = None
    date: str | None = None
    author: list[Reference] = []
    custodian: Reference | None = None
    content: list[Content] = []

    @property
    def attachments(self) -> list[Attachment]:
        """Its forms."""
        return [content.attachment for content in self.content if content.attachment is not None]


class DiagnosticReport(Holder, frozen=True, kw_only=True):
    """Findings, with documents that present them."""

    presented_form: list[Attachment] = []

    @property
    def attachments(self) -> list[Attachment]:
        """The documents that present it."""
        return self.presented_form


class Media(Holder, frozen=True, kw_only=True):
    """A picture or a recording."""

    content: list[Attachment] = []

    @property
    def attachments(self) -> list[Attachment]:
        """The picture or the recording."""
        return self.content


class Consent(Holder, frozen=True, kw_only=True):
    """A consent, with the document that was signed."""

    source_attachment: list[Attachment] = []

    @property
    def attachments(self) -> list[Attachment]:
        """The document that was signed."""
        return self.source_attachment


class Payload(Part, frozen=True, kw_only=True):
    """A part of a message."""

    content_attachment: Attachment | None = None


class Communication(Holder, frozen=True, kw_only=True):
    """A message."""

    payload: list[Payload] = []

    @property
    def attachments(self) -> list[Attachment]:
        """What is attached to it."""
        return [part.content_attachment for part in self.payload if part.content_attachment is not None]


class Binary(Part, frozen=True, kw_only=True):
    """The bytes of a document."""

    id: str | None = None
    content_type: str | None = None
    data: str | None = None
    """Base64."""


class Owned(Part, frozen=True, kw_only=True):
    """Whom a resource is about, by the members that name its patient."""

    resource_type: str = ""
    id: str | None = None
    subject: list[Reference] = []
    patient: list[Reference] = []
    beneficiary: list[Reference] = []
    security_context: list[Reference] = []
    """Of a Binary."""

    @property
    def owners(self) -> list[list[Reference]]:
        """By member."""
        return [self.subject, self.patient, self.beneficiary, self.security_context]


class Identifier(Part, frozen=True, kw_only=True):
    """A number of a patient."""

    system: str | None = None
    value: str | None = None


class PatientLink(Part, frozen=True, kw_only=True):
    """Another record of the same person."""

    type: str | None = None
    other: Reference | None = None


class Person(Part, frozen=True, kw_only=True):
    """A Patient."""

    id: str | None = None
    birth_date: str | None = None
    identifier: list[Identifier] = []
    link: list[PatientLink] = []

    @property
    def replaced_by(self) -> str | None:
        """The logical id of the Patient that this one is merged into, None where it is not."""
        for link in self.link:
            target = link.other.target if link.type == "replaced-by" and link.other is not None else None
            if target is not None and target[0] == "Patient":
                return target[1]
        return None


class PageLink(Part, frozen=True, kw_only=True):
    """A link to another page."""

    relation: str | None = None
    url: str | None = None


class Page(Part, frozen=True, kw_only=True):
    """A page of a Bundle or of a manifest."""

    link: list[PageLink] = []

    @property
    def next(self) -> str | None:
        """The link to the next page; None on the last."""
        return next((link.url for link in self.link if link.relation == "next" and link.url), None)


class EntrySearch(Part, frozen=True, kw_only=True):
    """Why an entry is in a searchset."""

    mode: str | None = None


class EntryResponse(Part, frozen=True, kw_only=True):
    """The answer to a part of a batch."""

    status: Any = None
    """Such as `404 Not Found`."""
    outcome: Resource | None = None


class Entry(Part, frozen=True, kw_only=True):
    """An entry of a Bundle."""

    full_url: str | None = None
    resource: Resource | None = None
    search: EntrySearch = EntrySearch()
    response: EntryResponse = EntryResponse()

    @property
    def urn(self) -> str:
        """Its address where that is a `urn:`, else ""."""
        return self.full_url if self.full_url is not None and self.full_url.startswith("urn:") else ""


class Bundle(Page, frozen=True, kw_only=True):
    """A list of resources."""

    type: str | None = None
    total: int | None = None
    entry: list[Entry] = []

    @property
    def expected(self) -> int | None:
        """How many matches a searchset says that there are, on all its pages."""
        return self.total if self.type == "searchset" else None

    @property
    def matches(self) -> int:
        """How many matches this page has; OperationOutcomes and included resources are none."""
        return sum(entry.search.mode in (None, "match") for entry in self.entry)


def resources(bundle: Bundle) -> Iterator[tuple[Resource, str]]:
    """The resources of a Bundle, each with its `urn:` or "".

    Those of Bundles within it, as in a batch-response, come in their place.
    """
    for entry in bundle.entry:
        resource = entry.resource or entry.response.outcome
        if resource is None:
            continue
        inner = struct_of(Bundle, resource) if resource.get("resourceType") == "Bundle" else None
        if inner is not None and inner.type == "searchset":
            yield from resources(inner)
        else:
            yield resource, entry.urn


def bundle_of(value: object) -> Bundle | None:
    """Decode a Bundle; None for any other value."""
    is_bundle = isinstance(value, dict) and value.get("resourceType") == "Bundle"
    return struct_of(Bundle, value) if is_bundle else None


def person_of(value: object) -> Person | None:
    """Decode a Patient; None for any other value."""
    is_patient = isinstance(value, dict) and value.get("resourceType") == "Patient"
    return struct_of(Person, value) if is_patient else None


class OutputFile(Part, frozen=True, kw_only=True):
    """A file of an export."""

    url: str | None = None
    type: str | None = None
    count: int | None = None
    """Lines."""
    file_size: int | None = None
    """Bytes."""


class Manifest(Page, frozen=True, kw_only=True):
    """A page of the manifest of an export (https://hl7.org/fhir/uv/bulkdata/export.html)."""

    requires_access_token: bool | None = None
    output: list[OutputFile] = []
    error: list[OutputFile] = []
    """Messages, until STU 4 of the guide."""
    outcome: list[OutputFile] = []
    """Messages, since then."""
    status: list[OutputFile] = []
    """Messages, in a draft between them."""
    deleted: list[OutputFile] = []
