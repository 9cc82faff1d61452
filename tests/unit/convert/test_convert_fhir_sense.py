"""What turns the sense of a FHIR resource: no and nothing, states, names, restrictions; forms and attachments."""

# ruff: noqa: E501 -- a resource a line

import base64
import json

import pytest

from tests.unit.convert import documents
from tests.unit.convert.documents import run, text_of

PDF = documents.pdf()
DATA = base64.b64encode(PDF).decode()


def text(folder, *resources):
    """The text of one resource, or of a bundle of some."""
    whole = resources[0]
    if len(resources) > 1:
        whole = {"resourceType": "Bundle", "entry": [{"resource": one} for one in resources]}
    return text_of(folder, json.dumps(whole).encode())


def response(*items, **more):
    """A filled questionnaire."""
    return {"resourceType": "QuestionnaireResponse", "item": list(items), **more}


def test_a_questionnaire_says_when_it_asks(tmp_path):
    """With the answers to choose from, those chosen beforehand, and the marks before its questions."""
    form = {
        "resourceType": "Questionnaire",
        "item": [
            {"linkId": "1", "prefix": "1.", "text": "Smoker?"},
            {
                "linkId": "2",
                "text": "Packs?",
                "enableWhen": [{"question": "1", "operator": "=", "answerBoolean": True}],
                "answerOption": [{"valueString": "few"}, {"valueString": "many", "initialSelected": True}],
            },
            {
                "linkId": "3",
                "text": "Why?",
                "enableWhen": [{"question": "2", "operator": "exists", "answerBoolean": False}],
            },
        ],
    }
    written = text(tmp_path, form)
    assert "- 1. Smoker?\n" in written.replace("\\.", ".")
    assert "- Packs? (if Smoker? = yes; choices: few, many; filled in with many)" in written
    assert "- Why? (if Packs? is not answered)" in written


ANSWERS = {
    "no": ({"text": "Smoker?", "answer": [{"valueBoolean": False}]}, "- Smoker? no\n"),
    "yes": ({"text": "Smoker?", "answer": [{"valueBoolean": True}]}, "- Smoker? yes\n"),
    "no in XML's manner": ({"text": "Smoker?", "answer": {"valueBoolean": "false"}}, "- Smoker? no\n"),
    "nothing": ({"text": "Smoker?"}, "- Smoker? (no answer)\n"),
    "an empty answer": ({"text": "Smoker?", "answer": []}, "- Smoker? (no answer)\n"),
    "zero": ({"text": "Pack years", "answer": [{"valueInteger": 0}]}, "- Pack years: 0\n"),
    "several": (
        {"text": "Signs", "answer": [{"valueString": "a"}, {"valueCoding": {"display": "b"}}]},
        "- Signs: a; b\n",
    ),
    "a quantity": (
        {"text": "Weight", "answer": [{"valueQuantity": {"value": 72, "unit": "kg"}}]},
        "- Weight: 72 kg\n",
    ),
    "within an answer": (
        {
            "text": "Fever",
            "answer": [{"valueBoolean": True, "item": [{"text": "Max", "answer": [{"valueDecimal": 38.5}]}]}],
        },
        "- Fever: yes\n\n  - Max: 38.5\n",
    ),
    "a group": (
        {"text": "Group", "item": [{"text": "A?", "answer": [{"valueBoolean": False}]}]},
        "- Group\n\n  - A? no\n",
    ),
    "without a text": ({"linkId": "q7", "answer": [{"valueString": "x"}]}, "- q7: x\n"),
}


@pytest.mark.parametrize(("item", "wanted"), ANSWERS.values(), ids=ANSWERS)
def test_yes_no_and_no_answer_are_three(item, wanted, tmp_path):
    """A question is followed by its answer; no is an answer, and nothing is none."""
    assert text(tmp_path, response(item)).endswith(wanted)


def test_texts_of_questions_come_from_the_questionnaire(tmp_path):
    """A response may have link ids alone; a questionnaire itself lists questions and choices."""
    form = {
        "resourceType": "Questionnaire",
        "item": [
            {
                "linkId": "1",
                "text": "Group",
                "item": [{"linkId": "1.1", "text": "Smoker?", "answerOption": [{"valueString": "never"}]}],
            }
        ],
    }
    whole = text(tmp_path, form, response({"linkId": "1.1", "answer": [{"valueBoolean": False}]}))
    assert "- Smoker? no\n" in whole
    assert "  - Smoker? (choices: never)\n" in whole


def test_no_and_zero_are_values(tmp_path):
    """An object whose only member is false, or zero, is not empty."""
    whole = text(
        tmp_path,
        {
            "resourceType": "Basic",
            "extension": [{"url": "http://x/pregnant", "valueBoolean": False}],
            "a": {"b": False},
            "c": {"d": 0},
        },
    )
    assert "- Pregnant: no" in whole
    assert "- B: no" in whole
    assert "- D: 0" in whole


ATTACHED = {
    "without a type": {"data": DATA, "title": "CT"},
    "an address of data": {"contentType": "application/pdf", "url": f"data:application/pdf;base64,{DATA}"},
    "an address of data alone": {"url": f"data:application/pdf;base64,{DATA}"},
    "with a type": {"contentType": "application/pdf", "data": DATA},
}


@pytest.mark.parametrize("attachment", ATTACHED.values(), ids=ATTACHED)
def test_attachments_are_documents(attachment, tmp_path):
    """Whatever they lack, they are taken out, and no base64 is printed."""
    data = {"resourceType": "DiagnosticReport", "conclusion": "No PE", "presentedForm": [attachment]}
    done, outputs = run(tmp_path, json.dumps(data).encode())
    assert [part["name"] for part in done["embedded"]] == ["embedded-1.pdf"]
    assert (tmp_path / "out" / "embedded" / "001").read_bytes() == PDF
    assert DATA[:40] not in outputs["text.md"].decode()


def test_other_data_stay_text(tmp_path):
    """Samples and signatures are no attachments; an address in percents is decoded."""
    data = {
        "resourceType": "Observation",
        "valueSampledData": {"origin": {"value": 0}, "data": "1 2 3"},
        "note": [{"url": "data:text/plain,K%206.9"}],
    }
    done, outputs = run(tmp_path, json.dumps(data).encode())
    assert "- Data: 1 2 3" in outputs["text.md"].decode()
    assert (tmp_path / "out" / "embedded" / "001").read_bytes() == b"K 6.9"
    assert len(done["embedded"]) == 1


def narrative_of(words):
    """A narrative that says all of these."""
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{words}</div>'}


TURNED = {
    "stopped": (
        {"resourceType": "MedicationRequest", "status": "stopped", "intent": "order"},
        "Status: stopped",
    ),
    "not to be done": ({"resourceType": "MedicationRequest", "doNotPerform": True}, "do not perform"),
    "not done": ({"resourceType": "Immunization", "status": "not-done"}, "Status: not done"),
    "refuted": (
        {"resourceType": "Condition", "verificationStatus": {"coding": [{"code": "refuted"}]}},
        "Verification status: refuted",
    ),
    "an error": ({"resourceType": "Observation", "status": "entered-in-error"}, "Status: entered in error"),
    "modified": (
        {"resourceType": "Basic", "modifierExtension": [{"url": "x/y", "valueBoolean": True}]},
        "an extension changes the meaning of this entry",
    ),
}


@pytest.mark.parametrize(("resource", "wanted"), TURNED.values(), ids=TURNED)
def test_no_narrative_hides_what_turns_the_sense(resource, wanted, tmp_path):
    """A narrative that has nearly all words of the data replaces them, but for those."""
    words = "warfarin five mg daily by mouth with food in the evening and one more at noon"
    whole = {**resource, "code": {"text": words}, "text": narrative_of(f"{words} status yes order intent")}
    assert wanted in text(tmp_path, whole)


def test_what_is_not_true_is_struck_out(tmp_path):
    """An allergy that was entered in error has a title that says so, and a result its value struck out."""
    allergy = {"resourceType": "AllergyIntolerance", "code": {"text": "Latex"}}
    wrong = {
        **allergy,
        "code": {"text": "Nuts"},
        "verificationStatus": {"coding": [{"code": "entered-in-error"}]},
    }
    result = {"resourceType": "Observation", "code": {"text": "K"}, "valueString": "6.9", "status": "final"}
    whole = text(
        tmp_path, allergy, wrong, result, {**result, "valueString": "9.9", "status": "entered-in-error"}
    )
    assert "### Latex\n" in whole
    assert "### ~~Nuts~~ (Verification status: entered in error)\n" in whole
    assert "| K | 6.9 | final |" in whole
    assert "| K | ~~9.9~~ | entered in error |" in whole


def test_head_names_the_patient_of_today(tmp_path):
    """The official name that holds, the numbers, other names apart; references use the same name."""
    patient = {
        "resourceType": "Patient",
        "id": "p",
        "name": [
            {"use": "old", "family": "Maiden", "given": ["Testa"]},
            {"use": "official", "family": "Former", "given": ["Testa"], "period": {"end": "2020"}},
            {"use": "official", "family": "Person", "given": ["Testa"]},
        ],
        "birthDate": "1970-02-03",
        "identifier": [{"value": "000111", "type": {"text": "MRN"}}],
        "deceasedDateTime": "2024-01-01",
    }
    whole = text(tmp_path, patient, {"resourceType": "Basic", "subject": {"reference": "Patient/p"}})
    assert "- Patient: Testa Person, born 1970-02-03, number 000111 (MRN)\n" in whole
    assert (
        "- Other names: Testa Maiden (old); Testa Former (official, until 2020)\n- Died: 2024-01-01\n"
        in whole
    )
    assert "- Subject: Testa Person\n" in whole


def test_head_tells_what_a_document_is_worth(tmp_path):
    """Its restriction, version and what it replaces; a patient within the resource is named as well."""
    whole = text(
        tmp_path,
        {
            "resourceType": "DocumentReference",
            "status": "superseded",
            "version": "3",
            "contained": [
                {
                    "resourceType": "Patient",
                    "id": "p",
                    "name": {"text": "T Person"},
                    "identifier": {"value": "7"},
                }
            ],
            "subject": {"reference": "#p"},
            "securityLabel": [{"coding": [{"code": "V", "display": "Very restricted"}]}],
            "relatesTo": [{"code": "replaces", "target": {"display": "DOC0"}}],
            "meta": {"security": [{"code": "N"}]},
        },
    )
    head = whole.partition("Status")[0]
    assert "- Patient: T Person, number 7\n" in head
    assert "- Confidentiality: very restricted\n- Version: 3\n- Replaces: DOC0\n" in head
