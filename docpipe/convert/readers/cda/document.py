"""The header and the narrative of a CDA document, by the names of HL7 CDA R2, in whatever namespace."""

from collections.abc import Iterator, Mapping
from typing import Final

from docpipe.convert.core.base import Facts
from docpipe.convert.core.blocks import Block, Heading, Listing, Paragraph, tidy
from docpipe.convert.core.tree import Flow, Node
from docpipe.convert.core.xmltree import Element, local, words_of
from docpipe.convert.readers.cda.entries import entries, subject
from docpipe.convert.readers.cda.heads import child, document, patients, person, restriction
from docpipe.convert.readers.cda.narrative import footnotes, neutral
from docpipe.convert.readers.cda.times import date_of, period
from docpipe.convert.readers.cda.values import NULLS, coded

LOINC: Final = "2.16.840.1.113883.6.1"
SECTIONS: Final = {  # of C-CDA, by LOINC; for those that have neither title nor name
    "10154-3": "Chief complaint", "10157-6": "Family history", "10160-0": "Medications",
    "10164-2": "History of present illness", "10183-2": "Discharge medications",
    "10184-0": "Hospital discharge physical", "10187-3": "Review of systems", "10210-3": "General status",
    "11329-0": "Past medical history", "11348-0": "Past medical history", "11369-6": "Immunizations",
    "11450-4": "Problems", "11493-4": "Hospital discharge studies",
    "11535-2": "Hospital discharge diagnosis", "18776-5": "Plan of treatment",
    "29299-5": "Reason for visit", "29545-1": "Physical examination", "29549-3": "Medications administered",
    "29762-2": "Social history", "30954-2": "Results", "42348-3": "Advance directives",
    "42349-1": "Reason for referral", "46239-0": "Chief complaint and reason for visit",
    "46240-8": "Encounters", "46241-6": "Hospital admission diagnosis", "46264-8": "Medical equipment",
    "47420-5": "Functional status", "47519-4": "Procedures", "48765-2": "Allergies", "48768-6": "Payers",
    "51847-2": "Assessment and plan", "51848-0": "Assessment", "61146-7": "Goals",
    "69730-0": "Instructions", "8648-8": "Hospital course", "8716-3": "Vital signs",
    "10190-7": "Mental status", "75310-3": "Health concerns", "85847-2": "Care team",
}  # fmt: skip


def children(element: Element, name: str) -> Iterator[Element]:
    """Children with a local name."""
    return (inner for inner in element if local(inner) == name)


def facts(root: Element) -> Facts:
    """The metadata of the header."""
    code = child(root, "code")
    language = child(root, "languageCode")
    return Facts(
        title=words_of(child(root, "title")) or (coded(code) if code is not None else None) or None,
        date=date_of(child(root, "effectiveTime")),
        author="; ".join(_authors(root)) or None,
        custodian=_organization(
            child(root, "custodian", "assignedCustodian", "representedCustodianOrganization")
        ),
        loinc=_loinc(code),
        language=(language.get("code") or None) if language is not None else None,
    )


def _loinc(code: Element | None) -> dict[str, str | None] | None:
    """The code of the document's type, or that of its translations which is of LOINC."""
    if code is None:
        return None
    for one in (code, *children(code, "translation")):
        named = (one.get("codeSystemName") or "").upper() == "LOINC" and not one.get("codeSystem")
        if one.get("code") and (one.get("codeSystem") == LOINC or named):
            return {"code": one.get("code"), "display": one.get("displayName")}
    return None


def header(root: Element, stated: Facts) -> Iterator[Block]:
    """The title, and the people and organizations of the header."""
    if stated.title:
        yield Heading(1, stated.title)
    lines = [
        *patients(root),
        *([f"Date: {stated.date}"] if stated.date else []),
        *([f"Author: {stated.author}"] if stated.author else []),
        *([f"Custodian: {stated.custodian}"] if stated.custodian else []),
    ]
    if stated.loinc:
        lines.append(f"Type: {stated.loinc['display'] or 'LOINC'} (LOINC {stated.loinc['code']})")
    lines += [*document(root), *_concerned(root)]
    if lines:
        yield Listing(tuple((Paragraph(line),) for line in lines))


def _concerned(root: Element) -> Iterator[str]:
    """Other participants, and the visit or service of the document."""
    signer = child(root, "legalAuthenticator", "assignedEntity", "assignedPerson", "name")
    if name := person(signer):
        yield f"Authenticated by: {name}"
    yield from _behind(root)
    for participant in children(root, "participant"):
        if name := person(child(participant, "associatedEntity", "associatedPerson", "name")):
            code = child(participant, "associatedEntity", "code")
            role = coded(code) if code is not None else ""
            yield f"Participant: {name}, {role}" if role else f"Participant: {name}"
    visit = child(root, "componentOf", "encompassingEncounter")
    service = child(root, "documentationOf", "serviceEvent")
    for label, what in (("Encounter", visit), ("Service", service)):
        if what is None:
            continue
        time, code = child(what, "effectiveTime"), child(what, "code")
        place = words_of(child(what, "location", "healthCareFacility", "location", "name"))
        parts = [period(time) if time is not None else "", coded(code) if code is not None else "", place]
        if any(parts):
            yield f"{label}: {', '.join(text for text in parts if text)}"


def _behind(root: Element) -> Iterator[str]:
    """Informants, the order that the document answers, and consents."""
    for informant in children(root, "informant"):
        for kind, who in (("assignedEntity", "assignedPerson"), ("relatedEntity", "relatedPerson")):
            if name := person(child(informant, kind, who, "name")):
                code = child(informant, kind, "code")
                role = coded(code) if code is not None else ""
                yield f"Informant: {name}, {role}" if role else f"Informant: {name}"
    for order in children(root, "inFulfillmentOf"):
        number = child(order, "order", "id")
        if number is not None and number.get("extension"):
            yield f"Order: {number.get('extension')}"
    for authorization in children(root, "authorization"):
        consent = [child(authorization, "consent", name) for name in ("code", "statusCode")]
        if text := ", ".join(filter(None, (coded(code) for code in consent if code is not None))):
            yield f"Consent: {text}"


def narrative(root: Element, pictures: Mapping[str, str]) -> Iterator[Block]:
    """Every section in order, with its title and text.

    Args:
        root: the document or a fragment of one.
        pictures: what to call each embedded picture, by its id.
    """
    flow = Flow(lambda node: _picture(node, pictures), keep_lines=True)
    notes = footnotes(root)
    bodies = [element for element in root.iter() if local(element) == "structuredBody"] or [root]
    for body in bodies:
        for section in _sections(body):
            yield from _section(section, 2, flow, notes)


def _sections(element: Element) -> Iterator[Element]:
    """Sections below an element at any depth, without those within a section."""
    stack = list(reversed(element))
    while stack:
        inner = stack.pop()
        if local(inner) == "section":
            yield inner
        elif local(inner) not in {"entry", "text"}:
            stack.extend(reversed(inner))


def _section(section: Element, level: int, flow: Flow, notes: Mapping[str, int]) -> Iterator[Block]:
    title = words_of(child(section, "title"))
    code = child(section, "code")
    if not title and code is not None:
        title = tidy(coded(code))
        title = SECTIONS.get(title, f"Section {title}" if title and title == code.get("code") else title)
    if title:
        yield Heading(min(level, 6), title)
    about = child(section, "subject")
    if about is not None and (concerned := subject(about)):
        yield Paragraph(concerned)
    has_text = False
    for text in children(section, "text"):
        for block in flow.blocks(neutral(text, notes)):
            has_text = True
            yield block
    if restricted := restriction(section):
        yield Paragraph(f"Confidentiality: {restricted}")
    if not has_text:
        listed = list(entries(section))
        yield from listed
        if not listed and (flavor := NULLS.get(section.get("nullFlavor") or "")):
            yield Paragraph(f"{flavor.capitalize()}.")
    # Sections nest 250 deep at most, since lxml parses no deeper.
    for inner in _sections(section):
        yield from _section(inner, level + 1, flow, notes)


def _picture(node: Node, pictures: Mapping[str, str]) -> str:
    name = pictures.get(node.attributes.get("referencedobject", ""), "")
    return f"picture: {name}" if name else "picture"


def _authors(root: Element) -> Iterator[str]:
    seen: set[str] = set()
    for author in children(root, "author"):
        who = child(author, "assignedAuthor")
        device = child(who, "assignedAuthoringDevice")
        name = (
            person(child(who, "assignedPerson", "name"))
            or words_of(child(device, "softwareName"))
            or words_of(child(device, "manufacturerModelName"))
            or _organization(child(who, "representedOrganization"))
        )
        if name and name not in seen:
            seen.add(name)
            yield name


def _organization(organization: Element | None) -> str | None:
    return words_of(child(organization, "name")) or None
