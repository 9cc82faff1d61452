"""C-CDA documents: a Continuity of Care Document with sections and tables, and one around a PDF."""

import base64
import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from fakes.documents.story import Story

_ORGANIZATION: Final = "2.16.840.1.113883.19.5"
_SNOMED: Final = "2.16.840.1.113883.6.96"
_LOINC: Final = "2.16.840.1.113883.6.1"
_RXNORM: Final = "2.16.840.1.113883.6.88"
_GENDERS: Final = {"female": "F", "male": "M"}
_SEPARATE: Final = "\n      "


def continuity_of_care(story: Story) -> bytes:
    """A CCD: allergies, medications, problems, results, vital signs, immunizations, plan."""
    body = "\n".join(f"    <component>{section}</component>" for section in _sections(story))
    return _document(
        story,
        ("34133-9", "Summarization of Episode Note"),
        "Continuity of Care Document",
        ("2.16.840.1.113883.10.20.22.1.1", "2.16.840.1.113883.10.20.22.1.2"),
        f"  <component><structuredBody>\n{body}\n  </structuredBody></component>",
    )


def around_pdf(story: Story, pdf: bytes) -> bytes:
    """An Unstructured Document: the PDF in base64 is all of its body."""
    text = base64.encodebytes(pdf).decode("ascii")
    return _document(
        story,
        ("18842-5", "Discharge summary"),
        "Discharge letter",
        ("2.16.840.1.113883.10.20.22.1.1", "2.16.840.1.113883.10.20.22.1.10"),
        '  <component><nonXMLBody><text mediaType="application/pdf" representation="B64">\n'
        f"{text}</text></nonXMLBody></component>",
    )


def _document(
    story: Story, code: tuple[str, str], title: str, templates: Iterable[str], component: str
) -> bytes:
    person = story.person
    moment = _day(story.day) + "093000+0000"
    stamps = "\n  ".join(f'<templateId root="{template}"/>' for template in templates)
    gender = _GENDERS.get(person.sex)
    gender_is = f'code="{gender}" codeSystem="2.16.840.1.113883.5.1"' if gender else 'nullFlavor="UNK"'
    given, _, family = story.author.removeprefix("Dr. ").partition(" ")
    place = escape(story.place)
    text = f"""<?xml version="1.0" encoding="UTF-8"?>
<?xml-stylesheet type="text/xsl" href="CDA.xsl"?>
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <realmCode code="US"/>
  <typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>
  {stamps}
  <id root="{_ORGANIZATION}" extension="{story.number}-{code[0]}"/>
  <code code="{code[0]}" displayName={quoteattr(code[1])} codeSystem="{_LOINC}" codeSystemName="LOINC"/>
  <title>{escape(title)}</title>
  <effectiveTime value="{moment}"/>
  <confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/>
  <languageCode code="en-US"/>
  <recordTarget><patientRole>
    <id root="{_ORGANIZATION}.1" extension={quoteattr(person.id)}/>
    <addr use="HP"><postalCode>{escape(person.postal_code)}</postalCode><country>US</country></addr>
    <patient>
      <name use="L"><given>{escape(person.given)}</given><family>{escape(person.family)}</family></name>
      <administrativeGenderCode {gender_is}/>
      <birthTime value="{person.birth_date.replace("-", "")}"/>
    </patient>
  </patientRole></recordTarget>
  <author>
    <time value="{moment}"/>
    <assignedAuthor>
      <id root="2.16.840.1.113883.4.6" extension="{story.number}"/>
      <assignedPerson><name><prefix>Dr.</prefix><given>{escape(given)}</given>\
<family>{escape(family)}</family></name></assignedPerson>
      <representedOrganization><name>{place}</name></representedOrganization>
    </assignedAuthor>
  </author>
  <custodian><assignedCustodian><representedCustodianOrganization>
    <id root="{_ORGANIZATION}"/><name>{place}</name>
  </representedCustodianOrganization></assignedCustodian></custodian>
{component}
</ClinicalDocument>
"""
    return text.encode()


def _sections(story: Story) -> Iterable[str]:
    yield _section(
        ("48765-2", "Allergies and adverse reactions"),
        "2.16.840.1.113883.10.20.22.2.6.1",
        _table(
            ("Substance", "Reaction", "Severity"), [(a.name, how, much) for a, how, much in story.allergies]
        ),
    )
    yield _section(
        ("10160-0", "Medications"),
        "2.16.840.1.113883.10.20.22.2.1.1",
        _table(("Medication", "Directions"), [(drug.name, how) for drug, how in story.medications]),
        [_substance(drug.code, drug.name) for drug, _ in story.medications],
    )
    yield _section(
        ("11450-4", "Problems"),
        "2.16.840.1.113883.10.20.22.2.5.1",
        _items([f"{problem.name} (since {day.isoformat()}, active)" for problem, day in story.problems]),
        [_observation("55607006", problem.code, problem.name, day) for problem, day in story.problems],
    )
    for code, title, template, results in (
        ("30954-2", "Results", "2.16.840.1.113883.10.20.22.2.3.1", story.results),
        ("8716-3", "Vital signs", "2.16.840.1.113883.10.20.22.2.4.1", story.vitals),
    ):
        rows = [
            (r.what.name, f"{r.value:g}", r.unit, r.reference, r.flag, r.day.isoformat()) for r in results
        ]
        head = ("Test", "Value", "Unit", "Reference", "Flag", "Date")
        entries = [_measured(r.what.code, r.what.name, r.value, r.unit, r.day) for r in results]
        yield _section((code, title), template, _table(head, rows), entries)
    yield _section(
        ("11369-6", "Immunizations"),
        "2.16.840.1.113883.10.20.22.2.2.1",
        _table(("Vaccine", "Date"), [(vaccine.name, day.isoformat()) for vaccine, day in story.vaccines]),
    )
    text = "".join(f"<paragraph>{escape(paragraph)}</paragraph>" for paragraph in story.paragraphs())
    yield _section(("18776-5", "Plan of treatment"), "2.16.840.1.113883.10.20.22.2.10", text)


def _section(code: tuple[str, str], template: str, narrative: str, entries: Sequence[str] = ()) -> str:
    machine = "".join(f"{_SEPARATE}<entry>{entry}</entry>" for entry in entries)
    return f"""<section>
      <templateId root="{template}"/>
      <code code="{code[0]}" codeSystem="{_LOINC}" codeSystemName="LOINC" displayName={quoteattr(code[1])}/>
      <title>{escape(code[1])}</title>
      <text>{narrative}</text>{machine}
    </section>"""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in rows)
    return f'<table border="1"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'


def _items(items: Iterable[str]) -> str:
    return "<list>" + "".join(f"<item>{escape(item)}</item>" for item in items) + "</list>"


def _observation(kind: str, code: str, name: str, day: dt.date) -> str:
    return (
        f'<observation classCode="OBS" moodCode="EVN"><code code="{kind}" codeSystem="{_SNOMED}"/>'
        f'<statusCode code="completed"/><effectiveTime><low value="{_day(day)}"/></effectiveTime>'
        f'<value xsi:type="CD" code="{code}" codeSystem="{_SNOMED}" displayName={quoteattr(name)}/>'
        "</observation>"
    )


def _measured(code: str, name: str, value: float, unit: str, day: dt.date) -> str:
    return (
        f'<observation classCode="OBS" moodCode="EVN"><code code="{code}" codeSystem="{_LOINC}"'
        f' displayName={quoteattr(name)}/><statusCode code="completed"/><effectiveTime value="{_day(day)}"/>'
        f'<value xsi:type="PQ" value="{value:g}" unit={quoteattr(unit)}/></observation>'
    )


def _substance(code: str, name: str) -> str:
    return (
        '<substanceAdministration classCode="SBADM" moodCode="EVN"><statusCode code="active"/><consumable>'
        f'<manufacturedProduct><manufacturedMaterial><code code="{code}" codeSystem="{_RXNORM}"'
        f" displayName={quoteattr(name)}/></manufacturedMaterial></manufacturedProduct></consumable>"
        "</substanceAdministration>"
    )


def _day(day: dt.date) -> str:
    return day.strftime("%Y%m%d")
