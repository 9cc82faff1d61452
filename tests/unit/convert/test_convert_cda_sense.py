"""CDA: the subject of a document, and the meaning of entries without a narrative."""

# ruff: noqa: E501 -- an element a line

import pytest
from lxml import etree

from docpipe.convert.readers.cda.times import period
from tests.unit.convert.documents import cda, section, text_of

XSI = "xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'"


def entry(inner, kind="observation", more=""):
    """A section without a narrative that has this one entry."""
    body = f"<section {XSI}><title>A</title><entry><{kind} {more}>{inner}</{kind}></entry></section>"
    return cda(f"<structuredBody><component>{body}</component></structuredBody>")


def value(inner):
    """An observation with this value."""
    return entry(f"<code displayName='X'/>{inner}")


VALUES = {
    "above": (
        "<value xsi:type='IVL_PQ'><low value='90' unit='mL/min' inclusive='false'/></value>",
        "> 90 mL/min",
    ),
    "from": ("<value xsi:type='IVL_PQ'><low value='90' unit='mL/min'/></value>", "≥ 90 mL/min"),
    "below": ("<value><high value='0.01' unit='ng/mL' inclusive='false'/></value>", "< 0.01 ng/mL"),
    "up to": ("<value><high value='0.01' unit='ng/mL' inclusive='true'/></value>", "≤ 0.01 ng/mL"),
    "between": ("<value><low value='60' unit='mg'/><high value='120' unit='mg'/></value>", "60 to 120 mg"),
    "between others": (
        "<value><low value='60' unit='mg' inclusive='false'/><high value='1' unit='g' inclusive='false'/></value>",
        "> 60 mg to < 1 g",
    ),
    "a bound that nobody knows": (
        "<value><low nullFlavor='UNK'/><high value='5' unit='mg'/></value>",
        "≤ 5 mg",
    ),
    "around": ("<value><center value='5' unit='mg'/><width value='2' unit='mg'/></value>", "5 mg, 2 mg wide"),
    "ratio": (
        "<value><numerator value='1' unit='mg'/><denominator value='5' unit='mL'/></value>",
        "1 mg / 5 mL",
    ),
    "yes": ("<value xsi:type='BL' value='true'/>", "yes"),
    "no": ("<value xsi:type='BL' value='false'/>", "no"),
    "a word that is no answer": ("<value xsi:type='ST' value='false'/>", "false"),
    "unknown": ("<value xsi:type='CD' nullFlavor='UNK'/>", "unknown"),
    "withheld": ("<value nullFlavor='MSK'/>", "withheld"),
    "other, in words": ("<value nullFlavor='OTH'><originalText>rare</originalText></value>", "rare"),
    "severity": (
        "<value displayName='Nuts'><qualifier><name displayName='severity'/><value displayName='fatal'/></qualifier></value>",
        "Nuts (severity: fatal)",
    ),
    "a note for a unit": ("<value value='2' unit='{tablet}'/>", "2 tablet"),
    "time": ("<value xsi:type='TS' value='20240501'/>", "2024-05-01"),
}


@pytest.mark.parametrize(("inner", "text"), VALUES.values(), ids=VALUES)
def test_values_of_entries(inner, text, tmp_path):
    """Bounds, ratios, answers and what is not known are what they are."""
    assert text_of(tmp_path, value(inner)).replace("\\", "") == f"## A\n\n- X: {text}\n"


PARTS = {
    "goal": (
        entry("<code displayName='W'/><value value='70' unit='kg'/>", more="moodCode='GOL'"),
        "goal; W: 70 kg",
    ),
    "requested": (entry("<code displayName='W'/>", "procedure", "moodCode='RQO'"), "requested; W"),
    "done": (entry("<code displayName='W'/>", "procedure", "moodCode='EVN'"), "W"),
    "not": (entry("<code displayName='W'/>", "procedure", "negationInd='true'"), "not; W"),
    "side": (
        entry(
            "<code displayName='W'/><targetSiteCode displayName='Kidney'><qualifier><name displayName='laterality'/>"
            "<value displayName='left'/></qualifier></targetSiteCode>"
        ),
        "W; Kidney (laterality: left)",
    ),
    "uncertain": (entry("<code displayName='W'/><uncertaintyInd value='true'/>"), "W; uncertain"),
    "certain": (entry("<code displayName='W'/><uncertaintyInd value='false'/>"), "W"),
    "reference": (
        entry(
            "<code displayName='W'/><referenceRange><observationRange><text>adult</text><value><low value='1' unit='g'/>"
            "<high value='2' unit='g'/></value></observationRange></referenceRange>"
        ),
        "W; reference: 1 to 2 g, adult",
    ),
}


@pytest.mark.parametrize(("data", "text"), PARTS.values(), ids=PARTS)
def test_sense_of_entries(data, text, tmp_path):
    """Whether something was done, wanted or denied, and where."""
    assert text_of(tmp_path, data) == f"## A\n\n- {text}\n"


TIMES = {
    "every": ("<effectiveTime xsi:type='PIVL_TS'><period value='8' unit='h'/></effectiveTime>", "every 8 h"),
    "daily": ("<effectiveTime><period value='1' unit='d'/></effectiveTime>", "every day"),
    "hourly": ("<effectiveTime><period value='1' unit='h'/></effectiveTime>", "every 1 h"),
    "every few hours": (
        "<effectiveTime><period><low value='4' unit='h'/><high value='6' unit='h'/></period></effectiveTime>",
        "every 4 to 6 h",
    ),
    "at bedtime": ("<effectiveTime xsi:type='EIVL_TS'><event code='HS'/></effectiveTime>", "at bedtime"),
    "before meals": (
        "<effectiveTime><event code='AC'/><offset value='30' unit='min'/></effectiveTime>",
        "before meals, offset 30 min",
    ),
    "several": (
        (
            "<effectiveTime xsi:type='SXPR_TS'><comp><low value='20240501'/></comp><comp><period value='12' unit='h'/></comp>"
            "</effectiveTime>"
        ),
        "2024-05-01, every 12 h",
    ),
    "at most": (
        "<maxDoseQuantity><numerator value='6' unit='{tablet}'/><denominator value='1' unit='d'/></maxDoseQuantity>",
        "at most 6 tablet / 1 d",
    ),
    "as needed": (
        "<precondition><criterion><value displayName='as needed for pain'/></criterion></precondition>",
        "as needed for pain",
    ),
    "on a condition": (
        "<precondition><criterion><code displayName='ASSERTION'/><value displayName='Wheezing'/></criterion></precondition>",
        "condition: ASSERTION, Wheezing",
    ),
    "rate": ("<rateQuantity value='5' unit='mL/h'/>", "rate: 5 mL/h"),
    "no rate": ("<rateQuantity nullFlavor='NI'/><routeCode displayName='Oral'/>", "Oral"),
    "repeats": ("<repeatNumber value='3'/>", "repeats: 3"),
}


@pytest.mark.parametrize(("inner", "text"), TIMES.values(), ids=TIMES)
def test_when_and_how_much_of_a_drug(inner, text, tmp_path):
    """How often, at most, at which meals, and on which condition."""
    assert text_of(tmp_path, entry(inner, "substanceAdministration")) == f"## A\n\n- {text}\n"


def test_an_empty_section_says_why(tmp_path):
    """A section that is withheld is not one in which there is nothing."""
    body = "<section nullFlavor='MSK'><title>Problems</title><confidentialityCode code='R'/></section>"
    text = text_of(tmp_path, cda(f"<structuredBody><component>{body}</component></structuredBody>"))
    assert text == "## Problems\n\nConfidentiality: restricted\n\nWithheld.\n"


PATIENT = """
<id root="1.2" extension="000111" assigningAuthorityName="Hospital"/><id root="2.16.840.1.113883.4.1" extension="9"/>
<id nullFlavor="UNK"/><patient><name use="A"><given>Nick</given></name><name use="L"><given>Testa</given>
<family>Former</family><validTime><high value="2020"/></validTime></name><name use="L"><given>Testa</given>
<family>Person</family><family qualifier="BR">Maiden</family></name><birthTime value="19700203"/>
<deceasedTime value="20240105"/></patient>
"""
WORTH = """
<confidentialityCode code="V"/><versionNumber value="3"/>
<relatedDocument typeCode="RPLC"><parentDocument><id root="1.2.3" extension="DOC0"/></parentDocument></relatedDocument>
<relatedDocument typeCode="APND"><parentDocument><id root="1.2.4"/><code displayName="Note"/></parentDocument></relatedDocument>
"""


def test_head_names_the_patient_of_today(tmp_path):
    """The valid legal name, numbers with their issuers, other names apart, and the death."""
    head = f"<recordTarget><patientRole>{PATIENT}</patientRole></recordTarget>"
    assert text_of(tmp_path, cda(section("x"), head)) == (
        "- Patient: Testa Person (born Maiden), born 1970-02-03, number 000111 (Hospital), number 9 (SSN)\n"
        "- Other names: Nick; Testa Former\n- Died: 2024-01-05\n\n## A section\n\nx\n"
    )


def test_head_tells_what_a_document_is_worth(tmp_path):
    """Whether it is restricted, its version, and what it replaces; usual values are left out."""
    assert text_of(tmp_path / "a", cda(section("x"), WORTH)) == (
        "- Confidentiality: very restricted\n- Version: 3\n- Replaces: document DOC0\n"
        "- Adds to: document 1.2.4, Note\n\n## A section\n\nx\n"
    )
    usual = '<confidentialityCode code="N"/>'
    assert text_of(tmp_path / "b", cda(section("x"), usual)) == "## A section\n\nx\n"


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        ('<low value="20240501"/><high nullFlavor="UNK"/>', "since 2024-05-01"),
        ('<low value="20240501"/><high value="20240507"/>', "2024-05-01 to 2024-05-07"),
        ('<low nullFlavor="UNK"/><high value="20240507"/>', "until 2024-05-07"),
    ],
)
def test_an_interval_without_an_end_has_only_begun(interval, text):
    """A drug is taken since a day, not on it."""
    assert period(etree.fromstring(f"<effectiveTime>{interval}</effectiveTime>")) == text
