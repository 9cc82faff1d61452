"""The header and the narrative of a CDA document, by the names of HL7 CDA R2, in whatever namespace."""

from collections.abc import Iterator, Mapping
from typing import Final

from docpipe.convert.core.base import Facts
from docpipe.convert.core.blocks import Block, Heading, Listing, Paragraph, tidy
from docpipe.convert.core.tree import DEEPEST, Flow, Node
from docpipe.convert.core.xmltree import Element, local, words_of
from docpipe.convert.readers.cdaentries import coded, entries
from docpipe.convert.readers.cdatime import date_of, period

LOINC: Final = "2.16.840.1.113883.6.1"
_SEX: Final = {"M": "male", "F": "female", "UN": "undifferentiated"}
_TAGS: Final = {  # of the narrative, as HTML calls them; what is not here keeps its name
    "paragraph": "p",
    "list": "ul",
    "item": "li",
    "linkhtml": "a",
    "rendermultimedia": "img",
    "footnoteref": "noscript",
    "text": "div",
    "title": "p",
}


# What HTML does not show, but is shown where CDA has it.
_PLAIN: Final = frozenset(
    {
        "footnote", "template", "object", "embed", "iframe", "applet", "canvas", "audio", "video", "meta",
        "link", "base", "param", "source", "track", "map", "area", "frame", "frameset", "datalist",
        "input", "head",
    }
)  # fmt: skip
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


def child(element: Element | None, *path: str) -> Element | None:
    """The first descendant along a path of local names."""
    for name in path:
        if element is None:
            return None
        element = next((inner for inner in element if local(inner) == name), None)
    return element


def children(element: Element, name: str) -> Iterator[Element]:
    """Children with a local name."""
    return (inner for inner in element if local(inner) == name)


def facts(root: Element) -> Facts:
    """What the header says of the document itself."""
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


def header(root: Element, said: Facts) -> Iterator[Block]:
    """The document's title and who is concerned, for people to read."""
    if said.title:
        yield Heading(1, said.title)
    lines = [
        *(f"Patient: {person}" for person in _patients(root)),
        *([f"Date: {said.date}"] if said.date else []),
        *([f"Author: {said.author}"] if said.author else []),
        *([f"Custodian: {said.custodian}"] if said.custodian else []),
    ]
    if said.loinc:
        lines.append(f"Type: {said.loinc['display'] or 'LOINC'} (LOINC {said.loinc['code']})")
    lines += _concerned(root)
    if lines:
        yield Listing(tuple((Paragraph(line),) for line in lines))


def _concerned(root: Element) -> Iterator[str]:
    """Who else is concerned, and the visit or service that the document is about."""
    signer = child(root, "legalAuthenticator", "assignedEntity", "assignedPerson", "name")
    if name := _person(signer):
        yield f"Authenticated by: {name}"
    for participant in children(root, "participant"):
        if name := _person(child(participant, "associatedEntity", "associatedPerson", "name")):
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
        said = [period(time) if time is not None else "", coded(code) if code is not None else "", place]
        if any(said):
            yield f"{label}: {', '.join(text for text in said if text)}"


def narrative(root: Element, pictures: Mapping[str, str]) -> Iterator[Block]:
    """Every section in order, with its title and text.

    Args:
        root: the document or a fragment of one.
        pictures: what to call each embedded picture, by its id.
    """
    flow = Flow(lambda node: _picture(node, pictures), keep_lines=True)
    bodies = [element for element in root.iter() if local(element) == "structuredBody"] or [root]
    for body in bodies:
        for section in _sections(body):
            yield from _section(section, 2, flow)


def _sections(element: Element) -> Iterator[Element]:
    """Sections below an element, whatever stands between, without those within a section."""
    stack = list(reversed(element))
    while stack:
        inner = stack.pop()
        if local(inner) == "section":
            yield inner
        elif local(inner) not in {"entry", "text"}:
            stack.extend(reversed(inner))


def _section(section: Element, level: int, flow: Flow) -> Iterator[Block]:
    title = words_of(child(section, "title"))
    code = child(section, "code")
    if not title and code is not None:
        title = tidy(coded(code))
        title = SECTIONS.get(title, f"Section {title}" if title and title == code.get("code") else title)
    if title:
        yield Heading(min(level, 6), title)
    said = False
    for text in children(section, "text"):
        for block in flow.blocks(neutral(text)):
            said = True
            yield block
    if not said:
        yield from entries(section)
    # Sections nest 250 deep at most, since lxml parses no deeper.
    for inner in _sections(section):
        yield from _section(inner, level + 1, flow)


def neutral(element: Element) -> Node:
    """The narrative as a neutral tree, built without recursion."""
    top = Node("div")
    stack: list[tuple[Element | str, Node, int]] = [(element, top, 0)]
    while stack:
        item, parent, depth = stack.pop()
        if isinstance(item, str):
            parent.children.append(item)
            continue
        node = _node(item)
        parent.children.append(node)
        heir, below = (node, depth + 1) if depth < DEEPEST else (parent, depth)
        if node.tag == "img":
            heir = parent  # a picture's caption follows it
        rest: list[Element | str] = [item.text or ""]
        for inner in item:
            rest += [inner, inner.tail or ""]
        if (item.get("revised") or "").lower() == "delete":
            rest = ["[deleted: ", *rest, "]"]
        stack.extend((part, heir, below) for part in reversed(rest) if part is not None and part != "")
    return top


def _node(element: Element) -> Node:
    name = local(element).lower()
    tag = _TAGS.get(name, name)
    if tag == "ul" and (element.get("listType") or "").lower() == "ordered":
        tag = "ol"
    attributes = {str(key).lower(): str(value) for key, value in element.attrib.items()}
    if tag == "a" and not words_of(element):
        return Node("span", {}, [attributes.get("href", "")])
    return Node("span" if tag in _PLAIN else tag or "span", attributes)


def _picture(node: Node, pictures: Mapping[str, str]) -> str:
    name = pictures.get(node.attributes.get("referencedobject", ""), "")
    return f"picture: {name}" if name else "picture"


def _patients(root: Element) -> Iterator[str]:
    for target in children(root, "recordTarget"):
        patient = child(target, "patientRole", "patient")
        name = _person(child(patient, "name"))
        parts = [name] if name else []
        if born := date_of(child(patient, "birthTime")):
            parts.append(f"born {born}")
        gender = child(patient, "administrativeGenderCode")
        if gender is not None and (sex := gender.get("displayName") or _SEX.get(gender.get("code") or "")):
            parts.append(sex.lower())
        if parts:
            yield ", ".join(parts)


def _authors(root: Element) -> Iterator[str]:
    seen: set[str] = set()
    for author in children(root, "author"):
        who = child(author, "assignedAuthor")
        device = child(who, "assignedAuthoringDevice")
        name = (
            _person(child(who, "assignedPerson", "name"))
            or words_of(child(device, "softwareName"))
            or words_of(child(device, "manufacturerModelName"))
            or _organization(child(who, "representedOrganization"))
        )
        if name and name not in seen:
            seen.add(name)
            yield name


def _person(name: Element | None) -> str:
    if name is None:
        return ""
    parts: dict[str, list[str]] = {}
    for part in name:
        if text := words_of(part):
            parts.setdefault(local(part), []).append(text)
    ordered = [text for kind in ("prefix", "given", "family", "suffix") for text in parts.get(kind, [])]
    return " ".join(ordered) or words_of(name)


def _organization(organization: Element | None) -> str | None:
    return words_of(child(organization, "name")) or None
