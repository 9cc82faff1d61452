"""FHIR in XML reads as the JSON that FHIR has for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docpipe.sources.fhir import xml
from docpipe.sources.fhir.xml import resource_of

BUNDLE = b"""<?xml version="1.0"?>
<Bundle xmlns="http://hl7.org/fhir">
  <type value="searchset"/><total value="2"/>
  <link><relation value="next"/><url value="/p2"/></link>
  <entry><resource><DocumentReference><id value="d1"/><status value="current"/>
    <text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml"><p>Hi</p></div></text>
    <contained><Binary><id value="b"/><data value="QQ=="/></Binary></contained>
    <contained><Practitioner><id value="p"/></Practitioner></contained>
    <content><attachment><url value="Binary/1"/><size value="3"/></attachment></content>
  </DocumentReference></resource></entry>
  <entry><response><outcome><OperationOutcome><issue><code value="lock-error"/></issue></OperationOutcome>
  </outcome></response></entry>
</Bundle>"""


def test_a_bundle_in_xml():
    """Resources stand in their places, what repeats is a list, and XHTML is left out."""
    bundle = resource_of(BUNDLE)
    first, second = bundle["entry"]
    assert (bundle["resourceType"], bundle["total"], bundle["link"]) == (
        "Bundle",
        "2",
        {"relation": "next", "url": "/p2"},
    )
    assert first["resource"]["content"] == {"attachment": {"url": "Binary/1", "size": "3"}}
    assert [part["resourceType"] for part in first["resource"]["contained"]] == ["Binary", "Practitioner"]
    assert first["resource"]["text"] == {"status": "generated"}
    assert second["response"]["outcome"]["issue"] == {"code": "lock-error"}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"<Bundle xmlns='http://hl7.org/fhir'>",
        b"<html><body/></html>",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><Bundle xmlns='http://hl7.org/fhir'/>",
        b"<Bundle xmlns='http://hl7.org/fhir'>" + b"<a>" * 200 + b"</a>" * 200 + b"</Bundle>",
    ],
)
def test_what_is_no_resource_is_none(raw):
    """Neither is what declares a document type, or is nested without end."""
    assert resource_of(raw) is None


@given(st.binary(max_size=200) | st.text(alphabet="<>/ab='\" &;xmlns", max_size=80).map(str.encode))
def test_any_bytes_are_read(raw):
    """Nothing that a server sends raises an error."""
    assert resource_of(raw) is None or isinstance(resource_of(raw), dict)


def test_elements_are_bounded(monkeypatch):
    """A page that would fill the main process is no resource."""
    monkeypatch.setattr(xml, "MOST_ELEMENTS", 100)
    page = b"<Bundle xmlns='http://hl7.org/fhir'>%s</Bundle>"
    assert resource_of(page % (b"<a/>" * 99)) == {"resourceType": "Bundle", "a": [{}] * 99}
    assert resource_of(page % (b"<a/>" * 100)) is None
