"""FHIR in JSON, NDJSON and XML, and JSON that is not FHIR."""

import base64
import json

import pytest

from docpipe.convert.readers.fhir import values as fhir
from tests.unit.convert import documents
from tests.unit.convert.documents import run, text_of

PDF = documents.pdf()
DATA = base64.b64encode(PDF).decode()
PATIENT = {
    "resourceType": "Patient",
    "id": "p",
    "name": [{"prefix": ["Ms"], "given": ["Jane"], "family": "Doe", "use": "official"}],
    "birthDate": "1970-01-02",
    "gender": "female",
}


def concept(code, display, system="http://loinc.org"):
    """A CodeableConcept."""
    return {"coding": [{"system": system, "code": code, "display": display}]}


def bundle(*resources, kind="document"):
    """A Bundle of resources, each with its address."""
    entries = [
        {"fullUrl": f"urn:uuid:{one.get('id', at)}", "resource": one} for at, one in enumerate(resources)
    ]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


def data(value):
    """A value as the bytes of a JSON file."""
    return json.dumps(value).encode()


DOCUMENT = bundle(
    {"resourceType": "Organization", "id": "o", "name": "A Clinic"},
    PATIENT,
    {
        "resourceType": "Composition",
        "title": "A summary",
        "status": "final",
        "type": concept("34133-9", "Summary of episode"),
        "date": "2024-01-31",
        "subject": {"reference": "urn:uuid:p"},
        "author": [{"display": "Ann Ok"}],
        "custodian": {"reference": "Organization/o"},
        "section": [
            {
                "title": "Allergies",
                "text": {
                    "status": "generated",
                    "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>None &amp; no more</p></div>',
                },
                "section": [{"title": "Old ones", "emptyReason": {"text": "Not asked"}}],
            }
        ],
    },
)


def test_document_bundle_reads_like_a_document(tmp_path):
    """The composition comes first, its sections in order, and references show names."""
    done, outputs = run(tmp_path, data(DOCUMENT))
    text = outputs["text.md"].decode()
    assert text.startswith(
        "# A summary\n\n- Patient: Ms Jane Doe, born 1970-01-02, female\n"
        "- Date: 2024-01-31\n- Author: Ann Ok\n"
        "- Custodian: A Clinic\n- Type: Summary of episode (LOINC 34133-9)\n"
    )
    order = ["## Allergies", "None & no more", "### Old ones", "Not asked", "## Patient", "## Organization"]
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)
    assert {key: done["metadata"][key] for key in ("title", "date", "author", "custodian", "loinc")} == {
        "title": "A summary",
        "date": "2024-01-31",
        "author": "Ann Ok",
        "custodian": "A Clinic",
        "loinc": {"code": "34133-9", "display": "Summary of episode"},
    }


def test_observations_become_a_table(tmp_path):
    """Values stand with their units as they were written, components below their observation."""
    panel = {
        "resourceType": "Observation",
        "status": "final",
        "code": concept("85354-9", "Blood pressure"),
        "effectiveDateTime": "2024-01-30",
        "component": [{"code": {"text": "Systolic"}, "valueQuantity": {"value": 120, "unit": "mmHg"}}],
    }
    glucose = b'{"resourceType":"Observation","status":"final","code":{"text":"Glucose"},'
    glucose += b'"valueQuantity":{"value":1.10,"unit":"mmol/L"},"note":[{"text":"ok"}],'
    glucose += b'"referenceRange":[{"low":{"value":0.5},"high":{"value":2}}]}'
    lines = data(panel) + b"\n" + glucose
    text = text_of(tmp_path, lines, name="Observation.ndjson")
    assert "| 2024-01-30 | Blood pressure (LOINC 85354-9) |" in text
    assert "|  | ↳ Systolic | 120 mmHg |" in text
    assert "|  | Glucose | 1.10 mmol/L | 0.5 to 2 | final | Note: ok |" in text


def test_attachments_are_documents_of_their_own(tmp_path):
    """Inline data is taken out, from attachments and binaries; an address within the bundle is found."""
    reference = {
        "resourceType": "DocumentReference",
        "status": "current",
        "content": [
            {"attachment": {"contentType": "application/pdf", "data": DATA, "title": "Scan"}},
            {"attachment": {"contentType": "application/pdf", "url": "Binary/b"}},
            {"attachment": {"contentType": "application/pdf", "url": "http://x.y/far.pdf"}},
        ],
    }
    binary = {"resourceType": "Binary", "id": "b", "contentType": "application/pdf", "data": DATA}
    done, outputs = run(tmp_path, data(bundle(reference, binary)))
    assert [part["name"] for part in done["embedded"]] == ["embedded-1.pdf", "embedded-2.pdf"]
    assert (tmp_path / "out" / "embedded" / "001").read_bytes() == PDF
    text = outputs["text.md"].decode()
    assert "A document (Scan) is a PDF, kept beside this one as embedded-1.pdf." in text
    assert "the resource Binary/b in this file" in text
    assert done["warnings"] == ["the content is a separate file that this document refers to"]
    assert DATA[:40] not in text


def test_narrative_that_says_nothing_does_not_hide_the_data(tmp_path):
    """Some writers put one sentence into every narrative; what the data say is shown beside it."""
    empty = '<div xmlns="http://www.w3.org/1999/xhtml">Generated.</div>'
    one = {
        "resourceType": "Condition",
        "text": {"div": empty},
        "code": {"text": "Asthma"},
        "onsetAge": {"value": 5},
    }
    text = text_of(tmp_path / "a", data(one))
    assert "Generated." in text
    assert "- Code: Asthma" in text
    full = empty.replace("Generated.", "<b>Asthma</b>, code: onset: 5")
    assert "- Code: Asthma" not in text_of(tmp_path / "b", data({**one, "text": {"div": full}}))


def test_xml_gives_the_same_as_json(tmp_path):
    """A resource in XML is read through the same structure."""
    xml = (
        b'<Bundle xmlns="http://hl7.org/fhir"><entry><resource><Patient><id value="p"/>'
        b'<name><given value="Jane"/>'
        b'<family value="Doe"/></name><birthDate value="1970-01-02"/></Patient></resource></entry>'
        b"<entry><resource>"
        b'<Condition><text><div xmlns="http://www.w3.org/1999/xhtml"><p>Sick<br/>now</p></div></text><subject>'
        b'<reference value="Patient/p"/></subject></Condition></resource></entry></Bundle>'
    )
    text = text_of(tmp_path, xml)
    assert "- Patient: Jane Doe, born 1970-01-02" in text
    assert "Sick  \nnow" in text
    assert "- Subject: Jane Doe" in text


@pytest.mark.parametrize(
    ("value", "output"),
    [
        ({"value": "5", "unit": "mg", "comparator": "<"}, "<5 mg"),
        ({"start": "2020", "end": "2021"}, "2020 to 2021"),
        ({"end": "2021"}, "until 2021"),
        ({"low": {"value": "1", "unit": "g"}, "high": {"value": "2", "unit": "g"}}, "1 g to 2 g"),
        ({"system": "phone", "value": "555", "use": "home"}, "phone 555 (home)"),
        ({"line": ["1 Main St"], "city": "Town"}, "1 Main St, Town"),
        (
            {"text": "Rash", "coding": [{"system": "http://snomed.info/sct", "code": "1"}]},
            "Rash [SNOMED CT 1]",
        ),
        ({"reference": "#x"}, "#x"),
        ({"value": "MRN", "system": "urn:x"}, "MRN"),
        ({"text": "Well", "time": "2020"}, "Well (2020)"),
        (True, "yes"),
        ([{"display": "a"}, {"display": "b"}], "a; b"),
        ({"odd": {"odder": "x"}}, None),
    ],
)
def test_data_types_are_said_in_words(value, output):
    """The common data types become one line; what is unknown is left to be listed."""
    assert fhir.inline(value, lambda _: "") == output


BROKEN = {
    "cut short": (data(DOCUMENT)[:300], "The file is cut short."),
    "damaged": (
        b'{"resourceType": "Patient", "id" "p", "x": 1}',
        "The JSON is damaged at line 1, column 34.",
    ),
    "a depth bomb": (
        b'{"resourceType":"Patient","x":' + b"[" * 200_000,
        "The JSON is nested too deeply to be read.",
    ),
}


@pytest.mark.parametrize(("file", "reason"), BROKEN.values(), ids=BROKEN)
def test_broken_json_fails_plainly(file, reason, tmp_path):
    """What is wrong and where, without the file's text."""
    done, outputs = run(tmp_path, file)
    assert (done["outcome"], done["reason"], outputs) == ("failed", reason, {})


ODD = {
    "byte-order mark": ("﻿" + json.dumps(PATIENT)).encode(),
    "UTF-16": json.dumps(PATIENT).encode("utf-16"),
    "trailing comma": data(PATIENT).replace(b'"female"', b'"female",'),
    "twice the same name": data(PATIENT).replace(b'"gender"', b'"gender": "other", "gender"'),
}


@pytest.mark.parametrize("file", ODD.values(), ids=ODD)
def test_odd_json_is_read(file, tmp_path):
    """Encodings and small faults do not lose the resource, nor a value that is given twice."""
    text = text_of(tmp_path, file, name="x.json")
    assert "Ms Jane Doe" in text
    assert "female" in text


def test_other_json_is_shown_as_it_is(tmp_path):
    """JSON of no known kind is indented, its numbers as they are written."""
    text = text_of(tmp_path, b'{"a": [1.10, null, true], "b": {}, "c": "x"}', name="a.json")
    assert (
        text == '```text\n{\n  "a": [\n    1.10,\n    null,\n    true\n  ],\n  "b": {},\n  "c": "x"\n}\n```\n'
    )
