"""The header and the narrative of a CDA document, by the names of HL7 CDA R2, in whatever namespace."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from docpipe.convert.base import Facts
from docpipe.convert.blocks import Block, Heading, Listing, Paragraph, tidy
from docpipe.convert.tree import DEEPEST, Flow, Node
from docpipe.convert.xmltree import Element, local

LOINC: Final = "2.16.840.1.113883.6.1"
_SEX: Final = {"M": "male", "F": "female", "UN": "undifferentiated"}
_TIME: Final = re.compile(
    r"""
    (\d{4}) (?: -?(0[1-9]|1[0-2]) (?: -?(0[1-9]|[12]\d|3[01])
    (?: [T ]? ([01]\d|2[0-3]) :?([0-5]\d) (?: :?([0-5]\d)(?:\.\d+)?)?
    \s* (?: ([+-](?:0\d|1[0-4])):?([0-5]\d) | (Z) )? )? )? )?
    """,
    re.VERBOSE,
)
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


def text_of(element: Element) -> str:
    """All text within, as it stands."""
    return "".join(str(part) for part in element.itertext())


def words_of(element: Element | None) -> str:
    """All text within, tidied to one line."""
    return "" if element is None else " ".join(tidy(text_of(element)).split())


def facts(root: Element) -> Facts:
    """What the header says of the document itself."""
    code = child(root, "code")
    loinc = None
    if code is not None and code.get("code") and code.get("codeSystem") == LOINC:
        loinc = {"code": code.get("code"), "display": code.get("displayName")}
    language = child(root, "languageCode")
    return Facts(
        title=words_of(child(root, "title"))
        or (code.get("displayName") if code is not None else None)
        or None,
        date=_date(child(root, "effectiveTime")),
        author="; ".join(_authors(root)) or None,
        custodian=_organization(
            child(root, "custodian", "assignedCustodian", "representedCustodianOrganization")
        ),
        loinc=loinc,
        language=(language.get("code") or None) if language is not None else None,
    )


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
    if lines:
        yield Listing(tuple((Paragraph(line),) for line in lines))


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
        title = tidy(code.get("displayName") or "")
    if title:
        yield Heading(min(level, 6), title)
    for text in children(section, "text"):
        yield from flow.blocks(neutral(text))
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
        rest: list[Element | str] = [item.text or ""]
        for inner in item:
            rest += [inner, inner.tail or ""]
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
    if name == "footnote":
        return Node("span", attributes)
    return Node(tag or "span", attributes)


def _picture(node: Node, pictures: Mapping[str, str]) -> str:
    name = pictures.get(node.attributes.get("referencedobject", ""), "")
    return f"picture: {name}" if name else "picture"


def _patients(root: Element) -> Iterator[str]:
    for target in children(root, "recordTarget"):
        patient = child(target, "patientRole", "patient")
        name = _person(child(patient, "name"))
        parts = [name] if name else []
        if born := _date(child(patient, "birthTime")):
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


def _date(element: Element | None) -> str | None:
    """The ISO 8601 form of an HL7 time, which is also found as an interval; None where it is unknown."""
    if element is None:
        return None
    value = element.get("value")
    for end in ("low", "high"):
        value = value or ((edge := child(element, end)) is not None and edge.get("value")) or None
    return iso_date(value or "")


def iso_date(value: str) -> str | None:
    """An HL7 time (`YYYYMMDDHHMMSS.UUUU+ZZZZ`, cut off anywhere) as ISO 8601."""
    found = _TIME.match(value.strip())
    if not found:
        return None
    year, month, day, hour, minute, second, zone, zone_minutes, utc = found.groups()
    date = "-".join(part for part in (year, month, day) if part)
    if not hour:
        return date
    time = f"T{hour}:{minute}" + (f":{second}" if second else "")
    return date + time + (f"{zone}:{zone_minutes}" if zone else "Z" if utc else "")
