"""FHIR's JSON as Structs: a member of the wrong type is missing, and the rest of its resource is not."""

import pytest

from docpipe.sources.fhir.decoding import struct_of, whole_number
from docpipe.sources.fhir.resources import (
    Attachment,
    Bundle,
    Contained,
    DocumentReference,
    Manifest,
    Owned,
    Person,
    Reference,
    bundle_of,
    resources,
)

LETTER = {"resourceType": "DocumentReference", "id": "d1"}


def test_a_document_is_not_lost_for_the_type_of_its_author():
    """Wrong types, unknown members, and an object in place of a list."""
    given = LETTER | {
        "author": [7, "Practitioner/1", {"display": " Dr. Lee "}],
        "type": "no concept",
        "date": ["2026"],
        "content": {"attachment": {"url": " /Binary/1 ", "size": "12", "data": 3, "title": " "}},
        "unknown": {"x": [1]},
    }
    reference = struct_of(DocumentReference, given)
    assert reference.author == [Reference(reference="Practitioner/1"), Reference(display="Dr. Lee")]
    assert (reference.type.text, reference.date) == (None, None)
    assert reference.attachments == [Attachment(url="/Binary/1", size=12)]


@pytest.mark.parametrize("value", [None, 1, True, "text", [], [LETTER]])
def test_what_is_no_object_is_no_resource(value):
    """Nor an element, unless a text stands for one."""
    assert struct_of(DocumentReference, value) is None
    assert struct_of(Reference, "Patient/1") == Reference(reference="Patient/1")


@pytest.mark.parametrize(
    ("value", "number"),
    [(5, 5), ("5", 5), ("9" * 30, int("9" * 18)), (0, 0), (-1, None), (True, None), (5.0, None), ("²", None)],
)
def test_numbers_of_things(value, number):
    """Also as the text that XML has; nothing else is one."""
    assert whole_number(value) == number


def test_people_and_organizations_have_names():
    """Of a person by parts or as text, of an organization as a plain text."""
    for name, whole in (
        ([{"given": ["Zoë", 3], "family": "Lee"}, {"text": "other"}], "Zoë Lee"),
        ({"text": "Dr. Lee", "family": "X"}, "Dr. Lee"),
        ("St. Mary", "St. Mary"),
    ):
        assert struct_of(Contained, {"id": "a", "name": name}).name[0].whole == whole


def test_a_patient_who_was_merged():
    """Into the first Patient that a link replaces it by; other links do not count."""
    links = [
        {"type": "seealso", "other": {"reference": "Patient/1"}},
        {"type": "replaced-by", "other": {"reference": "RelatedPerson/2"}},
        {"type": "replaced-by", "other": {"reference": "https://a/fhir/Patient/3"}},
        {"type": "replaced-by", "other": {"reference": "Patient/4"}},
    ]
    assert struct_of(Person, {"link": links}).replaced_by == "3"
    assert struct_of(Person, {"link": links[:2]}).replaced_by is None


def test_owners_by_member():
    """A reference may be a plain address, and a Binary names its patient in the security context."""
    owned = struct_of(Owned, {"subject": "Patient/1", "securityContext": {"reference": "Patient/2"}})
    assert [[owner.target for owner in owners] for owners in owned.owners if owners] == [
        [("Patient", "1")],
        [("Patient", "2")],
    ]


def test_bundles_within_a_bundle():
    """Their resources come in their place, and an outcome stands for what a batch could not do."""
    inner = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": LETTER}]}
    refusal = {"resourceType": "OperationOutcome"}
    entries = [
        {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Binary"}},
        {"fullUrl": "https://a/Patient/2", "resource": {"resourceType": "Patient"}},
        {"resource": inner, "search": {"mode": "include"}},
        {"response": {"status": "404", "outcome": refusal}},
        {"resource": {"resourceType": "Bundle", "type": "document"}},
        7,
        {},
    ]
    bundle = bundle_of({"resourceType": "Bundle", "type": "searchset", "total": "3", "entry": entries})
    assert [(resource["resourceType"], urn) for resource, urn in resources(bundle)] == [
        ("Binary", "urn:uuid:1"),
        ("Patient", ""),
        ("DocumentReference", ""),
        ("OperationOutcome", ""),
        ("Bundle", ""),
    ]
    assert (bundle.expected, bundle.matches) == (3, 5)
    assert struct_of(Bundle, {"type": "batch-response", "total": 3}).expected is None


def test_pages_of_a_manifest():
    """The first link to a next page that has an address; a file without one is listed, and not fetched."""
    links = [{"relation": "self", "url": "/1"}, {"relation": "next"}, {"relation": "next", "url": "/2"}]
    manifest = struct_of(Manifest, {"link": links, "requiresAccessToken": "no", "output": {"url": "/o"}})
    assert manifest.next == "/2"
    assert manifest.requires_access_token is None
    assert [file.url for file in manifest.output] == ["/o"]
    assert struct_of(Manifest, {}).next is None
