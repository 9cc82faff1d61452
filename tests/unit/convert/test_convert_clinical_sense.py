"""What entries of CDA, FHIR and HL7 v2 mean besides values: whose they are, how often, and that they are void."""

# ruff: noqa: E501 -- an entry a line

import json

import pytest

from tests.unit.convert.documents import cda, text_of

XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:sdtc="urn:hl7-org:sdtc"'


def entry(content):
    """A CDA document of one section without a narrative."""
    body = f"<component><section><title>S</title><entry {XSI}>{content}</entry></section></component>"
    return cda(f"<component><structuredBody>{body}</structuredBody></component>")


def test_entries_say_whom_they_concern(tmp_path):
    """A father's infarction is not the patient's."""
    text = text_of(
        tmp_path,
        entry(
            '<organizer><subject><relatedSubject><code displayName="Father"/><subject><birthTime value="1940"/>'
            '<sdtc:deceasedInd value="true"/></subject></relatedSubject></subject><component><observation>'
            '<code displayName="Problem"/><value xsi:type="CD" displayName="Infarction"/></observation>'
            "</component></organizer>"
        ),
    )
    assert "concerns: Father, born 1940, deceased" in text
    assert "Problem: Infarction" in text


def test_technical_codes_of_entries_are_left_out(tmp_path):
    """ASSERTION and CONC say how HL7 builds an entry, and nothing to people."""
    text = text_of(
        tmp_path,
        entry(
            '<act><code code="CONC"/><entryRelationship><observation negationInd="true"><code code="ASSERTION"/>'
            '<value xsi:type="CD" displayName="Drug allergy"/></observation></entryRelationship></act>'
        ),
    )
    assert "CONC" not in text
    assert "ASSERTION" not in text
    assert "not; Drug allergy" in text


HEADS = {
    "a withdrawn document": ('<statusCode code="nullified"/>', "State: nullified"),
    "an informant": (
        (
            "<informant><relatedEntity><code displayName='Mother'/><relatedPerson><name>Mum P</name></relatedPerson>"
            "</relatedEntity></informant>"
        ),
        "Informant: Mum P, Mother",
    ),
    "an order": ("<inFulfillmentOf><order><id extension='ORD5'/></order></inFulfillmentOf>", "Order: ORD5"),
    "a consent": (
        (
            "<authorization><consent><code displayName='Consent to treat'/><statusCode code='completed'/></consent>"
            "</authorization>"
        ),
        "Consent: Consent to treat, completed",
    ),
}


@pytest.mark.parametrize(("header", "line"), HEADS.values(), ids=HEADS)
def test_heads_of_cda(header, line, tmp_path):
    """The head tells what may change how the document is read."""
    assert line in text_of(tmp_path, cda("", header))


TIMINGS = {
    "a meal": ({"frequency": 1, "period": 1, "periodUnit": "d", "when": ["ACM"]}, "once every day, before breakfast"),
    "a range": ({"frequency": 2, "frequencyMax": 3, "period": 8, "periodUnit": "h"}, "2 to 3 times every 8 hours"),
    "days": ({"dayOfWeek": ["mon", "fri"], "timeOfDay": ["08:00:00"]}, "on Monday, Friday at 08:00:00"),
    "an end": ({"count": 5, "boundsPeriod": {"end": "2024-02-01"}}, "5 times in all, until 2024-02-01"),
}  # fmt: skip


@pytest.mark.parametrize(("repeat", "words"), TIMINGS.values(), ids=TIMINGS)
def test_timings_of_fhir(repeat, words, tmp_path):
    """When to take a drug stands in one line, in words."""
    request = {
        "resourceType": "MedicationRequest",
        "dosageInstruction": [{"text": "5 mg", "timing": {"repeat": repeat}}],
    }
    assert f"Timing: {words}\n" in text_of(tmp_path, json.dumps(request).encode())


def test_a_timing_with_unknown_members_is_listed(tmp_path):
    """Nothing of it is lost."""
    request = {"resourceType": "MedicationRequest", "dosageInstruction": [{"timing": {"repeat": {"odd": 3}}}]}
    assert "Odd: 3" in text_of(tmp_path, json.dumps(request).encode())


def test_reasons_for_want_of_an_answer(tmp_path):
    """Declined is not the same as not answered, and an empty section says why it is empty."""
    url = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
    form = {
        "resourceType": "QuestionnaireResponse",
        "item": [
            {"linkId": "1", "text": "HIV test", "answer": [{"extension": [{"url": url, "valueCode": "asked-declined"}]}]},
            {"linkId": "2", "text": "Comment", "answer": [{"_valueString": {"extension": [{"url": url, "valueCode": "masked"}]}}]},
            {"linkId": "3", "text": "Weight"},
        ],
    }  # fmt: skip
    text = text_of(tmp_path, json.dumps(form).encode())
    assert "HIV test: (asked declined)" in text
    assert "Comment: (masked)" in text
    assert "Weight: (no answer)" in text


def test_a_composition_entered_in_error_says_so_at_its_head(tmp_path):
    """Before anything else of it is read."""
    composition = {
        "resourceType": "Composition",
        "status": "entered-in-error",
        "title": "Note",
        "section": [{"title": "Allergies", "emptyReason": {"coding": [{"code": "nilknown"}]}}],
    }
    text = text_of(
        tmp_path,
        json.dumps(
            {"resourceType": "Bundle", "type": "document", "entry": [{"resource": composition}]}
        ).encode(),
    )
    assert text.startswith("# Note\n\n- Status: entered in error\n")
    assert "Empty reason: none known" in text


def hl7(*segments, event="ORU^R01"):
    """A message."""
    return "\r".join([f"MSH|^~\\&|LAB|H|||202405010830||{event}|1|P|2.5.1", *segments]).encode()


def test_ranges_and_times_of_day_of_hl7(tmp_path):
    """Two bounds are a range, and four digits of the type TM a time."""
    text = text_of(
        tmp_path, hl7("OBX|1|NR|A^Dose||5^10|mg", "OBX|2|NR|B^Bound||^7|mg", "OBX|3|TM|C^Time||0830")
    )
    assert "| 5 to 10 | mg |" in text
    assert "| up to 7 | mg |" in text
    assert "| 08:30 |" in text


@pytest.mark.parametrize(
    ("event", "line"),
    [
        ("SIU^S15", "Event: the appointment is cancelled"),
        ("ADT^A40", "Event: patients are merged"),
        ("ADT^A11", "Event: the admission is cancelled"),
    ],
)
def test_events_of_hl7_that_turn_the_sense(event, line, tmp_path):
    """A cancelled appointment is none."""
    assert line in text_of(tmp_path, hl7("PID|1||1||Person^Testa", "SCH|A1|||||CANC^Cancelled", event=event))


def test_fields_of_timing_and_merge_have_names(tmp_path):
    """No reader should need the tables of HL7."""
    text = text_of(
        tmp_path, hl7("PID|1||1||P^T", "MRG|OLD1", "TQ1|1||BID|||5^mg|20240501|20240508", "AL1|1|DA|PEN")
    )
    for line in ("Earlier identifiers: OLD1", "Repeat: BID", "Start: 2024-05-01", "Type: drug allergy (DA)"):
        assert line in text


def test_enriched_mail_keeps_its_bold_and_its_signs(tmp_path):
    """`<<` is a sign of less than; bold that carries weight stays."""
    mail = (
        b"From: a@b\r\nTo: c@d\r\nSubject: x\r\nMIME-Version: 1.0\r\nSensitivity: Private\r\n"
        b"Content-Type: text/enriched\r\n\r\nDo <bold>not</bold> give <<5 mg <color><param>red</param>now</color>.\r\n"
    )
    text = text_of(tmp_path, mail)
    assert "Do **not** give <5 mg now." in text
    assert "Sensitivity: Private" in text


@pytest.mark.parametrize(
    ("segment", "line"),
    [
        ("PID|1||7||||||||||||||||||||||||||20240229|Y", "- Death: 2024-02-29"),
        ("IAM|1|DA|1^Penicillin||||||AL||||||||E", "- Status: erroneous (E)"),
        ("DG1|1||I10||||||||||||||||||D", "- Action: deleted (D)"),
        ("PRB|DE|20240301|1^Pain", "- Action: deleted (DE)"),
        ("TXA|1|OP|TX", "- Document type: operation report (OP)"),
        ("TXA|1|XX|TX", "- Document type: XX"),
    ],
)
def test_states_of_hl7_are_in_words(segment, line, tmp_path):
    """So are the kinds of documents and what is done with an entry."""
    assert line in text_of(tmp_path, hl7(segment)).splitlines()


def test_a_document_of_hl7_is_named_by_its_kind(tmp_path):
    """Where it has no title of its own."""
    assert text_of(tmp_path, hl7("TXA|1|DS|TX", event="MDM^T02")).startswith("# Discharge summary (DS)\n")


@pytest.mark.parametrize(
    ("member", "line"),
    [
        ({"condition": [{"code": {"text": "Breast cancer"}}]}, "- Code: Breast cancer"),
        ({"reaction": [{"code": {"coding": [{"display": "Rash"}]}}]}, "- Code: Rash"),
        ({"participant": [{"type": {"text": "Surgeon"}}]}, "- Type: Surgeon"),
        ({"participant": [{"type": [{"text": "Surgeon"}]}]}, "- Type: Surgeon"),
        ({"stage": {"display": {"text": "III"}}}, "- Display: III"),
        ({"stage": {"code": "III", "display": "third"}}, "- Stage: third"),
        ({"stage": {"type": "Observation"}}, "- Stage: Observation"),
    ],
)
def test_members_that_only_have_parts_are_listed(member, line, tmp_path):
    """What has the names of a code or a reference need not be one."""
    data = json.dumps({"resourceType": "Basic", "id": "a", **member}).encode()
    assert line in [each.strip() for each in text_of(tmp_path, data).splitlines()]


def test_an_entry_that_is_alone_of_its_kind_is_struck_out_too(tmp_path):
    """What is entered in error reads so in its heading."""
    wrong = {"coding": [{"code": "entered-in-error"}]}
    resources = [
        {"resourceType": "Condition", "code": {"text": "Diabetes"}, "verificationStatus": wrong},
        {"resourceType": "Flag", "status": "active", "code": {"text": "MRSA"}},
    ]
    bundle = {"resourceType": "Bundle", "entry": [{"resource": each} for each in resources]}
    text = text_of(tmp_path, json.dumps(bundle).encode())
    assert "### ~~Diabetes~~ (" in text
    assert "~~MRSA~~" not in text
